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
    signs = {"granted": 1, "purchased": 1, "refunded": 1, "adjusted": 1, "burned": -1, "expired": -1}
    balance = sum(sign * row[key] for row in moved for key, sign in signs.items())
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
