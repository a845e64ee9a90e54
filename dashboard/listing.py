"""Paging, sorting and searching of a list in SQL, all of it in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import tables, words

SEARCH, PLANS, SORT, ORDER, PAGE = "search", "plan", "sort", "order", "page"
DESCENDING, ASCENDING = "Largest first", "Smallest first"
SEARCH_LENGTH = 100
NO_PLAN = "No plan"
_LAST_PAGE = 1_000_000
_PAGER_PX = 360


@dataclass(frozen=True, slots=True)
class Listing:
    """What the row above a list says."""

    search: str
    plans: tuple[str, ...]
    sort: str
    descending: bool
    page: int

    @property
    def matching(self) -> dict[str, Any]:
        """Arguments of a catalog function that say which tenants."""
        return {"search": self.search, "plans": self.plans}

    @property
    def page_arguments(self) -> dict[str, Any]:
        """Arguments that say which rows, in which order."""
        offset = (self.page - 1) * tables.PAGE_ROWS
        return {"sort": self.sort, "descending": self.descending, "offset": offset, "limit": tables.PAGE_ROWS}


def toolbar(plans: Sequence[str]) -> Listing:
    """Search, plans, sort and direction; each change starts at page 1 again."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        search = st.text_input(
            "Search tenants",
            key=SEARCH,
            bind="query-params",
            persist_state="session",
            on_change=first_page,
            placeholder="Part of a name",
            icon=":material/search:",
            max_chars=SEARCH_LENGTH,
            width=220,
        )
        chosen = st.multiselect(
            "Plans",
            plans,
            format_func=plan_name,
            key=PLANS,
            bind="query-params",
            persist_state="session",
            on_change=first_page,
            placeholder="All plans",
            width=240,
        )
        sort = st.selectbox(
            "Sort by",
            list(tables.SORTS),
            key=SORT,
            bind="query-params",
            persist_state="session",
            on_change=first_page,
            width=150,
        )
        order = st.selectbox(
            "Order",
            [DESCENDING, ASCENDING],
            key=ORDER,
            bind="query-params",
            persist_state="session",
            on_change=first_page,
            width=140,
        )
    text = (search or "").replace("\x00", "").strip()
    return Listing(text, tuple(chosen), tables.SORTS[sort], order == DESCENDING, page_number(PAGE))


def pager(total_rows: int, noun: str, key: str) -> None:
    """Which rows are shown, and the other pages."""
    pages, page = tables.pages(total_rows), page_number(key)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(tables.shown_rows(total_rows, min(page, pages), noun), width="content")
        if pages > 1:
            st.pagination(pages, key=key, bind="query-params", width=_PAGER_PX)


def page_number(key: str) -> int:
    """The page that is asked for, before the pager is drawn; 1 when the URL has something else there."""
    asked = str(st.session_state.get(key) or st.query_params.get(key) or "1")
    return int(asked) if asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= _LAST_PAGE else 1


def first_page(key: str = PAGE) -> None:
    """Start again at the first page. A callback."""
    if key in st.session_state:
        st.session_state[key] = 1


def plan_name(plan: str) -> str:
    return words.readable(plan) if plan else NO_PLAN
