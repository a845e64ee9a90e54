"""The page Indexes: who may do what on it, what it says, and an index made and dropped from it."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from dashboard import filters, services
from queries.catalog import generations
from queries.performance.advising import Asked
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.dashboard.conftest import DEMO_NOW, ROOT

EVERYBODY = Scope.all_tenants()
# Under that many rows a foreign key needs no index.
IMAGES = 12_000


@pytest.fixture
def build(
    reader_url: str, owner_url: str, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., services.Services]]:
    """Services on a database of the test's own, in which images are many; `application_url=None` cannot apply."""
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "Image" ("id", "generationId", "organizationId", "sizeBytes", "width", "height")'
            ' SELECT \'more_\' || i, g."id", g."organizationId", 1, 1, 1 FROM generate_series(1, %s) i'
            ' CROSS JOIN (SELECT "id", "organizationId" FROM "Generation" ORDER BY "id" LIMIT 1) g',
            [IMAGES],
        )
    with psycopg.connect(app_url, autocommit=True) as connection:
        # In a session of its own: rows count as changed when the session that wrote them ends.
        connection.execute('ANALYZE "Image"')
    before = services.installed()
    made: list[services.Services] = []

    def built(**how: Any) -> services.Services:
        given = {"is_demo": True, "application_url": SecretStr(app_url), "direct_url": owner_url, **how}
        settings = Settings(database_url=reader_url, direct_url=given.pop("direct_url"))
        made.append(services.build(settings, **given))
        services.install(made[-1])
        return made[-1]

    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield built
    services.install(before)
    for one in made:
        one.close()


@pytest.fixture
def demo(build: Callable[..., services.Services]) -> services.Services:
    return build()


def settled(app: AppTest) -> AppTest:
    """The page when nothing is computed and nothing changed any more."""
    held = services.current()
    for _ in range(600):
        job = held.index_changes.job if held.index_changes is not None else None
        busy = any(one.is_computing for one in held.advisor._standing.values())
        if not busy and (job is None or job.ended.is_set()):
            return app.run()
        threading.Event().wait(0.1)
    raise AssertionError("the page does not settle")


