"""How well it works for this tenant: success, how long generations take, and what is stuck."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import address, headline, listing, panels, words
from dashboard.account import empty
from dashboard.account.arrival import STUCK_PAGE
from dashboard.board import Board, offer_newest
from dashboard.figures.usage import latency_lines
from dashboard.tables import usage as tables
from dashboard.tables.cells import PAGE_ROWS
from queries.catalog import generations, latency, usage
from queries.period import Period
from queries.query import Result
from queries.scope import Scope


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view."""
    period = board.period
    wrong = address.complaints({STUCK_PAGE: listing.page_check})
    address.show(wrong)
    offset = (listing.page_number(STUCK_PAGE) - 1) * PAGE_ROWS
    board.ask(
        {
            "now": usage.totals(scope, period=period),
            "days": usage.daily(scope, period=period.with_grain("day")),
            "latency": latency.over_time(scope, period=period),
            "stuck": generations.stuck(scope, now=period.now, offset=offset, limit=PAGE_ROWS),
        }
    )
    board.panel("", ("now", "days", "stuck"), partial(headlines, board, scope), height=140)
    board.panel("Latency of successful generations", ("latency",), partial(took, period), height=300)
    board.panel("Stuck generations", ("stuck",), partial(stuck_list, board), height=400)


def headlines(board: Board, scope: Scope, now: Result, days: Result, stuck: Result) -> None:
    """Success and latency of the period, and how many are stuck at all."""
    totals = words.first_row(now.frame)
    if not totals["generations"]:
        offer_newest(board, scope, "This tenant")
    waiting = int(stuck.frame["total_rows"].iloc[0]) if len(stuck.frame) else None
    first_page = listing.page_number(STUCK_PAGE) == 1
    headline.show(
        headline.of_quality(totals, days.frame, board.period, 0 if waiting is None and first_page else waiting)
    )


def took(period: Period, result: Result) -> None:
    """p50, p95 and p99 over time; which are not shown, and why."""
    rows = int(result.frame["latency_rows"].sum())
    if not rows:
        st.info(f"No successful generation with a duration, {words.span(period)}, so there is no latency to show.")
        return
    alt = f"Lines: latency p50, p95 and p99, {words.span(period)}, of {words.exact(rows)} successful generations"
    panels.chart(latency_lines(result.frame, period), alt=alt, key="latency")
    hidden = [
        f"{quantile} in {words.counted(missing, period.grain)}"
        for quantile in ("p50", "p95", "p99")
        if (missing := int(result.frame[f"{quantile}_ms"].isna().sum()))
    ]
    if hidden:
        st.caption(
            f"Gaps are too few to say: {', '.join(hidden)} (p50 and p95 need 20 successful generations, p99 needs 100)."
        )


def stuck_list(board: Board, result: Result) -> None:
    """Generations that have not ended after 15 minutes, whenever they were made."""
    page = listing.page_number(STUCK_PAGE)
    if result.frame.empty:
        empty.nothing_here(
            page, STUCK_PAGE, "stuck generations", "No generation has been waiting for more than 15 minutes."
        )
        return
    st.caption("Not ended and older than 15 minutes, whenever they were made; the oldest first.")
    tables.stuck(result.frame, now=board.period.now, zone=board.zone, key=f"stuck-{page}")
    listing.pager(int(result.frame["total_rows"].iloc[0]), "stuck generation", STUCK_PAGE)
