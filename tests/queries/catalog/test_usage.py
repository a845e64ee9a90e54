"""Usage figures against the same figures counted over plain rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import usage
from queries.catalog.series import SPLITS
from queries.period import Period
from queries.scope import Scope
from queries.tables import instant
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    STATUSES,
    ZONES,
    Generation,
    Shape,
    ask,
    bucket_name,
    made_world,
    net_burn,
    period_around,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
SEEDS = st.integers(0, 10**6)
# Clocks that change within a local hour: no whole hour comes twice, PostgreSQL's buckets overlap or run together.
MID_HOUR = ("Australia/Lord_Howe", "Pacific/Chatham")
STATUS_NAMES = {
    "succeeded": ("SUCCEEDED",),
    "failed": ("FAILED",),
    "cancelled": ("CANCELLED",),
    "unfinished": ("PENDING", "PROCESSING"),
}
OF_SPLIT = {"type": "type", "status": "status", "model": "model", "user": "user", "tenant": "tenant"}


def figures(rows: list[Generation]) -> dict[str, object]:
    counts = {name: sum(one.status in which for one in rows) for name, which in STATUS_NAMES.items()}
    return {"generations": len(rows), **counts, "burned_credits": sum(one.credits for one in rows)}


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(HOSTILE_ZONES), st.data())
def test_every_bucket_holds_its_generations(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, connection_zone: str, data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(transitions(zone)))
    grain = data.draw(st.sampled_from(("hour", "day", "week", "month")))
    before, after = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    now = centre + timedelta(hours=data.draw(st.integers(-48, 24 * 6)))
    world, period = made_world(seed, shape, centre), period_around(centre, zone, grain, before, after, now)
    with open_world(shape, world, connection_zone) as (connection, tables):
        frame = ask(connection, tables, usage.over_time(ALL, period=period, split="none"))
    rows = rows_of(frame)
    # In UTC: Python holds an hour that comes twice unequal to every time of another zone.
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    assert [one["bucket_start"].to_pydatetime() for one in rows] == starts
    inside = world.within(period.start, period.until)
    expected = Counter(bucket_name(one.created_at, grain, zone) for one in inside)
    if grain == "hour" and zone in MID_HOUR:
        assert sum(one["generations"] for one in rows) == sum(expected.values())
    else:
        found = {bucket_name(start, grain, zone): one["generations"] for start, one in zip(starts, rows, strict=True)}
        assert {name: count for name, count in found.items() if count} == dict(expected)
    for name, value in figures(inside).items():
        assert sum(one[name] for one in rows) == value, name
        assert all(isinstance(one[name], int | Decimal) for one in rows)


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(sorted(SPLITS)), st.integers(1, 4), st.sampled_from(ZONES))
def test_top_and_other_are_the_total_and_the_largest_come_first(
    open_world: OpenWorld, seed: int, shape: Shape, split: str, top: int, zone: str
) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre)
    period = period_around(centre, zone, "day", 4, 3, centre + timedelta(days=30))
    with open_world(shape, world) as (connection, tables):
        parts = rows_of(ask(connection, tables, usage.breakdown(ALL, period=period, split=split, top=top)))
        frame = ask(connection, tables, usage.over_time(ALL, period=period, split=split, top=top))
    inside = world.within(period.start, period.until)
    counts = Counter(str(getattr(one, OF_SPLIT[split])) for one in inside)
    named = [one for one in parts if one["series_id"] is not None]
    assert [one["generations"] for one in named] == sorted(counts.values(), reverse=True)[:top]
    for one in named:
        own = [row for row in inside if str(getattr(row, OF_SPLIT[split])) == one["series_id"]]
        assert {name: one[name] for name in figures(own)} == figures(own)
        assert one["last_seen_at"].to_pydatetime() == max(row.created_at for row in own)
        assert one["share"] == pytest.approx(len(own) / len(inside))
    assert len(parts) == len(named) + (len(counts) > top)
    assert not parts or parts[-1]["series_id"] is not None or parts[-1]["series"].startswith("Other")
    for name, value in figures(inside).items():
        assert sum(one[name] for one in parts) == value
    # Over time: every bucket for every series, and the same sums per series.
    series = list(dict.fromkeys(frame["series"]))
    assert len(series) == len(parts)
    assert len(frame) == len(period.buckets()) * len(series)
    assert list(frame["series"]) == series * len(period.buckets())
    assert [one["series"] for one in parts] == series
    sums = frame.groupby("series", sort=False)["generations"].sum()
    assert [int(sums[one]) for one in series] == [one["generations"] for one in parts]


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_users_sum_to_their_tenant_and_tenants_to_the_total(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str
) -> None:
    centre = transitions(zone)[-1]
    world = made_world(seed, shape, centre)
    period = period_around(centre, zone, "day", 2, 2, centre + timedelta(days=30))
    with open_world(shape, world) as (connection, tables):
        total = rows_of(ask(connection, tables, usage.totals(ALL, period=period)))[0]
        tenants = rows_of(ask(connection, tables, usage.breakdown(ALL, period=period, split="tenant", top=50)))
        for tenant in tenants:
            scope = Scope.of([tenant["series_id"]])
            users = rows_of(ask(connection, tables, usage.breakdown(scope, period=period, split="user", top=50)))
            own = rows_of(ask(connection, tables, usage.totals(scope, period=period)))[0]
            for name in ("generations", "succeeded", "failed", "cancelled", "unfinished"):
                assert sum(one[name] for one in users) == tenant[name] == own[name]
    for name in ("generations", "succeeded", "failed", "cancelled", "unfinished"):
        assert sum(one[name] for one in tenants) == total[name]


@settings(max_examples=16)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.integers(-30, 24 * 5))
def test_totals_are_those_of_the_rows(open_world: OpenWorld, seed: int, shape: Shape, zone: str, hours: int) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=200)
    now = centre + timedelta(hours=hours)
    period = period_around(centre, zone, "day", 1, 3, now)
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, usage.totals(ALL, period=period)))[0]
    inside = world.within(period.start, period.until)
    expected = figures(inside)
    del expected["burned_credits"]
    old = now - timedelta(minutes=15)
    succeeded = [one for one in inside if one.status == "SUCCEEDED"]
    movements = world.posted(period.start, period.until)
    expected |= {
        "stuck": sum(one.status in ("PENDING", "PROCESSING") and one.created_at < old for one in inside),
        "active_users": len({one.user for one in succeeded}),
        "latency_rows": sum(one.duration_ms is not None for one in succeeded),
        "gross_burn_credits": -sum(one.amount for one in movements if one.type == "CHARGE"),
        "refunded_credits": sum(one.amount for one in movements if one.type == "REFUND"),
        "net_burn_credits": net_burn(movements),
    }
    for prefix, other in (("complete_", period.complete_days()), ("previous_", period.previous())):
        rows = world.within(other.start, other.end)
        counts = figures(rows)
        expected |= {prefix + name: counts[name] for name in ("generations", "succeeded", "failed")}
        expected[prefix + "net_burn_credits"] = net_burn(world.posted(other.start, other.end))
        expected[prefix + "active_users"] = len({one.user for one in rows if one.status == "SUCCEEDED"})
        expected[prefix + "p95_ms"] = percentile(rows, 95, least=20)
    for percent, least in ((50, 20), (95, 20), (99, 100)):
        expected[f"p{percent}_ms"] = percentile(inside, percent, least=least)
    assert found == expected


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_each_day_has_its_users_and_its_latency(open_world: OpenWorld, seed: int, shape: Shape, zone: str) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=200)
    period = period_around(centre, zone, "day", 6, 6, centre + timedelta(hours=seed % 200 - 50))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, usage.daily(ALL, period=period)))
    assert len(found) == len(period.buckets())
    for row in found:
        day = bucket_name(row["bucket_start"].to_pydatetime(), "day", zone)
        own = [
            one for one in world.within(period.start, period.until) if bucket_name(one.created_at, "day", zone) == day
        ]
        assert {key: value for key, value in row.items() if key != "bucket_start"} == {
            "generations": len(own),
            "succeeded": sum(one.status == "SUCCEEDED" for one in own),
            "failed": sum(one.status == "FAILED" for one in own),
            "active_users": len({one.user for one in own if one.status == "SUCCEEDED"}),
            "p95_ms": percentile(own, 95, least=20),
        }


def percentile(rows: list[Generation], percent: int, *, least: int) -> object:
    """Of the durations of successful generations; None under so many of them."""
    took = [one.duration_ms for one in rows if one.status == "SUCCEEDED" and one.duration_ms is not None]
    return pytest.approx(quantiles(took, n=100, method="inclusive")[percent - 1]) if len(took) >= least else None


def test_a_status_that_changes_later_lands_in_the_bucket_of_its_generation(open_world: OpenWorld) -> None:
    created = datetime(2025, 3, 10, 8, 20, tzinfo=UTC)
    world = made_world(1, "prisma", created, rows=0)
    tenant = world.tenants[0]
    world.generations.append(Generation("g", tenant.id, tenant.users[0], "UPSCALE", "m", "PENDING", 2, None, created))
    period = period_around(created, "UTC", "day", 1, 3, created + timedelta(days=2))
    query = usage.over_time(ALL, period=period, split="none")
    with open_world("prisma", world) as (connection, tables):
        before = rows_of(ask(connection, tables, query))
        rows = tables.generation
        changed = {"status": "FAILED", "completed_at": instant(rows.c.completed_at, created + timedelta(days=2))}
        connection.execute(rows.update().where(rows.c.id == "g").values(changed))
        after = rows_of(ask(connection, tables, query))
    assert [one["unfinished"] for one in before] == [0, 1, 0, 0]
    assert [one["failed"] for one in after] == [0, 1, 0, 0]
    assert [one["unfinished"] for one in after] == [0, 0, 0, 0]


@pytest.mark.parametrize("shape", SHAPES)
def test_newest_and_oldest(open_world: OpenWorld, shape: Shape) -> None:
    world = made_world(7, shape, datetime(2025, 5, 1, tzinfo=UTC))
    with open_world(shape, world, "Asia/Kathmandu") as (connection, tables):
        found = rows_of(ask(connection, tables, usage.newest(ALL)))[0]
        nothing = rows_of(ask(connection, tables, usage.newest(Scope.of([str(world.tenants[3].id)]))))[0]
    moments = [one.created_at for one in world.generations]
    assert found["newest_at"].to_pydatetime() == max(moments)
    assert found["oldest_at"].to_pydatetime() == min(moments)
    assert nothing == {"newest_at": None, "oldest_at": None}


def test_minutes_of_an_hour_sum_to_the_hour(open_world: OpenWorld) -> None:
    for zone in ("Asia/Kathmandu", "Australia/Lord_Howe"):
        centre = transitions(zone)[0]
        world = made_world(3, "prisma", centre)
        start = centre - timedelta(hours=5)
        period = Period(start, start + timedelta(hours=10), zone, "minute", centre + timedelta(days=1))
        with open_world("prisma", world) as (connection, tables):
            frame = ask(connection, tables, usage.over_time(ALL, period=period, split="none"))
        assert len(frame) >= 600
        assert int(frame["generations"].sum()) == len(world.within(period.start, period.end))


def test_all_statuses_are_counted_once() -> None:
    assert sorted(one for which in STATUS_NAMES.values() for one in which) == sorted(set(STATUSES))
