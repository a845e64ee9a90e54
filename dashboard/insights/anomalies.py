"""Buckets that stand out against the same hour and weekday of the weeks before."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from statistics import median

from dashboard import words
from queries.period import Grain

LEAST_COMPARABLE = 4
MOST_COMPARABLE = 8
Z_LEAST = 3.5
LEAST_DIFFERENCE = 20.0
LEAST_SHARE = 0.25
# The median absolute deviation of normal noise times this is its standard deviation.
_MAD_TO_SD = 1.4826
_LEAST_SPREAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The bucket at `index`: its value, what was expected, the range that would not have been marked, and why it is."""

    index: int
    start: datetime
    value: float
    expected: float
    low: float
    high: float
    z: float
    why: str


def anomalies(values: Sequence[float], starts: Sequence[datetime], grain: Grain) -> list[Anomaly]:
    """The buckets that stand out, oldest first; `starts` are local, and the caller leaves out the bucket in progress.

    A day is compared with the same weekday, an hour with the same hour of the same weekday, a week with weeks, each
    with the 4 to 8 before it; minutes and months have too little to compare with and are never marked. Marked is
    what lies 3.5 robust standard deviations from the median, and at least 20 and a quarter of the median away. The
    deviation is that of the median absolute deviation, but at least a tenth of the median and its square root: counts
    scatter by that much even where the weeks before happened to be alike.
    """
    seen: defaultdict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=MOST_COMPARABLE))
    never_negative = all(value >= 0 for value in values)
    found: list[Anomaly] = []
    for index, (value, start) in enumerate(zip(values, starts, strict=True)):
        key = _alike(start, grain)
        if key is None:
            continue
        before = seen[key]
        if len(before) >= LEAST_COMPARABLE:
            expected, spread = _usual(before)
            most = max(Z_LEAST * spread, LEAST_DIFFERENCE, LEAST_SHARE * abs(expected))
            if abs(value - expected) >= most:
                low = expected - most
                low = max(0.0, low) if never_negative else low
                z = (value - expected) / spread
                why = _why(value, start, grain, expected, low, expected + most, len(before))
                found.append(Anomaly(index, start, value, expected, low, expected + most, z, why))
        before.append(value)
    return found


def _alike(start: datetime, grain: Grain) -> Hashable | None:
    """What two buckets share that may be compared."""
    match grain:
        case "hour":
            return start.weekday(), start.hour
        case "day":
            return start.weekday()
        case "week":
            return "week"
        case "minute" | "month":
            return None


def _usual(before: Sequence[float]) -> tuple[float, float]:
    """Median, and the standard deviation to measure by."""
    middle = median(before)
    mad = median(abs(value - middle) for value in before)
    return middle, max(_MAD_TO_SD * mad, _LEAST_SPREAD_SHARE * abs(middle), sqrt(max(1.0, abs(middle))))


def _why(value: float, start: datetime, grain: Grain, expected: float, low: float, high: float, compared: int) -> str:
    when = {
        "hour": f"{start:%a} {words.day(start.date())}, {start:%H:%M}",
        "day": f"{start:%a} {words.day(start.date())}",
        "week": f"the week of {words.day(start.date())}",
    }[grain]
    like = {"hour": f"a {start:%A} at {start:%H:%M}", "day": f"a {start:%A}", "week": "a week"}[grain]
    usual, least, most = (words.amount(round(one)) for one in (expected, low, high))
    said = words.amount(round(value) if float(value).is_integer() else round(value, 2))
    return f"{said} on {when}: {like} usually has {usual} ({least} to {most}, from the {compared} before)."
