"""The sums of a file are those of the second statement, and of a recount of the rows in plain Python."""

import csv
import io
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from queries.database import tenants_setting
from queries.exports.copying import Frozen, write_file
from queries.exports.reports import Order
from queries.exports.sink import Sink
from queries.exports.snapshot import Snapshot
from queries.exports.sources import DatabaseRows, KeptRows, Source
from queries.scope import Scope
from queries.tables import Tables
from tests.queries.catalog.world import SHAPES, ZONES, Shape, World, made_world, transitions
from tests.queries.exports.conftest import ALL, HOSTILE

FORMATS = ("csv", "csv.gz", "parquet", "xlsx")
Row = dict[str, str]


def rows_in(connection: sa.Connection, tables: Tables, order: Order) -> DatabaseRows:
    """The order's rows as the test's own transaction sees them."""
    driver: Any = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return DatabaseRows(Snapshot(driver, tenants=tenants_setting(order.scope), timeout_s=60), tables, order)


def file_of(source: Source, order: Order) -> tuple[bytes, dict[str, Decimal] | None, int]:
    pieces: list[bytes] = []
    passed: list[int] = []
    sums = write_file(source, order, Sink(pieces.append), lambda rows, _: passed.append(rows))
    return b"".join(pieces), None if sums is None else dict(sums), sum(passed)


def read(data: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def summed(rows: list[Row], name: str) -> Decimal:
    return sum((Decimal(one[name]) for one in rows if one[name]), Decimal(0))


@pytest.mark.parametrize("shape", SHAPES)
@given(st.integers(0, 2**32), st.sampled_from(ZONES), st.integers(-3, 3), st.integers(0, 4), st.booleans())
@settings(max_examples=8)
def test_lines_ledger_and_generations_are_those_of_a_recount(
    open_world: Callable[..., Any], shape: Shape, seed: int, zone: str, start: int, days: int, some: bool
) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=40)
    first = centre.astimezone(ZoneInfo(zone)).date() + timedelta(days=start)
    scope = Scope.of(str(one.id) for one in world.tenants[1:3]) if some else ALL
    asked: dict[str, Any] = {"scope": scope, "zone": zone, "first": first, "last": first + timedelta(days=days)}
    now = centre + timedelta(days=4)
    if first > now.astimezone(ZoneInfo(zone)).date():
        return
    with open_world(shape, world, "America/Havana") as (connection, tables):
        for report, expected in (("ledger", ledger), ("generations", generations), ("usage-lines", lines)):
            order = Order(report, now=now, dialect="plain", guarded=False, **asked)
            source = rows_in(connection, tables, order)
            data, sums, passed = file_of(source, order)
            found = read(data)
            counted = source.counted()
            assert sums is None, "PostgreSQL made the file"
            assert counted.rows == passed == len(found)
            assert {name: summed(found, name) for name in counted.sums} == dict(counted.sums)
            assert sorted(map(str, found)) == sorted(map(str, expected(world, order)))


@pytest.mark.parametrize("shape", SHAPES)
@given(
    st.integers(0, 2**32),
    st.sampled_from(ZONES),
    st.sampled_from(("ledger", "generations", "usage-lines")),
    st.sampled_from(FORMATS),
    st.sampled_from(("excel", "plain")),
    st.booleans(),
    st.booleans(),
    st.integers(1, 10_000),
)
@settings(max_examples=20)
def test_frozen_rows_give_the_same_bytes_as_the_database(
    open_world: Callable[..., Any],
    shape: Shape,
    seed: int,
    zone: str,
    report: str,
    format_: str,
    dialect: str,
    guarded: bool,
    some: bool,
    cut: int,
) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=30)
    for place, one in enumerate(world.tenants):
        one.name = HOSTILE[(seed + place) % len(HOSTILE)]
    first = centre.astimezone(ZoneInfo(zone)).date()
    asked: dict[str, Any] = {"zone": zone, "first": first - timedelta(days=2), "last": first, "now": centre}
    scope = Scope.of(str(one.id) for one in world.tenants[:2]) if some else ALL
    order = Order(report, scope=scope, format=format_, dialect=dialect, guarded=guarded, **asked)
    whole = Order(report, scope=ALL, dialect="plain", guarded=False, **asked)
    with open_world(shape, world) as (connection, tables):
        straight, sums, rows = file_of(rows_in(connection, tables, order), order)
        source = rows_in(connection, tables, whole)
        canonical, _, _ = file_of(source, whole)
        counted = source.counted()
    pieces = [canonical[start : start + cut] for start in range(0, len(canonical), cut)]
    texts = {name: f"{value:f}" for name, value in counted.sums.items()}
    kept = KeptRows(Frozen(lambda: iter(pieces), centre, centre, counted.rows, texts), order)
    again, sums_again, rows_again = file_of(kept, order)
    if format_ == "parquet":
        # Of some tenants' amounts, the database may know that they need fewer digits.
        tables_of = [parquet.read_table(pa.BufferReader(one)) for one in (again, straight)]
        assert tables_of[0].to_pylist() == tables_of[1].to_pylist()
        assert some or tables_of[0].schema == tables_of[1].schema
    assert rows_again == rows
    assert again == straight or (some and format_ == "parquet")
    assert sums is None or sums == sums_again
    assert sums_again == dict(kept.counted().sums)


