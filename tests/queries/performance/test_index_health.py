"""Findings about indexes: each rule provoked on a real database, and what must stay stays."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.performance import index_health
from queries.performance.findings import Finding, Limits
from queries.performance.index_facts import Counting, IndexFact, indexes

Connection = psycopg.Connection[Any]
# Small tables stand for large ones, and statistics of this minute for those of weeks.
SMALL = Limits(table_rows=500, index_bytes=8_000, counted_for=timedelta(0))


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Connection]:
    """An empty database, as the owner of its tables."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


def found(connection: Connection, rule: str | None = None, **how: Any) -> list[Finding]:
    every = index_health.findings(connection, **{"limits": SMALL, **how})
    return [one for one in every if rule is None or one.rule == rule]


def subjects(connection: Connection, rule: str, **how: Any) -> set[str]:
    return {one.subject for one in found(connection, rule, **how)}


def fill(connection: Connection, table: str = "t", rows: int = 1_000) -> None:
    connection.execute(f"INSERT INTO {table} SELECT i, i % 7, i FROM generate_series(1, {rows}) i")  # noqa: S608 - a test's own
    connection.execute(f"ANALYZE {table}")


@pytest.fixture
def table(database: Connection) -> Connection:
    database.execute("CREATE TABLE t (a int NOT NULL, b int NOT NULL, c text)")
    return database


COVERED = [
    ("(a)", "(a, b)"),
    ("(a DESC)", "(a, b)"),  # read backwards
    ("(a, b)", "(a DESC, b DESC, c)"),
    ("(a DESC NULLS LAST)", "(a NULLS FIRST, b)"),
    ("(a) INCLUDE (b)", "(a, b)"),
    ("(a) INCLUDE (c)", "(a, b) INCLUDE (c)"),
    ("(a)", "(a) INCLUDE (b)"),
    ("(lower(c))", "(lower(c), a)"),
    ("(a) WHERE b > 3", "(a, c) WHERE b > 3"),
    ("(c text_pattern_ops)", "(c text_pattern_ops, a)"),
]
NOT_COVERED = [
    ("(b)", "(a, b)"),
    ("(a, b DESC)", "(a, b, c)"),  # neither forwards nor backwards
    ("(a NULLS FIRST)", "(a, b)"),
    ("(a) INCLUDE (c)", "(a, b)"),
    ("(lower(c))", "(upper(c), a)"),
    ("(a) WHERE b > 3", "(a, c) WHERE b > 4"),
    ("(a) WHERE b > 3", "(a, c)"),  # smaller, and so of use
    ("(a)", "(a, b) WHERE c IS NULL"),
    ("(c)", "(c text_pattern_ops, a)"),
    ('(c COLLATE "C")', "(c, a)"),
    ("USING hash (a)", "(a, b)"),
    ("USING brin (a)", "USING brin (a, b)"),
]


def create(connection: Connection, name: str, written: str, *, unique: str = "") -> None:
    connection.execute(f'CREATE {unique} INDEX "{name}" ON t {written}')


@pytest.mark.parametrize(("narrow", "wide"), COVERED)
def test_an_index_that_another_starts_with_is_covered(table: Connection, narrow: str, wide: str) -> None:
    create(table, "Narrow", narrow)
    create(table, "Wide", wide)
    [finding] = found(table, "covered")
    assert (finding.subject, finding.table) == ("Narrow", "t")
    assert '"Wide"' in finding.sentence
    table.execute(finding.ddl or "")
    assert found(table, "covered") == []
    assert [one.name for one in indexes(table)] == ["Wide"]


@pytest.mark.parametrize(("narrow", "wide"), NOT_COVERED)
def test_an_index_that_answers_what_the_other_cannot_is_not_covered(table: Connection, narrow: str, wide: str) -> None:
    create(table, "Narrow", narrow)
    create(table, "Wide", wide)
    assert found(table, "covered") == found(table, "duplicate") == []


