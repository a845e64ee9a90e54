"""Paging, sorting and searching of a list in SQL, all of it in the URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import address, words
from dashboard.tables.cells import PAGE_ROWS, pages, shown_rows
from dashboard.tables.tenants import ASCENDING_FIRST, FORECAST_SORTS, SORTS

SEARCH, PLANS, FLAGS, SORT, ORDER, PAGE, WHOSE = "search", "plan", "flags", "sort", "order", "page", "whose"
DESCENDING, ASCENDING = "Largest first", "Smallest first"
SEARCH_LENGTH = 100
NO_PLAN = "No plan"
EVERY, AT_RISK, UPSELL, RUNNING_OUT = "All", "At risk", "Upsell", "Running out"
FLAG_CHOICES = (EVERY, AT_RISK, UPSELL, RUNNING_OUT)
EVERYBODYS, MINE = "All tenants", "My tenants"
_LAST_PAGE = 1_000_000
_PAGER_PX = 360


@dataclass(frozen=True, slots=True)
class Listing:
    """What the row above a list says."""

    search: str
    plans: tuple[str, ...]
    flags: str
    sort: str
    descending: bool
    page: int

    @property
    def matching(self) -> dict[str, Any]:
        """Arguments of a catalog function that say which tenants."""
        return {"search": self.search, "plans": self.plans}

    @property
    def by_outlook(self) -> bool:
        """Whether the page of the list is one that only flags and forecasts tell."""
        return self.flags != EVERY or self.sort in FORECAST_SORTS

    @property
    def page_arguments(self) -> dict[str, Any]:
        """Arguments that say which rows, in which order."""
        offset = (self.page - 1) * PAGE_ROWS
        return {"sort": self.sort, "descending": self.descending, "offset": offset, "limit": PAGE_ROWS}


def whose(bar: Any, *, may_choose: bool) -> bool:
    """Whether only the viewer's own tenants are asked for; a choice for those who may see more than their own."""
    if not may_choose:
        return False
    wrong = address.complaints({WHOSE: address.one_of("choice of tenants", [EVERYBODYS, MINE], "all are shown")})
    with bar:
        chosen = st.selectbox("Tenants", [EVERYBODYS, MINE], **_bound(WHOSE), width=130)
    address.show(wrong)
    return bool(chosen == MINE)


def toolbar(plans: Sequence[str], bar: Any, list_bar: Any) -> Listing:
    """Search, plans and flags in the page's bar of filters, sort and direction above the list; each change starts at
    page 1 again."""
    wrong = address.complaints(_checks(plans))
    with bar:
        search = st.text_input(
            "Search tenants",
            key=SEARCH,
            bind="query-params",
            persist_state="session",
            on_change=first_page,
            placeholder="Part of a name",
            icon=":material/search:",
            max_chars=SEARCH_LENGTH,
            width=150,
        )
        chosen = st.multiselect(
            "Plans", plans, format_func=plan_name, **_bound(PLANS), placeholder="All plans", width=130
        )
        flags = st.selectbox("Flags", FLAG_CHOICES, **_bound(FLAGS), width=110)
    with list_bar:
        sort = st.selectbox("Sort by", list(SORTS), **_bound(SORT, _sorted), width=130)
        order = st.selectbox("Order", [DESCENDING, ASCENDING], **_bound(ORDER), width=130)
    address.show(wrong)
    text = (search or "").replace("\x00", "").strip()
    return Listing(text, tuple(chosen), flags, SORTS[sort], order == DESCENDING, page_number(PAGE))


def _bound(key: str, on_change: Callable[[str], None] | None = None) -> dict[str, Any]:
    """What the choices of the bar have in common: they are in the URL, and stay for the visit."""
    changed = on_change or _chosen
    return {"key": key, "bind": "query-params", "persist_state": "session", "on_change": changed, "args": (key,)}


def pager(total_rows: int, noun: str, key: str) -> None:
    """Which rows are shown, and the other pages."""
    last, page = pages(total_rows), page_number(key)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(shown_rows(total_rows, min(page, last), noun), width="content")
        if last > 1:
            st.pagination(last, key=key, bind="query-params", width=_PAGER_PX, on_change=address.forgive, args=(key,))


def page_number(key: str) -> int:
    """The page that is asked for, before the pager is drawn; 1 when the URL has something else there."""
    return _page(str(st.session_state.get(key) or st.query_params.get(key) or "1")) or 1


def page_check(asked: Sequence[str]) -> str:
    """What is wrong with the page of the URL; one beyond the last is said beside the list."""
    return "" if _page(asked[-1]) else "The link's page is not a number from 1 on; page 1 is shown."


def first_page(key: str = PAGE) -> None:
    """Start again at the first page. A callback."""
    address.forgive(key)
    if key in st.session_state:
        st.session_state[key] = 1


def _chosen(name: str) -> None:
    address.forgive(name)
    first_page()


def _sorted(name: str) -> None:
    """Each figure in the direction that one looks for first: whose credits end soonest, whose name starts with A."""
    chosen = st.session_state.get(name)
    st.session_state[ORDER] = ASCENDING if chosen in ASCENDING_FIRST else DESCENDING
    address.forgive(ORDER)
    _chosen(name)


def _page(asked: str) -> int | None:
    is_short = len(asked) <= len(str(_LAST_PAGE)) and asked.isascii() and asked.isdigit()
    return int(asked) if is_short and 1 <= int(asked) <= _LAST_PAGE else None


def _checks(plans: Sequence[str]) -> dict[str, address.Check]:
    sorts, orders = list(SORTS), [DESCENDING, ASCENDING]
    return {
        SORT: address.one_of("sort", sorts, f"the list is in the order of {sorts[0].lower()}"),
        ORDER: address.one_of("order", orders, f"the list shows the {DESCENDING.lower()}"),
        FLAGS: address.one_of("flag", list(FLAG_CHOICES), "tenants with and without flags are shown"),
        PLANS: address.one_of("plan", [plan_name(one) for one in plans], "tenants of other plans are shown"),
        PAGE: page_check,
    }


def show(*, flags: str | None = None, sort: str | None = None, order: str | None = None) -> None:
    """List these, in this order; what is not given stays as it is. A callback."""
    for name, value in ((FLAGS, flags), (SORT, sort), (ORDER, order)):
        if value is not None:
            st.session_state[name] = value
            address.forgive(name)
    first_page()


def show_everybodys() -> None:
    """Look at all tenants again. A callback."""
    st.session_state[WHOSE] = EVERYBODYS
    address.forgive(WHOSE)
    first_page()


def plan_name(plan: str) -> str:
    return words.readable(plan) if plan else NO_PLAN
