"""pg_stat_statements: theirs and ours told apart, in every order, and what to run where it cannot be read."""

from typing import Any

import psycopg
import pytest

from queries.database import Database
from queries.errors import ArgumentError
from queries.performance import server_statements
from queries.performance.server_statements import COLUMNS, ORDERS
from queries.settings import Settings


@pytest.fixture
def database(reader_url: str, owner_url: str) -> Any:
    made = Database(Settings(database_url=reader_url, direct_url=owner_url))
    yield made
    made.close()


def texts(database: Database, whose: Any, by: Any = "calls") -> list[str]:
    return list(server_statements.top(database, by, 200, whose=whose)["sql"])


def test_their_statements_and_ours(database: Database, app_connection: Any, make_services: Any) -> None:
    for number in range(3):
        app_connection.execute('SELECT "name" FROM "Organization" WHERE "name" = %s', [f"secret {number}"])
    app_connection.commit()
    database.ping()
    database.tables()
    [theirs] = [one for one in texts(database, "theirs") if 'FROM "Organization" WHERE "name" =' in one]
    assert "secret" not in theirs
    ours = texts(database, "ours")
    assert any("set_config" in one or "pg_catalog" in one for one in ours)
    assert theirs not in ours
    assert {theirs, *ours} <= set(texts(database, "all"))


def test_a_statement_of_ours_is_known_whoever_runs_it(database: Database, app_connection: Any, owner_url: str) -> None:
    """Where the application signs in as the same role, fingerprints and our schema's name decide."""
    app_connection.execute('SELECT count(*) FROM "Membership" WHERE "role" = %s', ["OWNER"])
    app_connection.commit()
    is_theirs = lambda: any('FROM "Membership"' in one for one in texts(database, "theirs"))  # noqa: E731
    assert is_theirs()
    known = server_statements.fingerprint('SELECT count(*) FROM "Membership" WHERE "role" = $1')
    with psycopg.connect(owner_url) as owner:
        owner.execute("INSERT INTO usage_dashboard.statement (fingerprint, query, sql) VALUES (%s, 'q', 's')", [known])
    assert not is_theirs()


@pytest.mark.parametrize("by", ORDERS)
def test_every_order_leads_with_the_largest(database: Database, app_connection: Any, by: Any) -> None:
    app_connection.execute("SELECT count(*) FROM generate_series(1, 1000)")
    app_connection.execute("SELECT generate_series(1, 10)")
    app_connection.commit()
    frame = server_statements.top(database, by, 20, whose="all")
    assert tuple(frame.columns) == COLUMNS
    assert list(frame[ORDERS[by]]) == sorted(frame[ORDERS[by]], reverse=True)
    assert 1 < len(frame) <= 20


def test_an_order_or_number_that_there_is_not_is_refused(database: Database) -> None:
    for by, limit in (("elegance", 10), ("calls", 0), ("calls", 100_000)):
        with pytest.raises(ArgumentError):
            server_statements.top(database, by, limit)  # type: ignore[arg-type]  # what a link may hold


def test_it_says_since_when_it_counts(database: Database) -> None:
    state = server_statements.state(database)
    assert (state.kind, state.command, state.is_readable) == ("ready", None, True)
    assert state.since is not None


def test_not_installed_is_said_with_what_to_run(database: Database, server: Any, database_name: str) -> None:
    with server.superuser(database_name) as superuser:
        superuser.execute("DROP EXTENSION pg_stat_statements")
    state = server_statements.state(database)
    assert state.kind == "not_installed"
    assert "CREATE EXTENSION" in (state.command or "")
    assert server_statements.top(database).empty


def test_a_view_that_may_not_be_read_names_the_grant(database: Database, server: Any, database_name: str) -> None:
    with server.superuser(database_name) as superuser:
        superuser.execute("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
    state = server_statements.state(database)
    assert state.kind == "no_right"
    with server.superuser(database_name) as superuser:
        superuser.execute(state.command or "")
    assert server_statements.state(database).kind == "ready"


def test_hidden_texts_name_the_grant(server: Any, database_name: str) -> None:
    with server.superuser(database_name) as superuser, superuser.transaction(force_rollback=True):
        superuser.execute("CREATE ROLE nobody_much")
        superuser.execute("GRANT USAGE ON SCHEMA public TO nobody_much")
        superuser.execute("SET LOCAL ROLE nobody_much")
        state = server_statements.state_of(superuser)
    assert state.kind == "hidden"
    assert state.is_readable
    assert 'GRANT pg_read_all_stats TO "nobody_much"' in (state.command or "")
