"""Refreshing through the owner's engine: one at a time, whole or not at all; and pages that do without."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from typer.testing import CliRunner

from dashboard.cli import app
from queries import refresh as refreshing
from queries.aggregates import NAMES
from queries.catalog import usage
from queries.database import driver_url
from queries.errors import MappingError
from queries.mapping import prisma_mapping
from queries.period import Period
from queries.query import Result
from queries.refresh import Refresher, refresh
from queries.runner import Context
from queries.scope import Scope
from tests.conftest import DEMO_END
from tests.queries.asking import MakeServices

ALL = Scope.all_tenants()
NOW = DEMO_END + timedelta(hours=1)


def counts(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [counted(connection, one) for one in NAMES]


def counted(connection: psycopg.Connection[Any], name: str) -> int:
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("usage_dashboard", name)))
    row = found.fetchone()
    return int(row[0]) if row is not None else -1


def test_answers_come_from_the_aggregates_and_without_them_from_the_rows(
    make_services: MakeServices, owner_url: str
) -> None:
    held = make_services()
    assert held.database.owner is not None

    def totals(days: int, *, anew: bool = False) -> Result:
        asked = usage.totals(ALL, period=Period.last_days(days, zone="UTC", now=NOW))
        return held.runner.run(asked, Context(ALL, refresh=anew))

    rows = totals(28)
    assert "our_usage_day" not in rows.sql
    done = refresh(held.database.owner, prisma_mapping(), NOW)
    assert done is not None
    assert done.until == datetime(2026, 6, 14, tzinfo=UTC)
    held.database.look_again()
    summed = held.runner.run(
        usage.totals(ALL, period=Period.last_days(28, zone="UTC", now=NOW)), Context(ALL, refresh=True)
    )
    assert "our_usage_day" in summed.sql
    assert summed.frame.equals(rows.frame)
    # Nobody refreshed them for half a day.
    with psycopg.connect(owner_url) as connection:
        connection.execute("UPDATE usage_dashboard.aggregate_state SET refreshed_at = now() - interval '12 hours'")
    held.database.look_again()
    assert held.database.tables().aggregates is None
    assert refresh(held.database.owner, prisma_mapping(), NOW) is not None
    held.database.look_again()
    assert held.database.tables().aggregates is not None
    # Dropped while the process runs: the statement that was made for them is made anew.
    with psycopg.connect(owner_url) as connection:
        for name in NAMES:
            connection.execute(f"DROP TABLE usage_dashboard.{name} CASCADE")
    alone = totals(27)
    assert "our_usage_day" not in alone.sql
    assert refresh(held.database.owner, prisma_mapping(), NOW) is not None
    held.database.look_again()
    again = totals(27, anew=True)
    assert "our_usage_day" in again.sql
    assert again.frame.equals(alone.frame)


def test_a_refresh_that_is_cut_off_leaves_what_was_there(
    make_services: MakeServices, owner_url: str, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_services().database.owner
    assert engine is not None
    refresh(engine, prisma_mapping(), NOW)
    before = counts(owner_url)
    with psycopg.connect(app_url) as connection:
        connection.execute('DELETE FROM "CreditTransaction" WHERE "createdAt" < %s', [NOW - timedelta(days=40)])

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refreshing.sa, "insert", cut_off)
        with pytest.raises(KeyboardInterrupt):
            refresh(engine, prisma_mapping(), NOW, compare_all=True)
    assert counts(owner_url) == before
    done = refresh(engine, prisma_mapping(), NOW, compare_all=True)
    assert done is not None
    assert done.removed_rows > 0
    assert counts(owner_url) != before


def test_one_refresh_at_a_time(make_services: MakeServices, owner_url: str) -> None:
    engine = make_services().database.owner
    assert engine is not None
    with psycopg.connect(owner_url) as other:
        other.execute("LOCK TABLE usage_dashboard.aggregate_state IN EXCLUSIVE MODE")
        assert refresh(engine, prisma_mapping(), NOW) is None
    assert refresh(engine, prisma_mapping(), NOW) is not None


def test_the_reader_role_reads_the_walls_and_not_the_aggregates(make_services: MakeServices, reader_url: str) -> None:
    engine = make_services().database.owner
    assert engine is not None
    refresh(engine, prisma_mapping(), NOW)
    with psycopg.connect(reader_url, autocommit=True) as connection:
        for name in NAMES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                counted(connection, name)
            assert counted(connection, f"our_{name}") == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM usage_dashboard.aggregate_state")


def test_the_servers_thread_refreshes_by_itself(make_services: MakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_FIRST_AFTER_S", 0.0)
    held = make_services()
    assert held.database.owner is not None
    assert held.database.tables().aggregates is None
    there = threading.Event()
    refresher = Refresher(held.database.owner, held.database.mapping, every_s=60, refreshed=there.set)
    refresher.start()
    try:
        assert there.wait(60)
    finally:
        refresher.stop()
    held.database.look_again()
    assert held.database.tables().aggregates is not None


def test_the_command_refreshes_and_says_what_it_did(owner_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRECT_URL", owner_url)
    done = CliRunner().invoke(app, ["refresh"])
    assert done.exit_code == 0
    assert "rows added" in done.output
    again = CliRunner().invoke(app, ["refresh"])
    assert "0 rows added, 0 removed" in " ".join(again.output.split())
    rebuilt = CliRunner().invoke(app, ["refresh", "--rebuild"])
    assert ": 0 rows" not in rebuilt.output


def test_walls_of_an_older_release_are_put_up_anew_and_the_sums_stay(owner_url: str, reader_url: str) -> None:
    engine = sa.create_engine(driver_url(owner_url), poolclass=sa.NullPool)
    refresh(engine, prisma_mapping(), NOW)
    with psycopg.connect(owner_url) as owner:
        # One that shows nobody anything, as another release may have built it.
        owner.execute("CREATE OR REPLACE VIEW usage_dashboard.our_usage_day AS SELECT * FROM usage_dashboard.usage_day")
        owner.execute("COMMENT ON VIEW usage_dashboard.our_usage_day IS 'usage-dashboard wall 1, columns'")
    again = refresh(engine, prisma_mapping(), NOW)
    assert again is not None
    assert (again.added_rows, again.removed_rows) == (0, 0)
    with psycopg.connect(reader_url) as reader:
        assert counted(reader, "our_usage_day") == 0
        reader.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
        assert counted(reader, "our_usage_day") > 0


def test_a_schema_of_an_older_release_is_said_with_what_mends_it(owner_url: str) -> None:
    engine = sa.create_engine(driver_url(owner_url), poolclass=sa.NullPool)
    with psycopg.connect(owner_url) as owner:
        owner.execute("DROP FUNCTION usage_dashboard.planned_tenants() CASCADE")
    with pytest.raises(MappingError, match=r"older than this program; run `python -m dashboard migrate`"):
        refresh(engine, prisma_mapping(), NOW)
