"""Draws generations: who asks for what and when, how long it takes and how it ends. Columns, not rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.calibration import SUCCESS_RATE, FloatArray, failure_ms, latency_ms
from demo.people import members, users
from demo.prompts import ODD_PROMPTS, prompts
from demo.schema import ENUMS
from demo.tenants import FAILING_MODEL, FAILING_SINCE_DAYS, PERSONAS, SLOW_SINCE_DAYS
from demo.traffic import MS_PER_HOUR, hourly_weights

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Ages = Callable[[FloatArray], FloatArray]

MS_PER_DAY: Final = 24 * MS_PER_HOUR
TYPES: Final = ENUMS["GenerationType"]
STATUSES: Final = ENUMS["GenerationStatus"]
PENDING, PROCESSING, SUCCEEDED, FAILED, CANCELLED = range(5)
MODELS: Final = ("lumen-3", "lumen-3-fast", FAILING_MODEL, "aurora-xl", "inpaint-1", "magnify-4x")
MODEL_SPEEDS: Final = np.array([1.0, 0.8, 1.0, 1.4, 0.9, 0.8])
ERRORS: Final = (
    "worker ran out of memory",
    "the prompt was refused by the content filter",
    "worker timed out",
    "decoder: tensor shape mismatch (tessera-2, build 4117)",
)
FAILING_MODEL_ERROR: Final = 3
FAILING_PEAK: Final = 0.35
CANCELLED_SHARE: Final = 0.004
STUCK_PER_TENANT: Final = 3
IN_FLIGHT_WINDOW_MS: Final = 12 * 60_000
STUCK_AFTER_MS: Final = 15 * 60_000

TYPE_SHARES: Final = ((0.80, 0.11, 0.03, 0.06), (0.45, 0.10, 0.05, 0.40), (0.45, 0.45, 0.05, 0.05))
DRAWING_MODELS: Final = (0.46, 0.28, 0.08, 0.18)
DRAWING_MODELS_OF_FAILING: Final = (0.15, 0.10, 0.65, 0.10)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Generations as equally long columns, oldest first; times in UTC milliseconds, -1 where there is none."""

    created_ms: IntArray
    tenant: IntArray  # position in PERSONAS
    user: IntArray  # position in users()
    type: IntArray  # position in TYPES
    model: IntArray  # position in MODELS
    prompt: IntArray  # position in prompts()
    images: IntArray
    credits: IntArray
    status: IntArray  # position in STATUSES
    error: IntArray  # position in ERRORS, or -1
    completed_ms: IntArray

    def __len__(self) -> int:
        return len(self.created_ms)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When something is asked for, by which tenant, of which type; oldest first."""

    created_ms: IntArray
    tenant: IntArray
    type: IntArray

    def taken(self, chosen: BoolArray | IntArray) -> "Arrivals":
        return Arrivals(self.created_ms[chosen], self.tenant[chosen], self.type[chosen])

    def quota_keys(self) -> IntArray:
        """One number per tenant, type and UTC day."""
        return ((self.created_ms // MS_PER_DAY) * len(PERSONAS) + self.tenant) * len(TYPES) + self.type


@dataclass(frozen=True, slots=True)
class Slots:
    """The hours of a window, cut at its ends, and the relative traffic of every tenant in each."""

    from_ms: IntArray
    to_ms: IntArray
    weights: FloatArray


def slots(start_ms: int, end_ms: int, seed: int, age_days: Ages) -> Slots:
    """Hours of `[start, end)`; `age_days` says how long before the end of the story a moment lies."""
    hours_ms = np.arange(start_ms // MS_PER_HOUR, -(-end_ms // MS_PER_HOUR), dtype=np.int64) * MS_PER_HOUR
    from_ms, to_ms = np.maximum(hours_ms, start_ms), np.minimum(hours_ms + MS_PER_HOUR, end_ms)
    ages = age_days((from_ms + to_ms) / 2)
    weights = hourly_weights((hours_ms // MS_PER_HOUR).astype("datetime64[h]"), ages, seed)
    return Slots(from_ms, to_ms, weights * (to_ms - from_ms) / MS_PER_HOUR)


def arrivals(rng: np.random.Generator, window: Slots, counts: IntArray) -> Arrivals:
    """Moments spread over the slots, `counts` of them by tenant and hour."""
    tenant, hour = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    span = (window.to_ms - window.from_ms)[hour]
    created = window.from_ms[hour] + (rng.random(len(hour)) * span).astype(np.int64)
    order = np.argsort(created, kind="stable")
    type_mix = np.array([TYPE_SHARES[{3: 1, 5: 2}.get(position % 7, 0)] for position in range(len(PERSONAS))])
    below = np.cumsum(type_mix, axis=1)[tenant]
    type = (rng.random(len(hour))[:, None] >= below[:, :-1]).sum(axis=1)
    return Arrivals(created[order], tenant[order], type[order])


def rank_in_day(asked: Arrivals) -> IntArray:
    """How many of the same tenant, type and UTC day came before each."""
    keys = asked.quota_keys()
    order = np.argsort(keys, kind="stable")
    _, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.repeat(first, counts)
    return ranks


def draw(rng: np.random.Generator, asked: Arrivals, end_ms: int, age_days: Ages, *, with_stuck: bool) -> Drawn:
    """What became of every arrival by `end_ms`; the newest are still in flight, a handful may be stuck."""
    count = len(asked.created_ms)
    ages = age_days(asked.created_ms.astype(np.float64))
    model = _models(rng, asked)
    images = np.where(asked.type < 2, rng.choice(np.array([1, 2, 4]), count, p=[0.64, 0.12, 0.24]), 1)
    price = np.where(asked.type < 2, 1, 2) * np.where(model == MODELS.index("aurora-xl"), 2, 1)
    status, error = _outcomes(rng, model, ages)
    duration = _durations_ms(rng, asked.tenant, model, status, ages)
    drawn = Drawn(
        created_ms=asked.created_ms,
        tenant=asked.tenant,
        user=_users(rng, asked.tenant),
        type=asked.type,
        model=model,
        prompt=_prompts(rng, count),
        images=images.astype(np.int64),
        credits=(images * price).astype(np.int64),
        status=status,
        error=error,
        completed_ms=asked.created_ms + duration,
    )
    return _left_unfinished(rng, drawn, end_ms, with_stuck=with_stuck)


def _models(rng: np.random.Generator, asked: Arrivals) -> IntArray:
    failing = np.array([persona.story == "failing" for persona in PERSONAS])[asked.tenant]
    uniform = rng.random(len(asked.tenant))
    usual = np.searchsorted(np.cumsum(DRAWING_MODELS)[:-1], uniform, side="right")
    of_failing = np.searchsorted(np.cumsum(DRAWING_MODELS_OF_FAILING)[:-1], uniform, side="right")
    drawing = np.where(failing, of_failing, usual)
    return np.where(asked.type < 2, drawing, asked.type + 2).astype(np.int64)


def _prompts(rng: np.random.Generator, count: int) -> IntArray:
    plain = len(prompts()) - len(ODD_PROMPTS)
    return np.where(
        rng.random(count) < 0.001, rng.integers(plain, len(prompts()), count), rng.integers(0, plain, count)
    )


def _users(rng: np.random.Generator, tenant: IntArray) -> IntArray:
    """A member of the paying tenant for each; a few do most of the work."""
    positions = {person.id: position for position, person in enumerate(users())}
    user = np.empty(len(tenant), np.int64)
    for position, people in enumerate(members()):
        mine = np.flatnonzero(tenant == position)
        shares = 1 / np.arange(1, len(people) + 1) ** 1.1
        chosen = np.array([positions[person.id] for person in people])
        user[mine] = rng.choice(chosen, len(mine), p=shares / shares.sum())
    return user


def _outcomes(rng: np.random.Generator, model: IntArray, ages: FloatArray) -> tuple[IntArray, IntArray]:
    count = len(model)
    failing = model == MODELS.index(FAILING_MODEL)
    # The failing model gets worse for a fortnight and stays bad.
    worse = FAILING_PEAK * np.clip((FAILING_SINCE_DAYS - ages) / 14, 0, 1)
    chance = np.where(failing, np.maximum(1 - SUCCESS_RATE, worse), 0.75 * (1 - SUCCESS_RATE))
    uniform = rng.random(count)
    failed = uniform < chance
    cancelled = uniform > 1 - CANCELLED_SHARE
    status = np.where(failed, FAILED, np.where(cancelled, CANCELLED, SUCCEEDED))
    usual_error = rng.integers(0, FAILING_MODEL_ERROR, count)
    error = np.where(failing & (ages < FAILING_SINCE_DAYS), FAILING_MODEL_ERROR, usual_error)
    return status.astype(np.int64), np.where(failed, error, -1).astype(np.int64)


def _durations_ms(
    rng: np.random.Generator, tenant: IntArray, model: IntArray, status: IntArray, ages: FloatArray
) -> IntArray:
    uniform = rng.random(len(tenant))
    waiting = np.array([persona.story == "slow" for persona in PERSONAS])[tenant] & (ages < SLOW_SINCE_DAYS)
    # A slow tenant's median stays; its slowest third waits up to four times as long.
    tail = np.where(waiting & (uniform > 0.65), 4.0, 1.0)
    done = latency_ms(uniform) * MODEL_SPEEDS[model] * tail
    gave_up = failure_ms(uniform)
    duration = np.where(status == SUCCEEDED, done, np.where(status == FAILED, gave_up, done * 0.4))
    return np.maximum(1, np.rint(duration)).astype(np.int64)


def _left_unfinished(rng: np.random.Generator, drawn: Drawn, end_ms: int, *, with_stuck: bool) -> Drawn:
    waits = rng.random(len(drawn))
    open_now = (drawn.completed_ms >= end_ms) | ((drawn.created_ms > end_ms - IN_FLIGHT_WINDOW_MS) & (waits < 0.5))
    if with_stuck:
        open_now[_stuck(drawn, end_ms)] = True
    status = np.where(open_now, np.where(waits < 0.15, PENDING, PROCESSING), drawn.status)
    return replace(
        drawn,
        status=status.astype(np.int64),
        error=np.where(open_now, -1, drawn.error),
        completed_ms=np.where(open_now, -1, drawn.completed_ms),
    )


def _stuck(drawn: Drawn, end_ms: int) -> IntArray:
    """The latest of each stuck tenant that are old enough to be called stuck."""
    old = drawn.created_ms < end_ms - STUCK_AFTER_MS - 60_000
    stuck = [
        np.flatnonzero(old & (drawn.tenant == position))[-STUCK_PER_TENANT:]
        for position, persona in enumerate(PERSONAS)
        if persona.story == "stuck"
    ]
    return np.concatenate(stuck)
