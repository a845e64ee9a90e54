"""Figures of credits that move: burned by tenant, and in and out with the balance that is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import GRID, HEIGHT_PX, bucket_names, time_figure, values_of, with_whole_ticks
from dashboard.figures.colours import GREY, HUES
from dashboard.figures.series import DIRECT_LABELS, Series, bar_of, name_series, series_of
from queries.period import Period

# Which way a kind of movement goes, its name and its colour; adjustments go both ways.
KINDS: Mapping[str, tuple[int, str, str]] = {
    "purchased": (1, "Purchased", HUES[0]),
    "granted": (1, "Granted", HUES[2]),
    "refunded": (1, "Refunded", HUES[4]),
    "adjusted": (1, "Adjusted", HUES[6]),
    "burned": (-1, "Burned", HUES[5]),
    "expired": (-1, "Expired", HUES[3]),
}
FLOWS_HEIGHT_PX = 380
# The balance stands above the bars, on an axis of its own: it is a hundred times as large as a day's movements.
_BARS_TOP, _LINE_BOTTOM = 0.56, 0.64


def burn_by_tenant(
    frame: pd.DataFrame, period: Period, *, known: Mapping[str, str] | None = None, height: int = HEIGHT_PX
) -> go.Figure:
    """Net credits burned per bucket, stacked by tenant, from `credits.flows`; what was refunded on hover."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    net = series_of(frame, buckets, split="tenant", measure="net_burn_credits", known=known)
    refunds = series_of(frame, buckets, split="tenant", measure="refunded", known=known)
    drawn = [(one, back) for one, back in zip(net, refunds, strict=True) if any(one.values) or len(net) == 1]
    figure = time_figure(period, buckets, labels_right=1 < len(drawn) <= DIRECT_LABELS)
    for one, back in drawn:
        figure.add_bar(**bar_of(one, buckets, names, _burn_hover(one.values, back.values)))
    name_series(figure, [one for one, _ in drawn], buckets)
    figure.update_layout(height=height)
    return with_whole_ticks(figure)


def in_and_out(frame: pd.DataFrame, period: Period) -> go.Figure:
    """Credits that came in above zero and those that went out below it, by kind, and over them the balance at the end
    of each bucket; from `credits.flows`. A gap in the line where no balance is known."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    sums = summed_by_bucket(frame)
    figure = time_figure(period, buckets, labels_right=False)
    for kind, (sign, name, colour) in KINDS.items():
        values = values_of(sums, buckets, kind)
        if any(values):
            shown = Series(name, colour, tuple(None if one is None else sign * one for one in values))
            figure.add_bar(**bar_of(shown, buckets, names, [f"{words.exact(one)} credits" for one in values]))
    balances = values_of(sums, buckets, "balance_credits")
    figure.add_scatter(
        name="Balance at the end",
        x=names,
        y=[None if one is None else float(one) for one in balances],
        customdata=[f"{words.exact(one)} credits" for one in balances],
        hovertemplate="%{customdata}",
        mode="lines+markers" if len(names) < 2 else "lines",
        line={"color": GREY, "width": 2},
        connectgaps=False,
        yaxis="y2",
        showlegend=False,
    )
    figure.update_layout(
        height=FLOWS_HEIGHT_PX,
        hoversubplots="axis",
        showlegend=True,
        yaxis={"domain": [0, _BARS_TOP], "rangemode": "normal", "title": _axis_title("in and out")},
        yaxis2={
            "domain": [_LINE_BOTTOM, 1],
            "gridcolor": GRID,
            "zerolinecolor": GRID,
            "tickformat": "~s",
            "fixedrange": True,
            "nticks": 4,
            "title": _axis_title("balance"),
            **({} if any(one is not None for one in balances) else {"range": [0, 1], "showticklabels": False}),
        },
        margin={"l": 62},
    )
    return figure


def summed_by_bucket(frame: pd.DataFrame) -> pd.DataFrame:
    """`credits.flows` with its series summed, exactly; the balance is the same in each of them."""
    figures = dict.fromkeys((*KINDS, "net_burn_credits"), "sum")
    return frame.groupby("bucket_start", as_index=False, sort=True).agg({**figures, "balance_credits": "first"})


def _burn_hover(net: Sequence[Any], refunded: Sequence[Any]) -> list[str]:
    return [
        f"{words.exact(one)} credits" + (f" after {words.exact(back)} refunded" if back else "")
        for one, back in zip(net, refunded, strict=True)
    ]


def _axis_title(text: str) -> dict[str, Any]:
    return {"text": f"Credits, {text}", "font": {"size": 11}, "standoff": 4}
