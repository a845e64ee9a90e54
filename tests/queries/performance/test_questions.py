"""What is remembered beside the log: the true questions, the line that asked, and the plans known of a call."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from dashboard.services import Services
from queries.performance.asking import asked_by
from queries.performance.monitor import Monitor
from queries.performance.query_log import QueryLog
from queries.performance.questions import Questions
from queries.query import Query, Timings
from queries.runner import Context
from queries.scope import Scope
from tests.queries.asking import MakeServices, plain_query
from tests.queries.performance.test_monitor import execution

HERE = "tests/queries/performance/test_questions.py"


def question(name: str, key: str) -> Query:

    return plain_query(name, sa.select(sa.literal(1).label("one")), key=key)


def test_the_question_asked_longest_ago_is_forgotten_first() -> None:
    questions = Questions(kept=2)
    for one in ("a", "b", "c"):
        questions.remember(one, question("usage.totals", one))
    assert questions.of("a") is None
    assert [questions.of(one).key for one in ("b", "c")] == ["b", "c"]  # type: ignore[union-attr]
    assert questions.newest("usage.totals").key == "c"  # type: ignore[union-attr]
    assert questions.newest("nope") is None
    assert len(questions) == 2


def test_what_was_run_is_remembered_whole_and_what_a_cache_answered_is_not_asked_for(
    make_services: MakeServices,
) -> None:
    held = make_services()
    everybody = Context(Scope.all_tenants())
    asked = question("test.one", "one")
    for _ in range(2):
        held.runner.run(asked, everybody)
    assert [one.outcome for one in held.monitor.recent()] == ["miss", "hit"]
    logged = held.monitor.recent()[0]
    assert held.monitor.questions.of(logged.parameters_hash) is asked
    assert logged.parameters_hash == asked.parameters_hash


def test_a_statement_that_ran_into_the_timeout_is_slow_and_remembered(make_services: MakeServices) -> None:

    held = make_services(statement_timeout_s=0.2)
    asked = plain_query("test.sleep", sa.select(sa.func.pg_sleep(5).cast(sa.Text).label("slept")))
    with pytest.raises(Exception, match=r"stopped after 0\.2 s"):
        held.runner.run(asked, Context(Scope.all_tenants()))
    (logged,) = held.monitor.recent()
    assert (logged.outcome, logged.slow) == ("error", True)
    assert held.monitor.questions.of(logged.parameters_hash) is asked


def test_the_line_that_asks_is_named(make_services: MakeServices) -> None:
    held = make_services()
    everybody = Context(Scope.all_tenants())
    first = sys._getframe().f_lineno + 1
    held.runner.run(question("test.one", "one"), everybody)
    held.runner.run_all({"two": question("test.two", "two")}, everybody)["two"]
    lines = [one.asked_by for one in held.monitor.recent()]
    assert lines == [f"{HERE}:{first}", f"{HERE}:{first + 1}"]


def test_a_line_that_the_context_names_stays(make_services: MakeServices) -> None:
    held = make_services()
    held.runner.run(question("test.one", "one"), Context(Scope.all_tenants(), asked_by="pages/burn.py:7"))
    assert [one.asked_by for one in held.monitor.recent()] == ["pages/burn.py:7"]


def test_a_module_that_asks_for_its_caller_is_passed_over() -> None:
    module = ModuleType("asking_for_others")
    source = "ASKS_FOR_ITS_CALLER = True\ndef ask(look): return look()\n"
    exec(compile(source, str(Path(__file__).parent / "others.py"), "exec"), module.__dict__)  # noqa: S102 - our own
    line = sys._getframe().f_lineno + 1
    assert module.ask(asked_by) == f"{HERE}:{line}"


def test_the_plan_of_a_call_else_of_its_statement() -> None:
    monitor = Monitor(slow_query_ms=250)
    assert monitor.plan_hash("f", "a") is None
    monitor.note_plan("f", "a", "first")
    monitor.note_plan("f", "b", "second")
    assert [monitor.plan_hash("f", one) for one in ("a", "b", "c")] == ["first", "second", "second"]
    assert monitor.plan_hash(None, "a") is None
    assert monitor.plan_hash("g", "a") is None


def test_the_log_holds_the_line_and_the_plan_known_when_it_is_written(make_services: MakeServices) -> None:

    held: Services = make_services()
    assert held.database.owner is not None
    monitor = Monitor(slow_query_ms=250)
    log = QueryLog(held.database.owner, keep_days=30, plan_hash=monitor.plan_hash)
    one = replace(execution(), asked_by="pages/burn.py:7", timings=Timings(database_ms=3), run_id="line and plan")
    log.add(one)
    log.add(replace(one, plan_hash="earlier"))
    monitor.note_plan("f", "h", "later")
    log.start()
    log.stop(10)

    with held.database.owner.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT asked_by, plan_hash FROM usage_dashboard.query_log WHERE run_id = :run ORDER BY id"),
            {"run": "line and plan"},
        ).all()
    assert [tuple(row) for row in rows] == [("pages/burn.py:7", "later"), ("pages/burn.py:7", "earlier")]
