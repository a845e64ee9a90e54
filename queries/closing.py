"""Closing a month: its statement, usage lines and ledger are frozen as they are, all in one snapshot.

A closed month never changes. Movements that are posted into it afterwards are corrections of the first open month
(queries/catalog/statements.py), and its files are given out again from what was frozen, byte for byte. Months are
closed in the reporting zone and in their order; whoever closes one that is closed already finds it so.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from queries import frozen_parts
from queries.balance_history import SNAPSHOT
from queries.catalog.rollforward import month_before, next_month
from queries.catalog.statements import statement_rows
from queries.corrections import HOLD_CORRECTIONS, sums_to_date, write_corrections
from queries.database import ALL_TENANTS, TENANTS_SETTING
from queries.errors import ArgumentError, DatabaseUnavailableError, NotFoundError, translated
from queries.exports import copying
from queries.exports.reports import Order
from queries.frozen_parts import Freezer, Kept
from queries.mapping import Mapping as Names
from queries.period import EARLIEST, LATEST, local_date, local_midnight, zone_info
from queries.scope import Scope, is_storable
from queries.tables import (
    CLOSED_MONTH_COLUMNS,
    CLOSED_STATEMENT_COLUMNS,
    OUR_SCHEMA,
    STATEMENT_KINDS,
    STATEMENT_SUMS,
    AwareTime,
    Tables,
    aware,
    comparable,
    default_history,
    reflected_tables,
)

log = logging.getLogger(__name__)

FROZEN_REPORTS = ("credit-statement", "usage-lines", "ledger")
# A clock that differs by less is taken for the same.
CLOCK_TOLERANCE = timedelta(minutes=1)
_LOCK_WAIT_S = 60.0
_ALL = Scope.all_tenants()

_MONTH = sa.table(
    "closed_month", *(sa.column(name, type_) for name, type_ in CLOSED_MONTH_COLUMNS.items()), schema=OUR_SCHEMA
)
_STATEMENT = sa.table(
    "closed_statement", *(sa.column(name, type_) for name, type_ in CLOSED_STATEMENT_COLUMNS.items()), schema=OUR_SCHEMA
)


@dataclass(frozen=True, slots=True)
class FrozenReport:
    """One report of a closed month: what its canonical file holds, the exact sums as text."""

    schema_version: int
    rows: int
    sums: Mapping[str, str]
    bytes: int
    parts: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A month (its first day) of a zone that was closed: when, by whom, and what was frozen. `as_of` is the time of
    the snapshot by the database's clock, `last_posted_at` that of the newest movement then."""

    month: date
    zone: str
    closed_at: datetime
    closed_by: str
    as_of: datetime
    last_posted_at: datetime | None
    reports: Mapping[str, FrozenReport]


def refusal(month: date, closed: Sequence[ClosedMonth], *, zone: str, grace_h: float, now: datetime) -> str:
    """Why this month cannot be closed now, as a lower-case fact and what to do; empty when it can. `closed` are the
    months that are closed, in their order."""
    named = f"{month:%Y-%m}"
    if month.day != 1 or not EARLIEST <= month < LATEST:
        return f"{month} is not the first day of a month between {EARLIEST} and {LATEST}; choose a month"
    if closed and closed[-1].zone != zone:
        return (
            f"the months up to {closed[-1].month:%Y-%m} were closed in {closed[-1].zone}, and this is {zone};"
            f" set REPORTING_ZONE to {closed[-1].zone} to go on"
        )
    if any(one.month == month for one in closed):
        return f"{named} is closed already; fetch its files from the register of exports"
    start, end = local_midnight(month, zone), local_midnight(next_month(month), zone)
    ready = end + timedelta(hours=grace_h)
    if now < ready:
        state = "has not begun" if now < start else "is not over" if now < end else f"ended less than {grace_h:g} h ago"
        shown = ready.astimezone(zone_info(zone))
        return f"{named} {state}; close it from {shown:%Y-%m-%d %H:%M} ({zone}) on"
    if closed and month < closed[0].month:
        return f"{named} lies before {closed[0].month:%Y-%m}, the first month that was closed; it stays provisional"
    if closed and month != (expected := next_month(closed[-1].month)):
        return f"{expected:%Y-%m} comes before {named} and is not closed; close that first"
    return ""


