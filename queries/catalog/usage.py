"""Questions about usage: generations by time, by series, and as totals. Every figure reads `facts(tables)` only.

A generation counts at its `created_at`, within `[period.start, period.until)`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_top
from queries.catalog.durations import PERCENTILE_ROWS, latency_of_windows, shown
from queries.catalog.gaps import every_bucket, every_bucket_and_series, without_place
from queries.catalog.parts import (
    STATUSES,
    Windows,
    burned,
    given,
    moved_by_type,
    usage_by_bin,
    usage_by_user,
    usage_measures,
)
from queries.catalog.series import SPLITS, labels, largest_series, largest_tenants
from queries.catalog.sums import counted, summed_again
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, aware, bucket, facts, within

STUCK_AFTER = timedelta(minutes=15)


@catalog_query("usage.over_time", finish=every_bucket_and_series)
def over_time(tables: Tables, scope: Scope, *, period: Period, split: str, top: int = 7) -> sa.Select[Any]:
    """bucket_start, series_id, series, generations, succeeded, failed, cancelled, unfinished, burned_credits.

    Every bucket that has begun for every series, 0 where empty; by bucket, then the largest series first and "Other"
    last. `split` is none, type, status, model, user or tenant. series_id is null for "All" and "Other".
    """
    checked_choice("split", split, ("none", *SPLITS))
    checked_top(top)
    rows = facts(tables)
    where = [scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period)]
    measures = usage_measures(tables)
    if split == "none":
        by_bin = usage_by_bin(tables, scope, period)
        start = bucket(by_bin.c.bin, period)
        again = [summed_again(by_bin.c[one.name]).label(one.name) for one in measures]
        return sa.select(start.label("bucket_start"), *again).group_by(start)
    folded = (
        largest_tenants(tables, scope, measures, top=top, by=period)
        if split == "tenant"
        else largest_series(tables, where, measures, split=split, top=top, by=period)
    )
    source, columns = labels(tables, scope, folded, split)
    sums = [folded.c[one.name] for one in measures]
    return sa.select(folded.c.bucket_start, *columns, *sums).select_from(source)


@catalog_query("usage.breakdown", finish=without_place)
def breakdown(tables: Tables, scope: Scope, *, period: Period, split: str, top: int) -> sa.Select[Any]:
    """series_id, series, generations, succeeded, failed, cancelled, unfinished, burned_credits, last_seen_at, share.

    The largest series first, then "Other" (series_id null) when there are more. `share` is of all generations.
    """
    checked_choice("split", split, SPLITS)
    checked_top(top)
    rows = facts(tables)
    where = [scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period)]
    measures = [*usage_measures(tables), sa.func.max(rows.c.created_at).label("last_seen_at")]
    folded = largest_series(tables, where, measures, split=split, top=top)
    source, columns = labels(tables, scope, folded, split)
    sums = [folded.c[one.name] for one in measures[:-1]]
    whole = sa.func.sum(folded.c.generations).over()
    share = sa.cast(folded.c.generations, sa.Double) / sa.cast(whole, sa.Double)
    last_seen = aware(folded.c.last_seen_at).label("last_seen_at")
    statement = sa.select(*columns, *sums, last_seen, share.label("share")).select_from(source)
    return statement.order_by(folded.c.place.asc().nulls_last())


@catalog_query("usage.totals")
def totals(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """One row: generations, succeeded, failed, cancelled, unfinished, stuck, active_users (at least one successful
    generation), p50_ms, p95_ms (null under 20 rows), p99_ms (null under 100), latency_rows, gross_burn_credits,
    refunded_credits, net_burn_credits (ledger, when posted); and generations, succeeded, failed, active_users, p95_ms,
    net_burn_credits with `complete_` for the period without the day in progress and with `previous_` for as many days
    before it.
    """
    usage = _usage_totals(tables, scope, period).cte("usage")
    latency = _latency(tables, scope, period).cte("latency")
    percentiles = [
        *shown(latency),
        *(one for prefix in ("complete_", "previous_") for one in shown(latency, (0.95,), prefix)),
    ]
    ledger = _ledger_totals(tables, scope, period).cte("ledger")
    source = usage.join(latency, sa.true()).join(ledger, sa.true())
    return sa.select(*usage.c, latency.c.latency_rows, *percentiles, *ledger.c).select_from(source)


@catalog_query("usage.daily", finish=every_bucket)
def daily(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, generations, succeeded, failed, active_users (at least one successful generation in the bucket),
    p95_ms (of successful generations; null under 20 of them); every bucket that has begun, in order."""
    rows = facts(tables)
    start = bucket(rows.c.created_at, period)
    is_success, is_failure = (tables.has(rows.c.status, "generation_status", one) for one in ("succeeded", "failed"))
    p95 = sa.func.percentile_cont(0.95).within_group(rows.c.duration_ms).filter(is_success)
    is_enough = counted(sa.and_(is_success, rows.c.duration_ms.is_not(None))) >= PERCENTILE_ROWS[1]
    return (
        sa.select(
            start.label("bucket_start"),
            counted().label("generations"),
            counted(is_success).label("succeeded"),
            counted(is_failure).label("failed"),
            sa.func.count(rows.c.user_id.distinct()).filter(is_success).label("active_users"),
            sa.case((is_enough, sa.type_coerce(p95, sa.Double()))).label("p95_ms"),
        )
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period))
        .group_by(start)
    )


