"""Closing months: what is frozen equals the rows as they were, once, in order, and stays so whatever comes later."""

import csv
import errno
import hashlib
import io
import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from dashboard.services import Services
from queries import closing, frozen_parts
from queries.balance_history import take_snapshot
from queries.catalog.rollforward import next_month
from queries.catalog.statements import statement_rows
from queries.closing import FROZEN_REPORTS, ClosedMonth, Closer, refusal
from queries.errors import ArgumentError, DatabaseError, DatabaseUnavailableError, NotFoundError, UsageDashboardError
from queries.frozen_parts import Freezer
from queries.mapping import prisma_mapping
from queries.period import local_midnight
from queries.scope import Scope
from queries.tables import STATEMENT_KINDS, STATEMENT_SUMS
from tests.conftest import DEMO_END
from tests.queries.asking import MakeServices

ALL = Scope.all_tenants()
NOW = DEMO_END + timedelta(hours=1)
APRIL, MAY, JUNE = (date(2026, month, 1) for month in (4, 5, 6))
IN_JULY = datetime(2026, 7, 2, 12, tzinfo=UTC)
KINDS = {
    "PURCHASE": "purchased",
    "GRANT": "granted",
    "REFUND": "refunded",
    "ADJUSTMENT": "adjusted",
    "CHARGE": "burned",
    "EXPIRY": "expired",
}
TAKEN = ("burned", "expired")


def closer_of(held: Services) -> Closer:
    assert held.closer is not None
    return held.closer


def close(held: Services, month: date = MAY, now: datetime = NOW, **options: Any) -> ClosedMonth:
    chosen: dict[str, Any] = {"zone": closer_of(held).zone, "by": "Ada", **options}
    return closer_of(held).close(month, now=now, **chosen)


def statement(held: Services, month: date, now: datetime = NOW, zone: str = "UTC") -> dict[str, dict[str, Any]]:
    """The rows of the statement by tenant, as a reader has them."""
    with held.database.reading(ALL, 60) as connection:
        select = statement_rows(held.database.tables(), ALL, months=(month,), zone=zone, now=now)
        return {row["tenant_id"]: dict(row) for row in connection.execute(select).mappings()}


def frozen(held: Services, month: date, report: str) -> bytes:
    return b"".join(closer_of(held).frozen(month, report))


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def post(app_url: str, tenant: str, kind: str, amount: int, at: datetime) -> None:
    with psycopg.connect(app_url) as connection:
        connection.execute(
            'INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")'
            ' VALUES (gen_random_uuid()::text, %s, %s::"CreditTransactionType", %s, %s)',
            [tenant, kind, amount, at.replace(tzinfo=None)],
        )


def movements(app_url: str) -> list[tuple[str, str, int, datetime]]:
    with psycopg.connect(app_url) as connection:
        rows = connection.execute(
            'SELECT "organizationId", type::text, amount, "createdAt" FROM "CreditTransaction"'
        ).fetchall()
    return [(tenant, kind, amount, at.replace(tzinfo=UTC)) for tenant, kind, amount, at in rows]


def ours(owner_url: str, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(owner_url) as connection:
        query = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier("usage_dashboard", table))
        return sorted(connection.execute(query).fetchall(), key=str)


def nothing_is_closed(owner_url: str) -> bool:
    return not any(ours(owner_url, one) for one in ("closed_month", "closed_statement", "closed_part", "correction"))


# ---- when a month can be closed


def closed_months(*months: date, zone: str = "UTC") -> list[ClosedMonth]:
    return [ClosedMonth(one, zone, NOW, "Ada", NOW, None, {}) for one in months]


