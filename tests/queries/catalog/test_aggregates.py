"""The aggregates against the rows: after a refresh every answer is the same, whatever changed before it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.aggregates import NAMES, STATE, aggregates, aggregates_of, reads_aggregates
from queries.catalog import credits, tenants, timelines, usage
from queries.catalog.parts import DAY, HOUR, MOST_CUT, Parts, Windows, parts
from queries.database import ALL_TENANTS, TENANTS_SETTING, tenants_setting
from queries.guard import refuse_unscoped
from queries.period import Period
from queries.query import Query
from queries.refresh import RECENT_DAYS, refresh_within, settled_until
from queries.scope import Scope
from queries.tables import Aggregates, Tables, default_tables, instant
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    STATUSES,
    ZONES,
    Shape,
    World,
    ask,
    made_world,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
SEEDS = st.integers(0, 10**6)
# Questions of an example, drawn at random: all of them take half a minute.
ASKED = 4
ERRORS = (None, "", "  the upstream model timed out", "content policy", "x" * 200)


def questions(scope: Scope, now: datetime, zone: str, one: Scope) -> Iterator[Query]:
    """Every question that the aggregates have a part in."""
    period = Period.last_days(12, zone=zone, now=now, grain="day")
    moment: dict[str, Any] = {"now": now, "zone": zone}
    yield tenants.signals(scope, **moment, search="", plans=())
    yield tenants.signals(scope, **moment, search="", plans=("PRO", ""))
    every: dict[str, Any] = {**moment, "search": "", "plans": (), "offset": 0, "limit": 50}
    yield tenants.portfolio(scope, **every, sort="tenant", descending=False)
    yield tenants.header(one, now=now)
    for grain in ("hour", "day", "week", "month"):
        by_grain = period.with_grain(grain)
        yield usage.over_time(scope, period=by_grain, split="none")
        yield usage.over_time(scope, period=by_grain, split="tenant", top=2)
        yield credits.flows(scope, period=by_grain, top=2)
    yield usage.totals(scope, period=period)
    yield usage.totals(one, period=replace(period, end=period.end - timedelta(days=3, hours=5)))
    yield timelines.hours(scope, period=period)
    yield timelines.latency(scope, period=period)
    yield timelines.failures(scope, period=period, top=3)
    yield credits.compared(scope, period=period)


@contextmanager
def seeing(connection: sa.Connection, tables: Tables, tenants_seen: str = ALL_TENANTS) -> Iterator[Tables]:
    """The tables with their aggregates, in a transaction that names its tenants."""
    connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, tenants_seen, True)))
    found = aggregates_of(connection, tables)
    assert found is not None, "a refresh has made them"
    yield replace(tables, aggregates=found)


def contents(connection: sa.Connection, tables: Tables) -> dict[str, list[Any]]:
    """All rows of all aggregates, with where they are stored."""
    return {
        one.name: sorted(connection.execute(sa.select(sa.column("ctid", sa.Text), *one.table().c)).all(), key=repr)
        for one in aggregates(tables)
    }


def same_answers(connection: sa.Connection, tables: Tables, asked: Iterator[Query], chance: random.Random) -> None:
    """Some of these questions have the same answer with the aggregates as without."""
    with seeing(connection, tables) as summed:
        for query in chance.sample(list(asked), ASKED):
            assert rows_of(ask(connection, summed, query)) == rows_of(ask(connection, tables, query)), query.name


def change(connection: sa.Connection, tables: Tables, world: World, chance: random.Random, oldest: datetime) -> None:
    """Some generations end or come otherwise, some rows come late, some go; none older than this."""
    rows, ledger = tables.generation, tables.credit_transaction
    touched = [one for one in world.generations if one.created_at >= oldest]
    for one in chance.sample(touched, min(12, len(touched))):
        where = rows.c.id == one.id
        kind = chance.choice(("status", "gone", "moved", "charged"))
        if kind == "gone" and one.images:
            kind = "status"  # its images would have to go first
        if kind == "gone":
            connection.execute(sa.delete(rows).where(where))
            world.generations.remove(one)
            continue
        if kind == "status":
            one.status = chance.choice(STATUSES)
        elif kind == "moved":
            one.created_at = max(oldest, one.created_at - timedelta(hours=chance.randint(1, 40)))
        else:
            one.credits, one.duration_ms = one.credits + 1, chance.randrange(100, 90_000)
        values = {"status": one.status, "credits_used": one.credits, "duration_ms": one.duration_ms}
        values["error"] = chance.choice(ERRORS)
        values["created_at"] = instant(rows.c.created_at, one.created_at)
        connection.execute(sa.update(rows).where(where).values(**values))
    posted = instant(ledger.c.created_at, oldest)
    some = sa.select(ledger.c.id).where(ledger.c.created_at >= posted).order_by(ledger.c.id).limit(chance.randint(0, 5))
    connection.execute(sa.update(ledger).where(ledger.c.id.in_(some)).values(amount=ledger.c.amount + 3))


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(HOSTILE_ZONES), st.data())
def test_after_a_refresh_every_answer_is_that_of_the_rows(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, connection_zone: str, data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(transitions(zone)))
    now = centre + timedelta(hours=data.draw(st.integers(0, 24 * 8)), minutes=data.draw(st.sampled_from((0, 17))))
    world, chance = made_world(seed, shape, centre, days=9), random.Random(seed)
    scope = data.draw(st.sampled_from((ALL, Scope.of([str(one.id) for one in world.tenants[1:]]))))
    one = Scope.of([str(world.tenants[0].id)])
    with open_world(shape, world, connection_zone) as (connection, tables):
        refresh_within(connection, tables, now)
        same_answers(connection, tables, questions(scope, now, zone, one), chance)
        # Late changes of every age, seen by a comparison of all days.
        change(connection, tables, world, chance, centre - timedelta(days=30))
        refresh_within(connection, tables, now + timedelta(minutes=5), compare_all=True)
        same_answers(connection, tables, questions(scope, now, zone, one), chance)
        # And of the newest days, by any refresh.
        change(connection, tables, world, chance, settled_until(now) - timedelta(days=RECENT_DAYS))
        done = refresh_within(connection, tables, now + timedelta(minutes=10))
        assert not done.compared_all
        same_answers(connection, tables, questions(scope, now, zone, one), chance)


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(("UTC", "America/Havana", "Asia/Kathmandu")))
def test_after_late_changes_and_a_refresh_the_figures_are_those_of_plain_python(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str
) -> None:
    centre = transitions(zone)[0]
    now, chance = centre + timedelta(days=5, hours=3), random.Random(seed)
    world = made_world(seed, shape, centre, days=6)
    period = Period.last_days(9, zone=zone, now=now, grain="day")
    with open_world(shape, world) as (connection, tables):
        refresh_within(connection, tables, now)
        change(connection, tables, world, chance, centre - timedelta(days=30))
        refresh_within(connection, tables, now, compare_all=True)
        with seeing(connection, tables) as summed:
            row = rows_of(ask(connection, summed, usage.totals(ALL, period=period)))[0]
            series = rows_of(ask(connection, summed, usage.over_time(ALL, period=period, split="none")))
        posted = connection.execute(
            sa.select(tables.credit_transaction.c.type, tables.credit_transaction.c.amount).where(
                tables.credit_transaction.c.created_at >= instant(tables.credit_transaction.c.created_at, period.start),
                tables.credit_transaction.c.created_at < instant(tables.credit_transaction.c.created_at, now),
            )
        ).all()
    made = world.within(period.start, now)
    assert row["generations"] == len(made) == sum(one["generations"] for one in series)
    assert row["succeeded"] == sum(one.status == "SUCCEEDED" for one in made)
    assert row["active_users"] == len({one.user for one in made if one.status == "SUCCEEDED"})
    assert sum(one["burned_credits"] for one in series) == sum(one.credits for one in made)
    assert row["net_burn_credits"] == -sum(amount for type_, amount in posted if type_ in ("CHARGE", "REFUND"))


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES))
def test_what_is_not_summed_yet_is_exact_without_a_refresh(open_world: OpenWorld, seed: int, shape: Shape) -> None:
    centre = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    now = centre + timedelta(days=2)
    world, one = made_world(seed, shape, centre, days=4), random.Random(seed)
    of_one = Scope.of([str(world.tenants[0].id)])
    with open_world(shape, world) as (connection, tables):
        refresh_within(connection, tables, now)
        change(connection, tables, world, one, settled_until(now))
        same_answers(connection, tables, questions(ALL, now, "Europe/Berlin", of_one), one)


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.booleans())
def test_a_second_refresh_changes_nothing(open_world: OpenWorld, seed: int, shape: Shape, compare_all: bool) -> None:
    centre = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    with open_world(shape, made_world(seed, shape, centre)) as (connection, tables):
        now = centre + timedelta(days=4)
        first = refresh_within(connection, tables, now)
        before = contents(connection, tables)
        assert all(before.values())
        assert (first.compared_all, first.removed_rows) == (True, 0)
        second = refresh_within(connection, tables, now, compare_all=compare_all)
        assert (second.compared_all, second.added_rows, second.removed_rows) == (compare_all, 0, 0)
        assert contents(connection, tables) == before
        rebuilt = refresh_within(connection, tables, now, rebuild=True)
        plain = {name: [row[1:] for row in rows] for name, rows in contents(connection, tables).items()}
        assert {name: sorted(rows, key=repr) for name, rows in plain.items()} == {
            name: sorted((row[1:] for row in rows), key=repr) for name, rows in before.items()
        }
        assert rebuilt.added_rows == first.added_rows


def test_a_generation_that_hung_for_weeks_is_seen_when_it_ends(open_world: OpenWorld) -> None:
    now = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    world = made_world(3, "prisma", now - timedelta(days=40), days=2)
    hanging = world.generations[0]
    hanging.status = "PENDING"
    with open_world("prisma", world) as (connection, tables):
        refresh_within(connection, tables, now)
        rows = tables.generation
        connection.execute(sa.update(rows).where(rows.c.id == hanging.id).values(status="FAILED"))
        done = refresh_within(connection, tables, now + timedelta(minutes=5))
        assert (done.compared_all, done.added_rows > 0) == (False, True)
        same_answers(connection, tables, questions(ALL, now, "UTC", Scope.of([str(hanging.tenant)])), random.Random(1))


def test_the_aggregates_of_another_time_or_mapping_are_not_read(open_world: OpenWorld) -> None:
    now = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    with open_world("prisma", made_world(3, "prisma", now)) as (connection, tables):
        assert aggregates_of(connection, tables) is None
        refresh_within(connection, tables, now)
        assert aggregates_of(connection, tables) is not None
        connection.execute(sa.update(STATE).values(made_for="another mapping"))
        assert aggregates_of(connection, tables) is None
        done = refresh_within(connection, tables, now)
        assert (done.compared_all, done.added_rows > 0) == (True, True)
        earlier = refresh_within(connection, tables, now - timedelta(days=3))
        assert earlier.until == settled_until(now - timedelta(days=3))
        same_answers(connection, tables, questions(ALL, now, "UTC", Scope.of(["nobody"])), random.Random(1))


def test_another_tenants_aggregates_are_behind_the_wall(open_world: OpenWorld) -> None:
    now = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    for shape in SHAPES:
        world = made_world(3, shape, now)
        one = Scope.of([str(world.tenants[0].id)])
        with open_world(shape, world) as (connection, tables):
            refresh_within(connection, tables, now + timedelta(days=3))
            with seeing(connection, tables, tenants_setting(one)) as summed:
                assert summed.aggregates is not None
                for name in NAMES:
                    table = getattr(summed.aggregates, name)
                    seen = set(connection.scalars(sa.select(table.c.tenant_id)))
                    assert seen == {world.tenants[0].id}, name
            connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, "{}", True)))
            nobodys = sa.select(sa.func.count()).select_from(summed.aggregates.usage_day)
            assert connection.scalar(nobodys) == 0


_FIRST = datetime(2025, 3, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 50 * 24 * 4).map(lambda quarters: _FIRST + timedelta(minutes=15 * quarters))


@given(MOMENTS, MOMENTS, st.lists(MOMENTS, max_size=MOST_CUT + 3), MOMENTS, st.sampled_from((HOUR, DAY)))
def test_the_parts_are_the_stretch_and_no_unit_of_them_holds_a_bound(
    one: datetime, other: datetime, bounds: list[datetime], until: datetime, unit: timedelta
) -> None:
    start, end, until = min(one, other), max(one, other), until.replace(hour=0, minute=0, second=0, microsecond=0)
    found = parts(start, end, bounds, unit, until)
    units = []
    moment = found.first
    while moment < found.last:
        if moment not in found.cut:
            units.append((moment, moment + unit))
        moment += unit
    whole = sorted((*found.spans, *units))
    assert whole[0][0] == start
    assert whole[-1][1] == end
    assert all(left[1] == right[0] for left, right in pairwise(whole))
    assert all(last <= until for _, last in units)
    assert not any(first < bound < last for first, last in units for bound in bounds)
    assert found.is_summed == bool(found.first < found.last)
    assert len(found.cut) <= MOST_CUT


def test_every_question_of_the_list_reads_an_aggregate_and_each_is_read() -> None:
    now = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
    walls = {one.name: one.table(f"our_{one.name}") for one in aggregates(default_tables())}
    summed = replace(default_tables(), aggregates=Aggregates(settled_until(now), now, **walls))
    read = set()
    for query in questions(ALL, now, "Europe/Berlin", Scope.of(["a"])):
        text = str(query.statement(summed))
        found = {name for name in NAMES if f"our_{name}" in text}
        assert found, query.name
        assert reads_aggregates(text)
        assert not reads_aggregates(str(query.statement()))
        read |= found
        refuse_unscoped(query.statement(summed), query.scope)
    assert read == set(NAMES) == set(walls)


def test_too_many_bounds_are_read_from_the_rows() -> None:
    start = datetime(2025, 3, 1, tzinfo=UTC)
    bounds = [start + timedelta(days=number, hours=3) for number in range(MOST_CUT + 1)]
    end = start + timedelta(days=20)
    assert parts(start, end, bounds[:-1], DAY, end).is_summed
    assert parts(start, end, bounds, DAY, end) == Parts(((start, end),), start, start, ())


def test_windows_are_numbered_by_the_bounds_that_have_passed() -> None:
    day = datetime(2025, 3, 1, tzinfo=UTC)
    windows = Windows.between([day + DAY, day, day, day + 3 * DAY])
    assert windows.bounds == (day, day + DAY, day + 3 * DAY)
    assert windows.inside(day, day + 3 * DAY) == [1, 2]
    assert windows.inside(day + DAY, day + 3 * DAY) == [2]
    assert windows.inside(day, day) == []
