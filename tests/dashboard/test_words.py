"""Numbers and sentences, and that no text from the database is ever markup."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard import words
from dashboard.insights.rates import success_rate, wilson_interval
from queries.period import Period

MARKUP = st.text(st.sampled_from("\\`*_{}[]()#+-.!|<>~$:&@^=\"'/ ab1\n\t\u202e😀"), max_size=60)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("1204.0000"), "1,204"),
        (400.0, "400"),
        (0, "0"),
        (1284, "1,284"),
        (9999, "9,999"),
        (10_000, "10.0 k"),
        (12_845, "12.8 k"),
        (999_950, "1.0 M"),
        (3_400_000, "3.4 M"),
        (-12_845, "−12.8 k"),
        (Decimal("12.50"), "12.5"),
        (Decimal("100"), "100"),
        (2_000_000_000, "2.0 G"),
        (None, "not enough data"),
    ],
)
def test_amounts_read_at_a_glance(value, said):
    assert words.amount(value) == said


@given(st.integers(-(10**15), 10**15))
def test_exact_numbers_keep_every_digit(value):
    assert int(words.exact(value).replace(",", "").replace("−", "-")) == value


@given(st.decimals(-(10**9), 10**9, places=4))
def test_exact_decimals_never_pass_through_a_float(value):
    assert Decimal(words.exact(value).replace(",", "").replace("−", "-")) == value


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.9853, "98.5 %"),
        (1.0, "100.0 %"),
        (0.99999, "> 99.9 %"),
        (0.0, "0.0 %"),
        (0.00001, "< 0.1 %"),
        (None, "not enough data"),
    ],
)
def test_a_share_reads_whole_only_when_it_is(share, said):
    assert words.percent(share) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (420, "420 ms"),
        (999.6, "1.0 s"),
        (2_440, "2.4 s"),
        (9_960, "10 s"),
        (23_000, "23 s"),
        (240_000, "4 min"),
        (9_000_000, "2.5 h"),
    ],
)
def test_durations_come_in_the_unit_that_reads(ms, said):
    assert words.duration(ms) == said


@pytest.mark.parametrize(
    ("now", "before", "said", "direction"),
    [
        (112, 100, "+12 %", "up"),
        (95, 100, "−5.0 %", "down"),
        (5, 0, "new", "up"),
        (0, 0, "", "none"),
        (100, 100, "no change", "flat"),
        (100_001, 100_000, "no change", "flat"),
        (5, None, "", "none"),
        (5, -3, "", "none"),
    ],
)
def test_changes_are_said_in_words(now, before, said, direction):
    assert words.change(now, before) == words.Change(said, direction)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_change_is_never_infinite(now, before):
    text = words.change(now, before).text
    assert "inf" not in text
    assert "nan" not in text


@given(st.integers(0, 5_000), st.integers(1, 5_000))
def test_wilsons_interval_holds_its_share_and_mirrors(successes, failures):
    total = successes + failures
    low, high = wilson_interval(successes, total)
    assert 0 <= low <= successes / total <= high <= 1
    mirrored = wilson_interval(failures, total)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_wilsons_interval_is_the_published_one():
    # Newcombe (1998), table I: 81 of 263 and 15 of 148.
    assert wilson_interval(81, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert wilson_interval(15, 148) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))


def test_a_rate_says_its_interval_under_200_and_is_missing_without_an_end():
    assert "95 % confidence, from 199 ended" in words.rate_interval(success_rate(190, 9))
    assert words.rate_interval(success_rate(190, 10)) == ""
    assert words.rate(success_rate(0, 0)) == "not enough data"


@pytest.mark.parametrize(("rows", "hidden"), [(0, True), (19, True), (20, False), (None, True)])
def test_latency_is_hidden_with_its_reason_under_20_rows(rows, hidden):
    assert bool(words.latency_reason("p95", rows)) == hidden
    assert bool(words.latency_reason("p99", 99))


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 5, 7), date(2026, 5, 7), "7 May 2026"),
        (date(2026, 5, 1), date(2026, 5, 7), "1 to 7 May 2026"),
        (date(2026, 4, 28), date(2026, 5, 7), "28 Apr to 7 May 2026"),
        (date(2025, 12, 28), date(2026, 1, 3), "28 Dec 2025 to 3 Jan 2026"),
    ],
)
def test_days_have_names(first, last, said):
    assert words.days(first, last) == said


def test_the_clock_names_its_offset():
    at = datetime(2026, 1, 5, 13, 32, 5, tzinfo=UTC)
    assert words.clock(at, "Europe/Berlin") == "14:32:05, UTC+1"
    assert words.clock(at, "Asia/Kathmandu") == "19:17:05, UTC+5:45"
    assert words.clock(at, "America/St_Johns") == "10:02:05, UTC−3:30"
    assert words.clock(at, "UTC") == "13:32:05, UTC"


def test_ages_and_days_left():
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert [words.ago(now - timedelta(seconds=s), now) for s in (5, 200, 7200, 400_000)] == [
        "just now",
        "3 min ago",
        "2 h ago",
        "4 days ago",
    ]
    today = date(2026, 1, 5)
    assert [words.days_left(today + timedelta(days=days), today) for days in (-3, -1, 0, 1, 2, 12)] == [
        "3 days overdue",
        "1 day overdue",
        "today",
        "tomorrow",
        "in 2 days",
        "in 12 days",
    ]


def test_the_previous_period_is_named_by_its_days():
    now = datetime(2026, 6, 15, 10, tzinfo=UTC)
    assert words.previous_days(Period.last_days(28, zone="UTC", now=now)) == "previous 28 days"


def test_missing_values_are_none():
    frame = pd.DataFrame({"a": pd.array([None], dtype="int64[pyarrow]"), "b": [1.5], "c": [float("nan")]})
    assert words.first_row(frame) == {"a": None, "b": 1.5, "c": None}
    assert words.first_row(frame.iloc[:0]) == {}


@given(MARKUP)
def test_plain_leaves_no_character_that_could_be_markup(text):
    escaped = words.plain(text)
    assert "\n" not in escaped
    position = 0
    while position < len(escaped):
        if escaped[position] == "\\":
            position += 2
            continue
        assert escaped[position].isalnum() or escaped[position] in " 😀\u2060", escaped
        position += 1


@given(st.text(max_size=80))
def test_plain_text_reads_as_what_it_was(text):
    read = words.plain(text).replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    assert read.replace("\u2060", "") == words.one_line(text).replace("\u2060", "")


@given(st.lists(st.sampled_from(["http://", "HTTPS://", "www.", "@", "a", ".", "b.c", "_"]), max_size=9).map("".join))
def test_no_markdown_finds_an_address_in_plain_text(text):
    """What GitHub's Markdown looks for in text once its escapes are gone."""
    read = words.plain(text).replace("\\", "")
    assert not re.search(r"https?://|www\.|[-.\w+]@[-\w]", read, re.IGNORECASE)


