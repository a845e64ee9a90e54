"""Whom to call first, and why: the reasons with their numbers."""

from __future__ import annotations

import streamlit as st

from dashboard import listing, outlook, places, words
from dashboard.insights.flags import Flag
from dashboard.insights.runway import short
from dashboard.outlook import Outlook
from dashboard.portfolio.wanted import Portfolio
from queries.period import local_date
from queries.query import Result

SHOWN = 5
# So many reasons fit beside a tenant; the others are counted.
_REASONS = 3


def first_calls(portfolio: Portfolio, signals: Result) -> None:
    """The five with the most credits at stake and reasons to call; one line says how the order is made."""
    flagged = outlook.by_priority(portfolio.outlooks(signals))
    if not flagged:
        _nobody(portfolio, signals)
        return
    st.caption(
        f"{len(flagged):,} of {words.counted(len(portfolio.outlooks(signals)), 'tenant')} with a reason to call, those"
        " with most credits at stake and the most urgent reasons first. Runway: days until the credits run out"
        " (early–late).",
        help="At stake: the credits burned in the last 28 days or in the 28 before, whichever is more. Each reason"
        " counts, an upsell that can wait a quarter. The forecast holds if the burn pattern of the last 8 weeks"
        " continues; early and late are its P10 and P90.",
    )
    with st.container(gap="small"):
        for one in flagged[:SHOWN]:
            _call(portfolio, one)
    if len(flagged) > SHOWN:
        st.button(
            f"List all {len(flagged):,} in this order",
            on_click=listing.show,
            kwargs={"flags": listing.EVERY, "sort": "Call first", "order": listing.DESCENDING},
            type="tertiary",
            icon=":material/sort:",
        )


def _nobody(portfolio: Portfolio, signals: Result) -> None:
    if portfolio.outlooks(signals):
        st.success("No tenant gives a reason to call: none is at risk, running out, or ready for more.")
    else:
        st.info("No tenant matches, so there is nobody to call.")


def _call(portfolio: Portfolio, one: Outlook) -> None:
    name, why, credits = st.columns([4, 14, 8], gap="xsmall", vertical_alignment="top")
    with name:
        places.link("tenant", words.plain(words.shortened(one.tenant, 32)), {"tenant": one.tenant_id})
    why.markdown(" ".join(_reasons(one.flags)))
    credits.caption(words.plain(" ".join(_credits(portfolio, one))))


def _reasons(flags: tuple[Flag, ...]) -> list[str]:
    """At risk first, and then what could be sold; each kind is named once, in bold."""
    said, named = [], set()
    for flag in flags[:_REASONS]:
        name = {"at_risk": "At risk.", "upsell": "Upsell."}[flag.kind]
        said += [f"**{name}**"] if name not in named else []
        said.append(words.plain(flag.sentence))
        named.add(name)
    return said + ([f"And {words.counted(len(flags) - _REASONS, 'more reason')}."] if len(flags) > _REASONS else [])


def _credits(portfolio: Portfolio, one: Outlook) -> list[str]:
    row = one.row
    left = row["credits_left"]
    unknown = "The balance of that day is not known." if portfolio.is_over else "No balance is known."
    known = unknown if left is None else f"{words.exact(left)} credits left."
    burned = (
        f"Burned {words.exact(row['burn_28d_credits'])} in 28 days, {words.exact(row['burn_prev_28d_credits'])} before."
    )
    runway = f"Runway {short(one.runway, local_date(portfolio.now, portfolio.board.zone))}."
    return [known, burned] if left is None else [known, runway, burned]