def test_rules_about_the_data_are_never_to_be_dropped(table: Connection) -> None:
    create(table, "Unique", "(a)", unique="UNIQUE")
    create(table, "Wide", "(a, b)")
    table.execute("ALTER TABLE t ADD CONSTRAINT key UNIQUE (b)")
    table.execute("CREATE INDEX wide_too ON t (b, a)")
    table.execute("ALTER TABLE t ALTER c SET NOT NULL")
    create(table, "Identity", "(c)", unique="UNIQUE")
    table.execute('ALTER TABLE t REPLICA IDENTITY USING INDEX "Identity"')
    create(table, "Wide three", "(c, b)")
    table.execute("CREATE TABLE child (a int REFERENCES t (b))")
    assert found(table, "covered") == found(table, "duplicate") == []


def test_of_two_directions_of_one_column_one_stays(table: Connection) -> None:
    create(table, "Down", "(a DESC)")
    create(table, "Up", "(a)")
    assert subjects(table, "covered") == {"Up"}


def test_of_duplicates_one_stays_and_it_is_the_one_that_must(table: Connection) -> None:
    create(table, "A", "(b)", unique="UNIQUE")
    table.execute('ALTER TABLE t ADD CONSTRAINT "Z" UNIQUE (b)')
    create(table, "Twin", "(a) WHERE b > 1")
    create(table, "Twin 2", "(a) WHERE b > 1")
    create(table, "Twin 3", "(a) WHERE b > 1")
    assert subjects(table, "duplicate") == {"A", "Twin 2", "Twin 3"}
    for one in found(table, "duplicate"):
        table.execute(one.ddl or "")
    assert {one.name for one in indexes(table)} == {"Z", "Twin"}


