"""Credit figures against the same figures summed over plain movements."""

from collections import defaultdict
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import credits
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    ZONES,
    Movement,
    Shape,
    ask,
    bucket_name,
    made_world,
    net_burn,
    period_around,
    rows_of,
    transitions,
)

SEEDS = st.integers(0, 10**6)
SIGNS = {"granted": 1, "purchased": 1, "refunded": 1, "adjusted": 1, "burned": -1, "expired": -1}
KINDS = {
    "granted": "GRANT",
    "purchased": "PURCHASE",
    "burned": "CHARGE",
    "refunded": "REFUND",
    "adjusted": "ADJUSTMENT",
    "expired": "EXPIRY",
}


def of_type(movements: list[Movement], kind: str, sign: int = 1) -> Any:
    return sum(sign * one.amount for one in movements if one.type == kind)


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(("day", "week", "month")), st.data())
def test_burn_and_movements_of_every_bucket(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, grain: Any, data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(transitions(zone)))
    now = centre + timedelta(hours=data.draw(st.integers(-24, 24 * 6)))
    world, period = made_world(seed, shape, centre), period_around(centre, zone, grain, 3, 3, now)
    tenants = data.draw(st.sampled_from((None, 0, 1)))
    scope = Scope.all_tenants() if tenants is None else Scope.of([str(world.tenants[tenants].id)])
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        burn = rows_of(ask(connection, tables, credits.burn_over_time(scope, period=period)))
        moved = rows_of(ask(connection, tables, credits.movements(scope, period=period)))
    by_bucket: defaultdict[object, list[Movement]] = defaultdict(list)
    for one in world.posted(period.start, period.until):
        if scope.is_all or str(one.tenant) in scope.ordered_ids:
            by_bucket[bucket_name(one.posted_at, grain, zone)].append(one)
    names = [bucket_name(one.local_start.astimezone(UTC), grain, zone) for one in period.buckets()]
    assert set(by_bucket) <= set(names)
    assert len(burn) == len(moved) == len(names)
    for name, burned, row in zip(names, burn, moved, strict=True):
        own = by_bucket[name]
        gross, refunded = of_type(own, "CHARGE", -1), of_type(own, "REFUND")
        assert (burned["gross_burn_credits"], burned["refunded_credits"]) == (gross, refunded)
        assert burned["net_burn_credits"] == net_burn(own) == gross - refunded
        expected = {"granted": of_type(own, "GRANT"), "purchased": of_type(own, "PURCHASE"), "burned": gross}
        expected |= {"refunded": refunded, "adjusted": of_type(own, "ADJUSTMENT")}
        expected |= {"expired": of_type(own, "EXPIRY", -1)}
        assert {key: row[key] for key in expected} == expected
        assert all(isinstance(value, int | Decimal) for key, value in row.items() if key != "bucket_start")
    # Nothing is lost: what came in minus what went out is the sum of all amounts.
    balance = sum(sign * row[key] for row in moved for key, sign in SIGNS.items())
    assert balance == sum(one.amount for own in by_bucket.values() for one in own)


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_hours_sum_to_days_and_single_days_to_the_range(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str
) -> None:
    centre = transitions(zone)[-1]
    world = made_world(seed, shape, centre)
    now = centre + timedelta(days=30)
    scope = Scope.all_tenants()
    with open_world(shape, world) as (connection, tables):

        def burned(grain: Any, before: int, after: int) -> list[Any]:
            period = period_around(centre, zone, grain, before, after, now)
            return [
                one["net_burn_credits"]
                for one in rows_of(ask(connection, tables, credits.burn_over_time(scope, period=period)))
            ]

        days = burned("day", 2, 2)
        for number, day in enumerate(days):
            hours, single = burned("hour", 2 - number, number - 2), burned("day", 2 - number, number - 2)
            assert 23 <= len(hours) <= 26
            assert sum(hours) == day == single[0]
        assert sum(burned("month", 2, 2)) == sum(days) == sum(burned("week", 2, 2))


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(("day", "week", "month")), st.data())
def test_flows_of_every_tenant_and_the_balance_at_the_end_of_every_bucket(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, grain: Any, data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(transitions(zone)))
    now = centre + timedelta(hours=data.draw(st.integers(-24, 24 * 6)))
    top, tenants = data.draw(st.integers(1, 4)), data.draw(st.sampled_from((None, 0, 1, 3)))
    world, period = made_world(seed, shape, centre), period_around(centre, zone, grain, 3, 3, now)
    scope = Scope.all_tenants() if tenants is None else Scope.of([str(world.tenants[tenants].id)])
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        rows = rows_of(ask(connection, tables, credits.flows(scope, period=period, top=top)))
    mine = [one for one in world.movements if scope.is_all or str(one.tenant) in scope.ordered_ids]
    inside = [one for one in mine if period.start <= one.posted_at < period.until]
    # Which tenants are named, in which order.
    burned = {one: net_burn([m for m in inside if m.tenant == one]) for one in {m.tenant for m in inside}}
    largest = sorted(burned.values(), reverse=True)[:top]
    named = list(dict.fromkeys(row["series_id"] for row in rows if row["series_id"] is not None))
    by_text = {str(one): one for one in burned}
    assert [burned[by_text[one]] for one in named] == largest
    has_other = len(burned) > top
    expected_series = [*named, None] if has_other or not burned else named
    names = [bucket_name(one.local_start.astimezone(UTC), grain, zone) for one in period.buckets()]
    assert [row["series_id"] for row in rows] == expected_series * len(names)
    assert {row["series"] for row in rows if row["series_id"] is None} <= {"Other" if burned else "All"}
    # Every figure of every series and bucket.
    for number, row in enumerate(rows):
        name = names[number // len(expected_series)]
        of_series = [
            one
            for one in inside
            if bucket_name(one.posted_at, grain, zone) == name
            and (str(one.tenant) == row["series_id"] if row["series_id"] else str(one.tenant) not in named)
        ]
        for kind, their in KINDS.items():
            assert row[kind] == of_type(of_series, their, -1 if kind in ("burned", "expired") else 1)
        assert row["net_burn_credits"] == net_burn(of_series) == row["burned"] - row["refunded"]
        assert all(isinstance(row[one], int | Decimal) for one in (*KINDS, "net_burn_credits"))
    # The balance: the posted ones less all that was posted to them later, also beyond now.
    posted = {
        one.id: one.balance
        for one in world.tenants
        if one.balance is not None and (scope.is_all or str(one.id) in scope.ordered_ids)
    }
    for row, bucket in zip(rows[:: len(expected_series) or 1], period.buckets(), strict=True):
        later = [m for m in mine if m.tenant in posted and m.posted_at >= min(bucket.end, period.until)]
        expected = sum(posted.values()) - sum(m.amount for m in later) if posted else None
        assert row["balance_credits"] == expected
        assert expected is None or isinstance(row["balance_credits"], int | Decimal)


@settings(max_examples=15)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(-48, 24 * 6))
def test_what_a_period_compares_with(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, hours_after: int
) -> None:
    centre = transitions(zone)[0]
    now = centre + timedelta(hours=hours_after)
    world, period = made_world(seed, shape, centre), period_around(centre, zone, "day", 2, 2, now)
    scope = Scope.of([str(world.tenants[0].id), str(world.tenants[1].id)])
    with open_world(shape, world) as (connection, tables):
        (row,) = rows_of(ask(connection, tables, credits.compared(scope, period=period)))
    complete, previous = period.complete_days(), period.previous()
    mine = [one for one in world.movements if str(one.tenant) in scope.ordered_ids]
    windows = {"today_": (min(complete.end, period.until), period.until), "previous_": (previous.start, previous.end)}
    for prefix, (start, end) in windows.items():
        own = [one for one in mine if start <= one.posted_at < end]
        gross, refunded = of_type(own, "CHARGE", -1), of_type(own, "REFUND")
        assert row[prefix + "gross_burn_credits"] == gross
        assert row[prefix + "refunded_credits"] == refunded
        assert row[prefix + "net_burn_credits"] == net_burn(own)


def test_a_balance_without_ledger_is_a_flat_line_and_a_ledger_without_balance_a_gap(open_world: OpenWorld) -> None:
    centre = transitions("UTC")[0]
    world, period = made_world(7, "prisma", centre), period_around(centre, "UTC", "day", 2, 2, centre)
    quiet, busy = world.tenants[3], world.tenants[0]
    quiet.balance, busy.balance = 75, None
    with open_world("prisma", world) as (connection, tables):
        flat = rows_of(ask(connection, tables, credits.flows(Scope.of([quiet.id]), period=period, top=1)))
        gap = rows_of(ask(connection, tables, credits.flows(Scope.of([busy.id]), period=period, top=1)))
    assert [(one["series"], one["balance_credits"], one["net_burn_credits"]) for one in flat] == [("All", 75, 0)] * 2
    assert {one["balance_credits"] for one in gap} == {None}
    assert any(one["burned"] for one in gap)
