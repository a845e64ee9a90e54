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


def measured_in_turn(actions: Sequence[Callable[[], object]], *, turns: int, each: int) -> list[Times]:
    """Times of several actions, `each` calls of one after the other and that `turns` times over, so that what else the
    machine does falls on all of them alike. The first turn does not count."""
    samples_ms: list[list[float]] = [[] for _ in actions]
    for turn in range(turns + 1):
        for action, taken in zip(actions, samples_ms, strict=True):
            turn_ms = [timed_ms(action) for _ in range(each)]
            taken.extend(turn_ms if turn else [])
    return [Times(taken) for taken in samples_ms]
