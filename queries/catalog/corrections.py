"""What the ledger says of closed months by now, against what it said when they were closed."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_page
from queries.catalog.closed import Closed
from queries.catalog.rollforward import KINDS, TAKEN, Months, credits_type, sums_at_bounds
from queries.catalog.sums import text
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, Tables


@catalog_query("statements.corrections", freshness="live")
def corrections(
    tables: Tables,
    scope: Scope,
    *,
    months: tuple[date, ...],
    zone: str,
    now: datetime,
    offset: int,
    limit: int,
    version: str = "",
) -> sa.Select[Any]:
    """One row per tenant, closed month and kind for which the ledger up to the month's end says something else now than
    when the month was closed, the latest month first: tenant_id, tenant, month, kind, credits (more than was frozen;
    burned and expired ones are positive), counted_in (the open month that holds them as corrections, for the last
    closed month; null for the months before it), found_at (when it was written down first; null where it is found just
    now, and for earlier months), closed_at, total_rows."""
    del version
    checked_page(offset, limit)
    kind = credits_type(tables)
    if tables.history is None:
        return _none(tables, scope, kind)
    asked = Months(months, zone, now)
    closed = Closed(tables.history, scope, zone)
    sums, frozen = sums_at_bounds(tables, scope, asked), closed.frozen(asked).cte("frozen")
    # Of a month that was not closed there is nothing to differ from.
    closed_at = sa.func.max(frozen.c.closed_at).over(partition_by=sa.func.coalesce(frozen.c.month, sums.c.month))
    off = (
        sa.select(
            sa.func.coalesce(frozen.c.tenant_id, sums.c.tenant_id).label("tenant_id"),
            sa.func.coalesce(frozen.c.month, sums.c.month).label("month"),
            closed_at.label("closed_at"),
            *(
                sa.cast(
                    sa.func.coalesce(-sums.c[f"{one}_after"] if one in TAKEN else sums.c[f"{one}_after"], 0)
                    - sa.func.coalesce(frozen.c[f"to_date_{one}"], 0),
                    kind,
                ).label(one)
                for one in KINDS
            ),
        )
        .select_from(
            frozen.outerjoin(
                sums, sa.and_(sums.c.tenant_id == frozen.c.tenant_id, sums.c.month == frozen.c.month), full=True
            )
        )
        .cte("off")
    )
    by_kind = sa.union_all(
        *(
            sa.select(
                off.c.tenant_id,
                off.c.month,
                off.c.closed_at,
                sa.literal(one, sa.Text()).label("kind"),
                sa.literal(place, sa.Integer()).label("place"),
                off.c[one].label("credits"),
            ).where(off.c[one] != 0, off.c.closed_at.is_not(None))
            for place, one in enumerate(KINDS)
        )
    ).cte("by_kind")
    tenant = tables.organization
    names = (
        sa.select(text(tenant.c.tenant_id).label("key"), tenant.c.name)
        .where(scope.predicate(tenant.c.tenant_id))
        .cte("names")
    )
    written = tables.history.correction
    found = (
        sa.select(
            written.c.tenant_id, written.c.month, written.c.kind, sa.func.min(written.c.found_at).label("found_at")
        )
        .where(scope.predicate(written.c.tenant_id), written.c.zone == zone)
        .group_by(written.c.tenant_id, written.c.month, written.c.kind)
        .cte("found")
    )
    of_row = sa.and_(
        found.c.tenant_id == by_kind.c.tenant_id,
        found.c.month == by_kind.c.month,
        found.c.kind == by_kind.c.kind,
        by_kind.c.month == closed.months.c.last,
    )
    counted_in = sa.case((by_kind.c.month == closed.months.c.last, closed.first_open))
    return (
        sa.select(
            by_kind.c.tenant_id,
            names.c.name.label("tenant"),
            by_kind.c.month,
            by_kind.c.kind,
            by_kind.c.credits,
            counted_in.label("counted_in"),
            found.c.found_at,
            by_kind.c.closed_at,
            sa.func.count().over().label("total_rows"),
        )
        .select_from(
            by_kind.join(closed.months, sa.true())
            .outerjoin(names, names.c.key == by_kind.c.tenant_id)
            .outerjoin(found, of_row)
        )
        .order_by(by_kind.c.month.desc(), sa.func.lower(names.c.name), by_kind.c.tenant_id, by_kind.c.place)
        .offset(offset)
        .limit(limit)
    )


def _none(tables: Tables, scope: Scope, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """No row, with the same columns: without our history no month is closed."""
    tenant = tables.organization
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "tenant_id": sa.Text(),
        "tenant": sa.Text(),
        "month": sa.Date(),
        "kind": sa.Text(),
        "credits": kind,
        "counted_in": sa.Date(),
        "found_at": AwareTime(),
        "closed_at": AwareTime(),
        "total_rows": sa.BigInteger(),
    }
    return (
        sa.select(*(sa.cast(sa.null(), type_).label(name) for name, type_ in types.items()))
        .select_from(tenant)
        .where(scope.predicate(tenant.c.tenant_id))
        .limit(0)
    )
