"""A ledger that belongs to balances is found, and no table with rows, and no column of those that are read, is left out
without a word."""

from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from queries.readable import named_columns
from tests.queries.connect.proposed import made, proposed

TEAMS: LiteralString = """
CREATE TABLE teams (id int PRIMARY KEY, name text, created_at timestamptz);
CREATE TABLE wallets (id int PRIMARY KEY, team_id int NOT NULL UNIQUE REFERENCES teams, balance int NOT NULL);
CREATE TABLE jobs (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, prompt text, model text, status text,
  credits int, created_at timestamptz NOT NULL);
INSERT INTO teams VALUES (1, 'A', now()), (2, 'B', now());
INSERT INTO wallets VALUES (20, 1, 90), (10, 2, 70);
INSERT INTO jobs VALUES (1, 1, 'p', 'm', 'done', 10, now()), (2, 2, 'p', 'm', 'done', 30, now());"""


@pytest.mark.parametrize(
    ("table", "script"),
    [
        (
            "wallet_entries",
            """CREATE TABLE wallet_entries (id int PRIMARY KEY, wallet_id int NOT NULL REFERENCES wallets, kind text,
                 delta int NOT NULL, booked_at timestamptz NOT NULL, job_id int REFERENCES jobs);
               INSERT INTO wallet_entries VALUES (1, 20, 'top_up', 100, now(), NULL), (2, 20, 'charge', -10, now(), 1),
                 (3, 10, 'top_up', 100, now(), NULL)""",
        ),
        # Its name says nothing, and its foreign key leads to what is unique and no key.
        (
            "bookings",
            """CREATE TABLE bookings (id int PRIMARY KEY, wallet_id int NOT NULL REFERENCES wallets (team_id),
                 kind text, delta int NOT NULL, booked_at timestamptz NOT NULL, job_id int REFERENCES jobs);
               INSERT INTO bookings VALUES (1, 1, 'top_up', 100, now(), NULL), (2, 1, 'charge', -10, now(), 1),
                 (3, 2, 'top_up', 100, now(), NULL)""",
        ),
    ],
)
def test_a_ledger_whose_tenant_is_that_of_the_wallet_is_proposed(
    empty_database_url: str, table: str, script: LiteralString
) -> None:
    made(empty_database_url, TEAMS, script)
    proposal = proposed(empty_database_url)
    assert proposal.questions == ()
    assert proposal.unused == ()
    mapping = proposal.mapping()
    assert mapping.values["transaction_type"]["burned"] == ("charge",)
    select = mapping.tables["credit_transaction"].select
    assert select is not None
    assert f'"public"."{table}"' in select
    with psycopg.connect(empty_database_url) as connection:
        rows = connection.execute(sql.SQL(select)).fetchall()  # type: ignore[arg-type]  # a text of the program's own
    amounts = sorted((row[1], row[4]) for row in rows)
    assert amounts == [(1, -10), (1, 100), (2, 100)]


ENTRIES: LiteralString = """
CREATE TABLE wallet_entries (id int PRIMARY KEY, wallet_id int NOT NULL REFERENCES wallets, what text, memo text,
  delta int, booked_at timestamptz);
INSERT INTO wallet_entries SELECT n, 20, (ARRAY[{}])[1 + n % 4], 'memo ' || n,
  CASE n % 4 WHEN 1 THEN -5 ELSE 5 END, now() FROM generate_series(1, 40) AS n;
"""


def test_kinds_of_movements_are_known_by_their_values_whatever_the_column_is_called(empty_database_url: str) -> None:
    made(empty_database_url, TEAMS, ENTRIES.format("'top_up', 'job_charge', 'refund', 'expired'"))
    values = proposed(empty_database_url).mapping().values["transaction_type"]
    assert (values["burned"], values["refunded"], values["expired"]) == (("job_charge",), ("refund",), ("expired",))


def test_a_ledger_whose_kinds_nothing_tells_says_what_that_means(empty_database_url: str) -> None:
    made(empty_database_url, TEAMS, ENTRIES.format("'aa', 'bb', 'cc', 'dd'"))
    draft = proposed(empty_database_url).drafts["credit_transaction"]
    assert draft is not None
    assert draft.columns["type"].confidence == "low"
    assert "refunds and expirations are taken for credits given and burned" in " ".join(draft.notes)


