"""Figures over derived tables: those of the plain tables that hold the same rows, and a plain recount; both walls."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from queries.aggregates import made_for
from queries.catalog import credits, differences, generations, statements, usage
from queries.database import (
    ALL_TENANTS,
    TENANTS_SETTING,
    full_wall_comment,
    shows_all_schemas,
    walls_stand,
)
from queries.errors import MappingError
from queries.exports.copy_sql import sent
from queries.mapping import TableMapping
from queries.migrations import READER_ROLE
from queries.migrations.walls import raise_walls
from queries.period import Period
from queries.query import Query
from queries.refresh import refresh_within
from queries.relations import relation_sql
from queries.scope import Scope
from queries.tables import Tables, reflected_tables
from tests.queries.catalog.layouts import (
    CODES,
    HALF_MADE,
    LAYOUTS,
    PLAIN,
    SCHEMA_PATTERN,
    Layout,
    lay_out,
    layout_mapping,
    rows_in,
    seen_by,
)
from tests.queries.catalog.samples import samples
from tests.queries.catalog.test_aggregates import questions, seeing
from tests.queries.catalog.world import ask, made_world, mapping_of, net_burn, rows_of

NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
ALL = Scope.all_tenants()
PERIOD = Period.last_days(28, zone="Asia/Kathmandu", now=NOW, grain="day")


def plain_value(value: Any) -> Any:
    """A value as it compares over layouts: a status by its name, a number by its worth."""
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        return float(f"{float(value):.9g}") if not math.isnan(float(value)) else None
    return {str(code): name for name, code in CODES.items()}.get(value, value) if isinstance(value, str) else value


def answer(connection: sa.Connection, tables: Tables, query: Query) -> list[dict[str, Any]]:
    found = rows_of(ask(connection, tables, query))
    return [{key: plain_value(value) for key, value in row.items()} for row in found]


def asked_of(scope: Scope, chance: random.Random) -> list[Query]:
    """Every question, each with two of its samples; but not for one status, whose name is another in each layout."""
    by_name: dict[str, list[Query]] = {}
    for query in samples(scope, NOW, "Asia/Kathmandu"):
        if "status" not in query.arguments:
            by_name.setdefault(query.name, []).append(query)
    return [one for queries in by_name.values() for one in chance.sample(queries, min(2, len(queries)))]


@pytest.mark.parametrize("walled", [False, True], ids=["open", "walled"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_answer_is_that_of_plain_tables_with_the_same_rows(
    superuser_engine: sa.Engine, layout: Layout, walled: bool
) -> None:
    world = made_world(11 if walled else 12, PLAIN[layout], NOW - timedelta(days=3), days=20)
    chance = random.Random(repr((layout, walled)))
    one, some = (Scope.of([str(each.id) for each in world.tenants[:count]]) for count in (1, 3))
    with rows_in(superuser_engine, PLAIN[layout], world) as (connection, plain):
        asked = [query for scope in (one, some if walled else ALL) for query in asked_of(scope, chance)]
        wanted = [answer(connection, plain, query) for query in asked]
        lay_out(connection, layout)
        for scope in {query.scope: None for query in asked}:
            savepoint = connection.begin_nested()
            with seen_by(connection, layout_mapping(layout), scope, walled=walled) as tables:
                for query, expected in zip(asked, wanted, strict=True):
                    if query.scope is scope:
                        assert answer(connection, tables, query) == expected, query.name
            savepoint.rollback()
    assert sum(map(len, wanted)) > 500


def test_figures_over_joins_and_seconds_are_a_plain_recount(superuser_engine: sa.Engine) -> None:
    world = made_world(7, "numbered", NOW - timedelta(days=3))
    made, moved = world.within(PERIOD.start, PERIOD.until), world.posted(PERIOD.start, PERIOD.until)
    with rows_in(superuser_engine, "numbered", world) as (connection, _):
        lay_out(connection, "far")
        tables = reflected_tables(connection, layout_mapping("far"), walled=False)
        totals = rows_of(ask(connection, tables, usage.totals(ALL, period=PERIOD)))[0]
        flows = rows_of(ask(connection, tables, credits.burn_over_time(ALL, period=PERIOD)))
        listed = rows_of(ask(connection, tables, generations.latest(ALL, period=PERIOD, offset=0, limit=len(made) + 1)))
    assert totals["generations"] == len(made)
    assert totals["succeeded"] == sum(one.status == "SUCCEEDED" for one in made)
    assert totals["net_burn_credits"] == net_burn(moved)
    assert sum(one["credits"] for one in listed) == sum(one.credits for one in made)
    assert sum(one["net_burn_credits"] for one in flows) == net_burn(moved)
    took = {int(one["generation_id"]): one["duration_ms"] for one in listed}
    assert took == {one.id: one.duration_ms and pytest.approx(one.duration_ms) for one in made}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_wall_before_a_derived_table_shows_the_tenants_that_the_transaction_names(
    superuser_engine: sa.Engine, layout: Layout
) -> None:
    """The first wall is left away: statements without any predicate."""
    world = made_world(5, PLAIN[layout], NOW)
    mine = [str(one.id) for one in world.tenants[1:3]]
    with rows_in(superuser_engine, PLAIN[layout], world) as (connection, _):
        lay_out(connection, layout)
        with seen_by(connection, layout_mapping(layout), Scope.of(mine), walled=True) as tables:
            seen = {
                logical: set(connection.scalars(sa.select(sa.cast(table.c.tenant_id, sa.Text)).distinct()))
                for logical, table in tables.all().items()
            }
            rows = sa.select(sa.func.count()).select_from(tables.generation)
            found = connection.scalar(rows)
            for named, expected in (("", 0), ("{}", 0), (ALL_TENANTS, len(world.generations))):
                connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, named, True)))
                assert connection.scalar(rows) == expected
            behind = sa.table("order", schema="far") if layout == "far" else sa.table("generation", schema=mine[0])
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                connection.execute(sa.select(sa.text("*")).select_from(behind))
            connection.rollback()
    assert found == sum(str(one.tenant) in mine for one in world.generations) > 0
    assert all(tenants <= set(mine) for tenants in seen.values())
    assert seen["generation"] == seen["organization"] == set(mine)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_aggregates_of_derived_tables_change_no_answer(superuser_engine: sa.Engine, layout: Layout) -> None:
    world = made_world(3, PLAIN[layout], NOW - timedelta(days=5), days=9)
    mapping, one = layout_mapping(layout), Scope.of([str(world.tenants[0].id)])
    with rows_in(superuser_engine, PLAIN[layout], world) as (connection, _):
        lay_out(connection, layout)
        if layout == "far":  # a row that belongs to nobody
            connection.exec_driver_sql(
                "UPDATE far.project SET team = NULL WHERE id IN (SELECT min(id) FROM far.project)"
            )
        tables = reflected_tables(connection, mapping, walled=False)
        refreshed = refresh_within(connection, tables, NOW)
        again = refresh_within(connection, tables, NOW, compare_all=True)
        assert refreshed.added_rows > 100
        assert (again.added_rows, again.removed_rows) == (0, 0)
        with seeing(connection, tables) as summed:
            for query in questions(ALL, NOW, "Asia/Kathmandu", one):
                assert rows_of(ask(connection, summed, query)) == rows_of(ask(connection, tables, query)), query.name
        # The reader, who knows the types by the walls, reads the same aggregates.
        with seen_by(connection, mapping, ALL, walled=True) as walled, seeing(connection, walled):
            pass


def test_a_new_schema_is_shown_after_the_walls_are_renewed(superuser_engine: sa.Engine) -> None:
    world, mapping = made_world(4, "aware", NOW), layout_mapping("schemas")
    with rows_in(superuser_engine, "aware", world) as (connection, _):
        lay_out(connection, "schemas")
        raise_walls(connection, mapping, READER_ROLE)
        before = full_wall_comment(connection, mapping)
        assert shows_all_schemas(connection, mapping)
        connection.exec_driver_sql(f'CREATE TABLE "{HALF_MADE}".generation (LIKE "{world.tenants[0].id}".generation)')
        # It has no ledger and no users yet: of these two tables nothing changes.
        assert full_wall_comment(connection, mapping) != before
        assert walls_stand(connection, mapping)
        assert not shows_all_schemas(connection, mapping)
        raise_walls(connection, mapping, READER_ROLE)
        assert shows_all_schemas(connection, mapping)


def test_a_pattern_that_means_no_schema_is_named(superuser_engine: sa.Engine) -> None:
    mapping = layout_mapping("schemas")
    with (
        superuser_engine.connect() as connection,
        pytest.raises(MappingError, match=r"no schema.*holds users.*\[tables.user\]"),
    ):
        reflected_tables(connection, mapping, walled=False)


def test_without_a_ledger_burn_comes_from_generations(superuser_engine: sa.Engine) -> None:
    world = made_world(9, "aware", NOW - timedelta(days=2))
    base = mapping_of("aware")
    mapping = replace(base, tables={**base.tables, "credit_transaction": TableMapping.of_nothing("credit_transaction")})
    one = Scope.of([str(world.tenants[0].id)])
    assert mapping.derives_ledger
    made = world.within(PERIOD.start, PERIOD.until)
    months: dict[str, Any] = {"months": (NOW.date().replace(day=1),), "zone": "UTC", "now": NOW}
    month: dict[str, Any] = {"month": NOW.date().replace(day=1), "zone": "UTC", "now": NOW}
    page: dict[str, Any] = {"offset": 0, "limit": 50, "search": "", "differing": False, "sort": "tenant"}
    with rows_in(superuser_engine, "aware", world) as (connection, _):
        tables = reflected_tables(connection, mapping, walled=False)
        flows = rows_of(ask(connection, tables, credits.burn_over_time(ALL, period=PERIOD)))
        monthly = rows_of(ask(connection, tables, statements.monthly(ALL, **months, **page, descending=False)))
        wrong = rows_of(ask(connection, tables, differences.suspects(one, **month, offset=0, limit=50)))
    assert sum(row["net_burn_credits"] for row in flows) == sum(each.credits for each in made)
    start = datetime(2025, 6, 1, tzinfo=UTC)
    for row in monthly:
        of_tenant = [each for each in world.within(start, NOW) if str(each.tenant) == row["tenant_id"]]
        assert row["burned"] == sum(each.credits for each in of_tenant)
        assert row["purchased"] == row["granted"] == row["refunded"] == 0
    assert not wrong, "a derived ledger has nothing to be wrong about"


def test_without_a_status_all_count_as_succeeded(superuser_engine: sa.Engine) -> None:
    world, base = made_world(8, "numbered", NOW - timedelta(days=2)), mapping_of("numbered")
    generation = base.tables["generation"]
    mapping = replace(
        base,
        tables={**base.tables, "generation": replace(generation, columns={**generation.columns, "status": ""})},
    )
    with rows_in(superuser_engine, "numbered", world) as (connection, _):
        tables = reflected_tables(connection, mapping, walled=False)
        totals = rows_of(ask(connection, tables, usage.totals(ALL, period=PERIOD)))[0]
    assert totals["succeeded"] == totals["generations"] == len(world.within(PERIOD.start, PERIOD.until)) > 0
    assert totals["failed"] == totals["cancelled"] == totals["unfinished"] == 0


def test_the_select_as_it_is_sent_gives_our_names(superuser_engine: sa.Engine) -> None:
    with rows_in(superuser_engine, "numbered", made_world(1, "numbered", NOW)) as (connection, _):
        lay_out(connection, "far")
        mapping = layout_mapping("far")
        for logical, one in mapping.tables.items():
            sql = relation_sql(connection, mapping, logical)
            found = connection.exec_driver_sql(sql.replace("%", "%%"))
            assert list(found.keys()) == list(one.columns), logical


def test_a_schema_pattern_is_a_list_too(superuser_engine: sa.Engine) -> None:
    with rows_in(superuser_engine, "aware", made_world(2, "aware", NOW)) as (connection, plain):
        lay_out(connection, "schemas")
        known = connection.scalars(sa.select(sa.cast(plain.organization.c.tenant_id, sa.Text))).all()
        base = layout_mapping("schemas")
        listed = replace(base.tables["generation"], schemas=f"{known[0]}, {known[1]}")
        mapping = replace(base, tables={**base.tables, "generation": listed})
        tables = reflected_tables(connection, mapping, walled=False)
        seen = connection.scalars(sa.select(sa.cast(tables.generation.c.tenant_id, sa.Text)).distinct()).all()
    assert base.tables["generation"].schemas == SCHEMA_PATTERN
    assert set(seen) <= set(known[:2])


@pytest.mark.parametrize("walled", [False, True], ids=["open", "walled"])
def test_a_time_that_is_a_plain_column_is_found_by_its_tables_index(superuser_engine: sa.Engine, walled: bool) -> None:
    with rows_in(superuser_engine, "numbered", made_world(2, "numbered", NOW)) as (connection, _):
        lay_out(connection, "far")
        connection.exec_driver_sql(
            'INSERT INTO far."order" (id, sitting, state, cost, seconds, "user", made_at)'
            " SELECT 2000000 + n, (SELECT min(id) FROM far.sitting), 7005, 1, 1, 'm', '2024-01-01+00'::timestamptz"
            " + n * interval '10 minutes' FROM generate_series(1, 40000) AS n"
        )
        connection.exec_driver_sql('CREATE INDEX by_time ON far."order" (made_at)')
        connection.exec_driver_sql('ANALYZE far."order", far.sitting, far.project')
        scope = Scope.of(["0", "1"])
        period = Period.last_days(2, zone="UTC", now=datetime(2024, 6, 3, tzinfo=UTC), grain="day")
        with seen_by(connection, layout_mapping("far"), scope, walled=walled) as tables:
            sql, parameters = sent(usage.daily(scope, period=period).statement(tables))  # type: ignore[arg-type]
            plan = connection.exec_driver_sql(f"EXPLAIN {sql}", dict(parameters)).scalars().all()
    assert any("by_time" in line for line in plan), plan
    assert not any('Seq Scan on "order"' in line for line in plan), plan


ODD_TYPES = """
ALTER TABLE numbered."t generation" ALTER "creditsUsed" TYPE float8, ALTER error TYPE jsonb USING to_jsonb(error),
    ALTER prompt TYPE json USING to_json(prompt), ALTER model TYPE integer USING length(model),
    ALTER type TYPE smallint USING length(type), ALTER "durationMs" TYPE float4;
