"""What a page costs does not depend on how much there is: the same statements for 10 tenants as for 1,000, and no
statement brings more rows than the page draws."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import filters, places, services
from demo.schema import create_schema
from queries import migrations
from queries.embedded import databases
from queries.settings import Settings
from tests.conftest import APP, DEMO_END, OWNER, READER, Server

ROOT = Path(__file__).resolve().parents[2]
FEW, MANY = 10, 1_000
# A chart has at most 400 points of eight series and "Other"; a list has 25 rows.
MOST_ROWS_DRAWN = 400 * 9
# The forecast needs every tenant's own series: the one statement that brings a row per tenant.
PER_TENANT = {"tenants.signals"}
# These read what was recorded, the server itself or the rows of a file, and ask no question of the catalog.
READS_THE_LOG = {"performance", "plan", "indexes", "exports", "audit"}
TENANT = "org_00001"
# The views of pages that have several.
TENANT_VIEWS = ("Overview", "Credits", "Users", "Quotas", "Quality", "Generations", "Ledger", "Compare")
VIEWS: dict[str, list[dict[str, str]]] = {
    "tenant": [
        *({"tenant": TENANT, "tab": one} for one in TENANT_VIEWS),
        {"tenant": TENANT, "tab": "Compare", "with": "org_00002"},
    ],
    "tenants": [
        {},
        {"cohorts": "true"},
        {"sort": "Credits burned"},
        {"flags": "At risk"},
        {"sort": "Runway", "page": "2"},
    ],
    "burn": [one | view for one in ({}, {"tenant": TENANT}) for view in ({}, {"tab": "How long they last"})],
    "statements": [{}, {"tenant": TENANT, "month": "2026-06"}, {"period": "Last 90 days", "differing": "true"}],
    "timelines": [
        {},
        {"by": "User", "gfrom": "2026-06-10T00:00:00Z", "gto": "2026-06-11T00:00:00Z"},
        {"measure": "Latency", "by": "Tenant"},
        {"tenant": TENANT, "measure": "Success rate", "by": "Model", "live": "true"},
    ],
}
_FILL = (
    """INSERT INTO "Organization" (id, name, slug, "createdAt", "updatedAt")
       SELECT id, 'Tenant ' || id, id, '2026-01-01', '2026-01-01'
       FROM (SELECT 'org_' || lpad(n::text, 5, '0') AS id FROM generate_series(1, %(tenants)s) AS n) AS made""",
    """INSERT INTO "User" (id, "organizationId", email, name, "createdAt", "updatedAt")
       SELECT 'user_' || number || id, id, number || id || '@example.com', 'User ' || number || ' of ' || name, now(),
              now() FROM "Organization", generate_series(1, 3) AS number""",
    """INSERT INTO "Subscription" (id, "organizationId", plan, status, "currentPeriodStart", "currentPeriodEnd",
              "creditsPerPeriod", "updatedAt")
       SELECT 'sub' || id, id, 'PRO', 'ACTIVE', '2026-06-01', '2026-07-01', 500, now() FROM "Organization" """,
    """INSERT INTO "CreditBalance" (id, "organizationId", balance, "resetDate", "updatedAt")
       SELECT 'bal' || id, id, 200, '2026-07-01', now() FROM "Organization" """,
    """INSERT INTO "UsageLimit" (id, "organizationId", type, date, count, "limit")
       SELECT id || n, id, 'UPSCALE', date '2026-06-15' - n, n, 5
       FROM "Organization", generate_series(1, 8) AS n""",
    """INSERT INTO "Generation" (id, "userId", "organizationId", type, model, status, "creditsUsed", "durationMs",
              prompt, error, "createdAt", "completedAt", "updatedAt")
       SELECT id || n, 'user_' || 1 + n %% 3 || id, id, 'UPSCALE', 'model-' || n, (CASE n %% 7 WHEN 0 THEN 'FAILED'
              ELSE 'SUCCEEDED' END)::"GenerationStatus", 2, 900 + n, 'p', CASE n %% 7 WHEN 0 THEN 'error ' || n END,
              at, at, at
       FROM (SELECT id, n, timestamp '2026-06-15 09:00' - n * interval '31 hours' AS at
             FROM "Organization", generate_series(0, 55) AS n) AS made""",
    """INSERT INTO "CreditTransaction" (id, "organizationId", "userId", "generationId", type, amount, "createdAt")
       SELECT 'ct' || id, "organizationId", "userId", id, 'CHARGE', -"creditsUsed", "createdAt" FROM "Generation" """,
    """INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")
       SELECT 'grant' || id, id, 'GRANT', 200 + 56 * 2, '2026-03-01' FROM "Organization" """,
)


@contextmanager
def filled(server: Server, tenants: int) -> Iterator[services.Services]:
    """The services of a database with so many tenants, each with the same few rows."""
    name = f"counts_{server.run}_{tenants}"
    with server.superuser() as connection:
        databases.create_database(connection, name)
    with server.superuser(name) as connection:
        databases.grant_privileges(connection, name)
    with psycopg.connect(server.url(name, APP)) as app:
        create_schema(app)
        for statement in _FILL:
            app.execute(statement, {"tenants": tenants})
    migrations.upgrade(server.url(name, OWNER))
    with server.superuser(name) as connection:
        connection.execute("ANALYZE")
    held = services.build(
        Settings(database_url=server.url(name, READER), direct_url=server.url(name, OWNER)), is_demo=True
    )
    before = services.installed()
    services.install(held)
    try:
        yield held
    finally:
        services.install(before)
        held.close()
        with server.superuser() as connection:
            databases.drop_database(connection, name)


def views() -> list[tuple[str, dict[str, str]]]:
    """Every page with every view that its address can name."""
    asking = [place.name for place in places.PLACES if place.name not in READS_THE_LOG]
    return [(name, parameters) for name in asking for parameters in VIEWS.get(name, [{}])]


def statements(server: Server, tenants: int) -> dict[str, tuple[Counter[str], dict[str, int]]]:
    """For each view: how often each question went to the database, and the most rows that each brought."""
    found = {}
    with filled(server, tenants) as held:
        for page, parameters in views():
            app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
            if page != "tenants":
                app.switch_page(f"../pages/{page}.py")
            app.query_params.update(parameters)
            held.cache.clear()
            known = len(held.monitor.recent())
            app.run()
            assert not app.exception, app.exception
            assert not app.error, f"{page} {parameters}: {[one.value for one in app.error]}"
            ran = [one for one in held.monitor.recent()[known:] if one.outcome == "miss"]
            assert any(one.page == page for one in ran), f"{page} was not drawn"
            most: dict[str, int] = {}
            for one in ran:
                most[one.query] = max(most.get(one.query, 0), one.rows or 0)
            found[f"{page} {parameters}"] = (Counter(one.query for one in ran), most)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_END)
    monkeypatch.chdir(ROOT)


def test_a_page_runs_the_same_statements_for_10_tenants_as_for_1000(server: Server, clock: None) -> None:
    few, many = statements(server, FEW), statements(server, MANY)
    assert {view: ran for view, (ran, _) in few.items()} == {view: ran for view, (ran, _) in many.items()}
    for view, (ran, rows) in many.items():
        assert ran, f"{view} asks nothing of the database"
        drawn = {name: count for name, count in rows.items() if name not in PER_TENANT}
        assert max(drawn.values(), default=0) <= MOST_ROWS_DRAWN, f"{view}: {drawn}"
        assert sum(drawn.values()) < 10 * MANY, f"{view} brings {sum(drawn.values())} rows"
