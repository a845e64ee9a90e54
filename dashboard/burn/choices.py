"""What the person has chosen: the view, days, weeks or months, one tenant or all, and the what-if. All of it is in the
URL."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import account, address, picker, words
from dashboard.account.arrival import named
from dashboard.board import Board, stop_with
from dashboard.burn.forecast import WhatIf
from queries.errors import NotFoundError, UsageDashboardError
from queries.period import AUTOMATIC_BUCKETS, Grain, Period
from queries.scope import Scope

TENANT, FOCUS, PER, BUY, CHANGE = "tenant", "focus", "per", "buy", "change"
RUNWAY_PAGE = "runway_page"
WHERE, HOW_LONG = "Where they go", "How long they last"
# What of the address only one view knows.
OWNERS = dict.fromkeys((FOCUS, BUY, CHANGE, RUNWAY_PAGE), HOW_LONG)
GRAINS: dict[str, Grain] = {"Day": "day", "Week": "week", "Month": "month"}
_DAYS: dict[Grain, int] = {"day": 1, "week": 7, "month": 28}
LARGEST_BUY, LEAST_CHANGE, LARGEST_CHANGE = 100_000_000, -90, 400


def by_grain(board: Board) -> Period:
    """The period of the filter row, by the grain that is chosen, or by the finest one of at most 400 buckets."""
    period = board.filter_row().period
    wrong = address.complaints({PER: address.one_of("grain", list(GRAINS), "the charts show days")})
    with board.bar:
        chosen = st.segmented_control(
            "Per",
            list(GRAINS),
            default="Day",
            required=True,
            key=PER,
            bind="query-params",
            persist_state="session",
            on_change=address.forgive,
            args=(PER,),
        )
    address.show(wrong)
    return fitting(period, GRAINS[chosen or "Day"])


def fitting(period: Period, grain: Grain) -> Period:
    """The period by this grain, or by the next coarser one that a chart can hold."""
    days = (period.end - period.start).days
    fits = [one for one, length in _DAYS.items() if length >= _DAYS[grain] and days / length <= AUTOMATIC_BUCKETS]
    return period.with_grain(fits[0] if fits else "month")


def chosen_scope(board: Board) -> Scope | None:
    """The scope of the tenant in the URL; None when the page is about all of the viewer's. Unknown and not yours end
    the run in the same words."""
    asked = st.query_params.get(TENANT)
    try:
        scope, name = named(board, asked) if asked else (None, "")
    except NotFoundError:
        account.not_found(board)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    if scope is not None:
        board.name(f"Credit burn of {name}")
    with board.bar:
        picker.tenant_search(board, "Another tenant" if asked else "One tenant", key="burn_pick", choose=open_tenant)
        if asked:
            st.button("All tenants", icon=":material/close:", on_click=open_all, help="The burn of all tenants")
    return scope


def what_if(is_one: bool) -> WhatIf:
    """Two numbers that change the forecast and nothing else."""
    wrong = address.complaints({BUY: whole(BUY, 0, LARGEST_BUY), CHANGE: whole(CHANGE, LEAST_CHANGE, LARGEST_CHANGE)})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        bought = st.number_input(
            "What if they buy (credits)" if is_one else "What if each buys (credits)",
            min_value=0,
            max_value=LARGEST_BUY,
            value=0,
            step=1_000,
            key=BUY,
            bind="query-params",
            on_change=address.forgive,
            args=(BUY,),
            width=190,
            help="Added to the balance of now, for the forecast only. Nothing is written anywhere.",
        )
        changed = st.number_input(
            "What if burn changes by (%)",
            min_value=LEAST_CHANGE,
            max_value=LARGEST_CHANGE,
            value=0,
            step=10,
            key=CHANGE,
            bind="query-params",
            on_change=address.forgive,
            args=(CHANGE,),
            width=190,
            help="20 is a fifth more each day, −20 a fifth less. Nothing is written anywhere.",
        )
        chosen = WhatIf(int(bought or 0), int(changed or 0))
        if chosen.is_asked:
            st.button("As it is", icon=":material/undo:", on_click=_forget, help="Take the what-if back")
    address.show(wrong)
    return chosen


def focus(known: Sequence[str]) -> tuple[str | None, str]:
    """Which tenant's burn-down is shown when all are, and what is wrong with the URL's."""
    asked = st.query_params.get(FOCUS)
    if asked and asked not in known:
        return None, "The link's tenant is not one of these; the one that runs out first is shown."
    return asked or None, ""


def set_focus(tenant_id: str) -> None:
    """Show this tenant's burn-down. A callback."""
    st.query_params[FOCUS] = tenant_id


def open_tenant(tenant_id: str) -> None:
    """The whole page for one tenant. A callback."""
    st.query_params.pop(FOCUS, None)
    st.query_params[TENANT] = tenant_id


def open_all() -> None:
    """The page for all tenants again. A callback."""
    st.query_params.pop(TENANT, None)


def _forget() -> None:
    st.session_state[BUY] = st.session_state[CHANGE] = 0
    address.forgive(BUY, CHANGE)


def whole(name: str, least: int, most: int) -> address.Check:
    """A check that a value is a whole number within bounds."""

    def check(asked: Sequence[str]) -> str:
        text = asked[-1]
        digits = text.removeprefix("-")
        is_whole = digits.isascii() and digits.isdigit() and len(digits) <= 12
        if is_whole and least <= int(text) <= most:
            return ""
        return f"The link's {name} is not a whole number from {words.exact(least)} to {words.exact(most)}; 0 is taken."

    return check