@pytest.mark.parametrize(
    ("month", "closed", "now", "said"),
    [
        (MAY, (), NOW, ""),
        (APRIL, (), NOW, ""),
        (date(2001, 2, 1), (), NOW, ""),
        (MAY, (APRIL,), NOW, ""),
        (JUNE, (), NOW, "2026-06 is not over; close it from 2026-07-02 00:00 (UTC) on"),
        (date(2026, 7, 1), (), NOW, "2026-07 has not begun; close it from 2026-08-02 00:00 (UTC) on"),
        (MAY, (), datetime(2026, 6, 1, 23, 59, tzinfo=UTC), "2026-05 ended less than 24 h ago; close it from"),
        (MAY, (), datetime(2026, 6, 2, tzinfo=UTC), ""),
        (MAY, (MAY,), NOW, "2026-05 is closed already"),
        (APRIL, (MAY,), NOW, "2026-04 lies before 2026-05, the first month that was closed"),
        (MAY, (date(2026, 3, 1),), NOW, "2026-04 comes before 2026-05 and is not closed; close that first"),
        (date(2026, 5, 2), (), NOW, "2026-05-02 is not the first day of a month"),
        (date(1999, 5, 1), (), NOW, "1999-05-01 is not the first day of a month"),
    ],
)
def test_a_month_that_cannot_be_closed_says_why(
    month: date, closed: tuple[date, ...], now: datetime, said: str
) -> None:
    found = refusal(month, closed_months(*closed), zone="UTC", grace_h=24, now=now)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_months_are_those_of_the_zone_and_of_one_zone() -> None:
    # In Kiritimati, 14 hours ahead, May ends on 31 May at 10:00 UTC.
    ended = datetime(2026, 5, 31, 10, tzinfo=UTC)
    assert refusal(MAY, [], zone="Pacific/Kiritimati", grace_h=0, now=ended) == ""
    assert "is not over" in refusal(MAY, [], zone="Pacific/Kiritimati", grace_h=0, now=ended - timedelta(seconds=1))
    elsewhere = refusal(MAY, closed_months(APRIL, zone="Europe/Berlin"), zone="UTC", grace_h=24, now=NOW)
    assert elsewhere == (
        "the months up to 2026-04 were closed in Europe/Berlin, and this is UTC; set REPORTING_ZONE to Europe/Berlin"
        " to go on"
    )


@pytest.mark.parametrize(
    ("closed", "now", "due"),
    [
        ((), NOW, [MAY]),
        ((), datetime(2026, 6, 1, 12, tzinfo=UTC), [APRIL]),
        ((MAY,), NOW, []),
        ((APRIL,), NOW, [MAY]),
        ((APRIL,), datetime(2026, 6, 1, 12, tzinfo=UTC), []),
        ((date(2025, 11, 1),), NOW, [date(2025, 12, 1), *(date(2026, month, 1) for month in range(1, 6))]),
    ],
)
def test_due_are_the_months_after_the_last_closed_one_that_are_over(
    make_services: MakeServices,
    monkeypatch: pytest.MonkeyPatch,
    closed: tuple[date, ...],
    now: datetime,
    due: list[date],
) -> None:
    closer = closer_of(make_services())
    monkeypatch.setattr(closer, "closed", lambda: closed_months(*closed))
    assert closer.due(now) == due
    before = closed_months(*closed)
    for one in due:
        assert refusal(one, before, zone="UTC", grace_h=24, now=now) == ""
        before += closed_months(one)
    if closed:
        assert refusal(next_month(before[-1].month), before, zone="UTC", grace_h=24, now=now)


def test_without_direct_url_nothing_can_be_closed(make_services: MakeServices) -> None:
    assert make_services(direct_url=None).closer is None


# ---- what is frozen


