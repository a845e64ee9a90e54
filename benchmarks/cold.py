"""What `run` adds to bare psycopg when no cache has the answer.

    python -m benchmarks.cold

Both fetch the same rows by the same SQL with the same parameters, in turn. Ours checks the connection, begins a
read-only transaction with its settings, builds and checks the statement, makes a frame, keeps it and records it.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import psycopg

from benchmarks import ground
from benchmarks.measuring import Times, timed_ms
from benchmarks.questions import asked
from benchmarks.report import Bound, concluded, print_table, shown
from dashboard.services import Services
from queries.database import ALL_TENANTS, TENANTS_SETTING
from queries.embedded import EmbeddedServer, databases
from queries.query import Query, Timings
from queries.runner import Context
from queries.scope import Scope

ROWS = (1, 100, 1_000, 10_000)
# What a page draws: a page of a listing, a chart of one series over 400 buckets. 10,000 rows are for comparison.
PAGE_ROWS = 1_000
OVERHEAD_MOST_MS = 5.0
PAIRS, WARM_UP_PAIRS = 200, 20
GENERATIONS = 50_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Times of both, their paired differences, and the parts of ours as the runner told them."""

    rows: int
    bare: Times
    ours: Times
    parts: Timings

    @property
    def overhead_ms(self) -> float:
        pairs = zip(self.ours.samples_ms, self.bare.samples_ms, strict=True)
        return statistics.median(ours - bare for ours, bare in pairs)

    def line(self) -> Iterator[str]:
        yield f"{self.rows:,}"
        for value in (self.bare.median_ms, self.ours.median_ms, self.overhead_ms, *astuple(self.parts)):
            yield shown(value)
        yield shown(max(0.0, self.ours.median_ms - sum(astuple(self.parts))))


def main() -> int:
    with (
        ground.filled_server(GENERATIONS) as server,
        ground.open_services(ground.settings_for(server, slow_query_ms=600_000.0)) as held,
        _bare_connection(server) as connection,
    ):
        found = [_measured(held, connection, rows) for rows in ROWS]
    parts = ("connection, settings", "execute", "fetch", "frame", "cache", "rest")
    print_table(
        "Milliseconds without a cache, medians; the parts are those of run",
        ("rows", "bare psycopg", "run", "overhead", *parts),
        [tuple(one.line()) for one in found],
    )
    drawn = [one for one in found if one.rows <= PAGE_ROWS]
    return concluded(Bound(f"overhead, {one.rows:,} rows", one.overhead_ms, OVERHEAD_MOST_MS) for one in drawn)


@contextmanager
def _bare_connection(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    """As the same role, with the same settings, set once."""
    url = server.url(ground.DATABASE, databases.READER)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SELECT set_config('TimeZone', 'UTC', false)")
        connection.execute(f"SELECT set_config('{TENANTS_SETTING}', '{ALL_TENANTS}', false)")
        yield connection


def _measured(held: Services, connection: psycopg.Connection[Any], rows: int) -> Measured:
    scope = Scope.all_tenants()
    context = Context(scope, page="benchmark", refresh=True)
    sql, parameters = _sent(held, asked(scope, rows))
    bare_ms: list[float] = []
    ours_ms: list[float] = []
    timings: list[Timings] = []

    def fetch() -> None:
        assert len(connection.execute(sql, parameters).fetchall()) == rows

    def run() -> None:
        answer = held.runner.run(asked(scope, rows), context)
        assert (answer.rows, answer.outcome) == (rows, "miss")
        timings.append(answer.timings)

    for pair in range(WARM_UP_PAIRS + PAIRS):
        for action, taken in ((fetch, bare_ms), (run, ours_ms))[:: 1 if pair % 2 else -1]:
            taken.append(timed_ms(action))
    parts = zip(*(astuple(one) for one in timings[WARM_UP_PAIRS:]), strict=True)
    return Measured(
        rows=rows,
        bare=Times(bare_ms[WARM_UP_PAIRS:]),
        ours=Times(ours_ms[WARM_UP_PAIRS:]),
        parts=Timings(*(statistics.median(part) for part in parts)),
    )


def _sent(held: Services, query: Query) -> tuple[str, Any]:
    """SQL and parameters as the runner's connection sends them."""
    with held.database.reading(query.scope, held.settings.statement_timeout_s) as connection:
        sent: Any = connection.execute(query.statement(held.database.tables())).context
        return sent.statement, sent.parameters[0]


if __name__ == "__main__":
    sys.exit(main())
