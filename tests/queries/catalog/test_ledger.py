"""The ledger's pages and its running balance against plain rows."""

from datetime import timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import ledger
from queries.errors import ArgumentError
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import SHAPES, Movement, Shape, ask, made_world, period_around, rows_of, transitions

CENTRE = transitions("America/Havana")[1]


@settings(max_examples=24)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(0, 60), st.integers(1, 30), st.integers(0, 4))
def test_the_balance_after_each_movement_is_the_sum_up_to_it(
    open_world: OpenWorld, seed: int, shape: Shape, offset: int, limit: int, days: int
) -> None:
    world = made_world(seed, shape, CENTRE)
    tenant = world.tenants[0]
    if seed % 3 == 0:  # several at one instant
        for one in world.movements[::2]:
            one.posted_at = CENTRE
    period = period_around(CENTRE, "Asia/Kathmandu", "day", days, days, CENTRE + timedelta(hours=seed % 72 - 24))
    query = ledger.page(Scope.of([str(tenant.id)]), period=period, offset=offset, limit=limit)
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, query))
    # The rows' ids are their places among all movements of the world; text ids sort as texts.
    order = (lambda place: str(place)) if shape == "prisma" else (lambda place: place)
    own = [(one.posted_at, order(place), one) for place, one in enumerate(world.movements) if one.tenant == tenant.id]
    own.sort(key=lambda row: row[:2])
    after = accumulate(one.amount for _, _, one in own)
    listed = [
        (one, balance) for (at, _, one), balance in zip(own, after, strict=True) if period.start <= at < period.until
    ]
    expected = listed[::-1][offset : offset + limit]
    assert [row["balance_after_credits"] for row in found] == [balance for _, balance in expected]
    for row, (one, _) in zip(found, expected, strict=True):
        assert (row["posted_at"].to_pydatetime(), row["type"], row["amount"]) == (one.posted_at, one.type, one.amount)
        assert row["user_id"] == (None if one.user is None else str(one.user))
        assert (row["price_paid"], row["currency"]) == (one.price_paid, None if one.price_paid is None else "EUR")
        assert row["total_rows"] == len(listed)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES))
def test_reconciliation_says_the_difference_to_the_balance(open_world: OpenWorld, seed: int, shape: Shape) -> None:
    world = made_world(seed, shape, CENTRE)
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = {
            tenant.id: rows_of(ask(connection, tables, ledger.reconciliation(Scope.of([str(tenant.id)]))))
            for tenant in world.tenants
        }
    for tenant in world.tenants:
        own = [one for one in world.movements if one.tenant == tenant.id]
        total = sum(one.amount for one in own)
        assert found[tenant.id] == [
            {
                "movements": len(own),
                "ledger_credits": total,
                "credits_left": tenant.balance,
                "difference_credits": None if tenant.balance is None else tenant.balance - total,
                "first_posted_at": min((one.posted_at for one in own), default=None),
                "last_posted_at": max((one.posted_at for one in own), default=None),
            }
        ]


def test_a_movement_in_the_future_is_in_the_sum_and_not_on_the_page(open_world: OpenWorld) -> None:
    world = made_world(3, "prisma", CENTRE, rows=0)
    tenant = world.tenants[0]
    world.movements = [
        Movement(tenant.id, "GRANT", 100, CENTRE - timedelta(days=1)),
        Movement(tenant.id, "CHARGE", -40, CENTRE + timedelta(days=1)),
    ]
    period = period_around(CENTRE, "UTC", "day", 5, 5, CENTRE)
    scope = Scope.of([tenant.id])
    with open_world("prisma", world) as (connection, tables):
        page = rows_of(ask(connection, tables, ledger.page(scope, period=period, offset=0, limit=9)))
        sums = rows_of(ask(connection, tables, ledger.reconciliation(scope)))
    assert [(one["amount"], one["balance_after_credits"]) for one in page] == [(100, 100)]
    assert sums[0]["ledger_credits"] == 60


@pytest.mark.parametrize("scope", [Scope.all_tenants(), Scope.of([]), Scope.of(["a", "b"])], ids=["all", "none", "two"])
def test_a_balance_is_of_one_tenant(scope: Scope) -> None:
    period = period_around(CENTRE, "UTC", "day", 1, 1, CENTRE)
    asked: list[Any] = [ledger.page(scope, period=period, offset=0, limit=9), ledger.reconciliation(scope)]
    for query in asked:
        with pytest.raises(ArgumentError, match="exactly one tenant"):
            query.statement()
