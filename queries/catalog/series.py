"""Usage split into its largest series and "Other", so that the parts sum to the total."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from queries.catalog.bins import binned
from queries.catalog.parts import usage_by_bin
from queries.catalog.sums import Column, summed_again, text
from queries.period import Period
from queries.scope import Scope
from queries.tables import Tables, bucket, facts

OTHER = "Other"
UNNAMED = "(none)"
SPLITS = {"type": "type", "status": "status", "model": "model", "user": "user_id", "tenant": "tenant_id"}


def largest_series(
    tables: Tables,
    where: Sequence[sa.ColumnElement[bool]],
    measures: Sequence[sa.Label[Any]],
    *,
    split: str,
    top: int,
    by: Period | None = None,
) -> sa.CTE:
    """Rows of place, key, owner, measures: the `top` series by generations, the rest with nulls. With a period, and so
    by its buckets, also bucket_start."""
    return _folded_series(_ranked(_counted(tables, where, measures, split, by)), measures, top, by)


def largest_tenants(tables: Tables, scope: Scope, measures: Sequence[sa.Label[Any]], *, top: int, by: Period) -> sa.CTE:
    """The same by tenant and bucket, as far as possible from the aggregates."""
    by_bin = usage_by_bin(tables, scope, by, by_tenant=True)
    start, tenant = bucket(by_bin.c.bin, by), by_bin.c.tenant_id
    sums = [summed_again(by_bin.c[one.name]).label(one.name) for one in measures]
    columns = (start.label("bucket_start"), tenant.label("key"), tenant.label("owner"))
    found = sa.select(*columns, *sums).group_by(start, tenant).cte("counted")
    return _folded_series(_ranked(found), measures, top, by)


def _folded_series(ranked: sa.CTE, measures: Sequence[sa.Label[Any]], top: int, by: Period | None) -> sa.CTE:
    is_named = ranked.c.place <= top
    groups: list[Column] = [sa.case((is_named, ranked.c[one])).label(one) for one in ("place", "key", "owner")]
    if by is not None:
        groups.insert(0, ranked.c.bucket_start)
    sums = [_folded(ranked.c[one.name]).label(one.name) for one in measures]
    return sa.select(*groups, *sums).group_by(*(_unlabelled(one) for one in groups)).cte("folded")


def labels(tables: Tables, scope: Scope, folded: sa.CTE, split: str) -> tuple[sa.FromClause, list[Column]]:
    """The FROM that knows the names of series, and the columns place, series_id and series."""
    key = text(folded.c.key)
    source, name = _named(tables, scope, folded, split)
    known = sa.func.coalesce(key, UNNAMED) if name is None else sa.func.coalesce(sa.func.nullif(name, ""), key, UNNAMED)
    label = sa.case((folded.c.place.is_(None), OTHER), else_=known)
    return source, [folded.c.place, key.label("series_id"), sa.cast(label, sa.Text).label("series")]


def _counted(
    tables: Tables,
    where: Sequence[sa.ColumnElement[bool]],
    measures: Sequence[sa.Label[Any]],
    split: str,
    by: Period | None,
) -> sa.CTE:
    rows = facts(tables)
    key = rows.c[SPLITS[split]]
    # A user is looked up within the tenant; for other splits the tenant would cut series into pieces.
    owned = split in ("user", "tenant")
    owner = rows.c.tenant_id if owned else sa.null()
    groups: list[Column] = [key, rows.c.tenant_id] if owned else [key]
    columns: list[Any] = [key.label("key"), owner.label("owner")]
    if by is None:
        return sa.select(*columns, *measures).where(*where).group_by(*groups).cte("counted")
    fine = binned(rows.c.created_at, by)
    by_bin = sa.select(fine.label("bin"), *columns, *measures).where(*where).group_by(fine, *groups).cte("by_bin")
    start = bucket(by_bin.c.bin, by)
    sums = [summed_again(by_bin.c[one.name]).label(one.name) for one in measures]
    return (
        sa.select(start.label("bucket_start"), by_bin.c.key, by_bin.c.owner, *sums)
        .group_by(start, by_bin.c.key, by_bin.c.owner)
        .cte("counted")
    )


def _ranked(counted_rows: sa.CTE) -> sa.CTE:
    """Each series' place by its generations in the whole period; ties by key, so that no two share a place."""
    whole = sa.func.sum(counted_rows.c.generations).over(partition_by=[counted_rows.c.key, counted_rows.c.owner])
    weighed = sa.select(counted_rows, whole.label("whole")).cte("weighed")
    place = sa.func.dense_rank().over(order_by=[weighed.c.whole.desc(), weighed.c.key, weighed.c.owner])
    return sa.select(weighed, place.label("place")).cte("ranked")


def _folded(measure: Column) -> Column:
    return (
        sa.func.max(measure)
        if isinstance(measure.type, sa.TIMESTAMP | sa.types.TypeDecorator)
        else summed_again(measure)
    )


def _unlabelled(column: Column) -> Column:
    return column.element if isinstance(column, sa.Label) else column


def _named(tables: Tables, scope: Scope, folded: sa.CTE, split: str) -> tuple[sa.FromClause, Column | None]:
    if split == "user":
        user = tables.user
        on = sa.and_(user.c.id == folded.c.key, user.c.tenant_id == folded.c.owner, scope.predicate(user.c.tenant_id))
        return folded.outerjoin(user, on), user.c.name
    if split == "tenant":
        tenant = tables.organization
        on = sa.and_(tenant.c.tenant_id == folded.c.key, scope.predicate(tenant.c.tenant_id))
        return folded.outerjoin(tenant, on), tenant.c.name
    return folded, None
