"""Each warning, provoked on a real PostgreSQL; and plans in which nothing stands out."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from queries.performance.plan_tree import plan_tree
from queries.performance.plan_warnings import PlanWarning, level, plan_warnings
from tests.conftest import APP, Server

ROWS = 120_000


@pytest.fixture(scope="module")
def connection(server: Server, shared_database: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction with tables of its own that is rolled back."""
    with psycopg.connect(server.url(shared_database, APP)) as opened:
        opened.execute("CREATE TEMPORARY TABLE wide (id int, few int, same int, filler text)")
        opened.execute(
            "INSERT INTO wide SELECT n, n %% 1000, n %% 2, repeat('x', 40) FROM generate_series(1, %s) AS n", [ROWS]
        )
        opened.execute("CREATE INDEX ON wide (id)")
        opened.execute("CREATE INDEX ON wide (few)")
        opened.execute(
            "CREATE TEMPORARY TABLE twins AS SELECT n % 100 AS a, n % 100 AS b FROM wide, LATERAL (SELECT id AS n) AS s"
        )
        opened.execute("ANALYZE wide, twins")
        yield opened
        opened.rollback()


def warnings_of(
    connection: psycopg.Connection[Any], sql: LiteralString, analyze: bool = True, **settings: str
) -> list[PlanWarning]:
    chosen = {"jit": "off", "max_parallel_workers_per_gather": "0", **settings}
    for name, value in chosen.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])
    more: LiteralString = ", ANALYZE, BUFFERS" if analyze else ""
    row = connection.execute("EXPLAIN (FORMAT JSON, VERBOSE" + more + ") " + sql).fetchone()
    for name in chosen:
        connection.execute(f"SET LOCAL {name} TO DEFAULT")
    assert row is not None
    return plan_warnings(plan_tree(row[0][0]))


def only(kind: str, found: list[PlanWarning]) -> PlanWarning:
    chosen = [one for one in found if one.kind == kind]
    assert len(chosen) == 1, found
    return chosen[0]


def test_a_lookup_has_no_warnings(connection):
    assert warnings_of(connection, "SELECT * FROM wide WHERE id = 77") == []
    assert warnings_of(connection, "SELECT * FROM wide ORDER BY id LIMIT 5") == []


def test_an_estimate_alone_says_nothing_of_what_only_a_run_tells(connection):
    assert warnings_of(connection, "SELECT * FROM wide WHERE same + 0 = 2", analyze=False) == []


def test_rows_removed_by_a_filter(connection):
    found = only("filter", warnings_of(connection, "SELECT * FROM wide WHERE same + few = 7"))
    assert f"of {ROWS:,} rows" in found.fact
    assert found.severity == "high"
    assert "an index on wide" in found.advice


def test_a_filter_outside_its_subquery_is_no_case_for_an_index(connection):
    found = only("filter", warnings_of(connection, "SELECT * FROM (SELECT * FROM wide OFFSET 0) AS s WHERE few = 7"))
    assert "no index serves a filter that stands outside" in found.advice


def test_an_estimate_that_is_off(connection):
    found = only("estimate", warnings_of(connection, "SELECT * FROM twins WHERE a = 5 AND b = 5"))
    assert "1,200 rows came where" in found.fact
    assert "times more" in found.fact
    assert "CREATE STATISTICS" in found.advice


def test_an_error_is_said_where_it_begins(connection):
    sql = "SELECT count(*) FROM (SELECT * FROM twins WHERE a = 5 AND b = 5 OFFSET 0) AS s JOIN wide ON wide.id = s.a"
    assert len([one for one in warnings_of(connection, sql) if one.kind == "estimate"]) == 1


def test_what_a_limit_left_is_no_wrong_estimate(connection):
    found = warnings_of(connection, "SELECT * FROM wide WHERE same = 1 LIMIT 3", enable_indexscan="off")
    assert [one for one in found if one.kind == "estimate"] == []


def test_a_sort_on_disk(connection):
    found = only("sort", warnings_of(connection, "SELECT * FROM wide ORDER BY filler, few, id", work_mem="64kB"))
    assert "MB of disk" in found.fact
    assert not [
        one
        for one in warnings_of(connection, "SELECT * FROM wide ORDER BY filler, few, id", work_mem="512MB")
        if one.kind == "sort"
    ]


