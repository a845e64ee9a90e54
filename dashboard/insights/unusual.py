"""Which buckets of a period stand out against the weeks before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.insights.anomalies import anomalies
from queries.period import Bucket, Period, next_start

GRAINS = ("hour", "day", "week")


@dataclass(frozen=True, slots=True)
class Unusual:
    """A bucket of the period by its place, and why it stands out, with its numbers."""

    place: int
    start: datetime
    noun: str
    sentence: str


def unusual(
    period: Period,
    values: Sequence[Any],
    history: Period,
    by_start: Mapping[datetime, Any],
    *,
    noun: str,
) -> list[Unusual]:
    """Oldest first. `values` are the period's by bucket, `by_start` the history's by the instant its buckets start.
    Neither the bucket in progress nor one that the period cuts is compared."""
    before = [
        (one.local_start, by_start.get(one.start))
        for one in history.buckets()
        if is_whole(one, history) and one.start < period.start
    ]
    within = [
        (place, one.local_start, value)
        for place, (one, value) in enumerate(zip(period.buckets(), values, strict=True))
        if is_whole(one, period)
    ]
    known = [(start, float(value)) for start, value in before if value is not None]
    found = anomalies(
        [*(value for _, value in known), *(float(value or 0) for _, _, value in within)],
        [*(start for start, _ in known), *(start for _, start, _ in within)],
        period.grain,
    )
    return [
        Unusual(within[one.index - len(known)][0], one.start, noun, f"{noun}: {one.why}")
        for one in found
        if one.index >= len(known)
    ]


def is_whole(one: Bucket, period: Period) -> bool:
    """Whether the bucket is over, and the period holds all of it."""
    return (
        not one.in_progress
        and one.end <= period.until
        and one.start.timestamp() == one.local_start.timestamp()
        and one.end == next_start(one.start, period.grain, period.zone)
    )
