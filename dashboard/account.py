"""The parts of the Tenant page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import streamlit as st

from dashboard import address, headline, listing, palette, panels, places, viewer, words
from dashboard.board import Board, offer_newest, stop_with
from dashboard.figures.credits import burn_bars
from dashboard.figures.usage import usage_bars
from dashboard.tables import usage as usage_tables
from queries.catalog import tenants
from queries.errors import NotFoundError, UsageDashboardError
from queries.period import Period, local_date
from queries.query import Result
from queries.scope import Scope

TENANT, SPLIT, GENERATIONS_PAGE = "tenant", "split", "generations_page"
SPLITS = {"Type": "type", "User": "user", "Model": "model", "Status": "status"}
# A burn rate is of so many complete days; beyond so many days to come it says nothing.
_RATE_DAYS, _LONGEST_DAYS = 7, 365
_DEFAULT_SPLIT = "Type"
CHOICES = 500
_ID_LENGTH = 200


def chosen_tenant(board: Board) -> Scope:
    """The scope of the tenant in the URL. Unknown and not yours end the run in the same words; none asks for one."""
    asked = st.query_params.get(TENANT) or st.session_state.get(TENANT)
    if not asked:
        st.info(
            "No tenant is chosen. Choose one here, or click a row in the list of tenants.", icon=":material/search:"
        )
        picker(board, None)
        places.link("tenants", "All tenants")
        st.stop()
    try:
        scope = board.viewer.scope.narrowed([asked[:_ID_LENGTH]])
        header = board.run(tenants.header(scope, now=board.period.now))
        if header.frame.empty:
            raise NotFoundError("no such tenant, or it is not one of yours; choose one from the list")
    except NotFoundError:
        not_found(board)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    st.session_state[TENANT] = asked
    if st.query_params.get(TENANT) != asked:
        st.query_params[TENANT] = asked
    board.name(words.first_row(header.frame)["tenant"])
    return scope


def not_found(board: Board) -> None:
    """The same page for a tenant that does not exist and for one that is somebody else's."""
    st.session_state.pop(TENANT, None)
    board.name("Tenant not found")
    st.warning("There is no such tenant, or it is not one of yours.", icon=":material/search_off:")
    places.link("tenants", "Back to all tenants")
    st.stop()


def picker(board: Board, current: str | None) -> None:
    """Another tenant, by name; the first 500 by name where there are more."""
    try:
        choices = board.run(tenants.tenant_choices(board.viewer.scope, search="", limit=CHOICES)).frame
    except UsageDashboardError:
        return
    names = dict(zip(choices["tenant_id"], choices["tenant"], strict=True))
    st.session_state[f"{TENANT}_pick"] = current if current in names else None
    st.selectbox(
        "Tenant",
        list(names),
        index=None,
        format_func=lambda one: words.shortened(names.get(one, one), 60),
        placeholder="Choose a tenant",
        key=f"{TENANT}_pick",
        on_change=_open_picked,
        width=240,
    )


def choices(board: Board, scope: Scope) -> str:
    """Another tenant, and what usage is split by, in the page's bar of filters."""
    checks = {
        SPLIT: address.one_of("split", list(SPLITS), f"usage is split by {_DEFAULT_SPLIT.lower()}"),
        GENERATIONS_PAGE: listing.page_check,
    }
    wrong = address.complaints(checks)
    with board.bar:
        picker(board, scope.ordered_ids[0])
        split = split_control()
    address.show(wrong)
    return split


def split_control() -> str:
    """What usage is split by."""
    chosen = st.segmented_control(
        "Split usage by",
        list(SPLITS),
        default=_DEFAULT_SPLIT,
        required=True,
        key=SPLIT,
        bind="query-params",
        persist_state="session",
        on_change=address.forgive,
        args=(SPLIT,),
    )
    return SPLITS[chosen or _DEFAULT_SPLIT]


def headlines(board: Board, scope: Scope, now: Result, days: Result, burn: Result) -> None:
    """The five figures; above them the empty state."""
    totals = words.first_row(now.frame)
    if not totals["generations"]:
        offer_newest(board, scope, "This tenant")
    headline.show(headline.of_tenant(totals, days.frame, burn.frame, board.period))


def usage(period: Period, split: str, now: Result, before: Result) -> None:
    """Generations per bucket by series, and the previous period."""
    figure = usage_bars(
        now.frame, period, split=split, previous=before.frame, known=palette.of_series(split, now.frame)
    )
    total = int(now.frame["generations"].sum())
    alt = f"Bars: generations by {split}, {words.span(period)}, {words.exact(total)} in all"
    panels.chart(figure, alt=alt, key="usage")


