"""The frame of a chart over time. Time runs along named buckets, so that an hour that happens twice stays two bars and
the hover's title is the bucket in words."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from queries.period import Bucket, Period, zone_info

GRID = "rgba(128, 138, 150, 0.22)"
HEIGHT_PX = 300
SMALL_HEIGHT_PX = 240
_TICKS = 6
_COUNTED_IN_ONES = 6


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


def time_figure(period: Period, buckets: Sequence[Bucket], *, labels_right: bool) -> go.Figure:
    names = bucket_names(buckets, period)
    places, texts = _ticks(buckets, period)
    unit = {"minute": "Minutes", "hour": "Hours", "day": "Days", "week": "Weeks from Monday", "month": "Months"}
    # In one piece: a figure that is updated bit by bit takes ten times as long.
    return go.Figure(
        layout={
            "template": "none",
            "barmode": "relative",
            "bargap": 0.12 if len(buckets) < 120 else 0,
            "hovermode": "x unified",
            "dragmode": False,
            "height": HEIGHT_PX,
            "margin": {"l": 44, "r": 110 if labels_right else 8, "t": 10, "b": 46},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.02,
                "yanchor": "bottom",
                "traceorder": "normal",
                "title": {"text": ""},
            },
            "xaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": names,
                "range": [-0.5, max(len(buckets), 1) - 0.5],
                "tickmode": "array",
                "tickvals": [names[place] for place in places],
                "ticktext": texts,
                "title": {"text": f"{unit[period.grain]} in {period.zone}", "font": {"size": 11}, "standoff": 6},
                "showgrid": False,
                "zeroline": False,
                "tickangle": 0,
                "fixedrange": True,
                "automargin": False,
            },
            "yaxis": {
                "rangemode": "tozero",
                "gridcolor": GRID,
                "zeroline": True,
                "zerolinecolor": GRID,
                "tickformat": "~s",
                "fixedrange": True,
                "nticks": 6,
                # The margins above are wide enough; a chart that measures its labels first is drawn a sixth slower.
                "automargin": False,
            },
        }
    )


def with_whole_ticks(figure: go.Figure) -> go.Figure:
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


def values_of(frame: pd.DataFrame, buckets: Sequence[Bucket], measure: str) -> tuple[Any, ...]:
    # The first bucket may be cut to the period; a frame names it by the start of the whole one.
    by_start = {
        words.utc(start): words.known(value) for start, value in zip(frame["bucket_start"], frame[measure], strict=True)
    }
    return tuple(by_start.get(one.local_start.astimezone(UTC)) for one in buckets)


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
