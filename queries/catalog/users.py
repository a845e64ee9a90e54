"""Questions about users: who did it, and whose credits were charged."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_choice, checked_page
from queries.catalog.sums import burned_credits, counted, is_burn, refunded_credits, summed, text
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import Tables, aware, facts, within

SORTS = (
    "generations",
    "used_credits",
    "charged_credits",
    "failed",
    "success_rate",
    "last_seen_at",
    "user",
)


@catalog_query("users.of_period")
def of_period(
    tables: Tables, scope: Scope, *, period: Period, sort: str, descending: bool, offset: int, limit: int
) -> sa.Select[Any]:
    """One row per user of the page who made a generation in the period or whose movements were charged in it: user_id
    (null: charged to nobody in particular), user and role (null where the user is not of the tenant now), tenant_id,
    is_member, generations, share (of all generations), succeeded, failed, cancelled, unfinished, used_credits (of the
    generations that they made, at the time of the request), charged_credits and refunded_credits (of the ledger, posted
    in the period under their name; null for users where the period's ledger names none of those whom it charges),
    success_rate, last_seen_at (newest generation of the period), total_rows and total_users (those that name a user;
    both the same in each row).
    """
    checked_choice("sort", sort, SORTS)
    checked_page(offset, limit)
    rows = _rows(tables, scope, period).cte("rows")
    user, member = tables.user, tables.membership
    of_user = sa.and_(user.c.id == rows.c.key, user.c.tenant_id == rows.c.owner, scope.predicate(user.c.tenant_id))
    named = (
        sa.select(rows, user.c.name.label("user"), user.c.id.is_not(None).label("is_member"))
        .select_from(rows.outerjoin(user, of_user))
        .cte("named")
    )
    page = (
        sa.select(
            named,
            sa.func.count().over().label("total_rows"),
            sa.func.count(named.c.key).over().label("total_users"),
        )
        .order_by(*_order(named, sort, descending))
        .offset(offset)
        .limit(limit)
        .cte("page")
    )
    of_member = sa.and_(
        member.c.user_id == page.c.key, member.c.tenant_id == page.c.owner, scope.predicate(member.c.tenant_id)
    )
    shown = [one for one in page.c if one.key not in ("key", "owner")]
    return (
        sa.select(
            text(page.c.key).label("user_id"),
            text(page.c.owner).label("tenant_id"),
            text(member.c.role).label("role"),
            *shown,
        )
        .select_from(page.outerjoin(member, of_member))
        .order_by(*_order(page, sort, descending))
    )


def _rows(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    """key, owner and measures of each user: what they made, beside what was charged under their name."""
    made, charged = _made(tables, scope, period), _charged(tables, scope, period)
    same = sa.and_(made.c.key == charged.c.key, made.c.owner == charged.c.owner)
    key, owner = (sa.func.coalesce(made.c[one], charged.c[one], type_=made.c[one].type) for one in ("key", "owner"))
    counts = [one for one in made.c if one.key not in ("key", "owner", "newest_at")]
    posted = [charged.c.charged_credits, charged.c.refunded_credits]
    ended = made.c.succeeded + made.c.failed
    whole = sa.func.nullif(sa.func.sum(made.c.generations).over(), 0)
    return sa.select(
        key.label("key"),
        owner.label("owner"),
        *(sa.func.coalesce(one, 0, type_=one.type).label(one.key) for one in counts),
        *(_posted_to(tables, key, owner, one, charged).label(one.key) for one in posted),
        (sa.cast(sa.func.coalesce(made.c.generations, 0), sa.Double) / sa.cast(whole, sa.Double)).label("share"),
        (sa.cast(made.c.succeeded, sa.Double) / sa.func.nullif(ended, 0)).label("success_rate"),
        aware(made.c.newest_at).label("last_seen_at"),
    ).select_from(made.outerjoin(charged, same, full=True))


def _posted_to(tables: Tables, key: Any, owner: Any, credits: Any, charged: sa.CTE) -> sa.ColumnElement[Any]:
    """Under this name, 0 where nothing was; null for a user where the tenant's movements are nobody's in particular."""
    amount = sa.func.coalesce(credits, 0, type_=credits.type)
    if tables.mapping.lacks("credit_transaction", "user_id") and not tables.mapping.derives_ledger:
        return sa.case((key.is_(None), amount))
    movements = sa.func.count(charged.c.owner).over(partition_by=owner)
    named = sa.func.count(charged.c.key).over(partition_by=owner)
    return sa.case((sa.or_(key.is_(None), movements == 0, named > 0), amount))


def _made(tables: Tables, scope: Scope, period: Period) -> sa.CTE:
    rows = facts(tables)
    statuses = ("succeeded", "failed", "cancelled", "unfinished")
    newest = sa.type_coerce(sa.func.max(rows.c.created_at), rows.c.created_at.type)
    return (
        sa.select(
            rows.c.user_id.label("key"),
            rows.c.tenant_id.label("owner"),
            counted().label("generations"),
            *(counted(tables.has(rows.c.status, "generation_status", one)).label(one) for one in statuses),
            summed(rows.c.credits_used).label("used_credits"),
            newest.label("newest_at"),
        )
        .where(scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period))
        .group_by(rows.c.user_id, rows.c.tenant_id)
        .cte("made")
    )


def _charged(tables: Tables, scope: Scope, period: Period) -> sa.CTE:
    ledger = tables.credit_transaction
    return (
        sa.select(
            ledger.c.user_id.label("key"),
            ledger.c.tenant_id.label("owner"),
            burned_credits(tables).label("charged_credits"),
            refunded_credits(tables).label("refunded_credits"),
        )
        .where(scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period), is_burn(tables))
        .group_by(ledger.c.user_id, ledger.c.tenant_id)
        .cte("charged")
    )


def _order(rows: sa.CTE, sort: str, descending: bool) -> list[sa.ColumnElement[Any]]:
    column = sa.func.lower(rows.c.user) if sort == "user" else rows.c[sort]
    return [
        (column.desc() if descending else column.asc()).nulls_last(),
        rows.c.key.asc().nulls_last(),
        rows.c.owner.asc(),
    ]
