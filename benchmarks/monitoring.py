"""What it costs to record a statement: the line that asked, its fingerprint, the record, counters, and every sink.

    python -m benchmarks.monitoring

Sinks are those of a running server: the query log's queue and the keeper of plans. `bare` is the same loop without any
of it; the cost is the difference.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable

from benchmarks import ground
from benchmarks.measuring import measured_in_turn
from benchmarks.questions import asked
from benchmarks.report import Bound, concluded, print_table, shown
from dashboard.services import Services
from queries.entry import Entry
from queries.performance.asking import asked_by
from queries.performance.monitor import Monitor
from queries.query import Query, Timings
from queries.runner import Context, Runner
from queries.scope import Scope

ROWS = 1_000
MOST_MS = 0.05
STATEMENTS, TURNS, EACH = 20, 30, 10
_WAIT_S = 30.0


def main() -> int:
    settings = {"slow_query_ms": 600_000.0}
    with (
        ground.filled_server(ROWS) as server,
        ground.open_services(ground.settings_for(server, **settings)) as held,
    ):
        found = _measured(held)
        dropped = _dropped(held)
    bare_ms = found.pop("bare loop")
    per_statement = {name: (median - bare_ms[0], p95 - bare_ms[1]) for name, (median, p95) in found.items()}
    print_table(
        f"Milliseconds per statement, {STATEMENTS} at a time, less the bare loop ({dropped} records dropped)",
        ("", "median", "p95"),
        [(name, shown(median), shown(p95)) for name, (median, p95) in per_statement.items()],
    )
    return concluded(Bound(f"monitoring, {name}", median, MOST_MS) for name, (median, _) in per_statement.items())


def _dropped(held: Services) -> int:
    """The records that the log did not take, once it has written the others."""
    log, deadline_s = held.query_log, time.monotonic() + _WAIT_S
    assert log is not None, "the ground has a log"
    while log.written + log.dropped < TURNS * EACH * STATEMENTS and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return log.dropped


def _measured(held: Services) -> dict[str, tuple[float, float]]:
    """For each way of recording: the median and p95 of one statement's share of a loop."""
    scope = Scope.all_tenants()
    query, context = asked(scope, 100), Context(scope, page="benchmark", run_id="benchmark")
    held.runner.run(query, context)
    entry = held.cache.local(query.key)
    assert entry is not None, "the answer was not kept"
    alone = Monitor(slow_query_ms=600_000.0)
    ways = {
        "bare loop": lambda: None,
        "record() without sinks": _recording(held, alone, query, entry, context),
        "record() with query log and plans": _recording(held, held.monitor, query, entry, context),
    }
    times = measured_in_turn([_loop(one) for one in ways.values()], turns=TURNS, each=EACH)
    return {name: (one.median_ms / STATEMENTS, one.p95_ms / STATEMENTS) for name, one in zip(ways, times, strict=True)}


def _recording(held: Services, monitor: Monitor, query: Query, entry: Entry, context: Context) -> Callable[[], None]:
    """Everything that the runner does for the monitor when a statement has been run."""
    timings, numbers = Timings(database_ms=12.0, fetch_ms=1.0), itertools.count()

    runner = Runner(held.database, held.cache, monitor)
    runner.close()  # its threads are not needed

    def record() -> None:
        monitor.questions.remember(f"{next(numbers):016x}", query)
        runner._record(query, entry, "miss", timings, context.by_line(asked_by()))

    return record


def _loop(record: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(STATEMENTS):
            record()

    return run


if __name__ == "__main__":
    sys.exit(main())
