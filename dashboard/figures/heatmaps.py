"""Cells of rows by columns, in one hue: the more, the more of it. Blank where nothing is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import label
from dashboard.figures.colours import HUES

Cell = tuple[int, int]
# A hue that grows out of the background reads on both themes, without knowing which one is shown.
_HUE = tuple(int(HUES[0][start : start + 2], 16) for start in (1, 3, 5))
_FAINTEST, _FAINTEST_ON_DARK = 0.12, 0.24
# What is written on cells that are not full of the hue, on the light theme and on the dark one: the theme's grey cannot
# be read on the middle of the scale. On the light one, white reads better from this share of the strongest on.
INK = ("#000000", "#FFFFFF")
_STRONG = 0.91
_TICKS = 7
_ROW_PX, _AXIS_PX = 26, 52


def heatmap(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    hovers: Sequence[Sequence[str]],
    *,
    texts: Sequence[Sequence[str]] | None = None,
    highest: float | None = None,
    title: str = "",
    ticks: int = _TICKS,
    marks: Collection[Cell] = (),
    mark: str = "✕",
    height_px: int | None = None,
    is_dark: bool = False,
) -> go.Figure:
    """`values[row][column]`, the first row on top; None is a blank cell, which has no hover either. `hovers` is what
    hovering a cell says, `texts` what stands in it. The strongest colour is that of `highest` (else of the largest
    value) and of all above it. `marks` are the cells (row, column) that get a `mark`; `title` names the columns' axis;
    at most `ticks` columns are named. `is_dark`: the page's theme, for what is written in the cells."""
    top = highest if highest is not None else max((one for row in values for one in row if one is not None), default=0)
    height = height_px or _AXIS_PX + _ROW_PX * max(len(rows), 1)
    # In one go: each update of a figure looks through all that it has.
    figure = go.Figure(layout={**_layout(rows, columns, title, ticks), "height": height})
    figure.add_heatmap(
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        z=[list(row) for row in values],
        customdata=[list(row) for row in hovers],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=[[0, _shade(_FAINTEST_ON_DARK if is_dark else _FAINTEST)], [1, _shade(1)]],
        zmin=0,
        zmax=top or 1,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    if texts is not None:
        _write(figure, values, texts, top or 1, INK[is_dark])
    if marks:
        _write(figure, values, _marked(rows, columns, marks, mark), top or 1, INK[is_dark])
    return figure


def _shade(strength: float) -> str:
    return f"rgba({_HUE[0]}, {_HUE[1]}, {_HUE[2]}, {strength:g})"


def _write(
    figure: go.Figure, values: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]], top: float, ink: str
) -> None:
    cells = [(row, column) for row, line in enumerate(texts) for column, text in enumerate(line) if text]
    strong = {(row, column) for row, column in cells if (values[row][column] or 0) >= _STRONG * top}
    for colour, chosen in (("#FFFFFF", strong), (ink, set(cells) - strong)):
        places = sorted(chosen)
        _place(figure, [label(texts[row][column]) for row, column in places], places, colour)


def _marked(rows: Sequence[str], columns: Sequence[str], marks: Collection[Cell], mark: str) -> list[list[str]]:
    places = set(marks)
    return [[mark if (row, column) in places else "" for column in range(len(columns))] for row in range(len(rows))]


def _place(figure: go.Figure, texts: Sequence[str], cells: Sequence[Cell], colour: str) -> None:
    if not cells:
        return
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        text=list(texts),
        mode="text",
        textfont={"size": 11, "color": colour},
        hoverinfo="skip",
        showlegend=False,
    )


def _layout(rows: Sequence[str], columns: Sequence[str], title: str, ticks: int) -> dict[str, Any]:
    named = list(range(0, len(columns), max(1, ceil(len(columns) / max(ticks, 1)))))
    plain = {"ticks": "", "showgrid": False, "zeroline": False, "fixedrange": True}
    return {
        "template": "none",
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": False,
        "margin": {"l": 8, "r": 8, "t": 6, "b": 46 if title else 26},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {
            **plain,
            "range": [-0.5, max(len(columns), 1) - 0.5],
            "tickvals": named,
            "ticktext": [label(columns[one]) for one in named],
            "title": {"text": title, "font": {"size": 11}, "standoff": 6},
            "tickangle": 0,
        },
        "yaxis": {
            **plain,
            "range": [max(len(rows), 1) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [label(one) for one in rows],
            "automargin": True,
        },
    }
