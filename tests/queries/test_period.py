"""The grid of a period: PostgreSQL's own buckets, on days of 23, 24 and 25 hours."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.errors import PeriodError
from queries.period import (
    EARLIEST,
    MAX_BUCKETS,
    Grain,
    Period,
    automatic_grain,
    bucket_date,
    bucket_start,
    floored,
    local_date,
    local_midnight,
)
from tests.conftest import Server
from tests.queries.catalog.world import ZONES, transitions

GRAINS = get_args(Grain)
NOW = datetime(2025, 6, 15, 10, 30, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def instants_near_changes(draw: st.DrawFn) -> tuple[str, datetime]:
    zone = draw(st.sampled_from(ZONES))
    moment = draw(st.sampled_from(transitions(zone))) + timedelta(seconds=draw(st.integers(-8 * 3600, 30 * 3600)))
    return zone, draw(st.sampled_from((moment, draw(INSTANTS))))


@pytest.fixture(scope="module")
def plain_connection(server: Server) -> Any:
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@settings(max_examples=120)
@given(instants_near_changes(), st.sampled_from(GRAINS))
def test_a_bucket_starts_where_postgresql_has_it(
    plain_connection: psycopg.Connection[Any], where: tuple[str, datetime], grain: Grain
) -> None:
    zone, instant = where
    row = plain_connection.execute("SELECT date_trunc(%s, %s::timestamptz, %s)", [grain, instant, zone]).fetchone()
    assert row is not None
    if grain in ("minute", "hour"):
        assert bucket_start(instant, grain, zone) == row[0]
    else:  # of two midnights PostgreSQL takes the second; the local date is the same
        assert local_date(row[0], zone) == bucket_date(instant, grain, zone)
        assert timedelta(0) <= row[0] - bucket_start(instant, grain, zone) <= timedelta(hours=1)


@settings(max_examples=80)
@given(instants_near_changes(), st.sampled_from(("hour", "day", "week", "month")), st.integers(0, 3), st.integers(0, 3))
def test_the_grid_holds_the_bucket_of_every_instant_once(
    where: tuple[str, datetime], grain: Grain, before: int, after: int
) -> None:
    zone, instant = where
    day = local_date(instant, zone)
    first, last = day - timedelta(days=before), day + timedelta(days=after)
    period = Period.of_dates(first, last, zone=zone, now=instant + timedelta(days=60), grain=grain)
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    assert starts == sorted(set(starts))
    assert bucket_start(instant, grain, zone) in starts
    assert period.buckets()[0].start == period.start
    assert period.buckets()[-1].end == period.end
    assert all(one.end == other.start for one, other in pairwise(period.buckets()))


@pytest.mark.parametrize("zone", ZONES)
def test_a_local_day_has_its_hours(zone: str) -> None:
    for change in transitions(zone):
        day = local_date(change, zone)
        period = Period.of_dates(day, day, zone=zone, now=change + timedelta(days=9), grain="hour")
        hours = (period.end - period.start) / timedelta(hours=1)
        assert 23 <= hours <= 25
        assert len(period.buckets()) in (int(hours), int(hours) + 1)


@settings(max_examples=80)
@given(instants_near_changes(), st.integers(0, 40), st.integers(-5, 45))
def test_comparisons_leave_out_the_day_in_progress(where: tuple[str, datetime], days: int, ahead: int) -> None:
    zone, instant = where
    first = local_date(instant, zone)
    now = instant + timedelta(days=ahead)
    period = Period.of_dates(first, first + timedelta(days=days), zone=zone, now=now, grain="day")
    complete, previous = period.complete_days(), period.previous()
    assert complete.start == period.start
    assert complete.end <= max(period.start, min(period.end, now))
    assert previous.end == period.start
    count = (local_date(complete.end, zone) - complete.first_date).days
    assert count == max(0, min(days + 1, (local_date(now, zone) - first).days))
    assert previous.start == local_midnight(first - timedelta(days=count), zone)
    assert period.start <= period.until <= max(period.start, min(period.end, now))


def test_a_span_inside_one_day_has_no_previous_one() -> None:
    period = Period(NOW - timedelta(hours=3), NOW, "Europe/Berlin", "minute", NOW)
    assert period.previous().start == period.previous().end == period.start


def test_nothing_lies_before_the_earliest_date() -> None:
    period = Period.of_dates(EARLIEST, date(2025, 6, 1), zone="Pacific/Auckland", now=NOW, grain="month")
    assert period.previous().start == period.previous().end == period.start


def test_from_after_to_is_refused_and_an_empty_span_is_empty() -> None:
    with pytest.raises(PeriodError, match=r"from \(2025-06-02\) is after to"):
        Period.of_dates(date(2025, 6, 2), date(2025, 6, 1), zone="UTC", now=NOW)
    with pytest.raises(PeriodError, match="ends before it starts"):
        Period(NOW, NOW - timedelta(seconds=1), "UTC", "day", NOW)
    empty = Period(NOW, NOW, "UTC", "day", NOW)
    assert empty.buckets() == []
    assert empty.previous().start == empty.previous().end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": NOW.replace(tzinfo=None)}, "start is not a UTC time"),
        ({"zone": "Mars/Olympus"}, "time zone is not known"),
        ({"zone": "../../etc/passwd"}, "time zone is not known"),
        ({"grain": "fortnight"}, "is not known"),
        ({"start": NOW - timedelta(minutes=MAX_BUCKETS + 1), "grain": "minute"}, "more than 2,000 buckets"),
        ({"start": datetime(1970, 1, 1, tzinfo=UTC), "grain": "month"}, "out of range"),
    ],
)
def test_what_cannot_be_answered_is_refused(change: dict[str, Any], message: str) -> None:
    given_fields: dict[str, Any] = {"start": NOW - timedelta(days=1), "end": NOW, "zone": "UTC", "grain": "hour"}
    with pytest.raises(PeriodError, match=message):
        Period(**{**given_fields, "now": NOW, **change})


@given(st.integers(1, 3 * 365))
def test_the_automatic_grain_is_the_finest_that_fits(days: int) -> None:
    start, end = NOW - timedelta(days=days), NOW
    grain = automatic_grain(start, end)
    count = len(Period(start, end, "UTC", grain, NOW).buckets())
    assert count <= 402
    finer = GRAINS[GRAINS.index(grain) - 1] if grain != "minute" else None
    if finer is not None:
        assert (end - start).total_seconds() / {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}[finer] > 400


def test_only_the_bucket_that_runs_is_in_progress() -> None:
    for zone in ZONES:
        period = Period.last_days(3, zone=zone, now=NOW + timedelta(minutes=1), grain="hour")
        assert [one for one in period.buckets() if one.in_progress] == [period.buckets()[-1]]


@given(INSTANTS, st.sampled_from((60, 300)))
def test_now_is_floored_to_its_step(moment: datetime, step_s: int) -> None:
    down = floored(moment, step_s)
    assert down <= moment < down + timedelta(seconds=step_s)
    assert down.timestamp() % step_s == 0


def test_the_key_holds_everything_and_the_series_all_but_now() -> None:
    period = Period.last_days(3, zone="UTC", now=NOW, grain="day")
    later = Period.last_days(3, zone="UTC", now=NOW + timedelta(minutes=5), grain="day")
    assert period.series_key() == later.series_key()
    assert len({period.key(), later.key(), period.with_grain("hour").key()}) == 3
