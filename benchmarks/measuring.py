"""Taking times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds that the same thing took, again and again."""

    samples_ms: Sequence[float]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.samples_ms)

    @property
    def p95_ms(self) -> float:
        ordered = sorted(self.samples_ms)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]


def timed_ms(action: Callable[[], object]) -> float:
    started_ns = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - started_ns) / 1e6


def measured(action: Callable[[], object], *, within_s: float, most: int, least: int = 3) -> Times:
    """Times of `action`, after one call that does not count: `most` of them, or as many as fit the time."""
    action()
    samples_ms: list[float] = []
    deadline_s = time.monotonic() + within_s
    while len(samples_ms) < most and (len(samples_ms) < least or time.monotonic() < deadline_s):
        samples_ms.append(timed_ms(action))
    return Times(samples_ms)