class Closer:
    """Closes months of the reporting zone through the owner's engine. Safe to share between threads."""

    def __init__(
        self, engine: sa.Engine, names: Names, *, zone: str, grace_h: float = 24.0, timeout_s: float = 600.0
    ) -> None:
        """A month can be closed `grace_h` hours after its end. Each statement may take `timeout_s`."""
        self._engine, self._names, self._timeout_s = engine, names, timeout_s
        self.zone, self.grace_h = zone, grace_h
        self._process, self._closings = secrets.token_hex(4), itertools.count(1)
        self.version = f"{self._process}-0"
        """Part of the question for statements: after a closing in this process no older answer is taken for the new
        one."""

    def closed(self) -> list[ClosedMonth]:
        """The closed months, in their order."""
        with self._transaction() as connection:
            return _closed(connection)

    def of(self, month: date) -> ClosedMonth:
        """One closed month; NotFoundError when it is not closed."""
        found = next((one for one in self.closed() if one.month == month), None)
        if found is None:
            raise NotFoundError(f"{month:%Y-%m} is not closed; close it first, or take the provisional file")
        return found

    def may_close(self, month: date, now: datetime) -> str:
        """Why this month cannot be closed now, in words; empty when it can."""
        with self._transaction() as connection:
            closed = _closed(connection)
            refused = refusal(month, closed, zone=self.zone, grace_h=self.grace_h, now=now)
            return refused or _clock_refusal(connection, None, self.zone, now)

    def due(self, now: datetime) -> list[date]:
        """The months that can be closed now, in their order; of none closed yet only the last one that is over, for
        where to begin is for people to say."""
        closed = self.closed()
        ready = local_date(now - timedelta(hours=self.grace_h), self.zone).replace(day=1)
        months = [] if closed else [month_before(ready)]
        while closed and (month := next_month(months[-1] if months else closed[-1].month)) < ready:
            months.append(month)
        return months

    def close(
        self,
        month: date,
        *,
        zone: str,
        by: str,
        now: datetime,
        progress: Callable[[str], None] = lambda _: None,
    ) -> ClosedMonth:
        """Freeze the month; what was frozen before, when it is closed already. ArgumentError for a month that cannot
        be closed now. `progress` is told what is being done, in a few words."""
        _check(zone == self.zone, f"months are closed in {self.zone}, the reporting zone; leave {zone[:40]!r} out")
        _check(bool(by.strip()) and is_storable(by), "whoever closes has no name that can be kept; give one")
        with self._transaction(isolation_level="REPEATABLE READ") as connection:
            # Before the snapshot is taken, which a query would do: the last one's work must be part of it.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(_LOCK_WAIT_S * 1000)}")
            connection.exec_driver_sql(f"LOCK TABLE {OUR_SCHEMA}.closed_month IN EXCLUSIVE MODE")
            connection.exec_driver_sql(HOLD_CORRECTIONS)
            as_of = connection.scalars(sa.select(sa.func.statement_timestamp())).one()  # this takes the snapshot
            closed = _closed(connection)
            found = next((one for one in closed if one.month == month), None)
            if found is not None:
                return found
            self._begin(connection)
            tables = replace(
                reflected_tables(connection, self._names, walled=False), aggregates=None, history=default_history()
            )
            refused = refusal(month, closed, zone=zone, grace_h=self.grace_h, now=now)
            refused = refused or _clock_refusal(connection, tables, zone, now)
            _check(not refused, refused)
            made = ClosedMonth(month, zone, now, by.strip(), as_of, connection.scalar(_last_posted(tables)), {})
            made = self._freeze(connection, tables, made, progress)
        self.version = f"{self._process}-{next(self._closings)}"
        log.info("%s (%s) closed by %s", f"{month:%Y-%m}", zone, by)
        return made

    def frozen(self, month: date, report: str) -> Iterator[bytes]:
        """The canonical bytes of a report of a closed month, each part held to its checksum. NotFoundError, before the
        first byte, when there is none."""
        found = self.of(month).reports.get(report)
        if found is None:
            raise NotFoundError(f"the report {report[:40]!r} is not frozen with a month; choose another report")
        kept = Kept(found.bytes, found.parts, found.sha256)
        return frozen_parts.pieces(self._row, month, report, kept)

    def _freeze(
        self, connection: sa.Connection, tables: Tables, made: ClosedMonth, progress: Callable[[str], None]
    ) -> ClosedMonth:
        """Write the statement's rows, then the files as they read with them: closed."""
        month, now = made.month, made.closed_at
        progress("Adding up the statement")
        # The statement takes them in, and from now on they belong to this month.
        write_corrections(connection, tables, self.zone, now)
        _freeze_statement(connection, tables, month, self.zone, now)
        connection.execute(sa.insert(_MONTH).values(**asdict(made)))
        reports = {}
        for name in FROZEN_REPORTS:
            order = Order.of_month(name, month, scope=_ALL, zone=self.zone, now=now, dialect="plain", guarded=False)
            progress(f"Freezing: {order.what.title.lower()}")
            with Freezer() as freezer:
                counts = copying.freeze(_psycopg(connection), tables, order, freezer.add, timeout_s=self._timeout_s)
                kept = freezer.keep(connection, month, name)
            reports[name] = FrozenReport(order.what.schema_version, counts.rows, dict(counts.sums), **asdict(kept))
        plain = {name: asdict(one) for name, one in reports.items()}
        connection.execute(sa.update(_MONTH).where(_MONTH.c.month == month).values(reports=plain))
        return replace(made, reports=reports)

    def _row(self, select: sa.Select[Any]) -> sa.Row[Any] | None:
        # A connection for each part: a slow reader must not hold one of the few.
        with self._transaction() as connection:
            return connection.execute(select).one_or_none()

    def _begin(self, connection: sa.Connection) -> None:
        settings = {"TimeZone": "UTC", TENANTS_SETTING: ALL_TENANTS}
        settings["statement_timeout"] = str(int(self._timeout_s * 1000))
        connection.execute(sa.select(*(sa.func.set_config(key, value, True) for key, value in settings.items())))

    @contextmanager
    def _transaction(self, *, isolation_level: str = "READ COMMITTED") -> Iterator[sa.Connection]:
        try:
            with self._engine.execution_options(isolation_level=isolation_level).begin() as connection:
                yield connection
        except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
            if isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
                raise DatabaseUnavailableError(
                    f"somebody has been closing a month for more than {_LOCK_WAIT_S:g} s; look again in a few minutes"
                ) from error
            raise translated(error, timeout_s=self._timeout_s) from error


