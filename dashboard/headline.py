"""The headline figures of a page: label, value, change in words, sparkline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st

from dashboard import places, words
from dashboard.figures.sparklines import sparkline
from dashboard.insights.rates import Rate, success_rate
from dashboard.tables.comparison import Compared
from dashboard.words import LATENCY_FROM_ROWS, Change
from queries.period import Period

Good = Literal["up", "down", "neither"]
# Five fill a row beside the sidebar at 1440 pixels; two fit side by side on a phone.
LARGEST_ROW, LEAST_WIDTH_PX = 5, 168
NO_CHANGE = Change("", "none")


@dataclass(frozen=True, slots=True)
class Action:
    """What a figure without a line offers in its place: a button and what it does."""

    label: str
    help: str
    do: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure comes from: a page with these in its URL."""

    page: str
    label: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure. `against` names what the change compares with, `note` stands in its place where there is none;
    `detail` is on hover: the exact value, the reason. `source` is a link under it."""

    label: str
    value: str
    detail: str
    change: Change = NO_CHANGE
    against: str = ""
    note: str = ""
    good: Good = "neither"
    spark: Sequence[Any] = ()
    action: Action | None = None
    source: Source | None = None


def show(figures: Sequence[Headline]) -> None:
    """At most five, over the whole width; two by two on a phone."""
    with st.grid(LARGEST_ROW, min_column_width=LEAST_WIDTH_PX):
        for one in figures:
            line = sparkline(one.spark)
            if one.action is None and one.source is None and not line:
                _metric(one, border=True)
                continue
            with st.container(border=True, height="stretch", gap="xsmall", vertical_alignment="distribute"):
                _metric(one, border=False)
                if line:
                    st.image(line, width="stretch", alt=f"{one.label} over the period, as a line")
                if one.action is not None:
                    _act(one.action, key=f"do-{one.label}")
                if one.source is not None:
                    places.link(one.source.page, one.source.label, one.source.parameters)


def _act(action: Action, *, key: str) -> None:
    st.button(action.label, on_click=action.do, help=action.help, type="tertiary", icon=":material/sort:", key=key)


def _metric(one: Headline, *, border: bool) -> None:
    st.metric(
        one.label,
        "–" if one.value == words.NOT_ENOUGH else one.value,
        delta=_pill(one),
        delta_color=_colour(one),
        delta_arrow=one.change.direction if one.change.direction in ("up", "down") else "off",
        delta_description=f"vs {one.against}" if one.change.text and one.against else None,
        help=words.plain(_hover(one)),
        border=border,
        height="stretch" if border else "content",
    )


def of_tenant(
    now: Mapping[str, Any], days: Any, burn: Any, period: Period, to: Callable[[str, str], Source]
) -> list[Headline]:
    """The figures of one tenant: `usage.totals`, and per day `usage.daily` and `credits.burn_over_time`. Each leads to
    the view that it comes from: `to` makes the link to a view, with a label."""
    against = words.days_before(period)
    compared, then = (_with_prefix(now, prefix) for prefix in ("complete_", "previous_"))
    days, burn = complete_days(days, period), complete_days(burn, period)
    p95_reason = words.latency_reason("p95", now["latency_rows"])
    return [
        Headline(
            "Generations",
            words.amount(now["generations"]),
            f"{words.counted(now['generations'], 'generation')}, {words.exact(now['cancelled'])} cancelled,"
            f" {words.exact(now['unfinished'])} unfinished, {words.exact(now['stuck'])} stuck for over 15 minutes",
            words.change(compared["generations"], then["generations"]),
            against,
            spark=days["generations"].tolist(),
            source=to("Generations", "See them"),
        ),
        Headline(
            "Credits burned",
            words.amount(now["net_burn_credits"]),
            f"Net: {words.exact(now['gross_burn_credits'])} charged, {words.exact(now['refunded_credits'])} refunded",
            words.change(compared["net_burn_credits"], then["net_burn_credits"]),
            against,
            spark=burn["net_burn_credits"].tolist(),
            source=to("Ledger", "See the ledger"),
        ),
        replace(success(now, compared, then, against, days), source=to("Quality", "See quality")),
        Headline(
            "Latency p95",
            words.duration(None if p95_reason else now["p95_ms"]),
            p95_reason
            or f"p50 {words.duration(now['p50_ms'])}, from {words.exact(now['latency_rows'])} successful generations;"
            " the line: days with at least 20 of them",
            words.change(compared["p95_ms"], then["p95_ms"]),
            against,
            good="down",
            spark=_mostly_known(days["p95_ms"]),
            source=to("Quality", "See latency"),
        ),
        Headline(
            "Active users",
            words.amount(now["active_users"]),
            "Users with at least one successful generation in this period; the line: day by day",
            words.change(compared["active_users"], then["active_users"]),
            against,
            good="up",
            spark=days["active_users"].tolist(),
            source=to("Users", "See the users"),
        ),
    ]


def of_quality(now: Mapping[str, Any], days: Any, period: Period, stuck: int | None) -> list[Headline]:
    """How well it works for one tenant: `usage.totals`, `usage.daily`, and how many are stuck, whenever made."""
    against = words.days_before(period)
    compared, then = (_with_prefix(now, prefix) for prefix in ("complete_", "previous_"))
    days = complete_days(days, period)
    waiting = Headline(
        "Stuck",
        words.amount(stuck),
        "Generations that have not ended and are older than 15 minutes, whenever they were made",
        note="none is waiting" if not stuck else "listed below",
    )
    return [success(now, compared, then, against, days), *(_latency(one, now) for one in LATENCY_FROM_ROWS), waiting]


def _latency(quantile: str, now: Mapping[str, Any]) -> Headline:
    """One percentile of the period, or why it is hidden."""
    reason = words.latency_reason(quantile, now["latency_rows"])
    return Headline(
        f"Latency {quantile}",
        words.duration(None if reason else now[f"{quantile}_ms"]),
        reason or f"From {words.exact(now['latency_rows'])} successful generations of this period",
        note=f"of {words.amount(now['latency_rows'])} succeeded",
    )


def compared(now: Mapping[str, Any]) -> list[Compared]:
    """The five figures of `usage.totals` for the period's complete days, for as many days before, and the change."""
    these, then = (_with_prefix(now, prefix) for prefix in ("complete_", "previous_"))
    rates = [success_rate(one["succeeded"], one["failed"]) for one in (these, then)]
    points = words.change_points(*(one.value if one is not None else None for one in rates))
    counts = [
        Compared(label, words.exact(these[name]), words.exact(then[name]), words.change(these[name], then[name]).text)
        for label, name in (
            ("Generations", "generations"),
            ("Credits burned, net", "net_burn_credits"),
            ("Active users", "active_users"),
        )
    ]
    latency = words.change(these["p95_ms"], then["p95_ms"]).text
    took = [words.duration(one["p95_ms"]) for one in (these, then)]
    shares = [f"{words.rate(one)} ({_note(one)})" if _note(one) else words.rate(one) for one in rates]
    return [
        *counts,
        Compared("Success rate", shares[0], shares[1], points.text),
        Compared("Latency p95", took[0], took[1], latency),
    ]


