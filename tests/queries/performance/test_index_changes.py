"""Making and dropping an index from a page: measured before and after, one at a time, nothing but our own advice."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dashboard import services
from queries.catalog import generations, tenants
from queries.errors import ArgumentError, NotFoundError
from queries.performance.index_changes import IndexChanges, Job, Measured, has_helped, verdict
from queries.performance.index_offers import Lookup, Offers, parsed_offer
from queries.performance.measuring import Times
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import DEMO_END

EVERYBODY = Scope.all_tenants()
MAKE = 'CREATE INDEX CONCURRENTLY "Image_generationId_idx" ON public."Image" ("generationId");'
DROP = 'DROP INDEX CONCURRENTLY "public"."Generation_organizationId_idx";'


@pytest.fixture
def held(reader_url: str, owner_url: str, app_url: str) -> Iterator[services.Services]:
    made = services.build(
        Settings(database_url=reader_url, direct_url=owner_url, pool_size=4),
        is_demo=True,
        application_url=SecretStr(app_url),
    )
    yield made
    made.close()


@pytest.fixture
def maker(held: services.Services) -> IndexChanges:
    assert held.index_changes is not None
    return held.index_changes


def applied(maker: IndexChanges, ddl: str, **what: Any) -> Job:
    job = maker.start(maker.offers.add(ddl, **what).token, "Tess")
    assert job.ended.wait(60), "the change does not end"
    return job


def index_names(url: str) -> dict[str, bool]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        ).fetchall()
    return {str(name): bool(is_valid) for name, is_valid in rows}


def test_an_index_is_made_measured_and_written_down(maker: IndexChanges, app_url: str) -> None:
    question = generations.pictures(EVERYBODY, generation_ids=("gen_1",), since=DEMO_END)
    job = applied(maker, MAKE, questions=(question,), lookup=Lookup("public", "Image", ("generationId",)))
    assert (job.state, index_names(app_url)["Image_generationId_idx"]) == ("done", True)
    [kept] = maker.changes()
    assert (kept.index_name, kept.action, kept.changed_by) == ("Image_generationId_idx", "create", "Tess")
    assert [one.name for one in kept.measured] == ["generations.pictures", 'lookup in "Image" by "generationId"']
    for one in kept.measured:
        assert one.before is not None
        assert one.after is not None
        assert one.before.calls == one.after.calls == 5
        assert one.before.p95_ms >= one.before.p50_ms > 0
    assert kept.measured == job.measured
    assert kept.measured[0].fingerprint


def test_an_index_is_dropped_and_the_statements_lose_nothing(maker: IndexChanges, app_url: str) -> None:
    job = applied(maker, DROP, questions=(tenants.tenant_choices(EVERYBODY, search="", limit=10),))
    assert job.state == "done"
    assert "Generation_organizationId_idx" not in index_names(app_url)
    assert [one.action for one in maker.changes()] == ["drop"]


def test_what_is_there_or_gone_already_is_said_and_nothing_is_done(maker: IndexChanges) -> None:
    applied(maker, MAKE)
    again = applied(maker, MAKE)
    assert (again.state, again.sentence) == ("done", "Image_generationId_idx exists by now; nothing was done.")
    applied(maker, DROP)
    assert applied(maker, DROP).sentence.endswith("is gone by now; nothing was done.")
    assert len(maker.changes()) == 2


def test_what_a_failure_leaves_over_is_dropped_and_said(maker: IndexChanges, app_url: str) -> None:
    fails = 'CREATE INDEX CONCURRENTLY "Fails" ON public."Organization" ((1 / (length("name") - length("name"))))'
    job = applied(maker, fails)
    assert job.state == "failed"
    assert "division by zero; what it left over was dropped" in job.sentence
    assert "Fails" not in index_names(app_url)
    assert maker.changes() == []


def test_what_an_earlier_failure_left_over_is_made_anew(maker: IndexChanges, app_url: str) -> None:
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute('INSERT INTO "Image" SELECT * FROM "Image" WHERE false')
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                'CREATE UNIQUE INDEX CONCURRENTLY "Image_generationId_idx" ON "Image" ("organizationId")'
            )
    assert index_names(app_url)["Image_generationId_idx"] is False
    assert applied(maker, MAKE).state == "done"
    assert index_names(app_url)["Image_generationId_idx"] is True


def test_of_two_people_at_once_one_changes_something(maker: IndexChanges, app_url: str) -> None:
    """A transaction that has written holds the first change up; the second is refused meanwhile."""
    make, drop = maker.offers.add(MAKE), maker.offers.add(DROP)
    with psycopg.connect(app_url) as other:
        other.execute('UPDATE "Organization" SET "name" = "name" WHERE false')
        other.execute('LOCK TABLE "Image" IN ROW EXCLUSIVE MODE')
        job = maker.start(make.token, "Ada")
        with pytest.raises(ArgumentError, match="Ada is changing Image_generationId_idx now"):
            maker.start(drop.token, "Emil")
        for _ in range(1_000):
            if (progress := maker.progress()) is not None:
                break
            threading.Event().wait(0.01)
        assert progress is not None
        assert "waiting" in progress.phase or "building" in progress.phase
    assert job.ended.wait(60)
    assert (job.state, [one.index_name for one in maker.changes()]) == ("done", ["Image_generationId_idx"])


def test_of_two_processes_at_once_one_changes_something(maker: IndexChanges, app_url: str) -> None:
    with psycopg.connect(app_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7135480112937)")
        job = applied(maker, MAKE)
    assert job.state == "failed"
    assert "another process is changing an index" in job.sentence
    assert "Image_generationId_idx" not in index_names(app_url)


def test_the_walls_and_the_reader_stay_as_they_are(held: services.Services, maker: IndexChanges) -> None:
    applied(maker, MAKE)
    assert held.database.tables().walled


REFUSED = [
    'DROP TABLE "Image"',
    'DROP INDEX "Generation_organizationId_idx"',
    'CREATE INDEX x ON "Image" ("id")',
    'CREATE UNIQUE INDEX CONCURRENTLY x ON "Image" ("id")',
    'CREATE INDEX CONCURRENTLY ON "Image" ("id")',
    'DROP INDEX CONCURRENTLY "a", "b"',
    f"{DROP} {DROP}",
    f'{MAKE} TRUNCATE "Image"',
    "SELECT 1",
    "no statement",
    "",
]


@pytest.mark.parametrize("ddl", REFUSED)
def test_nothing_but_one_index_can_be_offered(ddl: str) -> None:
    with pytest.raises(ArgumentError):
        parsed_offer(ddl)


@given(st.text())
def test_whatever_is_typed_is_no_offer(typed: str) -> None:
    offers = Offers()
    with pytest.raises(NotFoundError):
        offers.of(typed)
    with pytest.raises(ArgumentError):
        offers.add(typed)


@pytest.mark.parametrize(
    ("action", "before_ms", "after_ms", "plan_after", "helped", "said"),
    [
        ("create", 70.0, 1.8, "new", True, "Confirmed. q: 70.0 to 1.8 ms."),
        ("create", 70.0, 69.0, "new", False, "It did not help: drop it. q: 70.0 to 69.0 ms, as before."),
        ("create", 0.2, 0.1, "new", False, "It did not help: drop it. q: 0.20 to 0.10 ms, as before."),
        ("create", 70.0, 1.8, "old", False, "It did not help: drop it. q: 70.0 to 1.8 ms, by the same plan."),
        ("create", 1.8, 70.0, "new", False, "It did not help: drop it. q: 1.8 to 70.0 ms, slower."),
        ("drop", 1.8, 1.9, "new", True, "Confirmed, nothing is lost. q: 1.8 to 1.9 ms, as before."),
        ("drop", 1.8, 70.0, "old", True, "Confirmed, nothing is lost. q: 1.8 to 70.0 ms, by the same plan."),
        ("drop", 1.8, 170.0, "new", False, "Statements are slower: make it again. q: 1.8 to 170 ms, slower."),
    ],
)
def test_what_came_of_it_is_said_with_its_numbers(
    action: str, before_ms: float, after_ms: float, plan_after: str, helped: bool, said: str
) -> None:
    times = (Times(5, before_ms, before_ms), Times(5, after_ms, after_ms))
    measured = [Measured("q", None, None, *times, plan_before="old", plan_after=plan_after)]
    assert (has_helped(action, measured), verdict(action, measured)) == (helped, said)
    assert has_helped(action, []) is None
    assert [Measured.of(one.as_json()) for one in measured] == measured


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40))
def test_times_lie_among_the_runs(runs_ms: list[float]) -> None:
    times = Times.of_runs(runs_ms)
    assert min(runs_ms) <= times.p50_ms <= times.p95_ms <= max(runs_ms)
    assert times.p50_ms in runs_ms
    assert Times.of(times.as_json()) == times
    assert sum(one <= times.p95_ms for one in runs_ms) >= 0.95 * len(runs_ms)
