"""The button beside a statement that makes or drops an index; or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import auditing, viewer, words
from dashboard.indexes import Indexes
from dashboard.services import current
from queries.errors import ArgumentError, NotFoundError, UsageDashboardError
from queries.performance.findings import Finding
from queries.performance.index_offers import Lookup, Offer
from queries.performance.workload import Origin

MOST_MEASURED = 3
_REFUSED = "index_change_refused"


def offer(shown: Indexes, ddl: str, *, key: str, origins: Sequence[Origin] = (), lookup: Lookup | None = None) -> None:
    """Offer to apply this statement of ours, and to measure before and after it what it is for."""
    maker = shown.maker
    if maker is None:
        st.caption(shown.why_not)
        return
    slowest = sorted((one for one in origins if one.question is not None), key=lambda one: -one.mean_ms * one.calls)
    questions = tuple(one.question for one in slowest[:MOST_MEASURED] if one.question is not None)
    try:
        made = maker.offers.add(ddl, questions=questions, lookup=lookup)
    except ArgumentError as error:
        st.caption(words.plain(words.sentence(error.message)))
        return
    is_busy = maker.job is not None and not maker.job.ended.is_set()
    label = "Make this index" if made.action == "create" else "Drop this index"
    with st.popover(label, icon=":material/build:", key=f"{key}-apply", disabled=is_busy):
        st.markdown(words.plain(_what_happens(made)))
        st.button(f"{label} now", type="primary", on_click=start, args=(made.token,), key=key)


def statements(ddl: str | None, prisma: str | None) -> None:
    """The statement to run, and what to write in Prisma's schema, side by side where there is room."""
    shown = {"SQL": ddl, "Prisma's schema": prisma}
    there = {title: text for title, text in shown.items() if text}
    if not there:
        return
    widths = [3, 2] if len(there) == 2 else [1]
    for place, (title, text) in zip(st.columns(widths), there.items(), strict=True):
        with place:
            st.caption(title)
            st.code(text, language=None, wrap_lines=True)


def lookup_of(one: Finding) -> Lookup | None:
    """What the check of a foreign key does, of a finding about one."""
    if one.schema is None or one.table is None or not one.columns:
        return None
    return Lookup(one.schema, one.table, one.columns)


def start(token: str) -> None:
    """Begin the change. A callback; what is refused is said on the page."""
    maker = current().index_changes
    if maker is None:
        return
    try:
        who = viewer.viewer()  # read again: the right may have been taken away since
        if "admin" not in who.roles:
            raise NotFoundError("indexes are made and dropped by administrators; ask one of them")
        offer = maker.start(token, who.name).offer
    except UsageDashboardError as error:
        st.session_state[_REFUSED] = error.message
        return
    action = auditing.INDEX_MADE if offer.action == "create" else auditing.INDEX_DROPPED
    auditing.record(current().audit, who.name, who.role, action, {"index": offer.index_name, "statement": offer.ddl})


def show_refusal() -> None:
    """Why the last click began nothing, once."""
    message = st.session_state.pop(_REFUSED, None)
    if message:
        st.warning(words.plain(words.sentence(message)), icon=":material/block:")


def _what_happens(made: Offer) -> str:
    measured = len(made.questions) + (made.lookup is not None)
    then = f" {words.counted(measured, 'statement')} that it is for will be run a few times before and after it."
    return (
        f"{'Makes' if made.action == 'create' else 'Drops'} {made.index_name} on the embedded demo, beside those who"
        f" write (CONCURRENTLY).{then if measured else ''}"
    )
