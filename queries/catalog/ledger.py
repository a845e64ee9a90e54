"""Questions about single movements of credits, and whether they add up to the balance."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_page
from queries.catalog.generations import newest_edge
from queries.catalog.sums import counted, summed, text
from queries.errors import ArgumentError
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, aware, instant, within


@catalog_query("ledger.page", freshness="live")
def page(tables: Tables, scope: Scope, *, period: Period, offset: int, limit: int) -> sa.Select[Any]:
    """One page of one tenant's movements of the period, newest first: movement_id, posted_at, type, amount (charges are
    negative), balance_after_credits (the sum of all movements of the tenant up to and including this one, also those
    before the period), user_id, user, generation_id, price_paid, currency, total_rows."""
    _one_tenant(scope)
    checked_page(offset, limit)
    ledger = tables.credit_transaction
    inside = [scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period)]
    where = [*inside, ledger.c.created_at >= newest_edge(ledger, inside, offset + limit)]
    newest_first = (ledger.c.created_at.desc(), ledger.c.id.desc())
    wanted = ("id", "user_id", "generation_id", "type", "amount", "price_paid", "currency", "created_at", "tenant_id")
    rows = (
        sa.select(*(ledger.c[one] for one in wanted))
        .where(*where)
        .order_by(*newest_first)
        .offset(offset)
        .limit(limit)
        .cte("rows")
    )
    sums = _sums_up_to(tables, scope, period, rows)
    user = tables.user
    of_user = sa.and_(
        user.c.id == rows.c.user_id, user.c.tenant_id == rows.c.tenant_id, scope.predicate(user.c.tenant_id)
    )
    # What came later on the same page is taken off the sum up to its newest row.
    order = (rows.c.created_at.desc(), rows.c.id.desc())
    later = sa.func.coalesce(sa.func.sum(rows.c.amount).over(order_by=order, rows=(None, -1)), 0)
    return (
        sa.select(
            text(rows.c.id).label("movement_id"),
            aware(rows.c.created_at).label("posted_at"),
            text(rows.c.type).label("type"),
            rows.c.amount.label("amount"),
            sa.cast(sums.c.sum_credits - later, sums.c.sum_credits.type).label("balance_after_credits"),
            text(rows.c.user_id).label("user_id"),
            user.c.name.label("user"),
            text(rows.c.generation_id).label("generation_id"),
            rows.c.price_paid.label("price_paid"),
            rows.c.currency.label("currency"),
            sums.c.total_rows,
        )
        .select_from(rows.join(sums, sa.true()).outerjoin(user, of_user))
        .order_by(*order)
    )


@catalog_query("ledger.reconciliation", freshness="live")
def reconciliation(tables: Tables, scope: Scope) -> sa.Select[Any]:
    """One row of one tenant: movements (how many), ledger_credits (their sum), credits_left (the posted balance; null
    without one), difference_credits (balance - ledger; null without a balance), first_posted_at, last_posted_at. All
    movements count, whatever their time: the balance was changed together with each of them."""
    _one_tenant(scope)
    ledger, balance = tables.credit_transaction, tables.credit_balance
    first, last = (
        sa.type_coerce(one(ledger.c.created_at), ledger.c.created_at.type) for one in (sa.func.min, sa.func.max)
    )
    sums = (
        sa.select(
            counted().label("movements"),
            summed(ledger.c.amount).label("ledger_credits"),
            first.label("first_at"),
            last.label("last_at"),
        )
        .where(scope.predicate(ledger.c.tenant_id))
        .cte("sums")
    )
    posted = sa.select(balance.c.balance).where(scope.predicate(balance.c.tenant_id)).cte("posted")
    return sa.select(
        sums.c.movements,
        sums.c.ledger_credits,
        posted.c.balance.label("credits_left"),
        (posted.c.balance - sums.c.ledger_credits).label("difference_credits"),
        aware(sums.c.first_at).label("first_posted_at"),
        aware(sums.c.last_at).label("last_posted_at"),
    ).select_from(sums.outerjoin(posted, sa.true()))


def _sums_up_to(tables: Tables, scope: Scope, period: Period, rows: sa.CTE) -> sa.CTE:
    """total_rows of the period, and sum_credits of all movements up to the page's newest row: one pass, unsorted."""
    ledger = tables.credit_transaction
    newest_first = (rows.c.created_at.desc(), rows.c.id.desc())
    newest_at, newest_id = (
        sa.select(one).order_by(*newest_first).limit(1).scalar_subquery() for one in (rows.c.created_at, rows.c.id)
    )
    posted = ledger.c.created_at
    not_later = sa.or_(posted < newest_at, sa.and_(posted == newest_at, ledger.c.id <= newest_id))
    return (
        sa.select(
            counted(within(posted, period)).label("total_rows"), summed(ledger.c.amount, not_later).label("sum_credits")
        )
        .where(scope.predicate(ledger.c.tenant_id), posted < instant(posted, period.until))
        .cte("sums")
    )


def _one_tenant(scope: Scope) -> None:
    if scope.ids is None or len(scope.ids) != 1:
        raise ArgumentError("a ledger with its balance is of exactly one tenant; narrow the scope to it")
