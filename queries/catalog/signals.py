"""The parts of `tenants.signals`: usage, burn and quotas of many tenants, each table read once.

The walls hide what is in a condition from the planner: an enum's `=` is not leakproof, so a condition on a type or
status is guessed to keep one row in two hundred, and a million rows are sorted on disk instead of hashed. Types and
statuses are therefore told apart by FILTER, and only times and tenants stand in WHERE.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.parts import Windows, burned, moved_by_type, usage_by_user
from queries.catalog.portfolio import HISTORY_DAYS, Days, Wanted, held_to
from queries.catalog.sums import counted, exact, net_burn_credits, summed_again
from queries.scope import Scope
from queries.tables import Tables, instant

QUOTA_DAYS = 28
# Days ago at which the windows of usage begin; the last one is the day in progress.
_WINDOWS = (56, 28, 14, 7, 0)
# Which windows make up a span of complete days.
SPANS: Mapping[str, tuple[int, ...]] = {"7d": (4,), "prev_7d": (3,), "28d": (2, 3, 4), "prev_28d": (1,)}
# Places of days among the 56, oldest first, that make up a span.
_DAYS_OF: Mapping[str, tuple[int, int]] = {"7d": (50, 56), "prev_7d": (43, 49), "28d": (29, 56), "prev_28d": (1, 28)}
_TODAY = HISTORY_DAYS + 1
_COUNTS = ("generations", "succeeded", "failed")


def usage_signals(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.CTE:
    """key, generations, succeeded, failed and active users by span, newest_at and newest_success_at of 56 days and the
    one in progress. Counted by user first, so that one pass tells who was active."""
    by_user = _usage_by_user(tables, scope, days, wanted)
    sums = [_whole(by_user.c[f"{one}_{span}"]).label(f"{one}_{span}") for one in _COUNTS for span in SPANS]
    active = [
        counted(by_user.c[f"succeeded_{span}"] > 0).label(f"active_users_{span}") for span in ("7d", "28d", "prev_28d")
    ]
    newest = [sa.func.max(by_user.c[one]).label(one) for one in ("newest_at", "newest_success_at")]
    return sa.select(by_user.c.key, *sums, *active, *newest).group_by(by_user.c.key).cte("usage")


def _usage_by_user(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.CTE:
    windows = Windows((*(days.before(one) for one in _WINDOWS), days.now))
    one = usage_by_user(tables, scope, windows, partial(held_to, wanted))
    succeeded, failed = (tables.has(one.c.status, "generation_status", each) for each in ("succeeded", "failed"))
    only: Mapping[str, tuple[sa.ColumnElement[bool], ...]] = {
        "generations": (),
        "succeeded": (succeeded,),
        "failed": (failed,),
    }
    sums = [
        _whole(one.c.generations, one.c.window.in_(windows), *conditions).label(f"{name}_{span}")
        for name, conditions in only.items()
        for span, windows in SPANS.items()
    ]
    newest = sa.func.max(one.c.newest_at)
    newests = [newest.label("newest_at"), newest.filter(succeeded).label("newest_success_at")]
    return sa.select(one.c.key, *sums, *newests).group_by(one.c.key, one.c.user_key).cte("by_user")


def burn_signals(tables: Tables, scope: Scope, days: Days, wanted: Wanted, tenants: sa.CTE) -> sa.CTE:
    """For each of the tenants (key, began: the start of its subscription period): burn_daily, the burn by span,
    first_place (of the first day with a charge), whole_days_credits (burned on the days that began since the period
    did), and edge: where the first of these days starts, or now."""
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    bounds = starts(days, posted, range(HISTORY_DAYS, -1, -1))
    daily = _burn_by_day(tables, scope, days, wanted)
    unnested = sa.func.unnest(bounds).table_valued(sa.column("start", posted.type), with_ordinality="place", name="day")
    derived = unnested.render_derived()
    places = sa.select(derived.c.start, derived.c.place).cte("places")
    of_day = sa.and_(daily.c.key == tenants.c.key, daily.c.number == places.c.place)
    net = sa.func.coalesce(daily.c.net, 0, type_=daily.c.net.type)
    place, since = places.c.place, places.c.start >= tenants.c.began
    spans = [
        _summed(net, place.between(first, last)).label(f"burn_{span}_credits")
        for span, (first, last) in _DAYS_OF.items()
    ]
    array = sa.func.array_agg(postgresql.aggregate_order_by(net, place)).filter(place < _TODAY)
    return (
        sa.select(
            tenants.c.key,
            array.label("burn_daily"),
            *spans,
            sa.func.min(place).filter(daily.c.charges > 0, place < _TODAY).label("first_place"),
            _summed(net, since).label("whole_days_credits"),
            sa.func.coalesce(
                sa.func.min(places.c.start).filter(since), instant(posted, days.now), type_=posted.type
            ).label("edge"),
        )
        .select_from(tenants.join(places, sa.true()).outerjoin(daily, of_day))
        .group_by(tenants.c.key)
        .cte("burn")
    )


def _burn_by_day(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.CTE:
    """key, number (of the day, from 1), net, charges. The local days are cut by their bounds and not by `date_trunc`
    with a zone, which costs three times as much per row."""
    windows = Windows((*(days.before(one) for one in range(HISTORY_DAYS, -1, -1)), days.now))
    moved = moved_by_type(tables, scope, windows, partial(held_to, wanted))
    charges = summed_again(moved.c.movements, tables.has(moved.c.type, "transaction_type", "burned"))
    net = burned(tables, moved, "burned", "refunded")
    return (
        sa.select(moved.c.key, moved.c.window.label("number"), net.label("net"), charges.label("charges"))
        .group_by(moved.c.key, moved.c.window)
        .cte("daily")
    )


def used_in_period(tables: Tables, scope: Scope, rows: sa.CTE) -> sa.ColumnElement[Any]:
    """Net burn from the start of the subscription period up to now: the whole days, and the rest of the day on which
    the period began (or all before the 56 days, when it began earlier). Null without a subscription."""
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    first_day = (
        sa.select(net_burn_credits(tables))
        .where(
            scope.predicate(ledger.c.tenant_id),
            ledger.c.tenant_id == rows.c.key,
            posted >= rows.c.began,
            posted < rows.c.edge,
        )
        .correlate(rows)
        .scalar_subquery()
    )
    return sa.case((rows.c.began.is_not(None), rows.c.whole_days_credits + first_day))


def history_days(tables: Tables, scope: Scope, days: Days, rows: sa.CTE) -> sa.ColumnElement[Any]:
    """Complete local days from the one of the tenant's first charge on, at most 56; 0 when there is none."""
    ledger = tables.credit_transaction
    before = (
        sa.select(ledger.c.tenant_id)
        .where(
            scope.predicate(ledger.c.tenant_id),
            ledger.c.tenant_id == rows.c.key,
            ledger.c.created_at < instant(ledger.c.created_at, days.before(HISTORY_DAYS)),
            tables.has(ledger.c.type, "transaction_type", "burned"),
        )
        .correlate(rows)
        # One look into the index. Of an EXISTS the planner would read all charges there are into a hash: behind the
        # wall it takes them for few.
        .limit(1)
        .scalar_subquery()
    )
    counted_days = sa.case(
        (before.is_not(None), HISTORY_DAYS),
        else_=sa.func.coalesce(_TODAY - rows.c.first_place, 0, type_=sa.BigInteger()),
    )
    return sa.cast(counted_days, sa.BigInteger)


