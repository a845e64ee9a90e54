"""How much happens in an hour of the day on a weekday: per hour that there was, since a period rarely has as many
Mondays as Sundays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

import pandas as pd

from queries.period import Period, bucket_start

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS = 24
# No clock changes and no local hour begins between two quarters of an hour, in any zone since 2000.
_STEP = "15min"
Cell = tuple[int, int]


def complete_hours(period: Period) -> Period:
    """The period without the hour in progress."""
    end = max(period.start, min(period.end, bucket_start(period.now, "hour", period.zone)))
    return replace(period, end=end, now=max(end, min(period.now, end))) if end < period.end else period


@lru_cache(maxsize=64)
def hours_there_were(period: Period) -> Mapping[Cell, float]:
    """How many hours of each (weekday from 1, hour) the period holds: none for an hour that the clocks skipped, two for
    one that happened twice on the only such day."""
    return _lengths(period.start, period.until, period.zone)


def _lengths(start: datetime, end: datetime, zone: str) -> Mapping[Cell, float]:
    if end <= start:
        return {}
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    grid = pd.date_range(first.floor(_STEP), last, freq=_STEP, tz="UTC")
    edges = pd.DatetimeIndex([first, *grid[(grid > first) & (grid < last)], last])
    local = edges[:-1].tz_convert(zone)
    lengths = pd.Series((edges[1:] - edges[:-1]).total_seconds() / 3600)
    sums: dict[Cell, float] = {}
    by_cell = lengths.groupby([local.day_of_week.to_numpy() + 1, local.hour.to_numpy()]).sum()
    for cell, length in zip(by_cell.index.to_list(), by_cell.to_list(), strict=True):
        sums[int(cell[0]), int(cell[1])] = float(length)
    return sums


def mean_per_hour(counts: Mapping[Cell, int], there_were: Mapping[Cell, float]) -> list[list[float | None]]:
    """Rows of weekdays by columns of hours: counts per hour; None where the period had no such hour."""
    return [
        [
            counts.get((weekday, hour), 0) / there_were[weekday, hour] if there_were.get((weekday, hour)) else None
            for hour in range(HOURS)
        ]
        for weekday in range(1, len(WEEKDAYS) + 1)
    ]
