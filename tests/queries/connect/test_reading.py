"""A look at a database leaves no trace, sees all of a large table, and takes any name."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from queries.connect import catalog
from queries.connect.checking import check
from queries.connect.samples import Rows
from queries.errors import ConnectError
from queries.mapping import written
from tests.conftest import Server
from tests.queries.connect.proposed import made, proposed
from tests.queries.connect.schemas.making import may_create_schemas


def test_the_session_is_left_as_it_was_and_nothing_can_be_written(empty_database_url: str) -> None:
    made(empty_database_url, "CREATE TABLE users (id int PRIMARY KEY, email text, name text)")
    names = ("statement_timeout", "lock_timeout", "TimeZone", "default_transaction_read_only")
    with psycopg.connect(empty_database_url) as fresh:
        before = [fresh.execute(sql.SQL("SHOW {}").format(sql.Identifier(one))).fetchall() for one in names]
    with catalog.opened(empty_database_url) as connection:
        shape = catalog.read_shape(connection)
        assert Rows(connection).first(shape.relations[0], "email") == ""
        with catalog.reading(connection), pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO users VALUES (1)")
        with psycopg.connect(empty_database_url) as fresh:
            assert fresh.execute("SELECT count(*) FROM users").fetchall() == [(0,)]
        # What a pooler would hand to the application next.
        connection.read_only = None
        after = [connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(one))).fetchall() for one in names]
    assert after == before


def test_the_newest_status_of_a_large_table_is_seen(empty_database_url: str) -> None:
    made(
        empty_database_url,
        """CREATE TABLE users (id int PRIMARY KEY, email text, name text);
             CREATE TABLE generations (id int PRIMARY KEY, user_id int REFERENCES users, prompt text, status text,
               credits int, created_at timestamptz);
             INSERT INTO generations SELECT n, NULL, 'p', CASE WHEN n < 250000 THEN 'done' ELSE 'odd one' END, 1, now()
             FROM generate_series(1, 260000) AS n""",
    )
    (question,) = proposed(empty_database_url).questions
    assert question.path == ("values", "generation_status", "odd one")
    assert proposed(empty_database_url).questions == (question,)


def test_any_name_and_value_is_taken(empty_database_url: str) -> None:
    made(
        empty_database_url,
        r"""CREATE TABLE users (id int PRIMARY KEY, email text, name text);
        INSERT INTO users VALUES (1, 'a@example.org', E'x\u001b[31m"; DROP');
        CREATE TABLE "my ""jobs"" 100%" ("i""d %s" int PRIMARY KEY, "user" int REFERENCES users, "pro mpt" text,
          "mo""del {0}" text, "st%ate" text, "at" timestamptz NOT NULL, "se'conds" real);
        INSERT INTO "my ""jobs"" 100%" VALUES (1, 1, 'p', 'm', 'it''s \ done %s', now(), 1.5)""",
    )
    columns = {"model": 'mo"del {0}', "status": "st%ate", "prompt": "pro mpt", "duration_ms": "se'conds"}
    proposal = proposed(
        empty_database_url,
        tables={"generation": 'my "jobs" 100%'},
        columns={"generation": columns},
        values={"generation_status": {r"it's \ done %s": "succeeded"}},
        duration_unit="s",
        credits=1,
    )
    assert proposal.questions == ()
    mapping = proposal.mapping()
    assert mapping.values["generation_status"]["succeeded"] == (r"it's \ done %s",)
    checked = check(empty_database_url, mapping)
    assert checked.works, [one for one in checked.pages if not one.works]
    assert checked.tenants == 1
    assert checked.newest_at is not None


def test_what_somebody_typed_is_no_kind(empty_database_url: str) -> None:
    """A reason that is free text is neither asked about nor written down."""
    made(
        empty_database_url,
        """CREATE TABLE users (id int PRIMARY KEY, email text, name text);
           INSERT INTO users VALUES (1, 'a@example.org', 'A');
           CREATE TABLE generations (id int PRIMARY KEY, user_id int REFERENCES users, prompt text, model text,
             status text, created_at timestamptz);
           INSERT INTO generations SELECT n, 1, 'p', 'm', 'done', now() FROM generate_series(1, 60) AS n;
           CREATE TABLE credit_transactions (id int PRIMARY KEY, user_id int REFERENCES users, amount int, reason text,
             created_at timestamptz);
           INSERT INTO credit_transactions SELECT n, 1, CASE WHEN n = 1 THEN 500 ELSE -2 END,
             'Picture of a secret lighthouse number ' || n, now() FROM generate_series(1, 60) AS n""",
    )
    proposal = proposed(empty_database_url)
    assert proposal.questions == ()
    text = written(proposal.mapping())
    assert "lighthouse" not in text
    assert "CASE WHEN t.\"amount\" < 0 THEN 'burned'" in text


def test_schemas_with_tenants_of_their_own_are_asked_about(empty_database_url: str, server: Server) -> None:
    with server.superuser(urlsplit(empty_database_url).path.removeprefix("/")) as connection:
        may_create_schemas(connection)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for schema in ("app_one", "app_two"):
            connection.execute(
                sql.SQL(
                    """CREATE SCHEMA {schema};
                    CREATE TABLE {schema}.teams (id int PRIMARY KEY, name text);
                    CREATE TABLE {schema}.generations (id int PRIMARY KEY, team_id int NOT NULL
                      REFERENCES {schema}.teams, prompt text, model text, status text, created_at timestamptz)"""
                ).format(schema=sql.Identifier(schema))
            )
    (question,) = proposed(empty_database_url).questions
    assert (question.path, question.choices, question.best) == (("tenant",), ("schema", "app_one.teams"), None)
    of_schemas = proposed(empty_database_url, tenant="schema", credits=1).mapping()
    assert of_schemas.tables["generation"].schemas == "app_*"
    of_teams = proposed(empty_database_url, tenant="app_one.teams", tables={"generation": "app_one.generations"})
    assert of_teams.mapping().tables["organization"].schema == "app_one"
    with pytest.raises(ConnectError, match="there are app_one, app_two"):
        proposed(empty_database_url, schemas="tenant_*")


def test_schemas_without_a_common_name_are_listed(empty_database_url: str, server: Server) -> None:
    with server.superuser(urlsplit(empty_database_url).path.removeprefix("/")) as connection:
        may_create_schemas(connection)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for schema in ("acme", "Globex Corp", "initech"):
            connection.execute(
                sql.SQL(
                    """CREATE SCHEMA {schema};
                    CREATE TABLE {schema}.generations (id int PRIMARY KEY, prompt text, model text, status text,
                      credits int, created_at timestamptz);
                    INSERT INTO {schema}.generations VALUES (1, 'p', 'm', {status}, 2, now())"""
                ).format(schema=sql.Identifier(schema), status="done" if schema == "acme" else "failed")
            )
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.things (id int)")
    proposal = proposed(empty_database_url)
    assert proposal.questions == ()
    mapping = proposal.mapping()
    assert mapping.tables["generation"].schemas == "Globex Corp, acme, initech"
    # A status that only another schema has is known as well.
    assert mapping.values["generation_status"]["failed"] == ("failed",)
    checked = check(empty_database_url, mapping)
    assert checked.works, [one for one in checked.pages if not one.works]
    assert checked.tenants == 3
