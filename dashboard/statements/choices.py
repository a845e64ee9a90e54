"""What the Statements page is about: which months, which tenants in which order, and which row is looked into. All of
it is in the address; whatever comes from there is untrusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import address, filters, listing, words
from dashboard.board import Board, stop_with
from dashboard.services import current
from dashboard.tables.cells import PAGE_ROWS
from queries.catalog import corrections, differences, prices, statements
from queries.catalog.rollforward import MOST_MONTHS, month_before, next_month
from queries.errors import NotFoundError, PeriodError
from queries.period import EARLIEST, local_date
from queries.scope import Scope

FIND, DIFFERING, SORT, ORDER, PAGE = "find", "differing", "statement_sort", "statement_order", "statement_page"
TENANT, MONTH = "tenant", "month"
DESCENDING, ASCENDING = "Largest first", "Smallest first"
SORTS: Mapping[str, str] = {
    "Unexplained": "unexplained",
    "Tenant": "tenant",
    "Month": "month",
    "Opening": "opening",
    "Purchased": "purchased",
    "Granted": "granted",
    "Refunded": "refunded",
    "Adjusted": "adjusted",
    "Burned": "burned",
    "Expired": "expired",
    "Closing": "closing",
}
_ASCENDING_FIRST = ("Tenant", "Month")
# Months of the table of totals, at least; corrections and suspects that are shown.
LISTED_MONTHS = 12
SHOWN_ROWS = 20
# The answers about a row that is looked into.
OF_ROW = ("own", "difference", "suspects", "seen", "own_taken_off")
_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant's month, that is looked into."""

    tenant_id: str
    month: date
    scope: Scope


@dataclass(frozen=True, slots=True)
class Chosen:
    """One run of the page. `months` are those that the period touches and that have begun, in order."""

    board: Board
    months: tuple[date, ...]
    zone: str
    now: datetime
    search: str
    differing: bool
    sort: str
    descending: bool
    page: int
    row: Row | None

    @property
    def last(self) -> date:
        return self.months[-1]

    @property
    def running(self) -> date:
        return local_date(self.now, self.zone).replace(day=1)

    @property
    def listed(self) -> tuple[date, ...]:
        """The months of the table of totals: those that are asked for, and the ones before them."""
        found = list(self.months)
        while len(found) < LISTED_MONTHS and found[0] > EARLIEST:
            found.insert(0, month_before(found[0]))
        return tuple(found)

    @property
    def version(self) -> str:
        """Part of the questions: who has closed a month sees it closed."""
        closer = current().closer
        return closer.version if closer is not None else ""

    @property
    def name(self) -> str:
        """ "October 2026", "May to November 2026"."""
        return span(self.months)

    def ask(self) -> None:
        """All that the page needs: five questions, and five more of the row that is looked into."""
        scope = self.board.viewer.scope
        common: dict[str, Any] = {"zone": self.zone, "now": self.now}
        of_months: dict[str, Any] = {**common, "months": self.months, "version": self.version}
        sorted_: dict[str, Any] = {"sort": self.sort, "descending": self.descending, "differing": self.differing}
        paged: dict[str, Any] = {"offset": (self.page - 1) * PAGE_ROWS, "limit": PAGE_ROWS}
        self.board.ask(
            {
                "totals": statements.totals(scope, **{**of_months, "months": self.listed}, search=self.search),
                "monthly": statements.monthly(scope, **of_months, search=self.search, **sorted_, **paged),
                "prices": prices.prices(scope, **of_months, search=self.search),
                "corrections": corrections.corrections(
                    scope, **{**of_months, "months": self.listed}, offset=0, limit=SHOWN_ROWS
                ),
                "taken_off": corrections.taken_off(scope, **{**of_months, "months": self.listed}),
            }
        )
        if self.row is not None:
            one = self.row.scope
            of_row: dict[str, Any] = {**common, "month": self.row.month}
            own: dict[str, Any] = {**common, "months": (self.row.month,), "version": self.version}
            unsorted: dict[str, Any] = {"search": "", "differing": False, "sort": "month", "descending": False}
            self.board.ask(
                {
                    "own": statements.monthly(one, **own, **unsorted, offset=0, limit=1),
                    "difference": differences.difference(one, **of_row),
                    "suspects": differences.suspects(one, **of_row, offset=0, limit=SHOWN_ROWS),
                    "seen": differences.balances_seen(one, **of_row),
                    "own_taken_off": corrections.taken_off(one, **own),
                }
            )


