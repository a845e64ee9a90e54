"""What stands out is marked with its reason, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights.anomalies import anomalies

MONDAY = datetime(2026, 8, 3, tzinfo=UTC)


def days(count: int) -> list[datetime]:
    return [MONDAY + timedelta(days=number) for number in range(count)]


def weekly(weeks: int, last: float) -> tuple[list[float], list[datetime]]:
    """Quiet weekends, and a last Monday that differs."""
    values = [500.0, 520, 510, 490, 505, 100, 80] * weeks + [last]
    return values, days(len(values))


def test_a_day_is_compared_with_its_weekday():
    values, starts = weekly(8, 1284)
    (found,) = anomalies(values, starts, "day")
    assert (found.index, found.start, found.value, found.expected) == (56, starts[56], 1284, 500)
    assert (found.low, found.high) == (325, 675)
    assert found.z == pytest.approx((1284 - 500) / 50)
    assert found.why == ("1,284 on Mon 28 Sep 2026: a Monday usually has 500 (325 to 675, from the 8 before).")
    # A quiet weekend is nothing to mark, and neither is a Monday like the others.
    assert anomalies(*weekly(8, 500), "day") == []
    # As quiet as a Sunday is far too quiet for a Monday.
    assert anomalies(*weekly(8, 80), "day")[0].z < -3.5


def test_four_alike_are_needed():
    assert anomalies(*weekly(3, 9000), "day") == []
    assert len(anomalies(*weekly(4, 9000), "day")) == 1


@pytest.mark.parametrize(("last", "marked"), [(674, False), (675, True), (326, False), (325, True)])
def test_the_bound_is_where_it_says(last, marked):
    assert bool(anomalies(*weekly(8, last), "day")) == marked


@pytest.mark.parametrize(("usual", "last", "marked"), [(0, 19, False), (0, 20, True), (3, 22, False), (3, 23, True)])
def test_small_numbers_are_never_marked(usual, last, marked):
    values = [float(usual)] * 56 + [float(last)]
    assert bool(anomalies(values, days(57), "day")) == marked


def test_scattered_weeks_need_more_to_stand_out():
    mondays = [200.0, 800, 300, 700, 250, 750, 400, 600]
    values = [value for monday in mondays for value in [monday, *[500.0] * 6]] + [1200.0]
    assert anomalies(values, days(57), "day") == []


def test_an_anomaly_in_the_past_does_not_hide_the_next():
    values, starts = weekly(10, 1284)
    values[56] = 5000
    assert [one.index for one in anomalies(values, starts, "day")] == [56, 70]


def test_an_hour_is_compared_with_the_same_hour_of_its_weekday_across_a_clock_change():
    zone = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 9, 7, tzinfo=zone).astimezone(UTC)
    starts = [(first + timedelta(hours=number)).astimezone(zone) for number in range(24 * 7 * 10)]
    values = [400.0 if 9 <= start.hour < 17 else 5.0 for start in starts]
    assert anomalies(values, starts, "hour") == []
    at = next(i for i, start in enumerate(starts) if (start.month, start.day, start.hour) == (11, 10, 3))
    values[at] = 400
    (found,) = anomalies(values, starts, "hour")
    assert found.why == (
        "400 on Tue 10 Nov 2026, 03:00: a Tuesday at 03:00 usually has 5 (0 to 25, from the 8 before)."
    )


def test_weeks_are_compared_with_weeks_and_months_with_nothing():
    starts = [MONDAY + timedelta(weeks=number) for number in range(9)]
    values = [100.0] * 8 + [400.0]
    (found,) = anomalies(values, starts, "week")
    assert found.why == ("400 on the week of 28 Sep 2026: a week usually has 100 (65 to 135, from the 8 before).")
    assert anomalies(values, starts, "month") == anomalies(values, starts, "minute") == []


@given(st.lists(st.floats(-1e6, 1e6), max_size=120))
def test_it_is_the_rule_in_plain_python(values):
    starts = days(len(values))
    expected = []
    for at, value in enumerate(values):
        before = values[at % 7 : at : 7][-8:]
        if len(before) < 4:
            continue
        middle = median(before)
        spread = max(1.4826 * median(abs(one - middle) for one in before), abs(middle) / 10, abs(middle) ** 0.5, 1)
        if abs(value - middle) >= max(3.5 * spread, 20, abs(middle) / 4):
            expected.append(at)
    found = anomalies(values, starts, "day")
    assert [one.index for one in found] == expected
    assert all(one.low <= one.expected <= one.high for one in found)
    assert all(abs(one.z) >= 3.5 for one in found)
    assert all(not one.low < one.value < one.high for one in found)


def test_nothing_at_all_is_no_anomaly():
    assert anomalies([], [], "day") == []


def test_values_and_starts_belong_together():
    with pytest.raises(ValueError, match="zip"):
        anomalies([1.0], [], "day")
