"""What makes a difference between one tenant's balance and its ledger in a month: where to look, and at which rows.

Each generation of the month must have one charge with its credits, and a failed one must have got them back; each
charge must have its generation. What one of these is off by, the balance may have more than the ledger. A difference
that no row explains came into the balance without one; the days on which balances were written down then say when.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.arguments import checked_page
from queries.catalog.rollforward import KINDS, LATEST_SNAPSHOT, Months, credits_type
from queries.catalog.sums import Column, counted, summed, text
from queries.errors import ArgumentError
from queries.query import catalog_query
from queries.scope import Scope
from queries.tables import AwareTime, Tables, aware, between

# What can be wrong with a generation and its movements.
FINDINGS = ("missing_charge", "charged_twice", "other_amount", "missing_refund", "refunded_twice", "no_generation")
# A charge is posted with its generation; clocks of several servers may differ. A refund comes when it has failed.
_EARLIEST, _LATEST = timedelta(days=1), timedelta(days=31)
MOST_DAYS = 40


@catalog_query("statements.difference", freshness="live")
def difference(tables: Tables, scope: Scope, *, month: date, zone: str, now: datetime) -> sa.Select[Any]:
    """One row of one tenant: credits_left (posted; null without a balance), balance_changed_at, ledger_credits (all
    movements), difference_credits, last_posted_at, and of the month: movements, unknown_movements and unknown_credits
    (of a type that no kind maps to), checked_generations, suspects and suspect_credits (see `statements.suspects`)."""
    asked = _one(scope, month, zone, now)
    ledger, balance = tables.credit_transaction, tables.credit_balance
    posted = ledger.c.created_at
    inside = between(posted, asked.start(month), asked.end(month))
    unknown = sa.and_(inside, ~tables.has(ledger.c.type, "transaction_type", *KINDS))
    sums = (
        sa.select(
            summed(ledger.c.amount).label("ledger_credits"),
            aware(sa.type_coerce(sa.func.max(posted), posted.type)).label("last_posted_at"),
            counted(inside).label("movements"),
            counted(unknown).label("unknown_movements"),
            summed(ledger.c.amount, unknown).label("unknown_credits"),
        )
        .where(scope.predicate(ledger.c.tenant_id))
        .cte("sums")
    )
    left = (
        sa.select(balance.c.balance, aware(balance.c.updated_at).label("changed_at"))
        .where(scope.predicate(balance.c.tenant_id))
        .cte("balance")
    )
    generation = tables.generation
    checked = sa.select(counted().label("checked")).where(
        scope.predicate(generation.c.tenant_id),
        between(generation.c.created_at, asked.start(month), asked.end(month)),
    )
    suspect = _suspects(tables, scope, asked, month)
    of_suspects = sa.select(counted().label("suspects"), summed(suspect.c.credits).label("credits")).cte("of_suspects")
    return sa.select(
        left.c.balance.label("credits_left"),
        left.c.changed_at.label("balance_changed_at"),
        sums.c.ledger_credits,
        sa.cast(left.c.balance - sums.c.ledger_credits, credits_type(tables)).label("difference_credits"),
        sums.c.last_posted_at,
        sums.c.movements,
        sums.c.unknown_movements,
        sums.c.unknown_credits,
        checked.scalar_subquery().label("checked_generations"),
        of_suspects.c.suspects,
        of_suspects.c.credits.label("suspect_credits"),
    ).select_from(sums.join(of_suspects, sa.true()).outerjoin(left, sa.true()))


@catalog_query("statements.suspects", freshness="live")
def suspects(
    tables: Tables, scope: Scope, *, month: date, zone: str, now: datetime, offset: int, limit: int
) -> sa.Select[Any]:
    """Generations of the month, and charges, of one tenant that do not fit together, those that are off by most first:
    finding (missing_charge, charged_twice, other_amount, missing_refund, refunded_twice, no_generation), generation_id
    (null for a charge that names none), charge_id (of a charge without a generation), happened_at (the time of the
    generation or the charge), status, credits_used, charges (how many), charged_credits, refunded_credits, credits
    (what the balance has more than the ledger if the balance is right), total_rows."""
    checked_page(offset, limit)
    asked = _one(scope, month, zone, now)
    found = _suspects(tables, scope, asked, month)
    return (
        sa.select(*found.c, sa.func.count().over().label("total_rows"))
        .order_by(sa.func.abs(found.c.credits).desc(), found.c.happened_at, found.c.generation_id, found.c.charge_id)
        .offset(offset)
        .limit(limit)
    )


@catalog_query("statements.balances_seen", freshness="live")
def balances_seen(tables: Tables, scope: Scope, *, month: date, zone: str, now: datetime) -> sa.Select[Any]:
    """Balances of one tenant that were written down from the start of the month to 36 hours after its end, in order,
    each day's first: day, taken_at, credits_left, ledger_credits, difference_credits (null without a balance),
    known_since (when the first of all was written down)."""
    asked, kind = _one(scope, month, zone, now), credits_type(tables)
    if tables.history is None:
        return _nothing_seen(tables, scope, kind)
    seen = tables.history.balance_snapshot
    first = sa.select(sa.func.min(seen.c.taken_at)).where(scope.predicate(seen.c.tenant_id)).scalar_subquery()
    each = (
        sa.select(seen.c.day, seen.c.taken_at, seen.c.balance, seen.c.ledger)
        .where(
            scope.predicate(seen.c.tenant_id),
            between(seen.c.taken_at, asked.start(month), asked.end(month) + LATEST_SNAPSHOT),
        )
        .ext(postgresql.distinct_on(seen.c.day))
        .order_by(seen.c.day, seen.c.taken_at)
        .cte("each")
    )
    return (
        sa.select(
            each.c.day,
            each.c.taken_at,
            sa.cast(each.c.balance, kind).label("credits_left"),
            sa.cast(each.c.ledger, kind).label("ledger_credits"),
            sa.cast(each.c.balance - each.c.ledger, kind).label("difference_credits"),
            first.label("known_since"),
        )
        .order_by(each.c.day)
        .limit(MOST_DAYS)
    )


def _suspects(tables: Tables, scope: Scope, asked: Months, month: date) -> sa.CTE:
    """finding, generation_id, charge_id, happened_at, status, credits_used, charges, charged_credits, refunded_credits,
    credits."""
    rows, ledger = tables.generation, tables.credit_transaction
    start, end = asked.start(month), asked.end(month)
    made = (
        sa.select(rows.c.id, rows.c.created_at, rows.c.status, rows.c.credits_used)
        .where(scope.predicate(rows.c.tenant_id), between(rows.c.created_at, start, end))
        .cte("made")
    )
    of_kind = {one: tables.has(ledger.c.type, "transaction_type", one) for one in ("burned", "refunded")}
    near = between(ledger.c.created_at, start - _EARLIEST, min(end + _LATEST, max(asked.now, end)))
    posted = (
        sa.select(
            ledger.c.generation_id,
            counted(of_kind["burned"]).label("charges"),
            summed(-ledger.c.amount, of_kind["burned"]).label("charged"),
            summed(ledger.c.amount, of_kind["refunded"]).label("refunded"),
        )
        .where(scope.predicate(ledger.c.tenant_id), ledger.c.generation_id.is_not(None), near)
        .group_by(ledger.c.generation_id)
        .cte("posted")
    )
    both = sa.union_all(_off(tables, made, posted), _of_no_generation(tables, scope, start, end))
    if tables.mapping.derives_ledger or not tables.mapping.lacks("credit_transaction", "generation_id"):
        return both.cte("suspects")
    # Where no movement names its generation, none of the two can be held against the other.
    found = both.cte("found")
    return sa.select(*found.c).where(sa.false()).cte("suspects")


def _off(tables: Tables, made: sa.CTE, posted: sa.CTE) -> sa.Select[Any]:
    """Generations whose movements are not what they should be."""
    kind = credits_type(tables)
    charged, refunded, charges = (
        sa.func.coalesce(posted.c[one], 0, type_=posted.c[one].type) for one in ("charged", "refunded", "charges")
    )
    is_failed = tables.has(made.c.status, "generation_status", "failed")
    to_refund: Column = sa.func.least(refunded, charged)
    if tables.mapping.meanings["transaction_type"]["refunded"]:  # a ledger without refunds lacks none
        to_refund = sa.case((is_failed, charged), else_=to_refund)
    finding = sa.case(
        (sa.and_(charges == 0, made.c.credits_used != 0), "missing_charge"),
        (sa.and_(charges > 1, charged != made.c.credits_used), "charged_twice"),
        (charged != made.c.credits_used, "other_amount"),
        (refunded < to_refund, "missing_refund"),
        (refunded > to_refund, "refunded_twice"),
    )
    # A charge that is missing was taken from the balance, and is not in the ledger.
    credits = (charged - made.c.credits_used) + (to_refund - refunded)
    found = (
        sa.select(
            finding.label("finding"),
            text(made.c.id).label("generation_id"),
            sa.cast(sa.null(), sa.Text()).label("charge_id"),
            aware(made.c.created_at).label("happened_at"),
            text(made.c.status).label("status"),
            sa.cast(made.c.credits_used, kind).label("credits_used"),
            charges.label("charges"),
            sa.cast(charged, kind).label("charged_credits"),
            sa.cast(refunded, kind).label("refunded_credits"),
            sa.cast(credits, kind).label("credits"),
        )
        .select_from(made.outerjoin(posted, posted.c.generation_id == made.c.id))
        .cte("compared")
    )
    return sa.select(*found.c).where(found.c.finding.is_not(None))


def _of_no_generation(tables: Tables, scope: Scope, start: datetime, end: datetime) -> sa.Select[Any]:
    """Charges of the month that name no generation, or none of the tenant's."""
    rows, ledger, kind = tables.generation, tables.credit_transaction, credits_type(tables)
    charged = (
        sa.select(ledger.c.id, ledger.c.generation_id, ledger.c.created_at, ledger.c.amount)
        .where(
            scope.predicate(ledger.c.tenant_id),
            between(ledger.c.created_at, start, end),
            tables.has(ledger.c.type, "transaction_type", "burned"),
        )
        .cte("charged")
    )
    known = (
        sa.select(rows.c.id)
        .where(scope.predicate(rows.c.tenant_id), between(rows.c.created_at, start - _LATEST, end + _EARLIEST))
        .cte("known")
    )
    strange = (
        sa.select(*charged.c)
        .select_from(charged.outerjoin(known, known.c.id == charged.c.generation_id))
        .where(known.c.id.is_(None))
        .offset(0)
        .cte("strange")
    )
    elsewhere = (
        sa.select(rows.c.id)
        .where(scope.predicate(rows.c.tenant_id), rows.c.id == strange.c.generation_id)
        .limit(1)
        .correlate(strange)
        .scalar_subquery()
    )
    return sa.select(
        sa.literal("no_generation", sa.Text()).label("finding"),
        text(strange.c.generation_id).label("generation_id"),
        text(strange.c.id).label("charge_id"),
        aware(strange.c.created_at).label("happened_at"),
        sa.cast(sa.null(), sa.Text()).label("status"),
        sa.cast(sa.null(), kind).label("credits_used"),
        sa.cast(1, sa.BigInteger()).label("charges"),
        sa.cast(-strange.c.amount, kind).label("charged_credits"),
        sa.cast(0, kind).label("refunded_credits"),
        sa.cast(-strange.c.amount, kind).label("credits"),
    ).where(elsewhere.is_(None))


def _nothing_seen(tables: Tables, scope: Scope, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """No row, with the same columns: nobody writes balances down without our history."""
    tenant = tables.organization
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "day": sa.Date(),
        "taken_at": AwareTime(),
        **dict.fromkeys(("credits_left", "ledger_credits", "difference_credits"), kind),
        "known_since": AwareTime(),
    }
    columns: list[Column] = [sa.cast(sa.null(), type_).label(name) for name, type_ in types.items()]
    return sa.select(*columns).select_from(tenant).where(scope.predicate(tenant.c.tenant_id)).limit(0)


def _one(scope: Scope, month: date, zone: str, now: datetime) -> Months:
    if scope.ids is None or len(scope.ids) != 1:
        raise ArgumentError("a difference is of exactly one tenant; narrow the scope to it")
    return Months((month,), zone, now)
