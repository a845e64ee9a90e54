"""How long successful generations took, each: percentiles are over raw values, never averages of percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.parts import DAY, Windows, parts_of, put_together
from queries.catalog.sums import counted
from queries.scope import Scope
from queries.tables import Tables, facts

PERCENTILES = (0.5, 0.95, 0.99)
# Below these numbers of successful generations a percentile says nothing.
PERCENTILE_ROWS = (20, 20, 100)


def durations(tables: Tables, scope: Scope, windows: Windows, *, of: sa.CTE | None = None) -> sa.Subquery:
    """window, took_ms: one row for each successful generation with a duration between the first and the last bound; of
    one tenant (key) of a CTE, for a lateral join with it."""
    rows, start, end = facts(tables), windows.bounds[0], windows.bounds[-1]
    found, sums = parts_of(tables, start, end, windows.bounds, DAY)
    of_rows = of_sums = None
    if found.spans:
        of_rows = sa.select(
            windows.number(rows.c.created_at).label("window"), rows.c.duration_ms.label("took_ms")
        ).where(
            scope.predicate(rows.c.tenant_id),
            found.of_rows(rows.c.created_at),
            tables.has(rows.c.status, "generation_status", "succeeded"),
            rows.c.duration_ms.is_not(None),
        )
        of_rows = of_rows if of is None else of_rows.where(rows.c.tenant_id == of.c.key).correlate(of)
    if sums is not None:
        table = sums.latency_day
        took = sa.func.unnest(table.c.durations_ms, type_=rows.c.duration_ms.type)
        of_sums = sa.select(windows.number(table.c.day).label("window"), took.label("took_ms")).where(
            scope.predicate(table.c.tenant_id), found.of_sums(table.c.day)
        )
        of_sums = of_sums if of is None else of_sums.where(table.c.tenant_id == of.c.key).correlate(of)
    return put_together(of_rows, of_sums).subquery("durations")


def percentiles(took: sa.ColumnElement[Any], condition: sa.ColumnElement[bool] | None = None) -> sa.ColumnElement[Any]:
    """All percentiles as an array."""
    shares = sa.bindparam("percentiles", list(PERCENTILES), type_=postgresql.ARRAY(sa.Double), unique=True)
    found = sa.func.percentile_cont(shares).within_group(took)
    return sa.type_coerce(found if condition is None else found.filter(condition), postgresql.ARRAY(sa.Double))


def shown(found: sa.CTE, shares: Sequence[float] = PERCENTILES, prefix: str = "") -> list[sa.Label[Any]]:
    """p50_ms and so on of `percentiles`, null where `latency_rows` are too few to say anything."""
    return [
        sa.case(
            (found.c[prefix + "latency_rows"] >= least, found.c[prefix + "percentiles"][number]),
        ).label(f"{prefix}p{share * 100:g}_ms")
        for number, (share, least) in enumerate(zip(PERCENTILES, PERCENTILE_ROWS, strict=True), start=1)
        if share in shares
    ]


def latency_of_windows(
    tables: Tables, scope: Scope, windows: Windows, inside: dict[str, Sequence[int]]
) -> sa.Select[Any]:
    """One row: latency_rows and percentiles of these windows, by the prefix of their columns."""
    one = durations(tables, scope, windows)
    columns: list[sa.Label[Any]] = []
    for prefix, numbers in inside.items():
        # Of all windows there is nothing to compare.
        condition = None if len(numbers) >= len(windows.bounds) - 1 else one.c.window.in_(numbers)
        columns += [
            counted(condition).label(prefix + "latency_rows"),
            percentiles(one.c.took_ms, condition).label(prefix + "percentiles"),
        ]
    return sa.select(*columns)
