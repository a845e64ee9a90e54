"""Questions about tenants: the list of all, the sums over it, and one tenant's header."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_page, checked_search
from queries.catalog.gaps import every_bucket
from queries.catalog.portfolio import (
    Days,
    burn_by_day,
    last_seen,
    latency,
    matching,
    matching_tenants,
    tenant_rows,
    usage_by_bucket,
    with_subscription,
)
from queries.catalog.sums import counted, is_burn, net_burn_credits, summed, summed_again, text
from queries.errors import ArgumentError
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, aware, bucket, comparable, facts, instant, within

SORTS = (
    "tenant",
    "tenant_id",
    "plan",
    "subscription_status",
    "renews_at",
    "credits_left",
    "credits_per_period",
    "burn_28d_credits",
    "generations_28d",
    "generations_7d",
    "generations_prev_7d",
    "change_7d",
    "is_new",
    "succeeded_28d",
    "failed_28d",
    "success_rate",
    "last_seen_at",
)


@catalog_query("tenants.portfolio")
def portfolio(
    tables: Tables,
    scope: Scope,
    *,
    now: datetime,
    zone: str,
    search: str,
    plans: tuple[str, ...],
    sort: str,
    descending: bool,
    offset: int,
    limit: int,
) -> sa.Select[Any]:
    """One row per tenant of the page: tenant_id, tenant, plan, subscription_status, renews_at, credits_left (posted),
    credits_per_period, generations_28d, generations_7d, generations_prev_7d, succeeded_28d, failed_28d,
    burn_28d_credits, last_seen_at, change_7d and is_new (against a base of 0), success_rate, burn_daily (the net burn
    of each of the last 28 complete local days, oldest first), matching_tenants (the same in each row).

    `search` is part of the name, whatever its case; `plans` of none means any, and "" stands for no plan.
    """
    checked_choice("sort", sort, SORTS)
    checked_search(search)
    checked_page(offset, limit)
    days = Days(now, zone)
    rows = tenant_rows(tables, scope, days, search, plans, since_days=28).cte("rows")
    seen = last_seen(tables, scope, days, rows).label("last_seen_at")
    listed = sa.select(*(one for one in rows.c if one.key != "newest_at"), *_ratios(rows), seen).cte("listed")
    order = _order(listed, sort, descending)
    page = sa.select(listed, sa.func.count().over().label("matching_tenants")).order_by(*order)
    page_rows = page.offset(offset).limit(limit).cte("page")
    burn = burn_by_day(tables, scope, days, page_rows)
    shown = [
        text(one).label(one.key) if one.key in ("plan", "subscription_status") else one
        for one in page_rows.c
        if one.key not in ("key", "burn_7d_credits")
    ]
    return (
        sa.select(*shown, burn.c.burn_daily)
        .select_from(page_rows.join(burn, burn.c.key == page_rows.c.key))
        .order_by(*_order(page_rows, sort, descending))
    )


@catalog_query("tenants.portfolio_totals")
def portfolio_totals(
    tables: Tables, scope: Scope, *, now: datetime, zone: str, search: str, plans: tuple[str, ...]
) -> sa.Select[Any]:
    """One row over the matching tenants: tenants, active_tenants_28d (at least one successful generation),
    generations_28d, burn_28d_credits, succeeded_28d, failed_28d, all in the last 28 complete days; the same in the 28
    days before: active_tenants_prev_28d, generations_prev_28d, burn_prev_28d_credits, succeeded_prev_28d,
    failed_prev_28d; credits_left (posted), running_low (less left than seven days at the burn rate of the last seven),
    p95_ms (of the last 28 days; null under 20 successful generations)."""
    checked_search(search)
    days = Days(now, zone)
    rows = tenant_rows(tables, scope, days, search, plans, since_days=56).cte("rows")
    took = latency(tables, scope, days, search, plans).cte("took")
    is_low = sa.and_(rows.c.burn_7d_credits > 0, rows.c.credits_left < rows.c.burn_7d_credits)
    sums = (
        "generations_28d",
        "generations_prev_28d",
        "burn_28d_credits",
        "burn_prev_28d_credits",
        "succeeded_28d",
        "succeeded_prev_28d",
        "failed_28d",
        "failed_prev_28d",
        "credits_left",
    )
    figures = [
        counted().label("tenants"),
        counted(rows.c.succeeded_28d > 0).label("active_tenants_28d"),
        counted(rows.c.succeeded_prev_28d > 0).label("active_tenants_prev_28d"),
        *(summed_again(rows.c[one]).label(one) for one in sums),
        counted(is_low).label("running_low"),
        sa.select(took.c.p95_ms).scalar_subquery().label("p95_ms"),
    ]
    return sa.select(*figures).select_from(rows)


@catalog_query("tenants.portfolio_daily", finish=every_bucket)
def portfolio_daily(
    tables: Tables, scope: Scope, *, period: Period, search: str, plans: tuple[str, ...]
) -> sa.Select[Any]:
    """bucket_start, generations, succeeded, failed, active_tenants (at least one successful generation in the bucket),
    net_burn_credits, over the matching tenants; every bucket that has begun, in order."""
    checked_search(search)
    wanted = matching_tenants(tables, scope, search, plans) if search or plans else None
    usage = usage_by_bucket(tables, scope, period, wanted).cte("usage")
    burn = _burn_by_bucket(tables, scope, period, wanted).cte("burn")
    measures = [*usage.c, burn.c.net_burn_credits]
    return sa.select(
        sa.func.coalesce(usage.c.bucket_start, burn.c.bucket_start).label("bucket_start"),
        *(sa.func.coalesce(one, 0).label(one.key) for one in measures if one.key != "bucket_start"),
    ).select_from(usage.outerjoin(burn, usage.c.bucket_start == burn.c.bucket_start, full=True))


@catalog_query("tenants.tenant_choices")
def tenant_choices(tables: Tables, scope: Scope, *, search: str, limit: int) -> sa.Select[Any]:
    """tenant_id, tenant: the first by name of those whose name holds the search."""
    checked_search(search)
    checked_page(0, limit)
    tenant = tables.organization
    return (
        sa.select(text(tenant.c.tenant_id).label("tenant_id"), tenant.c.name.label("tenant"))
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, ()))
        .order_by(sa.func.lower(tenant.c.name), tenant.c.tenant_id)
        .limit(limit)
    )


@catalog_query("tenants.plans")
def plans(tables: Tables, scope: Scope) -> sa.Select[Any]:
    """plan, tenants: how many tenants are on each plan, in the plans' own order; "" is no plan."""
    tenant, plan = tables.organization, tables.subscription.c.plan
    return (
        sa.select(sa.func.coalesce(text(plan), "", type_=sa.Text()).label("plan"), sa.func.count().label("tenants"))
        .select_from(with_subscription(tables, scope))
        .where(scope.predicate(tenant.c.tenant_id))
        .group_by(plan)
        .order_by(plan.asc().nulls_last())
    )


@catalog_query("tenants.header", freshness="live")
def header(tables: Tables, scope: Scope, *, now: datetime) -> sa.Select[Any]:
    """One row, none when the tenant is unknown: tenant_id, tenant, plan, subscription_status, period_start, renews_at,
    credits_per_period, credits_left (posted), in_flight_credits (of generations that are not terminal), reset_at,
    users, created_at, newest_generation_at, used_in_period_credits (net burn of the subscription period so far)."""
    if scope.ids is None or len(scope.ids) != 1:
        raise ArgumentError("the header is of exactly one tenant; narrow the scope to it")
    tenant, subscription, balance = tables.organization, tables.subscription, tables.credit_balance
    of_balance = sa.and_(balance.c.tenant_id == tenant.c.tenant_id, scope.predicate(balance.c.tenant_id))
    usage, used = _usage_so_far(tables, scope, now).cte("usage"), _used_in_period(tables, scope, now).cte("used")
    users = sa.select(sa.func.count()).where(scope.predicate(tables.user.c.tenant_id)).select_from(tables.user)
    source = with_subscription(tables, scope).outerjoin(balance, of_balance)
    return (
        sa.select(
            text(tenant.c.tenant_id).label("tenant_id"),
            tenant.c.name.label("tenant"),
            text(subscription.c.plan).label("plan"),
            text(subscription.c.status).label("subscription_status"),
            aware(subscription.c.period_start).label("period_start"),
            aware(subscription.c.period_end).label("renews_at"),
            subscription.c.credits_per_period.label("credits_per_period"),
            balance.c.balance.label("credits_left"),
            usage.c.in_flight_credits,
            aware(balance.c.reset_at).label("reset_at"),
            users.scalar_subquery().label("users"),
            aware(tenant.c.created_at).label("created_at"),
            aware(usage.c.newest_at).label("newest_generation_at"),
            used.c.used_in_period_credits,
        )
        .select_from(source.join(usage, sa.true()).join(used, sa.true()))
        .where(scope.predicate(tenant.c.tenant_id))
    )