def burn(period: Period, result: Result) -> None:
    """Net credits burned per bucket."""
    total = int(result.frame["net_burn_credits"].sum())
    alt = f"Bars: net credits burned, {words.span(period)}, {words.exact(total)} in all"
    panels.chart(burn_bars(result.frame, period), alt=alt, key="burn")


def credits_left(period: Period, header: Result, burned: Result) -> None:
    """Balance, how long it lasts, what is reserved, and the renewal."""
    row = words.first_row(header.frame)
    posted, granted, in_flight = row["credits_left"], row["credits_per_period"], row["in_flight_credits"] or 0
    if posted is None:
        st.info("This tenant has no credit balance yet: not enough data to show what is left.")
        return
    text = f"**{words.plain(words.exact(posted))}** credits left"
    if granted:
        text += f" of {words.plain(words.exact(granted))} per period ({words.plain(words.percent(posted / granted))})"
        st.progress(min(1.0, max(0.0, posted / granted)), text=text)
    else:
        st.markdown(text)
    for line in [*lasts(posted, burned.frame, period), *_credit_lines(row, posted, in_flight, period)]:
        st.markdown(words.plain(line))


def breakdown(noun: str, is_constant: bool, result: Result) -> None:
    if result.frame.empty:
        st.info(f"No generations in this period, so there is nothing to split by {noun.lower()}.")
        return
    usage_tables.breakdown(result.frame, noun=noun, is_constant=is_constant, key=f"by-{noun}")


def generations(board: Board, latest: Result) -> None:
    """One page of the latest generations."""
    frame = latest.frame
    page = listing.page_number(GENERATIONS_PAGE)
    if frame.empty:
        st.info("No generations in this period." if page == 1 else f"There is no page {page:,} of generations.")
        if page > 1:
            st.button("Show the first page", on_click=listing.first_page, args=(GENERATIONS_PAGE,))
        return
    usage_tables.generations(
        frame,
        may_read_prompts=board.viewer.may_read_prompts,
        role_name=viewer.ROLE_NAMES[board.viewer.role],
        zone=board.zone,
        key=f"latest-{page}",
    )
    listing.pager(int(frame["total_rows"].iloc[0]), "generation", GENERATIONS_PAGE)


def _credit_lines(row: dict[str, Any], posted: Any, in_flight: Any, period: Period) -> list[str]:
    lines = [
        f"{words.exact(posted - in_flight)} after generations in flight ({words.exact(in_flight)} reserved)",
        f"{words.exact(row['used_in_period_credits'])} burned in this subscription period so far",
    ]
    if posted < 0:
        lines.insert(0, "The balance is negative: more was charged than was there.")
    plan = words.readable(row["plan"]) if row["plan"] else "No plan"
    status = f", {words.readable(row['subscription_status']).lower()}" if row["subscription_status"] else ""
    renews = words.utc(row["renews_at"])
    if renews is None:
        return [*lines, f"Plan: {plan}{status}; no renewal date is known"]
    day, today = local_date(renews, period.zone), local_date(period.now, period.zone)
    verb = "renews" if renews > period.now else "was due for renewal"
    return [*lines, f"Plan: {plan}{status}; {verb} on {words.day(day)} ({words.days_left(day, today)})"]


def lasts(posted: Any, burn: Any, period: Period) -> list[str]:
    """How long the credits last at the burn rate; nothing for a period that does not hold the last 7 complete days."""
    today = local_date(period.now, period.zone)
    complete = headline.complete_days(burn, period)
    if period.last_date < today or len(complete) < _RATE_DAYS:
        return []
    burned = int(complete["net_burn_credits"].tail(_RATE_DAYS).sum())
    rate = f"the burn rate of the last {_RATE_DAYS} complete days ({words.amount(round(burned / _RATE_DAYS, 1))} a day)"
    if posted <= 0:
        return ["Already empty."]
    if burned <= 0:
        return [f"No burn in the last {_RATE_DAYS} complete days, so nothing says when they run out."]
    days = int(posted * _RATE_DAYS // burned)
    if days > _LONGEST_DAYS:
        return [f"At {rate} that lasts for more than {_LONGEST_DAYS} days."]
    if days < 1:
        return [f"At {rate} that lasts for less than a day."]
    return [f"At {rate} that lasts for {words.counted(days, 'day')}, to {words.day(today + timedelta(days=days))}."]


def _open_picked() -> None:
    picked = st.session_state.get(f"{TENANT}_pick")
    if picked:
        st.session_state[TENANT] = picked
        st.query_params[TENANT] = picked
        listing.first_page(GENERATIONS_PAGE)
