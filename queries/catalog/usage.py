"""Questions about usage: generations by time, by series, and as totals. Every figure reads `facts(tables)` only.

A generation counts at its `created_at`, within `[period.start, period.until)`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.arguments import checked_choice, checked_top
from queries.catalog.bins import binned
from queries.catalog.gaps import every_bucket, every_bucket_and_series, without_place
from queries.catalog.series import SPLITS, labels, largest_series, usage_measures
from queries.catalog.sums import burned_credits, counted, is_burn, net_burn_credits, refunded_credits, summed_again
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, aware, between, bucket, facts, instant, within

STUCK_AFTER = timedelta(minutes=15)
PERCENTILES = (0.5, 0.95, 0.99)
# Below these numbers of successful generations a percentile says nothing.
PERCENTILE_ROWS = (20, 20, 100)


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
        fine = binned(rows.c.created_at, period)
        by_bin = sa.select(fine.label("bin"), *measures).where(*where).group_by(fine).cte("by_bin")
        start = bucket(by_bin.c.bin, period)
        again = [summed_again(by_bin.c[one.name]).label(one.name) for one in measures]
        return sa.select(start.label("bucket_start"), *again).group_by(start)
    folded = largest_series(tables, where, measures, split=split, top=top, by=period)
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
    ledger = _ledger_totals(tables, scope, period).cte("ledger")
    source = usage.join(latency, sa.true()).join(ledger, sa.true())
    return sa.select(*usage.c, *_percentiles(latency), *ledger.c).select_from(source)


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


def _windows(column: sa.ColumnElement[Any], period: Period) -> dict[str, sa.ColumnElement[bool]]:
    complete, previous = period.complete_days(), period.previous()
    return {
        "complete_": between(column, complete.start, complete.end),
        "previous_": between(column, previous.start, previous.end),
    }


def _usage_totals(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    """Counts, summed over users: so one pass tells the active ones without sorting every row by its user."""
    rows = facts(tables)
    created = rows.c.created_at
    inside = within(created, period)
    is_status = {
        one: tables.has(rows.c.status, "generation_status", one)
        for one in ("succeeded", "failed", "cancelled", "unfinished")
    }
    is_old = created < instant(created, period.now - STUCK_AFTER)
    counts = [
        counted(inside).label("generations"),
        *(counted(sa.and_(inside, condition)).label(one) for one, condition in is_status.items()),
        counted(sa.and_(inside, is_status["unfinished"], is_old)).label("stuck"),
    ]
    for prefix, window in _windows(created, period).items():
        counts.append(counted(window).label(prefix + "generations"))
        counts += [counted(sa.and_(window, is_status[one])).label(prefix + one) for one in ("succeeded", "failed")]
    by_user = (
        sa.select(rows.c.user_id, *counts)
        .where(scope.predicate(rows.c.tenant_id), between(created, period.previous().start, period.until))
        .group_by(rows.c.user_id)
        .cte("by_user")
    )
    sums = [summed_again(by_user.c[one.name]).label(one.name) for one in counts]
    active = [
        counted(by_user.c[prefix + "succeeded"] > 0).label(prefix + "active_users")
        for prefix in ("", *_windows(created, period))
    ]
    return sa.select(*sums, *active)


def _latency(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    """Of successful generations: how many have a duration and the percentiles of it, for the period and its windows."""
    rows = facts(tables)
    created, took = rows.c.created_at, rows.c.duration_ms
    columns: list[sa.Label[Any]] = []
    for prefix, window in {"": within(created, period), **_windows(created, period)}.items():
        shares = sa.bindparam("percentiles", list(PERCENTILES), type_=postgresql.ARRAY(sa.Double), unique=True)
        percentiles = sa.func.percentile_cont(shares).within_group(took).filter(window)
        columns += [
            counted(sa.and_(window, took.is_not(None))).label(prefix + "latency_rows"),
            sa.type_coerce(percentiles, postgresql.ARRAY(sa.Double)).label(prefix + "percentiles"),
        ]
    return sa.select(*columns).where(
        scope.predicate(rows.c.tenant_id),
        between(created, period.previous().start, period.until),
        tables.has(rows.c.status, "generation_status", "succeeded"),
    )


def _percentiles(latency: sa.CTE) -> list[sa.ColumnElement[Any]]:
    """latency_rows, all percentiles of the period and the p95 of its windows; null where too few rows say nothing."""
    shown: list[sa.ColumnElement[Any]] = [latency.c.latency_rows]
    for prefix, wanted in (("", PERCENTILES), ("complete_", (0.95,)), ("previous_", (0.95,))):
        for number, (share, least) in enumerate(zip(PERCENTILES, PERCENTILE_ROWS, strict=True), start=1):
            if share in wanted:
                value = latency.c[prefix + "percentiles"][number]
                is_known = latency.c[prefix + "latency_rows"] >= least
                shown.append(sa.case((is_known, value)).label(f"{prefix}p{share * 100:g}_ms"))
    return shown


def _ledger_totals(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    inside = within(posted, period)
    return sa.select(
        burned_credits(tables, inside).label("gross_burn_credits"),
        refunded_credits(tables, inside).label("refunded_credits"),
        net_burn_credits(tables, inside).label("net_burn_credits"),
        *(
            net_burn_credits(tables, window).label(prefix + "net_burn_credits")
            for prefix, window in _windows(posted, period).items()
        ),
    ).where(
        scope.predicate(ledger.c.tenant_id), is_burn(tables), between(posted, period.previous().start, period.until)
    )
