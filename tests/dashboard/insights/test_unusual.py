"""Which buckets of a period stand out, and which are never compared."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights import before
from dashboard.insights.unusual import is_whole, unusual
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
USUAL = 200


def of_days(first: date, last: date, zone: str = "Europe/Berlin") -> Period:
    return Period.of_dates(first, last, zone=zone, now=NOW, grain="day")


def found(period: Period, values: list[int]) -> list[int]:
    history = before.usual(period)
    by_start = {one.start: USUAL for one in history.buckets()}
    return [one.place for one in unusual(period, values, history, by_start, noun="Generations")]


def test_a_day_that_stands_out_against_its_weekday_says_so_with_its_numbers():
    period = of_days(date(2026, 6, 1), date(2026, 6, 15))
    values = [USUAL] * 15
    values[3], values[14] = 900, 0
    history = before.usual(period)
    by_start = {one.start: USUAL for one in history.buckets()}
    one, *others = unusual(period, values, history, by_start, noun="Failures")
    assert not others, "the day in progress is not compared"
    assert (one.place, one.start.date()) == (3, date(2026, 6, 4))
    assert one.sentence.startswith("Failures: 900 on Thu 4 Jun 2026")
    assert str(USUAL) in one.sentence


@given(st.integers(0, 13), st.integers(1, 20))
def test_a_change_within_chance_is_not_marked(place, more):
    values = [USUAL] * 15
    values[place] += more
    assert found(of_days(date(2026, 6, 1), date(2026, 6, 15)), values) == []


def test_buckets_that_the_period_cuts_are_not_compared():
    start = datetime(2026, 6, 10, 10, 20, tzinfo=UTC)
    period = Period(start, start + timedelta(hours=30), "UTC", "hour", NOW)
    buckets = period.buckets()
    assert [is_whole(one, period) for one in (buckets[0], buckets[1], buckets[-1])] == [False, True, False]
    values = [USUAL] * len(buckets)
    values[0], values[5], values[-1] = 0, 900, 0
    assert found(period, values) == [5]


def test_without_history_nothing_is_marked():
    period = of_days(date(2026, 6, 1), date(2026, 6, 15))
    history = before.usual(period)
    assert unusual(period, [0, 10_000] * 7 + [0], history, {}, noun="Generations") == []


def test_minutes_and_months_are_never_marked():
    period = Period(NOW - timedelta(hours=2), NOW, "UTC", "minute", NOW)
    history = before.usual(period)
    by_start = {one.start: USUAL for one in history.buckets()}
    assert unusual(period, [0, 9_000] * 60, history, by_start, noun="Generations") == []