def _burn_by_bucket(tables: Tables, scope: Scope, period: Period, wanted: sa.Select[Any] | None) -> sa.Select[Any]:
    ledger = tables.credit_transaction
    posted = bucket(ledger.c.created_at, period)
    burn = (
        sa.select(posted.label("bucket_start"), net_burn_credits(tables).label("net_burn_credits"))
        .where(scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period), is_burn(tables))
        .group_by(posted)
    )
    return burn if wanted is None else burn.where(ledger.c.tenant_id.in_(wanted))


def _ratios(rows: sa.CTE) -> list[sa.ColumnElement[Any]]:
    base, latest = rows.c.generations_prev_7d, rows.c.generations_7d
    terminal = rows.c.succeeded_28d + rows.c.failed_28d
    return [
        (sa.cast(latest - base, sa.Double) / sa.func.nullif(base, 0)).label("change_7d"),
        sa.and_(base == 0, latest > 0).label("is_new"),
        (sa.cast(rows.c.succeeded_28d, sa.Double) / sa.func.nullif(terminal, 0)).label("success_rate"),
    ]


def _order(listed: sa.CTE, sort: str, descending: bool) -> list[sa.ColumnElement[Any]]:
    column = sa.func.lower(listed.c.tenant) if sort == "tenant" else listed.c[sort]
    return [(column.desc() if descending else column.asc()).nulls_last(), listed.c.key.asc()]


def _usage_so_far(tables: Tables, scope: Scope, now: datetime) -> sa.Select[Any]:
    """One pass over all generations of the tenant: one that hangs counts, however old it is."""
    rows = facts(tables)
    unfinished = tables.has(rows.c.status, "generation_status", "unfinished")
    return sa.select(
        summed(rows.c.credits_used, unfinished).label("in_flight_credits"),
        sa.func.max(rows.c.created_at).label("newest_at"),
    ).where(scope.predicate(rows.c.tenant_id), rows.c.created_at < instant(rows.c.created_at, now))


def _used_in_period(tables: Tables, scope: Scope, now: datetime) -> sa.Select[Any]:
    ledger, subscription = tables.credit_transaction, tables.subscription
    posted, began = ledger.c.created_at, subscription.c.period_start
    since = sa.select(sa.func.max(comparable(began, posted))).where(scope.predicate(subscription.c.tenant_id))
    return sa.select(net_burn_credits(tables).label("used_in_period_credits")).where(
        scope.predicate(ledger.c.tenant_id),
        is_burn(tables),
        posted >= since.scalar_subquery(),
        posted < instant(posted, now),
    )
