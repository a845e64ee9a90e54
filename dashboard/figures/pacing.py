"""Credits burned so far against what an even burn would have used by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names, time_figure, values_of
from dashboard.figures.colours import GREY, HUES
from queries.period import Bucket, Period


@dataclass(frozen=True, slots=True)
class Expected:
    """What the line of burned credits is held against: `label`, and its height at the end of each bucket."""

    label: str
    values: tuple[float | None, ...]


def whole_days(period: Period) -> list[Bucket]:
    """Every day of the period, also those to come; the one in progress is marked."""
    every = replace(period, now=max(period.now, period.end)).buckets()
    return [replace(one, in_progress=one.start <= period.now < one.end) for one in every]


def even(credits: float, period: Period) -> Expected:
    """So many credits spread evenly over the period's time."""
    span = (period.end - period.start).total_seconds()
    shares = [(one.end - period.start).total_seconds() / span for one in whole_days(period)]
    return Expected("Spread evenly", tuple(credits * share for share in shares))


def as_before(previous: pd.DataFrame, before: Period, period: Period) -> Expected:
    """The burn of the days before, day by day: the third day is held against the third day."""
    days = whole_days(period)
    values = [float(one or 0) for one in values_of(previous, before.buckets(), "net_burn_credits")]
    sums: list[float | None] = list(accumulate(values))
    name = words.sentence(words.previous_days(period)).rstrip(".")
    return Expected(name, tuple([*sums, *[None] * len(days)][: len(days)]))


def burn_against_expected(frame: pd.DataFrame, period: Period, expected: Expected) -> go.Figure:
    """Net credits burned since the period's start, from `credits.burn_over_time` by day, against the expected line. The
    day in progress is an open marker: it is not over yet."""
    days = whole_days(period)
    names = bucket_names(days, period)
    burned = _cumulated(frame, days, period.now)
    figure = time_figure(period, days, labels_right=False)
    _add_line(figure, expected.label, names, expected.values, {"color": GREY, "width": 1.5, "dash": "dash"})
    complete = [None if day.in_progress else value for day, value in zip(days, burned, strict=True)]
    _add_line(figure, "Burned", names, complete, {"color": HUES[0], "width": 2.5})
    _add_in_progress(figure, names, days, burned)
    figure.update_layout(showlegend=True)
    figure.update_yaxes(rangemode="normal" if any((one or 0) < 0 for one in burned) else "tozero")
    return figure


def _cumulated(frame: pd.DataFrame, days: Sequence[Bucket], now: datetime) -> list[Any]:
    """The exact sum up to the end of each day that has begun; None for days to come."""
    daily = values_of(frame, days, "net_burn_credits")
    sums = accumulate(0 if one is None else one for one in daily)
    return [total if day.start <= now else None for day, total in zip(days, sums, strict=True)]


def _add_line(figure: go.Figure, name: str, names: Sequence[str], values: Sequence[Any], line: dict[str, Any]) -> None:
    figure.add_scatter(
        name=name,
        x=list(names),
        y=[None if one is None else float(one) for one in values],
        customdata=["" if one is None else f"{_said(one)} credits" for one in values],
        hovertemplate="%{customdata}",
        mode="lines",
        line=line,
    )


def _add_in_progress(figure: go.Figure, names: Sequence[str], days: Sequence[Bucket], burned: Sequence[Any]) -> None:
    place = next((number for number, day in enumerate(days) if day.in_progress), None)
    if place is None:
        return
    shown = list(dict.fromkeys((max(0, place - 1), place)))
    figure.add_scatter(
        name="Burned, so far",
        x=[names[one] for one in shown],
        y=[float(burned[one] or 0) for one in shown],
        customdata=[f"{_said(burned[one])} credits" for one in shown],
        hovertemplate="%{customdata}",
        mode="lines+markers",
        line={"color": HUES[0], "width": 2, "dash": "dot"},
        marker={"symbol": "circle-open", "size": [0] * (len(shown) - 1) + [8], "color": HUES[0]},
        showlegend=False,
    )


def _said(value: Any) -> str:
    return words.amount(round(value)) if isinstance(value, float) else words.exact(value)
