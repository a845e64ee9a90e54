"""What the panels of the page share: the counts of each bucket, those beside them, and what stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from dashboard import words
from dashboard.insights import before
from dashboard.insights.unusual import GRAINS, Unusual, unusual
from queries.period import Period
from queries.query import Result

COUNTS = ("generations", "succeeded", "failed", "cancelled", "unfinished", "burned_credits")
FAILURES = "Failures"
_NOUNS = {"generations": "Generations", "burned_credits": "Credits", "failed": FAILURES}


@dataclass
class Counts:
    """The sums over all series by bucket, and the rows of the time before."""

    period: Period
    series: Result
    usual: Result

    @cached_property
    def now(self) -> list[dict[str, Any]]:
        """The counts of each bucket, in order; summed as they are, so that NUMERIC credits stay exact."""
        frame = self.series.frame
        places = {start: place for place, start in enumerate(dict.fromkeys(frame["bucket_start"]))}
        rows = [dict.fromkeys(COUNTS, 0) for _ in self.period.buckets()]
        for name in COUNTS:
            for start, value in zip(frame["bucket_start"], frame[name].tolist(), strict=True):
                rows[places[start]][name] += value
        return rows

    @property
    def frame(self) -> pd.DataFrame:
        """The same as a frame, of the buckets that are over."""
        over = [row for row, one in zip(self.now, self.period.buckets(), strict=True) if not one.in_progress]
        return pd.DataFrame(over, columns=list(COUNTS))

    @cached_property
    def beside(self) -> list[Mapping[str, Any] | None]:
        """For each bucket the counts of the one that it is compared with."""
        rows = self.usual.frame.to_dict("records")
        starts = [words.utc(one["bucket_start"]) for one in rows]
        return before.beside(self.period, [one for one in starts if one is not None], rows)

    @cached_property
    def compared(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The sums of the buckets that have one beside them, and the sums of those."""
        pairs = [(own, other) for own, other in zip(self.now, self.beside, strict=True) if other is not None]
        return _summed([own for own, _ in pairs]), _summed([other for _, other in pairs])

    @cached_property
    def totals(self) -> dict[str, Any]:
        return _summed(self.now)

    def unusual(self, measure: str) -> list[Unusual]:
        """What stands out in the measure, and in the failures; by hour, day and week."""
        if self.period.grain not in GRAINS:
            return []
        history = before.usual(self.period)
        starts = [words.utc(one) for one in self.usual.frame["bucket_start"]]
        found = []
        for name in ("burned_credits" if measure == "credits" else "generations", "failed"):
            by_start = {
                start: words.known(value)
                for start, value in zip(starts, self.usual.frame[name], strict=True)
                if start is not None
            }
            found += unusual(self.period, [one[name] for one in self.now], history, by_start, noun=_NOUNS[name])
        return sorted(found, key=lambda one: one.start, reverse=True)

    @property
    def against(self) -> str:
        """What is compared with, where there is little room."""
        shift, compared = before.shift_of(self.period), before.before(self.period)
        if shift.months:
            return words.counted(shift.months, "month") + " earlier"
        is_right_before = compared.end == self.period.start and compared.grain == "day"
        return f"{shift.days} d {'before' if is_right_before else 'earlier'}"


def _summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum(one[name] for one in rows) for name in COUNTS}
