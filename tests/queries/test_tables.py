"""Their names and types under ours, and the expressions that need the types."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from queries.database import driver_url
from queries.errors import MappingError
from queries.mapping import Mapping, prisma_mapping
from queries.period import Period
from queries.relations import check_times, default_relations, unlike
from queries.tables import (
    AwareTime,
    NaiveUtc,
    Tables,
    between,
    bucket,
    comparable,
    default_tables,
    instant,
    reflected_tables,
)
from tests.conftest import APP, Server

MOMENT = datetime(2025, 3, 30, 0, 59, 30, tzinfo=UTC)
NAIVE = MOMENT.replace(tzinfo=None)


@pytest.fixture(scope="module")
def engine(server: Server, shared_database: str) -> Any:
    engine = sa.create_engine(driver_url(server.url(shared_database, APP)))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def tables(engine: sa.Engine) -> Tables:
    with engine.connect() as connection:
        return reflected_tables(connection, prisma_mapping(), walled=False)


def test_live_types_are_those_that_the_default_ones_stand_for(tables: Tables) -> None:
    for logical, live in tables.all().items():
        default = default_tables().all()[logical]
        assert live.fullname == default.fullname
        assert [one.key for one in live.c] == [one.key for one in default.c]
        for one, other in zip(live.c, default.c, strict=True):
            assert one.name == other.name
            assert isinstance(one.type, NaiveUtc) == isinstance(other.type, NaiveUtc), one
            assert getattr(one.type, "enums", None) == getattr(other.type, "enums", None)
            assert isinstance(one.type, sa.Integer) == isinstance(other.type, sa.Integer)


def test_what_is_missing_is_named_with_the_setting_that_maps_it(engine: sa.Engine) -> None:
    base = prisma_mapping()
    generation = base.tables["generation"]
    cases = [
        (replace(generation, name="Job"), r'the table "public"."Job".*\[tables.generation\] name'),
        (replace(generation, columns={**generation.columns, "model": "modelle"}), r'"modelle".*columns.model'),
    ]
    for changed, message in cases:
        mapping = Mapping({**base.tables, "generation": changed}, base.values)
        with engine.connect() as connection, pytest.raises(MappingError, match=message):
            reflected_tables(connection, mapping, walled=False)


def test_a_time_of_no_type_for_times_is_refused_with_the_fix() -> None:
    mapping = prisma_mapping()
    for logical, key, wrong in (("generation", "created_at", sa.BigInteger()), ("usage_limit", "date", NaiveUtc())):
        found = default_relations(mapping)
        found[logical].types[key] = wrong
        with pytest.raises(MappingError, match=rf"{logical}.{key} is of the type .* needed; write a SELECT"):
            check_times(mapping, found)
    check_times(mapping, default_relations(mapping))


def test_ids_that_cannot_be_compared_are_named() -> None:
    types = {logical: one.types for logical, one in default_relations(prisma_mapping()).items()}
    assert unlike(types) == []
    types["user"]["id"] = sa.Uuid()
    types["image"]["tenant_id"] = sa.BigInteger()
    of_tenants, of_users = unlike(types)
    assert "organization.tenant_id is a text and image.tenant_id is a number" in of_tenants
    assert "user.id is a uuid and generation.user_id is a text" in of_users


@pytest.mark.parametrize(
    ("column", "values", "wanted"),
    [
        (sa.Integer(), ("2", "-3", "x", "1e5", ""), [2, -3]),
        (sa.Numeric(), ("2", "x"), [2]),
        (sa.Boolean(), ("true", "yes", "false"), [True, False]),
        (sa.Text(), ("2", "x"), ["2", "x"]),
        (sa.Enum("A", "B", name="e"), ("A", "C"), ["A"]),
    ],
)
def test_values_are_those_that_the_column_can_hold(
    column: sa.types.TypeEngine[Any], values: tuple[str, ...], wanted: list[Any]
) -> None:
    known = {**prisma_mapping().values["generation_status"], "failed": values}
    mapping = Mapping(prisma_mapping().tables, {**prisma_mapping().values, "generation_status": known})
    predicate: Any = default_tables(mapping).has(sa.column("status", column), "generation_status", "failed")
    assert predicate.right.value == wanted


@pytest.mark.parametrize(
    ("type_", "wrong", "message"), [(NaiveUtc(), MOMENT, "an aware time"), (AwareTime(), NAIVE, "a naive time")]
)
def test_a_time_of_the_other_kind_is_refused(engine: sa.Engine, type_: Any, wrong: datetime, message: str) -> None:
    value = sa.bindparam("value", wrong, type_=type_)
    with engine.connect() as connection, pytest.raises(sa.exc.StatementError, match=message):
        connection.execute(sa.select(value))


@pytest.mark.parametrize("type_", [NaiveUtc(), AwareTime()])
@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/Havana", "UTC"])
def test_times_mean_the_same_whatever_the_connections_zone(engine: sa.Engine, type_: Any, zone: str) -> None:
    column: sa.ColumnElement[Any] = sa.column("at", type_)
    moments = sa.values(column, name="moments").data([(instant(column, MOMENT),)])
    at = moments.c["at"]
    period = Period.of_dates(
        MOMENT.date(), MOMENT.date(), zone="Europe/Berlin", now=MOMENT.replace(hour=9), grain="hour"
    )
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.set_config("TimeZone", zone, True)))
        row = connection.execute(
            sa.select(
                bucket(at, period),
                between(at, MOMENT, MOMENT.replace(second=31)),
                between(at, MOMENT.replace(second=0), MOMENT),
                comparable(at, sa.column("x", AwareTime())),
                comparable(at, sa.column("x", NaiveUtc())),
            )
        ).one()
    # The last second before the clocks go forward: the hour that starts at 01:00 local time.
    assert tuple(row) == (datetime(2025, 3, 30, tzinfo=UTC), True, False, MOMENT, NAIVE)


def test_values_that_the_enum_does_not_have_are_left_out(tables: Tables, engine: sa.Engine) -> None:
    values = {**prisma_mapping().values, "generation_status": {"succeeded": ("SUCCEEDED", "DONE"), "failed": ("LOST",)}}
    changed = replace(tables, mapping=Mapping(tables.mapping.tables, values))
    status = changed.generation.c.status
    wanted = sa.bindparam("status", "SUCCEEDED", type_=status.type)
    rows = sa.select(wanted.label("status")).subquery()
    column = rows.c.status
    with engine.connect() as connection:
        found = connection.execute(
            sa.select(
                changed.has(column, "generation_status", "succeeded"),
                changed.has(column, "generation_status", "failed"),
            )
        ).one()
    assert tuple(found) == (True, False)


def test_a_predicate_of_no_value_leaves_the_others_standing(tables: Tables) -> None:
    values = {**prisma_mapping().values, "generation_status": {"failed": ("LOST",)}}
    changed = replace(tables, mapping=Mapping(tables.mapping.tables, values))
    rows = changed.generation
    both = sa.and_(rows.c.tenant_id == "a", changed.has(rows.c.status, "generation_status", "failed"))
    assert "organizationId" in str(both)


def test_the_small_demo_is_there(server: Server, shared_database: str) -> None:
    with psycopg.connect(server.url(shared_database, APP)) as connection:
        row = connection.execute('SELECT count(*) FROM "Organization"').fetchone()
    assert row is not None
    assert row[0] > 0
