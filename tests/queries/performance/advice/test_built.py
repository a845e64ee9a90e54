"""Without HypoPG: candidates built as the tables' owner and rolled back; or nothing verified, and said so."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from queries.performance.advice import Statement, advise
from queries.performance.advice import what_if as what_if_module
from queries.performance.advice.index import Index, Key
from queries.performance.advice.planner import run
from queries.performance.advice.what_if import Built

PICTURES = 'SELECT * FROM usage_dashboard.app_image WHERE usage_dashboard.app_image."generationId" = ANY ($1)'
PLAIN = 'SELECT * FROM "Image" WHERE "generationId" = ANY ($1)'


HELD = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'ShareLock'"
ASKED = Statement("pictures", PLAIN, {"median": (["a", "b"],)}, calls_per_day=100_000.0)


@pytest.fixture
def big_enough(app_url: str) -> str:
    """The small demo's images, many times over: an index is not worth its keep on fewer."""
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "Image" ("id", "generationId", "organizationId", "sizeBytes", "width", "height", "createdAt")'
            ' SELECT i."id" || \'_\' || n, i."generationId", i."organizationId", 1, 1, 1, i."createdAt"'
            ' FROM (SELECT * FROM "Image" ORDER BY "id" LIMIT 3000) AS i, generate_series(1, 8) AS n'
        )
        connection.execute('ANALYZE "Image"')
    return app_url


def test_an_index_is_built_measured_and_gone(big_enough: str, reader_url: str) -> None:
    """The reader's question goes through a view that the tables' owner may not read; he gets one like it."""
    statement = Statement("pictures", PICTURES, {"median": (["a", "b"],)}, calls_per_day=100_000.0)
    with (
        psycopg.connect(reader_url, autocommit=True) as reader,
        psycopg.connect(big_enough, autocommit=True) as owner,
    ):
        before = owner.execute("SELECT relname FROM pg_class ORDER BY 1").fetchall()
        (one,) = advise(reader, [statement], build_on=owner)
        assert (one.verdict, one.evidence, one.index_name) == ("create_index", "built", "Image_generationId_idx")
        assert one.gain_ms["median"] > 0
        assert owner.execute("SELECT relname FROM pg_class ORDER BY 1").fetchall() == before
        assert reader.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_without_anyone_to_ask_it_is_an_estimate_and_says_so(big_enough: str) -> None:
    statement = Statement("pictures", PLAIN, {"median": (["a", "b"],)}, calls_per_day=100_000.0)
    with psycopg.connect(big_enough, autocommit=True) as connection:
        (one,) = advise(connection, [statement])
    assert (one.verdict, one.evidence) == ("create_index", "estimated")
    assert one.severity != "high"
    assert "no planner has verified" in one.reason
    assert "CREATE EXTENSION hypopg" in one.reason


def test_whoever_writes_meanwhile_goes_on_and_nothing_is_tried(
    big_enough: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if_module, "_LOCK_TIMEOUT_MS", 50)
    with connections(big_enough, 3) as (asking, building, writing):
        with writing.transaction(force_rollback=True):
            writing.execute('UPDATE "Image" SET "width" = 1 WHERE "id" = (SELECT min("id") FROM "Image")')
            (one,) = advise(asking, [ASKED], build_on=building)
            assert one.verdict == "none"
            assert "no index was tried, since others were writing to its tables" in one.reason
            assert "times less" not in one.reason
            writing.execute('SELECT 1 FROM "Image" LIMIT 1')
        assert building.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert {one.verdict for one in advise(asking, [ASKED], build_on=building)} == {"create_index"}


