"""Questions as values: their keys, and when their statements are built."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from queries.period import Period
from queries.query import CATALOG, catalog_query
from queries.scope import Scope
from queries.tables import Tables

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
NAME = "tests.question"
PRIMITIVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.dates(), st.floats(allow_nan=False))
VALUES = st.one_of(PRIMITIVES, st.lists(PRIMITIVES, max_size=3).map(tuple))


@pytest.fixture(scope="module")
def question() -> Iterator[Any]:
    @catalog_query(NAME, freshness="live", finish=lambda frame, arguments: frame.head(arguments["value"]))
    def ask(tables: Tables, scope: Scope, *, value: Any = None, other: Any = None) -> sa.Select[Any]:
        """What the tests ask."""
        return sa.select(tables.organization.c.name).where(scope.predicate(tables.organization.c.tenant_id))

    yield ask
    del CATALOG[NAME]


@given(VALUES, VALUES)
def test_different_arguments_have_different_keys(question: Any, some: Any, other: Any) -> None:
    scope = Scope.of(["a"])
    one, two = question(scope, value=some), question(scope, value=other)
    assert (one.key == two.key) == (repr(some) == repr(other))
    assert question(scope, value=some, other=other).key == question(scope, other=other, value=some).key


@given(st.text(), st.text())
def test_text_cannot_reach_into_the_next_argument(question: Any, some: str, other: str) -> None:
    scope = Scope.all_tenants()
    forged = f"{some}'|value='{other}"
    assert question(scope, other=some, value=other).key != question(scope, other=forged).key


def test_scope_and_period_are_part_of_the_key(question: Any) -> None:
    period = Period.last_days(3, zone="UTC", now=NOW, grain="day")
    later = Period.last_days(3, zone="UTC", now=NOW + timedelta(minutes=5), grain="day")
    keys = {question(scope, value=one).key for scope in (Scope.of(["a"]), Scope.of([])) for one in (period, later)}
    assert len(keys) == 4
    assert question(Scope.of([]), value=period).series == question(Scope.of([]), value=later).series


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"x", object(), Scope.all_tenants(), ("a", ["b"])])
def test_what_is_no_primitive_is_refused(question: Any, value: Any) -> None:
    with pytest.raises(TypeError, match="use a primitive"):
        question(Scope.all_tenants(), value=value)


def test_the_statement_is_built_when_asked_and_arguments_come_by_name(question: Any) -> None:
    query = question(Scope.of(["a"]), value=2)
    assert '"Organization"' in str(query.statement())
    assert query.freshness == "live"
    assert list(query.finish(pd.DataFrame({"n": [1, 2, 3]}))["n"]) == [1, 2]
    assert CATALOG[NAME].function is question
    assert question.__doc__ == "What the tests ask."
    with pytest.raises(TypeError, match="by name"):
        question(Scope.of(["a"]), 2)


def test_a_name_is_taken_once(question: Any) -> None:
    with pytest.raises(ValueError, match="two catalog functions"):
        catalog_query(NAME)(lambda _tables, _scope: sa.select(sa.func.now()))


def test_dates_and_datetimes_are_told_apart(question: Any) -> None:
    scope = Scope.all_tenants()
    assert question(scope, value=date(2025, 1, 1)).key != question(scope, value=datetime(2025, 1, 1, tzinfo=UTC)).key
