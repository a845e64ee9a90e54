"""The five figures above the list of tenants."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import streamlit as st

from dashboard import filters, headline, listing, words
from dashboard.board import Board
from dashboard.headline import Action, Headline, Source
from dashboard.portfolio.sums import Sums
from dashboard.portfolio.wanted import Portfolio
from queries.catalog import usage
from queries.query import Result

_AGAINST = "28 d before"


def headlines(portfolio: Portfolio, signals: Result) -> None:
    """Who is active, what they burn, who stays, who may leave and who runs out; above them the empty state."""
    outlooks = portfolio.outlooks(signals)
    sums = portfolio.sums(signals)
    if outlooks and not sums.generations and not sums.generations_before and not portfolio.is_narrowed:
        _offer_newest(portfolio.board, portfolio)
    headline.show(of_sums(sums))


def of_sums(sums: Sums) -> list[Headline]:
    """The figures, each with what shows where it comes from."""
    return [
        Headline(
            "Tenants active",
            words.amount(sums.active),
            f"{words.exact(sums.active)} of {words.counted(sums.tenants, 'tenant')} had at least one successful"
            f" generation in the last 28 complete days, {words.exact(sums.active_before)} in the 28 before",
            words.change(sums.active, sums.active_before),
            _AGAINST,
            good="up",
            action=_sorted_by("Longest silent first", "Last seen", listing.ASCENDING),
        ),
        Headline(
            "Credits burned",
            words.amount(sums.burned),
            f"{words.exact(sums.burned)} credits, net, in the last 28 complete days, {words.exact(sums.burned_before)}"
            " in the 28 before",
            words.change(sums.burned, sums.burned_before),
            _AGAINST,
            source=Source("burn", "Where they go"),
        ),
        Headline(
            "At risk",
            words.amount(sums.at_risk),
            "Tenants with at least one reason to worry: burn down over 30 % week on week, no success for 14 days,"
            " active users halved, success rate falling under 95 %, or far behind the pace of their credits",
            note=f"of {words.counted(sums.tenants, 'tenant')}",
            action=_flagged(listing.AT_RISK),
        ),
        Headline(
            "Running out",
            words.amount(sums.running_out),
            "Tenants whose credits end before their renewal, or within 14 days where none is ahead, if the pattern of"
            " the last 8 weeks continues",
            note="before renewal, or soon",
            action=_flagged(listing.RUNNING_OUT),
        ),
        Headline(
            "Net usage retention",
            words.percent(sums.retention.value),
            f"{sums.retention.reason}. Base: the 28 days before the last 28 complete ones",
            note="of the 28 d before" if sums.retention.value is not None else "",
            action=_sorted_by("Largest falls first", "Week on week", listing.ASCENDING),
        ),
    ]


def _sorted_by(label: str, sort: str, order: str) -> Action:
    return Action(label, f"Sort the list by {sort.lower()}", partial(listing.show, sort=sort, order=order))


def _flagged(flags: str) -> Action:
    return Action("Show them", f"List only tenants that are {flags.lower()}", partial(listing.show, flags=flags))


def _offer_newest(board: Board, portfolio: Portfolio) -> None:
    """Nobody generated anything in 56 days: say so, and offer the newest days that have something."""
    last_day = filters.local_day(portfolio.now - timedelta(microseconds=1), board.zone)
    fact = f"No generations in the 56 days up to {words.day(last_day)}."
    newest = words.utc(words.first_row(board.run(usage.newest(portfolio.scope)).frame).get("newest_at"))
    if newest is None:
        st.info(f"{fact} There are none at all yet.", icon=":material/hourglass_empty:")
        return
    last = filters.local_day(newest, board.zone)
    st.info(f"{fact} The newest is from {words.day(last)}.", icon=":material/hourglass_empty:")
    st.button(
        f"Show the 28 days to {words.day(last)}", on_click=filters.choose_days_until, args=(last,), type="primary"
    )
