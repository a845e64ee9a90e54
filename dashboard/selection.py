"""Clicks and drags on a chart. Streamlit reports either, not both, and no click at all on a chart with one hover for
all series; so a small listener of our own hears the chart's events. Each is heard once: nothing persists, and a rerun
of the same figure clicks nothing again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, isfinite
from typing import Any

import streamlit as st

# The chart is found by the class that its key gives it; when Streamlit draws it anew, the listener moves along.
_LISTENER = """
export default function ({ data, setTriggerValue }) {
  let chart = null;
  const clicked = (event) => {
    const axis = chart._fullLayout && chart._fullLayout.yaxis;
    if (!axis || !event.points || !event.points.length) return;
    const down = event.event.clientY - chart.getBoundingClientRect().top - axis._offset;
    setTriggerValue("clicked", { place: event.points[0].pointIndex, height: axis.p2d(down) });
  };
  const dragged = (event) => {
    if (event && event.range && event.range.x) setTriggerValue("dragged", { range: event.range.x });
  };
  const leave = () => {
    if (!chart || !chart.removeListener) return;  // a chart that Plotly has put away hears nothing
    chart.removeListener("plotly_click", clicked);
    chart.removeListener("plotly_selected", dragged);
  };
  const follow = () => {
    const found = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    if (!found || found === chart || !found.on) return;
    leave();
    chart = found;
    chart.on("plotly_click", clicked);
    chart.on("plotly_selected", dragged);
  };
  follow();
  const following = setInterval(follow, 200);
  return () => { clearInterval(following); leave(); };
}
"""


@dataclass(frozen=True, slots=True)
class Click:
    """A bucket's place, and the height on the vertical axis."""

    place: int
    height: float


@cache
def _listener() -> Any:
    return st.components.v2.component("chart_listener", js=_LISTENER)


def listen(chart: str, *, on_click: Callable[[Click], None], on_drag: Callable[[int, int], None]) -> None:
    """Hear the clicks and drags on the chart of this key; `on_drag` gets the first and the last place, both included.
    What the browser sends is untrusted: places may not be there."""
    key = f"{chart}-heard"

    def clicked() -> None:
        if (click := click_of(_heard(key, "clicked"))) is not None:
            on_click(click)

    def dragged() -> None:
        if (places := places_of(_heard(key, "dragged"))) is not None:
            on_drag(*places)

    _listener()(key=key, data={"chart": chart}, height=1, on_clicked_change=clicked, on_dragged_change=dragged)


def click_of(heard: Any) -> Click | None:
    """What was clicked; None for anything else."""
    if not isinstance(heard, dict):
        return None
    place, height = _number(heard.get("place")), _number(heard.get("height"))
    return None if place is None or height is None else Click(int(place), height)


def places_of(heard: Any) -> tuple[int, int] | None:
    """The places whose middle or edge was dragged over: a bucket takes half a place on either side of its own."""
    found = heard.get("range") if isinstance(heard, dict) else None
    if not isinstance(found, list) or len(found) != 2:
        return None
    edges = [_number(one) for one in found]
    if edges[0] is None or edges[1] is None:
        return None
    low, high = sorted((edges[0], edges[1]))
    first, last = max(0, floor(low + 0.5)), ceil(high - 0.5)
    return (first, last) if first <= last else (first, first)


def _heard(key: str, name: str) -> Any:
    state = st.session_state.get(key)
    return None if state is None else state.get(name)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and abs(value) < 1e15 else None
