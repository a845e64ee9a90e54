"""Views of the list that have a name, and the address that keeps one's own."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import streamlit as st

from dashboard import listing

VIEWS: Mapping[str, Mapping[str, str]] = {
    "At risk by credits at stake": {"flags": listing.AT_RISK, "sort": "Call first", "order": listing.DESCENDING},
    "Runs out first": {"flags": listing.EVERY, "sort": "Runway", "order": listing.ASCENDING},
    "Upsell candidates": {"flags": listing.UPSELL, "sort": "Credits burned", "order": listing.DESCENDING},
    "Gone quiet": {"flags": listing.EVERY, "sort": "Last seen", "order": listing.ASCENDING},
    "Growing fastest": {"flags": listing.EVERY, "sort": "Week on week", "order": listing.DESCENDING},
}


def popover() -> None:
    """Views by name, and the address of what is shown now."""
    with st.popover("Views", icon=":material/bookmark:"):
        with st.container(gap=None):
            for name, view in VIEWS.items():
                st.button(name, key=f"view-{name}", on_click=listing.show, kwargs=dict(view), type="tertiary")
        st.caption("Copy this address to keep or share what is shown now:")
        st.code(address(), language=None, wrap_lines=True)


def address() -> str:
    """The page with all that is chosen on it."""
    parameters = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    base = (st.context.url or "").split("?")[0]
    base = base if urlsplit(base).path else f"{base}/"
    return f"{base}?{urlencode(parameters)}" if parameters else base