def test_an_aggregate_on_disk(connection):
    only_hash = {"enable_sort": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off"}
    found = warnings_of(connection, "SELECT id, count(*) FROM wide GROUP BY id", work_mem="64kB", **only_hash)
    assert "of disk" in only("temporary", found).fact


def test_a_hash_in_batches(connection):
    sql = "SELECT count(*) FROM wide AS a JOIN wide AS b ON a.id = b.id + 0 WHERE b.filler <> ''"
    forced = {"enable_mergejoin": "off", "enable_nestloop": "off", "work_mem": "64kB"}
    found = only("hash_batches", warnings_of(connection, sql, **forced))
    assert "batches" in found.fact
    roomy = warnings_of(connection, sql, **{**forced, "work_mem": "256MB"})
    assert not [one for one in roomy if one.kind == "hash_batches"]


def test_a_lossy_bitmap(connection):
    forced = {"work_mem": "64kB", "enable_seqscan": "off", "enable_indexscan": "off"}
    found = only("lossy", warnings_of(connection, "SELECT sum(same) FROM wide WHERE few < 900", **forced))
    assert "read whole" in found.fact


def test_heap_fetches_of_an_index_only_scan(connection):
    # Nothing of this transaction is known to be visible to all.
    found = only(
        "heap_fetches",
        warnings_of(connection, "SELECT id FROM wide WHERE id < 5000", enable_seqscan="off", enable_bitmapscan="off"),
    )
    assert "4,999 rows" in found.fact
    assert "VACUUM wide" in found.advice


def test_a_whole_table(connection):
    found = only("whole_table", warnings_of(connection, "SELECT sum(length(filler)) FROM wide", enable_indexscan="off"))
    assert f"{ROWS:,} rows of" in found.fact
    assert "no index helps" in found.advice
    estimated = warnings_of(connection, "SELECT filler FROM wide", analyze=False)
    assert [one.kind for one in estimated] == ["whole_table"]


def test_workers_that_were_not_started(server, shared_database):
    with psycopg.connect(server.url(shared_database, APP)) as own:
        own.execute("CREATE TABLE many AS SELECT n FROM generate_series(1, 50000) AS n")
        own.execute("ANALYZE many")
        settings = {
            "max_parallel_workers_per_gather": "3",
            "min_parallel_table_scan_size": "0",
            "parallel_setup_cost": "0",
            "parallel_tuple_cost": "0",
        }
        # Planned by the setting per Gather, started by the one for all.
        found = only("workers", warnings_of(own, "SELECT count(*) FROM many", max_parallel_workers="0", **settings))
        own.rollback()
    assert "0 of " in found.fact


def test_jit_that_takes_its_share(connection):
    settings = {"jit": "on", "jit_above_cost": "0", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0"}
    available = connection.execute("SELECT pg_jit_available()").fetchone()
    found = [
        one for one in warnings_of(connection, "SELECT sum(id), max(few) FROM wide", **settings) if one.kind == "jit"
    ]
    assert available is not None
    assert len(found) == int(available[0]), "where JIT can be had, compiling so little takes most of the time"
    printed = {"Plan": {"Actual Loops": 1, "Actual Total Time": 90}, "Execution Time": 100.0}
    assert "40 of 100 ms (40.0 %)" in plan_warnings(plan_tree({**printed, "JIT": {"Timing": {"Total": 40.0}}}))[0].fact
    assert plan_warnings(plan_tree({**printed, "JIT": {"Timing": {"Total": 9.0}}})) == []


def test_the_gravest_comes_first(connection):
    found = warnings_of(
        connection, "SELECT * FROM wide WHERE same + few = 7 ORDER BY filler", enable_indexscan="off", work_mem="64kB"
    )
    order = ["high", "medium", "low"]
    assert [order.index(one.severity) for one in found] == sorted(order.index(one.severity) for one in found)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0, "none"),
        (0.1, "none"),
        (0.11, "some"),
        (0.4, "some"),
        (0.41, "much"),
        (0.9, "much"),
        (0.91, "most"),
        (1, "most"),
    ],
)
def test_shares_have_levels(share, expected):
    assert level(share) == expected
