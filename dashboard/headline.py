"""The headline figures of a page: label, value, change in words, sparkline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from dashboard import words
from dashboard.figures import sparkline
from dashboard.insights.rates import Rate, success_rate
from dashboard.words import Change
from queries.period import Period

Good = Literal["up", "down", "neither"]
# Five fit beside the sidebar at 1440 pixels, two on a phone.
WIDTH_PX = 186
NO_CHANGE = Change("", "none")


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure. `against` names what the change compares with, `note` stands in its place where there is none;
    `detail` is on hover: the exact value, the reason."""

    label: str
    value: str
    detail: str
    change: Change = NO_CHANGE
    against: str = ""
    note: str = ""
    good: Good = "neither"
    spark: Sequence[Any] = ()


def show(figures: Sequence[Headline]) -> None:
    """At most five in a row; two by two on a phone."""
    with st.container(horizontal=True, gap="small"):
        for one in figures:
            st.metric(
                one.label,
                "–" if one.value == words.NOT_ENOUGH else one.value,
                delta=_pill(one),
                delta_color=_colour(one),
                delta_arrow=one.change.direction if one.change.direction in ("up", "down") else "off",
                delta_description=f"vs {one.against}" if one.change.text and one.against else None,
                help=words.plain(_hover(one)),
                border=True,
                height="stretch",
                width=WIDTH_PX,
                chart_data=sparkline(one.spark) if len(one.spark) > 1 else None,
                chart_type="area",
            )


def of_tenants(totals: Mapping[str, Any], days: Any, before: Any, period: Period) -> list[Headline]:
    """The figures above the list of tenants: `tenants.portfolio_totals`, and `portfolio_daily` of the period's days and
    of those before. Sums and changes are of complete days where they are compared."""
    against = words.days_before(period)
    complete = days[days["bucket_start"] < period.complete_days().end]
    return [
        Headline(
            "Tenants active",
            words.amount(totals["active_tenants_28d"]),
            f"{words.exact(totals['active_tenants_28d'])} of {words.counted(totals['tenants'], 'tenant')} had at least"
            " one successful generation in the last 28 complete days",
            note=f"of {words.amount(totals['tenants'])}, last 28 days",
        ),
        _summed("Generations", days, complete, before, "generations", against),
        _summed("Credits burned", days, complete, before, "net_burn_credits", against),
        success(totals, "succeeded_28d", "failed_28d", "last 28 days"),
        Headline(
            "Running low",
            words.amount(totals["running_low"]),
            "Tenants with fewer credits left than seven days at the burn rate of their last seven complete days",
            note="under 7 days of credits",
        ),
    ]


def of_tenant(
    now: Mapping[str, Any], complete: Mapping[str, Any], before: Mapping[str, Any], period: Period
) -> list[Headline]:
    """The figures of one tenant: `usage.totals` of the period, of its complete days, and of as many days before."""
    against = words.days_before(period)
    p95_reason = words.latency_reason("p95", now["latency_rows"])
    return [
        Headline(
            "Generations",
            words.amount(now["generations"]),
            f"{words.counted(now['generations'], 'generation')}, {words.exact(now['cancelled'])} cancelled,"
            f" {words.exact(now['unfinished'])} unfinished, {words.exact(now['stuck'])} stuck for over 15 minutes",
            words.change(complete["generations"], before["generations"]),
            against,
        ),
        Headline(
            "Credits burned",
            words.amount(now["net_burn_credits"]),
            f"Net: {words.exact(now['gross_burn_credits'])} charged, {words.exact(now['refunded_credits'])} refunded",
            words.change(complete["net_burn_credits"], before["net_burn_credits"]),
            against,
        ),
        success(now, "succeeded", "failed", against, complete, before),
        Headline(
            "Latency p95",
            words.duration(None if p95_reason else now["p95_ms"]),
            p95_reason or f"p50 {words.duration(now['p50_ms'])}, from {words.exact(now['latency_rows'])} successful",
            words.change(complete["p95_ms"], before["p95_ms"]),
            against,
            good="down",
        ),
        Headline(
            "Active users",
            words.amount(now["active_users"]),
            "Users with at least one successful generation in this period",
            words.change(complete["active_users"], before["active_users"]),
            against,
            good="up",
        ),
    ]


def success(
    figures: Mapping[str, Any],
    succeeded: str,
    failed: str,
    against: str,
    complete: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> Headline:
    """Success rate; its interval under 200 ended generations, its change in points where two periods are given."""
    rate = success_rate(figures[succeeded], figures[failed])
    interval = words.rate_interval(rate)
    detail = f"{words.exact(figures[succeeded])} succeeded, {words.exact(figures[failed])} failed"
    if complete is None or before is None:
        return Headline("Success rate", words.rate(rate), f"{detail}. {interval}".strip(), note=_note(rate) or against)
    rates = [success_rate(one["succeeded"], one["failed"]) for one in (complete, before)]
    change = words.change_points(*(one.value if one is not None else None for one in rates))
    return Headline(
        "Success rate",
        words.rate(rate),
        f"{detail}. {interval}".strip(),
        NO_CHANGE if interval else change,
        against,
        note=_note(rate),
        good="up",
    )


def _note(rate: Rate | None) -> str:
    """The 95 % interval of a rate from fewer than 200, short."""
    return "" if rate is None or rate.is_certain else f"{rate.low * 100:.0f} to {rate.high * 100:.0f} %"


def _summed(label: str, days: Any, complete: Any, before: Any, column: str, against: str) -> Headline:
    total, now, then = (int(frame[column].sum()) for frame in (days, complete, before))
    detail = f"{words.exact(total)} in all; complete days: {words.exact(now)}, {against}: {words.exact(then)}"
    return Headline(
        label, words.amount(total), detail, words.change(now, then), against, spark=complete[column].tolist()
    )


def _pill(one: Headline) -> str | None:
    if one.value == words.NOT_ENOUGH:
        return words.NOT_ENOUGH
    return one.change.text or one.note or None


def _hover(one: Headline) -> str:
    compared = f" {one.change.text} of complete days, against the {one.against}." if one.change.text else ""
    return words.sentence(one.detail) + compared.replace(" d before", " days before")


def _colour(one: Headline) -> Any:
    """Green and red only where up is truly good or bad."""
    if one.good == "neither" or one.change.direction not in ("up", "down"):
        return "gray"
    return "green" if one.change.direction == one.good else "red"
