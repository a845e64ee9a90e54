"""What a credit statement should say, reckoned over plain movements: bound by bound, and by its definition."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from queries.database import ALL_TENANTS, TENANTS_SETTING
from queries.tables import (
    CLOSED_MONTH_COLUMNS,
    CLOSED_STATEMENT_COLUMNS,
    CORRECTION_COLUMNS,
    OUR_SCHEMA,
    STATEMENT_KINDS,
)
from tests.queries.catalog.world import Movement, Tenant

TYPES = {
    "purchased": "PURCHASE",
    "granted": "GRANT",
    "refunded": "REFUND",
    "adjusted": "ADJUSTMENT",
    "burned": "CHARGE",
    "expired": "EXPIRY",
}
SHOWN_SIGN = {kind: -1 if kind in ("burned", "expired") else 1 for kind in TYPES}
FIGURES = ("opening", *STATEMENT_KINDS, "closing", "unexplained")


@dataclass(frozen=True)
class Seen:
    """A balance that was written down, with the sum of the ledger at that moment."""

    tenant: str
    taken_at: datetime
    balance: int | None
    ledger: Any


@dataclass(frozen=True)
class ClosedOne:
    """A closed month: its rows by tenant, and what was posted up to its end as it was known, by tenant and kind."""

    month: date
    rows: dict[str, dict[str, Any]]
    to_date: dict[str, dict[str, Any]]


@dataclass
class Book:
    """Everything that is known at one moment."""

    tenants: Sequence[Tenant]
    movements: Sequence[Movement]
    zone: str
    now: datetime
    seen: Sequence[Seen] = ()
    closed: list[ClosedOne] = field(default_factory=list)
    # What was written down of corrections: tenant, the last closed month, kind, credits, when.
    corrections: list[tuple[str, date, str, Any, datetime]] = field(default_factory=list)

    def start(self, month: date) -> datetime:
        return start_of(self.zone, month)

    def end(self, month: date) -> datetime:
        return min(self.start(following(month)), self.now)

    def ledger(self, tenant: str, before: datetime, kind: str | None = None) -> Any:
        """The sum of the movements before a moment, as it is shown."""
        sign = 1 if kind is None else SHOWN_SIGN[kind]
        own = (one for one in self.movements if str(one.tenant) == tenant and one.posted_at < before)
        return sign * sum(one.amount for one in own if kind is None or one.type == TYPES[kind])

    def difference(self, tenant: str, bound: datetime) -> Any:
        """Balance less ledger at a bound, or at the latest one before it at which it is known."""
        if bound == self.now:
            whole = sum(one.amount for one in self.movements if str(one.tenant) == tenant)
            posted = next(one.balance for one in self.tenants if str(one.id) == tenant)
            if posted is not None:
                return posted - whole
        known: tuple[datetime, datetime, Any] | None = None
        for one in self.seen:
            local = one.taken_at.astimezone(ZoneInfo(self.zone)).date()
            at = self.start(local.replace(day=1))
            is_near = one.taken_at - at <= timedelta(hours=36)
            if one.tenant != tenant or one.balance is None or not is_near or at > bound or at >= self.now:
                continue
            if known is None or at > known[0] or (at == known[0] and one.taken_at < known[1]):
                known = (at, one.taken_at, one.balance - one.ledger)
        return known[2] if known is not None else 0

    def row(self, tenant: str, month: date) -> dict[str, Any] | None:
        """One row of the statement; None where the tenant is left out."""
        frozen = next((one for one in self.closed if one.month == month), None)
        if frozen is not None:
            return frozen.rows.get(tenant)
        start, end = self.start(month), self.end(month)
        kinds = {one: self.ledger(tenant, end, one) - self.ledger(tenant, start, one) for one in STATEMENT_KINDS}
        opening = self.ledger(tenant, start) + self.difference(tenant, start)
        closing = self.ledger(tenant, end) + self.difference(tenant, end)
        if self.closed and month == following(self.closed[-1].month):
            last = self.closed[-1]
            opening = last.rows[tenant]["closing"] if tenant in last.rows else 0
            late = {one: self.ledger(tenant, start, one) - last.to_date[tenant][one] for one in STATEMENT_KINDS}
            kinds = {one: kinds[one] + late[one] for one in STATEMENT_KINDS}
        elif self.closed and following(month) == self.closed[0].month:
            first = self.closed[0]
            own = first.rows.get(tenant)
            closing = own["opening"] if own is not None else 0
            known = {one: first.to_date[tenant][one] - (own[one] if own else 0) for one in STATEMENT_KINDS}
            kinds = {one: known[one] - self.ledger(tenant, start, one) for one in STATEMENT_KINDS}
        explained = sum(SHOWN_SIGN[one] * kinds[one] for one in STATEMENT_KINDS)
        figures = {"opening": opening, **kinds, "closing": closing, "unexplained": closing - opening - explained}
        has_moved = any(str(one.tenant) == tenant and one.posted_at < end for one in self.movements)
        return {**figures, "status": "provisional"} if has_moved or any(figures.values()) else None

    def rows(self, months: Sequence[date]) -> dict[tuple[str, date], dict[str, Any]]:
        found = {(str(one.id), month): self.row(str(one.id), month) for one in self.tenants for month in months}
        return {key: row for key, row in found.items() if row is not None}

    def known(self, tenant: str, month: date, kind: str) -> Any:
        """What closings knew to be posted before this month, which is closed or the one after; as it is shown."""
        first = self.closed[0]
        if month == first.month:
            own = first.rows.get(tenant)
            return first.to_date[tenant][kind] - (own[kind] if own is not None else 0)
        return next(one for one in self.closed if following(one.month) == month).to_date[tenant][kind]

    def late(self, tenant: str, month: date, kind: str) -> Any:
        """What was posted before this month and stands in no statement of a month before it; as it is shown."""
        if not self.closed or not self.closed[0].month <= month <= following(self.closed[-1].month):
            return 0
        return self.ledger(tenant, self.start(month), kind) - self.known(tenant, month, kind)

    def freeze(self, month: date) -> ClosedOne:
        """The month as it is now; it is not closed by that."""
        rows = {str(one.id): self.row(str(one.id), month) for one in self.tenants}
        ids = [str(one.id) for one in self.tenants]
        to_date = {one: {kind: self.ledger(one, self.end(month), kind) for kind in STATEMENT_KINDS} for one in ids}
        closed = {one: {**row, "status": "closed"} for one, row in rows.items() if row is not None}
        return ClosedOne(month, closed, to_date)


def start_of(zone: str, month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def preceding(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def write_down(connection: sa.Connection, book: Book) -> None:
    """The balances that were seen and the closed months, for the transaction's own eyes; all tenants may be read."""
    connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, ALL_TENANTS, True)))
    snapshot = _table("balance_snapshot", ("tenant_id", "zone", "day", "taken_at", "balance", "ledger"))
    for number, one in enumerate(book.seen):
        day = date(2000, 1, 1) + timedelta(days=number)  # some zone's day: what counts is the moment
        connection.execute(
            sa.insert(snapshot).values(
                tenant_id=one.tenant, zone="UTC", day=day, taken_at=one.taken_at, balance=one.balance, ledger=one.ledger
            )
        )
    for one in book.closed:
        _write_closed(connection, book, one)
    correction = _table("correction", tuple(CORRECTION_COLUMNS)[1:])
    for tenant, month, kind, credits, found_at in book.corrections:
        values = {"tenant_id": tenant, "month": month, "zone": book.zone, "kind": kind, "credits": credits}
        connection.execute(sa.insert(correction).values(**values, found_at=found_at))


