"""The one effect: a Query becomes a Result, from the process cache, from Redis, or from PostgreSQL.

On the way the scope is checked against the viewer's, identical questions share one execution, an older answer may
stand in while the new one is computed, and everything is timed and recorded.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import sqlalchemy as sa
from cachetools import LRUCache, TTLCache

from queries.cache import ResultCache
from queries.context import Context, beyond_scope
from queries.database import Database
from queries.entry import Entry
from queries.errors import (
    ArgumentError,
    DatabaseUnavailableError,
    NotFoundError,
    PeriodError,
    ReaderGoneError,
    StatementTimeoutError,
    UsageDashboardError,
    translated,
)
from queries.execution import Clock, execute, ms_since
from queries.flights import WATCH_S, Flight, Landed
from queries.performance.asking import asked_by
from queries.performance.monitor import Execution, Monitor, fingerprint, utc_now
from queries.performance.plans import Plan
from queries.performance.plans import explain as explained
from queries.query import Outcome, Query, Result, Timings
from queries.settings import Settings
from queries.shallow import shallow_copy

__all__ = ["Answers", "Context", "Runner"]

log = logging.getLogger(__name__)

FAILURE_MEMORY_S = 2.0
_SERIES_KEPT = 20_000


@dataclass(slots=True)
class _Pending:
    """A question that was started: answered at once from the cache, in the air, or failed."""

    query: Query
    started: float
    landed: Landed | None = None
    flight: Flight | None = None
    own_flight: bool = False
    error: UsageDashboardError | None = None


class Answers(Mapping[str, Result]):
    """The answers of one page, started side by side; reading one waits for that one and raises its own error."""

    def __init__(self, runner: Runner, context: Context, pending: Mapping[str, _Pending]) -> None:
        self._runner, self._context, self._pending = runner, context, pending
        self._results: dict[str, Result] = {}

    def __getitem__(self, name: str) -> Result:
        if name not in self._results:
            self._results[name] = self._runner._finish(self._pending[name], self._context)
        return self._results[name]

    def is_there(self, name: str) -> bool:
        """Whether reading this one would not wait."""
        flight = self._pending[name].flight
        return name in self._results or flight is None or flight.future.done()

    def __iter__(self) -> Iterator[str]:
        return iter(self._pending)

    def __len__(self) -> int:
        return len(self._pending)


class Runner:
    """Answers questions about one database. Safe to share between threads; `close` ends its threads."""

    def __init__(self, database: Database, cache: ResultCache, monitor: Monitor) -> None:
        self.database, self.cache, self.monitor = database, cache, monitor
        self.settings: Settings = database.settings
        # Twice the connections: a thread may wait for another process's answer without holding a connection.
        self._executor = ThreadPoolExecutor(2 * self.settings.pool_size, thread_name_prefix="query")
        self._flights: dict[str, Flight] = {}
        # Every flight that has not landed; of two for one question, `_flights` holds the one that may be joined.
        self._in_air: set[Flight] = set()
        # Of a series, the key and the moment of its newest answer; not the question, which holds its tenants.
        self._newest: LRUCache[str, tuple[str, datetime]] = LRUCache(_SERIES_KEPT)
        self._failures: TTLCache[str, UsageDashboardError] = TTLCache(1_000, FAILURE_MEMORY_S)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="query-watchdog", daemon=True)
        self._watchdog.start()

    def run(self, query: Query, context: Context) -> Result:
        """The answer; only errors of queries.errors are raised."""
        context = context.by_line(asked_by())
        return self._finish(self._start(query, context), context)

    def run_all(self, queries: Mapping[str, Query], context: Context) -> Answers:
        """Start all side by side and return at once: a cold page costs its slowest question, not the sum."""
        context = context.by_line(asked_by())
        return Answers(self, context, {name: self._start(query, context) for name, query in queries.items()})

    def explain(self, query: Query, context: Context, *, analyze: bool = False) -> Plan:
        """PostgreSQL's plan for the question; with `analyze` it is run and measured. Raises what `run` would."""
        if not context.scope.covers(query.scope):
            raise beyond_scope()
        return explained(self.database, query, analyze=analyze)

    def close(self) -> None:
        """Cancel what runs, and tell all who wait; the process can end without waiting for a statement."""
        self._closing.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        for flight in self._flights_in_air():
            flight.abandon()

    # ---- starting: the cache, or a flight

    def _start(self, query: Query, context: Context) -> _Pending:
        pending = _Pending(query, time.perf_counter())
        if not context.scope.covers(query.scope):
            pending.error = beyond_scope()
            return pending
        if not context.refresh and self._from_process(pending, context):
            return pending
        failure = self._remembered_failure(query.key)
        if failure is not None and not context.refresh:
            pending.error = failure
            return pending
        pending.flight, pending.own_flight = self._join_flight(query, context)
        return pending

    def _from_process(self, pending: _Pending, context: Context) -> bool:
        query = pending.query
        entry = self.cache.local(query.key)
        outcome: Outcome = "hit"
        if entry is None:
            entry, outcome = self._of_a_moment_ago(query), "stale"
        if entry is None:
            return False
        if outcome == "hit" and not self._fresh(entry, query):
            outcome = "stale"
        if outcome == "stale":
            if not self._may_stand_in(entry, query):
                return False
            # What has just failed is not tried again at once by each who is content with the older answer.
            if self._remembered_failure(query.key) is None:
                self._join_flight(query, dataclasses.replace(context, reader=None, refresh=False), background=True)
        pending.landed = Landed(entry, outcome, Timings(cache_ms=ms_since(pending.started)))
        return True

    def _of_a_moment_ago(self, query: Query) -> Entry | None:
        """The newest answer of the same series, when its moment is so shortly before this one's that it may stand in.
        An answer for another time altogether is another answer, not an older one."""
        with self._lock:
            earlier = self._newest.get(query.series)
        if earlier is None or query.moment is None:
            return None
        key, moment = earlier
        within_s = self._ttl_s(query) + self.settings.cache_stale_s
        return self.cache.local(key) if 0 < (query.moment - moment).total_seconds() <= within_s else None

    def _join_flight(self, query: Query, context: Context, *, background: bool = False) -> tuple[Flight, bool]:
        """The flight of this question, and whether it was started here. Who wants it past the caches does not join one
        that may bring what a cache has."""
        with self._lock:
            flight = self._flights.get(query.key)
            if flight is not None and (flight.refresh or not context.refresh) and flight.join(context.reader):
                return flight, False
            flight = Flight(background=background, refresh=context.refresh)
            flight.join(context.reader)
            self._flights[query.key] = flight
            self._in_air.add(flight)
        try:
            work = self._executor.submit(self._fly, query, flight, context)
        except RuntimeError as error:  # shut down, or the system gives no more threads
            log.warning("a query cannot be started: %s", error)
            self._ground(query, flight)
        else:
            work.add_done_callback(lambda done: self._ground(query, flight) if done.cancelled() else None)
        return flight, True

    def _ground(self, query: Query, flight: Flight) -> None:
        """It will not fly: tell those who wait."""
        self._end(query, flight)
        flight.future.set_exception(
            DatabaseUnavailableError("the dashboard is stopping or out of threads; open the page again in a moment")
        )

    # ---- in the air

    def _fly(self, query: Query, flight: Flight, context: Context) -> None:
        try:
            landed = self._land(query, flight)
            if landed.outcome == "miss":
                self.monitor.questions.remember(query.parameters_hash, query)
                # Here and not by the reader, who may have left: each execution is recorded once.
                self._record(query, landed.entry, "miss", landed.timings, context)
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._end(query, flight)
            flight.future.set_exception(self._failed(query, flight, context, error))
            return
        with self._lock:
            self._failures.pop(query.key, None)
            newest = self._newest.get(query.series)
            if query.moment is not None and (newest is None or newest[1] <= query.moment):
                self._newest[query.series] = query.key, query.moment
        self._end(query, flight)
        flight.future.set_result(landed)

    def _failed(self, query: Query, flight: Flight, context: Context, error: BaseException) -> UsageDashboardError:
        """The failure in our words; remembered for a moment, and logged under its reference."""
        ours = translated(error, timeout_s=self.settings.statement_timeout_s)
        if isinstance(ours, ReaderGoneError):
            return ours
        # What was stopped is what one most wants to see the plan of.
        self.monitor.questions.remember(query.parameters_hash, query)
        with self._lock:
            self._failures[query.key] = ours.again()
        _log_failure(query, ours)
        if flight.background:
            self._record_failure(query, ours, Timings(wait_ms=ms_since(flight.began)), context, is_own=True)
        return ours

    def _land(self, query: Query, flight: Flight) -> Landed:
        queued_ms = ms_since(flight.began)
        asked_at, clock = utc_now(), Clock()
        flight.check_wanted()
        if not flight.refresh:
            entry = self.cache.shared(query.key)
            if entry is not None and self._fresh(entry, query):
                return Landed(entry, "hit", Timings(wait_ms=queued_ms, cache_ms=clock.lap_ms()))
        looking_ms = clock.lap_ms()
        locking_ms = 0.0

        def creator() -> Entry:
            nonlocal locking_ms
            locking_ms = clock.lap_ms()
            created = execute(self.database, query, flight, self._closing)
            clock.lap_ms()
            return created

        ttl = timedelta(seconds=self._ttl_s(query))
        entry, executed = self.cache.compute(
            query.key,
            creator,
            keep_s=self._ttl_s(query) + self.settings.cache_stale_s,
            fresher_than=asked_at if flight.refresh else asked_at - ttl,
            waiting=flight.check_wanted,
        )
        if not executed:
            return Landed(entry, "shared", Timings(wait_ms=queued_ms + clock.lap_ms(), cache_ms=looking_ms))
        timings = dataclasses.replace(
            entry.timings,
            wait_ms=queued_ms + locking_ms + entry.timings.wait_ms,
            cache_ms=looking_ms + clock.lap_ms(),
        )
        return Landed(entry, "miss", timings)

    def _end(self, query: Query, flight: Flight) -> None:
        with self._lock:
            self._in_air.discard(flight)
            if self._flights.get(query.key) is flight:
                del self._flights[query.key]

    def _flights_in_air(self) -> list[Flight]:
        with self._lock:
            return list(self._in_air)

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_S):
            for flight in self._flights_in_air():
                try:
                    flight.abandon_if_unwanted()
                except Exception:  # one reader that cannot be asked must not end the watch over all others
                    log.exception("a reader cannot be asked whether they are still there; taken to stay")
                    flight.join(None)

    # ---- finishing: the result, and the record of it

    def _finish(self, pending: _Pending, context: Context) -> Result:
        query, waited_ms = pending.query, 0.0
        if pending.flight is not None:
            try:
                pending.landed = pending.flight.wait(context.reader, context.meanwhile)
            except UsageDashboardError as error:
                pending.error = error.again()
            waited_ms = ms_since(pending.started)
            pending.flight = None
            if pending.landed is not None and not pending.own_flight:
                joined: Outcome = "shared" if pending.landed.outcome == "miss" else pending.landed.outcome
                pending.landed = Landed(pending.landed.entry, joined, Timings(wait_ms=waited_ms))
        if pending.error is not None:
            if not isinstance(pending.error, ReaderGoneError):
                self._record_failure(
                    query, pending.error, Timings(wait_ms=waited_ms), context, is_own=pending.own_flight
                )
            raise pending.error.again()
        assert pending.landed is not None, "a question was started neither from a cache nor in the air"
        entry, outcome, timings = pending.landed.entry, pending.landed.outcome, pending.landed.timings
        if outcome != "miss":
            self._record(query, entry, outcome, timings, context)
        return Result(
            query=query,
            frame=shallow_copy(entry.frame),
            as_of=entry.computed_at,
            outcome=outcome,
            timings=timings,
            computed=entry.timings,
            sql=entry.sql,
            parameters=entry.parameters,
        )

    def _record(self, query: Query, entry: Entry, outcome: Outcome, timings: Timings, context: Context) -> None:
        statement, parameters_hash = fingerprint(entry.sql), query.parameters_hash
        self.monitor.record(
            Execution(
                at=utc_now(),
                query=query.name,
                fingerprint=statement,
                parameters=entry.parameters,
                parameters_hash=parameters_hash,
                scope_digest=query.scope.digest,
                page=context.page,
                run_id=context.run_id,
                role=context.role,
                outcome=outcome,
                timings=timings,
                rows=len(entry.frame),
                slow=outcome == "miss" and self.monitor.is_slow(timings),
                asked_by=context.asked_by,
                plan_hash=self.monitor.plan_hash(statement, parameters_hash) if outcome == "miss" else None,
            )
        )

    def _record_failure(
        self, query: Query, error: UsageDashboardError, timings: Timings, context: Context, *, is_own: bool
    ) -> None:
        """`is_own`: it failed here, and is no failure of another that this one waited for or was told of."""
        self.monitor.record(
            Execution(
                at=utc_now(),
                query=query.name,
                fingerprint=None,
                parameters={},
                parameters_hash=query.parameters_hash,
                scope_digest=query.scope.digest,
                page=context.page,
                run_id=context.run_id,
                role=context.role,
                outcome="error",
                timings=timings,
                rows=None,
                # One that ran into the timeout is the slowest of all.
                slow=is_own and isinstance(error, StatementTimeoutError),
                asked_by=context.asked_by,
                error=f"{type(error).__name__}: {error.message}",
                reference=error.reference,
            )
        )

    # ---- how old is too old

    def _ttl_s(self, query: Query) -> float:
        return self.settings.cache_live_ttl_s if query.freshness == "live" else self.settings.cache_ttl_s

    def _fresh(self, entry: Entry, query: Query) -> bool:
        return _age_s(entry) < self._ttl_s(query)

    def _may_stand_in(self, entry: Entry, query: Query) -> bool:
        return _age_s(entry) < self._ttl_s(query) + self.settings.cache_stale_s

    def _remembered_failure(self, key: str) -> UsageDashboardError | None:
        with self._lock:
            return self._failures.get(key)


def _log_failure(query: Query, error: UsageDashboardError) -> None:
    cause = error.__cause__
    if cause is not None and not isinstance(cause, sa.exc.SQLAlchemyError | psycopg.Error):
        # A defect of ours, of which the page says no more than its kind.
        log.error("query %s failed, reference %s", query.name, error.reference, exc_info=cause)
    elif isinstance(error, ArgumentError | PeriodError | NotFoundError):
        log.info("query %s was refused: %s (reference %s)", query.name, error.message, error.reference)
    else:
        log.warning("query %s failed: %s (reference %s)", query.name, error.message, error.reference)


def _age_s(entry: Entry) -> float:
    return (datetime.now(UTC) - entry.computed_at).total_seconds()
