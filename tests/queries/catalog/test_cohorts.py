"""Weekly cohorts against the same counted over plain rows."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog.cohorts import cohorts
from queries.errors import ArgumentError
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    ZONES,
    Shape,
    World,
    ask,
    made_world,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)


def monday(moment: datetime, zone: str) -> date:
    day = moment.astimezone(ZoneInfo(zone)).date()
    return day - timedelta(days=day.weekday())


def expected_cells(world: World, now: datetime, zone: str, weeks: int) -> dict[tuple[date, date], tuple[int, int]]:
    """(cohort, week) to (active tenants, cohort size), counted."""
    this = monday(now - timedelta(microseconds=1), zone)
    began: dict[object, date] = {}
    for one in sorted(world.generations, key=lambda one: one.created_at):
        if one.created_at < now:
            began.setdefault(one.tenant, monday(one.created_at, zone))
    cells = {}
    for cohort in {one for one in began.values() if one > this - timedelta(weeks=weeks)}:
        members = {tenant for tenant, first in began.items() if first == cohort}
        week = cohort
        while week <= this:
            active = {
                one.tenant
                for one in world.generations
                if one.tenant in members
                and one.status == "SUCCEEDED"
                and one.created_at < now
                and monday(one.created_at, zone) == week
            }
            cells[cohort, week] = (len(active), len(members))
            week += timedelta(weeks=1)
    return cells


@settings(max_examples=24)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(-15, 60))
def test_cohorts_of_every_week(open_world: OpenWorld, seed: int, shape: Shape, zone: str, days: int) -> None:
    centre = transitions(zone)[0]
    now, weeks = centre + timedelta(days=days), 1 + seed % 6
    world = made_world(seed, shape, centre, rows=seed % 60, days=20)
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, cohorts(ALL, now=now, zone=zone, weeks=weeks)))
        first = Scope.of([str(world.tenants[0].id)])
        mine = rows_of(ask(connection, tables, cohorts(first, now=now, zone=zone, weeks=weeks)))
    cells = {(one["cohort_week"], one["week"]): (one["active_tenants"], one["cohort_size"]) for one in found}
    assert cells == expected_cells(world, now, zone, weeks)
    assert list(cells) == sorted(cells)
    assert {one["cohort_size"] for one in mine} <= {1}


def test_who_began_before_the_weeks_is_in_no_cohort(open_world: OpenWorld) -> None:
    world = made_world(3, "prisma", NOW - timedelta(days=100), rows=90, days=30)
    with open_world("prisma", world) as (connection, tables):
        few = ask(connection, tables, cohorts(ALL, now=NOW, zone="UTC", weeks=2))
        many = ask(connection, tables, cohorts(ALL, now=NOW, zone="UTC", weeks=30))
    assert len(few) == 0
    assert len(many) > 0


def test_a_week_of_which_nothing_has_been_is_not_listed(open_world: OpenWorld) -> None:
    world = made_world(3, "prisma", NOW - timedelta(days=20), rows=90, days=10)
    midnight = datetime(2025, 6, 16, tzinfo=UTC)
    with open_world("prisma", world) as (connection, tables):
        for now, newest in ((midnight, date(2025, 6, 9)), (midnight + timedelta(minutes=5), date(2025, 6, 16))):
            found = rows_of(ask(connection, tables, cohorts(ALL, now=now, zone="UTC", weeks=20)))
            assert max(one["week"] for one in found) == newest


@pytest.mark.parametrize("weeks", [0, 53, -1])
def test_weeks_that_are_not_possible_are_named(weeks: int) -> None:
    with pytest.raises(ArgumentError, match="cohorts of"):
        cohorts(ALL, now=NOW, zone="UTC", weeks=weeks).statement()
