"""How many hours of each weekday a period has."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights import hours
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 40, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham", "America/Havana")
STARTS = st.datetimes(*map(datetime.fromisoformat, ("2025-01-01", "2026-01-01")))


@given(STARTS, st.integers(1, 60 * 24 * 10), st.sampled_from(ZONES))
def test_the_hours_of_the_week_are_the_minutes_of_the_period(start, minutes, zone):
    begun = start.replace(second=0, microsecond=0, tzinfo=UTC)
    period = Period(begun, begun + timedelta(minutes=minutes), zone, "day", NOW)
    found = hours.hours_there_were(period)
    expected = Counter()
    for minute in range(minutes):
        local = (begun + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))
        expected[local.isoweekday(), local.hour] += 1
    assert {cell: round(length * 60) for cell, length in found.items()} == dict(expected)


def test_an_hour_that_is_skipped_or_comes_twice_counts_as_such():
    skipped = Period.of_dates(date(2025, 3, 30), date(2025, 3, 30), zone="Europe/Berlin", now=NOW)
    twice = Period.of_dates(date(2025, 10, 26), date(2025, 10, 26), zone="Europe/Berlin", now=NOW)
    assert (7, 2) not in hours.hours_there_were(skipped)
    assert hours.hours_there_were(twice)[7, 2] == 2
    assert hours.mean_per_hour({(7, 2): 10}, hours.hours_there_were(twice))[6][2] == 5
    assert hours.mean_per_hour({}, hours.hours_there_were(skipped))[6][2] is None


def test_five_mondays_count_no_more_than_four_tuesdays():
    # June 2026 has five Mondays and Tuesdays and four of each other day.
    period = Period.of_dates(date(2026, 5, 31), date(2026, 6, 8), zone="UTC", now=NOW)
    there_were = hours.hours_there_were(period)
    counts = {(1, 9): 20, (2, 9): 10}
    assert there_were[1, 9] == 2
    assert there_were[2, 9] == 1
    found = hours.mean_per_hour(counts, there_were)
    assert found[0][9] == found[1][9] == 10


def test_the_hour_in_progress_is_left_out():
    period = Period.of_dates(date(2026, 6, 15), date(2026, 6, 15), zone="UTC", now=NOW)
    complete = hours.complete_hours(period)
    assert complete.until == datetime(2026, 6, 15, 10, tzinfo=UTC)
    assert (1, 10) not in hours.hours_there_were(complete)
    past = Period.of_dates(date(2026, 6, 1), date(2026, 6, 2), zone="UTC", now=NOW)
    assert hours.complete_hours(past) == past


@pytest.mark.parametrize("minutes", [0, 20])
def test_a_period_that_has_no_complete_hour_has_none(minutes):
    start = NOW.replace(minute=0)
    period = Period(start, start + timedelta(hours=1), "UTC", "minute", start + timedelta(minutes=minutes))
    assert hours.hours_there_were(hours.complete_hours(period)) == {}
