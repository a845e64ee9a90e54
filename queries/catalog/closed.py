"""Closed months in the roll-forward: their rows as they were frozen, and what they hold the months beside them to."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.catalog.rollforward import ALL, CLOSED, KINDS, TAKEN, UNEXPLAINED, Months, month_before
from queries.catalog.sums import Column
from queries.scope import Scope
from queries.tables import History


class Closed:
    """The months that were closed in one zone; they follow each other without a gap."""

    def __init__(self, history: History, scope: Scope, zone: str) -> None:
        self._rows, self._scope, self._zone = history.closed_statement, scope, zone
        closed = history.closed_month
        self.months = (
            sa.select(sa.func.min(closed.c.month).label("first"), sa.func.max(closed.c.month).label("last"))
            .where(closed.c.zone == zone)
            .cte("closed_months")
        )
        self.first_open = shifted(self.months.c.last, 1)
        """The month after the last closed one."""
        self.before_first = shifted(self.months.c.first, -1)
        """The month before the first closed one."""

    def rows(self, months: Months, kind: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
        """The closed ones of these months, exactly as they were frozen, with the columns of a statement."""
        frozen = self.frozen(months).cte("frozen")
        return sa.select(
            frozen.c.tenant_id,
            frozen.c.tenant,
            frozen.c.month,
            frozen.c.zone,
            *(sa.cast(frozen.c[one], kind).label(one) for one in ("opening", *KINDS, "closing", UNEXPLAINED)),
            sa.literal(CLOSED, sa.Text()).label("status"),
        ).where(frozen.c.is_listed)

    def frozen(self, months: Months) -> sa.Select[Any]:
        """What was written down of these months, also of tenants that their statements left out."""
        frozen = self._rows
        wanted = sa.bindparam("closed", list(months.ordered), type_=postgresql.ARRAY(sa.Date()), unique=True)
        return sa.select(*frozen.c).where(
            self._scope.predicate(frozen.c.tenant_id),
            frozen.c.zone == self._zone,
            frozen.c.month == sa.any_(wanted),
        )

    def held(self, sums: sa.CTE, kind: sa.types.TypeEngine[Any]) -> sa.CTE:
        """The sums at the bounds of months, such that the months beside the closed ones chain with them: the first open
        month starts from the sums that were frozen with the last closed one, so that it holds what was posted since
        then with an older date; the month before the first closed one ends with what was known when that was closed."""
        before, after = self.edge("first").cte("before_closed"), self.edge("last").cte("after_closed")
        keys = sa.union(*(sa.select(one.c.tenant_id) for one in (sums, before, after))).cte("known_tenants")
        spans = sa.select(sums.c.month).distinct().cte("known_months")
        is_before, is_after = spans.c.month == self.before_first, spans.c.month == self.first_open

        def edge(one: str, name: str) -> Column:
            held, is_held, as_read = (after, is_after, sums.c[f"{one}_{name}"])
            if name == "after":
                held, is_held = before, is_before
            return sa.cast(sa.func.coalesce(sa.case((is_held, held.c[one]), else_=as_read), 0), kind).label(
                f"{one}_{name}"
            )

        of_both = sa.and_(sums.c.tenant_id == keys.c.tenant_id, sums.c.month == spans.c.month)
        return (
            sa.select(
                keys.c.tenant_id,
                spans.c.month,
                sa.func.coalesce(sums.c.movements, 0).label("movements"),
                *(edge(one, name) for one in ALL for name in ("before", "after")),
            )
            .select_from(
                keys.join(spans, sa.true())
                .join(self.months, sa.true())
                .outerjoin(sums, of_both)
                .outerjoin(before, before.c.tenant_id == keys.c.tenant_id)
                .outerjoin(after, after.c.tenant_id == keys.c.tenant_id)
            )
            .cte("held")
        )

    def known_before(self, month: date) -> sa.Select[Any]:
        """tenant_id and the kinds, with the ledger's signs: the sums of what was posted before this month, as closings
        knew it. Nothing, unless a closed month ends with its beginning or the first closed one begins then."""
        frozen = self._rows
        first = sa.select(self.months.c.first).scalar_subquery()
        begins, before = sa.literal(month, sa.Date()), sa.literal(month_before(month), sa.Date())
        sums = []
        for one in KINDS:
            whole = frozen.c[f"to_date_{one}"]
            known = sa.case((frozen.c.month == before, whole), else_=whole - sa.func.coalesce(frozen.c[one], 0))
            sums.append((-known if one in TAKEN else known).label(one))
        return sa.select(frozen.c.tenant_id, *sums).where(
            self._scope.predicate(frozen.c.tenant_id),
            frozen.c.zone == self._zone,
            sa.or_(frozen.c.month == before, sa.and_(frozen.c.month == begins, frozen.c.month == first)),
        )

    def edge(self, which: str) -> sa.Select[Any]:
        """tenant_id and, with the ledger's signs, the sums by kind as they were known: up to the end of the last closed
        month, or up to the start of the first."""
        frozen = self._rows
        sums: dict[str, Column] = {}
        for one in KINDS:
            whole = frozen.c[f"to_date_{one}"]
            known = whole if which == "last" else whole - sa.func.coalesce(frozen.c[one], 0)
            sums[one] = -known if one in TAKEN else known
        first, *rest = sums.values()
        balance = frozen.c.closing if which == "last" else frozen.c.opening
        explained = sum(rest, first)
        difference = sa.case((frozen.c.is_listed, balance - explained), else_=-explained)
        month = sa.select(self.months.c[which]).scalar_subquery()
        return sa.select(
            frozen.c.tenant_id, *(known.label(one) for one, known in sums.items()), difference.label(UNEXPLAINED)
        ).where(self._scope.predicate(frozen.c.tenant_id), frozen.c.zone == self._zone, frozen.c.month == month)


def shifted(month: Column, months: int) -> Column:
    """The first day of the month so many months later."""
    return sa.cast(month + sa.func.make_interval(0, months, type_=sa.Interval()), sa.Date())
