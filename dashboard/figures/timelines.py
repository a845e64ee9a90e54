"""The main figure of the page Timelines, and what a click on it meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import bucket_names, label, time_figure, values_of, with_whole_ticks
from dashboard.figures.colours import FIXED, GREY, HUES, colours
from dashboard.figures.series import ALL, DIRECT_LABELS, Series, bar_of, label_heights
from dashboard.insights.rates import Rate, success_rate
from queries.period import Bucket, Period

Kind = Literal["bars", "lines"]
Unit = Literal["amount", "share", "seconds"]
MARK_COLOUR = "#D55E00"
_EDGE = {"width": 1.5, "color": MARK_COLOUR}
_CHOSEN = "rgba(128, 138, 150, 0.28)"
# With more buckets than these, dots on a line run together.
_DOTTED = 62
_LABEL_GAP = 0.075


@dataclass(frozen=True, slots=True)
class Track:
    """One series: which it is (none for all, for "Other" and for what has no key), its colour, and for each bucket a
    value (None: a gap) and what hovering says."""

    series_id: str | None
    name: str
    colour: str
    values: tuple[Any, ...]
    hovers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A bucket that stands out, and why."""

    place: int
    why: str
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a figure shows, to know what is clicked on it."""

    kind: Kind
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    tracks: tuple[Track, ...]

    def hit(self, place: int, height: float) -> Track | None:
        """The series at this height of a bucket: of stacked bars the one that covers it, of lines the nearest; none
        above the bars, or where there is only one."""
        found = [(one, one.values[place]) for one in self.tracks if one.values[place] is not None]
        if len(self.tracks) < 2 or not found:
            return None
        if self.kind == "lines":
            return min(found, key=lambda one: abs(float(one[1]) - height))[0]
        below = 0.0
        for track, value in found:
            if below <= height < below + float(value):
                return track
            below += float(value)
        return None


def amounts(frame: pd.DataFrame, period: Period, *, split: str, measure: str, unit: str, known: Any) -> list[Track]:
    """Tracks of a sum, from `usage.over_time`."""
    return _tracks(frame, period, split, known, measure, lambda row: f"{words.exact(row)} {unit}")


def rates(frame: pd.DataFrame, period: Period, *, split: str, known: Any) -> list[Track]:
    """Tracks of success rates; a gap where nothing has ended. Hovering says the interval of what is uncertain."""
    succeeded, failed = (_tracks(frame, period, split, known, one, lambda _: "") for one in ("succeeded", "failed"))
    tracks = []
    for one, other in zip(succeeded, failed, strict=True):
        found = [_rate(a, b) for a, b in zip(one.values, other.values, strict=True)]
        hovers = tuple(
            "" if rate is None else f"{words.percent(rate.value)} of {words.exact(rate.total)} ended{_interval(rate)}"
            for rate in found
        )
        values = tuple(None if rate is None else rate.value for rate in found)
        tracks.append(Track(one.series_id, one.name, one.colour, values, hovers))
    return tracks


def latencies(frame: pd.DataFrame, period: Period, *, split: str, known: Any) -> list[Track]:
    """p50 and p95 in seconds of all, or each series' p95; a gap under 20 successful generations."""
    if split == "none":
        buckets = period.buckets()
        return [
            Track(None, name, hue, *_seconds(values_of(frame, buckets, column), name))
            for name, column, hue in (("p50", "p50_ms", HUES[4]), ("p95", "p95_ms", HUES[0]))
        ]
    raw = _tracks(frame, period, split, known, "p95_ms", lambda _: "")
    return [Track(one.series_id, one.name, one.colour, *_seconds(one.values, "p95")) for one in raw]


