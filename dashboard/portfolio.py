"""The parts of the Tenants page."""

from __future__ import annotations

import streamlit as st

from dashboard import headline, listing, places, tables, words
from dashboard.board import Board, offer_newest, stop_with
from dashboard.listing import Listing
from queries.catalog import tenants
from queries.errors import UsageDashboardError
from queries.query import Result

_PLANS = "plans_known"


def toolbar(board: Board) -> Listing:
    """The row above the list, with the plans that there are; those of before while the database is away."""
    try:
        st.session_state[_PLANS] = board.run(tenants.plans(board.viewer.scope)).frame["plan"].tolist()
    except UsageDashboardError as error:
        if _PLANS not in st.session_state:
            stop_with(error, board.visit)
    return listing.toolbar(st.session_state[_PLANS])


def headlines(board: Board, wanted: Listing, totals: Result, days: Result, before: Result) -> None:
    """The five figures; above them the empty state, when nothing was generated in the period."""
    period = board.period.with_grain("day")
    if not days.frame["generations"].sum() and not wanted.search and not wanted.plans:
        offer_newest(board, board.viewer.scope, "This database")
    headline.show(headline.of_tenants(words.first_row(totals.frame), days.frame, before.frame, period))


def tenant_table(board: Board, wanted: Listing, listed: Result, totals: Result) -> None:
    """One page of tenants, the sums over all that match, and the way to each tenant's page."""
    sums = words.first_row(totals.frame)
    if listed.frame.empty:
        _nothing_listed(wanted, sums["tenants"])
        return
    until = words.day(board.period.last_date) if board.period.end <= board.period.now else "now"
    st.caption(
        f"28 complete days up to {until}; credits left are those of now."
        f" All {words.counted(sums['tenants'], 'tenant')} together: {words.exact(sums['generations_28d'])} generations,"
        f" {words.exact(sums['burn_28d_credits'])} credits burned, {words.exact(sums['credits_left'])} credits left,"
        f" latency p95 {_latency(sums['p95_ms'])}."
    )
    clicked = tables.tenants(listed.frame, board.zone, key=f"tenants-{wanted.page}")
    listing.pager(sums["tenants"], "tenant", listing.PAGE)
    chosen = clicked or _picked(listed)
    if chosen is not None:
        places.go("tenant", {"tenant": chosen})


def _latency(p95_ms: float | None) -> str:
    return words.duration(p95_ms) if p95_ms is not None else "unknown (under 20 successful generations)"


def _picked(listed: Result) -> str | None:
    """The same as a click on a row, for those who use the keyboard."""
    names = dict(zip(listed.frame["tenant_id"], listed.frame["tenant"], strict=True))
    chosen = st.selectbox(
        "Open a tenant of this page",
        list(names),
        index=None,
        format_func=lambda one: words.shortened(names[one], 60),
        placeholder="Click a row, or choose a tenant here",
        key="open_tenant",
        width=340,
    )
    return str(chosen) if chosen is not None else None


def _nothing_listed(wanted: Listing, total: int) -> None:
    if total:
        st.info(f"There is no page {wanted.page:,}: the list has {words.counted(tables.pages(total), 'page')}.")
        listing.pager(total, "tenant", listing.PAGE)
    elif wanted.search or wanted.plans:
        st.info("No tenant matches this search and these plans. Clear the search, or choose other plans.")
    else:
        st.info("There are no tenants yet. They appear here as soon as the application has some.")
