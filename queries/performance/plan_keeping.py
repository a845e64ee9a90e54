"""Plans as they were at the time: of slow statements at once, of each other statement at first sight and then at most
once an hour, so that a change of plan is seen and dated.

One thread asks for them, from a bounded queue that drops (and counts) rather than waits, and only while the pool has
connections to spare: a page never waits for this. What it kept is in memory and, with DIRECT_URL, in our schema.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from cachetools import LRUCache, TTLCache
from sqlalchemy.dialects.postgresql import JSONB, insert

from queries.database import Database
from queries.errors import UsageDashboardError
from queries.performance.monitor import Execution, Monitor, utc_now
from queries.performance.plans import Plan, explain
from queries.performance.recorded import storable
from queries.tables import OUR_SCHEMA

log = logging.getLogger(__name__)

PLANS_KEPT = 500
QUEUE_CALLS = 200
AGAIN_S, SLOW_AGAIN_S = 3_600.0, 60.0
# Connections that must be free, how long to wait for that, and how long for a pool in which nothing happens at all.
SPARE_CONNECTIONS, SPARE_WAIT_S, QUIET_WAIT_S = 2, 2.0, 5.0
_LOOK_EVERY_S = 0.1

_TIMES = ("first_seen_at", "last_seen_at")
STATEMENT = sa.table(
    "statement",
    *(sa.column(name) for name in ("fingerprint", "query", "sql", "queryid", *_TIMES)),
    schema=OUR_SCHEMA,
)
PLAN = sa.table(
    "plan",
    *(sa.column(name) for name in ("fingerprint", "plan_hash", "query", "database_ms", *_TIMES)),
    *(sa.column(name, JSONB) for name in ("plan", "parameters")),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """One plan of one statement: as it was printed the last time that it was seen, and for which (masked) parameters.
    `database_ms` is what that call took."""

    fingerprint: str
    plan_hash: str
    query: str
    sql: str
    queryid: int | None
    document: Mapping[str, Any]
    parameters: Mapping[str, Any]
    database_ms: float | None
    first_seen_at: datetime
    last_seen_at: datetime


class PlanKeeper:
    """Asks for plans behind the pages and keeps them. `add` is a sink of the monitor."""

    def __init__(
        self,
        database: Database,
        monitor: Monitor,
        *,
        queue_calls: int = QUEUE_CALLS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._monitor = database, monitor
        self._queue: queue.Queue[Execution] = queue.Queue(maxsize=queue_calls)
        self._plans: LRUCache[tuple[str, str], KeptPlan] = LRUCache(PLANS_KEPT)
        # What was asked for a while ago is asked for again: each statement, and each slow call of one.
        self._asked: TTLCache[str, None] = TTLCache(10_000, AGAIN_S, timer=clock)
        self._asked_slow: TTLCache[str, None] = TTLCache(10_000, SLOW_AGAIN_S, timer=clock)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="plan-keeper", daemon=True)
        self.dropped = self.skipped = self.failed = self.unwritten = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End after the plan that is being asked for."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def add(self, execution: Execution) -> None:
        """Queue a call whose plan is wanted; returns at once and never raises."""
        if not self._is_wanted(execution):
            return
        try:
            self._queue.put_nowait(execution)
        except queue.Full:
            self.dropped += 1
            self._forget(execution)

    def plans(self, fingerprint: str) -> list[KeptPlan]:
        """The plans of a statement that this process has seen, the newest first."""
        with self._lock:
            found = [one for (statement, _), one in self._plans.items() if statement == fingerprint]
        return sorted(found, key=lambda one: (one.first_seen_at, one.plan_hash), reverse=True)

    def statements(self) -> list[KeptPlan]:
        """The plan seen last of each statement that this process has seen."""
        with self._lock:
            newest = sorted(self._plans.values(), key=lambda one: one.last_seen_at)
        return list({one.fingerprint: one for one in newest}.values())

    def keep(self, plan: Plan, query: str, database_ms: float | None, at: datetime | None = None) -> KeptPlan | None:
        """Keep a plan that was just asked for, in memory and, where that can be written, on disk. `at` is when the call
        that it is of was answered."""
        if plan.fingerprint is None:
            return None
        seen_at, key = at or utc_now(), (plan.fingerprint, plan.plan_hash)
        with self._lock:
            before = self._plans.get(key)
            kept = self._plans[key] = KeptPlan(
                fingerprint=plan.fingerprint,
                plan_hash=plan.plan_hash,
                query=query,
                sql=plan.sql,
                queryid=plan.queryid,
                document=plan.document,
                parameters=plan.parameters,
                database_ms=database_ms,
                first_seen_at=seen_at if before is None else min(seen_at, before.first_seen_at),
                last_seen_at=seen_at if before is None else max(seen_at, before.last_seen_at),
            )
        if self._database.owner is not None:
            try:
                written = _write(self._database.owner, kept)
            except (sa.exc.SQLAlchemyError, ValueError) as error:
                log.log(
                    logging.DEBUG if self.unwritten else logging.WARNING,
                    "plans cannot be written (%s); they are kept in memory only",
                    type(error).__name__,
                )
                self.unwritten += 1
                return kept
            with self._lock:  # another process may have seen it first
                kept = self._plans[key] = replace(kept, first_seen_at=min(written, kept.first_seen_at))
        return kept

    # ---- which calls

    def _is_wanted(self, execution: Execution) -> bool:
        """Slow calls, and each statement now and then. What failed has no fingerprint: it is wanted if it was slow."""
        asked, key, is_run = self._asked, execution.fingerprint or "", execution.outcome == "miss"
        if execution.slow:
            asked, key, is_run = self._asked_slow, execution.parameters_hash, True
        if not is_run or not key:
            return False
        with self._lock:
            if key in asked:
                return False
            asked[key] = None
            if execution.slow and execution.fingerprint is not None:
                self._asked[execution.fingerprint] = None
            return True

    def _forget(self, execution: Execution) -> None:
        """It was not looked at: the next one is as good."""
        with self._lock:
            self._asked.pop(execution.fingerprint or "", None)
            self._asked_slow.pop(execution.parameters_hash, None)

    # ---- behind the pages

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                execution = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._look_at(execution)
            except UsageDashboardError as error:
                self.failed += 1
                log.info("no plan of %s: %s", execution.query, error.message)
            except Exception:  # whatever it is, the next plan must still be asked for
                self.failed += 1
                log.exception("no plan of %s", execution.query)

    def _look_at(self, execution: Execution) -> None:
        query = self._monitor.questions.of(execution.parameters_hash)
        if query is None or not self._has_room(execution.slow):
            self.skipped += 1
            self._forget(execution)
            return
        plan = explain(self._database, query)
        if plan.fingerprint is not None:
            self._monitor.note_plan(plan.fingerprint, execution.parameters_hash, plan.plan_hash)
        timings = execution.timings
        took_ms = timings.database_ms + timings.fetch_ms if execution.outcome == "miss" else None
        self.keep(plan, execution.query, took_ms, execution.at)

    def _has_room(self, slow: bool) -> bool:
        """Whether the pool can spare a connection. The plan of a statement that is not slow waits until the page that
        asked has its answers, too: it may take the processor from nobody."""
        began = time.monotonic()
        while not self._stopping.is_set():
            use, waited_s = self._database.pool_use(), time.monotonic() - began
            has_spare = use.size - use.in_use >= SPARE_CONNECTIONS
            if has_spare and (slow or use.in_use == 0 or waited_s >= QUIET_WAIT_S):
                return True
            if not has_spare and waited_s >= (SPARE_WAIT_S if slow else QUIET_WAIT_S):
                return False
            self._stopping.wait(_LOOK_EVERY_S)
        return False


def _write(owner: sa.Engine, kept: KeptPlan) -> datetime:
    """Store a plan and its statement; when the plan was first seen, by whichever process."""
    statement = insert(STATEMENT).values(
        fingerprint=kept.fingerprint,
        query=kept.query,
        sql=storable(kept.sql),
        queryid=kept.queryid,
        first_seen_at=kept.first_seen_at,
        last_seen_at=kept.last_seen_at,
    )
    plan = insert(PLAN).values(
        fingerprint=kept.fingerprint,
        plan_hash=kept.plan_hash,
        query=kept.query,
        plan=storable(dict(kept.document)),
        parameters=storable(dict(kept.parameters)),
        database_ms=kept.database_ms,
        first_seen_at=kept.first_seen_at,
        last_seen_at=kept.last_seen_at,
    )
    with owner.begin() as connection:
        connection.execute(_renewed(statement, ("fingerprint",), ("query", "sql", "queryid", "last_seen_at")))
        seen = ("query", "plan", "parameters", "database_ms", "last_seen_at")
        renewed = _renewed(plan, ("fingerprint", "plan_hash"), seen).returning(PLAN.c.first_seen_at)
        first: datetime = connection.execute(renewed).scalar_one()
        return first


def _renewed(given: Any, key: tuple[str, ...], names: tuple[str, ...]) -> Any:
    return given.on_conflict_do_update(index_elements=list(key), set_={name: given.excluded[name] for name in names})
