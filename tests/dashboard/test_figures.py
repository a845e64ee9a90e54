"""Figures by their data."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.axes import bucket_names
from dashboard.figures.colours import GREY, HUES, colours
from dashboard.figures.credits import burn_bars
from dashboard.figures.series import Series, label_heights
from dashboard.figures.usage import usage_bars
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
THEME = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text())["theme"]
IDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True)


def usage(period: Period, counts: dict[str | None, int], names: dict[str | None, str] | None = None) -> pd.DataFrame:
    rows = [
        {
            "bucket_start": one.start,
            "series_id": key,
            "series": (names or {}).get(key, key or "Other"),
            "generations": count,
        }
        for one in period.buckets()
        for key, count in counts.items()
    ]
    return pd.DataFrame(rows)


def bars(figure):
    return [trace for trace in figure.data if trace.type == "bar"]


def test_bars_carry_every_bucket_and_sum_to_the_frame():
    period = Period.last_days(7, zone="Europe/Berlin", now=NOW, grain="day")
    frame = usage(period, {"A": 3, "B": 2, None: 1})
    figure = usage_bars(frame, period, split="model")
    assert [trace.name for trace in bars(figure)] == ["A", "B", "Other"]
    assert sum(sum(trace.y) for trace in bars(figure)) == frame["generations"].sum()
    assert len(bars(figure)[0].x) == len(set(bars(figure)[0].x)) == 8


def test_other_is_grey_and_last_even_when_it_is_the_largest():
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    frame = usage(period, {None: 90, "B": 2})
    drawn = bars(usage_bars(frame, period, split="model"))
    assert [trace.name for trace in drawn] == ["B", "Other"]
    assert drawn[-1].marker.color == GREY


def test_a_model_called_other_is_not_other():
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    drawn = bars(usage_bars(usage(period, {"Other": 5}), period, split="model"))
    assert drawn[0].marker.color in HUES


def test_only_the_bucket_in_progress_is_hatched_and_says_so_far():
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    (trace,) = bars(usage_bars(usage(period, {"A": 1}), period, split="model"))
    assert list(trace.marker.pattern.shape) == [""] * 7 + ["/"]
    assert [("so far" in name) for name in trace.x] == [False] * 7 + [True]
    finished = Period.of_dates(date(2026, 5, 1), date(2026, 5, 3), zone="UTC", now=NOW, grain="day")
    (trace,) = bars(usage_bars(usage(finished, {"A": 1}), finished, split="model"))
    assert list(trace.marker.pattern.shape) == ["", "", ""]


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 10, 26), 25), (date(2026, 3, 29), 23)])
def test_an_hour_that_happens_twice_stays_two_bars(day, hours):
    period = Period.of_dates(day, day, zone="Europe/Berlin", now=NOW, grain="hour")
    names = bucket_names(period.buckets(), period)
    assert len(set(names)) == len(names) == hours


@given(
    st.sampled_from(["minute", "hour", "day", "week", "month"]),
    st.integers(1, 60),
    st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Chatham"]),
)
def test_buckets_have_different_names_and_at_most_six_ticks(grain, days, zone):
    days = min(days, 1) if grain == "minute" else days
    period = Period.of_dates(
        date(2026, 3, 1), date(2026, 3, 1) + timedelta(days=days - 1), zone=zone, now=NOW, grain=grain
    )
    figure = usage_bars(usage(period, {"A": 1}), period, split="model")
    names = bars(figure)[0].x
    assert len(set(names)) == len(names) == len(period.buckets())
    assert 1 <= len(figure.layout.xaxis.tickvals) <= 6
    assert set(figure.layout.xaxis.tickvals) <= set(names)
    assert zone in figure.layout.xaxis.title.text


@pytest.mark.parametrize(("count", "step", "range_"), [(0, 1, (0, 1)), (2, 1, None), (500, None, None)])
def test_few_are_counted_in_ones_and_nothing_has_an_axis_to_one(count, step, range_):
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    figure = usage_bars(usage(period, {"A": count, "B": 0}), period, split="model")
    assert figure.layout.yaxis.dtick == step
    assert figure.layout.yaxis.range == range_


def test_a_missing_bucket_is_a_gap_and_not_a_zero():
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    frame = usage(period, {"A": 4}).iloc[1:]
    (trace,) = bars(usage_bars(frame, period, split="model"))
    assert list(trace.y) == [None, 4.0, 4.0]


def test_the_previous_period_is_a_thin_grey_line_of_its_days():
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    previous = usage(period.previous(), {None: 9}, {None: "All"})
    figure = usage_bars(usage(period, {"A": 1}), period, split="model", previous=previous)
    (line,) = [trace for trace in figure.data if trace.type == "scatter"]
    assert line.name == "Previous 7 days"
    assert list(line.y) == [9.0] * 7
    assert line.line.color == GREY
    assert line.line.width < 2


@pytest.mark.parametrize(("series", "labels", "legend"), [(1, 0, False), (2, 2, False), (4, 4, False), (5, 0, True)])
def test_up_to_four_series_are_labelled_directly(series, labels, legend):
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    figure = usage_bars(usage(period, dict.fromkeys("ABCDE"[:series], 1)), period, split="model")
    assert len(figure.layout.annotations) == labels
    assert figure.layout.showlegend == legend


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4))
def test_direct_labels_keep_their_order_and_distance(values):
    heights = label_heights([Series("x", "#000", (value,)) for value in values])
    assert heights == sorted(heights)
    assert all(b - a > 0.08 for a, b in pairwise(heights))
    assert max(heights) <= 1


def test_burn_is_net_with_charged_and_refunded_on_hover():
    period = Period.of_dates(date(2026, 5, 1), date(2026, 5, 1), zone="UTC", now=NOW, grain="day")
    frame = pd.DataFrame(
        {
            "bucket_start": [period.start],
            "gross_burn_credits": [1250],
            "refunded_credits": [46],
            "net_burn_credits": [1204],
        }
    )
    (trace,) = bars(burn_bars(frame, period))
    assert list(trace.y) == [1204.0]
    assert trace.customdata[0] == "1,204 credits (1,250 charged, 46 refunded)"


def test_hostile_names_are_text_in_a_figure():
    period = Period.last_days(2, zone="UTC", now=NOW, grain="day")
    frame = usage(period, {"x": 1, "y": 1}, {"x": "<a href='javascript:1'>b</a>", "y": "a\n\u202eb"})
    figure = usage_bars(frame, period, split="user")
    said = [trace.name for trace in bars(figure)] + [one.text for one in figure.layout.annotations]
    assert not any("<" in one or "\n" in one or "\u202e" in one for one in said)


@given(IDS, st.randoms())
def test_a_colour_depends_on_what_it_stands_for_and_not_on_the_order(ids, random):
    shuffled = random.sample(ids, len(ids))
    chosen = colours("model", ids)
    assert chosen == colours("model", shuffled)
    assert len(set(chosen.values())) == len(ids), "eight hues are enough for eight series"
    assert colours("model", ids[:1]) == colours("model", ids[:1])


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=40, unique=True), st.data())
def test_an_id_keeps_the_colour_it_was_drawn_in_from_chart_to_chart(ids, data):
    known: dict[str, str] = {}
    for _ in range(4):
        drawn = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=7, unique=True))
        chosen = colours("tenant", drawn, known)
        assert len(set(chosen.values())) == len(drawn), "no two of one chart look the same"
        if len(known) + len(set(drawn) - set(known)) <= len(HUES):
            assert all(chosen[one] == known[one] for one in drawn if one in known)
        known = {**chosen, **known}


def test_status_and_type_colours_are_fixed():
    assert colours("status", ["FAILED", "SUCCEEDED"])["FAILED"] == "#D55E00"
    assert colours("status", ["FAILED"])["FAILED"] == "#D55E00"
    types = colours("type", ["TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE"])
    assert len(set(types.values())) == 4


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("hue", [*HUES, GREY])
def test_every_hue_stands_out_from_both_backgrounds(theme, hue):
    assert contrast(hue, THEME[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("background", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("text", ["textColor", "linkColor", "greenTextColor", "redTextColor", "grayTextColor"])
def test_text_is_readable_on_both_themes(theme, background, text):
    assert contrast(THEME[theme][text], THEME[theme][background]) >= 4.5


def test_the_theme_and_the_figures_have_one_palette():
    assert THEME["chartCategoricalColors"] == list(HUES)
    assert all(a != b for a, b in combinations(HUES, 2))


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