def quota_signals(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.CTE:
    """key, limit_hit_days_28d and quota_peak_28d over the last 28 complete days of UTC, in which the application counts
    its quotas. A limit of 0 is hit on each day that somebody tried; it has no share, and so no part in the peak."""
    limit = tables.usage_limit
    is_hit = sa.and_(limit.c.count >= limit.c.limit, limit.c.count > 0)
    share = sa.cast(limit.c.count, sa.Double) / sa.func.nullif(limit.c.limit, 0)
    daily = held_to(
        wanted,
        limit.c.tenant_id,
        sa.select(
            limit.c.tenant_id.label("key"),
            sa.func.bool_or(is_hit).label("is_hit"),
            sa.func.max(share).label("peak"),
        )
        .where(
            scope.predicate(limit.c.tenant_id),
            days.within_utc(limit.c.date, QUOTA_DAYS),
        )
        .group_by(limit.c.tenant_id, limit.c.date),
    )
    day = daily.cte("quota_days")
    return (
        sa.select(
            day.c.key,
            counted(day.c.is_hit).label("limit_hit_days_28d"),
            sa.func.max(day.c.peak).label("quota_peak_28d"),
        )
        .group_by(day.c.key)
        .cte("quota")
    )


def starts(days: Days, column: sa.ColumnElement[Any], days_ago: Any) -> sa.BindParameter[Any]:
    """The starts of local days as an array for `width_bucket`, in the column's own kind of time."""
    moments = [instant(column, days.before(one)) for one in days_ago]
    return sa.bindparam("days", moments, type_=postgresql.ARRAY(column.type), unique=True)


def _whole(column: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    """The sum of counts, which PostgreSQL makes NUMERIC, as a whole number."""
    total = sa.func.sum(column)
    return sa.cast(sa.func.coalesce(total.filter(*conditions) if conditions else total, 0), sa.BigInteger)


def _summed(column: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    """The sum of sums over the rows that meet the condition; 0 where there are none."""
    return sa.cast(sa.func.coalesce(sa.func.sum(column).filter(condition), 0), exact(column))
