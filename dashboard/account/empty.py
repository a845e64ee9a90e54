"""A list that has nothing to show: because nothing is there, or because the link's page lies beyond the last one."""

from __future__ import annotations

import streamlit as st

from dashboard import listing, words


def nothing_here(page: int, key: str, noun: str, sentence: str) -> None:
    """The sentence on the first page; beyond it, the way back."""
    if page == 1:
        st.info(words.plain(sentence))
        return
    st.info(words.plain(f"There is no page {page:,} of {noun}."))
    st.button("Show the first page", on_click=listing.first_page, args=(key,), key=f"first-{key}")
