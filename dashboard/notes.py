"""Notes that people pin to a tenant and a day: the list and the form behind a button, and the marks on charts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import places, viewer, words
from dashboard.board import Board
from dashboard.figures.notes import mark
from dashboard.services import current
from queries.catalog import notes
from queries.errors import MappingError, NotFoundError, PermissionDeniedError, UsageDashboardError
from queries.notes import TEXT_LENGTH, Author
from queries.period import EARLIEST, LATEST, Period, local_date
from queries.query import Query
from queries.scope import Scope

NOTES = "notes"
NEEDS_DIRECT_URL = (
    "Notes need DIRECT_URL: the address of a role that may write the schema usage_dashboard. Set it, run"
    " python -m dashboard migrate, and start the dashboard again."
)
NEEDS_MIGRATE = (
    "Notes are not set up in this database, or may not be read: run python -m dashboard migrate with DIRECT_URL."
)
_SAID = "notes_said"


def pinned_query(scope: Scope, period: Period) -> dict[str, Query]:
    """The question for the notes of a period, for a page's set of questions; nothing where notes cannot be kept."""
    notebook = current().notebook
    if notebook is None:
        return {}
    # Of no grain: by month no period has too many buckets.
    return {NOTES: notes.pinned(scope, period=period.with_grain("month"), version=notebook.version)}


def marked(figure: go.Figure, board: Board, period: Period, *, named: bool = False) -> go.Figure:
    """The figure with the page's notes; as it is when they cannot be read, which the list says."""
    frame, _ = _rows(board)
    return figure if frame is None else mark(figure, frame, period, named=named)


def control(board: Board, scope: Scope) -> None:
    """The button with the list behind it, in the page's bar. Call it after the page's questions are asked; what is
    behind it is drawn when the panels are there."""
    with board.bar:
        behind = st.popover("Notes", icon=":material/push_pin:")

    def draw() -> None:
        with behind:
            _list_and_form(board, scope)

    board.afterwards(draw)


def _rows(board: Board) -> tuple[pd.DataFrame | None, str]:
    """The page's notes, or why there are none to show."""
    if current().notebook is None:
        return None, NEEDS_DIRECT_URL
    try:
        return board.answer(NOTES).frame, ""
    except (MappingError, PermissionDeniedError):
        return None, NEEDS_MIGRATE
    except UsageDashboardError as error:
        return None, f"The notes cannot be read: {error.message}."


def _list_and_form(board: Board, scope: Scope) -> None:
    frame, reason = _rows(board)
    if frame is None:
        st.caption(words.plain(reason))
        return
    if said := st.session_state.pop(_SAID, ""):
        st.info(words.plain(said))
    if len(scope.ordered_ids) == 1:
        _form(board, scope.ordered_ids[0])
    else:
        st.caption("Open a tenant to pin a note to it.")
    _list(board, frame, named=len(scope.ordered_ids) != 1)


def _form(board: Board, tenant_id: str) -> None:
    today = local_date(board.period.now, board.zone)
    day_key, text_key = f"note_day_{tenant_id}", f"note_text_{tenant_id}"
    with st.form("note_form", border=False):
        st.text_input("Note", key=text_key, max_chars=TEXT_LENGTH, placeholder="Price change")
        st.date_input(
            "Day",
            value=min(today, board.period.last_date),
            min_value=EARLIEST,
            max_value=LATEST - timedelta(days=1),
            key=day_key,
            format="YYYY-MM-DD",
        )
        st.form_submit_button("Pin", type="primary", on_click=_pin, args=(board.page, tenant_id, day_key, text_key))


def _list(board: Board, frame: pd.DataFrame, *, named: bool) -> None:
    if frame.empty:
        st.caption(f"No notes from {words.span(board.period)}.")
        return
    if len(frame) >= notes.NOTES_SHOWN:
        st.caption(f"The newest {notes.NOTES_SHOWN} notes of the period.")
    for row in frame.to_dict("records"):
        _one(board, row, named=named)


def _one(board: Board, row: Mapping[Any, Any], *, named: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width="stretch", gap=None):
            st.markdown(words.plain(row["text"]))
            whose = f"{words.plain(words.shortened(row['tenant']))} · " if named and words.known(row["tenant"]) else ""
            st.caption(f"{whose}{words.day(row['day'])} · {words.plain(row['author'])}")
        who = _author(board.viewer)
        if who.may_remove_any or row["author"] == who.name:
            st.button(
                "Remove",
                key=f"note_remove_{row['note_id']}",
                type="tertiary",
                on_click=_remove,
                args=(board.page, int(row["note_id"])),
            )


def _author(who: viewer.Viewer) -> Author:
    return Author(who.name, who.role, may_remove_any="admin" in who.roles)


def _pin(page: str, tenant_id: str, day_key: str, text_key: str) -> None:
    day: date | None = st.session_state.get(day_key)
    try:
        who = _writer(page)
        notebook = current().notebook
        assert notebook is not None, "the form is shown where notes can be kept"
        text = str(st.session_state.get(text_key, ""))
        notebook.add(who.scope, tenant_id=tenant_id, day=day, text=text, author=_author(who))  # type: ignore[arg-type]  # no day is refused there
    except UsageDashboardError as error:
        st.session_state[_SAID] = words.sentence(error.message)
        return
    st.session_state[text_key] = ""
    st.session_state[_SAID] = f"Pinned to {words.day(day)}." if day is not None else ""


def _remove(page: str, note_id: int) -> None:
    try:
        who = _writer(page)
        notebook = current().notebook
        assert notebook is not None, "the list is shown where notes can be kept"
        notebook.remove(who.scope, note_id=note_id, by=_author(who))
    except UsageDashboardError as error:
        st.session_state[_SAID] = words.sentence(error.message)
        return
    st.session_state[_SAID] = "The note is removed."


def _writer(page: str) -> viewer.Viewer:
    """Who presses the button now; their rights may have changed since the page was drawn."""
    if not places.may_open(page):
        raise NotFoundError("this page is not open to your role; choose another page from the sidebar")
    return viewer.viewer().at(page)
