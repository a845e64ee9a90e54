"""Percentiles by bucket against plain rows."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import latency
from queries.scope import Scope
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.test_usage import percentile
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    ZONES,
    Shape,
    ask,
    bucket_name,
    made_world,
    period_around,
    rows_of,
    transitions,
)


@settings(max_examples=16)
@given(
    st.integers(0, 10**6), st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(("day", "week", "month"))
)
def test_each_bucket_has_the_percentiles_of_its_own_rows(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, grain: str
) -> None:
    centre = transitions(zone)[-1]
    world = made_world(seed, shape, centre, rows=250)
    period = period_around(centre, zone, grain, 4, 4, centre + timedelta(hours=seed % 150 - 30))  # type: ignore[arg-type]  # one of the grains above
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        found = rows_of(ask(connection, tables, latency.over_time(Scope.all_tenants(), period=period)))
    assert len(found) == len(period.buckets())
    inside = world.within(period.start, period.until)
    for row in found:
        name = bucket_name(row["bucket_start"].to_pydatetime(), grain, zone)  # type: ignore[arg-type]  # the same
        own = [one for one in inside if bucket_name(one.created_at, grain, zone) == name]  # type: ignore[arg-type]  # the same
        took = [one for one in own if one.status == "SUCCEEDED" and one.duration_ms is not None]
        assert row["latency_rows"] == len(took)
        for percent, least in ((50, 20), (95, 20), (99, 100)):
            assert row[f"p{percent}_ms"] == percentile(own, percent, least=least)
