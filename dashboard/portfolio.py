"""The parts of the Tenants page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import headline, listing, places, words
from dashboard.board import Board, offer_newest, stop_with
from dashboard.insights.rates import success_rate
from dashboard.listing import Listing
from dashboard.tables.cells import pages
from dashboard.tables.tenants import tenant_list
from queries.catalog import tenants
from queries.errors import UsageDashboardError
from queries.query import Result

_PLANS = "plans_known"
_SUMS = (("generations", ""), ("burn", "_credits"))


def toolbar(board: Board) -> Listing:
    """The filters of the list, with the plans that there are; those of before while the database is away."""
    try:
        st.session_state[_PLANS] = board.run(tenants.plans(board.viewer.scope)).frame["plan"].tolist()
    except UsageDashboardError as error:
        if _PLANS not in st.session_state:
            stop_with(error, board.visit)
    return listing.toolbar(st.session_state[_PLANS], board.bar)


def headlines(board: Board, wanted: Listing, totals: Result, days: Result, before: Result) -> None:
    """The five figures; above them the empty state, when nothing was generated in the period."""
    period = board.period.with_grain("day")
    if not days.frame["generations"].sum() and not wanted.search and not wanted.plans:
        offer_newest(board, board.viewer.scope, "This database")
    sums = words.first_row(totals.frame)
    headline.show(headline.of_tenants(sums, days.frame, before.frame, period, list_low=listing.smallest_balances_first))


def tenant_table(board: Board, wanted: Listing, listed: Result, totals: Result) -> None:
    """One page of tenants, the sums over all that match, and the way to each tenant's page."""
    sums = words.first_row(totals.frame)
    if listed.frame.empty:
        _nothing_listed(wanted, sums["tenants"])
        return
    until = words.day(board.period.last_date) if board.period.end <= board.period.now else "now"
    st.caption(
        f"28 complete days up to {until}, in brackets against the 28 before; credits left are those of now."
        f" All {words.counted(sums['tenants'], 'tenant')} together: {words.plain(_together(sums))}"
    )
    clicked = tenant_list(listed.frame, board.zone, key=f"tenants-{wanted.page}")
    listing.pager(sums["tenants"], "tenant", listing.PAGE)
    chosen = clicked or _picked(listed)
    if chosen is not None:
        places.go("tenant", {"tenant": chosen})


def _together(sums: dict[str, Any]) -> str:
    """The totals row in words: what a row of the table says, of all that match."""
    rate, before = (success_rate(sums[f"succeeded{one}28d"], sums[f"failed{one}28d"]) for one in ("_", "_prev_"))
    points = words.change_points(*(one.value if one is not None else None for one in (rate, before)))
    generations, burned = (words.change(sums[f"{one}_28d{unit}"], sums[f"{one}_prev_28d{unit}"]) for one, unit in _SUMS)
    return (
        f"{words.exact(sums['generations_28d'])} generations{_bracketed(generations)},"
        f" {words.exact(sums['burn_28d_credits'])} credits burned{_bracketed(burned)},"
        f" success rate {words.rate(rate)}{_bracketed(points)}, latency p95 {_latency(sums['p95_ms'])},"
        f" {words.exact(sums['credits_left'])} credits left."
    )


def _bracketed(change: words.Change) -> str:
    return f" ({change.text})" if change.text else ""


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
        st.info(f"There is no page {wanted.page:,}: the list has {words.counted(pages(total), 'page')}.")
        listing.pager(total, "tenant", listing.PAGE)
    elif wanted.search or wanted.plans:
        st.info("No tenant matches this search and these plans. Clear the search, or choose other plans.")
    else:
        st.info("There are no tenants yet. They appear here as soon as the application has some.")
