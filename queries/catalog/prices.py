"""Money in the statement: what credits that are left were paid, and what those that expired were."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_search
from queries.catalog.rollforward import Months
from queries.catalog.statements import matching, statement
from queries.catalog.sums import counted, summed, text
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, instant

# Decimals of an amount of money.
CENTS = 2


@catalog_query("statements.prices")
def prices(
    tables: Tables,
    scope: Scope,
    *,
    months: tuple[date, ...],
    zone: str,
    now: datetime,
    search: str,
    version: str = "",
) -> sa.Select[Any]:
    """One row per currency, the one with most left first, and one with currency null for tenants that never paid a
    price: currency, tenants, purchased_credits and paid (of all purchases with a price up to the last month's end),
    closing_credits and deferred (of the last month), expired_credits and breakage (of all the months).

    A credit of a tenant is worth what its purchases with a price cost on average, all of them up to the last month's
    end. A tenant that paid in several currencies has its credits divided among these in proportion to the credits that
    it bought with each, so deferred = closing credits x paid / purchased credits of all currencies: nothing counts
    twice, and currencies are never added. Prices are those of the ledger now, also where months are closed and their
    credits are as they were frozen: a purchase posted later with an older date changes what these are worth. A balance
    below 0 counts as 0. Amounts are rounded per tenant, to two decimals.
    """
    del version
    checked_search(search)
    asked = Months(months, zone, now)
    rows = matching(tables, scope, statement(tables, scope, asked), search).cte("matching")
    left = sa.case((rows.c.month == asked.ordered[-1], sa.func.greatest(rows.c.closing, 0)), else_=0)
    of_tenant = (
        sa.select(
            rows.c.tenant_id,
            sa.func.sum(left).label("closing"),
            sa.func.sum(sa.func.greatest(rows.c.expired, 0)).label("expired"),
        )
        .group_by(rows.c.tenant_id)
        .cte("of_tenant")
    )
    paid = _paid(tables, scope, asked)

    def share(of: sa.ColumnElement[Any], credits: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        # Multiplied before it is divided: what comes out even stays even.
        return _rounded(sa.func.coalesce(sa.cast(of, sa.Numeric()) * credits / paid.c.all_credits, of))

    def worth(of: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return _rounded(sa.cast(of, sa.Numeric()) * paid.c.paid / paid.c.all_credits)

    deferred = worth(of_tenant.c.closing)
    return (
        sa.select(
            paid.c.currency,
            counted().label("tenants"),
            summed(paid.c.credits).label("purchased_credits"),
            summed(paid.c.paid).label("paid"),
            share(of_tenant.c.closing, paid.c.credits).label("closing_credits"),
            deferred.label("deferred"),
            share(of_tenant.c.expired, paid.c.credits).label("expired_credits"),
            worth(of_tenant.c.expired).label("breakage"),
        )
        .select_from(of_tenant.outerjoin(paid, paid.c.tenant_id == of_tenant.c.tenant_id))
        .group_by(paid.c.currency)
        .order_by(deferred.desc().nulls_last(), paid.c.currency)
    )


def _paid(tables: Tables, scope: Scope, months: Months) -> sa.CTE:
    """tenant_id, currency, credits, paid, all_credits (with any currency): purchases with a price of one tenant."""
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    bought = (
        sa.select(
            text(ledger.c.tenant_id).label("tenant_id"),
            ledger.c.currency,
            summed(ledger.c.amount).label("credits"),
            summed(ledger.c.price_paid).label("paid"),
        )
        .where(
            scope.predicate(ledger.c.tenant_id),
            posted < instant(posted, months.end(months.ordered[-1])),
            tables.has(ledger.c.type, "transaction_type", "purchased"),
            ledger.c.price_paid.is_not(None),
            ledger.c.currency.is_not(None),
        )
        .group_by(ledger.c.tenant_id, ledger.c.currency)
        .cte("bought")
    )
    all_ = sa.func.sum(bought.c.credits).over(partition_by=bought.c.tenant_id)
    paid = sa.select(*bought.c, sa.cast(all_, sa.Numeric()).label("all_credits")).cte("paid_by_tenant")
    return sa.select(*paid.c).where(paid.c.all_credits > 0).cte("paid")


def _rounded(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The sum over tenants of an amount that is rounded for each."""
    return sa.func.sum(sa.func.round(amount, CENTS), type_=sa.Numeric())
