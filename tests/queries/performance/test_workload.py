"""The workload: what was run, made anew for other tenants, with what is a constant told from what is not."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from dashboard.services import Services
from queries.catalog import generations, tenants, usage
from queries.performance import workload
from queries.performance.advice import TENANT_KINDS
from queries.performance.recorded import Window
from queries.period import Period
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope
from tests.conftest import DEMO_END
from tests.queries.asking import MakeServices

EVERYBODY = Scope.all_tenants()
PERIOD = Period.of_dates(date(2026, 5, 1), date(2026, 6, 15), zone="UTC", now=DEMO_END)


@pytest.fixture
def held(make_services: MakeServices) -> Services:
    return make_services()


@pytest.fixture
def ids(held: Services) -> list[str]:
    """Tenants that have generated something, those with the most generations first."""
    with held.database.reading(EVERYBODY, 10) as connection:
        return usage_by_tenant(connection)


def usage_by_tenant(connection: Any) -> list[str]:
    driver = connection.connection.driver_connection
    rows = driver.execute(
        'SELECT "organizationId" FROM usage_dashboard.app_generation GROUP BY 1 ORDER BY count(*) DESC, 1 DESC'
    ).fetchall()
    return [str(one) for (one,) in rows]


def memory() -> Window:
    now = datetime.now(UTC)
    return Window(now - timedelta(hours=1), now + timedelta(minutes=1), source="memory")


def run(held: Services, *questions: Query) -> None:
    for one in questions:
        held.runner.run(one, Context(EVERYBODY, page="tenant", refresh=True))


def latest(scope: Scope, **how: Any) -> Query:
    return generations.latest(scope, period=PERIOD, offset=0, limit=25, **how)


def test_a_question_about_one_tenant_is_made_anew_for_four_kinds(held: Services, ids: list[str]) -> None:
    run(held, latest(Scope.of([ids[3]])))
    [statement] = workload.logged_statements(held.database, held.monitor, memory())
    assert statement.name == "generations.latest"
    assert set(statement.parameters) == set(TENANT_KINDS)
    who = {
        kind: [
            one[0] for one in values if isinstance(one, list) and len(one) == 1 and one[0] in {*ids, "no such tenant"}
        ]
        for kind, values in statement.parameters.items()
    }
    expected = {"biggest": ids[0], "smallest": ids[-1], "median": ids[::-1][len(ids) // 2], "absent": "no such tenant"}
    assert {kind: set(found) for kind, found in who.items()} == {kind: {one} for kind, one in expected.items()}
    lengths = {len(values) for values in statement.parameters.values()}
    assert len(lengths) == 1
    assert f"${lengths.pop()}" in statement.sql
    assert "%(" not in statement.sql


def test_a_question_about_all_tenants_has_one_set_of_parameters(held: Services) -> None:
    run(held, usage.totals(EVERYBODY, period=PERIOD))
    [statement] = workload.logged_statements(held.database, held.monitor, memory())
    assert set(statement.parameters) == {"biggest"}


def test_the_statement_is_the_one_that_was_sent(held: Services, ids: list[str], server: Any) -> None:
    """PostgreSQL plans it with the parameters of each kind."""
    scope = Scope.of([ids[0]])
    run(held, latest(scope), usage.totals(scope, period=PERIOD), tenants.tenant_choices(scope, search="a", limit=5))
    statements = workload.logged_statements(held.database, held.monitor, memory())
    assert len(statements) == 3
    with held.database.reading(EVERYBODY, 10) as connection:
        driver: Any = connection.connection.driver_connection
        for one in statements:
            for values in one.parameters.values():
                with psycopg.RawCursor(driver) as cursor:
                    cursor.execute(f"EXPLAIN {one.sql}".encode(), values)
                    assert cursor.fetchall()


def test_calls_and_shapes(held: Services, ids: list[str]) -> None:
    one, other = Scope.of([ids[0]]), Scope.of([ids[1]])
    run(held, latest(one), latest(other), latest(one), latest(one, model="easel-1"))
    found = workload.logged(held.database, held.monitor, memory())
    by_name = {statement.name: statement for statement in found.statements}
    assert set(by_name) == {"generations.latest", "generations.latest (2)"}
    assert sorted(statement.calls_per_day for statement in found.statements) == [1, 3]
    assert {origin.query for origin in found.origins.values()} == {"generations.latest"}
    assert all(statement.mean_ms and statement.mean_ms > 0 for statement in found.statements)
    assert len({origin.fingerprint for origin in found.origins.values()}) == 2


def test_constants_are_words_of_the_code_and_never_of_the_person(held: Services, ids: list[str]) -> None:
    run(held, latest(Scope.of([ids[0]]), status="FAILED"))
    [statement] = workload.logged_statements(held.database, held.monitor, memory())
    values = next(iter(statement.parameters.values()))
    constants = [values[number - 1] for number in statement.constants]
    assert "UTC" in constants
    for one in constants:
        assert one not in ("FAILED", ["FAILED"], [ids[0]])
        assert not isinstance(one, int | datetime)


def test_the_log_on_disk_knows_what_this_process_no_longer_does(held: Services, make_services: MakeServices) -> None:
    run(held, usage.totals(EVERYBODY, period=PERIOD))
    log = held.query_log
    assert log is not None
    for _ in range(500):
        if log.written:
            break
        threading.Event().wait(0.02)
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=1), now + timedelta(minutes=1), source="log")
    assert len(workload.logged(held.database, held.monitor, window).statements) == 1
    later = make_services()
    found = workload.logged(later.database, later.monitor, window)
    assert (found.statements, found.unknown) == ([], ("usage.totals",))


def test_the_servers_statements_come_along_when_asked_for(held: Services, app_connection: Any) -> None:
    app_connection.execute('SELECT "name" FROM "User" WHERE "email" = %s', ["somebody@example.com"])
    app_connection.execute("CREATE TEMP TABLE x (a int)")
    app_connection.commit()
    found = workload.logged(held.database, held.monitor, memory(), "server")
    texts = [statement.sql for statement in found.statements]
    assert any('FROM "User" WHERE "email" = $1' in one for one in texts)
    assert not any("TEMP TABLE" in one for one in texts)
    assert found.server is not None
    assert found.server.kind == "ready"
    assert workload.logged(held.database, held.monitor, memory()).server is None


@pytest.mark.parametrize(
    ("sql", "advised"),
    [
        ("SELECT * FROM t WHERE a = $1", True),
        ("UPDATE t SET a = $1 WHERE b = $2", True),
        ("DELETE FROM t WHERE a = 1", True),
        ("SELECT 1", False),
        ("SELECT pg_sleep(1)", False),
        ("SELECT 1 UNION SELECT a FROM t", True),
        ("INSERT INTO t VALUES ($1)", False),
        ("CREATE INDEX ON t (a)", False),
        ("COPY t TO STDOUT", False),
        ("SELECT 1; SELECT a FROM t", False),
        ("not SQL", False),
        ("", False),
    ],
)
def test_what_an_index_can_help_at_all(sql: str, advised: bool) -> None:
    assert workload._is_advised(sql) == advised


def test_the_advisor_says_what_it_does_and_remembers(held: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    from queries.performance.advising import Asked

    asked: Callable[[], Any] = lambda: held.advisor.look(Asked(1))  # noqa: E731
    run(held, usage.totals(EVERYBODY, period=PERIOD))
    first = asked()
    assert first.is_computing
    for _ in range(1_000):
        if not first.is_computing:
            break
        threading.Event().wait(0.02)
    assert first.error is None
    assert first.advised is not None
    assert asked().advised is first.advised, "it is not computed anew within a few minutes"
    held.advisor.forget()
    assert asked().is_computing
    assert asked().advised is not None, "the last advice stays to be read meanwhile"
