"""The list of tenants: which of them match, in which order, and one page of that order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.durations import durations
from queries.catalog.parts import Windows
from queries.catalog.sums import counted, net_burn_credits
from queries.period import local_date, local_midnight, zone_info
from queries.scope import Scope, native_id
from queries.tables import Tables, between, facts, instant

NO_PLAN = ""
# How far back burn and use are read for every tenant: eight weeks, which a forecast is made of.
HISTORY_DAYS = 56
# Below this number of successful generations a p95 says nothing.
LEAST_LATENCY_ROWS = 20
# What the list can be put in order by: columns of the tenant itself, and figures that are counted for it.
OWN_SORTS = ("tenant", "tenant_id", "plan", "subscription_status", "renews_at", "credits_left", "credits_per_period")
COUNTED_SORTS = (
    *("burn_28d_credits", "burn_7d_credits", "change_7d", "generations_28d", "success_rate"),
    *("active_users_28d", "last_seen_at", "quota_peak_28d"),
)

Wanted = sa.Select[Any] | None


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

    def within_utc(self, column: sa.ColumnElement[Any], first: int) -> sa.ColumnElement[bool]:
        """Whether a date is one of the last complete days of UTC, in which the application counts its quotas."""
        today = self.now.astimezone(UTC).date()
        return sa.and_(column >= today - timedelta(days=first), column < today)


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


def with_balance(tables: Tables, scope: Scope) -> sa.Join:
    """Every tenant, with its subscription and balance where it has them."""
    tenant, balance = tables.organization, tables.credit_balance
    on = sa.and_(balance.c.tenant_id == tenant.c.tenant_id, scope.predicate(balance.c.tenant_id))
    return with_subscription(tables, scope).outerjoin(balance, on)


def matching_tenants(tables: Tables, scope: Scope, search: str, plans: tuple[str, ...]) -> Wanted:
    """The ids of the tenants that a search and plans leave; None for all of the scope."""
    if not search and not plans:
        return None
    tenant = tables.organization
    return (
        sa.select(tenant.c.tenant_id)
        .select_from(with_subscription(tables, scope))
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, plans))
    )


def held_to(wanted: Wanted, column: sa.ColumnElement[Any], rows: sa.Select[Any]) -> sa.Select[Any]:
    """The rows of the wanted tenants only, as an array of ids: a wall lets it through to the index, but not a join."""
    return rows if wanted is None else rows.where(column == sa.any_(sa.func.array(wanted.scalar_subquery())))


def page_in_order(
    tables: Tables,
    scope: Scope,
    days: Days,
    *,
    search: str,
    plans: tuple[str, ...],
    sort: str,
    descending: bool,
    offset: int,
    limit: int,
) -> sa.CTE:
    """key, tenant, place, matching_tenants: one page of the matching tenants in order. Nothing is counted but what the
    order needs."""
    tenant, subscription, balance = tables.organization, tables.subscription, tables.credit_balance
    source, figure = with_balance(tables, scope), None
    if sort in COUNTED_SORTS:
        counted_for = _figure(tables, scope, days, matching_tenants(tables, scope, search, plans), sort).cte("figure")
        source = source.outerjoin(counted_for, counted_for.c.key == tenant.c.tenant_id)
        # Who burned nothing burned 0; a share of nothing is unknown.
        is_unknown = sort in ("change_7d", "success_rate", "quota_peak_28d", "last_seen_at")
        figure = counted_for.c.figure if is_unknown else sa.func.coalesce(counted_for.c.figure, 0)
    own = {
        "tenant": sa.func.lower(tenant.c.name),
        "tenant_id": tenant.c.tenant_id,
        "plan": subscription.c.plan,
        "subscription_status": subscription.c.status,
        "renews_at": subscription.c.period_end,
        "credits_left": balance.c.balance,
        "credits_per_period": subscription.c.credits_per_period,
    }
    listed = (
        sa.select(
            tenant.c.tenant_id.label("key"),
            tenant.c.name.label("tenant"),
            (own[sort] if figure is None else figure).label("figure"),
        )
        .select_from(source)
        .where(scope.predicate(tenant.c.tenant_id), *matching(tables, search, plans))
        .offset(0)
        .cte("listed")
    )
    by: sa.ColumnElement[Any] = listed.c.figure
    if sort == "last_seen_at":
        by = sa.func.coalesce(by, newest_before(tables, scope, days, listed))
    order = ((by.desc() if descending else by.asc()).nulls_last(), listed.c.key.asc())
    place = sa.func.row_number().over(order_by=order)
    return (
        sa.select(listed.c.key, listed.c.tenant, place.label("place"), sa.func.count().over().label("matching_tenants"))
        .order_by(*order)
        .offset(offset)
        .limit(limit)
        .cte("page")
    )


def page_of_ids(tables: Tables, scope: Scope, ids: tuple[str, ...]) -> sa.CTE:
    """key, tenant, place, matching_tenants of these tenants, as far as they are the scope's, in the order given."""
    tenant = tables.organization
    native = [value for one in ids if (value := native_id(one, tenant.c.tenant_id.type)) is not None]
    array = sa.bindparam("ids", native, type_=postgresql.ARRAY(tenant.c.tenant_id.type), unique=True)
    return (
        sa.select(
            tenant.c.tenant_id.label("key"),
            tenant.c.name.label("tenant"),
            sa.func.array_position(array, tenant.c.tenant_id, type_=sa.BigInteger).label("place"),
            sa.func.count().over().label("matching_tenants"),
        )
        .where(scope.predicate(tenant.c.tenant_id), tenant.c.tenant_id == sa.any_(array))
        .cte("page")
    )


