"""The small lines of headline figures."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from dashboard import words

# Seen on both themes: 3:1 against the light background and the dark one.
LINE_COLOUR = "#2F8CC6"
_WIDTH, _HEIGHT, _MARGIN = 160.0, 24.0, 2.0


def sparkline(values: Iterable[Any]) -> str:
    """The values as a line between their least and their greatest, as an SVG; a missing one is a gap. Empty where there
    is no line to draw: under two known values, or none but 0.

    `st.metric(chart_data=...)` draws its line with Vega, which takes a tenth of a second of a page to load and a
    twentieth for each line; and it draws no gap."""
    points = [words.known(one) for one in values]
    known = [float(one) for one in points if one is not None]
    if len(known) < 2 or not any(known):
        return ""
    low, high = min(known), max(known)
    step, span = (_WIDTH - 2 * _MARGIN) / (len(points) - 1), _HEIGHT - 2 * _MARGIN
    share = [None if one is None else (float(one) - low) / (high - low) if high > low else 0.5 for one in points]
    placed = [None if one is None else (_MARGIN + i * step, _MARGIN + span * (1 - one)) for i, one in enumerate(share)]
    lines = [list(run) for is_gap, run in groupby(placed, key=lambda one: one is None) if not is_gap]
    drawn = "".join(_line([one for one in run if one is not None]) for run in lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" fill="none"'
        f' stroke="{LINE_COLOUR}" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">{drawn}</svg>'
    )


def _line(points: list[tuple[float, float]]) -> str:
    """One stretch without a gap; a single point is a dot."""
    return f'<path d="M{" L".join(f"{x:.1f},{y:.1f}" for x, y in (points if len(points) > 1 else points * 2))}"/>'
