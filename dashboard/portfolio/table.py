"""The list of all tenants, one page of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import listing, places, words
from dashboard.insights.rates import success_rate
from dashboard.outlook import Outlook
from dashboard.portfolio.sums import Sums, sums_of
from dashboard.portfolio.wanted import Portfolio
from dashboard.tables.cells import pages, success_cell
from dashboard.tables.tenants import tenant_list
from queries.query import Result


def tenant_table(portfolio: Portfolio, signals: Result, page: Result) -> None:
    """One page of tenants, the sums over all that are listed, and the way to each tenant's page."""
    outlooks = portfolio.outlooks(signals)
    listed = portfolio.listed(outlooks)
    if page.frame.empty or not listed:
        _nothing_listed(portfolio, len(listed), len(outlooks))
        return
    by_id = {one.tenant_id: one for one in listed}
    ids = page.frame["tenant_id"].tolist()
    shown = [by_id[one] for one in ids if one in by_id]
    latencies = dict(zip(ids, (words.known(one) for one in page.frame["p95_ms"]), strict=True))
    st.caption(words.plain(_together(portfolio, sums_of(listed))))
    key = f"tenants-{portfolio.listing.page}-{portfolio.listing.sort}-{portfolio.listing.flags}"
    clicked = tenant_list(shown, latencies, portfolio.now, portfolio.board.zone, key)
    listing.pager(len(listed), "tenant", listing.PAGE)
    if (chosen := clicked or _picked(shown)) is not None:
        places.go("tenant", {"tenant": chosen})


def _together(portfolio: Portfolio, sums: Sums) -> str:
    """Of which days, and the totals row in words."""
    until = words.day(portfolio.board.period.last_date) if portfolio.is_over else "now"
    rates = [
        success_rate(good, bad)
        for good, bad in ((sums.succeeded, sums.failed), (sums.succeeded_before, sums.failed_before))
    ]
    points = words.change_points(*(one.value if one is not None else None for one in rates))
    generations = words.change(sums.generations, sums.generations_before)
    burned = words.change(sums.burned, sums.burned_before)
    succeeded = success_cell(sums.succeeded, sums.failed) or words.NOT_ENOUGH
    known = "credits left, runway and pacing are known of now only" if portfolio.is_over else "credits left are of now"
    left = "no balance known" if sums.credits_left is None else f"{words.exact(sums.credits_left)} credits left"
    return (
        f"28 complete days up to {until}, in brackets against the 28 before; {known}. All"
        f" {words.counted(sums.tenants, 'listed tenant')} together:"
        f" {words.exact(sums.generations)} generations{_bracketed(generations)},"
        f" {words.exact(sums.burned)} credits burned{_bracketed(burned)},"
        f" success rate {succeeded}{_bracketed(points)}, {left}."
    )


def _bracketed(change: words.Change) -> str:
    return f" ({change.text})" if change.text else ""


def _picked(shown: Sequence[Outlook]) -> str | None:
    """The same as a click on a row, for those who use the keyboard."""
    names = {one.tenant_id: one.tenant for one in shown}
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


def _nothing_listed(portfolio: Portfolio, listed: int, matching: int) -> None:
    wanted = portfolio.listing
    if listed:
        st.info(f"There is no page {wanted.page:,}: the list has {words.counted(pages(listed), 'page')}.")
        listing.pager(listed, "tenant", listing.PAGE)
    elif matching:
        st.info(
            f"None of {words.counted(matching, 'tenant')} is {wanted.flags.lower()}. Choose other flags to list them."
        )
    elif portfolio.is_narrowed:
        st.info("No tenant matches this search and these plans. Clear the search, or choose other plans.")
    else:
        st.info("There are no tenants yet. They appear here as soon as the application has some.")
