"""Who stays, by the week in which they began."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboard import words
from dashboard.figures.heatmaps import heatmap
from dashboard.insights.retention import WEEK, Cell, Cohorts, labels

SO_FAR = "…"


def cohort_cells(cohorts: Cohorts, *, is_dark: bool = False) -> go.Figure:
    """A row per cohort, a column per week since; the week in progress is marked, and weeks ahead are blank."""
    columns = max((len(row) for row in cohorts.cells), default=0)
    rows = [
        f"{words.day(week)} ({words.counted(size, 'tenant')})"
        for week, size in zip(cohorts.weeks, cohorts.sizes, strict=True)
    ]
    return heatmap(
        rows,
        list(labels(columns)),
        cohorts.shares(),
        [[_hover(cohorts, row, column) for column in range(columns)] for row in range(len(rows))],
        texts=[[_text(cell) for cell in row] for row in cohorts.cells],
        highest=1,
        title="Weeks since the one of the first generation",
        ticks=columns,
        is_dark=is_dark,
    )


def _text(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.share * 100:.0f}{SO_FAR if cell.in_progress else ''}"


def _hover(cohorts: Cohorts, row: int, column: int) -> str:
    cell = cohorts.cells[row][column]
    if cell is None:
        return ""
    week = cohorts.weeks[row] + column * WEEK
    so_far = ", so far" if cell.in_progress else ""
    return (
        f"Week from {words.day(week)}{so_far}: {cell.active:,} of {cohorts.sizes[row]:,} active"
        f" ({words.percent(cell.share)})"
    )