def inside(order: Order, moment: datetime) -> bool:
    assert order.first is not None
    assert order.last is not None
    return order.first <= local(order, moment) <= order.last and moment < order.now


def local(order: Order, moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(order.zone)).date()


def is_wanted(order: Order, tenant: Any) -> bool:
    return order.scope.ids is None or str(tenant) in order.scope.ids


def utc(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def cell(value: Any) -> str:
    return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def ledger(world: World, order: Order) -> list[Row]:
    names = {one.id: one.name for one in world.tenants}
    return [
        {
            "movement_id": str(uuid.UUID(int=number)) if isinstance(one.tenant, uuid.UUID) else str(number),
            "posted_at_utc": utc(one.posted_at),
            "date": str(local(order, one.posted_at)),
            "zone": order.zone,
            "tenant_id": str(one.tenant),
            "tenant": names[one.tenant],
            "type": one.type,
            "amount": cell(one.amount),
            "user_id": cell(one.user),
            "generation_id": cell(one.generation),
            "price_paid": "" if one.price_paid is None else f"{one.price_paid:.2f}",
            "currency": "" if one.price_paid is None else cell(one.currency),
        }
        for number, one in enumerate(world.movements)
        if inside(order, one.posted_at) and is_wanted(order, one.tenant)
    ]


def generations(world: World, order: Order) -> list[Row]:
    names = {one.id: one.name for one in world.tenants}
    return [
        {
            "generation_id": str(one.id),
            "created_at_utc": utc(one.created_at),
            "date": str(local(order, one.created_at)),
            "zone": order.zone,
            "tenant_id": str(one.tenant),
            "tenant": names[one.tenant],
            "user_id": str(one.user),
            "type": one.type,
            "model": one.model,
            "status": one.status,
            "credits": cell(one.credits),
            "duration_ms": cell(one.duration_ms),
            "completed_at_utc": utc(one.completed_at),
            "error": one.error or "",
            "prompt": "",
        }
        for one in world.generations
        if inside(order, one.created_at) and is_wanted(order, one.tenant)
    ]


def lines(world: World, order: Order) -> list[Row]:
    names = {one.id: one.name for one in world.tenants}
    counts: Counter[tuple[Any, ...]] = Counter()
    images: Counter[tuple[Any, ...]] = Counter()
    credits: defaultdict[tuple[Any, ...], Any] = defaultdict(int)
    for one in world.generations:
        if inside(order, one.created_at) and is_wanted(order, one.tenant):
            key = (one.tenant, local(order, one.created_at), one.type, one.model)
            counts[key] += 1
            images[key] += one.images
            credits[key] += one.credits
    return [
        {
            "tenant_id": str(key[0]),
            "tenant": names[key[0]],
            "date": str(key[1]),
            "zone": order.zone,
            "type": key[2],
            "model": key[3],
            "generations": str(counts[key]),
            "images": str(images[key]),
            "credits": cell(credits[key]),
        }
        for key in counts
    ]
