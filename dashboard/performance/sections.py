"""The panels of the page, from the top down."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from dashboard import headline, listing, panels, places, words
from dashboard.board import Board
from dashboard.figures.heatmaps import heatmap
from dashboard.headline import Headline
from dashboard.performance import choices, questions, run
from dashboard.performance.choices import BOTH, OURS, SLOW_PAGER, THEIRS, Chosen
from dashboard.performance.readings import may_see_parameters, readings
from dashboard.performance.sentences import WEEKDAYS, alerting, hit_share, hour, regression, sums
from dashboard.services import current
from dashboard.tables import performance as tables
from dashboard.tables.cells import records
from dashboard.words import first_row
from queries.performance.repeats import Repeat
from queries.query import Result

_HOURS = 24


def draw(board: Board, chosen: Chosen) -> None:
    """The panels, in order of importance."""
    board.look_up(readings(board, chosen))
    _where_from(chosen)
    board.panel("", ("over time",), partial(headlines, chosen), height=150)
    if chosen.release is not None:
        board.panel(f"Slower than {chosen.release}", ("slower",), partial(slower, chosen), height=120)
    names = {OURS: ("questions",), THEIRS: ("theirs",), BOTH: ("questions", "theirs")}[chosen.whose]
    board.panel("Questions by cost", names, partial(questions.draw, board, chosen), height=640)
    left, right = st.columns(2)
    board.panel("Load by hour and weekday", ("hours",), partial(hours, chosen), height=290, place=left)
    board.panel("Repeats within a page run", ("repeats",), partial(repeated, chosen), height=290, place=right)
    board.panel("Slow queries", ("slow",), partial(slow, board, chosen), height=420)
    board.panel("One page run", ("run", "runs"), partial(run.draw, chosen), height=420)


def _where_from(chosen: Chosen) -> None:
    """Which record this is, and what it lacks."""
    services = current()
    if chosen.window.source == "memory":
        st.info(
            "These are the executions that this process remembers (at most 20,000, until it stops). Set DIRECT_URL and"
            " run python -m dashboard migrate to keep them, with those of other processes, for"
            f" {words.counted(services.settings.query_log_days, 'day')}.",
            icon=":material/memory:",
        )
    log = services.query_log
    if log is not None and log.dropped:
        st.warning(
            f"{words.counted(log.dropped, 'record')} of this process could not be kept in the query log: it was full,"
            " or the database away. The figures lack them.",
            icon=":material/warning:",
        )


def headlines(chosen: Chosen, over_time: Result) -> None:
    rows = records(over_time.frame)
    totals = sums(rows)
    share = hit_share(totals)
    parts = ", ".join(f"{words.exact(totals[one])} {one}" for one in ("hits", "stale", "misses", "shared", "errors"))
    headline.show(
        [
            Headline(
                "Calls",
                words.amount(totals["calls"]),
                f"Questions answered {chosen.span}: {parts}",
                note=chosen.span,
                spark=[one["calls"] for one in rows],
            ),
            Headline(
                "From the cache",
                words.percent(share),
                f"{words.exact(totals['hits'])} fresh and {words.exact(totals['stale'])} older answers of"
                f" {words.exact(totals['calls'] - totals['errors'])}; they take no database time",
                note="of all answers" if share is not None else "nothing was asked",
                spark=[hit_share(one) or 0 for one in rows],
            ),
            Headline(
                "Database time",
                words.duration(totals["total_ms"]) if totals["misses"] else "0 ms",
                f"Of {words.counted(totals['misses'], 'miss').replace('misss', 'misses')}, fetching included",
                note=f"of {words.amount(totals['misses'])} run",
                spark=[one["total_ms"] for one in rows],
            ),
            Headline(
                "Slow",
                words.amount(totals["slow"]),
                f"{words.small_ms(current().settings.slow_query_ms)} in the database or more (SLOW_QUERY_MS), or"
                " stopped by the timeout",
                note="listed below" if totals["slow"] else "none",
                spark=[one["slow"] for one in rows],
            ),
            Headline(
                "Errors",
                words.amount(totals["errors"]),
                "Questions without an answer; the log has each under its reference",
                note="see the log" if totals["errors"] else "none",
                spark=[one["errors"] for one in rows],
            ),
        ]
    )
    if not totals["calls"]:
        _nothing(chosen)


def _nothing(chosen: Chosen) -> None:
    if chosen.is_filtered:
        st.info(
            f"Nothing was asked by this page and question {chosen.span}.",
            icon=":material/hourglass_empty:",
        )
        st.button("Show all pages and questions", on_click=choices.everything, type="primary")
        return
    st.info(
        f"Nothing was asked {chosen.span}. Open a page of accounts, so that it asks the database, then come back.",
        icon=":material/hourglass_empty:",
    )


def slower(chosen: Chosen, result: Result) -> None:
    """What got slower than the baseline, each with its numbers."""
    found = [one for one in records(result.frame) if one["regression"] is not None]
    for one in found:
        st.markdown(f":material/trending_up: {words.plain(regression(one, chosen.release or ''))}")
    if not found:
        known = any(one["baseline_p95_ms"] is not None for one in records(result.frame))
        st.caption(
            "No question's p95 is over 1.5 times that of the baseline, with at least 20 runs on both sides."
            if known
            else "The baseline knows none of these questions; choose another, or save one."
        )


def hours(chosen: Chosen, result: Result) -> None:
    """When the questions come, in the zone of the filters."""
    found = {(one["weekday"], one["hour"]): one for one in records(result.frame)}
    if not found:
        st.caption(f"Nothing was asked {chosen.span}.")
        return
    cells = [[found.get((day + 1, start)) for start in range(_HOURS)] for day in range(len(WEEKDAYS))]
    figure = heatmap(
        WEEKDAYS,
        [f"{start:02d}:00" for start in range(_HOURS)],
        [[None if one is None else float(one["calls"]) for one in row] for row in cells],
        [[_hour_hover(day + 1, start, one) for start, one in enumerate(row)] for day, row in enumerate(cells)],
        title=f"Hour of the day in {chosen.zone}",
        ticks=8,
        is_dark=st.context.theme.type == "dark",
    )
    busiest = max(found.values(), key=lambda one: (one["calls"], -one["weekday"], -one["hour"]))
    said = f"Busiest: {hour(busiest['weekday'], busiest['hour'])}, {words.counted(busiest['calls'], 'call')}"
    panels.chart(figure, alt=f"Calls by hour and weekday. {said}", key="performance-hours")
    st.caption(words.plain(f"Calls {chosen.span}, wherever their answers came from. {said}."))


def _hour_hover(weekday: int, start: int, one: dict[str, Any] | None) -> str:
    if one is None:
        return ""
    calls, misses = words.counted(one["calls"], "call"), words.exact(one["misses"])
    return f"{hour(weekday, start)}: {calls}, {misses} run in the database, {words.small_ms(one['total_ms'])}"


def repeated(chosen: Chosen, result: Result) -> None:
    """N+1 and duplicates, each with the page and line that asks."""
    if result.frame.empty:
        st.info(
            f"No page run {chosen.span} asked the database one question per row, or the same question twice.",
            icon=":material/check_circle:",
        )
        return
    row = tables.repeats(result.frame, chosen.zone, key="performance-repeats")
    chosen_row = records(result.frame)[row or 0]
    one = Repeat(
        *(chosen_row[name] for name in ("kind", "query", "fingerprint", "page", "asked_by", "executions", "distinct"))
    )
    st.markdown(f":material/repeat: {words.plain(one.sentence)}")
    st.button("Show this page run", on_click=choices.open_run, args=(chosen_row["run_id"],), type="tertiary")


def slow(board: Board, chosen: Chosen, result: Result) -> None:
    """The slow ones, and whether anybody is told of them."""
    _slow_list(board, chosen, result)
    st.caption(words.plain(alerting(current().settings)))


def _slow_list(board: Board, chosen: Chosen, result: Result) -> None:
    """The newest first; a click opens the plan."""
    if result.frame.empty:
        page, limit = listing.page_number(SLOW_PAGER), words.small_ms(current().settings.slow_query_ms)
        if page > 1:
            st.info(f"There is no page {page:,} of slow queries.")
            st.button("Show the first page", on_click=listing.first_page, args=(SLOW_PAGER,), type="primary")
            return
        st.info(f"No query took {limit} or more in the database {chosen.span}.", icon=":material/check_circle:")
        return
    row = tables.slow_list(
        result.frame, chosen.zone, key=f"slow-{listing.page_number(SLOW_PAGER)}", may_see=may_see_parameters(board)
    )
    listing.pager(int(first_row(result.frame)["total_rows"]), "slow statement", SLOW_PAGER)
    if not may_see_parameters(board):
        st.caption("Values of parameters are shown to engineers only.")
    one = records(result.frame)[row] if row is not None else None
    if one is None:
        st.caption("Click a row for its plan and its page run.")
        return
    st.markdown(f"**{words.plain(one['query'])}**, {words.plain(words.moment(one['at'].to_pydatetime(), chosen.zone))}")
    if one["error"]:
        st.caption(words.plain(one["error"]))
    with st.container(horizontal=True, gap="small"):
        plan_link("Open its plan", one["fingerprint"], one["plan_hash"], one["parameters_hash"])
        if one["run_id"]:
            st.button("Show its page run", on_click=choices.open_run, args=(one["run_id"],), type="tertiary")


def plan_link(label: str, fingerprint: str | None, plan_hash: str | None, parameters_hash: str | None) -> None:
    """A link to the plan of one call of a statement; in words where the statement never was."""
    if fingerprint is None:
        st.caption("It was stopped before PostgreSQL answered; its plan is on the page Plan, by another call.")
        return
    asked = {"statement": fingerprint, "plan": plan_hash, "call": parameters_hash}
    places.link("plan", label, {name: value for name, value in asked.items() if value})
