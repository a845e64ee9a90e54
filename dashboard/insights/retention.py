"""Who stays: net usage retention, and weekly cohorts by first generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard import words

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Retention:
    """A share of what was burned, or None with the reason."""

    value: float | None
    reason: str


def net_usage_retention(now_credits: int | Decimal | None, base_credits: int | Decimal | None) -> Retention:
    """Credits burned now by the tenants that were active in the base window, over what those tenants burned then."""
    if not base_credits or base_credits < 0:
        return Retention(None, f"{words.NOT_ENOUGH}: the tenants active in the base window burned no credits then")
    now_credits = now_credits or 0
    burned, base = words.amount(now_credits), words.amount(base_credits)
    said = f"{burned} credits burned by the tenants that burned {base} in the base window"
    return Retention(float(Decimal(now_credits) / Decimal(base_credits)), said)


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of a cohort were active in one of its weeks; `in_progress` while that week runs."""

    active: int
    share: float
    in_progress: bool


@dataclass(frozen=True, slots=True)
class Cohorts:
    """`cells[i][k]`: the cohort of `weeks[i]` in the k-th week after its first (0); None where that week lies ahead."""

    weeks: tuple[date, ...]
    sizes: tuple[int, ...]
    cells: tuple[tuple[Cell | None, ...], ...]

    def shares(self) -> list[list[float | None]]:
        """The matrix to draw: a row per cohort, a column per week since its first."""
        return [[None if cell is None else cell.share for cell in row] for row in self.cells]


def cohorts(frame: pd.DataFrame, *, this_week: date) -> Cohorts:
    """Cohorts, oldest first, from rows of cohort_week, week, active_tenants, cohort_size (weeks by their Monday).

    A week that has been, but has no row, had nobody active: 0. `this_week` is the Monday of the week in progress; its
    cells are marked, and later ones are None, also where a row with a time in the future claims otherwise.
    """
    four = (frame[name] for name in ("cohort_week", "week", "active_tenants", "cohort_size"))
    rows = [(_day(first), _day(week), int(count), int(size)) for first, week, count, size in zip(*four, strict=True)]
    sizes = {first: size for first, _, _, size in rows if size > 0 and first <= this_week}
    active = {(first, week): count for first, week, count, _ in rows}
    weeks = tuple(sorted(sizes))
    columns = (this_week - weeks[0]).days // 7 + 1 if weeks else 0
    cells = tuple(_cells(first, sizes[first], active, this_week, columns) for first in weeks)
    return Cohorts(weeks, tuple(sizes[first] for first in weeks), cells)


def labels(columns: int) -> Sequence[str]:
    """Headings of the weeks since the first."""
    return ["first week", *(f"+{number}" for number in range(1, columns))][:columns]


def _cells(
    first: date, size: int, active: dict[tuple[date, date], int], this_week: date, columns: int
) -> tuple[Cell | None, ...]:
    def cell(number: int) -> Cell | None:
        week = first + number * WEEK
        count = active.get((first, week), 0)
        return Cell(count, count / size, week == this_week) if week <= this_week else None

    return tuple(cell(number) for number in range(columns))


def _day(value: Any) -> date:
    return pd.Timestamp(value).date()
