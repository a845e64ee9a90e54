"""The parts of the Tenant page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import figures, headline, listing, panels, places, tables, viewer, words
from dashboard.board import Board, offer_newest, stop_with
from queries.catalog import tenants
from queries.errors import NotFoundError, UsageDashboardError
from queries.period import Period, zone_info
from queries.query import Result
from queries.scope import Scope

TENANT, SPLIT, GENERATIONS_PAGE = "tenant", "split", "generations_page"
SPLITS = {"Type": "type", "User": "user", "Model": "model", "Status": "status"}
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
        width=280,
    )


def choices(board: Board, scope: Scope) -> str:
    """The row with another tenant and with what usage is split by."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        picker(board, scope.ordered_ids[0])
        return split_control()


def split_control() -> str:
    """What usage is split by."""
    chosen = st.segmented_control(
        "Split usage by",
        list(SPLITS),
        default="Type",
        required=True,
        key=SPLIT,
        bind="query-params",
        persist_state="session",
    )
    return SPLITS[chosen or "Type"]


def headlines(board: Board, scope: Scope, now: Result, complete: Result, before: Result) -> None:
    """The five figures; above them the empty state."""
    figures_now = words.first_row(now.frame)
    if not figures_now["generations"]:
        offer_newest(board, scope, "This tenant")
    rows = [figures_now, words.first_row(complete.frame), words.first_row(before.frame)]
    headline.show(headline.of_tenant(rows[0], rows[1], rows[2], board.period))


def usage(period: Period, split: str, now: Result, before: Result) -> None:
    """Generations per bucket by series, and the previous period."""
    figure = figures.usage_bars(now.frame, period, split=split, previous=before.frame)
    total = int(now.frame["generations"].sum())
    alt = f"Bars: generations by {split}, {words.span(period)}, {words.exact(total)} in all"
    panels.chart(figure, alt=alt, key="usage")


def burn(period: Period, result: Result) -> None:
    """Net credits burned per bucket."""
    total = int(result.frame["net_burn_credits"].sum())
    alt = f"Bars: net credits burned, {words.span(period)}, {words.exact(total)} in all"
    panels.chart(figures.burn_bars(result.frame, period), alt=alt, key="burn")


def credits_left(period: Period, header: Result) -> None:
    """Balance, what is reserved, and the renewal."""
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
    for line in _credit_lines(row, posted, in_flight, period):
        st.markdown(words.plain(line))


def breakdown(noun: str, is_constant: bool, result: Result) -> None:
    if result.frame.empty:
        st.info(f"No generations in this period, so there is nothing to split by {noun.lower()}.")
        return
    tables.breakdown(result.frame, noun=noun, is_constant=is_constant, key=f"by-{noun}")


def generations(board: Board, latest: Result) -> None:
    """One page of the latest generations."""
    frame = latest.frame
    page = listing.page_number(GENERATIONS_PAGE)
    if frame.empty:
        st.info("No generations in this period." if page == 1 else f"There is no page {page:,} of generations.")
        if page > 1:
            st.button("Show the first page", on_click=listing.first_page, args=(GENERATIONS_PAGE,))
        return
    tables.generations(
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
    on = words.day(renews.astimezone(zone_info(period.zone)).date())
    verb = "renews" if renews > period.now else "was due for renewal"
    return [*lines, f"Plan: {plan}{status}; {verb} on {on} ({words.days_left(renews, period.now)})"]


def _open_picked() -> None:
    picked = st.session_state.get(f"{TENANT}_pick")
    if picked:
        st.session_state[TENANT] = picked
        st.query_params[TENANT] = picked
        listing.first_page(GENERATIONS_PAGE)
