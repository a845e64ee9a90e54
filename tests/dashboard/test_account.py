"""How long a tenant's credits last, in words."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from dashboard import account
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PERIOD = Period.last_days(10, zone="UTC", now=NOW, grain="day")


def burned(*, daily: int, today: int = 0, first: int = 9_999) -> pd.DataFrame:
    """So much on each of the last 7 complete days; other figures before them and today must not count."""
    starts = [one.start for one in PERIOD.buckets()]
    return pd.DataFrame({"bucket_start": starts, "net_burn_credits": [*[first] * 3, *[daily] * 7, today]})


@pytest.mark.parametrize(
    ("posted", "daily", "said"),
    [
        (100, 10, "(10.0 a day) that lasts for 10 days, to 25 Jun 2026."),
        (109, 10, "that lasts for 10 days"),
        (9, 10, "that lasts for less than a day."),
        (10_000, 1, "that lasts for more than 365 days."),
        (100, 0, "No burn in the last 7 complete days"),
        (100, -5, "No burn in the last 7 complete days"),
        (0, 10, "Already empty."),
        (-340, 10, "Already empty."),
    ],
)
def test_credits_last_as_long_as_the_burn_of_seven_complete_days_lets_them(posted, daily, said):
    (line,) = account.lasts(posted, burned(daily=daily, today=500), PERIOD)
    assert said in line


def test_an_older_or_shorter_period_says_nothing_about_what_is_left():
    older = Period.of_dates(date(2026, 5, 1), date(2026, 5, 20), zone="UTC", now=NOW, grain="day")
    frame = pd.DataFrame({"bucket_start": [one.start for one in older.buckets()], "net_burn_credits": [1] * 20})
    assert account.lasts(100, frame, older) == []
    assert account.lasts(100, burned(daily=1).tail(7), PERIOD) == []
    assert account.lasts(100, burned(daily=1).tail(8), PERIOD)
    assert timedelta(days=10) == PERIOD.complete_days().end - PERIOD.start
