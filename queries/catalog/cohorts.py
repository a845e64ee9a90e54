"""Who stays, by the week in which a tenant began: index probes per tenant and week, never a scan of all rows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.errors import ArgumentError
from queries.period import bucket_date, local_midnight
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, facts, instant

LARGEST_WEEKS = 52


@catalog_query("tenants.cohorts")
def cohorts(tables: Tables, scope: Scope, *, now: datetime, zone: str, weeks: int) -> sa.Select[Any]:
    """One row per cohort and week since: cohort_week (the Monday of the local week of a tenant's first generation, of
    the last so many weeks), week (a Monday, from the cohort's own to that of the week in progress), active_tenants
    (with at least one successful generation in that week), cohort_size."""
    if not 1 <= weeks <= LARGEST_WEEKS:
        raise ArgumentError(f"cohorts of {weeks} weeks are not possible; choose 1 to {LARGEST_WEEKS}")
    spans = _weeks(tables, now, zone, weeks)
    began = _began(tables, scope, spans)
    week = spans.alias("week")
    size = sa.select(began.c.cohort, sa.func.count().label("cohort_size")).group_by(began.c.cohort).cte("sizes")
    cells = (
        sa.select(began.c.key, began.c.cohort, week.c.week, week.c.first, week.c.last)
        .select_from(began.join(week, week.c.week >= began.c.cohort))
        .offset(0)
        .cte("cells")
    )
    rows = facts(tables)
    is_active = _any(
        tables,
        scope,
        cells,
        rows.c.created_at >= cells.c.first,
        rows.c.created_at < cells.c.last,
        tables.has(rows.c.status, "generation_status", "succeeded"),
    )
    probed = sa.select(cells.c.cohort, cells.c.week, is_active.label("is_active")).cte("probed")
    return (
        sa.select(
            probed.c.cohort.label("cohort_week"),
            probed.c.week,
            sa.func.count().filter(probed.c.is_active).label("active_tenants"),
            size.c.cohort_size,
        )
        .select_from(probed.join(size, size.c.cohort == probed.c.cohort))
        .group_by(probed.c.cohort, probed.c.week, size.c.cohort_size)
        .order_by(probed.c.cohort, probed.c.week)
    )


def newest_week(now: datetime, zone: str) -> date:
    """The Monday of the local week that runs just before `now`: at a week's very start, nothing of it has been yet."""
    return bucket_date(now - timedelta(microseconds=1), "week", zone)


def _began(tables: Tables, scope: Scope, spans: sa.CTE) -> sa.CTE:
    """key and cohort of the tenants whose first generation lies in one of the weeks: the first week with any, where
    there is none before. Behind a wall each of these is one look into the index, and a minimum would read all rows."""
    tenant, rows = tables.organization, facts(tables)
    earliest = sa.select(sa.func.min(spans.c.first)).scalar_subquery()
    tenants = (
        sa.select(tenant.c.tenant_id.label("key"), earliest.label("earliest"))
        .where(scope.predicate(tenant.c.tenant_id))
        .offset(0)
        .cte("tenants")
    )
    older = _any(tables, scope, tenants, rows.c.created_at < tenants.c.earliest)
    young = sa.select(tenants.c.key).where(~older).offset(0).cte("young")
    tried = sa.select(young.c.key, spans).select_from(young.join(spans, sa.true())).offset(0).cte("tried")
    inside = sa.and_(rows.c.created_at >= tried.c.first, rows.c.created_at < tried.c.last)
    begun = sa.select(tried.c.key, tried.c.week).where(_any(tables, scope, tried, inside)).cte("begun")
    return sa.select(begun.c.key, sa.func.min(begun.c.week).label("cohort")).group_by(begun.c.key).cte("began")


def _any(tables: Tables, scope: Scope, of: sa.CTE, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the tenant of a row has a generation of this kind. As a value and not as EXISTS, which the planner may
    turn into a join that reads them all."""
    rows = facts(tables)
    one = sa.select(rows.c.tenant_id).where(
        scope.predicate(rows.c.tenant_id), rows.c.tenant_id == of.c.key, *conditions
    )
    return one.limit(1).correlate(of).scalar_subquery().is_not(None)


def _weeks(tables: Tables, now: datetime, zone: str, weeks: int) -> sa.CTE:
    """week, first, last: the local weeks up to the one in progress, which ends at `now`."""
    created = facts(tables).c.created_at
    this = newest_week(now, zone)
    mondays: list[date] = [this - timedelta(days=7 * number) for number in reversed(range(weeks))]
    bounds = [instant(created, local_midnight(one, zone)) for one in mondays] + [instant(created, now)]
    moments = postgresql.ARRAY(created.type)
    columns = (
        sa.bindparam("mondays", mondays, type_=postgresql.ARRAY(sa.Date()), unique=True),
        sa.bindparam("firsts", bounds[:-1], type_=moments, unique=True),
        sa.bindparam("lasts", bounds[1:], type_=moments, unique=True),
    )
    kinds = (sa.column("week", sa.Date()), sa.column("first", created.type), sa.column("last", created.type))
    unnested = sa.func.unnest(*columns).table_valued(*kinds, name="span").render_derived()
    return sa.select(unnested.c.week, unnested.c.first, unnested.c.last).cte("spans")
