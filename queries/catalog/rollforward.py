"""The credit roll-forward: what each tenant had at the bounds of months, kind by kind, and what lies between.

Everything is a sum up to a bound: a month's movements are the sums at its end less those at its start, so months chain
and add up whatever happens between two questions. Where a month was closed, the sums at its bounds are those that were
frozen with it; what was posted later with an older date then falls to the first open month.

The difference between balance and ledger is one more kind. It is known where a balance was written down soon after a
month began (`History`), and now; a change of it counts in the month before the bound at which it was seen first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.parts import MOST_CUT, Windows, moved_by_type, put_together
from queries.catalog.sums import Column, exact, summed_again, text
from queries.errors import ArgumentError
from queries.period import EARLIEST, local_date, local_midnight, zone_info
from queries.scope import Scope
from queries.tables import STATEMENT_KINDS, AwareTime, History, Tables

MOST_MONTHS = 240
# How long after a bound a balance still counts as the one at the bound.
LATEST_SNAPSHOT = timedelta(hours=36)
KINDS = STATEMENT_KINDS
# Kinds that are shown as positive numbers although they are negative amounts.
TAKEN = ("burned", "expired")
UNEXPLAINED = "unexplained"
ALL = (*KINDS, UNEXPLAINED)
PROVISIONAL, CLOSED = "provisional", "closed"
_EVER, _NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_INSTANT, _STEP = timedelta(microseconds=1), 2


def next_month(month: date) -> date:
    """The first day of the month after."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    """The first day of the month before."""
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


@dataclass(frozen=True)
class Months:
    """Months of a zone, given by their first days, as of `now`; ArgumentError unless each has begun."""

    firsts: tuple[date, ...]
    zone: str
    now: datetime

    def __post_init__(self) -> None:
        zone_info(self.zone)
        if not 1 <= len(set(self.firsts)) <= MOST_MONTHS:
            raise ArgumentError(
                f"a statement of {len(self.firsts):,} months is not possible; choose 1 to {MOST_MONTHS}"
            )
        for one in self.firsts:
            if one.day != 1 or not 2000 <= one.year < 2100:
                raise ArgumentError(f"{one} is not the first day of a month; give a month as 2026-10-01")
            if self.start(one) > self.now:
                raise ArgumentError(
                    f"{one:%B %Y} has not begun in {self.zone}; choose a month up to {self.running:%B %Y}"
                )

    @property
    def running(self) -> date:
        """The month of `now`."""
        return local_date(self.now, self.zone).replace(day=1)

    @property
    def ordered(self) -> tuple[date, ...]:
        """Each once, in order."""
        return tuple(sorted(set(self.firsts)))

    def start(self, month: date) -> datetime:
        """Its first instant."""
        return local_midnight(month, self.zone)

    def end(self, month: date) -> datetime:
        """Its end, or `now` while it runs."""
        return min(local_midnight(next_month(month), self.zone), self.now)

    @cached_property
    def bounds(self) -> tuple[datetime, ...]:
        """The first instants of all months of the zone before `now`."""
        found, month = [], EARLIEST
        while (at := self.start(month)) < self.now:
            found.append(at)
            month = next_month(month)
        return tuple(found)

    @cached_property
    def windows(self) -> Windows:
        """All time, cut at the months' bounds: each month is one window."""
        bounds = {one for month in self.firsts for one in (self.start(month), self.end(month))}
        return Windows.between((_EVER, *bounds, _NEVER))

    def window(self, month: date) -> int:
        """The number of its window. They are counted in twos: at the very first instant of a month, there is no window
        that is its own, and it comes after the one before."""
        number = self.windows.bounds.index(self.end(month))
        return _STEP * number + (1 if self.start(month) == self.now else 0)

    def spans(self) -> sa.CTE:
        """month, window: one row per month."""
        columns = (
            sa.bindparam("months", list(self.ordered), type_=postgresql.ARRAY(sa.Date()), unique=True),
            sa.bindparam(
                "windows", [self.window(one) for one in self.ordered], type_=postgresql.ARRAY(sa.Integer()), unique=True
            ),
        )
        kinds = (sa.column("month", sa.Date()), sa.column("window", sa.Integer()))
        unnested = sa.func.unnest(*columns).table_valued(*kinds, name="span").render_derived()
        return sa.select(unnested.c.month, unnested.c.window).cte("spans")


