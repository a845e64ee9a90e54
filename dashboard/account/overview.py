"""What is going on with this account: five figures, what to know before the call, and what it makes."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import address, headline, notes, outlook, palette, panels, places, words
from dashboard.account import standing
from dashboard.board import Board, offer_newest
from dashboard.figures.usage import usage_bars
from dashboard.headline import Source
from dashboard.insights.flags import Flag
from dashboard.tables import usage as usage_tables
from dashboard.tables.usage import BREAKDOWN_ROWS
from dashboard.tabs import TAB
from queries.catalog import credits, tenants, usage
from queries.query import Result
from queries.scope import Scope

SPLIT = "split"
SPLITS = {"Type": "type", "User": "user", "Model": "model", "Status": "status"}
_DEFAULT_SPLIT = "Type"
_ICONS = {"at_risk": (":material/trending_down:", "At risk"), "upsell": (":material/trending_up:", "Upsell")}


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view."""
    period, days = board.period, board.period.with_grain("day")
    split = split_control(board)
    board.ask(
        {
            "now": usage.totals(scope, period=period),
            "days": usage.daily(scope, period=days),
            "burn": credits.burn_over_time(scope, period=days),
            "signals": tenants.signals(scope, now=period.now, zone=period.zone, search="", plans=()),
            "usage": usage.over_time(scope, period=period, split=split),
            "usage before": usage.over_time(scope, period=period.previous().with_grain(period.grain), split="none"),
            "types": usage.breakdown(scope, period=period, split="type", top=BREAKDOWN_ROWS),
            "models": usage.breakdown(scope, period=period, split="model", top=BREAKDOWN_ROWS),
            **notes.pinned_query(scope, period),
        }
    )
    notes.control(board, scope)
    board.panel("", ("now", "days", "burn"), partial(headlines, board, scope), height=140)
    wide, narrow = st.columns([2, 1])
    board.panel("Generations", ("usage", "usage before"), partial(generations, board, split), height=300, place=wide)
    board.panel("Before the call", ("signals",), partial(before_the_call, board), height=300, place=narrow)
    left, right = st.columns(2)
    board.panel("By type", ("types",), partial(mix, "Type", True), height=250, place=left)
    board.panel("By model", ("models",), partial(mix, "Model", False), height=250, place=right)


def split_control(board: Board) -> str:
    """What usage is split by, in the page's bar."""
    wrong = address.complaints(
        {SPLIT: address.one_of("split", list(SPLITS), f"usage is split by {_DEFAULT_SPLIT.lower()}")}
    )
    with board.bar:
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
    address.show(wrong)
    return SPLITS[chosen or _DEFAULT_SPLIT]


def headlines(board: Board, scope: Scope, now: Result, days: Result, burn: Result) -> None:
    """The five figures; above them the empty state."""
    totals = words.first_row(now.frame)
    if not totals["generations"]:
        offer_newest(board, scope, "This tenant")
    headline.show(headline.of_tenant(totals, days.frame, burn.frame, board.period, _leading_to))


def _leading_to(view: str, label: str) -> Source:
    """A link to another view of this page. The address goes along: a link within a page takes only what it names."""
    return Source("tenant", label, st.query_params.to_dict() | {TAB: view})


def generations(board: Board, split: str, now: Result, before: Result) -> None:
    """Generations per bucket by series, the previous period, and the notes."""
    period = board.period
    total, total_before = (int(one.frame["generations"].sum()) for one in (now, before))
    if total or total_before:
        figure = usage_bars(
            now.frame, period, split=split, previous=before.frame, known=palette.of_series(split, now.frame)
        )
        alt = f"Bars: generations by {split}, {words.span(period)}, {words.exact(total)} in all"
        panels.chart(notes.marked(figure, board, period), alt=alt, key="usage")
        st.caption(words.plain(f"Grey line: the {words.previous_days(period)}."))
    else:
        st.caption(words.plain(f"No generations in this period nor in the {words.previous_days(period)}."))
    with st.container(horizontal=True, gap="small"):
        for page, label in (("timelines", "Its timeline"), ("burn", "Its credit burn")):
            places.link(page, label, {"tenant": now.query.scope.ordered_ids[0]})


def before_the_call(board: Board, signals: Result) -> None:
    """The flags with their reasons, and how the credits stand."""
    period = board.period
    found = outlook.of_result(signals, period.now, period.zone)
    if not found:
        st.info("This tenant is not known any more; choose another one.")
        return
    (one,) = found
    for flag in one.flags:
        st.markdown(flag_line(flag))
    if not one.flags:
        st.markdown(":material/check_circle: **No flag.** Nothing in the last 28 days asks for a call.")
    for line in standing.lines(one.row, one.runway, period.now, period.zone):
        st.markdown(words.plain(line))


def flag_line(flag: Flag) -> str:
    """Icon, kind, and the reason with its numbers."""
    icon, kind = _ICONS[flag.kind]
    return f"{icon} **{kind}.** {words.plain(flag.sentence)}"


def mix(noun: str, is_constant: bool, result: Result) -> None:
    """Generations by type, model or user, with shares."""
    if result.frame.empty:
        st.info(f"No generations in this period, so there is nothing to split by {noun.lower()}.")
        return
    usage_tables.breakdown(result.frame, noun=noun, is_constant=is_constant, key=f"by-{noun}")
