"""Live traffic against the real database, a restart of it included."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from demo.simulator import Simulator

BUSY_PER_S = 40.0


@contextmanager
def running(simulator: Simulator) -> Iterator[None]:
    simulator.start()
    try:
        yield
    finally:
        simulator.stop()


def eventually(check: Callable[[], bool], timeout_s: float = 30) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.05)
    return False


def number(url: str, query: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
    return int(row[0])


GENERATIONS = 'SELECT count(*) FROM "Generation"'
FINISHED_JUST_NOW = """SELECT count(*) FROM "Generation"
    WHERE "completedAt" > now() AT TIME ZONE 'UTC' - interval '1 minute'"""
# Left by the small demo, which ends on 15 June 2026; ids sort by time.
UNFINISHED = """SELECT count(*) FROM "Generation" g JOIN "Organization" o ON o."id" = g."organizationId"
    WHERE "status" IN ('PENDING', 'PROCESSING') AND g."id" < 'gen_1781520000000'"""
HANGING = UNFINISHED + " AND \"slug\" IN ('quartz-retail', 'signal-hill')"
OFF = """SELECT count(*) FROM (SELECT b."organizationId" FROM "CreditBalance" b JOIN "CreditTransaction" t
         USING ("organizationId") GROUP BY 1, b."balance" HAVING b."balance" <> sum(t."amount")) o"""


def test_it_writes_through_the_operations_and_stops_at_once(app_url: str) -> None:
    before = number(app_url, GENERATIONS)
    simulator = Simulator(lambda: psycopg.connect(app_url), BUSY_PER_S, seed=1)
    with running(simulator):
        assert eventually(lambda: number(app_url, GENERATIONS) > before + 20)
        assert eventually(lambda: number(app_url, FINISHED_JUST_NOW) > 0)
        started = time.monotonic()
        simulator.stop()
        took_s = time.monotonic() - started
    # The bound of stop() is a promise to whoever ends the server.
    assert took_s < 1
    assert not any(thread.name == "demo-simulator" for thread in threading.enumerate())
    after = number(app_url, GENERATIONS)
    time.sleep(0.3)
    assert number(app_url, GENERATIONS) == after
    assert number(app_url, OFF) == 1


def test_it_finishes_what_earlier_runs_left_but_not_what_hangs(app_url: str) -> None:
    left, stuck = number(app_url, UNFINISHED), number(app_url, HANGING)
    assert left > stuck > 0
    with running(Simulator(lambda: psycopg.connect(app_url), 0.001, seed=1)):
        assert eventually(lambda: number(app_url, UNFINISHED) == stuck)
    assert number(app_url, OFF) == 1


def test_it_survives_a_cut_connection_and_a_dead_server_with_one_warning(
    app_url: str, superuser_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "demo.simulator")
    away = threading.Event()

    def connect() -> psycopg.Connection[Any]:
        if away.is_set():
            return psycopg.connect("postgresql://app@127.0.0.1:1/none", connect_timeout=2)
        return psycopg.connect(app_url, application_name="simulator-under-test")

    with running(Simulator(connect, BUSY_PER_S, seed=1)):
        before = number(app_url, GENERATIONS)
        assert eventually(lambda: number(app_url, GENERATIONS) > before)
        away.set()
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'simulator-under-test'"  # noqa: E501
        assert number(superuser_url, cut) == 1
        assert eventually(lambda: "waits for the database" in caplog.text)
        time.sleep(1.2)  # several attempts in vain
        away.clear()
        before = number(app_url, GENERATIONS)
        assert eventually(lambda: number(app_url, GENERATIONS) > before + 3)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].exc_info is None
    assert "live traffic goes on" in caplog.text
    assert number(app_url, OFF) == 1


def test_it_waits_quietly_for_a_database_without_tables(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = Simulator(lambda: psycopg.connect(empty_database_url), BUSY_PER_S)
    with running(simulator):
        assert eventually(lambda: "waits for the database" in caplog.text)
        time.sleep(1)
    assert len(caplog.records) == 1


def test_starting_twice_is_one_and_stopping_unstarted_is_nothing(app_url: str) -> None:
    simulator = Simulator(lambda: psycopg.connect(app_url))
    simulator.stop()
    with running(simulator):
        simulator.start()
        assert sum(thread.name == "demo-simulator" for thread in threading.enumerate()) == 1
    with pytest.raises(ValueError, match="above 0"):
        Simulator(lambda: psycopg.connect(app_url), 0)
