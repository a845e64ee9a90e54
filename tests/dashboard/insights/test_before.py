"""What a period is compared with, on days of 23 and 25 hours too."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights import before
from queries.period import EARLIEST, Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana")
DAYS = st.dates(date(2025, 1, 1), date(2026, 6, 15))


@given(DAYS, st.integers(0, 120), st.sampled_from(ZONES), st.sampled_from(("hour", "day", "week", "month")))
def test_what_is_compared_with_is_over_before_the_period_begins(first, days, zone, grain):
    period = Period.of_dates(first, first + timedelta(days=days if grain != "hour" else days % 16), zone=zone, now=NOW)
    period = period.with_grain(grain)
    compared, usual = before.before(period), before.usual(period)
    assert compared.start <= compared.end <= period.start
    assert usual.start <= compared.start
    assert usual.end <= period.start
    assert usual.now >= usual.end, "all of it is over"
    assert not any(one.in_progress for one in usual.buckets())
    if grain in ("hour", "day"):
        assert (period.first_date - usual.first_date).days >= before.USUAL_DAYS


def test_whole_days_are_compared_with_as_many_right_before():
    period = Period.last_days(28, zone="Europe/Berlin", now=NOW, grain="day")
    assert (before.before(period).start, before.before(period).end) == (
        period.previous().start,
        period.previous().end,
    )
    assert before.shift_of(period).days == 28


@pytest.mark.parametrize(
    ("days", "grain", "shifted"), [(10, "hour", 14), (7, "hour", 7), (90, "week", 91), (1, "minute", 7), (0, "day", 7)]
)
def test_hours_and_weeks_are_compared_with_the_same_weekdays(days, grain, shifted):
    period = Period.of_dates(date(2026, 6, 15) - timedelta(days=days), date(2026, 6, 15), zone="UTC", now=NOW)
    if grain == "minute":
        period = Period(NOW - timedelta(hours=3), NOW, "UTC", "minute", NOW)
    assert before.shift_of(period.with_grain(grain)).days == shifted


def test_months_are_compared_with_months():
    period = Period.of_dates(date(2025, 12, 1), date(2026, 5, 31), zone="UTC", now=NOW, grain="month")
    assert before.shift_of(period).months == 6
    assert before.before(period).first_date == date(2025, 6, 1)
    last_of_march = datetime.fromisoformat("2026-03-31")
    assert before.Shift(months=1).before(last_of_march) == datetime.fromisoformat("2026-02-28")


@given(DAYS, st.integers(0, 14), st.sampled_from(ZONES), st.sampled_from(("hour", "day")))
def test_each_bucket_stands_beside_the_one_of_the_same_local_time(first, days, zone, grain):
    period = Period.of_dates(first, first + timedelta(days=days), zone=zone, now=NOW, grain=grain)
    usual = before.usual(period)
    starts = [one.local_start.astimezone(UTC) for one in usual.buckets()]
    found = before.beside(period, starts, starts)
    shift, info = before.shift_of(period), ZoneInfo(zone)
    assert len(found) == len(period.buckets())
    for one, other in zip(period.buckets(), found, strict=True):
        if other is None:
            continue
        assert not one.in_progress
        assert other < period.start
        local = other.astimezone(info).replace(tzinfo=None)
        assert local == one.local_start.replace(tzinfo=None) - timedelta(days=shift.days)


def test_a_day_of_25_hours_beside_one_of_24_shifts_nothing():
    # Clocks go back in Berlin on 26 Oct 2025 at 03:00.
    period = Period.of_dates(date(2025, 10, 26), date(2025, 10, 26), zone="Europe/Berlin", now=NOW, grain="hour")
    usual = before.usual(period)
    starts = [one.start for one in usual.buckets()]
    found = before.beside(period, starts, [one.astimezone(ZoneInfo("Europe/Berlin")).hour for one in starts])
    assert len(found) == 25
    assert found[:5] == [0, 1, 2, None, 3], "the second 02:00 has no counterpart"


def test_nothing_lies_before_the_earliest_date():
    period = Period.of_dates(EARLIEST, EARLIEST + timedelta(days=5), zone="UTC", now=NOW, grain="day")
    assert before.before(period).start == before.before(period).end == period.start
    assert before.beside(period, [], []) == [None] * 6
