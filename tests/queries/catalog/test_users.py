"""Who did it and whose name was charged, against plain rows."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import users
from queries.errors import ArgumentError
from queries.period import Period
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import SHAPES, Shape, World, ask, made_world, period_around, rows_of, transitions

CENTRE = transitions("America/Havana")[1]
STATUS_NAMES = {
    "succeeded": ("SUCCEEDED",),
    "failed": ("FAILED",),
    "cancelled": ("CANCELLED",),
    "unfinished": ("PENDING", "PROCESSING"),
}


def with_moved_users(world: World) -> World:
    """Some rows of the first tenant are by users who belong to the second one now."""
    tenant, other = world.tenants[0], world.tenants[1]
    own = [one for one in world.generations if one.tenant == tenant.id]
    for one in own[::7]:
        one.user = other.users[0]
    for movement in [one for one in world.movements if one.tenant == tenant.id][::6]:
        movement.user = other.users[1]
    return world


def expected(world: World, period: Period, tenant: Any) -> dict[str | None, dict[str, Any]]:
    made = [one for one in world.within(period.start, period.until) if one.tenant == tenant.id]
    posted = [
        one
        for one in world.posted(period.start, period.until)
        if one.tenant == tenant.id and one.type in ("CHARGE", "REFUND")
    ]
    found = {}
    # A ledger that names nobody does not say that a user was charged nothing.
    is_told = not posted or any(one.user is not None for one in posted)
    for user in {one.user for one in made} | {one.user for one in posted}:
        own, moved = [one for one in made if one.user == user], [one for one in posted if one.user == user]
        is_member, known = user in tenant.users, is_told or user is None
        found[None if user is None else str(user)] = {
            "user": world.user_names[user] if is_member else None,
            "is_member": is_member,
            "generations": len(own),
            "share": pytest.approx(len(own) / len(made)) if made else None,
            **{name: sum(one.status in which for one in own) for name, which in STATUS_NAMES.items()},
            "used_credits": sum(one.credits for one in own),
            "charged_credits": -sum(one.amount for one in moved if one.type == "CHARGE") if known else None,
            "refunded_credits": sum(one.amount for one in moved if one.type == "REFUND") if known else None,
            "last_seen_at": max((one.created_at for one in own), default=None),
        }
    return found


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.sampled_from(users.SORTS), st.booleans(), st.booleans())
def test_each_user_has_what_they_made_and_what_was_charged_to_them(
    open_world: OpenWorld, seed: int, shape: Shape, sort: str, descending: bool, is_named: bool
) -> None:
    world = with_moved_users(made_world(seed, shape, CENTRE))
    tenant = world.tenants[0]
    for movement in world.movements if not is_named else ():
        movement.user = None
    period = period_around(CENTRE, "America/Havana", "day", 3, 3, CENTRE + timedelta(hours=seed % 99))
    every: dict[str, Any] = {"period": period, "sort": sort, "descending": descending}
    scope = Scope.of([str(tenant.id)])
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, users.of_period(scope, **every, offset=0, limit=50)))
        pages = [ask(connection, tables, users.of_period(scope, **every, offset=at, limit=2)) for at in range(0, 8, 2)]
    wanted = expected(world, period, tenant)
    assert {one["user_id"]: {name: one[name] for name in wanted[one["user_id"]]} for one in found} == wanted
    assert len(found) == len(wanted)
    assert all(one["total_rows"] == len(wanted) and one["tenant_id"] == str(tenant.id) for one in found)
    assert all(one["total_users"] == len(wanted.keys() - {None}) for one in found)
    assert [one["user_id"] for page in pages for one in rows_of(page)] == [one["user_id"] for one in found]
    values = [one[sort] for one in found if one[sort] is not None]
    if sort != "user":
        assert values == sorted(values, reverse=descending)
    # Users, with nobody in particular, sum to the tenant.
    made = [one for one in world.within(period.start, period.until) if one.tenant == tenant.id]
    assert sum(one["generations"] for one in found) == len(made)
    told = [one["charged_credits"] for one in found if one["charged_credits"] is not None]
    assert all(isinstance(one, int | Decimal) for one in told)
    charges = [one for one in world.posted(period.start, period.until) if one.tenant == tenant.id]
    assert sum(told) == -sum(one.amount for one in charges if one.type == "CHARGE")


def test_roles_are_those_within_the_tenant(open_world: OpenWorld) -> None:
    world = made_world(5, "prisma", CENTRE)
    tenant, other = world.tenants[0], world.tenants[1]
    period = period_around(CENTRE, "UTC", "day", 6, 6, CENTRE + timedelta(days=6))
    with open_world("prisma", world) as (connection, tables):
        member = tables.membership
        rows = [
            {"user_id": tenant.users[0], "tenant_id": tenant.id, "role": "OWNER", "created_at": CENTRE},
            {"user_id": tenant.users[0], "tenant_id": other.id, "role": "MEMBER", "created_at": CENTRE},
        ]
        for row in rows:
            connection.execute(sa.insert(member).values(row | {"created_at": CENTRE.replace(tzinfo=None)}))
        query = users.of_period(Scope.of([tenant.id]), period=period, sort="user", descending=False, offset=0, limit=50)
        found = {one["user_id"]: one["role"] for one in rows_of(ask(connection, tables, query)) if one["user_id"]}
    assert found[tenant.users[0]] == "OWNER"
    assert {role for user, role in found.items() if user != tenant.users[0]} <= {None}


def test_a_sort_that_there_is_not_is_refused() -> None:
    period = period_around(CENTRE, "UTC", "day", 1, 1, CENTRE)
    query = users.of_period(Scope.of(["a"]), period=period, sort="email", descending=True, offset=0, limit=5)
    with pytest.raises(ArgumentError, match="email"):
        query.statement()
