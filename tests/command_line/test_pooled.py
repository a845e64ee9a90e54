"""The real program behind Debian's PgBouncer in transaction mode, with 5 connections to the server."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import sqlalchemy as sa

from dashboard import services as services_module
from dashboard import words
from dashboard.exports.making import run_of
from dashboard.services import Services
from queries.catalog import tenants, usage
from queries.exports.reports import Order
from queries.period import known_zones
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import OWNER, READER, Server
from tests.dashboard.serving import until
from tests.on_the_way import POOLED_CONNECTIONS, backends, pgbouncer, temporary_folder
from tests.queries.asking import plain_query
from tests.running import Dashboard, free_port
from tests.streamlit_sessions import runs_of

RUNS = 40
# By their names in the address; the first is the one that opens without a name.
PAGES = {
    "": "Tenants",
    "burn": "Credit burn",
    "timelines": "Timelines",
    "statements": "Statements",
    "tenant": "Tenant",
    "exports": "Exports",
    "performance": "Query performance",
    "indexes": "Indexes",
}


@pytest.fixture(scope="module")
def pooled_url(server: Server, module_database: str) -> Iterator[str]:
    with temporary_folder() as folder, pgbouncer(server.url(module_database, READER), folder) as url:
        yield url


@pytest.fixture
def dashboard(server: Server, module_database: str, pooled_url: str, tmp_path: Path) -> Iterator[Dashboard]:
    """As somebody with such an address runs it, with more connections of its own than the pooler has to the server."""
    running = Dashboard(
        tmp_path / "data",
        free_port(),
        DATABASE_URL=f"{pooled_url}?pgbouncer=true&connection_limit=1",
        DIRECT_URL=server.url(module_database, OWNER),
        USAGE_DASHBOARD_AUTH="none",
        POOL_SIZE="20",
    )
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def test_forty_pages_at_once_succeed_over_five_connections(
    dashboard: Dashboard, server: Server, module_database: str, pooled_url: str
) -> None:
    with psycopg.connect(pooled_url, prepare_threshold=None) as connection:
        connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
        organizations = "SELECT id, name FROM usage_dashboard.app_organization ORDER BY id"
        ids, names = zip(*connection.execute(organizations), strict=True)
    # Each of them in a zone of its own: no answer is another's.
    zones = sorted(one for one in known_zones() if one.startswith("Europe/"))[:RUNS]
    asked = [
        (
            list(PAGES)[number % len(PAGES)],
            urlencode({"zone": zone, "tenant": ids[number % len(ids)], "period": "Last 90 days"}),
        )
        for number, zone in enumerate(zones)
    ]
    runs = runs_of(dashboard.url, asked)
    with server.superuser() as connection:
        used = backends(connection, READER, module_database)
    dashboard.stop()  # which writes the query log
    assert len(runs) == RUNS
    assert [(one.page, one.ending, one.complaints) for one in runs if not one.has_succeeded] == []
    for number, one in enumerate(runs):
        # The page Tenant ends up being called as its tenant is; others go on with the name where there is one.
        if one.page == "tenant":
            assert one.titles[-1].startswith(words.plain(names[number % len(names)]))
        else:
            assert one.titles[0].startswith(PAGES[one.page])
        assert one.panels >= 2, one.page
    assert not re.search("prepared statement|Traceback|DuplicatePrepared", dashboard.log)
    assert 0 < used <= POOLED_CONNECTIONS
    with server.superuser(module_database) as connection:
        outcomes = dict(
            connection.execute("SELECT outcome, count(*) FROM usage_dashboard.query_log GROUP BY outcome").fetchall()
        )
    assert outcomes["miss"] > 3 * RUNS, "the questions reached the database"
    assert "error" not in outcomes


def test_what_a_transaction_sets_does_not_reach_the_next_client(pooled_url: str, make_pooled: Any) -> None:
    """Of five connections each has been used by ours; others that get them find them as they were."""
    services = make_pooled(POOLED_CONNECTIONS)
    ids = tenant_ids(services)
    scopes = [Scope.of([one]) for one in ids[:4]]
    with ThreadPoolExecutor(2 * POOLED_CONNECTIONS) as threads:
        counted = list(threads.map(lambda number: seen_by(services, scopes[number % 4]), range(60)))
    assert counted == [{scopes[number % 4].ordered_ids[0]} for number in range(60)]
    asked = (
        "SELECT current_setting('usage_dashboard.tenants', true), current_setting('statement_timeout'),"
        " current_setting('transaction_read_only'), current_setting('search_path'),"
        " (SELECT count(*) FROM usage_dashboard.app_generation), (SELECT count(*) FROM pg_prepared_statements)"
    )
    others = [psycopg.connect(pooled_url, prepare_threshold=None) for _ in range(POOLED_CONNECTIONS)]
    try:
        found = [one.execute(asked).fetchone() for one in others]  # all at once: each has a connection of its own
    finally:
        for one in others:
            one.close()
    for row in found:
        assert row is not None
        assert row[0] in (None, "")
        assert row[1:] == ("0", "off", '"$user", public', 0, 0)


def test_a_statement_is_cancelled_through_the_pooler(make_pooled: Any, server: Server, module_database: str) -> None:
    class Person:
        left = False

        def gone(self) -> bool:
            return self.left

    services, person = make_pooled(2), Person()
    slow = plain_query("test.slow", sa.select(sa.func.pg_sleep(60).cast(sa.Text).label("slept")))
    services.runner.run_all({"q": slow}, Context(Scope.all_tenants(), reader=person))
    with server.superuser(module_database) as connection:
        until(lambda: sleeping(connection, module_database) == 1, "the statement runs")
        person.left = True
        until(lambda: sleeping(connection, module_database) == 0, "it is cancelled")


def test_files_plans_and_health_go_through_the_pooler(make_pooled: Any) -> None:
    services = make_pooled(3)
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    order = Order.of_month("ledger", now.date(), scope=Scope.all_tenants(), zone="UTC", now=now)
    pieces: list[bytes] = []
    manifest = run_of(services, order, "test").run(pieces.append)
    assert manifest.rows == b"".join(pieces).count(b"\n") - 1 > 0
    query = usage.totals(Scope.all_tenants(), period=order.period)
    assert services.runner.explain(query, Context(Scope.all_tenants()), analyze=True).document
    assert services.database.ping() is None


def tenant_ids(services: Services) -> list[str]:
    choices = tenants.tenant_choices(Scope.all_tenants(), search="", limit=100)
    return sorted(services.runner.run(choices, Context(Scope.all_tenants())).frame["tenant_id"])


def seen_by(services: Services, scope: Scope) -> set[str]:
    """Whose generations a transaction of this scope can see."""
    with services.database.reading(scope, 20) as connection:
        found = connection.execute(sa.select(services.database.tables().generation.c.tenant_id).distinct())
        return {one for (one,) in found}


def sleeping(connection: Any, database: str) -> int:
    found = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'active' AND query LIKE '%%pg_sleep%%'"
        " AND pid <> pg_backend_pid()",
        [database],
    ).fetchone()
    return int(found[0])


@pytest.fixture
def make_pooled(pooled_url: str) -> Iterator[Callable[[int], Services]]:
    """Services that read through the pooler over so many connections."""
    made: list[Services] = []

    def make(pool_size: int) -> Services:
        settings = Settings(database_url=pooled_url, pool_size=pool_size)  # type: ignore[arg-type]
        made.append(services_module.build(settings, is_demo=True))
        return made[-1]

    yield make
    for one in made:
        one.close()
