"""The views of a page that has several. A view asks its questions only while it is open, and a link opens the same
one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import streamlit as st

from dashboard import address

TAB = "tab"
_OPEN, _WRITTEN = "open_view", "view_written"
# Nothing of the address is of one view only.
_NOTHING: Mapping[str, str] = MappingProxyType({})


def open_view(views: Mapping[str, Callable[[], None]], *, owners: Mapping[str, str] = _NOTHING) -> None:
    """Draw the tabs, and the open one's view in its place. `owners` are the names of the address that only one view
    knows, each with that view: a link that has one of them and names no view opens it."""
    names = list(views)
    named = st.query_params.get(TAB)
    wrong = address.one_of("view", names, f"{names[0]} is shown")([named] if named else [])
    st.session_state[_OPEN] = st.session_state[_WRITTEN] = asked(names, owners)
    tabs = st.tabs(names, key=_OPEN, on_change=_opened, args=(names[0], tuple(owners)))
    for tab, view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                address.show([wrong] if wrong else [])
                view()


def asked(names: Sequence[str], owners: Mapping[str, str] = _NOTHING) -> str:
    """The view of the address, which is where it is kept. After a link within the program Streamlit knows the
    parameters, but the browser's address lacks them and could not be copied: so they are written again."""
    named = st.query_params.get(TAB)
    wanted = named or next((view for name, view in owners.items() if name in st.query_params), None)
    if wanted is None or wanted not in names:
        return names[0]
    # What a view alone knows may leave the address while the view is open: so that is written too.
    if not named or st.session_state.get(_WRITTEN) != wanted:
        st.query_params[TAB] = wanted
    return wanted


def show(name: str) -> None:
    """Open another view. A callback."""
    st.query_params[TAB] = name


def _opened(default: str, owned: Sequence[str]) -> None:
    name = st.session_state[_OPEN]
    if name == default and not any(one in st.query_params for one in owned):
        st.query_params.pop(TAB, None)
    else:
        show(name)
