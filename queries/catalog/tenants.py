"""Questions about tenants: what flags and forecasts need of all, a page of their list, and one tenant's header."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_page, checked_search
from queries.catalog.parts import DAY, parts_of, put_together
from queries.catalog.portfolio import (
    COUNTED_SORTS,
    OWN_SORTS,
    Days,
    latency_of_page,
    matching,
    matching_tenants,
    newest_before,
    page_in_order,
    page_of_ids,
    with_balance,
    with_subscription,
)
from queries.catalog.signals import (
    burn_signals,
    history_days,
    quota_signals,
    usage_signals,
    used_in_period,
)
from queries.catalog.sums import is_burn, net_burn_credits, summed, summed_again, text
from queries.errors import ArgumentError
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, Tables, aware, comparable, facts, instant

SORTS = (*OWN_SORTS, *COUNTED_SORTS)
# Tenants of one answer of `signals`; more of them are an error that says so.
MOST_TENANTS = 50_000
_EVER = datetime(1, 1, 1, tzinfo=UTC)


@catalog_query("tenants.signals", row_limit=MOST_TENANTS)
def signals(
    tables: Tables, scope: Scope, *, now: datetime, zone: str, search: str, plans: tuple[str, ...]
) -> sa.Select[Any]:
    """All that flags and forecasts need, one row per matching tenant: tenant_id, tenant, plan, subscription_status,
    renewing (the subscription goes on after its period), period_start, renews_at, credits_per_period, credits_left
    (posted; null: no balance is known), history_days (complete local days from the first charge on, at most 56),
    burn_daily (the net burn of each of the last 56 complete local days, oldest first), used_in_period_credits (net burn
    since period_start up to now; null without a subscription), last_success_at, last_seen_at,
    limit_hit_days_28d and quota_peak_28d (count / limit at its highest; of complete days of UTC).

    Over the last 7 and 28 complete local days and over those before them: burn_7d_credits, burn_prev_7d_credits,
    burn_28d_credits, burn_prev_28d_credits, generations_7d, generations_prev_7d, generations_28d, generations_prev_28d,
    succeeded_7d, succeeded_prev_7d, succeeded_28d, succeeded_prev_28d, failed_7d, failed_prev_7d, failed_28d,
    failed_prev_28d, active_users_7d, active_users_28d, active_users_prev_28d (users with a successful generation).
    """
    checked_search(search)
    days = Days(now, zone)
    # OFFSET keeps the rows one relation: what is looked up for each reaches the index then, walls or not.
    rows = _signal_rows(tables, scope, days, search, plans).offset(0).cte("rows")
    before, success_before = (
        aware(newest_before(tables, scope, days, rows, status=status)) for status in (None, "succeeded")
    )
    seen = sa.func.coalesce(rows.c.newest_at, before, type_=AwareTime())
    success = sa.func.coalesce(rows.c.newest_success_at, success_before, type_=AwareTime())
    used = ("key", "began", "newest_at", "newest_success_at", "first_place", "whole_days_credits", "edge")
    return sa.select(
        *(one for one in rows.c if one.key not in used),
        history_days(tables, scope, days, rows).label("history_days"),
        used_in_period(tables, scope, rows).label("used_in_period_credits"),
        success.label("last_success_at"),
        seen.label("last_seen_at"),
    ).order_by(rows.c.key)


def _signal_rows(tables: Tables, scope: Scope, days: Days, search: str, plans: tuple[str, ...]) -> sa.Select[Any]:
    """One row per matching tenant, with what one pass over each table tells; `key` and what is still to be looked up
    (newest_at, newest_success_at, first_place, whole_days_credits, began, edge) beside it."""
    tenant, subscription, balance = tables.organization, tables.subscription, tables.credit_balance
    wanted = matching_tenants(tables, scope, search, plans)
    began = comparable(subscription.c.period_start, tables.credit_transaction.c.created_at).label("began")
    tenants = (
        sa.select(tenant.c.tenant_id.label("key"), began)
        .select_from(with_subscription(tables, scope))
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, plans))
        .cte("tenants")
    )
    usage, burn = usage_signals(tables, scope, days, wanted), burn_signals(tables, scope, days, wanted, tenants)
    quota = quota_signals(tables, scope, days, wanted)
    renewing = tables.has(subscription.c.status, "subscription_status", "renewing")
    counts = [one for one in usage.c if one.key not in ("key", "newest_at", "newest_success_at")]
    return (
        sa.select(
            tenant.c.tenant_id.label("key"),
            text(tenant.c.tenant_id).label("tenant_id"),
            tenant.c.name.label("tenant"),
            text(subscription.c.plan).label("plan"),
            text(subscription.c.status).label("subscription_status"),
            sa.func.coalesce(renewing, sa.false()).label("renewing"),
            began,
            aware(subscription.c.period_start).label("period_start"),
            aware(subscription.c.period_end).label("renews_at"),
            subscription.c.credits_per_period.label("credits_per_period"),
            balance.c.balance.label("credits_left"),
            *(one for one in burn.c if one.key != "key"),
            *(sa.func.coalesce(one, 0).label(one.key) for one in counts),
            usage.c.newest_at,
            usage.c.newest_success_at,
            sa.func.coalesce(quota.c.limit_hit_days_28d, 0).label("limit_hit_days_28d"),
            quota.c.quota_peak_28d,
        )
        .select_from(
            with_balance(tables, scope)
            .join(burn, burn.c.key == tenant.c.tenant_id)
            .outerjoin(usage, usage.c.key == tenant.c.tenant_id)
            .outerjoin(quota, quota.c.key == tenant.c.tenant_id)
        )
        .where(scope.predicate(tenant.c.tenant_id))
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
    ids: tuple[str, ...] | None = None,
) -> sa.Select[Any]:
    """One row per tenant of the page, in order: tenant_id, tenant, latency_rows and p95_ms (of the successful
    generations of the last 28 complete days; null under 20), matching_tenants (the same in each row). The other figures
    of the list are those of `tenants.signals`.

    `search` is part of the name, whatever its case; `plans` of none means any, and "" stands for no plan. `ids` are the
    page itself, in order, where the order is one that the database cannot know; the other arguments then say nothing.
    """
    checked_choice("sort", sort, SORTS)
    checked_search(search)
    checked_page(offset, limit)
    if ids is not None and len(ids) > limit:
        raise ArgumentError(f"the page has {len(ids):,} tenants; ask for at most {limit:,} rows")
    days = Days(now, zone)
    page = (
        page_of_ids(tables, scope, ids)
        if ids is not None
        else page_in_order(
            tables,
            scope,
            days,
            search=search,
            plans=plans,
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )
    )
    took = latency_of_page(tables, scope, days, page)
    return (
        sa.select(
            text(page.c.key).label("tenant_id"),
            page.c.tenant,
            took.c.latency_rows,
            took.c.p95_ms,
            page.c.matching_tenants,
        )
        .select_from(page.join(took, sa.true()))
        .order_by(page.c.place)
    )


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
    usage, used = _usage_so_far(tables, scope, now).cte("usage"), _used_in_period(tables, scope, now).cte("used")
    users = sa.select(sa.func.count()).where(scope.predicate(tables.user.c.tenant_id)).select_from(tables.user)
    source = with_balance(tables, scope)
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
            usage.c.newest_at.label("newest_generation_at"),
            used.c.used_in_period_credits,
        )
        .select_from(source.join(usage, sa.true()).join(used, sa.true()))
        .where(scope.predicate(tenant.c.tenant_id))
    )


def _usage_so_far(tables: Tables, scope: Scope, now: datetime) -> sa.Select[Any]:
    """Of all generations of the tenant: one that hangs counts, however old it is."""
    rows = facts(tables)
    found, sums = parts_of(tables, _EVER, now, (), DAY)
    unfinished = tables.has(rows.c.status, "generation_status", "unfinished")
    of_rows = sa.select(
        summed(rows.c.credits_used, unfinished).label("in_flight_credits"),
        aware(sa.func.max(rows.c.created_at)).label("newest_at"),
    ).where(scope.predicate(rows.c.tenant_id), found.of_rows(rows.c.created_at))
    of_sums = None
    if sums is not None:
        table = sums.usage_day
        hanging = tables.has(table.c.status, "generation_status", "unfinished")
        of_sums = sa.select(
            summed_again(table.c.credits, hanging).label("in_flight_credits"),
            sa.func.max(table.c.newest_at).label("newest_at"),
        ).where(scope.predicate(table.c.tenant_id), found.of_sums(table.c.day))
    both = put_together(of_rows, of_sums).cte("so_far")
    return sa.select(
        summed_again(both.c.in_flight_credits).label("in_flight_credits"),
        sa.func.max(both.c.newest_at).label("newest_at"),
    )


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