def test_tables_are_locked_in_one_order_whatever_is_to_be_built(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And for as long as they are built only: whoever waits for one of them never waits for us in turn."""
    said: list[str] = []

    def listening(connection: Any, statement: Any, values: Sequence[Any] = ()) -> None:
        said.append(statement if isinstance(statement, str) else statement.as_string(connection))
        run(connection, statement, values)

    monkeypatch.setattr(what_if_module, "run", listening)
    indexes = [
        Index("public", table, (Key("id"),), include=("createdAt",)) for table in ("User", "Image", "Generation")
    ]
    with connections(app_url, 1) as (connection,):
        before = connection.execute("SHOW lock_timeout").fetchone()
        with connection.transaction():
            for asked in (indexes, indexes[::-1]):
                with Built(connection).with_indexes(asked) as made:
                    assert sorted(made.values()) == sorted(indexes)
            assert connection.execute(HELD).fetchone() == (0,)
            assert connection.execute("SHOW lock_timeout").fetchone() == before
    first, second = (one for one in said if one.startswith("LOCK TABLE"))
    assert first == second == 'LOCK TABLE "public"."Generation", "public"."Image", "public"."User" IN SHARE MODE'


def test_a_role_that_may_not_build_is_told_that_nothing_was_tried(big_enough: str, owner_url: str) -> None:
    """The dashboard's own owner has no right to change the application's tables."""
    with connections(big_enough, 1) as (asking,), connections(owner_url, 1) as (building,):
        found = advise(asking, [ASKED], build_on=building)
    assert {one.verdict for one in found} <= {"none", "create_index"}
    assert all("built, the statements were run" not in one.reason for one in found)
    assert all("1.0 times less" not in one.reason for one in found)


def test_what_changes_rows_is_never_run_to_be_measured(big_enough: str) -> None:
    """An estimate is all that there is for it."""
    gone = Statement("gone", PLAIN.replace("SELECT *", "DELETE"), {"median": (["a"],)}, calls_per_day=100_000.0)
    steps = Statement("steps", "SELECT nextval('steps') FROM \"Image\" WHERE \"generationId\" = 'a'", calls_per_day=1e5)
    with connections(big_enough, 2) as (asking, building):
        asking.execute("CREATE SEQUENCE steps")
        count = 'SELECT count(*) FROM "Image"'
        before = asking.execute(count).fetchone()
        found = advise(asking, [gone, steps], build_on=building)
        assert {one.evidence for one in found} == {"estimated"}
        assert asking.execute(count).fetchone() == before
        assert asking.execute("SELECT is_called FROM steps").fetchone() == (False,)


@contextlib.contextmanager
def connections(url: str, count: int) -> Iterator[list[psycopg.Connection[Any]]]:
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(count)]


def test_where_nothing_was_tried_the_reason_claims_nothing(app_url: str) -> None:
    """Without HypoPG and without leave to build; and with leave, where the statistics promise too little to build."""
    asked = Statement("some", 'SELECT * FROM "Few" WHERE "kind" = 7')
    with connections(app_url, 2) as (asking, building):
        asking.execute('CREATE TABLE "Few" AS SELECT i AS id, i % 20 AS "kind" FROM generate_series(1, 60000) AS i')
        asking.execute('VACUUM ANALYZE "Few"')
        (one,) = advise(asking, [asked])
        assert one.verdict == "none"
        assert "for want of HypoPG on this server" in one.reason
        assert "1.0 times less" not in one.reason
        nothing = Statement("all", 'SELECT sum("id") FROM "Few" WHERE "kind" <> 7 AND "id" + "kind" > 0')
        for one in advise(asking, [nothing], build_on=building):
            assert "times less" not in one.reason


def test_a_statement_that_reads_kept_sums_is_not_told_to_keep_them(superuser_url: str) -> None:
    """The dashboard's own read the aggregates for what is over, and the rows for the rest."""
    whole = Statement("whole", 'SELECT sum("id") FROM "Few"')
    rest = Statement("rest", 'SELECT sum("id") + (SELECT sum(n) FROM usage_dashboard.kept) FROM "Few"')
    with connections(superuser_url, 1) as (asking,):
        asking.execute('CREATE TABLE "Few" AS SELECT i AS id FROM generate_series(1, 60000) AS i')
        asking.execute("CREATE TABLE usage_dashboard.kept AS SELECT 1 AS n")
        asking.execute("VACUUM ANALYZE")
        found = {one.statements[0]: one.verdict for one in advise(asking, [whole, rest])}
    assert found == {"whole": "pre_aggregate", "rest": "none"}


def test_rewritings_and_indexes_that_go_together_are_tried_too(app_url: str) -> None:
    with connections(app_url, 2) as (asking, building):
        asking.execute(
            'CREATE TABLE "Many" AS SELECT i AS id, i % 5000 AS a, (i * 7919) % 5003 AS b,'
            " timestamp '2026-01-01' + i * interval '1 minute' AS at FROM generate_series(1, 60000) AS i"
        )
        asking.execute('CREATE INDEX "by_time" ON "Many" (at)')
        asking.execute('VACUUM ANALYZE "Many"')
        either = Statement("either", 'SELECT id FROM "Many" WHERE a = 7 OR b = 9', calls_per_day=1e5)
        hidden = Statement("hidden", """SELECT id FROM "Many" WHERE at::date = '2026-01-20'""", calls_per_day=1e5)
        found = advise(asking, [either, hidden], build_on=building)
    told = {name: sorted(one.verdict for one in found if name in one.statements) for name in ("either", "hidden")}
    assert told == {"either": ["create_index", "create_index"], "hidden": ["rewrite"]}
    assert {one.evidence for one in found} == {"built"}
