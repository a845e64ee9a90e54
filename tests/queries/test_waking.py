"""A database that scales to zero: its connections are cut, the next ones are answered late, and no page fails."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from dashboard.services import Services
from queries import database as database_module
from queries.errors import DatabaseWakingError
from queries.runner import Context
from queries.scope import Scope
from tests.on_the_way import Way
from tests.queries.asking import MakeServices, plain_query

ALL = Context(Scope.all_tenants())
SLEEPS_S = 1.2


@pytest.fixture
def way(reader_url: str) -> Iterator[Way]:
    made = Way(reader_url)
    yield made
    made.close()


@pytest.fixture
def held(make_services: MakeServices, way: Way) -> Callable[..., Services]:
    """Services that read by this way; they write by another."""
    return lambda **settings: make_services(database_url=way.url, **settings)


def asked(name: str) -> Any:
    return plain_query(f"test.{name}", sa.select(sa.literal(name).label("name")))


def test_a_question_waits_for_the_database_to_wake_and_whoever_looks_can_tell(held: Any, way: Way) -> None:
    services = held()
    assert services.runner.run(asked("before"), ALL).rows == 1
    way.sleep()
    answers = services.runner.run_all({"q": asked("after")}, ALL)
    until(lambda: services.database.waking.since_s is not None)
    way.wake()
    assert answers["q"].frame["name"].tolist() == ["after"]
    until(lambda: services.database.waking.since_s is None)


@pytest.mark.parametrize("starting", [False, True], ids=["answers late", "says that it starts"])
def test_everybody_who_asks_meanwhile_is_answered(held: Any, way: Way, starting: bool) -> None:
    """More than there are connections, and for longer than one may wait for a free one."""
    services = held(pool_size=2, pool_wait_s=0.3)
    way.sleep(starting=starting)
    answers = services.runner.run_all({str(one): asked(str(one)) for one in range(8)}, ALL)
    way.wake(SLEEPS_S)
    assert [answers[str(one)].frame["name"][0] for one in range(8)] == [str(one) for one in range(8)]


def test_it_is_asked_again_and_with_growing_pauses(held: Any, way: Way) -> None:
    services = held()
    way.sleep(starting=True)
    answers = services.runner.run_all({"q": asked("one")}, ALL)
    until(lambda: way.asked >= 3)
    way.wake()
    assert answers["q"].rows == 1
    assert way.asked < 20


def test_a_connection_that_is_not_answered_in_time_is_tried_anew(
    held: Any, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_CONNECT_TIMEOUT_S", 2)  # libpq's least
    services = held()
    way.sleep()
    answers = services.runner.run_all({"q": asked("late")}, ALL)
    until(lambda: way.asked >= 2)
    way.wake()
    assert answers["q"].rows == 1


def test_a_statement_that_is_cut_off_is_run_again(held: Any, way: Way) -> None:
    services = held()
    services.database.tables()
    slow = plain_query("test.slow", sa.select(sa.func.pg_sleep(0.4).cast(sa.Text).label("slept")))
    answers = services.runner.run_all({"q": slow}, ALL)
    until(lambda: services.database.pool_use().in_use == 1)
    time.sleep(0.1)
    way.sleep()
    way.wake(0.3)
    assert answers["q"].rows == 1


def test_waiting_is_bounded_and_the_next_question_heals(held: Any, way: Way) -> None:
    services = held(wake_wait_s=0.3)
    way.sleep(starting=True)
    with pytest.raises(DatabaseWakingError, match="sleeps, starts or cannot be reached"):
        services.runner.run(asked("too early"), ALL)
    way.wake()
    until(way._awake.is_set)
    assert services.runner.run(asked("later"), ALL).rows == 1


def test_who_only_asks_whether_it_is_there_does_not_wait(held: Any, way: Way) -> None:
    services = held()
    way.sleep(starting=True)
    asked_before = way.asked
    with pytest.raises(DatabaseWakingError):
        services.database.ping()
    assert way.asked - asked_before <= 2, "a host has two addresses at most here"


def test_closing_ends_the_waiting(held: Any, way: Way) -> None:
    services = held()
    way.sleep(starting=True)
    answers = services.runner.run_all({"q": asked("never")}, ALL)
    until(lambda: services.database.waking.since_s is not None)
    services.database.waking.close()
    services.runner.close()
    with pytest.raises(DatabaseWakingError):
        answers["q"]


def test_an_export_waits_too(held: Any, way: Way) -> None:
    services = held()
    way.sleep(starting=True)
    way.wake(0.5)
    with services.database.own_connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something; what is asserted is that it comes, not when."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it does not come"
        threading.Event().wait(0.01)