def timeline(
    period: Period,
    tracks: Sequence[Track],
    *,
    kind: Kind,
    before: Sequence[Any] = (),
    before_name: str = "",
    before_hovers: Sequence[str] = (),
    marks: Sequence[Mark] = (),
    chosen: tuple[datetime, datetime] | None = None,
    unit: Unit = "amount",
) -> go.Figure:
    """The tracks by bucket, the time before as a thin grey line, marks on what stands out, and a shade behind the
    chosen buckets. Every trace has a point for every bucket, so that a click's place is a bucket's."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    figure = time_figure(period, buckets, labels_right=1 < len(tracks) <= DIRECT_LABELS)
    for one in tracks:
        if kind == "bars":
            figure.add_bar(**bar_of(Series(one.name, one.colour, one.values), buckets, names, one.hovers))
        else:
            _add_line(figure, one, buckets, names)
    if any(one is not None for one in before):
        _add_before(figure, names, before, before_name, before_hovers)
    _add_marks(figure, names, tracks, marks, kind)
    _shade(figure, buckets, chosen)
    _name(figure, tracks, kind, unit)
    return _scaled(figure, tracks, unit)


def drawn(period: Period, tracks: Sequence[Track], kind: Kind) -> Drawn:
    buckets = period.buckets()
    return Drawn(kind, tuple(one.start for one in buckets), tuple(one.end for one in buckets), tuple(tracks))


def last_minutes(frame: pd.DataFrame, period: Period) -> go.Figure:
    """Generations of each of the last minutes by outcome, from `timelines.live`."""
    buckets = period.buckets()
    names = bucket_names(buckets, period)
    figure = time_figure(period, buckets, labels_right=True)
    status = FIXED["status"]
    parts = {"Succeeded": "succeeded", "Failed": "failed", "Unfinished": "unfinished"}
    hues = {"Succeeded": status["SUCCEEDED"], "Failed": status["FAILED"], "Unfinished": status["PENDING"]}
    series = []
    for name, column in parts.items():
        values = values_of(frame, buckets, column)
        series.append(Series(name, hues[name], values))
        hovers = [f"{words.exact(one)} {name.lower()}" for one in values]
        figure.add_bar(**bar_of(series[-1], buckets, names, hovers))
    figure.update_layout(showlegend=False)
    for one, height in zip(series, label_heights(series), strict=True):
        _write(figure, one.name, one.colour, height)
    return with_whole_ticks(figure)


def _tracks(
    frame: pd.DataFrame,
    period: Period,
    split: str,
    known: Mapping[str, str] | None,
    measure: str,
    hover: Callable[[Any], str],
) -> list[Track]:
    """The frame's series, the largest first and Other last."""
    if frame.empty:
        return []
    buckets = period.buckets()
    ids = {words.known(one) for one in frame["series_id"]}
    hues = colours(split, [one for one in ids if one is not None], known)
    found = []
    for (series_id, name), rows in frame.groupby(["series_id", "series"], dropna=False, sort=False):
        one_id = words.known(series_id)
        colour = hues[one_id] if one_id is not None else HUES[0] if name == ALL else GREY
        values = values_of(rows, buckets, measure)
        shown = words.readable(name) if split in FIXED else str(name)
        found.append(Track(one_id, shown, colour, values, tuple(hover(one) for one in values)))
    return sorted(found, key=lambda one: one.colour == GREY)


def _seconds(values: Sequence[Any], name: str) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    seconds = tuple(None if one is None else float(one) / 1000 for one in values)
    return seconds, tuple("" if one is None else f"{name} {words.duration(float(one))}" for one in values)


def _rate(succeeded: Any, failed: Any) -> Rate | None:
    return None if succeeded is None or failed is None else success_rate(int(succeeded), int(failed))


def _interval(rate: Rate) -> str:
    return "" if rate.is_certain else f" (95 %: {rate.low * 100:.0f} to {rate.high * 100:.0f})"


