"""Questions about quotas: how often a type was tried on a day, against how often it might have been."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_top
from queries.catalog.sums import text
from queries.period import Period, local_date
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables

# The application counts its quotas by UTC day, whatever zone the page is in.
QUOTA_ZONE = "UTC"


@catalog_query("limits.by_day")
def by_day(tables: Tables, scope: Scope, *, period: Period, top: int) -> sa.Select[Any]:
    """type, day (a calendar day as the application keeps it, UTC), count, limit, is_hit (count reached the limit, and
    was not 0: a limit of 0 is hit on each day that somebody tried), types (how many there are, the same in each row).
    The `top` types with the most hit days, then the most tried; days for which no limit is known have no row. Days are
    those of UTC that the period touches up to its `now`. Counts and limits of several tenants are added."""
    checked_top(top)
    limit = tables.usage_limit
    first, last = period.start.astimezone(UTC).date(), local_date(period.until - timedelta(microseconds=1), QUOTA_ZONE)
    if period.start >= period.until:
        last = first - timedelta(days=1)
    count, most = sa.func.sum(limit.c.count, type_=sa.BigInteger()), sa.func.sum(limit.c.limit, type_=sa.BigInteger())
    days = (
        sa.select(
            limit.c.type.label("type"),
            limit.c.date.label("day"),
            count.label("count"),
            most.label("limit"),
            sa.and_(count >= most, count > 0).label("is_hit"),
        )
        .where(scope.predicate(limit.c.tenant_id), limit.c.date.between(first, last))
        .group_by(limit.c.type, limit.c.date)
        .cte("days")
    )
    of_type = (
        sa.select(
            days.c.type,
            sa.func.row_number()
            .over(
                order_by=(
                    sa.func.count().filter(days.c.is_hit).desc(),
                    sa.func.sum(days.c.count).desc(),
                    text(days.c.type),
                )
            )
            .label("place"),
            sa.func.count().over().label("types"),
        )
        .group_by(days.c.type)
        .cte("of_type")
    )
    return (
        sa.select(
            text(days.c.type).label("type"), days.c.day, days.c.count, days.c.limit, days.c.is_hit, of_type.c.types
        )
        .select_from(days.join(of_type, of_type.c.type == days.c.type))
        .where(of_type.c.place <= top)
        .order_by(of_type.c.place, days.c.day)
    )
