"""The views of the Tenant page. A view asks its questions only while it is open, and a link opens the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from dashboard import address
from dashboard.board import Board
from queries.scope import Scope

TAB = "tab"
_OPEN, _WRITTEN = "open_view", "view_written"
View = Callable[[Board, Scope], None]


def open_view(board: Board, scope: Scope, views: Mapping[str, View]) -> None:
    """Draw the tabs, and the open one's view in its place."""
    names = list(views)
    wrong = address.complaints({TAB: address.one_of("view", names, f"{names[0]} is shown")})
    st.session_state[_OPEN] = st.session_state[_WRITTEN] = asked(names)
    tabs = st.tabs(names, key=_OPEN, on_change=_opened, args=(names[0],))
    for tab, view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                address.show(wrong)
                view(board, scope)


def asked(names: Sequence[str]) -> str:
    """The view of the address, which is where it is kept. After a link within the program Streamlit knows the
    parameters, but the browser's address lacks them and could not be copied: so they are written again."""
    wanted = st.query_params.get(TAB)
    if wanted is None or wanted not in names:
        return names[0]
    if st.session_state.get(_WRITTEN) != wanted:
        st.query_params[TAB] = wanted
    return wanted


def show(name: str) -> None:
    """Open another view. A callback."""
    st.query_params[TAB] = name
    address.forgive(TAB)


def _opened(default: str) -> None:
    name = st.session_state[_OPEN]
    if name == default:
        st.query_params.pop(TAB, None)
        address.forgive(TAB)
    else:
        show(name)
