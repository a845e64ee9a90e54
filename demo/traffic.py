"""When tenants work: expected share of the traffic per tenant and hour, from their personas and the calibration."""

from functools import cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demo.calibration import HOUR_SHARES, SATURDAY_SHARE, SUNDAY_SHARE, TENANT_SKEW, FloatArray
from demo.tenants import (
    DECLINE_SINCE_DAYS,
    DRY_SINCE_DAYS,
    NEGATIVE_SINCE_DAYS,
    NEW_SINCE_DAYS,
    PERSONAS,
    STOPPED_SINCE_DAYS,
    Pattern,
    Persona,
)

Hours = NDArray[np.datetime64]
MS_PER_HOUR: Final = 3_600_000
DAY_NOISE: Final = 0.25
BURST_CHANCE: Final = 0.06
BURST_FACTOR: Final = 9.0

# Hours by which a pattern's day starts later, share of an even spread around the clock, factor on both rest days.
PATTERNS: Final[dict[Pattern, tuple[int, float, tuple[float, float]]]] = {
    "office": (0, 0.02, (SATURDAY_SHARE, SUNDAY_SHARE)),
    "evening": (6, 0.05, (1.3, 1.4)),
    "always": (0, 0.70, (0.9, 0.9)),
    "weekend": (2, 0.05, (4.0, 3.5)),
}


def hourly_weights(hours: Hours, ages_days: FloatArray, seed: int) -> FloatArray:
    """Relative traffic, tenants by hours, for UTC hours that lie `ages_days` before the end of the story.

    Age 0 is today: what stopped stays stopped, what grew stays where it is.
    """
    noise = _day_noise(hours, seed)
    rows = [
        (position + 1) ** -TENANT_SKEW * trend(persona, ages_days) * _clock(persona, hours) * noise[position]
        for position, persona in enumerate(PERSONAS)
    ]
    return np.stack(rows)


def trend(persona: Persona, ages_days: FloatArray) -> FloatArray:
    """How busy a tenant is against its usual self, `ages_days` before the end."""
    since = {
        "stop": STOPPED_SINCE_DAYS,
        "negative": NEGATIVE_SINCE_DAYS,
        "dry": DRY_SINCE_DAYS,
        "empty": np.inf,
    }.get(persona.story)
    if since is not None:
        return np.where(ages_days < since, 0.0, 1.0)
    if persona.story == "growth":
        return 1.9 * np.exp2(-ages_days / 42)
    if persona.story == "decline":
        return np.maximum(0.03, np.exp2(-np.maximum(0.0, DECLINE_SINCE_DAYS - ages_days) / 12))
    if persona.story == "new":
        return np.where(ages_days > NEW_SINCE_DAYS, 0.0, 2.5 - 2 * ages_days / NEW_SINCE_DAYS)
    return np.ones_like(ages_days)


def _clock(persona: Persona, hours: Hours) -> FloatArray:
    shift, even, rest = PATTERNS[persona.pattern]
    # The middle of the UTC hour, since some zones are off by half or three quarters of an hour.
    local = pd.DatetimeIndex(hours + np.timedelta64(30, "m")).tz_localize("UTC").tz_convert(persona.zone)
    shape = even / 24 + (1 - even) * np.roll(HOUR_SHARES / HOUR_SHARES.sum(), shift)
    weekday = local.day_of_week.to_numpy()
    by_day = np.ones(7)
    by_day[list(persona.rest_days)] = rest
    return np.asarray(shape[local.hour.to_numpy()] * by_day[weekday], np.float64)


def _day_noise(hours: Hours, seed: int) -> FloatArray:
    """Tenants by hours: a factor per tenant and UTC day that is the same whenever that day is asked for."""
    days = hours.astype("datetime64[D]").astype(np.int64)
    distinct, where = np.unique(days, return_inverse=True)
    return np.stack([_noise_of_day(seed, int(day)) for day in distinct], axis=1)[:, where]


@cache
def _noise_of_day(seed: int, day: int) -> FloatArray:
    rng = np.random.default_rng([seed, day])
    noise = np.exp(rng.normal(0, DAY_NOISE, len(PERSONAS)))
    burst = rng.random(len(PERSONAS)) < BURST_CHANCE
    bursty = np.array([persona.story == "bursts" for persona in PERSONAS])
    return np.where(bursty, noise * np.where(burst, BURST_FACTOR, 0.5), noise)
