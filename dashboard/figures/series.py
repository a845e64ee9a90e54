"""Several series over the same buckets: their values, their bars and lines, and their names beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import label, values_of
from dashboard.figures.colours import FIXED, GREY, HUES, colours
from queries.period import Bucket, Period

OTHER, ALL = "Other", "All"
DIRECT_LABELS = 4
# Smallest distance of two direct labels, as a share of the axis.
_LABEL_GAP = 0.085


@dataclass(frozen=True, slots=True)
class Series:
    """One line or stack of bars: what it stands for, its colour, and a value for each bucket (None: a gap)."""

    name: str
    colour: str
    values: tuple[Any, ...]


def series_of(
    frame: pd.DataFrame,
    buckets: Sequence[Bucket],
    *,
    split: str,
    measure: str,
    known: Mapping[str, str] | None = None,
) -> list[Series]:
    """The frame's series, the largest first and Other last, each with a value per bucket; `known` are colours that ids
    have already."""
    ids = {words.known(one) for one in frame["series_id"]} if not frame.empty else set()
    hues = colours(split, [one for one in ids if one is not None], known)
    found = []
    for (series_id, name), rows in frame.groupby(["series_id", "series"], dropna=False, sort=False):
        one_id = words.known(series_id)
        colour = hues[one_id] if one_id is not None else HUES[0] if name == ALL else GREY
        label = words.readable(name) if split in FIXED else str(name)
        found.append(Series(label, colour, values_of(rows, buckets, measure)))
    return sorted(found, key=lambda one: one.colour == GREY)


def bar_of(series: Series, buckets: Sequence[Bucket], names: Sequence[str], hover: Sequence[str]) -> dict[str, Any]:
    return {
        "name": label(series.name),
        "x": list(names),
        "y": [None if one is None else float(one) for one in series.values],
        "customdata": list(hover),
        "hovertemplate": "%{customdata}",
        "marker": {
            "color": series.colour,
            "line": {"width": 0},
            "pattern": {"shape": ["/" if one.in_progress else "" for one in buckets], "size": 6, "solidity": 0.45},
        },
    }


def add_previous(figure: go.Figure, previous: pd.DataFrame, period: Period, names: Sequence[str]) -> None:
    before = period.previous().with_grain(period.grain)
    values = values_of(previous, before.buckets(), "generations")[: len(names)]
    figure.add_scatter(
        name=words.sentence(words.previous_days(period)).rstrip("."),
        x=list(names[: len(values)]),
        y=[None if one is None else float(one) for one in values],
        customdata=[f"{words.exact(one)} generations" for one in values],
        hovertemplate="%{customdata}",
        mode="lines",
        line={"color": GREY, "width": 1.25, "shape": "hvh"},
        showlegend=False,
    )


def name_series(figure: go.Figure, series: Sequence[Series], buckets: Sequence[Bucket]) -> None:
    """Direct labels at the right edge for two to four series, a legend for more, nothing for one."""
    is_direct = 1 < len(series) <= DIRECT_LABELS
    figure.update_layout(showlegend=len(series) > DIRECT_LABELS)
    if not is_direct or not buckets:
        return
    for one, height in zip(series, label_heights(series), strict=True):
        figure.add_annotation(
            text=label(one.name),
            xref="paper",
            x=1.005,
            xanchor="left",
            yref="paper",
            y=height,
            showarrow=False,
            align="left",
            font={"color": one.colour, "size": 12},
        )


def label_heights(series: Sequence[Series]) -> list[float]:
    """Heights (0 to 1) of direct labels: the middle of each one's stack in the last bucket, pushed apart, in order."""
    last = [float(one.values[-1] or 0) for one in series]
    totals = [sum(float(value or 0) for value in values) for values in zip(*(s.values for s in series), strict=True)]
    top = max(totals, default=0.0) or 1.0
    heights: list[float] = []
    below = 0.0
    for value in last:
        middle = (below + value / 2) / top
        heights.append(max(middle, heights[-1] + _LABEL_GAP) if heights else max(middle, 0.03))
        below += value
    overflow = max(0.0, heights[-1] - 0.98) if heights else 0.0
    return [one - overflow for one in heights]
