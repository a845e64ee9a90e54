"""Frames become Plotly figures: pure functions, one look. Time runs along named buckets, so that an hour that happens
twice stays two bars and the hover's title is the bucket in words.

Colours are the same on the light and the dark theme: each is at least 3 : 1 against both backgrounds.
"""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from queries.period import Bucket, Period, zone_info

HUES = ("#0072B2", "#C98500", "#009E73", "#C76BA0", "#3A97CE", "#D55E00", "#7F63CC", "#85833A")
GREY = "#858C96"
GRID = "rgba(128, 138, 150, 0.22)"
OTHER, ALL = "Other", "All"
HEIGHT_PX = 300
SMALL_HEIGHT_PX = 240
DIRECT_LABELS = 4
_TICKS = 6
_COUNTED_IN_ONES = 6
# Smallest distance of two direct labels, as a share of the axis.
_LABEL_GAP = 0.085

# Status colours are fixed, and the word is always beside them.
_FIXED: Mapping[str, Mapping[str, str]] = {
    "status": {
        "SUCCEEDED": "#009E73",
        "FAILED": "#D55E00",
        "CANCELLED": "#85833A",
        "PROCESSING": "#3A97CE",
        "PENDING": "#7F63CC",
    },
    "type": {
        "TEXT_TO_IMAGE": "#0072B2",
        "IMAGE_TO_IMAGE": "#C98500",
        "INPAINTING": "#C76BA0",
        "UPSCALE": "#3A97CE",
    },
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line or stack of bars: what it stands for, its colour, and a value for each bucket (None: a gap)."""

    name: str
    colour: str
    values: tuple[Any, ...]


def colours(kind: str, ids: Iterable[str]) -> dict[str, str]:
    """A colour for each id, the same on every page. Two ids of one chart that would share a hue get the next free
    one, in the order of their ids, for as long as there are hues."""
    fixed = _FIXED.get(kind, {})
    chosen = {one: fixed[one] for one in ids if one in fixed}
    for one in sorted(set(ids) - set(chosen)):
        first = int.from_bytes(hashlib.blake2b(f"{kind}:{one}".encode(), digest_size=4).digest()) % len(HUES)
        around = [HUES[(first + step) % len(HUES)] for step in range(len(HUES))]
        chosen[one] = next((hue for hue in around if hue not in chosen.values()), around[0])
    return chosen


def usage_bars(frame: pd.DataFrame, period: Period, *, split: str, previous: pd.DataFrame | None = None) -> go.Figure:
    """Generations per bucket, stacked by series, from `usage.over_time`; the previous period as a thin grey line."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    series = series_of(frame, buckets, split=split, measure="generations")
    figure = _figure(period, buckets, labels_right=1 < len(series) <= DIRECT_LABELS)
    for one in series:
        figure.add_bar(**_bar(one, buckets, names, [f"{words.exact(value)} generations" for value in one.values]))
    if previous is not None and not previous.empty:
        _add_previous(figure, previous, period, names)
    _name_series(figure, series, buckets)
    return _with_whole_ticks(figure)


def burn_bars(frame: pd.DataFrame, period: Period) -> go.Figure:
    """Net credits burned per bucket, from `credits.burn_over_time`; charged and refunded ones on hover."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    net, gross, refunded = (_values(frame, buckets, f"{one}_credits") for one in ("net_burn", "gross_burn", "refunded"))
    hover = [
        f"{words.exact(n)} credits ({words.exact(g)} charged, {words.exact(r)} refunded)"
        for n, g, r in zip(net, gross, refunded, strict=True)
    ]
    figure = _figure(period, buckets, labels_right=False)
    figure.add_bar(**_bar(Series("Net burn", HUES[0], net), buckets, names, hover))
    figure.update_layout(showlegend=False)
    return _with_whole_ticks(figure)


def series_of(frame: pd.DataFrame, buckets: Sequence[Bucket], *, split: str, measure: str) -> list[Series]:
    """The frame's series, the largest first and Other last, each with a value per bucket."""
    ids = {words.known(one) for one in frame["series_id"]} if not frame.empty else set()
    hues = colours(split, [one for one in ids if one is not None])
    found = []
    for (series_id, name), rows in frame.groupby(["series_id", "series"], dropna=False, sort=False):
        known = words.known(series_id)
        colour = hues[known] if known is not None else HUES[0] if name == ALL else GREY
        label = words.readable(name) if split in _FIXED else str(name)
        found.append(Series(label, colour, _values(rows, buckets, measure)))
    return sorted(found, key=lambda one: one.colour == GREY)


def sparkline(values: Iterable[Any]) -> list[float]:
    """Values for `st.metric(chart_data=...)`: a missing one is drawn as 0 because a metric cannot draw a gap."""
    return [float(words.known(one) or 0) for one in values]


def bucket_names(buckets: Sequence[Bucket], period: Period) -> list[str]:
    """Each bucket in words, all different: an hour that happens twice says its offset."""
    names = [_bucket_name(one, period) for one in buckets]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    named = [
        f"{name} ({words.offset(one.local_start)})" if name in repeated else name
        for name, one in zip(names, buckets, strict=True)
    ]
    return [f"{name} · so far" if one.in_progress else name for name, one in zip(named, buckets, strict=True)]


def label(text: object) -> str:
    """Text from the database for a figure: Plotly reads tags and entities in every label."""
    return html.escape(words.shortened(text, 24), quote=False)


def _bucket_name(bucket: Bucket, period: Period) -> str:
    start = bucket.local_start
    if period.grain in ("minute", "hour"):
        end = bucket.end.astimezone(zone_info(period.zone))
        return f"{start:%a} {words.day(start.date())}, {start:%H:%M} to {end:%H:%M}"
    if period.grain == "day":
        return f"{start:%a} {words.day(start.date())}"
    return f"{start:%B %Y}" if period.grain == "month" else f"Week from {words.day(start.date())}"


def _ticks(buckets: Sequence[Bucket], period: Period) -> tuple[list[int], list[str]]:
    """Places and short names of at most six ticks; below a day, midnights when there is more than one."""
    places = list(range(len(buckets)))
    is_below_day = period.grain in ("minute", "hour")
    midnights = [place for place in places if buckets[place].local_start.strftime("%H:%M") == "00:00"]
    by_midnight = is_below_day and len(midnights) > 1
    places = midnights if by_midnight else places
    places = places[:: max(1, ceil(len(places) / _TICKS))]
    form = "time" if is_below_day and not by_midnight else "month" if period.grain == "month" else "day"
    return places, [_tick(buckets[place].local_start, form) for place in places]


def _tick(start: datetime, form: str) -> str:
    if form == "time":
        return f"{start:%H:%M}"
    return f"{start:%b %Y}" if form == "month" else f"{start.day} {start:%b}"


def _values(frame: pd.DataFrame, buckets: Sequence[Bucket], measure: str) -> tuple[Any, ...]:
    by_start = {
        words.utc(start): words.known(value) for start, value in zip(frame["bucket_start"], frame[measure], strict=True)
    }
    return tuple(by_start.get(one.start) for one in buckets)


def _bar(series: Series, buckets: Sequence[Bucket], names: Sequence[str], hover: Sequence[str]) -> dict[str, Any]:
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


def _add_previous(figure: go.Figure, previous: pd.DataFrame, period: Period, names: Sequence[str]) -> None:
    before = period.previous().with_grain(period.grain)
    values = _values(previous, before.buckets(), "generations")[: len(names)]
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


def _name_series(figure: go.Figure, series: Sequence[Series], buckets: Sequence[Bucket]) -> None:
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


def _with_whole_ticks(figure: go.Figure) -> go.Figure:
    """Few generations or credits are counted in ones; an axis of nothing ends at 1 and not at a thousandth."""
    stacks: Counter[Any] = Counter()
    for trace in figure.data:
        if trace.type == "bar":
            stacks.update({name: value or 0 for name, value in zip(trace.x, trace.y, strict=True)})
    lines = [value or 0 for trace in figure.data if trace.type == "scatter" for value in trace.y]
    highest = max([*stacks.values(), *lines], default=0)
    if highest <= _COUNTED_IN_ONES:
        figure.update_yaxes(dtick=1)
    if highest <= 0:
        figure.update_yaxes(range=[0, 1])
    return figure


def _figure(period: Period, buckets: Sequence[Bucket], *, labels_right: bool) -> go.Figure:
    names = bucket_names(buckets, period)
    places, texts = _ticks(buckets, period)
    unit = {"minute": "Minutes", "hour": "Hours", "day": "Days", "week": "Weeks from Monday", "month": "Months"}
    figure = go.Figure()
    figure.update_layout(
        template="none",
        barmode="relative",
        bargap=0.12 if len(buckets) < 120 else 0,
        hovermode="x unified",
        dragmode=False,
        height=HEIGHT_PX,
        margin={"l": 44, "r": 110 if labels_right else 8, "t": 10, "b": 46},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal", "title": ""},
    )
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[-0.5, max(len(buckets), 1) - 0.5],
        tickmode="array",
        tickvals=[names[place] for place in places],
        ticktext=texts,
        title={"text": f"{unit[period.grain]} in {period.zone}", "font": {"size": 11}, "standoff": 6},
        showgrid=False,
        zeroline=False,
        tickangle=0,
        fixedrange=True,
    )
    figure.update_yaxes(
        rangemode="tozero",
        gridcolor=GRID,
        zeroline=True,
        zerolinecolor=GRID,
        tickformat="~s",
        fixedrange=True,
        nticks=6,
    )
    return figure