def complete_days(days: Any, period: Period) -> Any:
    """The rows of a frame by day that can be compared: without the day in progress."""
    return days[days["bucket_start"] < period.complete_days().end]


def success(
    now: Mapping[str, Any], compared: Mapping[str, Any], then: Mapping[str, Any], against: str, days: Any
) -> Headline:
    """Success rate with its change in points; under 200 ended generations its interval instead."""
    rate, *rates = (success_rate(one["succeeded"], one["failed"]) for one in (now, compared, then))
    interval = words.rate_interval(rate)
    daily = [success_rate(a, b) for a, b in zip(days["succeeded"], days["failed"], strict=True)]
    return Headline(
        "Success rate",
        words.rate(rate),
        f"{words.exact(now['succeeded'])} succeeded, {words.exact(now['failed'])} failed. {interval}".strip(),
        NO_CHANGE if interval else words.change_points(*(one.value if one is not None else None for one in rates)),
        against,
        note=_note(rate),
        good="up",
        spark=_mostly_known(one.value if one is not None else None for one in daily),
    )


def _note(rate: Rate | None) -> str:
    """The 95 % interval of a rate from fewer than 200, short."""
    return "" if rate is None or rate.is_certain else f"{rate.low * 100:.0f} to {rate.high * 100:.0f} %"


def _mostly_known(values: Iterable[Any]) -> list[Any]:
    """A share or a latency with its gaps, where most of it is known; else none."""
    every = [words.known(one) for one in values]
    return every if 2 * sum(one is not None for one in every) >= len(every) else []


def _with_prefix(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def _pill(one: Headline) -> str | None:
    if one.value == words.NOT_ENOUGH:
        return words.NOT_ENOUGH
    return one.change.text or one.note or "nothing before to compare"


def _hover(one: Headline) -> str:
    compared = f" {one.change.text} of complete days, against the {one.against}." if one.change.text else ""
    return words.sentence(one.detail) + compared.replace(" d before", " days before")


def _colour(one: Headline) -> Any:
    """Green and red only where up is truly good or bad."""
    if one.good == "neither" or one.change.direction not in ("up", "down"):
        return "gray"
    return "green" if one.change.direction == one.good else "red"
