"""The two views of the Credit burn page, one for each half of its question."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import tabs
from dashboard.burn import choices, sections
from dashboard.burn.sections import Burn


def open_view(burn: Burn) -> None:
    """The open one of the two."""
    views = {choices.WHERE: partial(where_they_go, burn), choices.HOW_LONG: partial(how_long_they_last, burn)}
    tabs.open_view(views, owners=choices.OWNERS)


def where_they_go(burn: Burn) -> None:
    """What was charged, and what came in and went out. The headline figures ask for all of it already."""
    board, grain = burn.board, burn.period.grain
    board.panel(f"Credits burned per {grain}", ("flows",), partial(sections.burned, burn), height=300)
    board.panel(f"Credits in and out per {grain}", ("flows", "signals"), partial(sections.moved, burn), height=430)


def how_long_they_last(burn: Burn) -> None:
    """What is left of one tenant's credits, how far that can be trusted, and who runs out first."""
    board, burn.shows_forecast = burn.board, True
    burn.what_if = choices.what_if(burn.is_one)
    told = ("history", "signals")
    left, right = st.columns([3, 2])
    board.panel("Burn-down", told, partial(sections.down, burn), height=470, place=left)
    board.panel("How good is this forecast?", told, partial(sections.trust, burn), height=470, place=right)
    if not burn.is_one:
        board.panel("Tenants by runway", ("signals",), partial(sections.table, burn), height=960)
    board.ask_after("signals", "history", burn.history)
