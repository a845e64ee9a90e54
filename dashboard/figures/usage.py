"""Figures of generations."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names, time_figure, with_whole_ticks
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
