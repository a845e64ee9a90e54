"""The table of questions and of the application's statements, and what is known of the one that was clicked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import listing, places, words
from dashboard.board import Board
from dashboard.performance import choices
from dashboard.performance.choices import BOTH, OURS, PAGER, RANKS, THEIRS, Chosen
from dashboard.performance.readings import may_see_parameters
from dashboard.performance.sentences import regression, slowest
from dashboard.services import current
from dashboard.tables import performance as tables
from dashboard.tables.cells import PAGE_ROWS, records
from queries.performance import server_statements
from queries.query import Result

_MERGED = {"Total time": "total", "p95": "p95", "Calls": "calls", "Rows": "rows", "Temporary files": "temp"}


def draw(board: Board, chosen: Chosen, *results: Result) -> None:
    """The table in the chosen order, its pages, and the row that was clicked."""
    choices.list_bar()
    ours = records(results[0].frame) if chosen.whose != THEIRS else []
    theirs = records(results[-1].frame) if chosen.whose != OURS else []
    if chosen.whose != OURS:
        _state(chosen)
    rows = _in_order(chosen, [*(tables.our_row(one) for one in ours), *(tables.their_row(one) for one in theirs)])
    if not rows:
        _nothing(chosen)
        return
    key = f"questions-{chosen.whose}-{chosen.rank}-{listing.page_number(PAGER)}"
    place = tables.questions(rows, key, marked=chosen.whose == BOTH, slower=chosen.release is not None)
    if chosen.whose == OURS:
        listing.pager(int(ours[0]["total_rows"]), "question", PAGER)
    elif chosen.whose == BOTH:
        st.caption(f"The first {PAGE_ROWS} of each. Choose {OURS} for the other pages of ours.")
    _detail(board, chosen, ours, rows[place] if place is not None else rows[0] if len(rows) == 1 else None)


def _in_order(chosen: Chosen, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each part is in the chosen order already; both together are put in it once more."""
    if chosen.whose != BOTH:
        return rows
    name = _MERGED.get(chosen.rank, "total")

    def largest_first(one: dict[str, Any]) -> float:
        # What the server keeps in place of a percentile.
        value = one.get(name) if name != "p95" or one["whose"] == tables.OURS else one["mean"]
        return -float(value or 0)

    return sorted(rows, key=largest_first)


def _state(chosen: Chosen) -> None:
    """What the server counts of the application's statements, and otherwise what to run."""
    state = server_statements.state(current().database)
    if state.kind == "ready":
        since = "" if state.since is None else f" since {words.moment(state.since, chosen.zone)}"
        nearest = {"p95": " by mean time", "Slower than before": " by total time"}.get(chosen.rank, "")
        st.caption(
            words.plain(
                f"The application's statements are counted by the server{since}, whatever time is chosen above. It"
                f" keeps no percentiles, so they go{nearest or ' by their own sums'}."
            )
        )
        return
    st.info(words.plain(state.sentence), icon=":material/info:")
    if state.command:
        st.code(state.command, language=None, wrap_lines=True)


def _nothing(chosen: Chosen) -> None:
    page = listing.page_number(PAGER)
    if chosen.whose == OURS and page > 1:
        st.info(f"There is no page {page:,} of these questions.")
        st.button(
            "Show the first page", on_click=listing.first_page, args=(PAGER,), type="primary", key="first-questions"
        )
    elif chosen.whose == OURS:
        st.info(f"Nothing was asked {chosen.span}.", icon=":material/hourglass_empty:")
    elif chosen.whose == THEIRS:
        st.caption("There is no statement of the application to show.")


def _detail(board: Board, chosen: Chosen, ours: list[dict[str, Any]], row: Mapping[str, Any] | None) -> None:
    """What is known of one row: whether it got slower, its slowest run, and the ways on."""
    if row is None:
        st.caption("Click a row for its slowest parameters and its plan.")
        return
    if row["whose"] == tables.THEIRS:
        st.code(row["name"], language=None, wrap_lines=True)
        return
    one = next(each for each in ours if each["query"] == row["name"])
    st.markdown(f"**{words.plain(one['query'])}**: {words.plain(slowest(one))}")
    if one["regression"] is not None:
        st.markdown(f":material/trending_up: {words.plain(regression(one, chosen.release or ''))}")
    if one["slowest_ms"] is not None:
        if may_see_parameters(board):
            st.code(one["slowest_parameters"] or "{}", language=None, wrap_lines=True)
        else:
            st.caption("The values of its parameters are shown to engineers only.")
    with st.container(horizontal=True, gap="small"):
        if one["slowest_fingerprint"] is not None:
            asked = {"statement": one["slowest_fingerprint"], "plan": one["slowest_plan_hash"]}
            asked["call"] = one["slowest_hash"]
            places.link("plan", "Open the plan of that run", {name: value for name, value in asked.items() if value})
        if chosen.window.query is None:
            st.button("Only this question", on_click=choices.only, args=(one["query"],), type="tertiary")
        else:
            st.button("All pages and questions", on_click=choices.everything, type="tertiary", key="everything-below")


assert set(_MERGED) < set(RANKS), "what both are sorted by can be chosen"