def test_the_statement_is_frozen_as_it_was_read(make_services: MakeServices, app_url: str, owner_url: str) -> None:
    held = make_services()
    before = statement(held, MAY)
    assert {row["status"] for row in before.values()} == {"provisional"}
    told: list[str] = []
    made = close(held, progress=told.append)
    assert (made.month, made.zone, made.closed_by, made.closed_at) == (MAY, "UTC", "Ada", NOW)
    assert told[0] == "Adding up the statement"
    assert statement(held, MAY) == {key: {**row, "status": "closed"} for key, row in before.items()}
    # Each sum to date is a recount of the raw rows.
    end = local_midnight(JUNE, "UTC")
    expected: Counter[tuple[str, str]] = Counter()
    for tenant, kind, amount, at in movements(app_url):
        if at < end:
            expected[tenant, KINDS[kind]] += -amount if KINDS[kind] in TAKEN else amount
    with psycopg.connect(owner_url, row_factory=psycopg.rows.dict_row) as connection:
        rows = connection.execute("SELECT * FROM usage_dashboard.closed_statement").fetchall()
    assert {(row["tenant_id"], kind): row[f"to_date_{kind}"] for row in rows for kind in STATEMENT_KINDS} == {
        (row["tenant_id"], kind): Decimal(expected[row["tenant_id"], kind]) for row in rows for kind in STATEMENT_KINDS
    }
    assert {tenant for tenant, _ in expected} <= {row["tenant_id"] for row in rows}
    assert {row["tenant_id"] for row in rows if row["is_listed"]} == set(before)


@pytest.mark.parametrize("zone", ["UTC", "America/Havana"])
def test_the_files_hold_the_months_rows_and_their_sums(make_services: MakeServices, app_url: str, zone: str) -> None:
    held = make_services(reporting_zone=zone)
    made = close(held)
    assert tuple(made.reports) == FROZEN_REPORTS
    start, end = (local_midnight(one, zone) for one in (MAY, JUNE))
    rows = {name: lines(frozen(held, MAY, name)) for name in FROZEN_REPORTS}
    for name, one in made.reports.items():
        content = frozen(held, MAY, name)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one.bytes, one.sha256)
        assert len(rows[name]) == one.rows > 0
        for column, total in one.sums.items():
            assert Decimal(total) == sum((Decimal(row[column]) for row in rows[name] if row[column]), Decimal(0))
    posted = [one for one in movements(app_url) if start <= one[3] < end]
    assert Counter((row["tenant_id"], row["type"], int(row["amount"])) for row in rows["ledger"]) == Counter(
        one[:3] for one in posted
    )
    with psycopg.connect(app_url) as connection:
        made_at = connection.execute(
            'SELECT "organizationId", type::text, model, "createdAt" FROM "Generation"'
        ).fetchall()
    days: Counter[tuple[str, str, str, str]] = Counter()
    for tenant, type_, model, at in made_at:
        if start <= at.replace(tzinfo=UTC) < end:
            days[tenant, str(at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()), type_, model] += 1
    assert {
        (row["tenant_id"], row["date"], row["type"], row["model"]): int(row["generations"])
        for row in rows["usage-lines"]
    } == days
    shown = statement(held, MAY, zone=zone)
    assert {row["tenant_id"]: {**row, "month": str(row["month"])} for row in shown.values()} == {
        row["tenant_id"]: {
            key: Decimal(value) if key in (*STATEMENT_SUMS, "unexplained") else value for key, value in row.items()
        }
        for row in rows["credit-statement"]
    }
    assert {row["status"] for row in rows["credit-statement"]} == {"closed"}


def test_hostile_names_and_amounts_come_back_as_they_are(make_services: MakeServices, app_url: str) -> None:
    name = '=HYPERLINK("http://x"),\r\n\tname \u202e\u2028 ;--'
    with psycopg.connect(app_url) as connection:
        (tenant,) = connection.execute('SELECT min(id) FROM "Organization"').fetchall()[0]
        connection.execute('UPDATE "Organization" SET name = %s WHERE id = %s', [name, tenant])
    held = make_services()
    close(held)
    found = {row["tenant"] for row in lines(frozen(held, MAY, "credit-statement")) if row["tenant_id"] == tenant}
    assert found == {name}
    assert statement(held, MAY)[tenant]["tenant"] == name


# ---- once, in order, whole or not at all


