"""Times of subscriptions that cannot be those of the billing period that runs now are warned of, with what helps."""

import re
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from queries.mapping import load_mapping
from tests.queries.connect.proposed import made, proposed
from tests.running import ROOT

TABLES: LiteralString = """
CREATE TABLE teams (id int PRIMARY KEY, name text);
CREATE TABLE jobs (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, prompt text, model text, status text,
  credits int, created_at timestamptz NOT NULL);
CREATE TABLE subscriptions (id serial PRIMARY KEY, team_id int NOT NULL REFERENCES teams, plan text, status text,
  started_at timestamptz, ends_at timestamptz);
INSERT INTO teams SELECT n, 'Team ' || n FROM generate_series(1, 4) AS n"""
NEW_JOBS: LiteralString = "INSERT INTO jobs SELECT n, n, 'p', 'm', 'done', 1, now() FROM generate_series(1, 4) AS n"
OLD_JOBS: LiteralString = """
INSERT INTO jobs SELECT n, n, 'p', 'm', 'done', 1, now() - interval '1 year' FROM generate_series(1, 4) AS n"""
OPEN_CONTRACTS: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', 'active', now() - interval '3 years', NULL FROM teams"""
LONG_CONTRACTS: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', 'active', now() - interval '2 years', now() + interval '1 year' FROM teams"""
ENDED: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', 'active', now() - interval '60 days', now() - interval '30 days' FROM teams"""
ENDED_AND_CANCELLED: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', CASE WHEN id = 1 THEN 'active' ELSE 'canceled' END, now() - interval '60 days',
  now() + CASE WHEN id = 1 THEN interval '1 day' ELSE interval '-30 days' END FROM teams"""
EACH_MONTH: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', 'active', now() - n * interval '30 days' - interval '5 days',
  now() - n * interval '30 days' + interval '25 days' FROM teams, generate_series(0, 11) AS n"""
A_YEAR_AGO: LiteralString = """
INSERT INTO subscriptions (team_id, plan, status, started_at, ends_at)
SELECT id, 'pro', 'active', now() - interval '1 year 5 days', now() - interval '1 year -25 days' FROM teams"""


@pytest.mark.parametrize(
    ("jobs", "rows", "said"),
    [
        (NEW_JOBS, OPEN_CONTRACTS, "most are begun long ago, without an end"),
        (NEW_JOBS, LONG_CONTRACTS, "most are shorter than a day or longer than 400 days"),
        (NEW_JOBS, ENDED, "most have ended"),
        (NEW_JOBS, ENDED_AND_CANCELLED, ""),
        (NEW_JOBS, EACH_MONTH, ""),
        (OLD_JOBS, A_YEAR_AGO, ""),
        (NEW_JOBS, A_YEAR_AGO, "most have ended"),
    ],
)
def test_what_cannot_be_the_period_that_runs_now_is_warned_of(
    empty_database_url: str, jobs: LiteralString, rows: LiteralString, said: str
) -> None:
    made(empty_database_url, TABLES, jobs, rows)
    draft = proposed(empty_database_url).drafts["subscription"]
    assert draft is not None
    start, end = draft.columns["period_start"], draft.columns["period_end"]
    assert start.reason.endswith("must be when the billing period that runs now began")
    assert end.reason.endswith("must be when the billing period that runs now ends")
    if not said:
        assert draft.notes == []
        return
    assert (start.confidence, end.confidence) == ("low", "low")
    (note,) = draft.notes
    assert note.startswith('period_start ("started_at") and period_end ("ends_at") of subscriptions cannot be those of')
    assert f": {said}, so pacing" in note
    assert 'answer [columns.subscription] period_start = "" and period_end = ""' in note
    without = {"subscription": {"period_start": "", "period_end": ""}}
    left = proposed(empty_database_url, columns=without).drafts["subscription"]
    assert left is not None
    assert left.notes == []


def test_the_documented_select_gives_the_month_that_runs_now(empty_database_url: str, tmp_path: Path) -> None:
    made(empty_database_url, TABLES, NEW_JOBS, OPEN_CONTRACTS)
    text = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
    found = re.search(r"```toml\n(\[tables\.subscription\].*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "usage-dashboard.toml"
    path.write_text(found[1], encoding="utf-8")
    select = load_mapping(path).tables["subscription"].select
    assert select is not None
    with psycopg.connect(empty_database_url) as connection:
        statement = sql.SQL("SELECT period_start <= now() AND now() < period_end FROM ({}) AS rows").format(
            sql.SQL(select)  # type: ignore[arg-type]  # a text of the program's own documents
        )
        assert connection.execute(statement).fetchall() == [(True,)] * 4
