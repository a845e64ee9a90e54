"""One page run: a bar per question from when it began to when it was answered, and what it spent its time on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.axes import GRID, label
from dashboard.figures.colours import GREY, HUES

# In the order in which a question passes them.
PARTS = ("waiting", "database", "fetch", "frame", "cache")
_COLOURS = {"waiting": GREY, "database": HUES[0], "fetch": HUES[4], "frame": HUES[1], "cache": HUES[2]}
_ROW_PX, _AROUND_PX, _LEAST_ROWS = 24, 78, 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One question: its name, ms from the run's start, ms by part, and what hovering says. `note` stands behind its
    name: how it was answered, or that it repeats."""

    name: str
    start_ms: float
    parts_ms: dict[str, float] = field(default_factory=dict)
    note: str = ""
    hover: str = ""

    @property
    def spent_ms(self) -> float:
        return sum(self.parts_ms.values())


def waterfall(bars: Sequence[Bar]) -> go.Figure:
    """The first that began on top."""
    figure = go.Figure()
    rows = list(range(len(bars)))
    starts = [one.start_ms for one in bars]
    for part in PARTS:
        widths = [one.parts_ms.get(part, 0.0) for one in bars]
        if any(widths):
            figure.add_bar(
                name=part,
                x=widths,
                y=rows,
                base=starts,
                orientation="h",
                marker={"color": _COLOURS[part], "line": {"width": 0}},
                customdata=[label_free(one.hover) for one in bars],
                hovertemplate="%{customdata}<extra></extra>",
            )
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    # An answer of the cache takes too little to be seen as a bar.
    figure.add_scatter(
        x=[one.start_ms for one in bars],
        y=rows,
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 11, "color": GREY, "line": {"width": 1.5}},
        customdata=[label_free(one.hover) for one in bars],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    _lay_out(figure, bars)
    return figure


def label_free(hover: str) -> str:
    """What hovering says, line by line; nothing in it is markup."""
    return "<br>".join(label_line(one) for one in hover.split("\n"))


def label_line(line: str) -> str:
    return words.one_line(line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _lay_out(figure: go.Figure, bars: Sequence[Bar]) -> None:
    end = max((one.start_ms + one.spent_ms for one in bars), default=0.0)
    figure.update_layout(
        template="none",
        barmode="overlay",
        bargap=0.3,
        hovermode="closest",
        dragmode=False,
        height=_AROUND_PX + _ROW_PX * max(len(bars), _LEAST_ROWS),
        margin={"l": 8, "r": 12, "t": 28, "b": 42},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "title": "", "traceorder": "normal"},
    )
    figure.update_xaxes(
        range=[-0.01 * end, max(end * 1.02, 1)],
        title={"text": "Milliseconds since the run began", "font": {"size": 11}, "standoff": 6},
        gridcolor=GRID,
        zeroline=False,
        nticks=6,
        fixedrange=True,
    )
    figure.update_yaxes(
        range=[max(len(bars), 1) - 0.5, -0.5],
        tickvals=list(range(len(bars))),
        ticktext=[f"{label(one.name)} {label_line(one.note)}" if one.note else label(one.name) for one in bars],
        automargin=True,
        ticks="",
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )
