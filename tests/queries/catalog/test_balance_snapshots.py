"""What a snapshot of balances holds, counted over plain rows, in every shape of the application's tables."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.balance_history import _balances
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import SHAPES, Shape, made_world

NOON = datetime(2025, 3, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 10_000), rows=st.integers(0, 60))
def test_every_tenant_with_a_balance_or_a_movement_has_its_row(
    open_world: OpenWorld, shape: Shape, seed: int, rows: int
) -> None:
    world = made_world(seed, shape, NOON, rows=rows)
    expected: dict[str, list[Any]] = {
        str(one.id): [Decimal(one.balance), Decimal(0)] for one in world.tenants if one.balance is not None
    }
    for movement in world.movements:
        row = expected.setdefault(str(movement.tenant), [None, Decimal(0)])
        row[1] += movement.amount
    with open_world(shape, world) as (connection, tables):
        found = {row.tenant_id: [row.balance, row.ledger] for row in connection.execute(_balances(tables))}
    assert found == expected