def _write_closed(connection: sa.Connection, book: Book, one: ClosedOne) -> None:
    closed_at = book.start(following(one.month)) + timedelta(days=2)
    month, row = _table("closed_month", tuple(CLOSED_MONTH_COLUMNS)), _table("closed_statement", _STATEMENT)
    common = {"month": one.month, "zone": book.zone, "closed_at": closed_at}
    connection.execute(sa.insert(month).values(**common, closed_by="a test", as_of=closed_at, reports={}))
    for tenant in book.tenants:
        key = str(tenant.id)
        own = one.rows.get(key)
        to_date = {f"to_date_{kind}": value for kind, value in one.to_date[key].items()}
        figures = {name: own[name] if own is not None else 0 for name in FIGURES}
        named = {"tenant_id": key, "tenant": tenant.name, "is_listed": own is not None}
        connection.execute(sa.insert(row).values(**named, **common, **figures, **to_date))


_STATEMENT = tuple(CLOSED_STATEMENT_COLUMNS)
_TYPES: dict[str, Any] = {**CLOSED_MONTH_COLUMNS, **CLOSED_STATEMENT_COLUMNS, **CORRECTION_COLUMNS}


def _table(name: str, columns: Sequence[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(one, _TYPES.get(one)) for one in columns), schema=OUR_SCHEMA)
