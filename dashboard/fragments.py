"""Parts of a page that run by themselves: each such run asks again whether its person may still see the page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import viewer
from dashboard.services import current
from queries.errors import UsageDashboardError

WATCH_EVERY_S = 10.0
_DRAWN_FOR = "drawn_for"


def drawn_for(who: viewer.Viewer) -> None:
    """What is drawn from here on is for this person with the roles that they have now."""
    st.session_state[_DRAWN_FOR] = (who.who, who.grants)


def fragment(draw: Callable[..., None] | None = None, *, run_every: float | None = None) -> Callable[..., Any]:
    """`st.fragment`, where a run of the part alone first reads again who looks. When they have signed out, or their
    roles are others now, the whole page runs anew, which says so."""
    if draw is None:
        return functools.partial(fragment, run_every=run_every)
    part = draw

    @st.fragment(run_every=run_every)
    @functools.wraps(part)
    def guarded(*args: Any, **kwargs: Any) -> None:
        if not is_still_theirs():
            st.rerun()
        part(*args, **kwargs)

    return guarded


def is_still_theirs() -> bool:
    """Whether what the page shows is for who looks at it now."""
    if current().admission is None:
        return True
    try:
        who = viewer.viewer()
    except UsageDashboardError:
        return False
    return bool(st.session_state.get(_DRAWN_FOR) == (who.who, who.grants))


def watch() -> None:
    """Ask every few seconds, so that an open tab shows nothing any more to whoever may see nothing any more."""
    if current().admission is None:
        return

    @st.fragment(run_every=WATCH_EVERY_S)
    def look() -> None:
        if not is_still_theirs():
            st.rerun()

    look()
