"""One row per tenant with its plan, balance, usage and burn: what the questions about many tenants are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.sums import counted, is_burn, net_burn_credits, summed_again, text
from queries.period import Period, local_date, local_midnight, zone_info
from queries.scope import Scope
from queries.tables import Tables, aware, between, bucket, facts, instant, within

BURN_DAYS = 28
NO_PLAN = ""
# Below this number of successful generations a p95 says nothing.
LEAST_LATENCY_ROWS = 20


@dataclass(frozen=True, slots=True)
class Days:
    """Complete local days before the one in progress, as of `now`."""

    now: datetime
    zone: str

    def before(self, days: int) -> datetime:
        """The start of the local day so many days before today."""
        zone_info(self.zone)
        return local_midnight(local_date(self.now, self.zone) - timedelta(days=days), self.zone)

    def within(self, column: sa.ColumnElement[Any], first: int, last: int = 0) -> sa.ColumnElement[bool]:
        """Whether the column lies on one of the complete days from `first` to before `last` days ago."""
        return between(column, self.before(first), self.before(last))


def matching(tables: Tables, search: str, plans: tuple[str, ...]) -> list[sa.ColumnElement[bool]]:
    """Conditions on organization and its subscription; "" among the plans stands for tenants without one."""
    conditions: list[sa.ColumnElement[bool]] = []
    if search:
        conditions.append(tables.organization.c.name.icontains(search, autoescape=True))
    if plans:
        plan = tables.subscription.c.plan
        known = [one for one in plans if not isinstance(plan.type, sa.Enum) or one in plan.type.enums]
        conditions.append(sa.or_(plan.in_(known), plan.is_(None)) if NO_PLAN in plans else plan.in_(known))
    return conditions


def with_subscription(tables: Tables, scope: Scope) -> sa.Join:
    """Every tenant, with its subscription where it has one."""
    tenant, subscription = tables.organization, tables.subscription
    on = sa.and_(subscription.c.tenant_id == tenant.c.tenant_id, scope.predicate(subscription.c.tenant_id))
    return tenant.outerjoin(subscription, on)


def matching_tenants(tables: Tables, scope: Scope, search: str, plans: tuple[str, ...]) -> sa.Select[Any]:
    """The ids of the tenants that a search and plans leave."""
    tenant = tables.organization
    return (
        sa.select(tenant.c.tenant_id)
        .select_from(with_subscription(tables, scope))
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, plans))
    )


def latency(tables: Tables, scope: Scope, days: Days, search: str, plans: tuple[str, ...]) -> sa.Select[Any]:
    """One row: p95_ms over the raw rows of the matching tenants' successful generations of the last 28 complete days;
    null under 20 of them."""
    rows = facts(tables)
    p95 = sa.func.percentile_cont(0.95).within_group(rows.c.duration_ms)
    statement = sa.select(
        sa.case((sa.func.count(rows.c.duration_ms) >= LEAST_LATENCY_ROWS, sa.type_coerce(p95, sa.Double()))).label(
            "p95_ms"
        )
    ).where(
        scope.predicate(rows.c.tenant_id),
        days.within(rows.c.created_at, BURN_DAYS),
        tables.has(rows.c.status, "generation_status", "succeeded"),
    )
    if search or plans:
        statement = statement.where(rows.c.tenant_id.in_(matching_tenants(tables, scope, search, plans)))
    return statement


def usage_by_bucket(tables: Tables, scope: Scope, period: Period, wanted: sa.Select[Any] | None) -> sa.Select[Any]:
    """bucket_start, generations, succeeded, failed, active_tenants. Counted per tenant first, so that one pass tells
    the active ones without sorting every row by its tenant."""
    rows = facts(tables)
    start = bucket(rows.c.created_at, period)
    counts = [counted().label("generations")]
    for status in ("succeeded", "failed"):
        counts.append(counted(tables.has(rows.c.status, "generation_status", status)).label(status))
    by_tenant = (
        sa.select(start.label("bucket_start"), *counts)
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period))
        .group_by(start, rows.c.tenant_id)
    )
    if wanted is not None:
        by_tenant = by_tenant.where(rows.c.tenant_id.in_(wanted))
    counted_rows = by_tenant.cte("by_tenant")
    return sa.select(
        counted_rows.c.bucket_start,
        *(summed_again(counted_rows.c[one.name]).label(one.name) for one in counts),
        counted(counted_rows.c.succeeded > 0).label("active_tenants"),
    ).group_by(counted_rows.c.bucket_start)


def tenant_rows(
    tables: Tables, scope: Scope, days: Days, search: str, plans: tuple[str, ...], *, since_days: int
) -> sa.Select[Any]:
    """One row per matching tenant, with figures over the last `since_days` complete days (28, or 56 to compare)."""
    tenant, subscription, balance = tables.organization, tables.subscription, tables.credit_balance
    usage, burn = _usage(tables, scope, days, since_days), _burn(tables, scope, days, since_days)
    of_balance = sa.and_(balance.c.tenant_id == tenant.c.tenant_id, scope.predicate(balance.c.tenant_id))
    source = (
        with_subscription(tables, scope)
        .outerjoin(balance, of_balance)
        .outerjoin(usage, usage.c.key == tenant.c.tenant_id)
        .outerjoin(burn, burn.c.key == tenant.c.tenant_id)
    )
    figures = [
        sa.func.coalesce(one, 0).label(one.key) for one in (*usage.c, *burn.c) if one.key not in ("key", "newest_at")
    ]
    return (
        sa.select(
            tenant.c.tenant_id.label("key"),
            text(tenant.c.tenant_id).label("tenant_id"),
            tenant.c.name.label("tenant"),
            subscription.c.plan.label("plan"),
            subscription.c.status.label("subscription_status"),
            aware(subscription.c.period_end).label("renews_at"),
            balance.c.balance.label("credits_left"),
            subscription.c.credits_per_period.label("credits_per_period"),
            *figures,
            usage.c.newest_at,
        )
        .select_from(source)
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, plans))
    )


def last_seen(tables: Tables, scope: Scope, days: Days, rows: sa.CTE) -> sa.ColumnElement[Any]:
    """The newest generation before `now`. Only tenants without one in the days read anyway are looked up."""
    usage = facts(tables)
    created = usage.c.created_at
    older = (
        sa.select(sa.func.max(created))
        .where(
            scope.predicate(usage.c.tenant_id),
            usage.c.tenant_id == rows.c.key,
            created < instant(created, days.now),
        )
        .correlate(rows)
        .scalar_subquery()
    )
    return aware(sa.func.coalesce(rows.c.newest_at, older, type_=created.type))


def burn_by_day(tables: Tables, scope: Scope, days: Days, page: sa.CTE) -> sa.CTE:
    """key, burn_daily: the net burn of each of the last 28 complete local days, oldest first, for a page of tenants."""
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    starts = [instant(posted, days.before(BURN_DAYS - number)) for number in range(BURN_DAYS)]
    # The local days are cut here and not by `date_trunc`, so that tenants of one page share 28 numbered places.
    bounds = sa.bindparam("days", starts, type_=postgresql.ARRAY(posted.type), unique=True)
    number = sa.func.width_bucket(posted, bounds, type_=sa.Integer)
    daily = (
        sa.select(ledger.c.tenant_id.label("key"), number.label("number"), net_burn_credits(tables).label("net"))
        .where(
            scope.predicate(ledger.c.tenant_id),
            ledger.c.tenant_id.in_(sa.select(page.c.key)),
            is_burn(tables),
            days.within(posted, BURN_DAYS),
        )
        .group_by(ledger.c.tenant_id, number)
        .cte("daily")
    )
    places = sa.func.generate_series(1, BURN_DAYS).table_valued("place", name="places").render_derived()
    of_day = sa.and_(daily.c.key == page.c.key, daily.c.number == places.c.place)
    in_order = sa.func.array_agg(sa.func.coalesce(daily.c.net, 0)).aggregate_order_by(places.c.place)
    return (
        sa.select(page.c.key, in_order.label("burn_daily"))
        .select_from(page.join(places, sa.true()).outerjoin(daily, of_day))
        .group_by(page.c.key)
        .cte("days")
    )


def _usage(tables: Tables, scope: Scope, days: Days, since_days: int) -> sa.CTE:
    rows = facts(tables)
    created = rows.c.created_at
    succeeded = tables.has(rows.c.status, "generation_status", "succeeded")
    failed = tables.has(rows.c.status, "generation_status", "failed")
    last_28 = days.within(created, 28)
    columns = [
        counted(last_28).label("generations_28d"),
        counted(days.within(created, 7)).label("generations_7d"),
        counted(days.within(created, 14, 7)).label("generations_prev_7d"),
        counted(sa.and_(last_28, succeeded)).label("succeeded_28d"),
        counted(sa.and_(last_28, failed)).label("failed_28d"),
        sa.func.max(created).label("newest_at"),
    ]
    if since_days > 28:
        before = days.within(created, 56, 28)
        columns += [
            counted(before).label("generations_prev_28d"),
            counted(sa.and_(before, succeeded)).label("succeeded_prev_28d"),
            counted(sa.and_(before, failed)).label("failed_prev_28d"),
        ]
    return (
        sa.select(rows.c.tenant_id.label("key"), *columns)
        .where(scope.predicate(rows.c.tenant_id), between(created, days.before(since_days), days.now))
        .group_by(rows.c.tenant_id)
        .cte("usage")
    )


def _burn(tables: Tables, scope: Scope, days: Days, since_days: int) -> sa.CTE:
    ledger = tables.credit_transaction
    posted = ledger.c.created_at
    columns = [
        net_burn_credits(tables, days.within(posted, 28)).label("burn_28d_credits"),
        net_burn_credits(tables, days.within(posted, 7)).label("burn_7d_credits"),
    ]
    if since_days > 28:
        columns.append(net_burn_credits(tables, days.within(posted, 56, 28)).label("burn_prev_28d_credits"))
    return (
        sa.select(ledger.c.tenant_id.label("key"), *columns)
        .where(scope.predicate(ledger.c.tenant_id), is_burn(tables), days.within(posted, since_days))
        .group_by(ledger.c.tenant_id)
        .cte("burn")
    )
