"""Notes on a chart over time: a thin dotted line at the note's bucket, with the first words above it."""

from __future__ import annotations

import html
import textwrap
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names
from dashboard.figures.colours import GREY
from queries.period import Bucket, Period, local_midnight

# Above the plot there is room for three rows of labels; a label that would cover another one is a dot.
LABEL_ROWS, _ROW_PX = 3, 16
# Of the plot's width, as it is on a telephone: a figure does not know how wide it will be.
_LETTER_SHARE = 0.022
_LABEL_LETTERS = 16
_HOVER_LETTERS = 60
DOT = "•"


def mark(figure: go.Figure, frame: pd.DataFrame, period: Period, *, named: bool = False) -> go.Figure:
    """The figure with the notes of `notes.pinned`; `named` says whose each is, where there are several tenants'."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    notes = _by_bucket(frame, buckets, period, named=named)
    rows = _rows({place: _short(texts) for place, texts in notes.items()}, len(buckets))
    for place, texts in notes.items():
        figure.add_shape(
            type="line",
            xref="x",
            x0=names[place],
            x1=names[place],
            yref="paper",
            y0=0,
            y1=1,
            line={"color": GREY, "width": 1, "dash": "dot"},
        )
        row = rows[place]
        figure.add_annotation(
            text=DOT if row is None else _short(texts),
            x=names[place],
            xref="x",
            y=1,
            yref="paper",
            yanchor="top" if row is None else "bottom",
            yshift=_ROW_PX * (row or 0),
            xanchor="center" if row is None else "left" if _opens_right(place, len(buckets)) else "right",
            showarrow=False,
            font={"size": 18 if row is None else 11},
            hovertext=_whole(texts),
        )
    if notes:
        _make_room(figure, max((row or 0) for row in rows.values()) + 1)
    return figure


def _by_bucket(frame: pd.DataFrame, buckets: Sequence[Bucket], period: Period, *, named: bool) -> dict[int, list[str]]:
    """The notes' texts by their bucket's place, in order; those of days that have not begun are not there."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for tenant, day, text in zip(frame["tenant"], frame["day"], frame["text"], strict=True):
        place = _place(buckets, day, period)
        if place is not None:
            found[place].append(f"{tenant}: {text}" if named and words.known(tenant) else str(text))
    return dict(sorted(found.items()))


def _place(buckets: Sequence[Bucket], day: date, period: Period) -> int | None:
    """The bucket that a local day lies in; below a day, the day's first."""
    starts = [one.local_start.date() for one in buckets]
    if not buckets or not period.first_date <= day <= period.last_date:
        return None
    if period.grain in ("minute", "hour"):
        place = bisect_left(starts, day)
        return place if place < len(starts) and starts[place] == day else None
    place = bisect_right(starts, day) - 1
    return place if place >= 0 and local_midnight(day, period.zone) < buckets[place].end else None


def _short(texts: Sequence[str]) -> str:
    first = html.escape(words.shortened(texts[0], _LABEL_LETTERS), quote=False)
    return first + (f" +{len(texts) - 1}" if len(texts) > 1 else "")


def _whole(texts: Sequence[str]) -> str:
    lines = (line for text in texts for line in textwrap.wrap(words.one_line(text), _HOVER_LETTERS))
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def _opens_right(place: int, buckets: int) -> bool:
    return place < buckets * 0.6


def _rows(labels: Mapping[int, str], buckets: int) -> dict[int, int | None]:
    """A row for each label in which it covers no other; None where there is none left."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(LABEL_ROWS)]
    rows: dict[int, int | None] = {}
    for place, text in labels.items():
        at, width = (place + 0.5) / buckets, len(html.unescape(text)) * _LETTER_SHARE
        low, high = (at, at + width) if _opens_right(place, buckets) else (at - width, at)
        free = [row for row, spans in enumerate(taken) if all(high <= left or low >= right for left, right in spans)]
        rows[place] = next(iter(free), None)
        if free:
            taken[free[0]].append((low, high))
    return rows


def _make_room(figure: go.Figure, rows: int) -> None:
    """Move the plot, and a legend above it, down."""
    height = figure.layout.height or 300
    figure.update_layout(margin_t=(figure.layout.margin.t or 10) + rows * _ROW_PX)
    if figure.layout.legend.y is not None and figure.layout.showlegend:
        figure.update_layout(legend_y=figure.layout.legend.y + rows * _ROW_PX / (height * 0.7))
