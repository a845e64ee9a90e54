"""What holds for every question of the catalog."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.guard import refuse_unscoped
from queries.period import Period
from queries.query import CATALOG, Query
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.samples import OF_ONE_TENANT, sample_arguments, samples
from tests.queries.catalog.world import SHAPES, Shape, ask, made_world

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
ONE, TWO, NOBODY = Scope.of(["org' -- %"]), Scope.of(["a", "b"]), Scope.of([])
CATALOG_MODULES = re.compile(
    r"^(credits|generations|latency|ledger|limits|notes|statements|tenants|timelines|usage|users)\.[a-z_]+$"
)
OF_ONE_ROW = ("usage.totals", "credits.compared", "timelines.latency")


def test_every_question_has_a_sample_and_every_sample_a_question() -> None:
    assert set(sample_arguments(NOW, "UTC")) == set(CATALOG)
    assert {one.name for one in samples(ONE, NOW, "UTC")} == set(CATALOG)
    assert all(CATALOG_MODULES.match(name) for name in CATALOG)
    assert set(OF_ONE_TENANT) == set(CATALOG) - {one.name for one in samples(TWO, NOW, "UTC")}


@pytest.mark.parametrize("scope", [ONE, TWO, NOBODY, Scope.all_tenants()], ids=["one", "two", "none", "all"])
def test_every_statement_is_held_to_its_scope_and_made_of_binds(scope: Scope) -> None:
    asked = list(samples(scope, NOW, "Europe/Berlin"))
    assert len(asked) >= len(CATALOG) - len(OF_ONE_TENANT)
    for query in asked:
        statement = query.statement()
        refuse_unscoped(statement, scope)
        compiled = statement.compile(dialect=postgresql.dialect())
        # No literal of ours or of an argument's in the text, but for SQLAlchemy's own of a literal substring.
        assert "'" not in str(compiled).replace("'%%'", "").replace("ESCAPE '/'", ""), query.name


def test_every_statement_documents_its_columns() -> None:
    for query in samples(ONE, NOW, "UTC"):
        described = CATALOG[query.name].function.__doc__ or ""
        frame = query.finish(_empty(query)) if query.finish is not None else _empty(query)
        for column in frame.columns:
            stem = re.sub(r"^(complete|previous)_", "", column)
            assert re.search(rf"\b{stem}\b", described), f"{query.name} does not say what {column} is"


def _empty(query: Query) -> pd.DataFrame:
    types = {"bucket_start": pa.timestamp("us", "UTC"), "series_id": pa.string(), "series": pa.string()}
    columns = [one.name for one in query.statement().selected_columns]
    return pd.DataFrame({one: pd.Series([], dtype=pd.ArrowDtype(types.get(one, pa.int64()))) for one in columns})


@pytest.mark.parametrize("shape", SHAPES)
def test_every_question_runs_in_every_shape_and_keeps_its_types_when_empty(open_world: OpenWorld, shape: Shape) -> None:
    world = made_world(2, shape, NOW, days=20)
    scope = Scope.of([str(world.tenants[0].id)])
    with open_world(shape, world, "America/Havana") as (connection, tables):
        full = [ask(connection, tables, one) for one in samples(scope, NOW, "Asia/Kathmandu")]
        nothing = [ask(connection, tables, one) for one in samples(Scope.of(["nobody"]), NOW, "Asia/Kathmandu")]
    for some, none in zip(full, nothing, strict=True):
        assert all(isinstance(one, pd.ArrowDtype) for one in some.dtypes)
        assert list(some.columns) == list(none.columns)
        is_float = [
            one for one in some.columns if "credits" in one and pa.types.is_floating(some[one].dtype.pyarrow_dtype)
        ]
        assert not is_float
        # decimal128 may have another scale; kinds are the same.
        assert [type(one.pyarrow_dtype) for one in some.dtypes] == [type(one.pyarrow_dtype) for one in none.dtypes]


def test_the_scope_of_none_sees_nothing(open_world: OpenWorld) -> None:
    counts = ("generations", "tenants", "net_burn_credits", "burned_credits", "total_rows")
    with open_world("prisma", made_world(3, "prisma", NOW, days=20)) as (connection, tables):
        for query in samples(NOBODY, NOW, "UTC"):
            frame = ask(connection, tables, query)
            assert all(int(frame[one].sum()) == 0 for one in counts if one in frame.columns), query.name
            texts = [one for one in frame.columns if frame[one].dtype == pd.ArrowDtype(pa.string()) and one != "series"]
            assert all(frame[one].isna().all() for one in texts), query.name


def test_an_empty_period_is_an_empty_frame_with_the_same_columns(open_world: OpenWorld) -> None:
    empty = Period(NOW, NOW, "UTC", "day", NOW)
    with open_world("prisma", made_world(3, "prisma", NOW)) as (connection, tables):
        for query in samples(Scope.all_tenants(), NOW, "UTC"):
            if "period" not in query.arguments:
                continue
            same = CATALOG[query.name].function(query.scope, **{**query.arguments, "period": empty})
            frame, usual = ask(connection, tables, same), ask(connection, tables, query)
            assert list(frame.columns) == list(usual.columns)
            assert len(frame) == 0 or (query.name in OF_ONE_ROW and int(frame.iloc[0].fillna(0).sum()) == 0)


def test_the_predicates_reach_the_index(open_world: OpenWorld) -> None:
    world = made_world(4, "prisma", NOW, rows=500)
    with open_world("prisma", world) as (connection, tables):
        connection.execute(sa.select(sa.func.set_config("enable_seqscan", "off", True)))
        rows = tables.generation
        connection.execute(sa.schema.DDL(f'CREATE INDEX by_status ON "{rows.name}" ("organizationId", "status")'))
        scope = Scope.of([world.tenants[0].id])
        query = sa.select(sa.func.count()).where(
            scope.predicate(rows.c.tenant_id), tables.has(rows.c.status, "generation_status", "failed")
        )
        plan = _plan(connection, query)
    condition = next(line for line in plan.splitlines() if "Index Cond" in line)
    assert "status = 'FAILED'" in condition or "status = ANY" in condition
    assert "organizationId" in condition


def _plan(connection: sa.Connection, statement: sa.Select[Any]) -> str:
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    rows = connection.exec_driver_sql(f"EXPLAIN {compiled}", dict(compiled.params))
    return "\n".join(one for (one,) in rows)


def test_no_question_returns_more_than_is_drawn(open_world: OpenWorld) -> None:
    with open_world("prisma", made_world(5, "prisma", NOW, rows=400)) as (connection, tables):
        for query in samples(Scope.all_tenants(), NOW, "UTC"):
            rows = connection.execute(query.statement(tables)).fetchall()
            period, top = query.arguments.get("period"), query.arguments.get("top", 0)
            drawn = len(period.buckets()) * (top + 1) if period is not None else 1
            assert len(rows) <= max(
                drawn, query.arguments.get("limit", 0), query.arguments.get("minutes", 0), top + 1, 6
            ), query.name


def test_later_answers_of_one_question_share_a_series() -> None:
    later = NOW + timedelta(minutes=5)
    pairs = zip(samples(ONE, NOW, "UTC"), samples(ONE, later, "UTC"), strict=True)
    for one, other in pairs:
        assert one.series == other.series, one.name
        assert (one.key == other.key) == ("now" not in one.arguments and "period" not in one.arguments), one.name
