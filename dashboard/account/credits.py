"""How the credits stand, and whether they are burned as fast as they were meant to be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from dashboard import outlook, panels, words
from dashboard.account import standing
from dashboard.board import Board
from dashboard.figures.credits import burn_bars
from dashboard.figures.pacing import Expected, as_before, burn_against_expected, even
from dashboard.insights import flags
from queries.catalog import credits, tenants
from queries.errors import PeriodError
from queries.period import Period
from queries.query import Result
from queries.scope import Scope

_DAYS_WITHOUT_PERIOD = 28


@dataclass(frozen=True, slots=True)
class Span:
    """The days that burn is added up over: those of the subscription period, or the last 28 where there is none."""

    period: Period
    is_subscription: bool
    reason: str


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view. The subscription period has to be known before its burn is asked for."""
    period, days = board.period, board.period.with_grain("day")
    header = tenants.header(scope, now=period.now)
    row = words.first_row(board.run(header).frame)
    span = of_subscription(row, period)
    board.ask(
        {
            "header": header,
            "signals": tenants.signals(scope, now=period.now, zone=period.zone, search="", plans=()),
            "pace": credits.burn_over_time(scope, period=span.period),
            "pace before": credits.burn_over_time(scope, period=span.period.previous()),
            "burn": credits.burn_over_time(scope, period=days),
        }
    )
    wide, narrow = st.columns([2, 1])
    board.panel(
        "Burn against an even burn" if _to_spread(span, row) else "Burn against the days before",
        ("pace", "pace before", "header"),
        partial(pacing, span),
        height=330,
        place=wide,
    )
    board.panel("Credits left", ("header", "signals"), partial(credits_left, board), height=330, place=narrow)
    board.panel("Credits burned per day", ("burn",), partial(burn, days), height=300)


def of_subscription(row: dict[str, Any], period: Period) -> Span:
    """The subscription period that runs now; the last 28 days, and why, where there is none."""
    last = Period.last_days(_DAYS_WITHOUT_PERIOD, zone=period.zone, now=period.now, grain="day")
    start, end = words.utc(row.get("period_start")), words.utc(row.get("renews_at"))
    reason = flags.no_period(row, period.now)
    if start is not None and end is not None and not reason:
        try:
            return Span(Period(start, end, period.zone, "day", period.now), True, "")
        except PeriodError:
            reason = "the subscription period cannot be shown"
    return Span(last, False, words.sentence(f"{reason}; the last {_DAYS_WITHOUT_PERIOD} days stand for it"))


def pacing(span: Span, pace: Result, before: Result, header: Result) -> None:
    """The cumulated burn, the line it is held against, and the difference in words."""
    row = words.first_row(header.frame)
    burned = sum(pace.frame["net_burn_credits"])
    available = _to_spread(span, row)
    if available is not None:
        expected = even(float(available), span.period)
    else:
        expected = as_before(before.frame, span.period.previous(), span.period)
    figure = burn_against_expected(pace.frame, span.period, expected)
    alt = f"Lines: net credits burned since {words.day(span.period.first_date)}, {words.exact(burned)} in all,"
    panels.chart(figure, alt=f"{alt} against {expected.label.lower()}", key="pacing")
    for line in _difference(span, expected, burned, row):
        st.markdown(words.plain(line))


def _to_spread(span: Span, row: dict[str, Any]) -> Any:
    """Credits that were there for the subscription period; none where they are not known, or were no more than none."""
    posted, used = row.get("credits_left"), row.get("used_in_period_credits")
    if not span.is_subscription or posted is None or used is None or posted + used <= 0:
        return None
    return posted + used


def _difference(span: Span, expected: Expected, burned: Any, row: dict[str, Any]) -> list[str]:
    if not span.is_subscription:
        return [span.reason]
    said = standing.pace(row, span.period.now)
    if not said and row.get("credits_left") is not None and row.get("used_in_period_credits") is not None:
        return ["No credits were there for this period, so the days before are the only measure."]
    if not said:
        return ["The credits of this period are not known, so the days before are the only measure."]
    share = (span.period.now - span.period.start) / (span.period.end - span.period.start)
    whole = expected.values[-1] or 0.0
    meant = round(whole * share)
    more = round(burned - meant)
    side = "as many as" if not more else f"{words.exact(abs(more))} {'more' if more > 0 else 'fewer'} than"
    return [*said, f"{words.exact(burned)} credits burned so far, {side} an even burn ({words.exact(meant)})."]


def credits_left(board: Board, header: Result, signals: Result) -> None:
    """The balance as a bar, what is reserved, how long it lasts, and the renewal."""
    row, period = words.first_row(header.frame), board.period
    posted, granted, in_flight = row["credits_left"], row["credits_per_period"], row["in_flight_credits"] or 0
    share = flags.left_share(row, period.now)
    if share is not None:
        st.progress(min(1.0, max(0.0, share)), text=f"**{words.plain(words.percent(share))}** of a period's credits")
    elif posted is not None and granted:
        reason = flags.no_period(row, period.now)
        st.caption(words.plain(words.sentence(f"{reason}, so what is left is not shown as a share of its credits")))
    found = outlook.of_result(signals, period.now, period.zone)
    lasts = found[0].runway if found else None
    st.markdown(words.plain(standing.left(row)))
    if posted is not None:
        after = posted - in_flight
        st.markdown(
            words.plain(f"{words.exact(after)} after generations in flight ({words.exact(in_flight)} reserved).")
        )
    for line in standing.lasting(lasts, period.now, period.zone):
        st.markdown(words.plain(line))
    used = words.exact(row["used_in_period_credits"])
    if row["period_start"] is not None:
        st.markdown(words.plain(f"{used} burned in this subscription period so far."))
    st.markdown(words.plain(standing.renewal(found[0].row if found else row, period.now, period.zone)))


def burn(days: Period, result: Result) -> None:
    """Net credits burned per day of the page's period."""
    total = sum(result.frame["net_burn_credits"])
    alt = f"Bars: net credits burned, {words.span(days)}, {words.exact(total)} in all"
    panels.chart(burn_bars(result.frame, days), alt=alt, key="burn")