@catalog_query("usage.newest", freshness="live")
def newest(tables: Tables, scope: Scope) -> sa.Select[Any]:
    """One row: newest_at and oldest_at, null when there is no generation at all."""
    rows = facts(tables)
    latest, first = sa.func.max(rows.c.created_at), sa.func.min(rows.c.created_at)
    return sa.select(
        aware(_typed(latest, rows)).label("newest_at"), aware(_typed(first, rows)).label("oldest_at")
    ).where(scope.predicate(rows.c.tenant_id))


def _typed(moment: sa.ColumnElement[Any], rows: sa.Table) -> sa.ColumnElement[Any]:
    return sa.type_coerce(moment, rows.c.created_at.type)


def _spans(period: Period) -> dict[str, tuple[datetime, datetime]]:
    """The period, and what it is compared with, by the prefix of their columns."""
    complete, previous = period.complete_days(), period.previous()
    return {
        "": (period.start, period.until),
        "complete_": (complete.start, complete.end),
        "previous_": (previous.start, previous.end),
    }


def _usage_totals(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    """Counts, summed over users: so one pass tells the active ones without sorting every row by its user."""
    spans, old = _spans(period), max(period.start, min(period.until, period.now - STUCK_AFTER))
    windows = Windows.between((*(bound for span in spans.values() for bound in span), old))
    one = usage_by_user(tables, scope, windows)
    is_status = {name: tables.has(one.c.status, "generation_status", name) for name in STATUSES}

    def summed_in(span: tuple[datetime, datetime], *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return summed_again(one.c.generations, sa.and_(one.c.window.in_(windows.inside(*span)), *conditions))

    counts = [
        summed_in(span, *([] if name == "generations" else [is_status[name]])).label(prefix + name)
        for prefix, span in spans.items()
        for name in (("generations", *STATUSES) if not prefix else ("generations", "succeeded", "failed"))
    ]
    counts.insert(1 + len(STATUSES), summed_in((period.start, old), is_status["unfinished"]).label("stuck"))
    by_user = sa.select(*counts).group_by(one.c.user_key).cte("by_user")
    sums = [summed_again(by_user.c[one.name]).label(one.name) for one in counts]
    active = [counted(by_user.c[prefix + "succeeded"] > 0).label(prefix + "active_users") for prefix in spans]
    return sa.select(*sums, *active)


def _latency(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    spans = _spans(period)
    windows = Windows.between(bound for span in spans.values() for bound in span)
    return latency_of_windows(tables, scope, windows, {prefix: windows.inside(*span) for prefix, span in spans.items()})


def _ledger_totals(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    spans = _spans(period)
    windows = Windows.between(bound for span in spans.values() for bound in span)
    moved = moved_by_type(tables, scope, windows)
    inside = {prefix: windows.inside(*span) for prefix, span in spans.items()}
    return sa.select(
        burned(tables, moved, "burned", window=inside[""]).label("gross_burn_credits"),
        given(tables, moved, "refunded", window=inside[""]).label("refunded_credits"),
        *(
            burned(tables, moved, "burned", "refunded", window=one).label(prefix + "net_burn_credits")
            for prefix, one in inside.items()
        ),
    )
