"""The keeper asks for plans behind the pages: which, how often, and that nothing of it is felt."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from queries.errors import DatabaseUnavailableError
from queries.performance import plan_history, plan_keeping
from queries.performance.monitor import Execution, utc_now
from queries.performance.plan_keeping import PlanKeeper
from queries.performance.plans import Plan
from queries.performance.recorded import Window, read
from queries.query import Timings
from queries.runner import Context
from queries.scope import Scope
from tests.queries.asking import MakeServices, plain_query

ALL = Context(Scope.all_tenants(), role="engineer", page="plans")


def wait_until(is_so: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return is_so()


def execution(fingerprint: str | None = "f1", parameters_hash: str = "h1", **others: Any) -> Execution:
    given = Execution(
        at=utc_now(), query="q", fingerprint=fingerprint, parameters={}, parameters_hash=parameters_hash,
        scope_digest="all", page="p", run_id="r", role="admin", outcome="miss", timings=Timings(database_ms=5), rows=1,
        slow=False,
    )  # fmt: skip
    return replace(given, **others)


def numbers(upto: int, name: str = "numbers") -> Any:
    series = sa.func.generate_series(1, upto).table_valued("n")
    return plain_query(name, sa.select(sa.func.count().label("n")).select_from(series), key=f"{name}-{upto}")


class Idle(PlanKeeper):
    """A keeper whose thread is not started: what is queued stays."""

    @property
    def queued(self) -> list[Execution]:
        return list(self._queue.queue)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plan_keeping, "QUIET_WAIT_S", 0.3)
    monkeypatch.setattr(plan_keeping, "SPARE_WAIT_S", 0.3)
    return None


def test_the_plan_of_a_question_is_kept_dated_and_written(make_services: MakeServices, owner_url: str) -> None:
    made = make_services()
    made.runner.run(numbers(10), ALL)
    assert wait_until(lambda: len(made.plan_keeper.statements()) == 1)
    (kept,) = made.plan_keeper.statements()
    ran = made.monitor.recent()[0]
    assert (kept.query, kept.fingerprint) == ("numbers", ran.fingerprint)
    assert kept.database_ms == pytest.approx(ran.timings.database_ms + ran.timings.fetch_ms)
    assert kept.first_seen_at == kept.last_seen_at == ran.at
    assert made.monitor.plan_hash(ran.fingerprint, ran.parameters_hash) == kept.plan_hash
    with psycopg.connect(owner_url) as connection:
        assert wait_until(
            lambda: connection.execute("SELECT count(*) FROM usage_dashboard.plan").fetchone() == (1,), within_s=5
        )
        row = connection.execute("SELECT plan, plan_hash, first_seen_at FROM usage_dashboard.plan").fetchone()
        statement = connection.execute("SELECT sql, query FROM usage_dashboard.statement").fetchone()
    assert row == (kept.document, kept.plan_hash, kept.first_seen_at)
    assert statement == (kept.sql, "numbers")


def test_without_direct_url_plans_are_kept_in_memory(make_services: MakeServices) -> None:
    made = make_services(direct_url=None)
    made.runner.run(numbers(10), ALL)
    assert wait_until(lambda: len(made.plan_keeper.statements()) == 1)
    (kept,) = made.plan_keeper.statements()
    window = Window(kept.first_seen_at.replace(year=2020), utc_now(), source="memory")
    frame = read(made.database, plan_history.statements(window, made.monitor)).frame
    assert frame["fingerprint"].tolist() == [kept.fingerprint]
    assert plan_history.kept_plans(made.database, made.plan_keeper, kept.fingerprint) == [kept]
    times = plan_history.times_by_plan(made.database, window, made.monitor, kept.fingerprint, [kept])
    assert times[kept.plan_hash][0] == 1
    call = plan_history.newest_call(made.database, window, made.monitor, kept.fingerprint)
    assert call is not None
    assert call.parameters == {"generate_series_1": 1, "generate_series_2": 10, "param_1": 50_001}


def test_another_process_sees_what_was_kept_and_the_first_sight_stays(make_services: MakeServices) -> None:
    first, second = make_services(), make_services()
    first.runner.run(numbers(10), ALL)
    assert wait_until(lambda: len(first.plan_keeper.statements()) == 1)
    (mine,) = first.plan_keeper.statements()
    assert wait_until(
        lambda: plan_history.kept_plans(second.database, second.plan_keeper, mine.fingerprint) == [mine], within_s=5
    )
    second.runner.run(numbers(20), ALL)
    assert wait_until(lambda: len(second.plan_keeper.statements()) == 1)
    assert wait_until(lambda: second.plan_keeper.statements()[0].first_seen_at == mine.first_seen_at, within_s=5)
    (both,) = plan_history.kept_plans(first.database, first.plan_keeper, mine.fingerprint)
    assert both.first_seen_at == mine.first_seen_at < both.last_seen_at
    assert plan_history.plan_counts(first.database, first.plan_keeper, [mine.fingerprint, "other"]) == {
        mine.fingerprint: 1,
        "other": 0,
    }


def test_a_statement_is_looked_at_once_an_hour_and_a_slow_call_at_once(make_services: MakeServices) -> None:
    now = [0.0]
    made = make_services()
    keeper = Idle(made.database, made.monitor, clock=lambda: now[0])
    keeper.add(execution())
    keeper.add(execution(parameters_hash="h2"))
    assert len(keeper.queued) == 1
    keeper.add(execution(parameters_hash="h2", slow=True))
    keeper.add(execution(parameters_hash="h2", slow=True))
    assert len(keeper.queued) == 2
    now[0] = 61
    keeper.add(execution(parameters_hash="h2", slow=True))
    keeper.add(execution())
    assert len(keeper.queued) == 3
    now[0] = 61 + 3_601
    keeper.add(execution())
    assert len(keeper.queued) == 4
    for outcome in ("hit", "stale", "shared", "error"):
        keeper.add(execution("f2", outcome=outcome))
    assert len(keeper.queued) == 4
    keeper.add(execution(None, "h9", outcome="error", slow=True))
    assert len(keeper.queued) == 5, "what ran into the timeout is what one wants the plan of"


def test_a_full_queue_drops_and_counts_and_asks_again_later(make_services: MakeServices) -> None:
    made = make_services()
    keeper = Idle(made.database, made.monitor, queue_calls=2)
    for number in range(5):
        keeper.add(execution(f"f{number}"))
    assert (len(keeper.queued), keeper.dropped) == (2, 3)
    keeper._queue.queue.clear()
    keeper.add(execution("f4"))
    assert len(keeper.queued) == 1


def test_memory_holds_a_bounded_number_of_plans(make_services: MakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_services(direct_url=None)
    monkeypatch.setattr(plan_keeping, "PLANS_KEPT", 10)
    keeper = Idle(made.database, made.monitor)
    for number in range(50):
        keeper.keep(Plan({"Plan": {}}, "SELECT 1", None, f"{number:016x}", "f", {}), "q", 1.0)
    assert [one.plan_hash for one in keeper.plans("f")] == [f"{number:016x}" for number in range(49, 39, -1)]


@pytest.mark.parametrize("slow", [False, True])
def test_a_starved_pool_is_left_alone(make_services: MakeServices, quick: None, slow: bool) -> None:
    made = make_services(pool_size=3, direct_url=None)
    made.database.tables()
    made.monitor.questions.remember("h1", numbers(10))
    with made.database.reader.connect(), made.database.reader.connect():
        made.plan_keeper.add(execution(slow=slow))
        assert wait_until(lambda: made.plan_keeper.skipped == 1)
        assert made.plan_keeper.statements() == []
    made.plan_keeper.add(execution(slow=slow))
    assert wait_until(lambda: len(made.plan_keeper.statements()) == 1), "the next call is as good"


def test_errors_are_counted_and_the_next_plan_is_asked_for(
    make_services: MakeServices, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_services(direct_url=None)
    failing = iter([DatabaseUnavailableError("away"), ValueError("a defect")])

    def explain(*given: Any, **named: Any) -> Any:
        error = next(failing, None)
        if error is not None:
            raise error
        return true(*given, **named)

    true = plan_keeping.explain
    monkeypatch.setattr(plan_keeping, "explain", explain)
    for number in range(3):
        made.monitor.questions.remember(f"h{number}", numbers(10 + number))
        made.plan_keeper.add(execution(f"f{number}", f"h{number}"))
    assert wait_until(lambda: len(made.plan_keeper.statements()) == 1)
    assert made.plan_keeper.failed == 2


def test_plans_that_cannot_be_written_stay_in_memory(make_services: MakeServices, superuser_url: str) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE usage_dashboard.plan RENAME TO plan_away")
    made = make_services()
    made.runner.run(numbers(10), ALL)
    assert wait_until(lambda: made.plan_keeper.unwritten == 1)
    assert len(made.plan_keeper.statements()) == 1


def test_a_call_that_nobody_remembers_is_passed_over(make_services: MakeServices) -> None:
    made = make_services(direct_url=None)
    made.plan_keeper.add(execution(parameters_hash="gone"))
    assert wait_until(lambda: made.plan_keeper.skipped == 1)


def test_a_hostile_plan_is_stored(make_services: MakeServices) -> None:
    made = make_services()
    hostile = {"Plan": {"Filter": "a\x00b \ud800 \\u0000 ' \" {}"}}
    kept = made.plan_keeper.keep(Plan(hostile, "SELECT '\x00'", -5, "h" * 16, "f", {"a": "\x00"}), "q", None)
    assert kept is not None
    assert made.plan_keeper.unwritten == 0
    (stored,) = plan_history._written(made.database, "f", 5)
    assert stored.document["Plan"]["Filter"].startswith("ab ")
    assert stored.queryid == -5


def test_adding_costs_a_page_nothing_and_stopping_ends_the_thread(make_services: MakeServices) -> None:
    made = make_services()
    calls = [execution(f"f{number}") for number in range(1_000)]
    threads = [threading.Thread(target=lambda: [made.plan_keeper.add(one) for one in calls]) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    made.plan_keeper.stop()
    assert not made.plan_keeper._thread.is_alive()
