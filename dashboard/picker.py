"""A tenant among ten thousand: found by a part of its name, in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import streamlit as st

from dashboard import words
from dashboard.board import Board
from queries.catalog import tenants
from queries.errors import UsageDashboardError
from queries.scope import is_storable

# So many are listed; who is not among them is found by more letters of the name.
LISTED = 12
_SEARCH_LENGTH = 100


def tenant_search(board: Board, label: str, *, key: str, choose: Callable[[str], None]) -> None:
    """A button with a search behind it, wherever it is called; `choose` is a callback that gets the tenant's id."""
    with st.popover(label, icon=":material/search:", key=f"{key}_open"):
        matches(board, key=key, choose=choose)


def matches(board: Board, *, key: str, choose: Callable[[str], None]) -> None:
    """The search and the tenants that it finds, as buttons."""
    typed = st.text_input(
        "Search tenants",
        key=f"{key}_search",
        placeholder="Part of a name",
        icon=":material/search:",
        max_chars=_SEARCH_LENGTH,
        width=300,
    )
    search = (typed or "").strip()
    if not is_storable(search):
        search = ""
    try:
        found = board.run(tenants.tenant_choices(board.viewer.scope, search=search, limit=LISTED + 1)).frame
    except UsageDashboardError as error:
        st.caption(words.plain(f"The tenants cannot be listed: {error.message}."))
        return
    if found.empty:
        st.caption("No tenant of yours has this in its name. Try another part of it.")
    named = zip(found["tenant"], found["tenant_id"], strict=True)
    names = [words.shortened(key if words.known(one) is None else one, 40) for one, key in named]
    times = Counter(names)
    with st.container(gap=None):
        for tenant_id, name in list(zip(found["tenant_id"], names, strict=True))[:LISTED]:
            told_apart = name if times[name] == 1 else f"{name} · {words.shortened(tenant_id, 30)}"
            st.button(
                words.plain(told_apart),
                key=f"{key}_{tenant_id}",
                on_click=choose,
                args=(tenant_id,),
                type="tertiary",
            )
    if len(found) > LISTED:
        st.caption(f"These are the first {LISTED} by name; type a part of the name for others.")
