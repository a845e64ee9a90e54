"""What holds whatever is asked: of tables whose names need every quote, advice applies as it is printed, once, and adds
nothing to what is there; a workload's order does not matter; nothing is run, and nothing is left."""

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from benchmarks.truth.cluster import OWNER, READER, SecondServer
from queries.performance.advice import Statement, advise, as_json
from queries.performance.index_health import findings

pytestmark = [pytest.mark.xdist_group("second")]

Connection = psycopg.Connection[Any]
# A reserved word, quotes, a name as long as names may be, and one that lower-casing would break.
TABLES = ("user", 'Or"der % ü', "x" * 63)
COLUMNS = ("group", 'quo""te', "MixedCase", "y" * 63, "at time")
ROWS = 12_000
INDEXES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, (0, 4)), (1, (2,)), (2, (1, 2)), (2, (3,)))


def name(*parts: str) -> str:
    return sql.Identifier(*parts).as_string(None)


def tables() -> Iterator[str]:
    for table in TABLES:
        columns = ", ".join(f"{name(column)} int" for column in COLUMNS[:4])
        yield f"CREATE TABLE {name(table)} (id int PRIMARY KEY, {columns}, {name(COLUMNS[4])} timestamp)"
    for number, columns in INDEXES:
        keys = ", ".join(name(COLUMNS[one]) for one in columns)
        yield f"CREATE INDEX ON {name(TABLES[number])} ({keys})"


@pytest.fixture(scope="module")
def promised(second_server: SecondServer) -> Iterator[tuple[Connection, Connection]]:
    """The owner's connection and the reader's."""
    database = f"promises_{secrets.token_hex(4)}"
    second_server.create_database(database)
    with second_server.connected(database, OWNER) as owner, second_server.connected(database, READER) as reader:
        for statement in tables():
            owner.execute(statement.encode())
        for table in TABLES:
            owner.execute(
                f"INSERT INTO {name(table)} SELECT i, (i * 7919) % 300, i % 7, (i * 31) % 5000, i % 2,"  # noqa: S608
                f" timestamp '2026-01-01' + i * interval '1 minute' FROM generate_series(1, {ROWS}) AS i".encode()
            )
        # The same session analyses: its count of changed rows comes later than its statistics.
        owner.execute("VACUUM ANALYZE")
        yield owner, reader


columns = st.sampled_from(COLUMNS[:4])
comparisons = st.tuples(columns, st.sampled_from(["= 3", "> 4990", "IN (1, 2)", "IS NULL"]))
ends = st.sampled_from(
    ["", *(f" ORDER BY {name(COLUMNS[4])}{way} LIMIT 5" for way in ("", " DESC", " DESC NULLS LAST"))]
)


@st.composite
def selects(draw: st.DrawFn) -> str:
    table = name(draw(st.sampled_from(TABLES)))
    terms = draw(st.lists(comparisons, max_size=3, unique_by=lambda one: one[0]))
    wanted = draw(st.sampled_from(["*", "count(*)", name("MixedCase")]))
    where = " AND ".join(f"{name(column)} {rest}" for column, rest in terms) or "true"
    return f"SELECT {wanted} FROM {table} WHERE {where}" + ("" if wanted == "count(*)" else draw(ends))  # noqa: S608


workloads = st.lists(selects(), min_size=1, max_size=6, unique=True).map(
    lambda texts: [Statement(f"s{place}", text, calls_per_day=1e6) for place, text in enumerate(texts)]
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workload=workloads, data=st.data())
def test_what_is_advised_applies_once_and_repeats_nothing(
    workload: list[Statement], data: st.DataObject, promised: tuple[Connection, Connection]
) -> None:
    owner, reader = promised
    found = advise(reader, workload)
    assert as_json(advise(reader, data.draw(st.permutations(workload)))) == as_json(found)
    assert {name for one in found for name in one.statements} == {one.name for one in workload}
    assert {one.verdict for one in found} <= {"create_index", "none", "pre_aggregate", "rewrite"}
    made = {one.ddl: one.index_name for one in found if one.verdict == "create_index"}
    assert len(set(made.values())) == len(made)
    try:
        for ddl, index in made.items():
            assert ddl is not None
            assert index is not None
            assert len(index.encode()) <= 63
            owner.execute(ddl.encode())
            (definition,) = owner.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [index]).fetchall()
            assert ddl.partition(" ON ")[2].startswith('"public".')
            assert definition
        redundant = {one.subject for one in findings(reader) if one.rule in ("duplicate", "covered")}
        assert not {subject for subject in redundant if any(str(index) in subject for index in made.values())}
        assert [one.ddl for one in advise(reader, workload) if one.verdict == "create_index"] == []
    finally:
        for index in made.values():
            owner.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(str(index))))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.sampled_from(TABLES), column=columns, measure=st.booleans(), changes=st.booleans())
def test_statements_that_change_rows_are_advised_on_and_never_run(
    table: str, column: str, measure: bool, changes: bool, promised: tuple[Connection, Connection]
) -> None:
    owner, reader = promised
    owner.execute(sql.SQL("GRANT UPDATE, DELETE ON {} TO {}").format(sql.Identifier(table), sql.Identifier(READER)))
    text = (
        f"UPDATE {name(table)} SET {name(column)} = 0 WHERE {name('MixedCase')} = 7"  # noqa: S608
        if changes
        else f"DELETE FROM {name(table)} WHERE {name('MixedCase')} = 7"  # noqa: S608
    )
    count = sql.SQL("SELECT count(*), sum({}) FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    before = owner.execute(count).fetchone()
    (one, *_) = advise(reader, [Statement("change", text, calls_per_day=1e6)], measure=measure)
    assert "No advice" not in one.reason
    assert owner.execute(count).fetchone() == before


def test_a_step_of_a_sequence_is_taken_by_nobody(promised: tuple[Connection, Connection]) -> None:
    owner, _ = promised
    owner.execute("CREATE SEQUENCE steps")
    try:
        statement = Statement("steps", f"SELECT nextval('steps') FROM {name(TABLES[0])}")  # noqa: S608
        advise(owner, [statement], measure=True)
        assert owner.execute("SELECT is_called FROM steps").fetchone() == (False,)
    finally:
        owner.execute("DROP SEQUENCE steps")
