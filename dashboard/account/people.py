"""Who made the generations, beside whose name was charged."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import address, listing, tabs, words
from dashboard.account import empty, sought
from dashboard.account.arrival import USERS_PAGE
from dashboard.board import Board
from dashboard.listing import ASCENDING, DESCENDING
from dashboard.tables import users as tables
from dashboard.tables.cells import PAGE_ROWS
from queries.catalog import users
from queries.query import Result
from queries.scope import Scope

SORT, ORDER = "users_sort", "users_order"


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view."""
    sort, descending = order()
    offset = (listing.page_number(USERS_PAGE) - 1) * PAGE_ROWS
    asked = users.of_period(
        scope, period=board.period, sort=sort, descending=descending, offset=offset, limit=PAGE_ROWS
    )
    board.ask({"users": asked})
    board.panel("Users", ("users",), partial(user_table, board), height=900)


def order() -> tuple[str, bool]:
    """What the list is sorted by."""
    sorts, orders = list(tables.SORTS), [DESCENDING, ASCENDING]
    wrong = address.complaints(
        {
            SORT: address.one_of("sort", sorts, f"users are sorted by {sorts[0].lower()}"),
            ORDER: address.one_of("order", orders, f"the list shows the {DESCENDING.lower()}"),
            USERS_PAGE: listing.page_check,
        }
    )
    with st.container(horizontal=True, gap="small"):
        sort, direction = (
            st.selectbox(label, choices, key=key, bind="query-params", on_change=_chosen, args=(key,), width=170)
            for label, choices, key in (("Sort users by", sorts, SORT), ("Order", orders, ORDER))
        )
    address.show(wrong)
    return tables.SORTS[sort or sorts[0]], direction != ASCENDING


def user_table(board: Board, result: Result) -> None:
    """One page of users; a click on a row leads to that user's generations."""
    page, frame = listing.page_number(USERS_PAGE), result.frame
    if frame.empty:
        empty.nothing_here(
            page, USERS_PAGE, "users", f"Nobody made a generation or was charged, {words.span(board.period)}."
        )
        return
    st.caption(
        "A generation counts for the user who made it; a charge for the user under whose name the ledger posted it."
        " Click a row for the user's generations."
    )
    if frame["charged_credits"].isna().any():
        st.caption("The ledger does not say whose charges these are, so Charged and Refunded are empty for users.")
    # Other rows are another table: a selection is a place in it.
    sort, descending = (result.query.arguments[one] for one in ("sort", "descending"))
    span = f"{board.period.start:%y%m%d%H%M}-{board.period.end:%y%m%d%H%M}"
    key = f"users-{page}-{sort}-{descending}-{span}"
    picked = tables.users(frame, zone=board.zone, key=key)
    if picked is not None:
        name = _name(result, picked)
        st.button(words.plain(f"Generations of {name}"), on_click=_open, args=(picked,), type="primary", key="of-user")
    rows, people = (int(frame[one].iloc[0]) for one in ("total_rows", "total_users"))
    if people < rows:
        st.caption(words.plain(f"{words.counted(people, 'user')}; “{tables.NOBODY}” is none of them."))
    listing.pager(rows, "user" if people == rows else "row", USERS_PAGE)


def _name(result: Result, user_id: str) -> str:
    rows = result.frame[result.frame["user_id"] == user_id]
    name = words.known(rows["user"].iloc[0])
    return words.shortened(name or user_id, 40)


def _open(user_id: str) -> None:
    sought.forget()
    st.query_params[sought.USER] = user_id
    tabs.show("Generations")


def _chosen(name: str) -> None:
    address.forgive(name)
    listing.first_page(USERS_PAGE)
