"""When credits run out: simulated from a tenant's own last weeks, for all tenants in one call.

The last 8 weeks are rows of 7 days. A row's *level* is its mean, its *shape* is the row divided by its level. A path
starts at the log of (last level + mean of the last two) / 2, takes one of the seen steps between logs of levels, or its
opposite, for each week to come, and gives each week one of the seen shapes. Known grants come on their days; the runway
is the first day on which the path empties the balance. Whole weeks are drawn because single days or weekdays forget
that a busy week stays busy, and are far too sure of themselves. `dashboard/insights/backtest.py` measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import ceil
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from dashboard import words

SEASON_DAYS = 7
HISTORY_ROWS = 8
HISTORY_DAYS = SEASON_DAYS * HISTORY_ROWS
LEAST_DAYS = 14
HORIZON_DAYS = 90
PATHS = 200
QUANTILES = (0.1, 0.5, 0.9)
# A week's level is at least this share of what the tenant's weeks move on average. Logs need some floor: a week without
# burn, or one with more refunds than charges, has none. Backtested on demo and real trace; see docs/benchmarks.md.
FLOOR_SHARE = 0.05
STEPS_AT_A_TIME = 2
# Sums of floats may miss the balance by a hair.
_TOLERANCE = 1e-9
_SEED = 20_261_123
_CHUNK_CELLS = 100_000

State = Literal["runs_out", "empty", "no_burn", "beyond", "short_history", "no_balance"]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Runway:
    """Days from today (0 = today) till the first day on which the path empties the balance, by quantile over paths;
    None is beyond the horizon. P10 is the early bound, and may be known where the state is "beyond"."""

    state: State
    p10_days: int | None
    p50_days: int | None
    p90_days: int | None
    history_days: int = HISTORY_DAYS
    horizon_days: int = HORIZON_DAYS


@dataclass(frozen=True, slots=True)
class Fan:
    """One tenant's balance to come. Offset 0 is now, offset k the end of day k - 1, with the grants of that day.

    P10 is the pessimistic band. Burning stops at zero, as the application does, until a grant comes; a balance that is
    negative now stays so until then. The bands are empty where there is no forecast.
    """

    days: IntArray
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    runway: Runway


def runways(
    burn: ArrayLike,
    history_days: ArrayLike,
    balances: ArrayLike,
    grants: ArrayLike | None = None,
    *,
    horizon: int = HORIZON_DAYS,
    season: int = SEASON_DAYS,
    extra_credits: float = 0.0,
    burn_factor: float = 1.0,
) -> list[Runway]:
    """The runway of each tenant.

    `burn`: tenants by 8 * season, net burn per complete day, oldest first; the day in progress is left out. Today
    counts as a whole day, so an answer errs early by less than a day. `history_days`: complete days of history; days
    before them are not read, and only whole weeks are. `balances`: NaN where none is known. `grants`: tenants by
    horizon, credits added at the start of day k, 0 being today. What if: `extra_credits` are added to each balance,
    `burn_factor` multiplies the burn (1.2 is 20 % more). The same figures give the same answer.
    """
    series = np.atleast_2d(np.asarray(burn, np.float64)) * burn_factor
    tenants = len(series)
    credits = np.broadcast_to(np.asarray(balances, np.float64), (tenants,)) + extra_credits
    lived = np.minimum(np.broadcast_to(np.asarray(history_days, np.int64), (tenants,)), season * HISTORY_ROWS)
    added = np.zeros((tenants, horizon)) if grants is None else np.asarray(grants, np.float64).reshape(tenants, horizon)
    if series.shape[1] != season * HISTORY_ROWS:
        raise ValueError(f"burn has {series.shape[1]} days for each tenant; {season * HISTORY_ROWS} are needed")
    found = [
        _answered(one, days, credit, horizon, season) for one, days, credit in zip(series, lived, credits, strict=True)
    ]
    open_cases = np.array([position for position, one in enumerate(found) if one is None], np.int64)
    for chosen, rows in _chunks(open_cases, lived // season, horizon):
        first = _first_empty(_recent(series[chosen], rows, season), credits[chosen], added[chosen], horizon)
        for position, days in zip(chosen, _quantiles(first), strict=True):
            found[position] = _simulated(days, int(lived[position]), horizon)
    return [one for one in found if one is not None]


def fan(
    burn: ArrayLike,
    history_days: int,
    balance: float,
    grants: ArrayLike | None = None,
    *,
    horizon: int = HORIZON_DAYS,
    season: int = SEASON_DAYS,
    extra_credits: float = 0.0,
    burn_factor: float = 1.0,
) -> Fan:
    """One tenant's balance by day with its runway, for the burn-down chart. Arguments as in `runways`."""
    series = np.asarray(burn, np.float64).reshape(1, -1)
    added = np.zeros(horizon) if grants is None else np.asarray(grants, np.float64).reshape(horizon)
    runway = runways(
        series,
        [history_days],
        [balance],
        added,
        horizon=horizon,
        season=season,
        extra_credits=extra_credits,
        burn_factor=burn_factor,
    )[0]
    rows = min(history_days, season * HISTORY_ROWS) // season
    scaled = series * burn_factor
    if runway.state in ("no_balance", "short_history") or not _burned(scaled[0], rows * season):
        nothing = np.empty(0)
        return Fan(np.empty(0, np.int64), nothing, nothing, nothing, runway)
    daily = np.diff(_burned_by_day(_recent(scaled, rows, season), horizon)[0], axis=1, prepend=0.0)
    credits = _walked(daily, balance + extra_credits, added)
    ranks = np.sort(credits, axis=0)[_ranks(len(credits))]
    return Fan(np.arange(horizon + 1), ranks[0], ranks[1], ranks[2], runway)