def _check(is_accepted: bool, otherwise: str) -> None:
    if not is_accepted:
        raise ArgumentError(otherwise)


def _closed(connection: sa.Connection) -> list[ClosedMonth]:
    rows = connection.execute(sa.select(*_MONTH.c).order_by(_MONTH.c.month)).mappings()
    return [
        ClosedMonth(**{**one, "reports": {name: FrozenReport(**kept) for name, kept in one["reports"].items()}})
        for one in rows
    ]


def _clock_refusal(connection: sa.Connection, tables: Tables | None, zone: str, now: datetime) -> str:
    """Why `now` cannot be the time: something we know of happened after it, or the database does not know it yet."""
    snapshots = sa.select(sa.func.max(SNAPSHOT.c.taken_at)).where(
        SNAPSHOT.c.zone == zone,
        SNAPSHOT.c.day == sa.select(sa.func.max(SNAPSHOT.c.day)).where(SNAPSHOT.c.zone == zone).scalar_subquery(),
    )
    closings = sa.select(sa.func.max(sa.func.greatest(_MONTH.c.closed_at, _MONTH.c.last_posted_at)))
    known = {"the newest snapshot of balances was taken": snapshots, "a month was closed": closings}
    if tables is not None:
        known["the newest credit movement was posted"] = _last_posted(tables)
    for what, newest in known.items():
        at = connection.scalar(newest)
        if at is not None and now < at - CLOCK_TOLERANCE:
            return _other_clock(now, f"{what} at {_shown(at)}")
    at = connection.scalars(sa.select(sa.func.clock_timestamp())).one()
    if now > at + CLOCK_TOLERANCE:
        return _other_clock(now, f"the database's says {_shown(at)}")
    return ""


def _other_clock(now: datetime, but: str) -> str:
    return f"this machine's clock says {_shown(now)}, but {but}; set the clock, then close the month"


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _last_posted(tables: Tables) -> sa.Select[Any]:
    """The time of the newest movement; one that is dated after the database's clock tells nothing of the time."""
    posted = tables.credit_transaction.c.created_at
    by_now = posted <= comparable(sa.func.now(type_=AwareTime()), posted)
    return sa.select(aware(sa.type_coerce(sa.func.max(posted), posted.type))).where(by_now)


def _freeze_statement(connection: sa.Connection, tables: Tables, month: date, zone: str, now: datetime) -> None:
    """A row per tenant of the statement, and per other tenant with movements: both with their sums to date."""
    rows = statement_rows(tables, _ALL, months=(month,), zone=zone, now=now).subquery("rows")
    sums = sums_to_date(tables, local_midnight(next_month(month), zone)).subquery("sums")
    shown, kept = (*STATEMENT_SUMS, "unexplained"), [f"to_date_{one}" for one in STATEMENT_KINDS]
    values = {
        "tenant_id": sa.func.coalesce(rows.c.tenant_id, sums.c.tenant_id),
        "month": sa.literal(month, sa.Date()),
        "zone": sa.literal(zone, sa.Text()),
        "tenant": rows.c.tenant,
        "is_listed": rows.c.tenant_id.is_not(None),
        **{one: sa.func.coalesce(rows.c[one], 0) for one in shown},
        **{one: sa.func.coalesce(sums.c[one], 0) for one in kept},
        "closed_at": sa.literal(now, AwareTime()),
    }
    both = rows.join(sums, rows.c.tenant_id == sums.c.tenant_id, full=True)
    frozen = sa.select(*(value.label(name) for name, value in values.items())).select_from(both)
    frozen = frozen.where(values["tenant_id"].is_not(None))  # rows of no tenant are in nobody's statement
    connection.execute(sa.insert(_STATEMENT).from_select(list(values), frozen))


def _psycopg(connection: sa.Connection) -> psycopg.Connection[Any]:
    driven = connection.connection.driver_connection
    assert isinstance(driven, psycopg.Connection), "the engine was made for psycopg"
    return driven