def sums_at_bounds(tables: Tables, scope: Scope, months: Months) -> sa.CTE:
    """tenant_id (text), month, movements (posted before the month's end), and for each kind and for unexplained, with
    the ledger's signs, its sum up to the month's start (`_before`) and end (`_after`). Every tenant with a movement or
    a difference has every month."""
    spans = months.spans()
    by_window = _by_window(tables, scope, months, _posted(tables, scope, months), spans)
    kind = credits_type(tables)

    def up_to(column: Column) -> Column:
        return sa.func.sum(column).over(partition_by=by_window.c.key, order_by=by_window.c.window)

    running: list[Column] = []
    for one in ALL:
        whole = up_to(by_window.c[one])
        running.append(sa.cast(whole - by_window.c[one], kind).label(f"{one}_before"))
        running.append(sa.cast(whole, kind).label(f"{one}_after"))
    movements = sa.cast(up_to(by_window.c.movements), sa.BigInteger()).label("movements")
    cumulated = sa.select(by_window.c.key, by_window.c.window, movements, *running).cte("cumulated")
    figures = [one for one in cumulated.c if one.key not in ("key", "window")]
    return (
        sa.select(cumulated.c.key.label("tenant_id"), spans.c.month, *figures)
        .select_from(cumulated.join(spans, spans.c.window == cumulated.c.window))
        .cte("at_bounds")
    )


def credits_type(tables: Tables) -> sa.types.TypeEngine[Any]:
    """The type of a sum of credits: of the ledger and of the balance."""
    types = [exact(one) for one in (tables.credit_transaction.c.amount, tables.credit_balance.c.balance)]
    return next((one for one in types if isinstance(one, sa.Numeric)), types[0])


def _posted(tables: Tables, scope: Scope, months: Months) -> sa.CTE:
    """key (text), window, type, credits, movements of the whole ledger.

    Aggregates know of a movement with an old date only after their next comparison with the rows. Where their sum is
    not the balance, which moves with each movement, the rows of the tenant are read instead."""
    moved = _moved(tables, scope, months, _pieces(tables, months.windows), name="moved")
    # A ledger that is derived from generations is never the balance.
    if tables.aggregates is None or tables.mapping.derives_ledger:
        return moved.cte("posted")
    summed, balance = moved.cte("summed"), tables.credit_balance
    key, whole = text(balance.c.tenant_id), _whole(summed).cte("summed_whole")
    off = (
        sa.select(balance.c.tenant_id, key.label("key"))
        .select_from(balance.outerjoin(whole, whole.c.key == key))
        .where(scope.predicate(balance.c.tenant_id), balance.c.balance != sa.func.coalesce(whole.c.credits, 0))
        .cte("off_balance")
    )
    ids = sa.func.array(sa.select(off.c.tenant_id).scalar_subquery())
    rows = _moved(
        replace(tables, aggregates=None),
        scope,
        months,
        [months.windows],
        name="reread",
        narrowed=lambda column, select: select.where(column == sa.any_(ids)),
    )
    agreeing = sa.select(*summed.c).where(summed.c.key.not_in(sa.select(off.c.key)))
    return sa.union_all(agreeing, rows).cte("posted")


def _moved(
    tables: Tables,
    scope: Scope,
    months: Months,
    pieces: Sequence[Windows],
    *,
    name: str,
    narrowed: Callable[[Column, sa.Select[Any]], sa.Select[Any]] = lambda _, rows: rows,
) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    selects = []
    for number, windows in enumerate(pieces):
        moved = moved_by_type(tables, scope, windows, narrowed, name=f"{name}_{number}")
        before = months.windows.bounds.index(windows.bounds[0])
        selects.append(
            sa.select(
                text(moved.c.key).label("key"),
                (_STEP * (moved.c.window + before)).label("window"),
                text(moved.c.type).label("type"),
                moved.c.credits,
                moved.c.movements,
            )
        )
    return put_together(*selects)


def _whole(posted: sa.CTE) -> sa.Select[Any]:
    """key, credits: all that was ever posted."""
    return sa.select(posted.c.key, summed_again(posted.c.credits).label("credits")).group_by(posted.c.key)


def _pieces(tables: Tables, windows: Windows) -> list[Windows]:
    """The windows in as few pieces as the aggregates can be read for: in a zone of half hours each bound cuts an hour,
    and beyond a number of them all rows would be read."""
    cutting = sum(1 for one in windows.bounds if one.timestamp() % 3600)
    size = MOST_CUT if tables.aggregates is not None and cutting > MOST_CUT else len(windows.bounds)
    return [Windows(windows.bounds[at : at + size + 1]) for at in range(0, len(windows.bounds) - 1, size)]


