"""Questions about credits, from the ledger: a movement counts at the time it was posted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import Grouping

from queries.catalog.arguments import checked_top
from queries.catalog.balances import CHANGE, CLOSING, NUMBER, flows_and_balance
from queries.catalog.gaps import every_bucket
from queries.catalog.parts import Windows, burned, given, moved_by_type
from queries.catalog.series import OTHER, UNNAMED
from queries.catalog.sums import (
    Column,
    exact,
    summed,
    summed_again,
    text,
)
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, Tables, bucket, instant, within

# Shown as positive numbers although they are negative amounts; adjustments keep their sign.
_TAKEN = ("burned", "expired")
_MOVEMENTS = ("granted", "purchased", "burned", "refunded", "adjusted", "expired")


@catalog_query("credits.burn_over_time", finish=every_bucket)
def burn_over_time(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, gross_burn_credits, refunded_credits, net_burn_credits; every bucket that has begun, in order."""
    moved = moved_by_type(tables, scope, Windows(_bounds(period)))
    return (
        sa.select(
            _starts(period)[moved.c.window].label("bucket_start"),
            burned(tables, moved, "burned").label("gross_burn_credits"),
            given(tables, moved, "refunded").label("refunded_credits"),
            burned(tables, moved, "burned", "refunded").label("net_burn_credits"),
        )
        .where(tables.has(moved.c.type, "transaction_type", "burned", "refunded"))
        .group_by(moved.c.window)
    )


