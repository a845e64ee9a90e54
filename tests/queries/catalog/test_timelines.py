"""The figures of the page Timelines against the same figures counted over plain rows."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import timelines, usage
from queries.catalog.bins import binned
from queries.period import Grain, Period
from queries.scope import Scope
from queries.tables import ERROR_LENGTH, NO_ERROR, Tables, bucket
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.test_usage import MID_HOUR, OF_SPLIT, percentile
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    ZONES,
    Shape,
    World,
    ask,
    bucket_name,
    made_world,
    period_around,
    rows_of,
    transitions,
)

ALL = Scope.all_tenants()
SEEDS = st.integers(0, 10**6)
ERRORS = (
    *("timeout", "  timeout ", "<script>alert(1)</script>", "Other", "%s :x $1 \\", "é" * 300, "é" * 200 + "x"),
    *("", "   ", None),
)
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month")


def failed_with(connection: sa.Connection, tables: Tables, world: World, seed: int) -> dict[Any, str]:
    """Give each failed generation an error; the text by which it is known, by the generation's id."""
    chance, rows, known = random.Random(seed), tables.generation, {}
    for one in world.generations:
        error = chance.choice(ERRORS)
        if one.status == "FAILED":
            connection.execute(rows.update().where(rows.c.id == one.id).values(error=error))
            known[one.id] = (error or "")[:ERROR_LENGTH].strip(" ") or NO_ERROR
    return known


@settings(max_examples=16)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(GRAINS), st.integers(1, 8), st.data())
def test_failures_by_error_are_all_failures(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, grain: Grain, top: int, data: st.DataObject
) -> None:
    centre = data.draw(st.sampled_from(transitions(zone)))
    world = made_world(seed, shape, centre, rows=300)
    period = period_around(centre, zone, grain, 3, 3, centre + timedelta(hours=seed % 200 - 50))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        known = failed_with(connection, tables, world, seed)
        frame = ask(connection, tables, timelines.failures(ALL, period=period, top=top))
    failed = [one for one in world.within(period.start, period.until) if one.status == "FAILED"]
    counts = Counter(known[one.id] for one in failed)
    rows = rows_of(frame)
    found = {one["series_id"]: 0 for one in rows}
    for one in rows:
        found[one["series_id"]] += one["failed"]
    other = found.pop(None, 0)
    assert sorted(found.values(), reverse=True) == sorted(counts.values(), reverse=True)[:top]
    assert all(counts[error] == many for error, many in found.items())
    assert other == len(failed) - sum(found.values())
    assert len(rows) == (len(found) + (len(counts) > top)) * len(period.buckets()) or not failed
    assert len({one["series"] for one in rows}) == len({one["series_id"] for one in rows}), "two series of one label"
    if not (grain == "hour" and zone in MID_HOUR):
        expected = Counter(bucket_name(one.created_at, grain, zone) for one in failed)
        by_bucket: Counter[object] = Counter()
        for one in rows:
            by_bucket[bucket_name(one["bucket_start"].to_pydatetime(), grain, zone)] += one["failed"]
        assert +by_bucket == expected


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.data())
def test_hours_of_the_week_hold_every_generation(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, data: st.DataObject
) -> None:
    """Also of the hours that happen twice, and of zones whose clocks change by half an hour."""
    centre = data.draw(st.sampled_from(transitions(zone)))
    world = made_world(seed, shape, centre, rows=200)
    start = centre - timedelta(minutes=data.draw(st.integers(1, 6_000)))
    period = Period(start, start + timedelta(days=5), zone, "hour", centre + timedelta(hours=seed % 100))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        rows = rows_of(ask(connection, tables, timelines.hours(ALL, period=period)))
    inside = world.within(period.start, period.until)

    def cell(moment: datetime) -> tuple[int, int]:
        local = moment.astimezone(ZoneInfo(zone))
        return local.isoweekday(), local.hour

    assert {(one["weekday"], one["hour"]): one["generations"] for one in rows} == Counter(
        cell(one.created_at) for one in inside
    )
    failed = Counter(cell(one.created_at) for one in inside if one.status == "FAILED")
    assert {(one["weekday"], one["hour"]): one["failed"] for one in rows if one["failed"]} == failed


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_latency_of_the_period_is_over_its_raw_rows(open_world: OpenWorld, seed: int, shape: Shape, zone: str) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=30 + seed % 300)
    period = period_around(centre, zone, "day", 2, 2, centre + timedelta(hours=seed % 100))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, timelines.latency(ALL, period=period)))
    inside = world.within(period.start, period.until)
    assert found == [
        {
            "latency_rows": sum(one.status == "SUCCEEDED" and one.duration_ms is not None for one in inside),
            "p50_ms": percentile(inside, 50, least=20),
            "p95_ms": percentile(inside, 95, least=20),
            "p99_ms": percentile(inside, 99, least=100),
        }
    ]


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(sorted(OF_SPLIT)), st.sampled_from(ZONES), st.integers(1, 4))
def test_latency_by_series_and_of_the_others(
    open_world: OpenWorld, seed: int, shape: Shape, split: str, zone: str, top: int
) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, rows=400)
    period = period_around(centre, zone, "week", 6, 6, centre + timedelta(days=seed % 9))
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        rows = rows_of(ask(connection, tables, timelines.latency_by_series(ALL, period=period, split=split, top=top)))
    inside = [one for one in world.within(period.start, period.until) if one.status == "SUCCEEDED"]
    counts = Counter(str(getattr(one, OF_SPLIT[split])) for one in inside)
    named = {one["series_id"] for one in rows} - {None}
    assert sorted((counts[one] for one in named), reverse=True) == sorted(counts.values(), reverse=True)[:top]
    for row in rows:
        week = bucket_name(row["bucket_start"].to_pydatetime(), "week", zone)
        own = [
            one
            for one in inside
            if bucket_name(one.created_at, "week", zone) == week
            and (
                str(getattr(one, OF_SPLIT[split])) == row["series_id"]
                if row["series_id"] is not None
                else str(getattr(one, OF_SPLIT[split])) not in named
            )
        ]
        assert row["latency_rows"] == sum(one.duration_ms is not None for one in own)
        for percent, least in ((50, 20), (95, 20), (99, 100)):
            assert row[f"p{percent}_ms"] == percentile(own, percent, least=least)


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_the_last_minutes(open_world: OpenWorld, seed: int, shape: Shape, zone: str) -> None:
    centre = transitions(zone)[0]
    world = made_world(seed, shape, centre, days=1)
    now = centre + timedelta(minutes=seed % 60)
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        rows = rows_of(ask(connection, tables, timelines.live(ALL, now=now, zone=zone, minutes=60)))
    assert len(rows) == 60
    for row in rows:
        start = row["bucket_start"].to_pydatetime()
        own = world.within(start, start + timedelta(minutes=1))
        assert row["generations"] == len(own)
        assert row["succeeded"] == sum(one.status == "SUCCEEDED" for one in own)
        assert row["failed"] == sum(one.status == "FAILED" for one in own)
        assert row["unfinished"] == sum(one.status in ("PENDING", "PROCESSING") for one in own)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zone", [*ZONES, "Asia/Pyongyang", "America/Caracas", "America/St_Johns"])
