"""A stretch of time in two parts: what our aggregates hold of it, and what is read from the rows.

The aggregates know whole hours or days of UTC of the time before `Aggregates.until`. A unit that a bound of the
question cuts (a local midnight within a day of UTC, the start of a period), and everything from `until` on, comes from
the rows. Both parts stand in one statement, and so in one snapshot; together they are the stretch, and no row is in
both. Where there are no aggregates, or the bounds would cut too many units, the rows are all of it: a question by the
local hour or day in a zone of half or quarter hours, for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.bins import binned, bins_are_hours
from queries.catalog.sums import counted, summed, summed_again
from queries.period import Period
from queries.scope import Scope
from queries.tables import Aggregates, Tables, aware, between, error_text, facts, instant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# So many units that bounds cut are read from the rows beside the aggregates; with more, the rows are read at once.
MOST_CUT = 8
STATUSES = ("succeeded", "failed", "cancelled", "unfinished")
MEASURES = ("generations", *STATUSES, "burned_credits")
_STATUS = "generation_status"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Parts:
    """`[start, end)`: the spans that are read from the rows, and the units of the aggregate that make up the rest."""

    spans: tuple[Span, ...]
    first: datetime
    last: datetime
    cut: tuple[datetime, ...]

    @property
    def is_summed(self) -> bool:
        """Whether the aggregate has a part in it."""
        return self.first < self.last

    def of_rows(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether a row is to be read itself, by its time."""
        return sa.or_(*(between(column, *span) for span in self.spans))

    def of_sums(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether an hour or a day of the aggregate has a part, by its start."""
        inside = between(column, self.first, self.last)
        return sa.and_(inside, column.not_in([instant(column, one) for one in self.cut])) if self.cut else inside


def parts(start: datetime, end: datetime, bounds: Iterable[datetime], unit: timedelta, until: datetime) -> Parts:
    """The parts of `[start, end)` such that no unit of the summed one holds a bound in its middle."""
    rows_only = Parts(((start, end),), start, start, ())
    first, last = -_floored(-_since(start), unit), min(_floored(_since(end), unit), _floored(_since(until), unit))
    if first >= last:
        return rows_only
    cuts = {floor for one in bounds if first <= (floor := _floored(_since(one), unit)) < last and floor != _since(one)}
    if len(cuts) > MOST_CUT:
        return rows_only
    cut = tuple(_EPOCH + one for one in sorted(cuts))
    low, high = _EPOCH + first, _EPOCH + last
    spans = ((start, low), *((one, one + unit) for one in cut), (high, end))
    return Parts(tuple(one for one in spans if one[0] < one[1]), low, high, cut)


def parts_of(
    tables: Tables, start: datetime, end: datetime, bounds: Iterable[datetime], unit: timedelta
) -> tuple[Parts, Aggregates | None]:
    """The parts of `[start, end)` for these tables, and the aggregates where they have one of them."""
    if tables.aggregates is None:
        return Parts(((start, end),), start, start, ()), None
    found = parts(start, end, bounds, unit, tables.aggregates.until)
    return found, tables.aggregates if found.is_summed else None


def put_together(*selects: sa.Select[Any] | None) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """The rows of the parts that there are."""
    there = [one for one in selects if one is not None]
    return there[0] if len(there) == 1 else sa.union_all(*there)


def usage_measures(tables: Tables) -> list[sa.Label[Any]]:
    """Counts by terminal status, and the gross burn at the time of the request."""
    rows = facts(tables)
    return [
        counted().label("generations"),
        *(counted(tables.has(rows.c.status, _STATUS, one)).label(one) for one in STATUSES),
        summed(rows.c.credits_used).label("burned_credits"),
    ]


def usage_by_bin(
    tables: Tables, scope: Scope, period: Period, measures: Sequence[str] = MEASURES, *, by_tenant: bool = False
) -> sa.CTE:
    """bin (its start, aware) and these measures of usage, also by tenant_id: one row per bin, or two where the
    aggregates end."""
    rows = facts(tables)
    found, sums = _parts_by_bin(tables, period)
    of_rows = of_sums = None
    if found.spans:
        fine = binned(rows.c.created_at, period)
        known = {one.name: one for one in usage_measures(tables)}
        keys = [rows.c.tenant_id] if by_tenant else []
        of_rows = (
            sa.select(aware(fine).label("bin"), *keys, *(known[one] for one in measures))
            .where(scope.predicate(rows.c.tenant_id), found.of_rows(rows.c.created_at))
            .group_by(fine, *keys)
        )
    if sums is not None:
        table = sums.usage_hour
        keys = [table.c.tenant_id] if by_tenant else []
        of_sums = (
            sa.select(table.c.hour.label("bin"), *keys, *(_again(tables, table, one) for one in measures))
            .where(scope.predicate(table.c.tenant_id), found.of_sums(table.c.hour))
            .group_by(table.c.hour, *keys)
        )
    return put_together(of_rows, of_sums).cte("by_bin")


def failures_by_bin(tables: Tables, scope: Scope, period: Period) -> sa.CTE:
    """bin (its start, aware), error (the beginning of its text), failed: a row per bin and error, or two where the
    aggregates end."""
    rows = facts(tables)
    found, sums = _parts_by_bin(tables, period)
    of_rows = of_sums = None
    if found.spans:
        fine, error = binned(rows.c.created_at, period), error_text(tables)
        of_rows = (
            sa.select(aware(fine).label("bin"), error.label("error"), counted().label("failed"))
            .where(
                scope.predicate(rows.c.tenant_id),
                found.of_rows(rows.c.created_at),
                tables.has(rows.c.status, _STATUS, "failed"),
            )
            .group_by(fine, error)
        )
    if sums is not None:
        table = sums.failure_hour
        of_sums = (
            sa.select(table.c.hour.label("bin"), table.c.error, summed_again(table.c.failed).label("failed"))
            .where(scope.predicate(table.c.tenant_id), found.of_sums(table.c.hour))
            .group_by(table.c.hour, table.c.error)
        )
    return put_together(of_rows, of_sums).cte("by_bin")


def _parts_by_bin(tables: Tables, period: Period) -> tuple[Parts, Aggregates | None]:
    """The parts of a period of which an answer by its bins is made: sums by the hour serve bins of whole hours."""
    if bins_are_hours(period):
        return parts_of(tables, period.start, period.until, (), HOUR)
    return Parts(((period.start, period.until),), period.start, period.start, ()), None


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of time told apart by the number of their bounds that a moment has passed."""

    bounds: tuple[datetime, ...]

    @classmethod
    def between(cls, bounds: Iterable[datetime]) -> Windows:
        """Between these moments, in whatever order and however often they come."""
        return cls(tuple(sorted(set(bounds))))

    def number(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The number of the window in which the column lies, from 1. For many rows this is a third cheaper than a
        comparison for each window."""
        moments = [instant(column, one) for one in self.bounds]
        array = sa.bindparam("bounds", moments, type_=postgresql.ARRAY(column.type), unique=True)
        return sa.func.width_bucket(column, array, type_=sa.Integer)

    def inside(self, start: datetime, end: datetime) -> list[int]:
        """The numbers of the windows that make up `[start, end)`, which are bounds."""
        return [number for number, one in enumerate(self.bounds, start=1) if start <= one < end]


def usage_by_user(
    tables: Tables,
    scope: Scope,
    windows: Windows,
    narrowed: Callable[[sa.ColumnElement[Any], sa.Select[Any]], sa.Select[Any]] = lambda _, rows: rows,
) -> sa.CTE:
    """key (tenant), user_key, status, window, generations, newest_at (aware) of all between the first and the last
    bound; a user may have several rows of one kind. By status as it is, which the reader tells apart among the few rows
    that are left: comparing each row costs a quarter more."""
    rows = facts(tables)
    created, start, end = rows.c.created_at, windows.bounds[0], windows.bounds[-1]
    found, sums = parts_of(tables, start, end, windows.bounds, DAY)
    of_rows = of_sums = None
    if found.spans:
        window = windows.number(created)
        status = sa.cast(rows.c.status, sa.Text) if sums is not None else rows.c.status
        of_rows = narrowed(
            rows.c.tenant_id,
            sa.select(
                rows.c.tenant_id.label("key"),
                rows.c.user_id.label("user_key"),
                status.label("status"),
                window.label("window"),
                counted().label("generations"),
                aware(sa.func.max(created)).label("newest_at"),
            )
            .where(scope.predicate(rows.c.tenant_id), found.of_rows(created))
            .group_by(rows.c.tenant_id, rows.c.user_id, rows.c.status, window),
        )
    if sums is not None:
        table = sums.usage_day
        window = windows.number(table.c.day)
        of_sums = narrowed(
            table.c.tenant_id,
            sa.select(
                table.c.tenant_id.label("key"),
                table.c.user_id.label("user_key"),
                table.c.status,
                window.label("window"),
                summed_again(table.c.generations).label("generations"),
                sa.func.max(table.c.newest_at).label("newest_at"),
            )
            .where(scope.predicate(table.c.tenant_id), found.of_sums(table.c.day))
            .group_by(table.c.tenant_id, table.c.user_id, table.c.status, window),
        )
    return put_together(of_rows, of_sums).cte("by_window")


def moved_by_type(
    tables: Tables,
    scope: Scope,
    windows: Windows,
    narrowed: Callable[[sa.ColumnElement[Any], sa.Select[Any]], sa.Select[Any]] = lambda _, rows: rows,
    *,
    name: str = "moved",
) -> sa.CTE:
    """key (tenant), window, type (the ledger's own), credits, movements of the ledger between the first and the last
    bound; a tenant may have two rows of one kind. One sum for each row, and the kinds are told apart over a few
    thousand sums."""
    ledger = tables.credit_transaction
    posted, start, end = ledger.c.created_at, windows.bounds[0], windows.bounds[-1]
    found, sums = parts_of(tables, start, end, windows.bounds, HOUR)
    of_rows = of_sums = None
    if found.spans:
        window = windows.number(posted)
        type_ = sa.cast(ledger.c.type, sa.Text) if sums is not None else ledger.c.type
        of_rows = narrowed(
            ledger.c.tenant_id,
            sa.select(
                ledger.c.tenant_id.label("key"),
                window.label("window"),
                type_.label("type"),
                summed(ledger.c.amount).label("credits"),
                counted().label("movements"),
            )
            .where(scope.predicate(ledger.c.tenant_id), found.of_rows(posted))
            .group_by(ledger.c.tenant_id, window, ledger.c.type),
        )
    if sums is not None:
        table = sums.ledger_hour
        window = windows.number(table.c.hour)
        of_sums = narrowed(
            table.c.tenant_id,
            sa.select(
                table.c.tenant_id.label("key"),
                window.label("window"),
                table.c.type,
                summed_again(table.c.credits).label("credits"),
                summed_again(table.c.movements).label("movements"),
            )
            .where(scope.predicate(table.c.tenant_id), found.of_sums(table.c.hour))
            .group_by(table.c.tenant_id, window, table.c.type),
        )
    return put_together(of_rows, of_sums).cte(name)


def burned(tables: Tables, moved: sa.CTE, *kinds: str, window: Sequence[int] | None = None) -> sa.ColumnElement[Any]:
    """What was taken by these kinds of movements, in these windows; refunds count against it."""
    return summed_again(-moved.c.credits, _of_kind(tables, moved, kinds, window))


def given(tables: Tables, moved: sa.CTE, *kinds: str, window: Sequence[int] | None = None) -> sa.ColumnElement[Any]:
    """What was given by these kinds of movements, in these windows."""
    return summed_again(moved.c.credits, _of_kind(tables, moved, kinds, window))


def _of_kind(
    tables: Tables, moved: sa.CTE, kinds: Sequence[str], window: Sequence[int] | None
) -> sa.ColumnElement[bool]:
    is_kind = tables.has(moved.c.type, "transaction_type", *kinds)
    return is_kind if window is None else sa.and_(is_kind, moved.c.window.in_(window))


def _again(tables: Tables, sums: sa.Table, measure: str) -> sa.Label[Any]:
    """A measure of usage, from sums by status."""
    column = sums.c.credits if measure == "burned_credits" else sums.c.generations
    is_status = None if measure in ("generations", "burned_credits") else tables.has(sums.c.status, _STATUS, measure)
    return summed_again(column, is_status).label(measure)


def _since(moment: datetime) -> timedelta:
    return moment - _EPOCH


def _floored(span: timedelta, unit: timedelta) -> timedelta:
    return span // unit * unit