@given(MARKUP)
def test_shortened_text_is_one_line_and_not_longer(text):
    shown = words.shortened(text, 20)
    assert len(shown) <= 20
    assert "\n" not in shown
    assert "\u202e" not in shown


def _draws(name: str) -> None:
    import streamlit

    from dashboard import words as drawn

    streamlit.title(drawn.plain(name))
    streamlit.caption(drawn.plain(name))
    streamlit.metric(drawn.plain(name), "1", help=drawn.plain(name))


@pytest.mark.parametrize(
    "name", ["$x$", ":red[a]", "**b**", "<b>", "[a](http://b)", ":smile:", "`c`", "a\n# b", "= 1\n==="]
)
def test_elements_carry_the_escaped_text(name):
    app = AppTest.from_function(_draws, kwargs={"name": name}).run()
    assert not app.exception
    for carried in (app.title[0].value, app.caption[0].value, app.metric[0].label):
        assert carried == words.plain(name)
        assert name not in carried


@given(st.decimals(-(10**9), 10**9, places=10))
def test_an_exact_number_is_plain_digits(value):
    said = words.exact(value)
    assert "E" not in said
    assert Decimal(said.replace(",", "").replace("−", "-")) == value


@given(st.integers(-(10**18), 10**18), st.integers(1, 90))
def test_credits_per_day_are_right_to_a_tenth(credits, days):
    assert abs(words.per_day(credits, days) * days - credits) * 20 <= days


def test_few_credits_a_week_are_not_none_a_day():
    assert words.amount(words.per_day(3, 7)) == "0.4"
