"""Twenty people open the same cold page at once, on two server processes that share Redis.

    python -m benchmarks.stampede

Executions are counted by PostgreSQL (pg_stat_statements).
"""

from __future__ import annotations

import multiprocessing
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import psycopg

from benchmarks import ground
from benchmarks.questions import slow
from benchmarks.report import Bound, concluded, print_table
from dashboard.services import Services
from queries.embedded import EmbeddedServer
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings

PROCESSES, REQUESTS_EACH = 2, 10
STATEMENT_S = 0.4
ANSWERED_WITHIN = 1.3
ROUNDS = 5
# From the order to start until the threads run: all of them wait for one moment.
_HEAD_START_S = 0.3
_SCOPE = Scope.all_tenants()


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is told: ask at `at_s` of the system's monotonic clock."""

    tag: str
    at_s: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Round:
    executions: int
    answers_ms: list[float]

    @property
    def slowest_ms(self) -> float:
        return max(self.answers_ms)


def main() -> int:
    with ground.filled_server(1_000) as server, ground.redis_server() as redis_url:
        settings = ground.settings_for(server, redis_url=redis_url, pool_size=REQUESTS_EACH, slow_query_ms=600_000.0)
        with _processes(settings) as processes:
            cached = [_round(server, processes, cached=True) for _ in range(ROUNDS)]
            uncached = [_round(server, processes, cached=False) for _ in range(ROUNDS)]
    _print(cached, uncached)
    most_ms = ANSWERED_WITHIN * STATEMENT_S * 1000
    return concluded(
        [
            Bound("rounds with more or less than 1 execution", sum(one.executions != 1 for one in cached), 0, "rounds"),
            Bound("slowest answer, worst round", max(one.slowest_ms for one in cached), most_ms),
        ]
    )


def _print(cached: list[Round], uncached: list[Round]) -> None:
    rows = [
        (name, str(number), str(one.executions), f"{one.slowest_ms:.0f}")
        for name, rounds in (("run, Redis shared", cached), ("without caches", uncached))
        for number, one in enumerate(rounds, start=1)
    ]
    title = f"{PROCESSES * REQUESTS_EACH} identical requests, {PROCESSES} processes, a statement of {STATEMENT_S} s"
    print_table(title, ("", "round", "executions", "slowest answer, ms"), rows)


def _round(server: EmbeddedServer, processes: list[Connection], *, cached: bool) -> Round:
    with psycopg.connect(ground.superuser_url(server), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        order = Order(f"tag_{secrets.token_hex(6)}", time.monotonic() + _HEAD_START_S, cached)
        for one in processes:
            one.send(order)
        answers_ms = [answer_ms for one in processes for answer_ms in one.recv()]
        # The statistics tell statements apart by what they do, not by a name in them: hence the reset before.
        counting = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE query LIKE %s"
        found = connection.execute(counting, ["SELECT CAST(pg_sleep(%"]).fetchone()
    assert found is not None, "an aggregate returns a row"
    return Round(int(found[0]), answers_ms)


@contextmanager
def _processes(settings: Settings) -> Iterator[list[Connection]]:
    """Server processes, warmed up, that wait for orders; None ends them."""
    fresh = multiprocessing.get_context("spawn")
    pipes = [fresh.Pipe() for _ in range(PROCESSES)]
    workers = [fresh.Process(target=_serve, args=(settings, theirs), daemon=True) for _, theirs in pipes]
    for worker in workers:
        worker.start()
    ours = [one for one, _ in pipes]
    try:
        for one in ours:
            assert one.recv() == "ready"
        yield ours
    finally:
        for one, worker in zip(ours, workers, strict=True):
            one.send(None)
            worker.join(10)


def _serve(settings: Settings, orders: Connection) -> None:
    with ground.open_services(settings) as held, ThreadPoolExecutor(REQUESTS_EACH) as threads:
        _ask_all(held, threads, Order(f"warm_{secrets.token_hex(6)}", 0.0, cached=True))
        _ask_all(held, threads, Order("warm", 0.0, cached=False))
        orders.send("ready")
        while (order := orders.recv()) is not None:
            orders.send(_ask_all(held, threads, order))


def _ask_all(held: Services, threads: ThreadPoolExecutor, order: Order) -> list[float]:
    ask = _ask_runner if order.cached else _ask_database
    return list(threads.map(lambda _: _answered_ms(held, order, ask), range(REQUESTS_EACH)))


def _answered_ms(held: Services, order: Order, ask: Callable[[Services, Order], None]) -> float:
    time.sleep(max(0.0, order.at_s - time.monotonic()))
    ask(held, order)
    return (time.monotonic() - order.at_s) * 1000


def _ask_runner(held: Services, order: Order) -> None:
    answer = held.runner.run(slow(_SCOPE, seconds=STATEMENT_S, tag=order.tag), Context(_SCOPE, page="benchmark"))
    assert answer.rows == 1


def _ask_database(held: Services, order: Order) -> None:
    statement = slow(_SCOPE, seconds=STATEMENT_S, tag=order.tag).statement(held.database.tables())
    with held.database.reading(_SCOPE, held.settings.statement_timeout_s) as connection:
        assert len(connection.execute(statement).fetchall()) == 1


if __name__ == "__main__":
    sys.exit(main())