def test_an_invalid_index_is_told_with_the_statement_that_removes_it(table: Connection) -> None:
    table.execute("INSERT INTO t VALUES (1, 1), (1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        table.execute('CREATE UNIQUE INDEX CONCURRENTLY "Broken" ON t (a)')
    create(table, "Wide", "(a, b)")
    [finding] = found(table)
    assert (finding.rule, finding.subject, finding.severity) == ("invalid", "Broken", "high")
    assert 'CREATE UNIQUE INDEX "Broken" ON public.t USING btree (a)' in finding.fix
    table.execute(finding.ddl or "")
    assert found(table) == []


def test_an_index_that_is_being_made_is_not_invalid(table: Connection, empty_database_url: str) -> None:
    """Another transaction that has written keeps it unfinished for as long as it lasts."""
    with psycopg.connect(empty_database_url) as other, psycopg.connect(empty_database_url, autocommit=True) as maker:
        other.execute("INSERT INTO t VALUES (1, 1)")
        maker.execute("SET statement_timeout = '20s'")
        maker.pgconn.send_query(b'CREATE INDEX CONCURRENTLY "Slow" ON t (a)')
        for _ in range(2_000):
            is_there = table.execute("SELECT FROM pg_stat_progress_create_index WHERE index_relid <> 0").fetchone()
            if is_there is not None:
                break
        assert [one.is_valid for one in indexes(table)] == [False]
        assert found(table, "invalid") == []
        other.rollback()
        while maker.pgconn.get_result() is not None:
            pass
    assert [one.is_valid for one in indexes(table)] == [True]


def test_unused_indexes_are_told_with_the_date_from_which_scans_are_counted(table: Connection) -> None:
    fill(table)
    create(table, "Unused", "(b)")
    create(table, "Used", "(a)")
    create(table, "Rule", "(c)", unique="UNIQUE")
    table.execute("SET enable_seqscan = off")
    table.execute("SELECT count(*) FROM t WHERE a = 3")
    table.execute("SELECT pg_stat_force_next_flush()")
    assert subjects(table, "unused") == {"Unused"}
    [finding] = found(table, "unused")
    assert f"{datetime.now(UTC):%Y-%m}" in finding.sentence
    assert found(table, "unused", made_lately={"Unused"}) == []
    assert found(table, "unused", limits=replace(SMALL, counted_for=timedelta(days=7))) == []
    assert found(table, "unused", limits=replace(SMALL, table_rows=1_000_000)) == []


def test_a_replica_tells_no_unused_index() -> None:
    now = datetime.now(UTC)
    fact = one_index("Unused", (("a", 0),))
    since = Counting(now - timedelta(days=90), now - timedelta(days=99), now, is_replica=False, replicas=0)
    told = lambda counting: [one.subject for one in index_health._unused([fact], counting, SMALL, ())]  # noqa: E731
    assert told(since) == ["Unused"]
    assert told(replace(since, is_replica=True)) == []
    assert told(replace(since, reset_at=now)) == ["Unused"], "no time is asked for"
    assert "replica" in next(index_health._unused([fact], replace(since, replicas=2), SMALL, ())).sentence


def test_a_foreign_key_of_a_large_table_wants_an_index(database: Connection) -> None:
    database.execute('CREATE TABLE "Parent" ("id" int PRIMARY KEY, "other" int, UNIQUE ("other", "id"))')
    database.execute('INSERT INTO "Parent" SELECT i, i FROM generate_series(1, 10) i')
    database.execute(
        'CREATE TABLE "Child" ("parentId" int REFERENCES "Parent", "again" int, "second" int,'
        ' FOREIGN KEY ("again", "second") REFERENCES "Parent" ("other", "id"))'
    )
    database.execute('INSERT INTO "Child" SELECT 1 + i % 10 FROM generate_series(1, 1000) i')
    database.execute('ANALYZE "Child"')
    one, two = sorted(found(database, "foreign_key"), key=lambda finding: finding.subject)
    assert (two.prisma, two.columns, two.table) == ("@@index([parentId])", ("parentId",), "Child")
    assert "1,000 rows" in two.sentence
    assert two.ddl == 'CREATE INDEX CONCURRENTLY "Child_parentId_idx" ON "public"."Child" ("parentId");'
    for finding in (one, two):
        database.execute(finding.ddl or "")
    assert found(database, "foreign_key") == []


@pytest.mark.parametrize(
    ("written", "serves"),
    [
        ("(b, a)", True),
        ("(a, b, c)", True),
        ("(a, c, b)", False),
        ("(c, a, b)", False),
        ("(a, b) WHERE a IS NOT NULL", True),
        ("(a, b) WHERE c > 0", False),
        ("USING brin (a, b)", False),
    ],
)
def test_an_index_serves_a_foreign_key_when_it_starts_with_its_columns(
    database: Connection, written: str, serves: bool
) -> None:
    database.execute("CREATE TABLE p (x int, y int, PRIMARY KEY (x, y))")
    database.execute("CREATE TABLE t (a int, b int, c int, FOREIGN KEY (a, b) REFERENCES p)")
    create(database, "Index", written)
    assert [one.severity for one in found(database, "foreign_key")] == ([] if serves else ["note"])


def test_a_small_table_needs_no_index_and_the_finding_says_so(database: Connection) -> None:
    database.execute("CREATE TABLE p (x int PRIMARY KEY)")
    database.execute("CREATE TABLE c (x int REFERENCES p)")
    [finding] = found(database)
    assert (finding.severity, finding.ddl) == ("note", None)
    assert "0 rows, under 500" in finding.sentence


def test_a_name_that_is_taken_or_too_long_is_not_used_again(database: Connection) -> None:
    long = "é" * 31
    database.execute("CREATE TABLE p (x int PRIMARY KEY)")
    database.execute(f'CREATE TABLE "{long}" ("{long}" int REFERENCES p, "other" int)')
    database.execute(f'INSERT INTO "{long}" SELECT NULL, i FROM generate_series(1, 1000) i')  # noqa: S608 - a test's own
    database.execute(f'ANALYZE "{long}"')
    [first] = found(database, "foreign_key")
    name = str(first.ddl).split('"')[1]
    assert len(name.encode()) <= 63
    database.execute(f'CREATE INDEX "{name}" ON "{long}" ("other")')
    [second] = found(database, "foreign_key")
    assert second.ddl != first.ddl
    database.execute(second.ddl or "")
    assert found(database, "foreign_key") == []


def test_partitions_are_told_once_and_by_statements_that_apply(database: Connection) -> None:
    database.execute("CREATE TABLE t (a int, b int) PARTITION BY RANGE (a)")
    database.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9)")
    create(database, "Narrow", "(a)")
    create(database, "Wide", "(a, b)")
    [finding] = found(database)
    assert (finding.subject, finding.rule) == ("Narrow", "covered")
    database.execute(finding.ddl or "")
    assert found(database) == []


