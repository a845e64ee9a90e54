"""A statement's time in the database, measured a few times now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import psycopg
from psycopg import sql

from queries.performance.index_offers import Lookup
from queries.query import Query
from queries.runner import Context, Runner

RUNS = 5
# Nobody waits longer for the runs of one statement; one run there always is.
_LONG_ENOUGH_S = 5.0


@dataclass(frozen=True, slots=True)
class Times:
    """How often a statement ran, and its median and 95th percentile."""

    calls: int
    p50_ms: float
    p95_ms: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Times:
        return cls(int(kept["calls"]), float(kept["p50_ms"]), float(kept["p95_ms"]))

    @classmethod
    def of_runs(cls, runs_ms: Sequence[float]) -> Times:
        in_order = sorted(runs_ms)
        return cls(len(in_order), in_order[(len(in_order) - 1) // 2], in_order[ceil(0.95 * len(in_order)) - 1])


def measure_question(runner: Runner, question: Query) -> tuple[Times, str]:
    """The question run past the caches a few times, and the statement that was sent."""
    context = Context(question.scope, role="admin", page="indexes", refresh=True)
    runs_ms: list[float] = []
    began, sent = time.monotonic(), runner.run(question, context).sql  # the first run fills the server's memory
    while len(runs_ms) < RUNS and (not runs_ms or time.monotonic() - began < _LONG_ENOUGH_S):
        result = runner.run(question, context)
        runs_ms.append(result.computed.database_ms + result.computed.fetch_ms)
    return Times.of_runs(runs_ms), sent


def measure_lookup(connection: psycopg.Connection[Any], lookup: Lookup) -> Times | None:
    """A search by these columns for a value that is there; None when the table is empty."""
    columns = [sql.Identifier(one) for one in lookup.columns]
    table = sql.Identifier(lookup.schema, lookup.table)
    known = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(one) for one in columns)
    some = sql.SQL("SELECT {} FROM {} WHERE {} LIMIT 1").format(sql.SQL(", ").join(columns), table, known)
    value = connection.execute(some).fetchone()
    if value is None:
        return None
    equal = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(one) for one in columns)
    search = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table, equal)
    runs_ms = []
    connection.execute(search, value).fetchone()
    for _ in range(RUNS):
        began = time.perf_counter()
        connection.execute(search, value).fetchone()
        runs_ms.append((time.perf_counter() - began) * 1000)
    return Times.of_runs(runs_ms)