def _by_window(tables: Tables, scope: Scope, months: Months, posted: sa.CTE, spans: sa.CTE) -> sa.CTE:
    """key, window, the kinds and unexplained of each window that has any, and of each that is a month, movements."""
    kind = credits_type(tables)
    nothing: Sequence[Column] = [sa.cast(0, kind).label(one) for one in ALL]
    known = tables.has(posted.c.type, "transaction_type", *KINDS)
    of_kinds = [
        sa.cast(summed_again(posted.c.credits, tables.has(posted.c.type, "transaction_type", one)), kind).label(one)
        for one in KINDS
    ]
    # A movement of a kind that the mapping does not know is part of no kind, and so nobody explained it.
    unknown = sa.cast(summed_again(posted.c.credits, sa.func.coalesce(~known, sa.true())), kind).label(UNEXPLAINED)
    of_ledger = sa.select(
        posted.c.key, posted.c.window, *of_kinds, unknown, summed_again(posted.c.movements).label("movements")
    ).group_by(posted.c.key, posted.c.window)
    changed = _difference_changes(tables, scope, months, posted)
    of_changes = sa.select(
        changed.c.key,
        changed.c.window,
        *nothing[:-1],
        changed.c.credits.label(UNEXPLAINED),
        sa.cast(0, sa.BigInteger()),
    )
    keys = sa.union(sa.select(posted.c.key), sa.select(changed.c.key)).cte("keys")
    of_months = sa.select(keys.c.key, spans.c.window, *nothing, sa.cast(0, sa.BigInteger())).select_from(
        keys.join(spans, sa.true())
    )
    all_ = sa.union_all(of_ledger, of_changes, of_months).cte("amounts")
    return (
        sa.select(
            all_.c.key,
            all_.c.window,
            *(sa.cast(sa.func.sum(all_.c[one]), kind).label(one) for one in ALL),
            sa.cast(sa.func.sum(all_.c.movements), sa.BigInteger()).label("movements"),
        )
        .group_by(all_.c.key, all_.c.window)
        .cte("by_window")
    )


def _difference_changes(tables: Tables, scope: Scope, months: Months, posted: sa.CTE) -> sa.CTE:
    """key, window, credits: how the difference between balance and ledger changed from one bound at which it is known
    to the next; before the first it counts as 0. Changes of 0 are left out."""
    seen = _differences(tables, scope, months, posted)
    before = sa.func.lag(seen.c.credits, 1, sa.cast(0, seen.c.credits.type)).over(
        partition_by=seen.c.key, order_by=seen.c.at
    )
    # What is seen at a bound belongs to the month before it.
    just_before = sa.type_coerce(seen.c.at - sa.literal(_INSTANT, sa.Interval()), AwareTime())
    changes = sa.select(
        seen.c.key,
        (_STEP * months.windows.number(just_before)).label("window"),
        sa.type_coerce(seen.c.credits - before, seen.c.credits.type).label("credits"),
    ).cte("changes")
    return sa.select(*changes.c).where(changes.c.credits != 0).cte("changed")


def _differences(tables: Tables, scope: Scope, months: Months, posted: sa.CTE) -> sa.CTE:
    """key, at, credits: balance less ledger, at each bound of months of the zone at which it is known, and now."""
    kind = credits_type(tables)
    known = [_differences_now(tables, scope, months, posted)]
    if tables.history is not None:
        known.append(_differences_written(tables.history, scope, months, kind))
    return (known[0] if len(known) == 1 else sa.union_all(*known)).cte("differences")


def _differences_now(tables: Tables, scope: Scope, months: Months, posted: sa.CTE) -> sa.Select[Any]:
    balance, kind = tables.credit_balance, credits_type(tables)
    whole = _whole(posted).cte("whole")
    now = sa.bindparam("now", months.now, type_=AwareTime(), unique=True)
    key = text(balance.c.tenant_id)
    return (
        sa.select(
            key.label("key"),
            now.label("at"),
            sa.cast(balance.c.balance - sa.func.coalesce(whole.c.credits, 0), kind).label("credits"),
        )
        .select_from(balance.outerjoin(whole, whole.c.key == key))
        .where(scope.predicate(balance.c.tenant_id))
    )


def _differences_written(
    history: History, scope: Scope, months: Months, kind: sa.types.TypeEngine[Any]
) -> sa.Select[Any]:
    """At the bounds that have a balance of at most 36 hours later: the first of these."""
    written = history.balance_snapshot
    # The bounds are Python's: where a midnight comes twice, PostgreSQL's date_trunc takes the second one.
    at = sa.bindparam("at", list(months.bounds), type_=postgresql.ARRAY(AwareTime()), unique=True)
    numbers = list(range(1, len(months.bounds) + 1))
    numbered = sa.bindparam("numbers", numbers, type_=postgresql.ARRAY(sa.Integer()), unique=True)
    columns = (sa.column("at", AwareTime()), sa.column("number", sa.Integer()))
    bound = sa.func.unnest(at, numbered).table_valued(*columns, name="bound").render_derived()
    number = Windows(months.bounds).number(written.c.taken_at)
    return (
        sa.select(
            written.c.tenant_id.label("key"),
            bound.c.at,
            sa.cast(written.c.balance - written.c.ledger, kind).label("credits"),
        )
        .select_from(written.join(bound, bound.c.number == number))
        .where(
            scope.predicate(written.c.tenant_id),
            written.c.balance.is_not(None),
            # A sum with a day and a half would follow the clocks of the connection's zone.
            written.c.taken_at - bound.c.at <= sa.literal(LATEST_SNAPSHOT, sa.Interval()),
        )
        .ext(postgresql.distinct_on(written.c.tenant_id, bound.c.at))
        .order_by(written.c.tenant_id, bound.c.at, written.c.taken_at)
    )
