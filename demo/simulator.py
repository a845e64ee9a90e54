"""Live traffic: a thread that keeps using the demo application through its operations, so that pages move.

A few requests a minute by tenants that are awake, each finished or failed some seconds later, now and then a top-up,
and renewals when they are due. What earlier runs left unfinished is finished too, except the generations of the
`stuck` tenants: those hang by design.
"""

import heapq
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import psycopg
from psycopg.rows import tuple_row

from demo.activity import DRAWING_MODELS, ERRORS, FAILING_MODEL_ERROR, FAILING_PEAK, MODELS, TYPES
from demo.calibration import SUCCESS_RATE, failure_ms, latency_ms
from demo.errors import AlreadyFinished, CreditsExhausted, DemoError, GenerationNotFound, QuotaReached
from demo.ledger import PACK_PRICES
from demo.operations import (
    NewImage,
    add_credits,
    complete_generation,
    create_generation,
    fail_generation,
    renew_subscription,
    start_generation,
)
from demo.people import members
from demo.pictures import PICTURE_SIDE, png
from demo.prompts import prompts
from demo.tenants import FAILING_MODEL, PERSONAS
from demo.traffic import hourly_weights

logger = logging.getLogger(__name__)

TRAFFIC_SEED: Final = 0
RENEWAL_CHECK_S: Final = 60.0
TOP_UP_CHANCE: Final = 0.005
INLINE_CHANCE: Final = 0.1
STUCK_CHANCE: Final = 0.05
ADOPTED_WITHIN_S: Final = 20.0
MAX_LATENCY_S: Final = 120.0
FIRST_BACKOFF_S: Final = 0.25
MAX_BACKOFF_S: Final = 5.0
MAX_FAILURES: Final = 10
STOP_PATIENCE_S: Final = 0.4
TYPE_MIX: Final = (80, 11, 3, 6)


@dataclass(order=True, slots=True)
class Due:
    """A generation that is to be finished at a moment of the monotonic clock."""

    at_s: float
    generation_id: str = field(compare=False)
    model: str = field(compare=False)
    pictures: int = field(compare=False)
    fails: bool = field(compare=False)