@catalog_query("credits.movements", finish=every_bucket)
def movements(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """bucket_start, granted, purchased, burned, refunded, adjusted, expired, in credits; every bucket that has begun.

    opening + purchased + granted + refunded + adjusted - burned - expired = closing.
    """
    ledger = tables.credit_transaction
    start = bucket(ledger.c.created_at, period)
    sums = [
        summed(
            -ledger.c.amount if one in _TAKEN else ledger.c.amount, tables.has(ledger.c.type, "transaction_type", one)
        ).label(one)
        for one in _MOVEMENTS
    ]
    return (
        sa.select(start.label("bucket_start"), *sums)
        .where(scope.predicate(ledger.c.tenant_id), within(ledger.c.created_at, period))
        .group_by(start)
    )


@catalog_query("credits.flows", finish=flows_and_balance)
def flows(tables: Tables, scope: Scope, *, period: Period, top: int) -> sa.Select[Any]:
    """bucket_start, series_id, series, granted, purchased, burned, refunded, adjusted, expired, net_burn_credits, in
    credits, and balance_credits; every bucket that has begun for every tenant of the `top` by net burn, the largest
    first, and "Other" (series_id null) last. Without any movement there is one series, "All".

    balance_credits is the balance of all tenants of the scope together at the end of the bucket, the same for each of
    its series: the posted balances of now less what the ledger posted after the bucket, so it is exact as far as ledger
    and balance agree. Tenants without a posted balance are left out of it; it is null where none has one.
    """
    checked_top(top)
    named = _largest_burners(_flows_by_tenant(tables, scope, period), top).cte("named")
    standing = _standing(tables, scope, period).cte("standing")
    tenant = tables.organization
    of_tenant = sa.and_(tenant.c.tenant_id == named.c.key, scope.predicate(tenant.c.tenant_id))
    name = sa.func.coalesce(sa.func.nullif(tenant.c.name, ""), text(named.c.key), UNNAMED)
    series = sa.case((named.c.place.is_(None), OTHER), else_=name)
    return sa.select(
        named.c.number.label(NUMBER),
        named.c.place,
        text(named.c.key).label("series_id"),
        sa.cast(series, sa.Text).label("series"),
        *(named.c[one] for one in (*_MOVEMENTS, "net_burn_credits")),
        named.c.change_credits.label(CHANGE),
        standing.c.closing_credits.label(CLOSING),
    ).select_from(standing.outerjoin(named, sa.true()).outerjoin(tenant, of_tenant))


@catalog_query("credits.compared")
def compared(tables: Tables, scope: Scope, *, period: Period) -> sa.Select[Any]:
    """One row: today_gross_burn_credits, today_refunded_credits, today_net_burn_credits (of the day in progress, where
    the period holds it), and with `previous_` gross_burn_credits, refunded_credits, net_burn_credits of as many days
    before the period as it has complete ones. The period's burn less today's compares with the days before.
    """
    complete, previous = period.complete_days(), period.previous()
    spans = {
        "today_": (min(complete.end, period.until), period.until),
        "previous_": (previous.start, previous.end),
    }
    burns = [_burn_within(tables, scope, Windows(span), prefix) for prefix, span in spans.items()]
    return sa.select(*burns[0].c, *burns[1].c).select_from(burns[0].join(burns[1], sa.true()))


def _burn_within(tables: Tables, scope: Scope, window: Windows, prefix: str) -> sa.CTE:
    """One row of a window's burn."""
    moved = moved_by_type(tables, scope, window, name=prefix + "moved")
    return sa.select(
        burned(tables, moved, "burned").label(prefix + "gross_burn_credits"),
        given(tables, moved, "refunded").label(prefix + "refunded_credits"),
        burned(tables, moved, "burned", "refunded").label(prefix + "net_burn_credits"),
    ).cte(prefix + "burn")


def _bounds(period: Period) -> tuple[datetime, ...]:
    """Where the period's buckets begin, and where it ends."""
    return (*(one.start for one in period.buckets()), period.until)


def _starts(period: Period) -> sa.ColumnElement[Any]:
    """The start of each whole bucket, by its number."""
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    # In parentheses: PostgreSQL takes no element of what ends in a cast.
    return Grouping(sa.bindparam("starts", starts, type_=postgresql.ARRAY(AwareTime()), unique=True))


def _flows_by_tenant(tables: Tables, scope: Scope, period: Period) -> sa.CTE:
    """number (of the bucket, from 1), key, the movements by kind, net_burn_credits, change_credits (of a posted
    balance). Buckets are numbered by their bounds: `date_trunc` in a zone takes half as long again."""
    balance = tables.credit_balance
    moved = moved_by_type(tables, scope, Windows(_bounds(period)))
    known = sa.select(balance.c.tenant_id.label("key")).where(scope.predicate(balance.c.tenant_id)).cte("known")
    sums = [(burned if one in _TAKEN else given)(tables, moved, one).label(one) for one in _MOVEMENTS]
    return (
        sa.select(
            moved.c.window.label("number"),
            moved.c.key,
            *sums,
            burned(tables, moved, "burned", "refunded").label("net_burn_credits"),
            summed_again(moved.c.credits, known.c.key.is_not(None)).label("change_credits"),
        )
        .select_from(moved.outerjoin(known, known.c.key == moved.c.key))
        .group_by(moved.c.window, moved.c.key)
        .cte("by_tenant")
    )


def _largest_burners(by_tenant: sa.CTE, top: int) -> sa.Select[Any]:
    """The `top` tenants by net burn in the whole period, ties by key; the rest folded into one without place, key."""
    whole = sa.func.sum(by_tenant.c.net_burn_credits).over(partition_by=by_tenant.c.key)
    weighed = sa.select(by_tenant, whole.label("whole")).cte("weighed")
    rank = sa.func.dense_rank().over(order_by=[weighed.c.whole.desc(), weighed.c.key])
    ranked = sa.select(weighed, rank.label("rank")).cte("ranked")
    is_named = ranked.c.rank <= top
    named: list[Column] = [sa.case((is_named, ranked.c[one])) for one in ("rank", "key")]
    sums = [summed_again(ranked.c[one]).label(one) for one in (*_MOVEMENTS, "net_burn_credits", "change_credits")]
    labelled = [one.label(name) for one, name in zip(named, ("place", "key"), strict=True)]
    return sa.select(ranked.c.number, *labelled, *sums).group_by(ranked.c.number, *named)


def _standing(tables: Tables, scope: Scope, period: Period) -> sa.Select[Any]:
    """One row: the posted balances together as they were at the period's end (or now); null when there is none."""
    ledger, balance = tables.credit_transaction, tables.credit_balance
    posted = ledger.c.created_at
    known = sa.select(balance.c.tenant_id).where(scope.predicate(balance.c.tenant_id))
    later = sa.select(summed(ledger.c.amount)).where(
        scope.predicate(ledger.c.tenant_id),
        ledger.c.tenant_id == sa.any_(sa.func.array(known.scalar_subquery())),
        posted >= instant(posted, period.until),
    )
    total = sa.cast(sa.func.sum(balance.c.balance), exact(ledger.c.amount))
    return sa.select((total - later.scalar_subquery()).label("closing_credits")).where(
        scope.predicate(balance.c.tenant_id)
    )