def test_closing_twice_closes_once(make_services: MakeServices, owner_url: str) -> None:
    held = make_services()
    version = closer_of(held).version
    first = close(held)
    assert closer_of(held).version != version
    tables = ("closed_month", "closed_statement", "closed_part")
    before = [ours(owner_url, one) for one in tables]
    again = close(make_services(), by="Bo", now=NOW + timedelta(days=3))
    assert again == first == closer_of(held).of(MAY)
    assert [ours(owner_url, one) for one in tables] == before
    assert closer_of(held).closed() == [first]


def test_two_at_once_close_once(make_services: MakeServices, owner_url: str) -> None:
    held = [make_services() for _ in range(3)]
    together, made = threading.Barrier(3), list[ClosedMonth]()

    def one(services: Services, name: str) -> None:
        together.wait(30)
        made.append(close(services, by=name))

    threads = [threading.Thread(target=one, args=(each, f"P{number}")) for number, each in enumerate(held)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert made[0] == made[1] == made[2]
    assert len(ours(owner_url, "closed_month")) == 1
    assert hashlib.sha256(frozen(held[0], MAY, "ledger")).hexdigest() == made[0].reports["ledger"].sha256


def test_who_waits_too_long_for_another_closing_is_told(
    make_services: MakeServices, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "_LOCK_WAIT_S", 0.05)
    held = make_services()
    with psycopg.connect(owner_url) as other:
        other.execute("LOCK TABLE usage_dashboard.closed_month IN EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailableError, match="somebody has been closing a month"):
            close(held)
    assert close(held).month == MAY


def test_a_refused_month_leaves_nothing_behind(make_services: MakeServices, owner_url: str) -> None:
    held = make_services()
    for month, options, said in (
        (JUNE, {}, "2026-06 is not over"),
        (MAY, {"zone": "Europe/Berlin"}, "months are closed in UTC, the reporting zone; leave 'Europe/Berlin' out"),
        (MAY, {"by": " "}, "has no name"),
        (MAY, {"by": "a\x00b"}, "has no name"),
    ):
        with pytest.raises(ArgumentError, match=said):
            close(held, month, **options)  # type: ignore[arg-type]  # as parametrized
    assert nothing_is_closed(owner_url)
    assert closer_of(held).may_close(JUNE, NOW).startswith("2026-06 is not over")
    assert closer_of(held).may_close(MAY, NOW) == ""
    with pytest.raises(NotFoundError, match="2026-05 is not closed"):
        closer_of(held).frozen(MAY, "ledger")


def test_months_follow_each_other(make_services: MakeServices) -> None:
    held = make_services()
    close(held, APRIL)
    with pytest.raises(ArgumentError, match="2026-05 comes before 2026-06"):
        close(held, JUNE, IN_JULY)
    close(held, MAY)
    with pytest.raises(ArgumentError, match="2026-03 lies before 2026-04"):
        close(held, date(2026, 3, 1))
    april, may = statement(held, APRIL), statement(held, MAY)
    for tenant, row in may.items():
        assert row["opening"] == april.get(tenant, {"closing": 0})["closing"]
    with pytest.raises(ArgumentError, match="closed in UTC"):
        close(make_services(reporting_zone="Asia/Tokyo"), JUNE, IN_JULY)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_closing_that_is_cut_off_leaves_nothing_behind(
    make_services: MakeServices, owner_url: str, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    held = make_services()

    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise failure

    with monkeypatch.context() as patch:
        patch.setattr(frozen_parts.tempfile, "SpooledTemporaryFile", lambda _: Full())
        expected = UsageDashboardError if isinstance(failure, OSError) else KeyboardInterrupt
        with pytest.raises(expected) as raised:
            close(held)
    if isinstance(failure, OSError):
        assert "No space left on device" in str(raised.value)
    assert nothing_is_closed(owner_url)
    assert close(held).month == MAY


def test_a_clock_that_went_back_closes_nothing(make_services: MakeServices, app_url: str, owner_url: str) -> None:
    held = make_services()
    take_snapshot(held.database.owner, prisma_mapping(), zone="UTC", now=NOW)  # type: ignore[arg-type]  # it has one
    with pytest.raises(ArgumentError, match="balances was taken at 2026-06-15 11:30:00 UTC; set the clock"):
        close(held, now=NOW - timedelta(minutes=2))
    assert "set the clock" in closer_of(held).may_close(MAY, NOW - timedelta(minutes=2))
    with psycopg.connect(app_url) as connection:
        (tenant,) = connection.execute('SELECT min(id) FROM "Organization"').fetchall()[0]
    post(app_url, tenant, "GRANT", 5, NOW + timedelta(hours=1))
    with pytest.raises(ArgumentError, match="credit movement was posted at 2026-06-15 12:30:00 UTC; set the clock"):
        close(held, now=NOW + timedelta(minutes=58))
    # A movement that is dated after the database's own clock says nothing of the time.
    post(app_url, tenant, "GRANT", 5, datetime.now(UTC) + timedelta(days=400))
    assert nothing_is_closed(owner_url)
    close(held, APRIL, now=NOW + timedelta(hours=1))
    with pytest.raises(ArgumentError, match="a month was closed at 2026-06-15 12:30:00 UTC"):
        close(held, MAY, now=NOW + timedelta(minutes=58))
    with pytest.raises(ArgumentError, match="the database's says"):
        close(held, MAY, now=datetime.now(UTC) + timedelta(minutes=5))


# ---- what comes later


def test_late_rows_leave_the_closed_month_alone_and_are_written_down(
    make_services: MakeServices, app_url: str, owner_url: str
) -> None:
    held = make_services()
    close(held)
    shown, june = statement(held, MAY), statement(held, JUNE)
    files = {name: frozen(held, MAY, name) for name in FROZEN_REPORTS}
    tenant = min(shown)
    post(app_url, tenant, "PURCHASE", 70, datetime(2026, 5, 20, tzinfo=UTC))
    post(app_url, tenant, "CHARGE", -7, datetime(2026, 4, 20, tzinfo=UTC))
    with psycopg.connect(app_url) as connection:
        connection.execute('UPDATE "CreditBalance" SET balance = balance + 63 WHERE "organizationId" = %s', [tenant])
        connection.execute('UPDATE "Organization" SET name = %s WHERE id = %s', ["Renamed", tenant])
    assert {name: frozen(held, MAY, name) for name in FROZEN_REPORTS} == files
    assert statement(held, MAY) == shown
    now = statement(held, JUNE)
    assert now[tenant]["opening"] == june[tenant]["opening"] == shown[tenant]["closing"]
    assert now[tenant]["purchased"] == june[tenant]["purchased"] + 70
    assert now[tenant]["burned"] == june[tenant]["burned"] + 7
    assert now[tenant]["closing"] == june[tenant]["closing"] + 63
    # Found by the day's snapshot, once; what comes after it by the closing of June.
    take_snapshot(held.database.owner, prisma_mapping(), zone="UTC", now=NOW)  # type: ignore[arg-type]  # it has one
    tomorrow = NOW + timedelta(days=1)
    take_snapshot(held.database.owner, prisma_mapping(), zone="UTC", now=tomorrow)  # type: ignore[arg-type]  # it has one
    first = [(tenant, MAY, "UTC", "burned", Decimal(7), NOW), (tenant, MAY, "UTC", "purchased", Decimal(70), NOW)]
    assert [row[1:] for row in ours(owner_url, "correction")] == first
    post(app_url, tenant, "PURCHASE", -20, datetime(2026, 5, 21, tzinfo=UTC))
    close(held, JUNE, IN_JULY)
    second = (tenant, MAY, "UTC", "purchased", Decimal(-20), IN_JULY)
    assert [row[1:] for row in ours(owner_url, "correction")] == [*first, second]
    assert statement(held, JUNE, IN_JULY)[tenant]["purchased"] == june[tenant]["purchased"] + 50
    take_snapshot(held.database.owner, prisma_mapping(), zone="UTC", now=IN_JULY)  # type: ignore[arg-type]  # it has one
    assert len(ours(owner_url, "correction")) == 3


# ---- parts


@pytest.fixture
def owner(make_services: MakeServices) -> sa.Engine:
    engine = make_services().database.owner
    assert engine is not None
    return engine


def test_parts_are_bounded_and_give_the_same_bytes_however_they_were_cut(owner: sa.Engine, owner_url: str) -> None:
    chance = random.Random(5)
    content = chance.randbytes(5 * 2**20) + b"the same line\n" * 400_000 + b"end"
    with owner.begin() as connection, Freezer() as freezer:
        at = 0
        while at < len(content):
            size = chance.choice((1, 77, 2**16, 2**21))
            freezer.add(content[at : at + size])
            at += size
        kept = freezer.keep(connection, MAY, "ledger")
    sizes = [len(row[3]) for row in ours(owner_url, "closed_part")]
    assert len(sizes) == kept.parts > 4
    assert max(sizes) <= frozen_parts.PART_BYTES
    assert (kept.bytes, kept.sha256) == (len(content), hashlib.sha256(content).hexdigest())

    def pieces() -> Iterator[bytes]:
        def row(select: sa.Select[Any]) -> Any:
            with owner.connect() as reading:
                return reading.execute(select).one_or_none()

        return frozen_parts.pieces(row, MAY, "ledger", kept)

    found = list(pieces())
    assert b"".join(found) == content
    assert max(map(len, found)) <= 2**18


def test_any_bytes_come_back(owner: sa.Engine) -> None:
    chance = random.Random(6)
    contents: list[list[bytes]] = [[], [b""], [b"", b"x"]]
    contents += [[chance.randbytes(chance.randrange(300)) for _ in range(chance.randrange(20))] for _ in range(40)]
    for pieces in contents:
        with owner.connect() as connection, Freezer() as freezer:
            for one in pieces:
                freezer.add(one)
            kept = freezer.keep(connection, MAY, "ledger")
            found = frozen_parts.pieces(lambda select: connection.execute(select).one(), MAY, "ledger", kept)
            assert b"".join(found) == b"".join(pieces)
            assert kept.parts == (1 if any(pieces) else 0)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE usage_dashboard.closed_part SET gzip = overlay(gzip PLACING '\\x00'::bytea FROM 40)",
        "DELETE FROM usage_dashboard.closed_part",
        "UPDATE usage_dashboard.closed_month"
        " SET reports = jsonb_set(reports::jsonb, '{ledger,sha256}', to_jsonb(repeat('0', 64)))::json",
    ],
)
def test_what_is_damaged_is_not_given_out_as_whole(make_services: MakeServices, owner_url: str, damage: str) -> None:
    held = make_services()
    close(held)
    with psycopg.connect(owner_url) as connection:
        connection.execute(damage)
    with pytest.raises(DatabaseError, match="the frozen ledger of 2026-05 is not what its checksum says"):
        frozen(held, MAY, "ledger")


def test_a_report_that_is_not_frozen_is_refused_before_the_first_byte(make_services: MakeServices) -> None:
    held = make_services()
    close(held)
    with pytest.raises(NotFoundError, match="'generations' is not frozen"):
        closer_of(held).frozen(MAY, "generations")


def test_a_database_that_is_lost_in_the_middle_closes_nothing(
    make_services: MakeServices, owner_url: str, superuser_url: str
) -> None:
    held = make_services()

    def lose(sentence: str) -> None:
        if sentence.startswith("Freezing: ledger"):
            with psycopg.connect(superuser_url) as connection:
                ended = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND usename = 'usage_dashboard_owner' AND state = 'idle in transaction'"
                ).fetchall()
            assert ended == [(True,)]

    with pytest.raises(DatabaseError):
        close(held, progress=lose)
    assert nothing_is_closed(owner_url)
    assert close(held).month == MAY
