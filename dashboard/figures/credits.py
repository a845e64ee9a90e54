"""Figures of credits."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names, time_figure, values_of, with_whole_ticks
from dashboard.figures.colours import HUES
from dashboard.figures.series import Series, bar_of
from queries.period import Period


def burn_bars(frame: pd.DataFrame, period: Period) -> go.Figure:
    """Net credits burned per bucket, from `credits.burn_over_time`; charged and refunded ones on hover."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    net, gross, refunded = (
        values_of(frame, buckets, f"{one}_credits") for one in ("net_burn", "gross_burn", "refunded")
    )
    hover = [
        f"{words.exact(n)} credits ({words.exact(g)} charged, {words.exact(r)} refunded)"
        for n, g, r in zip(net, gross, refunded, strict=True)
    ]
    figure = time_figure(period, buckets, labels_right=False)
    figure.add_bar(**bar_of(Series("Net burn", HUES[0], net), buckets, names, hover))
    figure.update_layout(showlegend=False)
    return with_whole_ticks(figure)
