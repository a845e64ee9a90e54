"""Figures of generations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names, time_figure, values_of, with_whole_ticks
from dashboard.figures.colours import HUES
from dashboard.figures.series import DIRECT_LABELS, add_previous, bar_of, name_series, series_of
from queries.period import Period


def usage_bars(
    frame: pd.DataFrame,
    period: Period,
    *,
    split: str,
    previous: pd.DataFrame | None = None,
    known: Mapping[str, str] | None = None,
) -> go.Figure:
    """Generations per bucket, stacked by series, from `usage.over_time`; the previous period as a thin grey line."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    series = series_of(frame, buckets, split=split, measure="generations", known=known)
    figure = time_figure(period, buckets, labels_right=1 < len(series) <= DIRECT_LABELS)
    for one in series:
        figure.add_bar(**bar_of(one, buckets, names, [f"{words.exact(value)} generations" for value in one.values]))
    if previous is not None and not previous.empty:
        add_previous(figure, previous, period, names)
    name_series(figure, series, buckets)
    return with_whole_ticks(figure)


def latency_lines(frame: pd.DataFrame, period: Period) -> go.Figure:
    """p50, p95 and p99 in seconds per bucket, from `latency.over_time`; a gap where too few rows say nothing,
    and an open marker for the bucket in progress."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    rows = values_of(frame, buckets, "latency_rows")
    figure = time_figure(period, buckets, labels_right=False)
    for quantile, hue in (("p99", HUES[5]), ("p95", HUES[1]), ("p50", HUES[0])):
        values = values_of(frame, buckets, f"{quantile}_ms")
        said = [f"{words.duration(one)} of {words.exact(n or 0)}" for one, n in zip(values, rows, strict=True)]
        seconds = [None if one is None else float(one) / 1000 for one in values]
        figure.add_scatter(
            name=quantile,
            x=list(names),
            y=seconds,
            customdata=said,
            hovertemplate="%{customdata}",
            mode="lines+markers",
            line={"color": hue, "width": 2},
            marker={
                "size": [
                    7 if one.in_progress else 5 if lonely else 0
                    for one, lonely in zip(buckets, _lonely(values), strict=True)
                ],
                "symbol": ["circle-open" if one.in_progress else "circle" for one in buckets],
            },
            connectgaps=False,
        )
    figure.update_yaxes(ticksuffix=" s", tickformat="~g")
    figure.update_layout(showlegend=True)
    return figure


def on_one_scale(figures: Sequence[go.Figure]) -> None:
    """The same height of the value axis for figures that stand beside each other."""
    stacked: list[float] = [0.0]
    lowest = 0.0
    for figure in figures:
        sums: Counter[Any] = Counter()
        for trace in figure.data:
            values = {name: float(value or 0) for name, value in zip(trace.x, trace.y, strict=True)}
            lowest = min(lowest, *values.values(), 0.0)
            if trace.type == "bar":
                sums.update(values)
            else:
                stacked += values.values()
        stacked += sums.values()
    top = max(stacked) or 1.0
    for figure in figures:
        figure.update_yaxes(range=[lowest * 1.05, top * 1.05])


def _lonely(values: Sequence[Any]) -> list[bool]:
    """Which values stand between two gaps: a line alone would not show them."""
    padded = [None, *values, None]
    return [one is not None and padded[place] is None and padded[place + 2] is None for place, one in enumerate(values)]