def test_a_bin_lies_within_one_bucket_and_one_local_hour(open_world: OpenWorld, shape: Shape, zone: str) -> None:
    """Changes include half hours in Pyongyang and Caracas, and one minute past midnight in Newfoundland."""
    year = {"Asia/Pyongyang": 2018, "America/Caracas": 2016, "America/St_Johns": 2009}.get(zone, 2025)
    centre = transitions(zone, year)[0]
    world = made_world(11, shape, centre, rows=300, days=2)
    for grain in ("minute", *GRAINS):
        hours = 5 if grain == "minute" else 60
        period = Period(
            centre - timedelta(hours=hours),
            centre + timedelta(hours=hours),
            zone,
            grain,
            datetime(2099, 1, 1, tzinfo=UTC),
        )
        with open_world(shape, world, "America/Havana") as (connection, tables):
            created = tables.generation.c.created_at
            fine = sa.select(created, binned(created, period).label("bin")).cte("fine")
            found = connection.execute(
                sa.select(bucket(fine.c.created_at, period), bucket(fine.c.bin, period), fine.c.created_at, fine.c.bin)
            ).all()
        info = ZoneInfo(zone)
        for own, of_bin, moment, start in found:
            at, since = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in (moment, start))
            if period.start <= at < period.end:
                assert own == of_bin, (grain, at, since)
                assert since <= at
                local, local_since = at.astimezone(info), since.astimezone(info)
                assert (local.date(), local.hour) == (local_since.date(), local_since.hour), (grain, at, since)


def test_five_thousand_models_fold_into_the_largest_and_other(open_world: OpenWorld) -> None:
    centre = datetime(2025, 5, 1, 12, tzinfo=UTC)
    world = made_world(5, "prisma", centre, rows=5_200)
    for number, one in enumerate(world.generations[200:]):
        one.model = f"model <b>{number}</b>"
    period = period_around(centre, "UTC", "day", 6, 6, centre + timedelta(days=9))
    with open_world("prisma", world) as (connection, tables):
        counts = rows_of(ask(connection, tables, usage.over_time(ALL, period=period, split="model")))
        took = rows_of(ask(connection, tables, timelines.latency_by_series(ALL, period=period, split="model")))
    assert len({one["series"] for one in counts}) == len({one["series"] for one in took}) == 8
    assert sum(one["generations"] for one in counts) == len(world.within(period.start, period.end))
