"""What a statement really takes, without and with indexes that are really built, and what the planner expects.

An index is built inside a transaction that is rolled back, so that nothing is left and the next candidate starts alike.
An index-only scan there reads as it would later: rows were made before, and the visibility map stands.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.truth.case import Candidate, Case, Values
from benchmarks.truth.ground import TenantKind

Connection = psycopg.Connection[Any]
Parameters = Mapping[TenantKind, Values]
Times = Mapping[TenantKind, float]

RUNS = 5
# Longer statements vary less, and are run less often.
LONG_MS, LONG_RUNS = 40.0, 3

_INDEXES = "SELECT indexrelid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid >= 16384"


def raw(connection: Connection) -> psycopg.RawCursor[Any]:
    """A cursor that takes `$1`; values are bound, so that the plan is theirs."""
    return psycopg.RawCursor(connection)


@contextmanager
def built(connection: Connection, definitions: Sequence[str]) -> Iterator[frozenset[str]]:
    """These indexes (each as after CREATE INDEX ON, or a whole statement of its own) for as long as the block lasts;
    yields what PostgreSQL says they are, but for their names."""
    with connection.transaction(force_rollback=True), raw(connection) as cursor:
        before = set(cursor.execute(_INDEXES).fetchall())
        for definition in definitions:
            whole = definition.lstrip().upper().startswith(("CREATE", "DROP", "ANALYZE"))
            cursor.execute(definition.replace(" CONCURRENTLY", "") if whole else f"CREATE INDEX ON {definition}")
        made = set(cursor.execute(_INDEXES).fetchall()) - before
        yield frozenset(text.partition(" ON ")[2] for _, text in made)


def explained(connection: Connection, sql: str, values: Values, options: str = "") -> dict[str, Any]:
    """EXPLAIN's answer for one statement with its values."""
    with raw(connection) as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON{options}) {sql}", values)
        found = cursor.fetchone()
        assert found is not None, "EXPLAIN answers one row"
        document: dict[str, Any] = found[0][0]
        return document


def times_ms(connection: Connection, sql: str, parameters: Parameters) -> dict[TenantKind, float]:
    """For each kind of tenant the median execution time of some runs, after one that does not count."""
    return {kind: _time_ms(connection, sql, values) for kind, values in parameters.items()}


def costs(connection: Connection, sql: str, parameters: Parameters) -> dict[TenantKind, float]:
    """For each kind of tenant what the planner expects."""
    return {
        kind: float(explained(connection, sql, values)["Plan"]["Total Cost"]) for kind, values in parameters.items()
    }


def with_candidate(case: Case, candidate: Candidate, parameters: Parameters) -> tuple[str, dict[TenantKind, Values]]:
    """Statement and values as they are once the candidate is there."""
    return candidate.sql or case.sql, {kind: candidate.values(values) for kind, values in parameters.items()}


def _time_ms(connection: Connection, sql: str, values: Values) -> float:
    first_ms = _run_ms(connection, sql, values)
    runs = LONG_RUNS if first_ms > LONG_MS else RUNS
    return statistics.median(_run_ms(connection, sql, values) for _ in range(runs))


def _run_ms(connection: Connection, sql: str, values: Values) -> float:
    return float(explained(connection, sql, values, ", ANALYZE, TIMING OFF")["Execution Time"])