def chosen(board: Board) -> Chosen:
    """Everything that is chosen, from the filter row, the bar and the address; ends the run where there is nothing."""
    period = board.filter_row().period
    wrong = address.complaints(
        {
            SORT: address.one_of("sort", list(SORTS), "what is unexplained comes first"),
            ORDER: address.one_of("order", [DESCENDING, ASCENDING], f"the list shows the {DESCENDING.lower()}"),
            DIFFERING: address.one_of("choice of differences", ["true", "false"], "all tenants are shown"),
            PAGE: listing.page_check,
        }
    )
    with board.bar:
        search = st.text_input(
            "Search tenants",
            key=FIND,
            bind="query-params",
            persist_state="session",
            on_change=_changed,
            args=(FIND,),
            placeholder="Part of a name",
            icon=":material/search:",
            max_chars=listing.SEARCH_LENGTH,
            width=150,
        )
        differing = st.toggle("Differences only", **_bound(DIFFERING))
        sort = st.selectbox("Sort by", list(SORTS), **_bound(SORT, _sorted), width=130)
        order = st.selectbox("Order", [DESCENDING, ASCENDING], **_bound(ORDER), width=130)
    row, row_wrong = _row(board, period.now)
    address.show([*wrong, *(one for one in (row_wrong,) if one)])
    return Chosen(
        board,
        _months(board),
        period.zone,
        period.now,
        (search or "").replace("\x00", "").strip(),
        bool(differing),
        SORTS[sort or next(iter(SORTS))],
        order != ASCENDING,
        listing.page_number(PAGE),
        row,
    )


def look_into(tenant_id: str, month: date) -> None:
    """Look into one row of the statement. A callback."""
    st.query_params[TENANT], st.query_params[MONTH] = tenant_id, f"{month:%Y-%m}"


def look_away() -> None:
    """No row is looked into. A callback."""
    for name in (TENANT, MONTH):
        st.query_params.pop(name, None)


def show_month(month: date) -> None:
    """The page of this month alone. A callback."""
    listing.first_page(PAGE)
    filters.choose_days(month, last_day(month))


def show_differences() -> None:
    """Only tenants of which something is unexplained. A callback."""
    st.session_state[DIFFERING] = True
    _changed(DIFFERING)


def last_day(month: date) -> date:
    return next_month(month) - timedelta(days=1)


def named(month: date) -> str:
    """October 2026."""
    return f"{month:%B %Y}"


def span(months: Sequence[date]) -> str:
    """ "October 2026", "May to November 2026", "December 2025 to January 2026"."""
    first, last = months[0], months[-1]
    if first == last:
        return named(first)
    return f"{first:%B} to {named(last)}" if first.year == last.year else f"{named(first)} to {named(last)}"


def of_months(months: Sequence[date], zone: str) -> dict[str, str]:
    """The address of these months on any page."""
    days = {filters.FROM: months[0].isoformat(), filters.TO: last_day(months[-1]).isoformat()}
    return {filters.PERIOD: filters.CUSTOM, **days, filters.ZONE: zone}


def _months(board: Board) -> tuple[date, ...]:
    """The months that the period touches; those that have not begun are left out."""
    period = board.period
    month, end = period.first_date.replace(day=1), min(period.last_date, local_date(period.now, period.zone))
    found: list[date] = []
    while month <= end:
        found.append(month)
        month = next_month(month)
    try:
        if not found:
            raise PeriodError("the period has not begun; choose an earlier one")
        if len(found) > MOST_MONTHS - LISTED_MONTHS:
            raise PeriodError(f"the period has {len(found)} months; choose at most {MOST_MONTHS - LISTED_MONTHS}")
    except PeriodError as error:
        stop_with(error, board.visit)
    return tuple(found)


def _row(board: Board, now: datetime) -> tuple[Row | None, str]:
    """The row of the address, and what is wrong with it. Unknown and not yours are told in the same words."""
    tenant, month = st.query_params.get(TENANT), st.query_params.get(MONTH)
    if tenant is None or month is None:
        return None, ""
    try:
        asked = date.fromisoformat(f"{month}-01" if len(month) == len("2026-10") else "")
        if not EARLIEST <= asked <= local_date(now, board.zone):
            raise ValueError
    except ValueError:
        return None, f"The link's month “{words.shortened(month, 40)}” is not one that has begun; write it as 2026-10."
    try:
        return Row(tenant[:_ID_LENGTH], asked, board.viewer.scope.narrowed([tenant[:_ID_LENGTH]])), ""
    except NotFoundError as error:
        return None, words.sentence(error.message)


def _bound(key: str, on_change: Any = None) -> dict[str, Any]:
    changed = on_change or _changed
    return {"key": key, "bind": "query-params", "persist_state": "session", "on_change": changed, "args": (key,)}


def _changed(key: str) -> None:
    address.forgive(key)
    listing.first_page(PAGE)


def _sorted(key: str) -> None:
    st.session_state[ORDER] = ASCENDING if st.session_state.get(key) in _ASCENDING_FIRST else DESCENDING
    address.forgive(ORDER)
    _changed(key)
