"""The ledger's files of whole months come to the movements of their statement, also where rows came after a closing."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.exports.late import CORRECTION
from queries.exports.reports import Order, month_bounds
from queries.guard import refuse_unscoped
from queries.scope import Scope
from queries.tables import STATEMENT_KINDS, default_history, default_tables
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.ledgers import SHOWN_SIGN, TYPES, following
from tests.queries.catalog.test_statements import ALL, around, late_book, opened
from tests.queries.catalog.world import SHAPES, ZONES, Shape
from tests.queries.exports.test_figures import Row, file_of, read, rows_in

MIDDLES = (date(2025, 3, 1), date(2025, 11, 1))
KIND_OF = {type_: kind for kind, type_ in TYPES.items()}


def shown(row: Row) -> Decimal:
    return SHOWN_SIGN[KIND_OF[row["type"]]] * Decimal(row["amount"])


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=10)
@given(
    st.integers(0, 10**6),
    st.sampled_from(ZONES),
    st.sampled_from(MIDDLES),
    st.integers(0, 3),
    st.booleans(),
    st.data(),
)
def test_a_months_ledger_comes_to_its_statement_by_kind(
    open_world: OpenWorld, shape: Shape, seed: int, zone: str, middle: date, closings: int, some: bool, data: Any
) -> None:
    world, book = late_book(seed, shape, zone, middle, closings)
    months = around(middle)
    first = data.draw(st.integers(0, len(months) - 1))
    span = months[first : data.draw(st.integers(first, len(months) - 1)) + 1]
    scope = Scope.of(str(one.id) for one in world.tenants[:2]) if some else ALL
    how: dict[str, Any] = {"scope": scope, "zone": zone, "now": book.now, "dialect": "plain", "guarded": False}
    bounds = {"first": span[0], "last": month_bounds(span[-1])[1]}
    orders = {name: Order(name, **bounds, **how) for name in ("ledger", "credit-statement")}
    with opened(open_world, shape, world, book, seed) as (connection, tables):
        found = {name: rows_in(connection, tables, order) for name, order in orders.items()}
        files = {name: read(file_of(source, orders[name])[0]) for name, source in found.items()}
        counted = found["ledger"].counted()
        bare = rows_in(connection, replace(tables, history=None), orders["ledger"])
        raw = read(file_of(bare, orders["ledger"])[0])
    ledger, statement = files["ledger"], files["credit-statement"]
    assert (counted.rows, counted.sums["amount"]) == (len(ledger), sum(Decimal(one["amount"]) for one in ledger))
    for tenant in world.tenants:
        if not scope.covers(Scope.of([str(tenant.id)])):
            continue
        own = [one for one in ledger if one["tenant_id"] == str(tenant.id)]
        for kind in STATEMENT_KINDS:
            of_file = sum(shown(one) for one in own if KIND_OF[one["type"]] == kind)
            assert of_file == sum(Decimal(one[kind]) for one in statement if one["tenant_id"] == str(tenant.id))
    # Movements of the period stay as they are, in their order; corrections come before all others of their tenant.
    corrections = [one for one in ledger if one["movement_id"].startswith(CORRECTION)]
    assert [one for one in ledger if one not in corrections] == raw
    assert len({(one["tenant_id"], one["movement_id"]) for one in corrections}) == len(corrections)
    names = {str(one.id): one.name for one in world.tenants}
    start = {"start": span[0], "end": following(span[-1])}
    expected = {
        (str(tenant.id), f"{CORRECTION}:{kind}:{month - timedelta(days=1):%Y-%m}"): late
        for tenant in world.tenants
        for name, month in start.items()
        for kind in STATEMENT_KINDS
        if scope.ids is None or str(tenant.id) in scope.ids
        if (late := book.late(str(tenant.id), month, kind) * (1 if name == "start" else -1))
    }
    assert {(one["tenant_id"], one["movement_id"]): shown(one) for one in corrections} == expected
    for one in corrections:
        assert (one["tenant"], one["date"], one["zone"]) == (names[one["tenant_id"]], str(span[0]), zone)
        assert one["posted_at_utc"] == f"{book.start(span[0]):%Y-%m-%dT%H:%M:%S.%f}Z"
        assert not any(one[name] for name in ("user_id", "generation_id", "price_paid", "currency"))


@pytest.mark.parametrize(("first", "last", "has_corrections"), [(1, 9, True), (2, 9, False), (1, 30, True)])
def test_part_of_a_month_has_them_where_its_month_begins(
    open_world: OpenWorld, first: int, last: int, has_corrections: bool
) -> None:
    world, book = late_book(5, "prisma", "UTC", MIDDLES[1], 1)
    closed, open_ = book.closed[0].month, following(book.closed[0].month)
    how: dict[str, Any] = {"scope": ALL, "zone": "UTC", "now": book.now, "dialect": "plain", "guarded": False}
    late = [book.late(str(one.id), open_, kind) for one in world.tenants for kind in STATEMENT_KINDS]
    assert any(late)
    with opened(open_world, "prisma", world, book, 5) as (connection, tables):
        orders = [
            Order("ledger", first=open_.replace(day=first), last=open_.replace(day=last), **how),
            # A bound within the closed month: what of it came late is not known by the day.
            Order("ledger", first=closed.replace(day=2), last=month_bounds(open_)[1], **how),
            Order("ledger", first=closed.replace(day=2), last=closed.replace(day=8), **how),
        ]
        found = [read(file_of(rows_in(connection, tables, one), one)[0]) for one in orders]
    has = [any(row["movement_id"].startswith(CORRECTION) for row in one) for one in found]
    assert has == [has_corrections, False, False]


@pytest.mark.parametrize("scope", [ALL, Scope.of(["a", "b"]), Scope.of([])])
def test_the_ledger_with_its_corrections_is_held_to_the_tenants(scope: Scope) -> None:
    tables = replace(default_tables(), history=default_history())
    _, book = late_book(5, "prisma", "UTC", MIDDLES[1], 1)
    order = Order.of_month("ledger", MIDDLES[1], scope=scope, zone="UTC", now=book.now)
    select = order.what.select
    assert select is not None
    refuse_unscoped(select(tables, scope, order), scope)