def _add_line(figure: go.Figure, one: Track, buckets: Sequence[Bucket], names: Sequence[str]) -> None:
    """A line with gaps; to the bucket in progress it is dashed and ends in an open dot."""
    values = [None if value is None else float(value) for value in one.values]
    running = next((place for place, bucket in enumerate(buckets) if bucket.in_progress), None)
    whole = [None if place == running else value for place, value in enumerate(values)]
    figure.add_scatter(
        name=label(one.name),
        x=list(names),
        y=whole,
        customdata=list(one.hovers),
        hovertemplate="%{customdata}",
        mode="lines+markers",
        connectgaps=False,
        line={"color": one.colour, "width": 2},
        marker={"size": _dots(whole), "color": one.colour},
    )
    if running is None or values[running] is None:
        return
    if running > 0 and values[running - 1] is not None:
        tail = [value if place in (running - 1, running) else None for place, value in enumerate(values)]
        figure.add_scatter(
            x=list(names),
            y=tail,
            mode="lines",
            line={"color": one.colour, "width": 2, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        name=label(one.name),
        x=list(names),
        y=[value if place == running else None for place, value in enumerate(values)],
        customdata=list(one.hovers),
        hovertemplate="%{customdata}",
        mode="markers",
        marker={"size": 8, "color": one.colour, "symbol": "circle-open", "line": {"width": 2}},
        showlegend=False,
    )


def _dots(values: Sequence[Any]) -> list[int]:
    """A dot on each value where there is room, else only on those that no line would show."""
    padded = [None, *values, None]
    alone = [a is None and c is None for a, c in zip(padded, padded[2:], strict=False)]
    return [5 if len(values) <= _DOTTED or one else 0 for one in alone]


def _add_before(
    figure: go.Figure, names: Sequence[str], before: Sequence[Any], name: str, hovers: Sequence[str]
) -> None:
    figure.add_scatter(
        name=label(name),
        x=list(names),
        y=[None if one is None else float(one) for one in before],
        customdata=list(hovers),
        hovertemplate="%{customdata}",
        mode="lines",
        line={"color": GREY, "width": 1.25},
        showlegend=False,
    )


def _add_marks(
    figure: go.Figure, names: Sequence[str], tracks: Sequence[Track], marks: Sequence[Mark], kind: Kind
) -> None:
    """A diamond above what stands out, with its reason; an open one for failures."""
    for is_failure, symbol, name in ((False, "diamond", "Stands out"), (True, "diamond-open", "Failures")):
        heights: list[float | None] = [None] * len(names)
        whys = [""] * len(names)
        for one in marks:
            values = [float(v) for track in tracks if (v := track.values[one.place]) is not None]
            if one.is_failure == is_failure and values:
                heights[one.place] = sum(values) if kind == "bars" else min(values) if is_failure else max(values)
                whys[one.place] = label_line(one.why)
        if any(one is not None for one in heights):
            figure.add_scatter(
                name=name,
                x=list(names),
                y=heights,
                customdata=whys,
                hovertemplate="%{customdata}",
                mode="markers",
                marker={"size": 10, "color": MARK_COLOUR, "symbol": symbol, "line": _EDGE},
                showlegend=False,
            )


def label_line(text: str) -> str:
    """A sentence for a hover, in lines that a narrow screen can hold."""
    lines: list[str] = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 60:
            lines.append("")
        lines[-1] = f"{lines[-1]} {label(word)}".strip()
    return "<br>".join(lines)


def _shade(figure: go.Figure, buckets: Sequence[Bucket], chosen: tuple[datetime, datetime] | None) -> None:
    if chosen is None:
        return
    places = [place for place, one in enumerate(buckets) if one.start < chosen[1] and one.end > chosen[0]]
    if places and len(places) < len(buckets):
        figure.add_vrect(x0=places[0] - 0.5, x1=places[-1] + 0.5, fillcolor=_CHOSEN, line={"width": 0}, layer="below")


def _name(figure: go.Figure, tracks: Sequence[Track], kind: Kind, unit: Unit) -> None:
    """Names at the right for two to four series, a legend for more, nothing for one."""
    figure.update_layout(showlegend=len(tracks) > DIRECT_LABELS)
    if not 1 < len(tracks) <= DIRECT_LABELS or not tracks[0].values:
        return
    if kind == "bars":
        heights = label_heights([Series(one.name, one.colour, one.values) for one in tracks])
    else:
        heights = _line_heights(tracks, _range(tracks, unit))
    for one, height in zip(tracks, heights, strict=True):
        _write(figure, one.name, one.colour, height)


def _line_heights(tracks: Sequence[Track], axis: tuple[float, float]) -> list[float]:
    """Heights (0 to 1) of the names of lines: at their last values, pushed apart, in the tracks' order."""
    low, high = axis
    last = [next((float(value) for value in reversed(one.values) if value is not None), low) for one in tracks]
    heights = [0.0] * len(last)
    floor = 0.03
    for place in sorted(range(len(last)), key=lambda place: last[place]):
        heights[place] = max(floor, min(1.0, (last[place] - low) / (high - low)))
        floor = heights[place] + _LABEL_GAP
    over = max(0.0, max(heights) - 0.98)
    return [one - over for one in heights]


def _write(figure: go.Figure, name: str, colour: str, height: float) -> None:
    figure.add_annotation(
        text=label(name),
        xref="paper",
        x=1.005,
        xanchor="left",
        yref="paper",
        y=height,
        showarrow=False,
        align="left",
        font={"color": colour, "size": 12},
    )


def _range(tracks: Sequence[Track], unit: Unit) -> tuple[float, float]:
    """The vertical axis of lines. Durations start at zero; rates do not, since people look at those between 95 and
    100 %."""
    values = [float(value) for one in tracks for value in one.values if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if unit == "share":
        pad = max((high - low) * 0.08, 0.005)
        return max(0.0, low - pad), min(1.0, high) + pad
    return 0.0, (high or 1.0) * 1.08


def _scaled(figure: go.Figure, tracks: Sequence[Track], unit: Unit) -> go.Figure:
    if unit == "amount":
        return with_whole_ticks(figure)
    low, high = _range(tracks, unit)
    if unit == "seconds":
        return figure.update_yaxes(ticksuffix=" s", tickformat="~g", range=[low, high])
    return figure.update_yaxes(tickformat=".0%" if high - low > 0.06 else ".1%", range=[low, high])
