"""Baselines of releases: save one, compare with one, remove one."""

from __future__ import annotations

import streamlit as st

from dashboard import panels, viewer, words
from dashboard.board import Board
from dashboard.performance import choices
from dashboard.performance.choices import Chosen
from dashboard.performance.readings import releases
from dashboard.services import code_version, current
from dashboard.tables.cells import records
from queries.errors import UsageDashboardError
from queries.performance import baselines, log_reading

_NAME, _PICK, _SAID = "baseline_name", "baseline_pick", "baseline_said"
NONE = "No baseline"


def control(board: Board, chosen: Chosen) -> None:
    """A popover in the bar."""
    try:
        saved = [one["release"] for one in records(releases().frame)]
        error = None
    except UsageDashboardError as raised:
        saved, error = [], raised
    with board.bar, st.popover("Baseline", icon=":material/bookmark:", help="Compare with an earlier release"):
        if error is not None:
            panels.failure(error, key="baselines")
        elif saved:
            _compare(chosen, saved)
        else:
            st.caption("No baseline is saved yet. Save one before a release, and compare after it.")
        _save(board, chosen)
    if chosen.release is not None and error is None and chosen.release not in saved:
        st.info(
            words.plain(f"The link's baseline “{words.shortened(chosen.release, 40)}” is not saved here."),
            icon=":material/link_off:",
        )


def _compare(chosen: Chosen, saved: list[str]) -> None:
    st.session_state[_PICK] = chosen.release if chosen.release in saved else NONE
    st.selectbox("Compare with", [NONE, *saved], key=_PICK, on_change=_picked, width=280)
    if chosen.release in saved and current().database.owner is not None:
        st.button("Remove this baseline", on_click=_remove, args=(chosen.release,), type="tertiary")


def _picked() -> None:
    picked = st.session_state[_PICK]
    choices.compare_with(None if picked == NONE else str(picked))


def _save(board: Board, chosen: Chosen) -> None:
    if current().database.owner is None:
        st.caption("A baseline is kept in the database: set DIRECT_URL and run python -m dashboard migrate.")
        return
    st.text_input(
        "Release",
        key=_NAME,
        value=code_version(),
        max_chars=baselines.LONGEST_NAME,
        width=280,
        help="A release or a commit. The digest of this program's sources is proposed.",
    )
    st.button("Save as baseline", on_click=_keep, args=(board.viewer.name, chosen), type="primary")
    st.caption(words.plain(f"Keeps calls, p50 and p95 of every question {chosen.span}, for all pages."))
    if (said := st.session_state.pop(_SAID, None)) is not None:
        st.info(words.plain(said))


def _keep(who: str, chosen: Chosen) -> None:
    """Save what the chosen time says of every question. A callback."""
    try:
        viewer.viewer().at("performance")  # read again: it may have been taken away since
        name = baselines.release_name(str(st.session_state.get(_NAME) or ""))
        figures = log_reading.by_query(current().database, chosen.everything, current().monitor)
        kept = baselines.save(current().database, name, figures, saved_by=who)
    except UsageDashboardError as error:
        st.session_state[_SAID] = words.sentence(error.message)
        return
    st.session_state[_SAID] = f"Saved {words.counted(kept, 'question')} as {name}."
    choices.compare_with(name)


def _remove(release: str) -> None:
    try:
        viewer.viewer().at("performance")
        baselines.forget(current().database, release)
    except UsageDashboardError as error:
        st.session_state[_SAID] = words.sentence(error.message)
        return
    choices.compare_with(None)