def said(app: AppTest) -> str:
    """All that the page says, as it is read."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(str(one.value) for kind in kinds for one in app.get(kind)).replace("\\", "").replace("\u2060", "")


def headings(app: AppTest) -> list[str]:
    return [str(one.value).replace("\\", "") for one in app.subheader]


def labels(app: AppTest) -> set[str]:
    return {one.label for one in app.button}


def workload(held: services.Services) -> set[str]:
    """The names of the statements that the page was advised on."""
    advised = held.advisor.look(Asked(24)).advised
    assert advised is not None
    return set(advised.workload.origins)


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


@pytest.mark.parametrize(("role", "may_open"), [("engineer", True), ("account_manager", False), ("finance", False)])
def test_engineers_and_administrators_open_it(open_app: Any, role: str, may_open: bool) -> None:
    app = settled(open_app("indexes", role=role))
    assert not app.exception
    assert ("Covered index: Generation_organizationId_idx" in said(app)) == may_open
    assert ("Not for your role" in said(app)) != may_open


def test_both_flaws_of_the_demo_are_found_and_nothing_else_is_asked_for(open_app: Any) -> None:
    app = settled(open_app("indexes"))
    assert headings(app) == [
        "Covered index: Generation_organizationId_idx",
        "Foreign key without an index: Image_generationId_fkey",
    ]
    codes = [one.value for one in app.code]
    assert 'CREATE INDEX CONCURRENTLY "Image_generationId_idx" ON "public"."Image" ("generationId");' in codes
    assert 'DROP INDEX CONCURRENTLY "public"."Generation_organizationId_idx";' in codes
    assert {"@@index([generationId])", "remove @@index([organizationId])"} <= set(codes)
    assert "Source: pg_constraint; PostgreSQL manual" in said(app)
    assert "Nothing asks for something to be done" in said(app)


def test_an_index_is_made_confirmed_and_dropped_again(open_app: Any, demo: services.Services) -> None:
    question = generations.pictures(EVERYBODY, generation_ids=("gen_1",), since=datetime(2020, 1, 1, tzinfo=UTC))
    demo.runner.run(question, Context(EVERYBODY, page="tenant"))
    app = settled(open_app("indexes"))
    while "generations.pictures" not in workload(demo):  # the log is written within a second
        demo.advisor.forget()
        app = settled(app.run())
    button(app, "Make this index now").click()
    app = settled(app.run())
    assert not app.exception
    assert "Image_generationId_idx was made" in said(app)
    assert "generations.pictures: " in said(app)
    assert "Made Image_generationId_idx" in headings(app)
    assert not any("Foreign key" in one for one in headings(app))
    assert "by Demo visitor" in said(app)
    drops = [one for one in app.button if one.label == "Drop this index now"]
    assert len(drops) == 2  # the covered one, and the one that was just made
    next(one for one in drops if one.key.startswith("change-")).click()
    app = settled(app.run())
    assert "Dropped Image_generationId_idx" in headings(app)
    assert any("Foreign key" in one for one in headings(app)), "it is missing again"


def test_two_people_at_once_change_one_thing(open_app: Any, demo: services.Services, app_url: str) -> None:
    first, second = settled(open_app("indexes")), settled(open_app("indexes"))
    with psycopg.connect(app_url) as holds_up:
        holds_up.execute('LOCK TABLE "Image" IN ROW EXCLUSIVE MODE')
        button(first, "Make this index now").click().run()
        button(second, "Drop this index now").click().run()
        assert "Demo visitor is changing Image_generationId_idx now" in said(second)
    settled(first)
    assert demo.index_changes is not None
    assert [one.action for one in demo.index_changes.changes()] == ["create"]


def test_an_engineer_reads_the_statement_and_applies_nothing(open_app: Any) -> None:
    app = settled(open_app("indexes", role="engineer"))
    assert not {"Make this index now", "Drop this index now"} & labels(app)
    assert "An administrator can apply it from here" in said(app)


@pytest.mark.parametrize("without", [{"application_url": None}, {"application_url": None, "direct_url": None}])
def test_where_nothing_can_be_applied_the_statement_is_given(
    build: Callable[..., services.Services], open_app: Any, without: dict[str, Any]
) -> None:
    """Another database than the demo's, with and without DIRECT_URL: the log is on disk, or in memory."""
    build(**without)
    app = settled(open_app("indexes"))
    assert not app.exception
    assert "Run it as the owner of the table" in said(app)
    assert not {"Make this index now", "Drop this index now"} & labels(app)
    assert any("CREATE INDEX CONCURRENTLY" in one.value for one in app.code)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"asked": "Last century"}, "The link's time “Last century” is not known"),
        ({"source": "mine"}, "the dashboard's are shown"),
        ({"table": "'; DROP TABLE x; --"}, "all tables are shown"),
        ({"question": "<script>"}, "the advice is for all statements"),
    ],
)
def test_what_a_link_asks_for_and_there_is_not_is_said(open_app: Any, parameters: dict[str, str], told: str) -> None:
    app = settled(open_app("indexes", **parameters))
    assert not app.exception
    assert told in said(app)


def test_one_table_only(open_app: Any) -> None:
    app = settled(open_app("indexes", table="Image"))
    assert headings(app) == ["Foreign key without an index: Image_generationId_fkey"]


def test_a_database_that_is_away_is_said_and_the_page_heals(
    open_app: Any, demo: services.Services, server: Any, database_name: str
) -> None:
    app = settled(open_app("indexes"))
    with server.superuser() as superuser:
        superuser.execute(f'ALTER DATABASE "{database_name}" ALLOW_CONNECTIONS false')
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database_name])
        app.run()
        assert "heals by itself" in said(app)
        superuser.execute(f'ALTER DATABASE "{database_name}" ALLOW_CONNECTIONS true')
    assert "Covered index" in said(settled(app.run()))
