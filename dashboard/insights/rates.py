"""Rates, with what is known about their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

# Under this many terminal generations a success rate is shown with its interval.
CERTAIN_FROM_ROWS = 200
_Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share between 0 and 1 of `total` cases with its Wilson 95 % interval."""

    value: float
    low: float
    high: float
    total: int

    @property
    def is_certain(self) -> bool:
        return self.total >= CERTAIN_FROM_ROWS


def success_rate(succeeded: int, failed: int) -> Rate | None:
    """succeeded / (succeeded + failed); None when nothing has ended yet."""
    total = succeeded + failed
    if total == 0:
        return None
    low, high = wilson_interval(succeeded, total)
    return Rate(succeeded / total, low, high, total)


def wilson_interval(successes: float, total: float) -> tuple[float, float]:
    """The Wilson 95 % score interval of a proportion; ValueError unless 0 <= successes <= total and total > 0.

    Counts need not be whole: cases that depend on each other count as fewer.
    """
    if not 0 <= successes <= total or total == 0:
        raise ValueError("successes lie between 0 and a positive total")
    share, z2 = successes / total, _Z_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z_95 / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    # At 0 and 1 the bound is exact; floating point may miss it by a hair.
    low = 0.0 if successes == 0 else max(0.0, min(share, centre - half))
    high = 1.0 if successes == total else min(1.0, max(share, centre + half))
    return low, high
