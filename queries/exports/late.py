"""What the ledger of a period owes to closed months beside it, as rows of the report.

What is posted into a closed month after its closing stands in no statement of that month: the first open one takes it.
The ledger of that month takes it too, in one row per tenant and kind, so that the rows of a file come to the movements
of its statement. The rows themselves stay where their dates are, in a month whose file is frozen without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from queries.catalog.closed import Closed
from queries.catalog.parts import put_together
from queries.catalog.rollforward import KINDS, month_before
from queries.catalog.sums import Column, summed, text
from queries.period import local_midnight
from queries.scope import Scope
from queries.tables import AwareTime, Tables, instant

if TYPE_CHECKING:
    from queries.exports.reports import Order

# Beginning of their movement_id; then the kind, and the last month into which they were posted.
CORRECTION = "correction"
# Where rows of the period stand among those of one tenant and time: after the corrections.
OF_PERIOD = len(KINDS) * 2


def late_movements(tables: Tables, scope: Scope, order: Order) -> sa.Select[Any] | None:
    """The ledger's columns, and tenant_key, place, movement_key to order them by. At the period's first instant: what
    was posted before it and is not in the statements of the months before, and, taken off, what was posted into it but
    counts in a later month. None, or no row, for a period without a closed month beside it, or with a bound within
    one."""
    assert order.first is not None
    assert order.last is not None
    bounds = {"start": order.first, "end": order.last + timedelta(days=1)}
    edges = {name: day for name, day in bounds.items() if day.day == 1}
    if tables.history is None or not edges:
        return None
    closed = Closed(tables.history, scope, order.zone)
    is_whole = [_cuts_none(closed, day) for name, day in bounds.items() if name not in edges]
    amounts = put_together(
        *(_at(tables, scope, closed, order.zone, day, is_whole, name=name) for name, day in edges.items())
    ).cte("late")
    rows, tenant = tables.credit_transaction, tables.organization
    names = (
        sa.select(text(tenant.c.tenant_id).label("key"), tenant.c.name)
        .where(scope.predicate(tenant.c.tenant_id))
        .cte("late_names")
    )
    at = sa.literal(order.period.start, AwareTime())
    return sa.select(
        amounts.c.movement_id,
        at.label("posted_at_utc"),
        sa.literal(order.first, sa.Date()).label("date"),
        sa.literal(order.zone, sa.Text()).label("zone"),
        amounts.c.tenant_id,
        names.c.name.label("tenant"),
        amounts.c.type,
        amounts.c.amount,
        _nothing(sa.Text()).label("user_id"),
        _nothing(sa.Text()).label("generation_id"),
        _nothing(rows.c.price_paid.type).label("price_paid"),
        _nothing(sa.Text()).label("currency"),
        sa.cast(amounts.c.tenant_id, rows.c.tenant_id.type).label("tenant_key"),
        amounts.c.place,
        _nothing(rows.c.id.type).label("movement_key"),
    ).select_from(amounts.outerjoin(names, names.c.key == amounts.c.tenant_id))


def _cuts_none(closed: Closed, day: date) -> sa.ColumnElement[bool]:
    """Whether this day, which is not the first of its month, lies in no closed month."""
    month = sa.literal(day.replace(day=1), sa.Date())
    return sa.or_(month < closed.months.c.first, month > closed.months.c.last)


def _at(
    tables: Tables,
    scope: Scope,
    closed: Closed,
    zone: str,
    month: date,
    conditions: Sequence[sa.ColumnElement[bool]],
    *,
    name: str,
) -> sa.Select[Any]:
    """tenant_id, movement_id, type, amount, place by kind: what was posted before this month less what closings knew of
    it; taken off where the period ends. No row where no closing knows of its beginning."""
    begins = name == "start"
    ledger, posted = tables.credit_transaction, tables.credit_transaction.c.created_at
    first = sa.literal(month, sa.Date())
    at = sa.bindparam("at", instant(posted, local_midnight(month, zone)), type_=posted.type, unique=True)
    is_known = sa.and_(first >= closed.months.c.first, first <= closed.first_open, *conditions)
    # Null, and so no row is read, where no closing knows of it.
    until = sa.select(sa.case((is_known, at))).scalar_subquery()
    raw = (
        sa.select(
            text(ledger.c.tenant_id).label("tenant_id"),
            *(summed(ledger.c.amount, tables.has(ledger.c.type, "transaction_type", one)).label(one) for one in KINDS),
        )
        .where(scope.predicate(ledger.c.tenant_id), posted < until)
        .group_by(ledger.c.tenant_id)
        .cte(f"posted_before_{name}")
    )
    told = closed.known_before(month).cte(f"told_of_{name}")
    known = sa.select(*told.c).where(until.is_not(None)).cte(f"known_before_{name}")
    both = raw.outerjoin(known, known.c.tenant_id == raw.c.tenant_id, full=True)

    def late(one: str) -> Column:
        more = sa.func.coalesce(raw.c[one], 0) - sa.func.coalesce(known.c[one], 0)
        return sa.cast(more if begins else -more, _amount_type(tables)).label(one)

    key = sa.func.coalesce(raw.c.tenant_id, known.c.tenant_id).label("tenant_id")
    off = sa.select(key, *(late(one) for one in KINDS)).select_from(both).cte(f"late_at_{name}")
    into = f"{month_before(month):%Y-%m}"
    by_kind = sa.union_all(
        *(
            sa.select(
                off.c.tenant_id,
                sa.literal(f"{CORRECTION}:{one}:{into}", sa.Text()).label("movement_id"),
                sa.literal(_type_of(tables, one), sa.Text()).label("type"),
                off.c[one].label("amount"),
                sa.literal(place + (0 if begins else len(KINDS)), sa.Integer()).label("place"),
            )
            for place, one in enumerate(KINDS)
        )
    ).cte(f"late_kinds_at_{name}")
    return sa.select(*by_kind.c).where(by_kind.c.amount != 0)


def _type_of(tables: Tables, kind: str) -> str:
    """The ledger's own type of a kind; the first, where several map to it."""
    type_, values = tables.credit_transaction.c.type.type, tables.mapping.meanings["transaction_type"][kind]
    return next((one for one in values if not isinstance(type_, sa.Enum) or one in type_.enums), CORRECTION)


def _amount_type(tables: Tables) -> sa.types.TypeEngine[Any]:
    """That of a sum of amounts, with as many digits after the point as an amount has."""
    type_ = tables.credit_transaction.c.amount.type
    if isinstance(type_, sa.Integer):
        return sa.BigInteger()
    return sa.Numeric(100, type_.scale) if isinstance(type_, sa.Numeric) and type_.scale else sa.Numeric()


def _nothing(type_: sa.types.TypeEngine[Any]) -> Column:
    return sa.cast(sa.null(), type_)