ALTER TABLE numbered."t credit_transaction" ALTER amount TYPE real, ALTER "pricePaid" TYPE money,
    ALTER currency TYPE char(3);
ALTER TABLE numbered."t credit_balance" ALTER balance TYPE float8;
ALTER TABLE numbered."t subscription" ALTER plan TYPE integer USING length(plan), ALTER "creditsPerPeriod" TYPE float8;
CREATE DOMAIN numbered.moment AS timestamp;
ALTER TABLE numbered."t user" ALTER name TYPE varchar(300), ALTER "createdAt" TYPE numbered.moment;
"""


@pytest.mark.parametrize("walled", [False, True], ids=["open", "walled"])
def test_columns_of_other_types_are_cast_and_every_question_is_answered(
    superuser_engine: sa.Engine, walled: bool
) -> None:
    """Of tables that are mapped by names: nothing is to be written for them."""
    world, mapping = made_world(6, "numbered", NOW - timedelta(days=3), rows=60), mapping_of("numbered")
    one, chance = Scope.of([str(world.tenants[0].id)]), random.Random(int(walled))
    with rows_in(superuser_engine, "numbered", world) as (connection, plain):
        wanted = answer(connection, plain, usage.totals(one, period=PERIOD))
        connection.exec_driver_sql(ODD_TYPES)
        with seen_by(connection, mapping, one, walled=walled) as tables:
            for query in asked_of(one, chance):
                ask(connection, tables, query)
            assert answer(connection, tables, usage.totals(one, period=PERIOD)) == wanted
            known = made_for(tables)
        # Whoever makes the aggregates, without walls, makes them for the reader behind the walls.
        assert made_for(reflected_tables(connection, mapping, walled=False)) == known
