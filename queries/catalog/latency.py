"""Questions about how long generations take. Percentiles are over raw rows, never averages of percentiles."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.catalog.durations import percentiles, shown
from queries.catalog.gaps import every_bucket
from queries.catalog.sums import counted
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, bucket, facts, within


@catalog_query("latency.over_time", finish=every_bucket)
def over_time(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, latency_rows (successful generations with a duration), p50_ms and p95_ms (null under 20 of them),
    p99_ms (null under 100); every bucket that has begun, in order."""
    rows = facts(tables)
    took = rows.c.duration_ms
    buckets = (
        sa.select(
            (start := bucket(rows.c.created_at, period)).label("bucket_start"),
            counted(took.is_not(None)).label("latency_rows"),
            percentiles(took).label("percentiles"),
        )
        .where(
            scope.predicate(rows.c.tenant_id),
            within(rows.c.created_at, period),
            tables.has(rows.c.status, "generation_status", "succeeded"),
        )
        .group_by(start)
        .cte("buckets")
    )
    return sa.select(buckets.c.bucket_start, buckets.c.latency_rows, *shown(buckets))