def test_what_is_not_used_is_listed_with_what_it_could_be(empty_database_url: str) -> None:
    made(
        empty_database_url,
        TEAMS,
        """CREATE TABLE projects (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, name text);
        CREATE TABLE consumption (id int PRIMARY KEY, project_id int NOT NULL REFERENCES projects, delta int,
          booked_at timestamptz);
        CREATE TABLE api_keys (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, name text);
        CREATE TABLE render_outputs (id int PRIMARY KEY, job_id int NOT NULL REFERENCES jobs, place text);
        CREATE TABLE empty_ones (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams);
        CREATE TABLE countries (code text PRIMARY KEY, name text);
        CREATE TABLE "Session" (id int PRIMARY KEY, "sessionToken" text, team_id int REFERENCES teams);
        INSERT INTO projects VALUES (1, 1, 'P');
        INSERT INTO consumption SELECT n, 1, 2, now() FROM generate_series(1, 1234) AS n;
        INSERT INTO api_keys VALUES (1, 1, 'k');
        INSERT INTO render_outputs VALUES (1, 1, 'x');
        INSERT INTO "Session" VALUES (1, 't', 1);
        INSERT INTO countries VALUES ('de', 'Germany')""",
    )
    found = {one.relation.name: one for one in proposed(empty_database_url).unused}
    assert sorted(found) == ["api_keys", "consumption", "projects", "render_outputs"]
    ledger = found["consumption"]
    assert (ledger.rows, ledger.could_be) == (1234, ("credit_transaction",))
    assert ledger.way == "by consumption.project_id then projects.team_id"
    assert found["render_outputs"].could_be == ("image",)
    assert found["api_keys"].could_be == ()
    answered = proposed(empty_database_url, tables={"credit_transaction": "consumption"})
    assert sorted(one.relation.name for one in answered.unused) == ["api_keys", "render_outputs"]


def test_columns_that_nothing_reads_are_listed_and_those_that_may_matter_are_told_apart(
    empty_database_url: str,
) -> None:
    made(
        empty_database_url,
        TEAMS,
        """ALTER TABLE jobs ADD gpu_cost numeric, ADD billing_team_id int REFERENCES teams, ADD review_state text,
             ADD voided boolean, ADD seed int, ADD reseller_org_id int, ADD fee money, ADD deleted_at timestamptz,
             ADD removed_at timestamptz;
           ALTER TABLE teams ADD industry text;
           CREATE TABLE countries (code text PRIMARY KEY, name text, credits int)""",
    )
    deleted = {"jobs": "count"}
    proposal = proposed(empty_database_url, deleted=deleted, columns={"generation": {"tenant_id": "team_id"}})
    found = {one.relation.name: one for one in proposal.left}
    assert list(found) == ["jobs", "teams"], "wallets are read whole, and countries not at all"
    assert (found["jobs"].read_for, found["jobs"].others) == (("generation",), ("seed",))
    assert dict(found["jobs"].mattering) == {
        "gpu_cost": "an amount",
        "fee": "an amount",
        "billing_team_id": "whose a row is",
        "reseller_org_id": "whose a row is",
        "review_state": "a status",
        "voided": "a status",
        "removed_at": "whether a row counts",
    }
    assert (found["teams"].mattering, found["teams"].others) == ((), ("industry",))
    # With an answer that reads a column, it is no longer among them.
    columns = {"generation": {"tenant_id": "team_id", "credits_used": "gpu_cost"}}
    again = {one.relation.name: one for one in proposed(empty_database_url, deleted=deleted, columns=columns).left}
    assert dict(found["jobs"].mattering).keys() - dict(again["jobs"].mattering).keys() == {"gpu_cost"}
    assert "credits" in dict(again["jobs"].mattering)


def test_what_a_mapping_reads_and_what_is_left_are_all_columns_of_a_table(app_url: str) -> None:
    """Of the application that needs no mapping, as the parse tree of its mapping says."""
    proposal = proposed(app_url)
    mapping = proposal.mapping()
    read = named_columns(mapping)
    left = {(one.relation.schema, one.relation.name): one for one in proposal.left}
    for place, names in read.items():
        relation = proposal.shape.at(*place)
        assert relation is not None
        one = left.get(place)
        others = {*(one.others if one else ()), *(dict(one.mattering) if one else ())}
        assert not others & set(names)
        assert {*others, *names, *relation.key} == set(relation.by_name)
