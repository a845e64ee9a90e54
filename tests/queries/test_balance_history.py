"""Snapshots of all balances: one a day of a zone, by whoever comes first, and never changed."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from queries import balance_history
from queries.balance_history import SnapshotTaker, Taken, take_snapshot
from queries.mapping import prisma_mapping
from queries.scope import Scope
from queries.tables import default_history
from tests.conftest import DEMO_END
from tests.queries.asking import MakeServices

NOW = DEMO_END + timedelta(hours=1)


def taken_by(held: Any, zone: str = "UTC", now: datetime | None = NOW) -> Taken | None:
    return take_snapshot(held.database.owner, prisma_mapping(), zone=zone, now=now)


def rows_of(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT tenant_id, zone, day, taken_at, balance, ledger FROM usage_dashboard.balance_snapshot"
            " ORDER BY 1, 2, 3"
        ).fetchall()


def test_it_holds_every_balance_and_the_sum_of_all_movements(
    make_services: MakeServices, owner_url: str, app_url: str
) -> None:
    with psycopg.connect(app_url) as connection:
        tenants = [one for (one,) in connection.execute('SELECT id FROM "Organization" ORDER BY id').fetchall()]
        bare, silent = tenants[0], tenants[1]
        connection.execute('DELETE FROM "CreditBalance" WHERE "organizationId" = %s', [bare])
        connection.execute('DELETE FROM "CreditTransaction" WHERE "organizationId" = %s', [silent])
        balances = dict(connection.execute('SELECT "organizationId", balance FROM "CreditBalance"').fetchall())
        movements = connection.execute('SELECT "organizationId", amount FROM "CreditTransaction"').fetchall()
    taken = taken_by(make_services())
    assert taken == Taken(date(2026, 6, 15), "UTC", NOW, len(tenants))
    expected = [
        (
            tenant,
            "UTC",
            date(2026, 6, 15),
            NOW,
            None if tenant not in balances else Decimal(balances[tenant]),
            Decimal(sum(amount for one, amount in movements if one == tenant)),
        )
        for tenant in tenants
    ]
    assert rows_of(owner_url) == expected
    assert expected[0][4] is None
    assert expected[1][5] == 0


def test_a_day_of_a_zone_has_one_snapshot_and_it_is_never_changed(
    make_services: MakeServices, owner_url: str, app_url: str
) -> None:
    held = make_services()
    late = datetime(2026, 6, 15, 23, 30, tzinfo=UTC)
    assert taken_by(held, now=late) is not None
    before = rows_of(owner_url)
    with psycopg.connect(app_url) as connection:
        connection.execute('UPDATE "CreditBalance" SET balance = balance + 1')
    assert taken_by(held, now=late + timedelta(minutes=29)) is None
    assert rows_of(owner_url) == before
    following = taken_by(held, now=late + timedelta(minutes=31))
    assert following is not None
    assert following.day == date(2026, 6, 16)
    # In another zone it is another day, which has none.
    elsewhere = taken_by(held, "Pacific/Kiritimati", late)
    assert elsewhere is not None
    assert elsewhere.day == date(2026, 6, 16)
    rows = rows_of(owner_url)
    assert len(rows) == 3 * len(before)
    assert [one for one in rows if one[1:3] == ("UTC", date(2026, 6, 15))] == before


def test_of_several_at_once_one_takes_it(make_services: MakeServices, owner_url: str) -> None:
    held = make_services()
    with psycopg.connect(owner_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('usage_dashboard.balance_snapshot'))")
        assert taken_by(held) is None
    found: list[Taken | None] = []
    together = threading.Barrier(3)

    def take() -> None:
        together.wait(30)
        found.append(taken_by(held))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(one is not None for one in found) == 1
    assert len({row[3] for row in rows_of(owner_url)}) == 1


def test_the_databases_clock_names_the_day(make_services: MakeServices, owner_url: str) -> None:
    assert taken_by(make_services(), now=None) is not None
    with psycopg.connect(owner_url) as connection:
        (told,) = connection.execute(
            "SELECT bool_and(day = (taken_at AT TIME ZONE 'UTC')::date AND taken_at BETWEEN now() - interval '1 hour'"
            " AND now()) FROM usage_dashboard.balance_snapshot"
        ).fetchall()
    assert told == (True,)


def test_readers_see_their_tenants_through_the_wall_and_write_nothing(
    make_services: MakeServices, reader_url: str
) -> None:
    held = make_services()
    taken = taken_by(held)
    assert taken is not None
    tables = held.database.tables()
    assert tables.history is not None
    snapshots = tables.history.balance_snapshot
    with held.database.reading(Scope.all_tenants(), 20) as connection:
        everybody = set(connection.scalars(snapshots.select().with_only_columns(snapshots.c.tenant_id)))
    one = min(everybody)
    with held.database.reading(Scope.of([one]), 20) as connection:
        seen = set(connection.scalars(snapshots.select().with_only_columns(snapshots.c.tenant_id)))
    assert (len(everybody), seen) == (taken.tenants, {one})
    with psycopg.connect(reader_url, autocommit=True) as connection:
        for refused in (
            "SELECT 1 FROM usage_dashboard.balance_snapshot",
            "DELETE FROM usage_dashboard.our_balance_snapshot",
            "SELECT 1 FROM usage_dashboard.closed_part",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)
        for name in ("our_balance_snapshot", "our_closed_statement"):
            query = f"SELECT count(*) FROM usage_dashboard.{name}"  # noqa: S608 - names of ours
            assert connection.execute(query).fetchone() == (0,)


def test_there_is_no_history_where_the_migration_has_not_run(make_services: MakeServices, owner_url: str) -> None:
    held = make_services()
    assert held.database.tables().history is not None
    with psycopg.connect(owner_url) as connection:
        connection.execute("DROP VIEW usage_dashboard.our_closed_statement")
    held.database.look_again()
    assert held.database.tables().history is None
    assert default_history().closed_month.name == "closed_month"


def test_the_servers_thread_takes_it_by_itself(
    make_services: MakeServices, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = threading.Event()

    def take(*arguments: Any, **options: Any) -> Taken | None:
        taken = take_snapshot(*arguments, **options)
        if taken is not None:
            there.set()
        return taken

    monkeypatch.setattr(balance_history, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(balance_history, "take_snapshot", take)
    held = make_services()
    assert held.database.owner is not None
    taker = SnapshotTaker(held.database.owner, held.database.mapping, zone="Asia/Kathmandu")
    taker.start()
    try:
        assert there.wait(60)
    finally:
        taker.stop()
    assert {row[1] for row in rows_of(owner_url)} == {"Asia/Kathmandu"}


@pytest.mark.parametrize(
    ("zone", "now", "seconds"),
    [
        ("UTC", datetime(2026, 6, 15, 23, 59, 50, tzinfo=UTC), 11),
        ("UTC", datetime(2026, 6, 15, tzinfo=UTC), 86_401),
        # The clocks go forward: the day has 23 hours.
        ("Europe/Berlin", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), 23 * 3600 + 1),
        ("Asia/Kathmandu", datetime(2026, 6, 15, 18, 0, tzinfo=UTC), 15 * 60 + 1),
    ],
)
def test_the_next_look_is_right_after_the_zones_midnight(zone: str, now: datetime, seconds: int) -> None:
    assert balance_history._until_midnight_s(now, zone) == seconds
