"""What one run of the Tenants page is about: whose tenants, up to when, and which of them are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from dashboard import listing, outlook, viewer
from dashboard.board import Board, stop_with
from dashboard.listing import Listing
from dashboard.outlook import Outlook
from dashboard.portfolio import order
from dashboard.portfolio.sums import Sums, sums_of
from queries.catalog import tenants
from queries.errors import UsageDashboardError
from queries.query import Query, Result
from queries.scope import Scope

_PLANS = "plans_known"


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The board, the tenants that are looked at, and the list's controls."""

    board: Board
    scope: Scope
    listing: Listing

    @property
    def now(self) -> datetime:
        """The figures of 28 days are those up to the period's end, so that an older period shows its own time."""
        return self.board.period.until

    @property
    def is_narrowed(self) -> bool:
        return bool(self.listing.search or self.listing.plans)

    @property
    def is_over(self) -> bool:
        """Whether the period has ended: the balances of its last day are not known."""
        return self.board.period.end <= self.board.period.now

    def ask(self) -> None:
        """Ask at once what the page needs; the rows of a list whose order needs the forecast, after the signals."""
        matching = self._matching
        questions = {"signals": tenants.signals(self.scope, **matching)}
        if self.listing.by_outlook:
            self.board.ask(questions)
            self.board.ask_after("signals", "page", self._page_by_outlook)
        else:
            self.board.ask(questions | {"page": tenants.portfolio(self.scope, **matching, **self._page)})

    def _page_by_outlook(self) -> Query:
        try:
            ids = order.page_ids(self.outlooks(self.board.answer("signals")), self.listing)
        except UsageDashboardError:
            ids = ()  # the panel says what happened to the signals
        return tenants.portfolio(self.scope, **self._matching, **self._page, ids=ids)

    def outlooks(self, signals: Result) -> list[Outlook]:
        """The outlook of every tenant that matches search and plans."""
        return outlook.of_result(signals, self.now, self.board.zone, is_over=self.is_over)

    def sums(self, signals: Result) -> Sums:
        return sums_of(self.outlooks(signals))

    def listed(self, outlooks: Sequence[Outlook]) -> list[Outlook]:
        """Those that the list holds, on all of its pages."""
        return order.kept(outlooks, self.listing.flags)

    @property
    def _matching(self) -> dict[str, Any]:
        return {"now": self.now, "zone": self.board.zone, **self.listing.matching}

    @property
    def _page(self) -> dict[str, Any]:
        arguments = self.listing.page_arguments
        # With ids the order is theirs, and one key serves all orders.
        return arguments | {"sort": "tenant", "descending": False} if self.listing.by_outlook else arguments


def open_portfolio(board: Board, list_bar: Any) -> Portfolio:
    """The filters of the page and of its list, read; ends the run when there is nothing to look at."""
    board.filter_row()
    scope = _scope(board)
    return Portfolio(board, scope, listing.toolbar(_plans(board, scope), board.bar, list_bar))


def _scope(board: Board) -> Scope:
    """The viewer's tenants or, where they may see more than their own, those that they ask for."""
    may_choose = board.viewer.scope.is_all
    if not listing.whose(board.bar, may_choose=may_choose):
        return board.viewer.scope
    try:
        own = viewer.own_scope(board.viewer)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    if own is None or own.ids == frozenset():
        st.info("No tenants are assigned to you, so there are none to show as yours.", icon=":material/person_off:")
        st.button("Show all tenants", on_click=listing.show_everybodys, type="primary")
        st.stop()
    return own


def _plans(board: Board, scope: Scope) -> list[str]:
    """The plans that there are; those of before, of the same tenants, while the database is away."""
    try:
        found: list[str] = board.run(tenants.plans(scope)).frame["plan"].tolist()
        st.session_state[_PLANS] = (scope.digest, found)
        return found
    except UsageDashboardError as error:
        of, found = st.session_state.get(_PLANS, ("", []))
        if of != scope.digest:
            stop_with(error, board.visit)
        return found
