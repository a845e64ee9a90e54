"""The main chart: what is drawn, and what a click or a drag on it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import notes, palette, panels, selection, words
from dashboard.account import sought
from dashboard.figures import timelines as figures
from dashboard.figures.axes import bucket_names
from dashboard.figures.timelines import Drawn, Mark, Track, Unit
from dashboard.insights import before
from dashboard.insights.rates import success_rate
from dashboard.selection import Click
from dashboard.timelines import zoom
from dashboard.timelines.choices import BEHIND, Chosen, unselect
from dashboard.timelines.counts import FAILURES, Counts
from queries.query import Result

TITLES = {
    "generations": "Generations per {grain}",
    "credits": "Credits charged per {grain}",
    "success": "Success rate per {grain}",
    "latency": "Latency per {grain}",
}
_UNITS: dict[str, Unit] = {"success": "share", "latency": "seconds"}


def title(chosen: Chosen) -> str:
    name = TITLES[chosen.measure].format(grain=chosen.period.grain)
    if chosen.split == "none":
        return name
    return f"{name.replace('Latency', 'Latency p95')} by {chosen.split}"


def draw(chosen: Chosen, series: Result, usual: Result, *latency: Result) -> None:
    """The chart with its zoom, and in words what else it shows."""
    counts = Counts(chosen.period, series, usual)
    zoom.control(chosen.period)
    for note in chosen.notes:
        st.caption(words.plain(note))
    tracks = _tracks(chosen, series, *latency)
    beside, hovers = _beside(chosen, counts, *latency)
    marks = [Mark(one.place, one.sentence, one.noun == FAILURES) for one in counts.unusual(chosen.measure)]
    is_lines = chosen.measure in ("success", "latency")
    figure = figures.timeline(
        chosen.period,
        tracks,
        kind="lines" if is_lines else "bars",
        before=beside,
        before_name="Before",
        before_hovers=hovers,
        marks=marks,
        chosen=_selected(chosen),
        unit=_UNITS.get(chosen.measure, "amount"),
    )
    figure.update_layout(dragmode="select", selectdirection="h", height=320)
    drawn = figures.drawn(chosen.period, tracks, "lines" if is_lines else "bars")
    key = chosen.view_key
    figure = notes.marked(figure, chosen.board, chosen.period, named=not chosen.is_one)
    panels.chart(figure, alt=_alt(chosen, counts), key=key)
    selection.listen(
        key,
        on_click=lambda click: clicked(drawn, chosen.split, click),
        on_drag=lambda first, last: dragged(drawn, first, last, chosen.period.zone),
    )
    _legend(chosen, beside, marks, drawn)


def clicked(drawn: Drawn, split: str, click: Click) -> None:
    """Select the bucket, and the series where one was hit; a second click on the same selects nothing. A callback."""
    if not 0 <= click.place < len(drawn.starts):
        return
    track = drawn.hit(click.place, click.height)
    only = (
        {BEHIND[split]: track.series_id}
        if track is not None and track.series_id is not None and split in BEHIND
        else {}
    )
    wanted = sought.parameters(drawn.starts[click.place], drawn.ends[click.place], **only)
    is_same = all(st.query_params.get(name) == wanted.get(name) for name in (*sought.NAMES, *BEHIND.values()))
    unselect()
    if not is_same:
        st.query_params.update(wanted)


def dragged(drawn: Drawn, first: int, last: int, zone: str) -> None:
    """Zoom to the buckets that were dragged over. A callback."""
    first, last = max(0, first), min(last, len(drawn.starts) - 1)
    if first <= last and (first, last) != (0, len(drawn.starts) - 1):
        zoom.zoom_to(drawn.starts[first], drawn.ends[last], zone)


def _tracks(chosen: Chosen, series: Result, *latency: Result) -> list[Track]:
    frame = latency[0].frame if latency else series.frame
    known = palette.of_series(chosen.split, frame) if chosen.split != "none" else None
    if chosen.measure == "latency":
        return figures.latencies(frame, chosen.period, split=chosen.split, known=known)
    if chosen.measure == "success":
        return figures.rates(frame, chosen.period, split=chosen.split, known=known)
    measure = "burned_credits" if chosen.measure == "credits" else "generations"
    return figures.amounts(frame, chosen.period, split=chosen.split, measure=measure, unit=chosen.unit, known=known)


def _beside(chosen: Chosen, counts: Counts, *latency: Result) -> tuple[list[Any], list[str]]:
    """For each bucket the value of the one before, and what hovering says."""
    if chosen.measure == "latency":
        frame = latency[1].frame
        starts = [one for one in map(words.utc, frame["bucket_start"]) if one is not None]
        took = before.beside(chosen.period, starts, [words.known(one) for one in frame["p95_ms"]])
        return (
            [None if one is None else float(one) / 1000 for one in took],
            ["" if one is None else f"p95 {words.duration(float(one))}" for one in took],
        )
    if chosen.measure == "success":
        rates = [
            None if one is None else success_rate(int(one["succeeded"]), int(one["failed"])) for one in counts.beside
        ]
        return [one.value if one else None for one in rates], [words.rate(one) if one else "" for one in rates]
    name = "burned_credits" if chosen.measure == "credits" else "generations"
    values = [None if one is None else one[name] for one in counts.beside]
    return values, ["" if one is None else f"{words.exact(one)} {chosen.unit}" for one in values]


def _selected(chosen: Chosen) -> Any:
    wanted = chosen.sought.period
    return (wanted.start, wanted.end) if sought.FROM in st.query_params else None


def _legend(chosen: Chosen, beside: Sequence[Any], marks: Sequence[Mark], drawn: Drawn) -> None:
    """What the chart's signs mean, and the same with the keyboard."""
    compared = before.before(chosen.period)
    parts = []
    if any(one is not None for one in beside):
        what = "p95 of " if chosen.measure == "latency" else ""
        parts.append(f"Grey line: {what}{zoom.times(compared.start, compared.end, chosen.period.zone)}, like for like.")
    if chosen.measure == "latency":
        parts.append("Of successful generations; a gap where there are under 20.")
    if chosen.measure == "success":
        parts.append("A gap where nothing has ended.")
    if any(not one.is_failure for one in marks):
        parts.append("◆ stands out.")
    if any(one.is_failure for one in marks):
        parts.append("◇ its failures stand out.")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(words.plain(" ".join([*parts, "Drag to zoom, click to see the generations."])), width="stretch")
        with st.popover(
            "By keyboard", type="tertiary", help="Zoom and select without a mouse", icon=":material/keyboard:"
        ):
            _keyboard(chosen, drawn)


def _keyboard(chosen: Chosen, drawn: Drawn) -> None:
    names = bucket_names(chosen.period.buckets(), chosen.period)
    zoom.by_keyboard(names, drawn.starts, drawn.ends, chosen.period.zone)
    key = f"{chosen.view_key}-pick"
    st.selectbox(
        f"See the generations of one {chosen.period.grain}",
        range(len(names)),
        index=None,
        format_func=lambda one: names[one],
        placeholder=f"Choose a {chosen.period.grain}",
        key=key,
        on_change=lambda: _picked(drawn, key),
    )


def _picked(drawn: Drawn, key: str) -> None:
    place = st.session_state.get(key)
    if place is not None:
        clicked(drawn, "none", Click(place, float("inf")))


def _alt(chosen: Chosen, counts: Counts) -> str:
    total = words.exact(counts.totals["burned_credits" if chosen.measure == "credits" else "generations"])
    period = chosen.period
    when = zoom.times(
        period.start, min(period.end, period.until) if period.until > period.start else period.end, period.zone
    )
    return f"{title(chosen)}, {when}: {total} {chosen.unit} in all"
