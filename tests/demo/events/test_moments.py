"""Times as files write them: formats, epochs, zones, and the two hours a year that clocks play tricks with."""

# ruff: noqa: DTZ001  -- stored times carry no zone

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.events.errors import UnusableOption
from demo.events.moments import Clock

MOMENT = datetime(2024, 11, 5, 16, 57, 50)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham"]
times = st.datetimes(datetime(1991, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(microsecond=0))


@pytest.mark.parametrize(
    "text",
    [
        "2024-11-05 16:57:50",
        " 2024-11-05T16:57:50Z ",
        "2024-11-05 17:57:50+01",
        "2024-11-05 22:42:50.000000+05:45",
        "2024-11-05 16:57:50.000000000",
        "2024-11-05 16:57:50 UTC",
        "2024-11-05 16:57:50 +0000 UTC",
        "20241105T165750",
        "20241105165750",
        "2024/11/05 16:57:50",
        "05.11.2024 16:57:50",
        "05-Nov-2024 16:57:50",
        "Nov 5, 2024 4:57:50 PM",
        "Tue, 05 Nov 2024 16:57:50 GMT",
        "05/Nov/2024:16:57:50 +0000",
        "1730825870",
        "1730825870.0",
        "1.730825870e9",
        "1730825870000",
        "1730825870000000",
        "1730825870000000000",
    ],
)
def test_formats(text: str) -> None:
    assert Clock().utc(text) == MOMENT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing"),
        ("yesterday", "not a time"),
        ("11/05/2024 16:57", "--time-format"),
        ("2024-13-01", "not a time"),
        ("0001-01-01", "between 1990 and 2100"),
        ("0001-01-01T00:00:00+14:00", "between 1990 and 2100"),
        ("9999-12-31T23:59:59-14:00", "between 1990 and 2100"),
        ("12345", "no count"),
        ("1e400", "no count"),
        ("99999999999", "no count"),
        ("²⁰²⁴", "not a time"),
    ],
)
def test_what_is_no_time_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Clock().utc(text)


def test_format_of_the_caller() -> None:
    clock = Clock("Europe/Berlin", "%d/%m/%Y %H:%M")
    assert clock.utc("05/11/2024 17:57") == MOMENT.replace(second=0)
    with pytest.raises(ValueError, match="not a time as %d/%m/%Y"):
        clock.utc("2024-11-05")
    with pytest.raises(UnusableOption, match="IANA"):
        Clock("Berlin")


@given(at=times, zone=st.sampled_from(ZONES))
def test_local_time_of_any_moment_is_that_moment_or_its_first_occurrence(at: datetime, zone: str) -> None:
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    clock = Clock(zone)
    found = clock.utc(local.replace(tzinfo=None).isoformat(" "))
    assert clock.skipped == 0
    if local.fold == 0:
        assert found == at
    else:
        assert clock.repeated == 1
        assert timedelta(0) < at - found <= timedelta(hours=2)


@given(at=st.datetimes(datetime(1991, 1, 1), datetime(2099, 1, 1)))
def test_milliseconds_are_cut_not_rounded(at: datetime) -> None:
    assert Clock().utc(at.isoformat()) == at.replace(microsecond=at.microsecond // 1000 * 1000)


@pytest.mark.parametrize(
    ("zone", "text", "utc", "counts"),
    [
        ("Europe/Berlin", "2026-10-25 02:30", datetime(2026, 10, 25, 0, 30), (1, 0)),
        ("Europe/Berlin", "2026-03-29 02:30", datetime(2026, 3, 29, 1, 30), (0, 1)),
        ("America/New_York", "2026-11-01 01:59:59", datetime(2026, 11, 1, 5, 59, 59), (1, 0)),
        ("Australia/Lord_Howe", "2026-10-04 02:15", datetime(2026, 10, 3, 15, 45), (0, 1)),
        ("Europe/Berlin", "2026-10-25 02:30+01:00", datetime(2026, 10, 25, 1, 30), (0, 0)),
        ("Asia/Kathmandu", "2026-10-25 02:30", datetime(2026, 10, 24, 20, 45), (0, 0)),
    ],
)
def test_changed_clocks(zone: str, text: str, utc: datetime, counts: tuple[int, int]) -> None:
    clock = Clock(zone)
    assert clock.utc(text) == utc
    assert (clock.repeated, clock.skipped) == counts
