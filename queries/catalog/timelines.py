"""Questions of the page Timelines that `usage.over_time` and `latency.over_time` do not answer.

A generation counts at its `created_at`. Percentiles are over raw rows, never averages of percentiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_top
from queries.catalog.durations import latency_of_windows, percentiles, shown
from queries.catalog.gaps import every_bucket, every_bucket_and_series
from queries.catalog.parts import Windows, failures_by_bin, usage_by_bin
from queries.catalog.series import OTHER, SPLITS, labels
from queries.catalog.sums import counted, summed_again
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, bucket, facts, within


@catalog_query("timelines.latency")
def latency(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """One row: latency_rows (successful generations with a duration), p50_ms and p95_ms (null under 20 of them), p99_ms
    (null under 100)."""
    windows = Windows((period.start, period.until))
    one = latency_of_windows(tables, scope, windows, {"": (1,)}).cte("one")
    return sa.select(one.c.latency_rows, *shown(one))


@catalog_query("timelines.latency_by_series", finish=every_bucket_and_series)
def latency_by_series(tables: Tables, scope: Scope, *, period: Period, split: str, top: int = 7) -> sa.Select[Any]:
    """bucket_start, series_id, series, latency_rows, p50_ms and p95_ms (null under 20 rows), p99_ms (null under 100) of
    successful generations; every bucket that has begun for the series with the most of them, then "Other" (series_id
    null), whose percentiles are over its own raw rows. Rows without a key, such as a model, are among "Other"."""
    checked_choice("split", split, SPLITS)
    checked_top(top)
    rows = facts(tables)
    where = [
        scope.predicate(rows.c.tenant_id),
        within(rows.c.created_at, period),
        tables.has(rows.c.status, "generation_status", "succeeded"),
    ]
    key = rows.c[SPLITS[split]]
    owner = rows.c.tenant_id if split in ("user", "tenant") else sa.null()
    by_key = [key, rows.c.tenant_id] if split in ("user", "tenant") else [key]
    counts = (
        sa.select(key.label("key"), owner.label("owner"), sa.func.count().label("many"))
        .where(*where, key.is_not(None))
        .group_by(*by_key)
        .cte("counts")
    )
    place = sa.func.row_number().over(order_by=[counts.c.many.desc(), counts.c.key, counts.c.owner])
    named = sa.select(counts, place.label("place")).order_by(place).limit(top).cte("named")
    same = [key == named.c.key]
    if split in ("user", "tenant"):
        same.append(rows.c.tenant_id == named.c.owner)
    start = bucket(rows.c.created_at, period)
    found = (
        sa.select(
            start.label("bucket_start"),
            named.c.place,
            named.c.key,
            named.c.owner,
            counted(rows.c.duration_ms.is_not(None)).label("latency_rows"),
            percentiles(rows.c.duration_ms).label("percentiles"),
        )
        .select_from(rows.outerjoin(named, sa.and_(*same)))
        .where(*where)
        .group_by(start, named.c.place, named.c.key, named.c.owner)
        .cte("folded")
    )
    source, columns = labels(tables, scope, found, split)
    return sa.select(found.c.bucket_start, *columns, found.c.latency_rows, *shown(found)).select_from(source)


@catalog_query("timelines.failures", finish=every_bucket_and_series)
def failures(tables: Tables, scope: Scope, *, period: Period, top: int) -> sa.Select[Any]:
    """bucket_start, series_id and series (the first 120 characters of the error's text), failed (generations); every
    bucket that has begun for the most frequent errors, then "Other" (series_id null). No row where nothing failed."""
    checked_top(top)
    by_bin = failures_by_bin(tables, scope, period)
    many = sa.func.sum(by_bin.c.failed)
    ranked = (
        sa.select(by_bin.c.error, sa.func.row_number().over(order_by=[many.desc(), by_bin.c.error]).label("number"))
        .group_by(by_bin.c.error)
        .cte("ranked")
    )
    start = bucket(by_bin.c.bin, period)
    place = sa.case((ranked.c.number <= top, ranked.c.number))
    name = sa.case((ranked.c.number <= top, ranked.c.error))
    folded = (
        sa.select(
            start.label("bucket_start"),
            place.label("place"),
            name.label("error"),
            summed_again(by_bin.c.failed).label("failed"),
        )
        .select_from(by_bin.join(ranked, ranked.c.error == by_bin.c.error))
        .group_by(start, place, name)
        .cte("folded")
    )
    label = sa.func.coalesce(folded.c.error, OTHER, type_=sa.Text())
    return sa.select(
        folded.c.bucket_start,
        folded.c.place,
        folded.c.error.label("series_id"),
        label.label("series"),
        folded.c.failed,
    )


@catalog_query("timelines.hours")
def hours(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """weekday (1 is Monday) and hour (0 to 23) in the period's zone, generations, failed: at most 168 rows; where
    nothing was generated there is none. An hour that happens twice counts twice in its row."""
    by_bin = usage_by_bin(tables, scope, period, ("generations", "failed"))
    local = sa.select(
        sa.func.timezone(period.zone, by_bin.c.bin, type_=sa.TIMESTAMP()).label("local"),
        by_bin.c.generations,
        by_bin.c.failed,
    ).cte("local")
    weekday = sa.cast(sa.extract("isodow", local.c.local), sa.Integer)
    hour = sa.cast(sa.extract("hour", local.c.local), sa.Integer)
    columns: list[sa.ColumnElement[Any]] = [weekday.label("weekday"), hour.label("hour")]
    columns += [summed_again(local.c[one]).label(one) for one in ("generations", "failed")]
    return sa.select(*columns).group_by(weekday, hour)


def _every_minute(frame: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:
    return every_bucket(frame, {"period": last_minutes(**arguments)})


def last_minutes(*, now: datetime, zone: str, minutes: int) -> Period:
    """The minutes before `now`."""
    return Period(now - timedelta(minutes=minutes), now, zone, "minute", now)


@catalog_query("timelines.live", freshness="live", finish=_every_minute)
def live(tables: Tables, scope: Scope, *, now: datetime, zone: str, minutes: int) -> sa.Select[Any]:
    """bucket_start, generations, succeeded, failed, unfinished for each of the last minutes before `now`, in order. It
    is asked for again and again; the answer for the minute before may stand in while a new one is computed."""
    rows = facts(tables)
    period = last_minutes(now=now, zone=zone, minutes=minutes)
    start = bucket(rows.c.created_at, period)
    statuses = ("succeeded", "failed", "unfinished")
    return (
        sa.select(
            start.label("bucket_start"),
            counted().label("generations"),
            *(counted(tables.has(rows.c.status, "generation_status", one)).label(one) for one in statuses),
        )
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period))
        .group_by(start)
    )
