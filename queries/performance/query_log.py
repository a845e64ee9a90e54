"""The query log on disk: executions in batches to `usage_dashboard.query_log`. It never slows a page."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from queries.performance.monitor import Execution, utc_now
from queries.tables import OUR_SCHEMA

log = logging.getLogger(__name__)

QUEUE_RECORDS = 10_000
BATCH_RECORDS = 500
BATCH_S = 1.0
_RETRY_S = 5.0
_SWEEP_S = 3600.0

QUERY_LOG = sa.table(
    "query_log",
    *(sa.column(name) for name in ("at", "query", "fingerprint", "parameters_hash", "scope_digest", "page", "run_id")),
    *(sa.column(name) for name in ("role", "outcome", "wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")),
    *(sa.column(name) for name in ("rows", "slow", "error", "reference", "asked_by", "plan_hash")),
    sa.column("parameters", JSONB),
    schema=OUR_SCHEMA,
)


class QueryLog:
    """A bounded queue and one writing thread. A full queue drops records and counts them."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        keep_days: int,
        queue_records: int = QUEUE_RECORDS,
        plan_hash: Callable[[str | None, str], str | None] | None = None,
    ) -> None:
        """`plan_hash` says which plan is known of a call by the time that its record is written."""
        self._engine = engine
        self._plan_hash = plan_hash
        self._keep = timedelta(days=keep_days)
        self._queue: queue.Queue[Execution] = queue.Queue(maxsize=queue_records)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="query-log", daemon=True)
        self._swept_at = float("-inf")
        self.dropped = 0
        self.written = 0

    def start(self) -> None:
        self._thread.start()

    def add(self, execution: Execution) -> None:
        """Queue one record; returns at once."""
        try:
            self._queue.put_nowait(execution)
        except queue.Full:
            self.dropped += 1

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the time allows, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        batch: list[Execution] = []
        warned = False
        while not (self._stopping.is_set() and self._queue.empty() and not batch):
            batch = batch or self._next_batch()
            try:
                self._write(batch)
            except (sa.exc.DataError, ValueError) as error:
                log.warning("the query log refuses a record (%s); it is dropped", type(error).__name__)
                self._write_singly(batch)
            except sa.exc.SQLAlchemyError as error:
                if not warned:
                    log.warning("the query log cannot be written (%s); records wait in memory", type(error).__name__)
                warned = True
                if self._stopping.wait(_RETRY_S):
                    self.dropped += len(batch) + self._queue.qsize()
                    return
                continue
            warned, batch = False, []

    def _write_singly(self, batch: list[Execution]) -> None:
        """All that can be stored. What PostgreSQL will never take must not hold up what comes after it."""
        for one in batch:
            try:
                self._write([one])
            except (sa.exc.SQLAlchemyError, ValueError):
                self.dropped += 1

    def _next_batch(self) -> list[Execution]:
        batch: list[Execution] = []
        deadline = time.monotonic() + BATCH_S
        while len(batch) < BATCH_RECORDS and (left_s := deadline - time.monotonic()) > 0:
            try:
                batch.append(self._queue.get(timeout=min(left_s, 0.2)))
            except queue.Empty:
                if self._stopping.is_set():
                    break
        return batch

    def _write(self, batch: list[Execution]) -> None:
        sweeping = time.monotonic() - self._swept_at > _SWEEP_S
        if not batch and not sweeping:
            return
        with self._engine.begin() as connection:
            if batch:
                connection.execute(sa.insert(QUERY_LOG), [self._row(one) for one in batch])
            if sweeping:
                connection.execute(sa.delete(QUERY_LOG).where(QUERY_LOG.c.at < utc_now() - self._keep))
        self.written += len(batch)
        if sweeping:
            self._swept_at = time.monotonic()

    def _row(self, execution: Execution) -> dict[str, Any]:
        row = _row(execution)
        if row["plan_hash"] is None and self._plan_hash is not None:
            row["plan_hash"] = self._plan_hash(execution.fingerprint, execution.parameters_hash)
        return row


def _row(execution: Execution) -> dict[str, Any]:
    timings = execution.timings
    return {
        "at": execution.at,
        "query": execution.query,
        "fingerprint": execution.fingerprint,
        "parameters": dict(execution.parameters),
        "parameters_hash": execution.parameters_hash,
        "scope_digest": execution.scope_digest,
        "page": execution.page,
        "run_id": execution.run_id,
        "role": execution.role,
        "outcome": execution.outcome,
        "wait_ms": timings.wait_ms,
        "database_ms": timings.database_ms,
        "fetch_ms": timings.fetch_ms,
        "frame_ms": timings.frame_ms,
        "cache_ms": timings.cache_ms,
        "rows": execution.rows,
        "slow": execution.slow,
        "error": execution.error,
        "reference": execution.reference,
        "asked_by": execution.asked_by or None,
        "plan_hash": execution.plan_hash,
    }