def test_hundreds_of_tables_and_hostile_names_are_read(database: Connection) -> None:
    with database.transaction():
        for number in range(400):
            database.execute(f"CREATE TABLE many_{number} (id int PRIMARY KEY, a int, b int)")
            database.execute(f"CREATE INDEX ON many_{number} (a)")
            database.execute(f"CREATE INDEX ON many_{number} (a, b)")
        database.execute('CREATE TABLE "a"";drop" ("x y" int, "DESC" int)')
        database.execute('CREATE INDEX "n"";1" ON "a"";drop" ("x y")')
        database.execute('CREATE INDEX "n2" ON "a"";drop" ("x y", "DESC")')
    every = found(database)
    assert len(every) == 401
    for one in every[:3] + [one for one in every if one.subject == 'n";1']:
        database.execute(one.ddl or "")
    assert len(found(database)) <= 398


def test_the_demo_has_its_two_flaws_and_no_other(server: Any, shared_database: str) -> None:
    with psycopg.connect(server.url(shared_database, "usage_dashboard_reader")) as connection:
        told = [(one.rule, one.subject) for one in index_health.findings(connection) if one.severity != "note"]
        key = [one.subject for one in index_health.findings(connection) if one.rule == "foreign_key"]
    assert told == [("covered", "Generation_organizationId_idx")] or told == [
        ("covered", "Generation_organizationId_idx"),
        ("foreign_key", "Image_generationId_fkey"),
    ]
    assert key == ["Image_generationId_fkey"]


# ---- of any indexes whatever


def one_index(name: str, keys: Sequence[tuple[str, int]], **others: Any) -> IndexFact:
    """An index of a table of the test's own; keys are columns with their directions."""
    made = IndexFact(
        oid=hash(name),
        table_oid=1,
        schema="public",
        table="t",
        name=name,
        method="btree",
        is_unique=False,
        is_valid=True,
        is_building=False,
        is_replica_identity=False,
        is_partitioned=False,
        is_partition=False,
        nulls_not_distinct=False,
        constraint=None,
        serves_foreign_key=False,
        keys=len(keys),
        attributes=[1] * len(keys),
        columns=[column for column, _ in keys],
        classes=[1] * len(keys),
        collations=[0] * len(keys),
        options=[option for _, option in keys],
        predicate=None,
        definition="",
        size_bytes=10_000_000,
        scans=0,
        table_rows=1_000_000,
    )
    return replace(made, **others)


KEYS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from((0, 1, 2, 3))),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
)


@st.composite
def any_index(draw: st.DrawFn, name: str) -> IndexFact:
    keys = draw(KEYS)
    made = one_index(
        name,
        keys,
        is_unique=draw(st.booleans()),
        is_valid=draw(st.sampled_from((True, True, True, False))),
        predicate=draw(st.sampled_from((None, None, "(b > 1)"))),
        method=draw(st.sampled_from(("btree", "btree", "btree", "hash"))),
        size_bytes=draw(st.integers(1, 3)),
    )
    included = draw(st.lists(st.sampled_from("bcd"), max_size=1))
    made = replace(made, columns=[*made.columns, *included], constraint=name if draw(st.integers(0, 4)) == 0 else None)
    return replace(made, is_unique=True) if made.constraint else made


INDEXES = st.integers(1, 6).flatmap(lambda count: st.tuples(*(any_index(f"i{number}") for number in range(count))))
NOW = datetime(2026, 6, 15, tzinfo=UTC)
SINCE = Counting(NOW - timedelta(days=30), NOW - timedelta(days=60), NOW, is_replica=False, replicas=0)


@given(INDEXES)
def test_what_is_dropped_is_still_answered_by_what_stays(every: tuple[IndexFact, ...]) -> None:
    dropped = {one.subject for one in index_health._redundant(every, SINCE)}
    staying = [one for one in every if one.name not in dropped]
    for one in every:
        if one.name in dropped:
            assert one.constraint is None
            assert any(other.covers(one) or other.is_same_as(one) for other in staying), (one, staying)
            if one.is_unique:
                assert any(other.is_same_as(one) for other in staying)


@given(INDEXES, st.randoms(use_true_random=False))
def test_the_order_of_the_catalog_changes_nothing(every: tuple[IndexFact, ...], chance: Any) -> None:
    shuffled = list(every)
    chance.shuffle(shuffled)
    told = lambda some: sorted((one.subject, one.sentence) for one in index_health._redundant(some, SINCE))  # noqa: E731
    assert told(every) == told(shuffled)
