"""The query log on disk: executions in batches to `usage_dashboard.query_log`. It never slows a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from queries.batches import QUEUE_RECORDS, Batches
from queries.performance.monitor import Execution, utc_now
from queries.tables import OUR_SCHEMA

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
    """The log's queue and its writing thread. A full queue drops records and counts them."""

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
        self._swept_at = float("-inf")
        self._batches = Batches("query log", self._write, queue_records=queue_records)

    @property
    def dropped(self) -> int:
        return self._batches.dropped

    @property
    def written(self) -> int:
        return self._batches.written

    def start(self) -> None:
        self._batches.start()

    def add(self, execution: Execution) -> None:
        """Queue one record; returns at once."""
        self._batches.add(execution)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the time allows, and end."""
        self._batches.stop(timeout_s)

    def _write(self, batch: Sequence[Execution]) -> None:
        sweeping = time.monotonic() - self._swept_at > _SWEEP_S
        if not batch and not sweeping:
            return
        with self._engine.begin() as connection:
            if batch:
                connection.execute(sa.insert(QUERY_LOG), [self._row(one) for one in batch])
            if sweeping:
                connection.execute(sa.delete(QUERY_LOG).where(QUERY_LOG.c.at < utc_now() - self._keep))
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
