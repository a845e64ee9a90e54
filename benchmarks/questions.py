"""What the measurements ask: made like every question of the catalog."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from benchmarks import ground
from queries.period import Period
from queries.query import Query, catalog_query
from queries.scope import Scope
from queries.tables import Tables, facts, within

MOST_ROWS = 500_000
_COLUMNS = ("id", "tenant_id", "user_id", "created_at", "status", "model", "duration_ms")


@catalog_query("benchmarks.rows", row_limit=MOST_ROWS)
def rows(tables: Tables, scope: Scope, *, period: Period, limit: int) -> sa.Select[Any]:
    """Generations of a period, seven columns."""
    found = facts(tables)
    inside = [scope.predicate(found.c.tenant_id), within(found.c.created_at, period)]
    return sa.select(*(found.c[one] for one in _COLUMNS)).where(*inside).limit(limit)


@catalog_query("benchmarks.slow")
def slow(tables: Tables, scope: Scope, *, seconds: float, tag: str) -> sa.Select[Any]:  # noqa: ARG001 - of one form
    """One row that takes its time. Each tag is a question of its own to the caches."""
    return sa.select(sa.func.pg_sleep(seconds).cast(sa.Text).label(tag))


def asked(scope: Scope, limit: int) -> Query:
    """A question as a page asks it, from the period on."""
    return rows(scope, period=Period.last_days(60, zone="Europe/Berlin", now=ground.NOW), limit=limit)
