"""A plan is found one reference from the subscription or two, with its name, its credits and its limit."""

from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from tests.queries.connect.proposed import made, proposed

PLANS: LiteralString = """
CREATE TABLE plans (id int PRIMARY KEY, name text, monthly_credits int, runs_per_day int);
INSERT INTO plans VALUES (1, 'Small', 100, 5), (2, 'Big', 900, 50)"""
USAGE: LiteralString = """
CREATE TABLE jobs (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, prompt text, model text, status text,
  credits int, created_at timestamptz NOT NULL);
CREATE TABLE usage_counters (team_id int NOT NULL REFERENCES teams, day date, used int);
INSERT INTO jobs VALUES (1, 1, 'p', 'm', 'done', 10, now()), (2, 2, 'p', 'm', 'done', 30, now());
INSERT INTO usage_counters VALUES (1, '2026-06-01', 3), (2, '2026-06-01', 4), (3, '2026-06-01', 5)"""
OWN: LiteralString = (
    "CREATE TABLE teams (id int PRIMARY KEY, name text); INSERT INTO teams VALUES (1, 'A'), (2, 'B'), (3, 'C');"
)
VERSIONS: LiteralString = """CREATE TABLE plan_versions (id int PRIMARY KEY, plan_id int NOT NULL REFERENCES plans);
INSERT INTO plan_versions VALUES (10, 1), (20, 2);"""
WAYS: dict[str, tuple[LiteralString, ...]] = {
    "subscription, plan": (
        OWN,
        """CREATE TABLE subscriptions (id int PRIMARY KEY, team_id int NOT NULL UNIQUE REFERENCES teams,
      plan_id int REFERENCES plans, status text);
    INSERT INTO subscriptions VALUES (1, 1, 1, 'active'), (2, 2, 2, 'active')""",
    ),
    "subscription, version, plan": (
        OWN,
        VERSIONS,
        """CREATE TABLE subscriptions (id int PRIMARY KEY, team_id int NOT NULL UNIQUE REFERENCES teams,
      plan_version_id int REFERENCES plan_versions, status text);
    INSERT INTO subscriptions VALUES (1, 1, 10, 'active'), (2, 2, 20, 'active')""",
    ),
    "contract of the tenant, version, plan": (
        OWN,
        VERSIONS,
        """CREATE TABLE contracts (id int PRIMARY KEY, team_id int NOT NULL UNIQUE REFERENCES teams,
      plan_version_id int REFERENCES plan_versions, renews_at timestamptz);
    INSERT INTO contracts VALUES (1, 1, 10, now()), (2, 2, 20, now())""",
    ),
    "tenant, contract, plan": (
        """CREATE TABLE contracts (id int PRIMARY KEY, plan_id int REFERENCES plans, signed date);
    INSERT INTO contracts VALUES (100, 1, now()), (200, 2, now());
    CREATE TABLE teams (id int PRIMARY KEY, name text, contract_id int REFERENCES contracts);
    INSERT INTO teams VALUES (1, 'A', 100), (2, 'B', 200), (3, 'C', NULL)""",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_plan_of_a_tenant_gives_its_name_its_credits_and_its_limit(empty_database_url: str, way: str) -> None:
    made(empty_database_url, PLANS, *WAYS[way], USAGE)
    proposal = proposed(empty_database_url)
    assert proposal.questions == ()
    tables = proposal.mapping().tables
    paid = rows(empty_database_url, tables["subscription"].select, "tenant_id, plan, credits_per_period")
    assert [one for one in paid if one[1] is not None] == [(1, "Small", 100), (2, "Big", 900)]
    # Who has no plan has no limit, and is there all the same.
    assert rows(empty_database_url, tables["usage_limit"].select, 'tenant_id, count, "limit"') == [
        (1, 3, 5),
        (2, 4, 50),
        (3, 5, None),
    ]


def test_an_allowance_or_a_price_for_a_time_is_no_limit_of_a_counter(empty_database_url: str) -> None:
    made(empty_database_url, PLANS, *WAYS["subscription, plan"], USAGE)
    made(empty_database_url, "ALTER TABLE plans RENAME runs_per_day TO credits_per_day")
    made(empty_database_url, "ALTER TABLE plans ADD price_per_month numeric")
    draft = proposed(empty_database_url).drafts["usage_limit"]
    assert draft is not None
    assert "limit" not in draft.columns


def rows(url: str, select: str | None, columns: LiteralString) -> list[tuple[object, ...]]:
    assert select is not None
    of = sql.SQL(select)  # type: ignore[arg-type]  # a text of the program's own
    with psycopg.connect(url) as connection:
        found = connection.execute(sql.SQL("SELECT {} FROM ({}) AS rows ORDER BY 1").format(sql.SQL(columns), of))
        return list(found)