def latency_of_page(tables: Tables, scope: Scope, days: Days, page: sa.CTE) -> Any:
    """latency_rows and p95_ms of one tenant of the page, over the raw rows of its successful generations of the last 28
    complete days; p95_ms is null under 20 of them."""
    one = durations(tables, scope, Windows((days.before(28), days.before(0))), of=page)
    p95 = sa.func.percentile_cont(0.95).within_group(one.c.took_ms)
    known = counted()
    return (
        sa.select(
            known.label("latency_rows"),
            sa.case((known >= LEAST_LATENCY_ROWS, sa.type_coerce(p95, sa.Double()))).label("p95_ms"),
        )
        .select_from(one)
        .lateral("took")
    )


def _figure(tables: Tables, scope: Scope, days: Days, wanted: Wanted, sort: str) -> sa.Select[Any]:
    """key and figure: the one that the order needs, for every matching tenant that has it."""
    if sort in ("burn_28d_credits", "burn_7d_credits", "change_7d"):
        return _burn_figure(tables, scope, days, wanted, sort)
    if sort == "quota_peak_28d":
        return _quota_peak(tables, scope, days, wanted)
    if sort == "active_users_28d":
        return _active_users(tables, scope, days, wanted)
    rows = facts(tables)
    succeeded, failed = (
        counted(tables.has(rows.c.status, "generation_status", one)) for one in ("succeeded", "failed")
    )
    rate = sa.cast(succeeded, sa.Double) / sa.func.nullif(succeeded + failed, 0)
    created = rows.c.created_at
    figure = {"success_rate": rate, "last_seen_at": sa.func.max(created)}.get(sort, counted())
    of_tenant = sa.select(rows.c.tenant_id.label("key"), figure.label("figure")).group_by(rows.c.tenant_id)
    recent = between(created, days.before(HISTORY_DAYS), days.now)
    inside = recent if sort == "last_seen_at" else days.within(created, 28)
    return held_to(wanted, rows.c.tenant_id, of_tenant.where(scope.predicate(rows.c.tenant_id), inside))


def _burn_figure(tables: Tables, scope: Scope, days: Days, wanted: Wanted, sort: str) -> sa.Select[Any]:
    ledger = tables.credit_transaction
    posted, first = ledger.c.created_at, {"burn_28d_credits": 28, "burn_7d_credits": 7, "change_7d": 14}[sort]
    figure = net_burn_credits(tables)
    if sort == "change_7d":
        last, base = (net_burn_credits(tables, days.within(posted, *span)) for span in ((7,), (14, 7)))
        figure = sa.case((base > 0, sa.cast(last - base, sa.Double) / base))
    of_tenant = sa.select(ledger.c.tenant_id.label("key"), figure.label("figure")).group_by(ledger.c.tenant_id)
    # A condition on the type belongs into the sums: see queries/catalog/signals.py.
    inside = of_tenant.where(scope.predicate(ledger.c.tenant_id), days.within(posted, first))
    return held_to(wanted, ledger.c.tenant_id, inside)


def _quota_peak(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.Select[Any]:
    limit = tables.usage_limit
    share = sa.cast(limit.c.count, sa.Double) / sa.func.nullif(limit.c.limit, 0)
    of_tenant = sa.select(limit.c.tenant_id.label("key"), sa.func.max(share).label("figure")).group_by(
        limit.c.tenant_id
    )
    inside = of_tenant.where(scope.predicate(limit.c.tenant_id), days.within_utc(limit.c.date, 28))
    return held_to(wanted, limit.c.tenant_id, inside)


def _active_users(tables: Tables, scope: Scope, days: Days, wanted: Wanted) -> sa.Select[Any]:
    rows = facts(tables)
    succeeded = counted(tables.has(rows.c.status, "generation_status", "succeeded"))
    of_user = (
        sa.select(rows.c.tenant_id.label("key"), succeeded.label("succeeded"))
        .where(scope.predicate(rows.c.tenant_id), days.within(rows.c.created_at, 28))
        .group_by(rows.c.tenant_id, rows.c.user_id)
    )
    users = held_to(wanted, rows.c.tenant_id, of_user).cte("users")
    return sa.select(users.c.key, counted(users.c.succeeded > 0).label("figure")).group_by(users.c.key)


def newest_before(
    tables: Tables, scope: Scope, days: Days, rows: sa.CTE, *, status: str | None = None
) -> sa.ColumnElement[Any]:
    """The newest generation (of a status) before the 56 days, for tenants that had none in them."""
    usage = facts(tables)
    created = usage.c.created_at
    older = sa.select(sa.func.max(created)).where(
        scope.predicate(usage.c.tenant_id),
        usage.c.tenant_id == rows.c.key,
        created < instant(created, days.before(HISTORY_DAYS)),
    )
    if status is not None:
        older = older.where(tables.has(usage.c.status, "generation_status", status))
    return older.correlate(rows).scalar_subquery()