def known_grants(renews_in_days: int | None, every_days: int | None, credits: float | None, horizon: int) -> FloatArray:
    """Credits added at the start of each day to come: those of the renewal and, every so many days, of the next ones.

    A renewal that is overdue adds nothing, since nobody knows when it comes; neither does one without credits.
    """
    added = np.zeros(horizon)
    if renews_in_days is None or renews_in_days < 0 or not credits:
        return added
    added[renews_in_days :: every_days if every_days and every_days > 0 else horizon] = float(credits)
    return added


def sentence(runway: Runway, today: date) -> str:
    """When the credits run out, in words; `today` is the local day."""
    weeks = max(1, runway.history_days // SEASON_DAYS)
    pattern = f"the pattern of the last {words.counted(weeks, 'week')}"
    match runway.state:
        case "runs_out":
            late = _date(runway.p90_days, today) or f"after {words.counted(runway.horizon_days, 'day')}"
            around, early = _date(runway.p50_days, today), _date(runway.p10_days, today)
            if runway.p90_days == 0:
                return f"Runs out today, {around}, if {pattern} continues."
            return f"Runs out around {around} ({early} to {late}) if {pattern} continues."
        case "empty":
            return "Already empty."
        case "no_burn":
            return f"No burn in the last {words.counted(weeks, 'week')}, so nothing says when the credits run out."
        case "beyond":
            earliest = _date(runway.p10_days, today)
            beyond = f"Lasts beyond {words.counted(runway.horizon_days, 'day')}"
            return f"{beyond} if {pattern} continues; at the earliest until {earliest}." if earliest else f"{beyond}."
        case "short_history":
            days = words.counted(runway.history_days, "complete day")
            return f"Not enough history: {days} of at least {LEAST_DAYS}."
        case "no_balance":
            return "No balance is known, so nothing says when the credits run out."


def short(runway: Runway, today: date) -> str:  # noqa: ARG001 - every wording takes the day; this one needs none so far
    """The same for a table's cell."""
    match runway.state:
        case "runs_out":
            late = f"{runway.p90_days}" if runway.p90_days is not None else f">{runway.horizon_days}"
            if runway.p90_days == 0:
                return "today"
            around = f"{runway.p50_days} d" if runway.p50_days else "today"
            return f"{around} ({runway.p10_days}–{late})"
        case "beyond":
            return f"> {runway.horizon_days} d"
        case "empty" | "no_burn" | "no_balance" | "short_history":
            said = {"empty": "empty", "no_burn": "no burn", "no_balance": "no balance", "short_history": "new"}
            return said[runway.state]


def _date(days: int | None, today: date) -> str:
    if days is None:
        return ""
    on = today + timedelta(days=days)
    return f"{on.day} {on:%b}" if on.year == today.year else words.day(on)


def _answered(burn: FloatArray, lived: int, balance: float, horizon: int, season: int) -> Runway | None:
    """The answer where nothing needs to be simulated."""
    history = {"history_days": int(lived), "horizon_days": horizon}
    if np.isnan(balance):
        return Runway("no_balance", None, None, None, **history)
    if balance <= 0:
        return Runway("empty", 0, 0, 0, **history)
    if lived < LEAST_DAYS or lived < 2 * season:
        return Runway("short_history", None, None, None, **history)
    if not _burned(burn, lived // season * season):
        return Runway("no_burn", None, None, None, **history)
    return None


def _burned(burn: FloatArray, days: int) -> bool:
    """Whether the last so many days burned more than they gave back."""
    return days > 0 and float(burn[-days:].sum()) > 0


def _simulated(days: list[int], lived: int, horizon: int) -> Runway:
    p10, p50, p90 = (one if one < horizon else None for one in days)
    return Runway("beyond" if p50 is None else "runs_out", p10, p50, p90, lived, horizon)


def _chunks(cases: IntArray, rows: IntArray, horizon: int) -> Iterator[tuple[IntArray, int]]:
    """Cases with the same number of rows, so many at a time that their paths stay near the processor."""
    most = max(1, _CHUNK_CELLS // (PATHS * horizon))
    for count in np.unique(rows[cases]):
        alike = cases[rows[cases] == count]
        for start in range(0, len(alike), most):
            yield alike[start : start + most], int(count)


def _recent(series: FloatArray, rows: int, season: int) -> FloatArray:
    """Tenants by row by day of the row, the newest whole rows."""
    return series[:, -rows * season :].reshape(len(series), rows, season)


def _first_empty(recent: FloatArray, balances: FloatArray, grants: FloatArray, horizon: int) -> IntArray:
    """Tenants by paths: the first day on which the balance is used up; the horizon where none is."""
    available = balances[:, None] + np.cumsum(grants, axis=1)
    used_up = _burned_by_day(recent, horizon) >= (available - _TOLERANCE * np.abs(available))[:, None, :]
    return np.where(used_up.any(axis=2), used_up.argmax(axis=2), horizon)


def _quantiles(first: IntArray) -> list[list[int]]:
    """For each tenant the smallest days by which 10, 50 and 90 % of its paths have run out."""
    ranks = _ranks(first.shape[1])
    days: list[list[int]] = np.partition(first, ranks, axis=1)[:, ranks].tolist()
    return days


def _ranks(paths: int) -> list[int]:
    return [ceil(quantile * paths) - 1 for quantile in QUANTILES]


def _burned_by_day(recent: FloatArray, horizon: int) -> FloatArray:
    """Tenants by paths by day: what has been burned by the end of each day to come."""
    tenants, rows, season = recent.shape
    weeks = ceil(horizon / season)
    levels, shapes = _levels_and_shapes(recent)
    steps = _steps(levels)
    step_draws, shape_draws = _draws(weeks)
    drawn_steps = steps[:, (step_draws * steps.shape[1]).astype(np.int64)].reshape(tenants, PATHS, -1)[..., :weeks]
    start = (levels[:, -1] + levels[:, -2:].mean(axis=1)) / 2
    level = start[:, None, None] * np.exp(np.cumsum(drawn_steps, axis=2))
    shape = np.cumsum(shapes, axis=2)[:, (shape_draws * rows).astype(np.int64)]
    within = level[..., None] * shape
    before = np.cumsum(within[..., -1], axis=2) - within[..., -1]
    by_day: FloatArray = (within + before[..., None]).reshape(tenants, PATHS, weeks * season)
    return by_day[..., :horizon]


def _steps(levels: FloatArray) -> FloatArray:
    """Tenants by drawable run by step: each two log steps in a row (one where there is only one), and their opposites.

    Two at a time, since what is noise in one week's level comes back in the next: steps drawn one by one would add up
    noise that in truth cancels, and ranges a month ahead would be too wide.
    """
    steps = np.diff(np.log(levels), axis=1)
    runs = sliding_window_view(steps, min(STEPS_AT_A_TIME, steps.shape[1]), axis=1)
    return np.concatenate([runs, -runs], axis=1)


def _levels_and_shapes(recent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Levels, floored, and shapes. A row whose refunds outweigh its charges would have a level near or below zero and a
    boundless shape: its divisor is at least half of what moved in it."""
    moved = np.abs(recent).mean(axis=2)
    usual = moved.mean(axis=1, keepdims=True)
    levels = np.maximum(recent.mean(axis=2), FLOOR_SHARE * usual)
    return levels, recent / np.maximum(levels, moved / 2)[..., None]


@lru_cache(maxsize=8)
def _draws(weeks: int) -> tuple[FloatArray, FloatArray]:
    """Paths by weeks, twice: uniform numbers for steps and for shapes, the same for every tenant and every time.

    Each week's numbers are spread evenly over the paths, so that 200 paths tell as much as far more would. A longer
    horizon draws the same first weeks.
    """
    even = (np.arange(PATHS) + 0.5) / PATHS
    draws = []
    for purpose in range(2):
        rng = np.random.default_rng([_SEED, purpose])
        draws.append(np.stack([rng.permutation(even) for _ in range(weeks)], axis=1))
    return draws[0], draws[1]


def _walked(daily: FloatArray, balance: float, grants: FloatArray) -> FloatArray:
    """Paths by horizon + 1: the balance now and at the end of each day, never burned below zero."""
    credits = np.empty((len(daily), daily.shape[1] + 1))
    credits[:, 0] = balance
    for day in range(daily.shape[1]):
        granted = credits[:, day] + grants[day]
        credits[:, day + 1] = np.maximum(granted - daily[:, day], np.minimum(granted, 0.0))
    return credits
