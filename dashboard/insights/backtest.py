"""How good the runway's forecast was, told from a series' own past.

At many past moments the balance is set to what the next h days really burned, so that the day it ran out is known; the
forecast made from what was known then is compared with it. Horizons of one moment, and moments close together, share
days, so cases are not independent: the interval of the coverage counts stretches of time instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard import words
from dashboard.insights.rates import wilson_interval
from dashboard.insights.runway import (
    HISTORY_ROWS,
    HORIZON_DAYS,
    LEAST_DAYS,
    QUANTILES,
    SEASON_DAYS,
    FloatArray,
    IntArray,
    Runway,
    runways,
)

HORIZON_SEASONS = (1.0, 2.0, 3.0, 4.0, 6.0)
# Moments are so many days apart: no divisor of a week or of a day's hours, so that every weekday and hour has its turn.
EVERY = 5
# From so many independent stretches on, their scatter tells how much cases depend on each other.
_LEAST_BLOCKS = 10


@dataclass(frozen=True, slots=True)
class Backtest:
    """`coverage` is the share of cases whose true day lay within P10 to P90, `low` to `high` its 95 % interval; None
    without cases. `early_misses` ran out before P10, `late_misses` after P90.

    Pinball losses are in days (in the series' steps), the mean over the three quantiles: ours, and that of the flat
    mean of the last season as one point. A quantile beyond the horizon counts as the horizon. `unanswered` moments,
    such as after weeks without burn, had no forecast and are no cases. `blocks`: cases and covered ones by stretch of
    time as long as the longest look ahead.
    """

    cases: int
    covered: int
    coverage: float | None
    low: float | None
    high: float | None
    early_misses: int
    late_misses: int
    pinball_days: float | None
    flat_pinball_days: float | None
    unanswered: int
    blocks: tuple[tuple[int, int], ...]


def backtest(
    series: ArrayLike,
    *,
    season: int = SEASON_DAYS,
    horizon: int = HORIZON_DAYS,
    horizon_seasons: Sequence[float] = HORIZON_SEASONS,
    every: int = EVERY,
) -> Backtest:
    """The forecast at moments `every` days apart, each with `horizon_seasons` looks ahead as far as the series goes.

    `series`: net burn by complete day, oldest first, from the tenant's first day on.
    """
    days = np.asarray(series, np.float64)
    ahead = [max(1, round(one * season)) for one in horizon_seasons if round(one * season) <= horizon]
    least = max(LEAST_DAYS, 2 * season)
    origins = [(at, length) for at in range(len(days) - min(ahead), least - 1, -every) for length in ahead]
    known = [(at, length) for at, length in origins if at + length <= len(days) and days[at : at + length].sum() > 0]
    if not known:
        return _measured([], [], [], [], 0, max(ahead))
    answers = _forecasts(days, known, season, horizon)
    kept = [position for position, one in enumerate(answers) if one.state in ("runs_out", "beyond")]
    return _measured(
        [known[position][0] for position in kept],
        [_first_empty(days[at : at + length]) for at, length in (known[position] for position in kept)],
        [answers[position] for position in kept],
        [_flat(days, *known[position], season, horizon) for position in kept],
        len(known) - len(kept),
        max(ahead),
    )


def pooled(found: Sequence[Backtest]) -> Backtest:
    """All cases of several series together. Each series' stretches stay their own: what moves all tenants at once, such
    as a holiday, makes the interval a little too narrow."""
    cases = sum(one.cases for one in found)

    def mean(values: Sequence[float | None]) -> float | None:
        weighed = [value * one.cases for value, one in zip(values, found, strict=True) if value is not None]
        return sum(weighed) / cases if cases else None

    return _summed(
        blocks=tuple(block for one in found for block in one.blocks),
        early_misses=sum(one.early_misses for one in found),
        late_misses=sum(one.late_misses for one in found),
        pinball_days=mean([one.pinball_days for one in found]),
        flat_pinball_days=mean([one.flat_pinball_days for one in found]),
        unanswered=sum(one.unanswered for one in found),
    )


def sentence(found: Backtest) -> str:
    """How far the forecast may be trusted, in words."""
    if found.coverage is None or found.low is None or found.high is None:
        return "Not enough history to compare the forecast with what happened: it takes three weeks with burn or more."
    said = (
        f"In {words.percent(found.coverage)} of {words.counted(found.cases, 'past case')} the credits ran out within "
        f"P10 to P90, which aims at 80 % ({words.percent(found.low)} to {words.percent(found.high)} with 95 % "
        f"confidence); {found.early_misses:,} ran out earlier, {found.late_misses:,} later."
    )
    if found.pinball_days is None or found.flat_pinball_days is None:
        return said
    better = "less" if found.pinball_days < found.flat_pinball_days else "not less"
    return (
        f"{said} It missed by {found.pinball_days:.1f} days (pinball loss), {better} than the flat 7-day mean with "
        f"{found.flat_pinball_days:.1f}."
    )


def pinball(quantile: float, forecast: float, truth: float) -> float:
    """What a forecast of this quantile costs: the miss, weighed by how unlikely its side was."""
    miss = truth - forecast
    return max(quantile * miss, (quantile - 1) * miss)


def _forecasts(days: FloatArray, known: Sequence[tuple[int, int]], season: int, horizon: int) -> list[Runway]:
    """The runway at each moment with what was known then, its balance what the days ahead burned."""
    length = season * HISTORY_ROWS
    padded = np.concatenate([np.zeros(length), days])
    burn = np.stack([padded[at : at + length] for at, _ in known])
    balances = [days[at : at + ahead].sum() for at, ahead in known]
    return runways(burn, [min(at, length) for at, _ in known], balances, horizon=horizon, season=season)


def _first_empty(ahead: FloatArray) -> int:
    """The first day by which their sum is burned; earlier than the last one where that one burned nothing."""
    burned = np.cumsum(ahead)
    return int((burned >= burned[-1] * (1 - 1e-9)).argmax())


def _flat(days: FloatArray, at: int, ahead: int, season: int, horizon: int) -> int:
    """The day the balance ends at the mean burn of the last season."""
    rate, balance = days[at - season : at].mean(), days[at : at + ahead].sum()
    # A hair less, so that ten days' worth is used up on the tenth.
    return horizon if rate <= 0 else min(horizon, max(0, ceil(balance / rate * (1 - 1e-9)) - 1))


def _measured(
    moments: Sequence[int],
    truths: Sequence[int],
    answers: Sequence[Runway],
    flat_days: Sequence[int],
    unanswered: int,
    block_days: int,
) -> Backtest:
    """The figures of one series from its cases."""
    bounds = [_days(one) for one in answers]
    early = np.array([truth < low for truth, (low, _, _) in zip(truths, bounds, strict=True)], np.bool_)
    late = np.array([truth > high for truth, (_, _, high) in zip(truths, bounds, strict=True)], np.bool_)
    ours = [_mean_pinball(one, truth) for one, truth in zip(bounds, truths, strict=True)]
    flat = [_mean_pinball((one, one, one), truth) for one, truth in zip(flat_days, truths, strict=True)]
    return _summed(
        blocks=_blocks(np.asarray(moments, np.int64), ~(early | late), block_days),
        early_misses=int(early.sum()),
        late_misses=int(late.sum()),
        pinball_days=float(np.mean(ours)) if ours else None,
        flat_pinball_days=float(np.mean(flat)) if flat else None,
        unanswered=unanswered,
    )


def _days(one: Runway) -> tuple[int, int, int]:
    beyond = one.horizon_days
    low, middle, high = (beyond if days is None else days for days in (one.p10_days, one.p50_days, one.p90_days))
    return low, middle, high


def _mean_pinball(bounds: tuple[int, int, int], truth: int) -> float:
    losses = [pinball(quantile, days, truth) for quantile, days in zip(QUANTILES, bounds, strict=True)]
    return sum(losses) / len(losses)


def _blocks(moments: IntArray, covered: NDArray[np.bool_], block_days: int) -> tuple[tuple[int, int], ...]:
    """Cases and covered ones by the stretch of time their moment lies in."""
    stretches = moments // block_days
    return tuple(
        (int((stretches == one).sum()), int(covered[stretches == one].sum())) for one in np.unique(stretches).tolist()
    )


def _summed(
    *,
    blocks: tuple[tuple[int, int], ...],
    early_misses: int,
    late_misses: int,
    pinball_days: float | None,
    flat_pinball_days: float | None,
    unanswered: int,
) -> Backtest:
    cases, covered = sum(one for one, _ in blocks), sum(one for _, one in blocks)
    coverage = covered / cases if cases else None
    low, high = (None, None) if coverage is None else wilson_interval(*_effective(blocks, coverage))
    return Backtest(
        cases,
        covered,
        coverage,
        low,
        high,
        early_misses,
        late_misses,
        pinball_days,
        flat_pinball_days,
        unanswered,
        blocks,
    )


def _effective(blocks: tuple[tuple[int, int], ...], coverage: float) -> tuple[float, float]:
    """Covered cases and cases, as if independent. Few stretches count as one case each, the least they can tell; of
    many, the scatter between them says how many cases theirs are worth."""
    cases = sum(one for one, _ in blocks)
    # A stretch with few cases weighs little (Kish).
    least = cases**2 / sum(one**2 for one, _ in blocks)
    if len(blocks) < _LEAST_BLOCKS or coverage in (0, 1):
        return coverage * least, least
    scatter = sum((covered - coverage * one) ** 2 for one, covered in blocks) * len(blocks) / (len(blocks) - 1)
    worth = coverage * (1 - coverage) * cases**2 / scatter if scatter else cases
    count = max(least, min(cases, worth))
    return coverage * count, count
