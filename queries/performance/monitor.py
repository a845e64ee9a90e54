"""Every answered question is recorded: in memory always, counted for Prometheus, and logged when it was slow."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import pglast
from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily

from queries.performance.questions import Questions
from queries.query import Outcome, Timings

log = logging.getLogger(__name__)

RING_ROWS = 20_000
PLAN_HASHES_KEPT = 10_000
# Statements of these parameters may hold what a person wrote or who they are.
_PERSONAL = re.compile(r"search|prompt|email|name|like|error", re.IGNORECASE)
_LONG_LIST = 8
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Execution:
    """One answered question. `parameters` are masked; `parameters_hash` is of the true arguments. `at` is when it was
    answered: it began as long before as its timings say. `asked_by` is the line of our code that asked, "" when that is
    not known; `plan_hash` the plan that was known for it by then."""

    at: datetime
    query: str
    fingerprint: str | None
    parameters: Mapping[str, Any]
    parameters_hash: str
    scope_digest: str
    page: str
    run_id: str
    role: str
    outcome: Outcome
    timings: Timings
    rows: int | None
    slow: bool
    error: str | None = None
    reference: str | None = None
    asked_by: str = ""
    plan_hash: str | None = None


class Monitor:
    """Records executions. `add_sink` hands each one on (the query log); a sink must not block. `questions` are the true
    questions behind them, in memory only."""

    def __init__(self, *, slow_query_ms: float, ring_rows: int = RING_ROWS) -> None:
        self.slow_query_ms = slow_query_ms
        self.registry = CollectorRegistry()
        self.questions = Questions()
        # By fingerprint and parameters, and by fingerprint alone under "".
        self._plan_hashes: LRUCache[tuple[str, str], str] = LRUCache(PLAN_HASHES_KEPT)
        self._ring: deque[Execution] = deque(maxlen=ring_rows)
        self._sinks: list[Callable[[Execution], None]] = []
        self._children: dict[tuple[str, str], tuple[Histogram, Histogram]] = {}
        self._lock = threading.Lock()
        self._answers = Histogram(
            "usage_dashboard_answer_seconds",
            "Time that a question took until it was answered, by name and cache outcome.",
            ["query", "outcome"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._database = Histogram(
            "usage_dashboard_database_seconds",
            "Time in the database of questions that were run, by name.",
            ["query"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )

    def add_sink(self, sink: Callable[[Execution], None]) -> None:
        self._sinks.append(sink)

    def add_gauges(self, read: Callable[[], Mapping[str, tuple[str, float]]]) -> None:
        """Gauges read at each scrape: name -> (help, value)."""
        self.registry.register(_Gauges(read))

    def is_slow(self, timings: Timings) -> bool:
        return timings.database_ms + timings.fetch_ms >= self.slow_query_ms

    def record(self, execution: Execution) -> None:
        """Keep it, count it, hand it to the sinks. Costs microseconds and never raises on a full log."""
        self._ring.append(execution)
        answer, database = self._histograms(execution.query, execution.outcome)
        timings = execution.timings
        in_database_ms = timings.database_ms + timings.fetch_ms
        answer.observe((timings.wait_ms + in_database_ms + timings.frame_ms + timings.cache_ms) / 1000)
        if execution.outcome == "miss":
            database.observe(in_database_ms / 1000)
        if execution.slow:
            log.warning(
                "slow query %s: %.0f ms in the database, %s rows, page %s",
                execution.query, in_database_ms, execution.rows, execution.page,
            )  # fmt: skip
        for sink in self._sinks:
            sink(execution)

    def recent(self) -> list[Execution]:
        """The newest executions, oldest first."""
        return list(self._ring)

    def note_plan(self, fingerprint: str, parameters_hash: str, plan_hash: str) -> None:
        """Remember which plan this call of the statement has; it is the newest one known of the statement too."""
        with self._lock:
            self._plan_hashes[fingerprint, parameters_hash] = plan_hash
            self._plan_hashes[fingerprint, ""] = plan_hash

    def plan_hash(self, fingerprint: str | None, parameters_hash: str = "") -> str | None:
        """The plan known of this call of the statement, else the newest one known of the statement."""
        if fingerprint is None:
            return None
        with self._lock:
            found = self._plan_hashes.get((fingerprint, parameters_hash))
            return found if found is not None else self._plan_hashes.get((fingerprint, ""))

    def _histograms(self, query: str, outcome: Outcome) -> tuple[Histogram, Histogram]:
        found = self._children.get((query, outcome))
        if found is None:
            with self._lock:
                found = (self._answers.labels(query, outcome), self._database.labels(query))
                self._children[query, outcome] = found
        return found


class _Gauges:
    def __init__(self, read: Callable[[], Mapping[str, tuple[str, float]]]) -> None:
        self._read = read

    def collect(self) -> Any:
        for name, (help_text, value) in self._read().items():
            yield GaugeMetricFamily(name, help_text, value=value)


@lru_cache(maxsize=4096)
def fingerprint(sql: str) -> str | None:
    """The fingerprint of a statement with `%(name)s` parameters, by PostgreSQL's own parser; None if unreadable."""
    seen: dict[str, int] = {}
    numbered = re.sub(r"%\((\w+)\)s", lambda match: f"${seen.setdefault(match.group(1), len(seen) + 1)}", sql).replace(
        "%%", "%"
    )
    try:
        return str(pglast.fingerprint(numbered))
    except pglast.parser.ParseError:
        return None


def masked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the log and the page may show them: what a person wrote is hidden, long lists are counted."""
    return {name: _masked_value(name, value) for name, value in parameters.items()}


def utc_now() -> datetime:
    return datetime.now(UTC)


def _masked_value(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) > _LONG_LIST:
        return f"({len(value)} values)"
    if isinstance(value, str) and value and _PERSONAL.search(name):
        return "(hidden)"
    if isinstance(value, list | tuple):
        return [_masked_value(name, one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
