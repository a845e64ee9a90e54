"""Whatever optional table or column is missing, every question is answered, with and without walls."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa

from queries.guard import _elements
from queries.mapping import Mapping, TableMapping
from queries.mapping.default import PRISMA, REQUIRED_TABLES, required
from queries.query import Query
from queries.scope import Scope
from tests.queries.catalog.layouts import rows_in, seen_by
from tests.queries.catalog.samples import samples
from tests.queries.catalog.world import SHAPES, Shape, ask, made_world, mapping_of

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
OPTIONAL_TABLES = [one for one in PRISMA if one not in REQUIRED_TABLES]
OPTIONAL_COLUMNS = [
    (logical, column)
    for logical, (_, columns) in PRISMA.items()
    for column in columns
    if column not in required(logical)
]


def without(mapping: Mapping, tables: list[str], columns: list[tuple[str, str]]) -> Mapping:
    """The mapping with these tables and columns missing."""
    changed = {
        logical: TableMapping.of_nothing(logical)
        if logical in tables
        else replace(one, columns={key: "" if (logical, key) in columns else name for key, name in one.columns.items()})
        for logical, one in mapping.tables.items()
    }
    return Mapping(changed, mapping.values)


CASES: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "no table": (OPTIONAL_TABLES, []),
    "no column": ([], OPTIONAL_COLUMNS),
    "no ledger, derived": (["credit_transaction", "credit_balance"], []),
    "only what must be": (OPTIONAL_TABLES, OPTIONAL_COLUMNS),
}
# Of each table and column that is missing alone, so many of the questions that name it are asked.
ASKED = 2


@cache
def naming() -> dict[tuple[str, str], list[str]]:
    """By logical column, and by logical table with an empty column, the questions whose statements name it."""
    found: dict[tuple[str, str], list[str]] = {}
    for query in samples(Scope.of(["a"]), NOW, "UTC"):
        columns = (one for one in _elements(query.statement()) if isinstance(one, sa.Column))
        named = {(one.table.info["logical"], one.key) for one in columns if isinstance(one.table, sa.Table)}
        for each in named | {(logical, "") for logical, _ in named}:
            found.setdefault(each, []).append(query.name)
    return found


def one_each(queries: Iterator[Query], chance: random.Random) -> dict[str, Query]:
    """By its name, one sample of every question."""
    by_name: dict[str, list[Query]] = {}
    for query in queries:
        by_name.setdefault(query.name, []).append(query)
    return {name: chance.choice(several) for name, several in by_name.items()}


def answered(connection: sa.Connection, tables: Any, queries: Iterable[Query]) -> dict[str, list[str]]:
    """The columns of each answer, by the question's name."""
    return {query.name: list(ask(connection, tables, query).columns) for query in queries}


@pytest.mark.parametrize("walled", [False, True], ids=["open", "walled"])
@pytest.mark.parametrize("case", CASES)
def test_every_question_is_answered_without_what_is_missing(
    superuser_engine: sa.Engine, case: str, walled: bool
) -> None:
    number = list(CASES).index(case) + walled
    shape: Shape = SHAPES[number % len(SHAPES)]
    world, chance = made_world(number, shape, NOW - timedelta(days=3), rows=40), random.Random(case)
    one = Scope.of([str(world.tenants[0].id)])
    asked = one_each(samples(one, NOW, "Asia/Kathmandu"), chance)
    mapping = without(mapping_of(shape), *CASES[case])
    with rows_in(superuser_engine, shape, world) as (connection, plain):
        whole = answered(connection, plain, chance.sample(list(asked.values()), 10))
        with seen_by(connection, mapping, one, walled=walled) as tables:
            found = answered(connection, tables, asked.values())
    assert all(found[name] == columns for name, columns in whole.items())
    assert mapping.notes()


def test_every_question_is_answered_without_any_one_table_or_column(superuser_engine: sa.Engine) -> None:
    world, chance = made_world(1, "aware", NOW - timedelta(days=3), rows=40), random.Random(6)
    one = Scope.of([str(world.tenants[0].id)])
    by_name = one_each(samples(one, NOW, "UTC"), chance)
    with rows_in(superuser_engine, "aware", world) as (connection, _):
        for logical, column in [*((one, "") for one in OPTIONAL_TABLES), *OPTIONAL_COLUMNS]:
            names = list(dict.fromkeys(naming().get((logical, column), ())))
            missing = ([], [(logical, column)]) if column else ([logical], [])
            with seen_by(connection, without(mapping_of("aware"), *missing), one, walled=False) as tables:
                queries = [by_name[name] for name in chance.sample(names, min(ASKED, len(names)))]
                assert len(answered(connection, tables, queries)) == len(queries), (logical, column)