class Simulator:
    """Writes light traffic from a daemon thread until it is stopped; survives restarts of the database.

    `connect` opens a connection as the application's role; `rate_per_s` is requests per second: the default is
    two or three times what the history has, so that something moves every minute and today stays believable.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection], rate_per_s: float = 0.05, seed: int | None = None
    ) -> None:
        if not rate_per_s > 0:
            raise ValueError(f"rate_per_s is {rate_per_s}; use a number above 0")
        self._connect = connect
        self._rate_per_s = rate_per_s
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection | None = None
        self._due: list[Due] = []
        self._next_request_s = 0.0
        self._next_renewals_s = 0.0
        self._failures = 0

    def start(self) -> None:
        """Begin; does nothing while it runs already."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="demo-simulator", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End within a second; a statement that still runs is cancelled."""
        self._stopping.set()
        thread, connection = self._thread, self._connection
        if thread is None:
            return
        thread.join(STOP_PATIENCE_S)
        if thread.is_alive() and connection is not None:
            with suppress(psycopg.Error, OSError):
                connection.cancel_safe(timeout=STOP_PATIENCE_S / 2)
            thread.join(STOP_PATIENCE_S / 2)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._connection = connection
                    connection.autocommit = True
                    self._adopt(connection)
                    self._work(connection)
            # Whatever goes wrong, traffic goes on; a demo must not need a restart.
            except Exception as error:  # noqa: BLE001
                self._wait_after(error)
            finally:
                self._connection = None

    def _wait_after(self, error: Exception) -> None:
        """Back off, with one warning until something works again."""
        if not self._failures and not self._stopping.is_set():
            logger.warning("live traffic waits for the database: %s", _first_line(error))
        self._stopping.wait(min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2**self._failures))
        self._failures = min(self._failures + 1, MAX_FAILURES)

    def _note_success(self) -> None:
        if self._failures:
            logger.info("live traffic goes on")
            self._failures = 0

    def _work(self, connection: psycopg.Connection) -> None:
        """Act whenever something is due, until stopped."""
        while not self._stopping.is_set():
            now_s = time.monotonic()
            if now_s >= self._next_renewals_s:
                self._next_renewals_s = now_s + RENEWAL_CHECK_S
                self._renew(connection)
            if now_s >= self._next_request_s:
                self._request(connection)
                self._next_request_s = now_s + self._random.expovariate(self._rate_per_s)
                self._note_success()
            while self._due and self._due[0].at_s <= now_s and not self._stopping.is_set():
                # Should the connection break here, the next one adopts it.
                self._finish(connection, heapq.heappop(self._due))
            next_s = min([self._next_request_s, self._next_renewals_s, *(due.at_s for due in self._due[:1])])
            self._stopping.wait(max(0.0, next_s - time.monotonic()))

    def _request(self, connection: psycopg.Connection) -> None:
        position = self._awake_tenant()
        persona = PERSONAS[position]
        people = members()[position]
        person = self._random.choices(people, [1 / (rank + 1) for rank in range(len(people))])[0]
        if self._random.random() < TOP_UP_CHANCE:
            self._top_up(connection, persona.organization_id, person.id)
        type = self._random.choices(range(len(TYPES)), TYPE_MIX)[0]
        drawing = type < 2  # TEXT_TO_IMAGE and IMAGE_TO_IMAGE
        model = self._random.choices(MODELS[:4], DRAWING_MODELS)[0] if drawing else MODELS[type + 2]
        pictures = self._random.choices((1, 2, 4), (64, 12, 24))[0] if drawing else 1
        credits = pictures * (1 if drawing else 2) * (2 if model == "aurora-xl" else 1)
        prompt = self._random.choice(prompts())
        try:
            generation_id = create_generation(
                connection, persona.organization_id, person.id, TYPES[type], model, prompt, credits
            )
        except CreditsExhausted:
            self._top_up(connection, persona.organization_id, person.id)
        except QuotaReached:
            logger.debug("%s has used up its quota", persona.slug)
        else:
            start_generation(connection, generation_id)
            if persona.story != "stuck" or self._random.random() > STUCK_CHANCE:
                self._await(generation_id, model, pictures)

    def _awake_tenant(self) -> int:
        hour = np.array([datetime.now(UTC).replace(tzinfo=None)], "datetime64[h]")
        weights = hourly_weights(hour, np.zeros(1), TRAFFIC_SEED)[:, 0]
        return self._random.choices(range(len(PERSONAS)), weights.tolist())[0]

    def _await(self, generation_id: str, model: str, pictures: int) -> None:
        chance = FAILING_PEAK if model == FAILING_MODEL else 1 - SUCCESS_RATE
        fails = self._random.random() < chance
        wait_ms = (failure_ms if fails else latency_ms)(np.array([self._random.random()]))[0]
        at_s = time.monotonic() + min(float(wait_ms) / 1000, MAX_LATENCY_S)
        heapq.heappush(self._due, Due(at_s, generation_id, model, pictures, fails))

    def _finish(self, connection: psycopg.Connection, due: Due) -> None:
        # Somebody else may have finished it, or reset the demo, and that is fine.
        with suppress(AlreadyFinished, GenerationNotFound):
            if due.fails:
                error = ERRORS[FAILING_MODEL_ERROR] if due.model == FAILING_MODEL else self._random.choice(ERRORS[:3])
                fail_generation(connection, due.generation_id, error)
            else:
                pictures = [self._picture(due.generation_id, number) for number in range(due.pictures)]
                complete_generation(connection, due.generation_id, pictures)

    def _picture(self, generation_id: str, number: int) -> NewImage:
        if self._random.random() < INLINE_CHANCE:
            data = png(self._random.randrange(1000))
            return NewImage(None, data, len(data), PICTURE_SIDE, PICTURE_SIDE)
        url = f"https://images.demo.invalid/{generation_id}-{number}.png"
        return NewImage(url, None, self._random.randrange(400_000, 1_500_000), 1024, 1024)

    def _top_up(self, connection: psycopg.Connection, organization_id: str, user_id: str) -> None:
        pack = self._random.choice([500, 1_000, 2_500])
        currency = next(p.currency for p in PERSONAS if p.organization_id == organization_id)
        add_credits(
            connection,
            organization_id,
            "PURCHASE",
            pack,
            user_id=user_id,
            price_paid=PACK_PRICES[pack],
            currency=currency,
            description=f"top-up of {pack} credits",
        )

    def _renew(self, connection: psycopg.Connection) -> None:
        now = datetime.now(UTC)
        with connection.cursor(row_factory=tuple_row) as cursor:
            due = cursor.execute(
                """SELECT "organizationId" FROM "Subscription"
                   WHERE "currentPeriodEnd" <= %s AND "status" IN ('TRIALING', 'ACTIVE')""",
                (now.replace(tzinfo=None),),
            ).fetchall()
        for (organization_id,) in due:
            with suppress(DemoError):
                renew_subscription(connection, organization_id, now=now)

    def _adopt(self, connection: psycopg.Connection) -> None:
        """Take over what is unfinished: after a restart of the database, or of the whole demo."""
        hanging = [persona.organization_id for persona in PERSONAS if persona.story == "stuck"]
        known = {due.generation_id for due in self._due}
        with connection.cursor(row_factory=tuple_row) as cursor:
            rows = cursor.execute(
                """SELECT "id", "model" FROM "Generation"
                   WHERE "status" IN ('PENDING', 'PROCESSING') AND "organizationId" <> ALL(%s) ORDER BY "id" """,
                (hanging,),
            ).fetchall()
        for generation_id, model in rows:
            if generation_id not in known:
                at_s = time.monotonic() + self._random.uniform(1, ADOPTED_WITHIN_S)
                heapq.heappush(self._due, Due(at_s, generation_id, model, 1, fails=False))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
