"""Quotas by type and day against plain rows."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import limits
from queries.period import Period
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    SHAPES,
    ZONES,
    Shape,
    World,
    ask,
    made_world,
    period_around,
    rows_of,
    transitions,
)

CENTRE = transitions("America/Havana")[1]


def days_touched(period: Period) -> set[object]:
    """The UTC days between the period's start and what is known, instant by instant."""
    hours = int((period.until - period.start).total_seconds() // 900)
    moments = [period.start + timedelta(minutes=15 * number) for number in range(hours + 1)]
    return {one.astimezone(UTC).date() for one in moments if one < period.until}


def expected(world: World, period: Period, tenant: object) -> dict[tuple[str, object], tuple[int, int, bool]]:
    touched = days_touched(period)
    return {
        (one.type, one.day): (one.count, one.limit, one.count >= one.limit and one.count > 0)
        for one in world.limits
        if one.tenant == tenant and one.day in touched
    }


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(1, 5))
def test_every_day_and_type_has_its_count_and_its_limit(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, top: int
) -> None:
    world = made_world(seed, shape, CENTRE)
    tenant = world.tenants[0].id
    period = period_around(CENTRE, zone, "day", 3, 3, CENTRE + timedelta(hours=seed % 120 - 48))
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, limits.by_day(Scope.of([str(tenant)]), period=period, top=top)))
    cells = expected(world, period, tenant)
    hits, counts = defaultdict(int), defaultdict(int)
    for (type_, _), (count, _, is_hit) in cells.items():
        hits[type_] += is_hit
        counts[type_] += count
    best = sorted(counts, key=lambda one: (-hits[one], -counts[one], one))
    assert {(one["type"], one["day"]): (one["count"], one["limit"], one["is_hit"]) for one in found} == {
        key: cell for key, cell in cells.items() if key[0] in best[:top]
    }
    assert list(dict.fromkeys(one["type"] for one in found)) == best[:top]
    assert all(one["types"] == len(best) for one in found)


def test_a_limit_of_zero_is_hit_by_the_first_try_and_not_by_nobody(open_world: OpenWorld) -> None:
    world = made_world(1, "prisma", CENTRE)
    tenant = world.tenants[0]
    day = datetime(2025, 3, 9, tzinfo=UTC)
    world.limits = [world.limits[0].__class__(tenant.id, "UPSCALE", day.date(), count, 0) for count in (0,)]
    world.limits += [world.limits[0].__class__(tenant.id, "INPAINTING", day.date(), 1, 0)]
    period = Period.of_dates(day.date(), day.date(), zone="UTC", now=day + timedelta(days=9), grain="day")
    with open_world("prisma", world) as (connection, tables):
        found = rows_of(ask(connection, tables, limits.by_day(Scope.of([tenant.id]), period=period, top=9)))
    assert {one["type"]: one["is_hit"] for one in found} == {"UPSCALE": False, "INPAINTING": True}
