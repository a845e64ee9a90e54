"""Questions about the credit statement: the roll-forward per tenant and month, and what it comes to."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_page, checked_search
from queries.catalog.closed import Closed
from queries.catalog.rollforward import (
    ALL,
    KINDS,
    PROVISIONAL,
    TAKEN,
    UNEXPLAINED,
    Months,
    credits_type,
    sums_at_bounds,
)
from queries.catalog.sums import Column, counted, summed, text
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, Tables

FIGURES = ("opening", *KINDS, "closing", UNEXPLAINED)
COLUMNS = ("tenant_id", "tenant", "month", "zone", *FIGURES, "status")
SORTS = ("tenant", "month", *FIGURES)


def statement_rows(
    tables: Tables, scope: Scope, *, months: tuple[date, ...], zone: str, now: datetime
) -> sa.Select[Any]:
    """tenant_id, tenant, month (its first day), zone, opening, purchased, granted, refunded, adjusted, burned, expired,
    closing, unexplained, status, by tenant_id and month: one row per tenant and month, for tenants with a movement or
    a difference up to the month's end.

    opening + purchased + granted + refunded + adjusted - burned - expired + unexplained = closing, and a month opens
    with what the month before closed with. The running month ends at `now`. A month that was closed in this zone is
    exactly as it was frozen; the first month after it takes what was posted since then with an older date.
    """
    rows = statement(tables, scope, Months(months, zone, now))
    return sa.select(*(rows.c[one] for one in COLUMNS)).order_by(sa.collate(rows.c.tenant_id, "C"), rows.c.month)


def kind_sums(tables: Tables) -> dict[str, Column]:
    """For each kind the exact sum of a group of the ledger's rows, with the sign that is shown: burned and expired
    credits are positive. Movements of a type that no kind maps to are in none of them."""
    ledger = tables.credit_transaction

    def of(kind: str) -> Column:
        amount = -ledger.c.amount if kind in TAKEN else ledger.c.amount
        return summed(amount, tables.has(ledger.c.type, "transaction_type", kind))

    return {kind: of(kind) for kind in KINDS}


def statement(tables: Tables, scope: Scope, months: Months) -> sa.CTE:
    """The rows of `statement_rows`, in no order."""
    sums, kind = sums_at_bounds(tables, scope, months), credits_type(tables)
    if tables.history is None:
        return _named(tables, scope, _rows(sums, kind).cte("open_rows"), months).cte("statement")
    closed = Closed(tables.history, scope, months.zone)
    open_ = _rows(closed.held(sums, kind), kind).cte("open_rows")
    is_open = sa.or_(
        closed.months.c.first.is_(None), open_.c.month < closed.months.c.first, open_.c.month > closed.months.c.last
    )
    named = _named(tables, scope, open_, months, closed.months).where(is_open)
    return sa.union_all(named, closed.rows(months, kind)).cte("statement")


def _named(tables: Tables, scope: Scope, open_: sa.CTE, months: Months, beside: sa.CTE | None = None) -> sa.Select[Any]:
    tenant = tables.organization
    names = (
        sa.select(text(tenant.c.tenant_id).label("key"), tenant.c.name)
        .where(scope.predicate(tenant.c.tenant_id))
        .cte("names")
    )
    source = open_.outerjoin(names, names.c.key == open_.c.tenant_id)
    return sa.select(
        open_.c.tenant_id,
        names.c.name.label("tenant"),
        open_.c.month,
        sa.literal(months.zone, sa.Text()).label("zone"),
        *(open_.c[one] for one in FIGURES),
        sa.literal(PROVISIONAL, sa.Text()).label("status"),
    ).select_from(source if beside is None else source.join(beside, sa.true()))


def _rows(sums: sa.CTE, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """tenant_id, month and the figures, where there has been anything."""

    def moved(one: str) -> Column:
        change = sums.c[f"{one}_after"] - sums.c[f"{one}_before"]
        return (-change if one in TAKEN else change).label(one)

    def all_of(edge: str) -> Column:
        first, *rest = (sums.c[f"{one}_{edge}"] for one in ALL)
        return sa.type_coerce(sum(rest, first), kind)

    return sa.select(
        sums.c.tenant_id,
        sums.c.month,
        all_of("before").label("opening"),
        *(moved(one) for one in KINDS),
        all_of("after").label("closing"),
        moved(UNEXPLAINED),
    ).where(
        sa.or_(sums.c.movements > 0, *(sums.c[f"{one}_{edge}"] != 0 for one in ALL for edge in ("before", "after")))
    )


@catalog_query("statements.monthly")
def monthly(
    tables: Tables,
    scope: Scope,
    *,
    months: tuple[date, ...],
    zone: str,
    now: datetime,
    search: str,
    differing: bool,
    sort: str,
    descending: bool,
    offset: int,
    limit: int,
    version: str = "",
) -> sa.Select[Any]:
    """One page of the rows of `statement_rows`, in order of `sort` (unexplained by its size), then by name and month:
    tenant_id, tenant, month, zone, opening, purchased, granted, refunded, adjusted, burned, expired, closing,
    unexplained, status; and of all rows that match, the same in each row: total_rows, all_opening (of the first month),
    all_purchased, all_granted, all_refunded, all_adjusted, all_burned, all_expired, all_closing (of the last month),
    all_unexplained.

    `search` is part of a name that the tenant has, or had when a month was closed, whatever its case: all its months
    match. `differing` leaves the tenants of which something is unexplained in one of the months. Another `version` is
    another question: whoever has closed a month asks it.
    """
    del version
    checked_search(search)
    checked_choice("sort", sort, SORTS)
    checked_page(offset, limit)
    asked = Months(months, zone, now)
    rows = matching(tables, scope, statement(tables, scope, asked), search, differing=differing).cte("matching")
    first, last = asked.ordered[0], asked.ordered[-1]
    of_month = {"opening": rows.c.month == first, "closing": rows.c.month == last}
    all_ = [_whole(rows.c[one], of_month.get(one), tables).label(f"all_{one}") for one in FIGURES]
    name = sa.func.lower(sa.func.coalesce(rows.c.tenant, rows.c.tenant_id))
    by = {"tenant": name, UNEXPLAINED: sa.func.abs(rows.c[UNEXPLAINED])}.get(sort, rows.c.get(sort))
    assert by is not None, "each sort is a column"
    return (
        sa.select(*(rows.c[one] for one in COLUMNS), sa.func.count().over().label("total_rows"), *all_)
        .order_by(by.desc() if descending else by.asc(), name, rows.c.tenant_id, rows.c.month)
        .offset(offset)
        .limit(limit)
    )


@catalog_query("statements.totals")
def totals(
    tables: Tables,
    scope: Scope,
    *,
    months: tuple[date, ...],
    zone: str,
    now: datetime,
    search: str,
    version: str = "",
) -> sa.Select[Any]:
    """One row per month that has a statement, the latest first: month, tenants, opening, purchased, granted, refunded,
    adjusted, burned, expired, closing, unexplained (their sum over tenants, in which opposite ones cancel out),
    differing_tenants (how many have something unexplained), differing_credits (the sum of its sizes), status, and the
    same in each row known_since (when a balance was written down first; null when none was)."""
    del version
    checked_search(search)
    rows = matching(tables, scope, statement(tables, scope, Months(months, zone, now)), search).cte("matching")
    return (
        sa.select(
            rows.c.month,
            counted().label("tenants"),
            *(sa.cast(sa.func.sum(rows.c[one]), credits_type(tables)).label(one) for one in FIGURES),
            counted(rows.c[UNEXPLAINED] != 0).label("differing_tenants"),
            sa.cast(sa.func.sum(sa.func.abs(rows.c[UNEXPLAINED])), credits_type(tables)).label("differing_credits"),
            sa.func.min(rows.c.status).label("status"),
            _known_since(tables, scope).label("known_since"),
        )
        .group_by(rows.c.month)
        .order_by(rows.c.month.desc())
    )


def _known_since(tables: Tables, scope: Scope) -> Column:
    if tables.history is None:
        return sa.cast(sa.null(), AwareTime())
    seen = tables.history.balance_snapshot
    first = sa.select(sa.func.min(seen.c.taken_at)).where(
        scope.predicate(seen.c.tenant_id), seen.c.balance.is_not(None)
    )
    return first.scalar_subquery()


def matching(tables: Tables, scope: Scope, rows: sa.CTE, search: str, *, differing: bool = False) -> sa.Select[Any]:
    """All rows of a statement of the tenants whose name, or a name that was frozen with a closed month, holds the
    search; with `differing` of those of which something is unexplained in one of the rows."""
    found = sa.select(*(rows.c[one] for one in COLUMNS))
    if search:
        found = found.where(rows.c.tenant_id.in_(_called(tables, scope, rows, search)))
    if differing:
        found = found.where(
            rows.c.tenant_id
            == sa.any_(sa.func.array(sa.select(rows.c.tenant_id).where(rows.c[UNEXPLAINED] != 0).scalar_subquery()))
        )
    return found


def _called(tables: Tables, scope: Scope, rows: sa.CTE, search: str) -> sa.CompoundSelect[Any]:
    """The tenants that the search finds: their months go together, whatever name each of these has."""
    tenant = tables.organization
    nameless = sa.and_(rows.c.tenant.is_(None), rows.c.tenant_id.icontains(search, autoescape=True))
    ways = [
        sa.select(text(tenant.c.tenant_id)).where(
            scope.predicate(tenant.c.tenant_id), tenant.c.name.icontains(search, autoescape=True)
        ),
        sa.select(rows.c.tenant_id).where(nameless),
    ]
    if tables.history is not None:
        frozen = tables.history.closed_statement
        ways.append(
            sa.select(frozen.c.tenant_id).where(
                scope.predicate(frozen.c.tenant_id), frozen.c.tenant.icontains(search, autoescape=True)
            )
        )
    return sa.union(*ways)


def _whole(column: Column, condition: sa.ColumnElement[bool] | None, tables: Tables) -> Column:
    """The sum over all rows, in each of them."""
    total = sa.func.sum(column)
    whole = total.over() if condition is None else total.filter(condition).over()
    return sa.cast(sa.func.coalesce(whole, 0), credits_type(tables))
