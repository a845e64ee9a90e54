"""What was posted into closed months after they were closed, and which month holds it instead."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.arguments import checked_page
from queries.catalog.closed import Closed, shifted
from queries.catalog.rollforward import CLOSED, KINDS, PROVISIONAL, TAKEN, Months, credits_type, sums_at_bounds
from queries.catalog.sums import Column, counted, text
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, History, Tables


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
    """One row per correction of these months, the latest month first, then what was found last: tenant_id, tenant,
    month (the last closed one when it was found: it was posted into that or an earlier month), kind, credits (more than
    was known before; burned and expired ones are positive), counted_in (the month after, which takes it),
    counted_status (of that month), found_at (when it was written down; null for what the last closed month differs by
    beyond that, which is found just now), closed_at (of the month), total_rows."""
    del version
    checked_page(offset, limit)
    kind = credits_type(tables)
    if tables.history is None:
        return _none(tables, scope, kind)
    asked, history = Months(months, zone, now), tables.history
    closed, closed_month = Closed(history, scope, zone), history.closed_month
    written = _written(history, scope, asked)
    found = sa.union_all(sa.select(*written.c), _unwritten(tables, scope, asked, closed, written)).cte("found")
    tenant = tables.organization
    names = (
        sa.select(text(tenant.c.tenant_id).label("key"), tenant.c.name)
        .where(scope.predicate(tenant.c.tenant_id))
        .cte("names")
    )
    of_month = sa.and_(closed_month.c.month == found.c.month, closed_month.c.zone == zone)
    is_closed = found.c.month < closed.months.c.last
    place = sa.case({one: number for number, one in enumerate(KINDS)}, value=found.c.kind)
    return (
        sa.select(
            found.c.tenant_id,
            names.c.name.label("tenant"),
            found.c.month,
            found.c.kind,
            sa.cast(found.c.credits, kind).label("credits"),
            shifted(found.c.month, 1).label("counted_in"),
            sa.case((is_closed, CLOSED), else_=PROVISIONAL).label("counted_status"),
            found.c.found_at,
            closed_month.c.closed_at,
            sa.func.count().over().label("total_rows"),
        )
        .select_from(
            found.join(closed.months, sa.true())
            .outerjoin(closed_month, of_month)
            .outerjoin(names, names.c.key == found.c.tenant_id)
        )
        .order_by(
            found.c.month.desc(),
            found.c.found_at.desc().nulls_first(),
            sa.func.lower(names.c.name),
            found.c.tenant_id,
            place,
            found.c.credits,
        )
        .offset(offset)
        .limit(limit)
    )


@catalog_query("statements.taken_off", freshness="live")
def taken_off(
    tables: Tables, scope: Scope, *, months: tuple[date, ...], zone: str, now: datetime, version: str = ""
) -> sa.Select[Any]:
    """What was posted into months before the first closed one after that was closed, if the month just before it is one
    of these: the months in which it lies show it, and this one takes it off again, so that it ends with what the closed
    month opened with. One row per kind, in their order: month, kind, credits (burned and expired ones are positive),
    tenants, closed_month (the first), counted_in (the month that holds them instead; null where it may be several)."""
    del version
    kind = credits_type(tables)
    if tables.history is None:
        return _none_off(tables, scope, kind)
    asked = Months(months, zone, now)
    closed = Closed(tables.history, scope, zone)
    sums, known = sums_at_bounds(tables, scope, asked), closed.edge("first").cte("known")
    read = (
        sa.select(*sums.c)
        .select_from(sums.join(closed.months, sa.true()))
        .where(sums.c.month == closed.before_first)
        .cte("read")
    )

    def late(one: str) -> Column:
        more = sa.func.coalesce(read.c[f"{one}_after"], 0) - sa.func.coalesce(known.c[one], 0)
        return sa.cast(-more if one in TAKEN else more, kind).label(one)

    off = (
        sa.select(*(late(one) for one in KINDS))
        .select_from(read.outerjoin(known, known.c.tenant_id == read.c.tenant_id, full=True))
        .cte("off")
    )
    by_kind = sa.union_all(
        *(
            sa.select(
                sa.literal(one, sa.Text()).label("kind"),
                sa.literal(place, sa.Integer()).label("place"),
                sa.cast(sa.func.sum(off.c[one]), kind).label("credits"),
                counted().label("tenants"),
            ).where(off.c[one] != 0)
            for place, one in enumerate(KINDS)
        )
    ).cte("by_kind")
    wanted = sa.bindparam("wanted", list(asked.ordered), type_=postgresql.ARRAY(sa.Date()), unique=True)
    is_one = closed.months.c.first == closed.months.c.last
    return (
        sa.select(
            closed.before_first.label("month"),
            by_kind.c.kind,
            by_kind.c.credits,
            by_kind.c.tenants,
            closed.months.c.first.label("closed_month"),
            sa.case((is_one, closed.first_open)).label("counted_in"),
        )
        .select_from(by_kind.join(closed.months, sa.true()))
        .where(by_kind.c.tenants > 0, closed.before_first == sa.any_(wanted))
        .order_by(by_kind.c.place)
    )


def _written(history: History, scope: Scope, asked: Months) -> sa.CTE:
    """tenant_id, month, kind, credits, found_at: the corrections of these months that were written down."""
    written = history.correction
    wanted = sa.bindparam("wanted", list(asked.ordered), type_=postgresql.ARRAY(sa.Date()), unique=True)
    columns = (written.c[one] for one in ("tenant_id", "month", "kind", "credits", "found_at"))
    return (
        sa.select(*columns)
        .where(scope.predicate(written.c.tenant_id), written.c.zone == asked.zone, written.c.month == sa.any_(wanted))
        .cte("written")
    )


def _unwritten(tables: Tables, scope: Scope, asked: Months, closed: Closed, written: sa.CTE) -> sa.Select[Any]:
    """What the ledger up to the end of the last closed month says beyond what was frozen and written down."""
    last = sa.select(closed.months.c.last).scalar_subquery()
    of_sums, of_frozen = sums_at_bounds(tables, scope, asked), closed.frozen(asked).cte("frozen")
    sums = sa.select(*of_sums.c).where(of_sums.c.month == last).cte("sums_of_last")
    frozen = sa.select(*of_frozen.c).where(of_frozen.c.month == last).cte("frozen_of_last")
    both = frozen.outerjoin(sums, sums.c.tenant_id == frozen.c.tenant_id, full=True)

    def more(one: str) -> Column:
        read = -sums.c[f"{one}_after"] if one in TAKEN else sums.c[f"{one}_after"]
        return (sa.func.coalesce(read, 0) - sa.func.coalesce(frozen.c[f"to_date_{one}"], 0)).label(one)

    key = sa.func.coalesce(frozen.c.tenant_id, sums.c.tenant_id).label("tenant_id")
    off = sa.select(key, *(more(one) for one in KINDS)).select_from(both).cte("off")
    amounts = sa.union_all(
        *(
            sa.select(off.c.tenant_id, sa.literal(one, sa.Text()).label("kind"), off.c[one].label("credits"))
            for one in KINDS
        ),
        sa.select(written.c.tenant_id, written.c.kind, -written.c.credits).where(written.c.month == last),
    ).cte("off_amounts")
    left = sa.func.sum(amounts.c.credits)
    return (
        sa.select(
            amounts.c.tenant_id,
            last.label("month"),
            amounts.c.kind,
            left.label("credits"),
            sa.cast(sa.null(), AwareTime()).label("found_at"),
        )
        # Whether the last closed month is one of those asked for: the frozen rows of others are not read.
        .where(
            last == sa.any_(sa.bindparam("wanted", list(asked.ordered), type_=postgresql.ARRAY(sa.Date()), unique=True))
        )
        .group_by(amounts.c.tenant_id, amounts.c.kind)
        .having(left != 0)
    )


def _none(tables: Tables, scope: Scope, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """No row, with the same columns: without our history no month is closed."""
    dates, moments = ("month", "counted_in"), ("found_at", "closed_at")
    names = ("tenant_id", "tenant", "month", "kind", "credits", "counted_in", "counted_status", *moments, "total_rows")
    types: dict[str, sa.types.TypeEngine[Any]] = {one: sa.Text() for one in names}
    types |= {one: sa.Date() for one in dates} | {one: AwareTime() for one in moments}
    return _empty(tables, scope, {**types, "credits": kind, "total_rows": sa.BigInteger()})


def _none_off(tables: Tables, scope: Scope, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    day, number = sa.Date(), sa.BigInteger()
    types: dict[str, sa.types.TypeEngine[Any]] = {"month": day, "kind": sa.Text(), "credits": kind, "tenants": number}
    return _empty(tables, scope, {**types, "closed_month": day, "counted_in": day})


def _empty(tables: Tables, scope: Scope, types: dict[str, sa.types.TypeEngine[Any]]) -> sa.Select[Any]:
    tenant = tables.organization
    return (
        sa.select(*(sa.cast(sa.null(), type_).label(name) for name, type_ in types.items()))
        .select_from(tenant)
        .where(scope.predicate(tenant.c.tenant_id))
        .limit(0)
    )
