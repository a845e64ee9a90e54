"""Links to files. Streamlit's own open a new tab; these stay, and one that is told to is followed by itself, once."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

_HTML = "<a></a>"
_CSS = """
a { color: var(--st-link-color); font-family: var(--st-font); font-size: var(--st-base-font-size); }
a:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""
# What was followed is remembered for as long as the page is open: a rerun draws the same link anew.
_SCRIPT = """
const followed = new Set();
export default function ({ data, parentElement }) {
  const link = parentElement.querySelector("a");
  link.href = data.address;
  link.download = data.name;
  link.textContent = data.label;
  if (data.once && !followed.has(data.once)) {
    followed.add(data.once);
    link.click();
  }
}
"""


@cache
def _link() -> Any:
    return st.components.v2.component("file_link", html=_HTML, css=_CSS, js=_SCRIPT)


def file_link(label: str, address: str, name: str, *, key: str, once: str = "") -> None:
    """A link to a file; with `once` the browser follows it by itself, once for each such word."""
    _link()(key=key, data={"label": label, "address": address, "name": name, "once": once}, height="content")
