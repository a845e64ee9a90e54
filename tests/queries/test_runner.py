"""The runner on a real database: one execution for many, answers that stand in, cancelling, and what goes wrong."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from dashboard.services import Services
from queries import database
from queries.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    NotFoundError,
    ReaderGoneError,
    StatementTimeoutError,
    TooManyRowsError,
    UnscopedStatementError,
    UsageDashboardError,
)
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope
from queries.tables import Tables, facts
from tests.conftest import DEMO_END
from tests.queries.asking import MakeServices, plain_query
from tests.queries.catalog.samples import samples

ALL = Context(Scope.all_tenants())


class Person:
    """A reader who can leave."""

    def __init__(self) -> None:
        self.left = False

    def gone(self) -> bool:
        return self.left


def counted_generations(scope: Scope, *, key: str = "counted") -> Query:
    def build(tables: Tables) -> sa.Select[Any]:
        rows = facts(tables)
        return sa.select(sa.func.count(rows.c.id).label("generations")).where(scope.predicate(rows.c.tenant_id))

    return Query("test.counted", scope, {}, build, key=f"{key}|{scope.digest}", series=f"{key}|{scope.digest}")


def sleeping(seconds: float, *, name: str = "test.sleep", **options: Any) -> Query:
    statement = sa.select(
        sa.func.pg_sleep(seconds).cast(sa.Text).label("slept"), sa.literal(1, sa.Integer).label("one")
    )
    return plain_query(name, statement, **options)


def active_statements(url: str, like: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
            " AND datname = current_database()",
            [f"%{like}%"],
        ).fetchone()
    assert found is not None
    return int(found[0])


def wait_until(condition: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def tenant_ids(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [one for (one,) in connection.execute('SELECT id FROM "Organization" ORDER BY id')]


def outcomes(services: Services) -> list[str]:
    return [one.outcome for one in services.monitor.recent()]


def test_the_first_is_a_miss_and_the_second_a_hit_with_the_same_rows(make_services: MakeServices, app_url: str) -> None:
    services = make_services()
    query = counted_generations(Scope.all_tenants())
    first, second = services.runner.run(query, ALL), services.runner.run(query, ALL)
    with psycopg.connect(app_url) as connection:
        truth = connection.execute('SELECT count(*) FROM "Generation"').fetchone()
    assert truth is not None
    assert truth[0] > 0
    assert first.frame["generations"].tolist() == second.frame["generations"].tolist() == [truth[0]]
    assert (first.outcome, second.outcome) == ("miss", "hit")
    assert first.as_of == second.as_of
    assert second.computed.database_ms > 0
    assert second.timings.database_ms == 0


def test_a_reader_cannot_change_what_the_next_one_gets(make_services: MakeServices) -> None:
    services = make_services()
    query = counted_generations(Scope.all_tenants())
    first = services.runner.run(query, ALL)
    first.frame.loc[0, "generations"] = -1
    assert services.runner.run(query, ALL).frame["generations"].tolist() != [-1]


def test_twenty_at_once_cost_one_execution(make_services: MakeServices) -> None:
    services = make_services()
    with ThreadPoolExecutor(20) as threads:
        results = list(threads.map(lambda _: services.runner.run(sleeping(0.4), ALL), range(20)))
    assert {one.frame["one"].tolist()[0] for one in results} == {1}
    assert sorted(outcomes(services)) == ["miss"] + ["shared"] * 19


def test_a_page_costs_its_slowest_question(make_services: MakeServices) -> None:
    services = make_services()
    queries = {f"q{number}": sleeping(0.5, name=f"test.q{number}") for number in range(4)}
    started = time.monotonic()
    answers = services.runner.run_all(queries, ALL)
    assert time.monotonic() - started < 0.4, "run_all waits for answers nobody has read yet"
    assert [answers[name].outcome for name in queries] == ["miss"] * 4
    assert time.monotonic() - started < 1.9, "four questions of half a second ran one after another"


def test_a_question_beyond_the_viewers_scope_is_not_found(make_services: MakeServices, app_url: str) -> None:
    services = make_services()
    mine, other = tenant_ids(app_url)[:2]
    context = Context(Scope.of([mine]))
    services.runner.run(counted_generations(Scope.of([other])), Context(Scope.of([other])))
    for scope in (Scope.of([other]), Scope.of([mine, other]), Scope.all_tenants(), Scope.of(["nobody"])):
        with pytest.raises(NotFoundError) as refused:
            services.runner.run(counted_generations(scope), context)
        assert other not in refused.value.message
    assert services.runner.run(counted_generations(Scope.of([mine])), context).rows == 1


def test_a_statement_without_its_predicate_is_refused_by_name(make_services: MakeServices) -> None:
    services = make_services()
    scope = Scope.of(["org_1"])
    query = Query(
        "test.leak",
        scope,
        {},
        lambda tables: sa.select(sa.func.count()).select_from(facts(tables)),
        key="l",
        series="l",
    )
    with pytest.raises(UnscopedStatementError, match="without its tenant predicate"):
        services.runner.run(query, Context(scope))


def test_the_statement_of_a_reader_who_left_is_cancelled_in_the_database(
    make_services: MakeServices, superuser_url: str
) -> None:
    services = make_services(pool_size=1)
    person = Person()
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            services.runner.run(sleeping(30), Context(Scope.all_tenants(), reader=person))
        except ReaderGoneError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 1, within_s=5)
    person.left = True
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 0, within_s=1.5)
    thread.join(5)
    assert len(failures) == 1
    # The only connection went back unharmed: its next borrower is not hit by the cancel.
    for number in range(5):
        assert services.runner.run(sleeping(0.05, name=f"test.after{number}"), ALL).rows == 1


def test_a_statement_goes_on_for_the_reader_who_stays(make_services: MakeServices) -> None:
    services = make_services()
    leaving, staying = Person(), Person()
    query = sleeping(1.2)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(services.runner.run, query, Context(Scope.all_tenants(), reader=leaving))
        time.sleep(0.2)
        second = threads.submit(services.runner.run, query, Context(Scope.all_tenants(), reader=staying))
        time.sleep(0.2)
        leaving.left = True
        with pytest.raises(ReaderGoneError):
            first.result(5)
        assert second.result(5).frame["one"].tolist() == [1]


def test_a_reader_who_comes_after_the_flight_was_given_up_gets_an_answer(make_services: MakeServices) -> None:
    services = make_services()
    leaving = Person()
    query = sleeping(0.8)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(services.runner.run, query, Context(Scope.all_tenants(), reader=leaving))
        time.sleep(0.1)
        leaving.left = True
        with pytest.raises(ReaderGoneError):
            first.result(5)
    assert services.runner.run(query, ALL).rows == 1


def test_the_timeout_stops_a_statement_and_is_remembered_for_a_moment(make_services: MakeServices) -> None:
    services = make_services(statement_timeout_s=0.3)
    query = sleeping(5)
    with pytest.raises(StatementTimeoutError, match="STATEMENT_TIMEOUT_S"):
        services.runner.run(query, ALL)
    started = time.monotonic()
    with pytest.raises(StatementTimeoutError):
        services.runner.run(query, ALL)
    assert time.monotonic() - started < 0.25, "the failure was not remembered: the statement ran again"
    assert outcomes(services) == ["error", "error"]


def test_more_rows_than_the_limit_are_an_error_not_a_cut(make_services: MakeServices) -> None:
    services = make_services()
    series = sa.select(sa.func.generate_series(1, 200).label("n"))
    with pytest.raises(TooManyRowsError, match="more than 199 rows"):
        services.runner.run(plain_query("test.many", series, row_limit=199), ALL)
    assert services.runner.run(plain_query("test.enough", series, row_limit=200), ALL).rows == 200


def test_an_older_answer_stands_in_and_says_so_while_the_new_one_is_computed(make_services: MakeServices) -> None:
    services = make_services(cache_ttl_s=1.0, cache_stale_s=60)
    query = sleeping(0.3)
    first = services.runner.run(query, ALL)
    time.sleep(1.05)
    second = services.runner.run(query, ALL)
    assert (second.outcome, second.as_of) == ("stale", first.as_of)
    assert wait_until(lambda: services.runner.run(query, ALL).outcome == "hit", within_s=5)
    assert services.runner.run(query, ALL).as_of > first.as_of


def test_the_step_before_stands_in_for_the_next_one(make_services: MakeServices) -> None:
    services = make_services()
    now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    earlier = sleeping(0.3, key="step 1", series="s", moment=now)
    later = sleeping(0.3, key="step 2", series="s", moment=now + timedelta(minutes=5))
    first = services.runner.run(earlier, ALL)
    assert services.runner.run(later, ALL).outcome == "stale"
    assert wait_until(lambda: services.runner.run(later, ALL).outcome == "hit", within_s=5)
    assert services.runner.run(later, ALL).as_of > first.as_of


@pytest.mark.parametrize("apart", [timedelta(days=-1), timedelta(days=1), timedelta(minutes=-5)])
def test_the_answer_for_another_time_altogether_does_not_stand_in(
    make_services: MakeServices, apart: timedelta
) -> None:
    services = make_services()
    now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
    services.runner.run(sleeping(0.01, key="one", series="s", moment=now), ALL)
    assert services.runner.run(sleeping(0.01, key="other", series="s", moment=now + apart), ALL).outcome == "miss"


def test_beyond_the_bound_nothing_stands_in(make_services: MakeServices) -> None:
    services = make_services(cache_ttl_s=1.0, cache_stale_s=0)
    query = sleeping(0.05)
    services.runner.run(query, ALL)
    time.sleep(1.05)
    assert services.runner.run(query, ALL).outcome == "miss"


def test_refresh_reads_the_database_and_replaces_what_is_kept(make_services: MakeServices) -> None:
    services = make_services()
    query = counted_generations(Scope.all_tenants())
    first = services.runner.run(query, ALL)
    fresh = services.runner.run(query, Context(Scope.all_tenants(), refresh=True))
    assert (fresh.outcome, fresh.as_of > first.as_of) == ("miss", True)
    assert services.runner.run(query, ALL).as_of == fresh.as_of


def test_it_survives_every_connection_being_closed(
    make_services: MakeServices, server: Any, database_name: str
) -> None:
    services = make_services()
    services.runner.run(counted_generations(Scope.all_tenants(), key="before"), ALL)
    with server.superuser() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database_name])
    assert services.runner.run(counted_generations(Scope.all_tenants(), key="after"), ALL).outcome == "miss"


def test_the_reading_transaction_cannot_write(make_services: MakeServices, reader_url: str) -> None:
    services = make_services()
    with (
        services.database.reading(Scope.all_tenants(), 5) as connection,
        pytest.raises(sa.exc.InternalError, match="read-only"),
    ):
        connection.exec_driver_sql("CREATE TABLE public.mine (id int)")


def test_an_error_of_the_statement_is_translated_without_its_values(make_services: MakeServices) -> None:
    services = make_services()
    divided = plain_query("test.divided", sa.select((sa.literal(1) / sa.func.length("")).label("n")))
    with pytest.raises(DatabaseError, match="SQLSTATE 22012"):
        services.runner.run(divided, ALL)


def test_the_reader_sees_nothing_through_the_walls_without_naming_tenants(
    make_services: MakeServices, reader_url: str, app_url: str
) -> None:
    services = make_services()
    assert services.database.tables().walled
    first, second = tenant_ids(app_url)[:2]
    with psycopg.connect(reader_url) as connection:
        count = "SELECT count(DISTINCT id) FROM usage_dashboard.app_organization"
        assert connection.execute(count).fetchone() == (0,)
        for setting, seen in (("all", len(tenant_ids(app_url))), ("{}", 0), (f'{{"{first}","{second}"}}', 2)):
            connection.execute("SELECT set_config('usage_dashboard.tenants', %s, true)", [setting])
            assert connection.execute(count).fetchone() == (seen,)
        connection.commit()
        assert connection.execute(count).fetchone() == (0,), "a later transaction that names none"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute('SELECT count(*) FROM public."Organization"')


def test_hostile_tenant_ids_reach_the_walls_as_they_are(make_services: MakeServices) -> None:
    services = make_services()
    ids = ['"', "\\", '\\"', "{a,b}", "NULL", "", "a,b", "é\n", "all", "\ud800", "nul\x00"]
    storable = sorted(one for one in ids if one not in ("\ud800", "nul\x00"))
    with services.database.reading(Scope.of(ids), 5) as connection:
        seen = connection.scalar(
            sa.select(sa.cast(sa.func.current_setting("usage_dashboard.tenants"), sa.ARRAY(sa.Text)))
        )
    assert seen == storable


def test_without_a_direct_address_it_works_and_says_what_is_missing(make_services: MakeServices, app_url: str) -> None:
    services = make_services(database_url=app_url, direct_url=None)
    with psycopg.connect(app_url) as connection:
        assert connection.execute("SELECT has_schema_privilege('usage_dashboard', 'USAGE')").fetchone() == (False,)
    assert not services.database.tables().walled
    assert services.runner.run(counted_generations(Scope.all_tenants()), ALL).rows == 1
    assert any("second wall" in notice for notice in services.notices)


def test_where_the_walls_stand_nothing_is_said_to_be_missing(make_services: MakeServices) -> None:
    services = make_services(direct_url=None)
    services.runner.run(counted_generations(Scope.all_tenants()), ALL)
    assert [one for one in services.notices if "wall" in one] == []
    assert any("in memory only" in one for one in services.notices)


def test_the_query_log_holds_what_was_asked(make_services: MakeServices, owner_url: str) -> None:
    services = make_services()
    query = counted_generations(Scope.all_tenants())
    context = Context(Scope.all_tenants(), role="engineer", page="tenants", run_id="r1")
    for _ in range(3):
        services.runner.run(query, context)
    assert services.query_log is not None
    services.query_log.stop(5)
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            "SELECT query, page, role, run_id, outcome, rows, fingerprint IS NOT NULL FROM usage_dashboard.query_log"
            " ORDER BY at"
        ).fetchall()
    head = ("test.counted", "tenants", "engineer", "r1")
    assert rows == [(*head, "miss", 1, True), (*head, "hit", 1, True), (*head, "hit", 1, True)]


def test_a_reader_who_is_slow_to_ask_holds_nobody_up(make_services: MakeServices) -> None:
    class Slow:
        def gone(self) -> bool:
            time.sleep(1.5)
            return False

    services = make_services()
    services.runner.run_all({"q": sleeping(1)}, Context(Scope.all_tenants(), reader=Slow()))
    time.sleep(0.5)
    started = time.monotonic()
    services.runner.run_all({"q": sleeping(1)}, ALL)
    assert time.monotonic() - started < 0.5


def test_a_reader_who_cannot_be_asked_ends_no_watch_over_the_others(
    make_services: MakeServices, superuser_url: str
) -> None:
    class Broken:
        def gone(self) -> bool:
            raise RuntimeError

    services, person = make_services(), Person()
    services.runner.run_all({"q": sleeping(1, name="test.broken")}, Context(Scope.all_tenants(), reader=Broken()))
    time.sleep(0.5)
    services.runner.run_all({"q": sleeping(30)}, Context(Scope.all_tenants(), reader=person))
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 2, within_s=5)
    person.left = True
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 0, within_s=3)


def test_a_cancel_that_comes_before_the_statement_is_sent_again(make_services: MakeServices) -> None:
    services, person, sent = make_services(), Person(), threading.Event()

    @sa.event.listens_for(services.database.reader, "before_cursor_execute")
    def _late(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "pg_sleep" in statement:
            person.left = True
            time.sleep(0.8)
            sent.set()

    services.runner.run_all({"q": sleeping(30)}, Context(Scope.all_tenants(), reader=person))
    assert sent.wait(10)
    assert wait_until(lambda: services.database.pool_use().in_use == 0, within_s=5)


def test_a_refresh_does_not_take_what_was_read_before_it(make_services: MakeServices) -> None:
    services = make_services()
    services.runner.run_all({"q": sleeping(0.6)}, ALL)
    time.sleep(0.3)
    clicked = datetime.now(UTC)
    assert services.runner.run(sleeping(0.6), Context(Scope.all_tenants(), refresh=True)).as_of >= clicked


def test_what_runs_in_the_background_is_recorded_too(make_services: MakeServices) -> None:
    services = make_services(cache_ttl_s=1.0, cache_stale_s=60, slow_query_ms=100)
    query = sleeping(0.3)
    services.runner.run(query, ALL)
    time.sleep(1.05)
    context = Context(Scope.all_tenants(), page="tenants")
    services.runner.run(query, context)
    assert wait_until(lambda: outcomes(services).count("miss") == 2, within_s=5)
    newest = [one for one in services.monitor.recent() if one.outcome == "miss"][-1]
    assert (newest.page, newest.slow, newest.timings.database_ms >= 300) == ("tenants", True, True)


def test_an_execution_is_recorded_when_the_one_who_started_it_has_left(make_services: MakeServices) -> None:
    services, leaving = make_services(), Person()
    query = sleeping(0.8)
    started = services.runner.run_all({"q": query}, Context(Scope.all_tenants(), reader=leaving))
    staying = services.runner.run_all({"q": query}, ALL)
    leaving.left = True
    with pytest.raises(ReaderGoneError):
        _ = started["q"]
    assert staying["q"].outcome == "shared"
    assert outcomes(services) == ["miss", "shared"]


def test_a_background_failure_is_recorded_and_not_tried_again_at_once(make_services: MakeServices) -> None:
    services = make_services(cache_ttl_s=1.0, cache_stale_s=60)
    services.plan_keeper.stop()  # it makes statements too, to ask for their plans
    runs: list[int] = []

    def build(tables: Tables) -> sa.Select[Any]:
        runs.append(1)
        number = sa.literal(1, sa.Integer)
        return sa.select(number if len(runs) == 1 else (number / sa.func.length("")).label("n"))

    query = Query("test.later", Scope.all_tenants(), {}, build, key="later", series="later")
    services.runner.run(query, ALL)
    time.sleep(1.05)
    assert services.runner.run(query, ALL).outcome == "stale"
    assert wait_until(lambda: "error" in outcomes(services), within_s=5)
    assert [services.runner.run(query, ALL).outcome for _ in range(5)] == ["stale"] * 5
    assert len(runs) == 2


def test_a_defect_is_in_the_log_under_its_reference(
    make_services: MakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(frame: pd.DataFrame) -> pd.DataFrame:
        raise KeyError("a defect")

    services = make_services()
    with pytest.raises(DatabaseError, match="see the log") as failed:
        services.runner.run(sleeping(0, finish=broken), ALL)
    assert failed.value.reference in caplog.text
    assert "a defect" in caplog.text


def test_a_failure_that_is_remembered_holds_on_to_no_rows(make_services: MakeServices) -> None:
    services = make_services()
    query = plain_query("test.many", sa.select(sa.func.generate_series(1, 200).label("n")), row_limit=100)
    references = set()
    for _ in range(3):
        with pytest.raises(TooManyRowsError) as failed:
            services.runner.run(query, ALL)
        references.add(failed.value.reference)
    kept = services.runner._failures[query.key]
    assert (kept.__traceback__, kept.__context__, kept.__cause__, len(references)) == (None, None, None, 1)


def test_the_times_of_an_answer_are_where_they_were_spent(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(frame: pd.DataFrame) -> pd.DataFrame:
        time.sleep(0.2)
        return frame

    services = make_services()
    read, failures = services.database.tables, [DatabaseUnavailableError("asleep")]

    def tables() -> Tables:
        if failures:
            raise failures.pop()
        return read()

    monkeypatch.setattr(services.database, "tables", tables)
    started = time.monotonic()
    times = services.runner.run(sleeping(0.3, finish=slow), ALL).timings
    whole_ms = (time.monotonic() - started) * 1000
    assert times.wait_ms >= 500, "the pause before the second try"
    assert times.database_ms >= 300
    assert times.frame_ms >= 200
    assert times.cache_ms < 100
    spent_ms = times.wait_ms + times.database_ms + times.fetch_ms + times.frame_ms + times.cache_ms
    assert whole_ms - 300 < spent_ms <= whole_ms


def test_a_question_that_queues_for_a_thread_says_that_it_waited(make_services: MakeServices) -> None:
    services = make_services(pool_size=1)
    answers = services.runner.run_all({str(n): sleeping(0.3, name=f"test.{n}") for n in range(4)}, ALL)
    assert max(answers[name].timings.wait_ms for name in answers) >= 800


def test_closing_tells_all_who_wait_and_cancels_what_runs(make_services: MakeServices, superuser_url: str) -> None:
    services = make_services(pool_size=1)
    answers = services.runner.run_all({str(n): sleeping(20, name=f"test.{n}") for n in range(4)}, ALL)
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 1, within_s=5)
    started = time.monotonic()
    services.runner.close()
    for name in answers:
        with pytest.raises(UsageDashboardError):
            _ = answers[name]
    with pytest.raises(DatabaseUnavailableError):
        services.runner.run(sleeping(0, name="test.after"), ALL)
    assert time.monotonic() - started < 5
    assert wait_until(lambda: active_statements(superuser_url, "pg_sleep") == 0, within_s=2)


def test_a_database_that_hangs_is_said_to_all_at_once(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_CONNECT_TIMEOUT_S", 2)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(50)
        services = make_services(
            database_url=f"postgresql://nobody@127.0.0.1:{deaf.getsockname()[1]}/x", direct_url=None, wake_wait_s=1
        )
        started = time.monotonic()
        answers = services.runner.run_all({str(n): sleeping(0, name=f"test.{n}") for n in range(8)}, ALL)
        for name in answers:
            with pytest.raises(DatabaseUnavailableError):
                _ = answers[name]
    assert time.monotonic() - started < 16, "one connecting after the other"


def test_a_busy_pool_does_not_make_it_read_the_catalog_again(
    make_services: MakeServices, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    services = make_services(pool_size=1, pool_wait_s=0.2)
    services.runner.run(counted_generations(Scope.all_tenants()), ALL)
    tables = services.database.tables()
    running = services.runner.run_all({"q": sleeping(2)}, ALL)
    time.sleep(0.2)
    with caplog.at_level(logging.WARNING), pytest.raises(DatabaseUnavailableError, match="connection is busy"):
        services.runner.run(sleeping(0, name="test.other"), ALL)
    assert services.database.tables() is tables
    assert running["q"].rows == 1


def test_walls_that_become_another_mappings_are_not_used_any_more(
    make_services: MakeServices, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services()
    assert services.database.tables().walled
    assert services.database.notices == []
    with psycopg.connect(owner_url) as connection:
        connection.execute("COMMENT ON VIEW usage_dashboard.app_generation IS 'another'")
    monkeypatch.setattr(database, "_WALL_CHECK_S", 0.0)
    assert not services.database.tables().walled
    assert any("another mapping" in one for one in services.database.notices)


def test_a_plan_is_told_without_running_the_statement_and_only_within_the_scope(
    make_services: MakeServices, app_url: str
) -> None:
    services = make_services()
    mine, other = tenant_ids(app_url)[:2]
    context = Context(Scope.of([mine]))
    plan = str(services.runner.explain(counted_generations(Scope.of([mine])), context).document)
    assert "'Generation'" in plan
    assert mine in plan, "the plan is not that of the real parameters"
    with pytest.raises(NotFoundError):
        services.runner.explain(counted_generations(Scope.of([other])), context)
    started = time.monotonic()
    assert services.runner.explain(sleeping(30), ALL).document["Plan"]["Total Cost"] > 0
    assert time.monotonic() - started < 20, "the statement was run"


def test_every_question_has_a_plan(make_services: MakeServices, app_url: str) -> None:
    services = make_services()
    scopes = Scope.all_tenants(), Scope.of(tenant_ids(app_url)[:1])
    for query in (one for scope in scopes for one in samples(scope, DEMO_END, "Asia/Kathmandu")):
        assert services.runner.explain(query, ALL).plan_hash, query.name
