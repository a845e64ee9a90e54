"""Notes on charts: at the bucket of their day, in words that stay words, and never over one another."""

import html
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures.axes import bucket_names, time_figure
from dashboard.figures.notes import DOT, LABEL_ROWS, mark
from queries.period import GRAINS, Period, bucket_date, local_date, zone_info

NOW = datetime(2026, 11, 10, 12, 30, tzinfo=UTC)
ZONES = st.sampled_from(["UTC", "America/Havana", "Europe/Berlin", "Asia/Kathmandu"])
DAYS = st.dates(date(2026, 10, 20), date(2026, 11, 20))


def frame_of(notes: list[tuple[date, str]], tenant: str = "Kumo") -> pd.DataFrame:
    days, texts = [day for day, _ in notes], [text for _, text in notes]
    return pd.DataFrame({"tenant": [tenant] * len(notes), "day": days, "text": texts, "author": ["Ada"] * len(notes)})


def marked(period: Period, notes: list[tuple[date, str]], **options: Any) -> go.Figure:
    return mark(time_figure(period, period.buckets(), labels_right=False), frame_of(notes), period, **options)


@given(st.lists(st.tuples(DAYS, st.text(min_size=1, max_size=30)), max_size=12), st.sampled_from(GRAINS), ZONES)
def test_every_note_stands_at_its_bucket_and_none_elsewhere(notes: Any, grain: Any, zone: str) -> None:
    """Against plain Python: the bucket's date, and below a day the first bucket of that day."""
    first, last = date(2026, 10, 31), date(2026, 11, 11)
    if grain == "minute":
        first = last = local_date(NOW, zone)
    period = Period.of_dates(first, last, zone=zone, now=NOW, grain=grain)
    buckets, names = period.buckets(), bucket_names(period.buckets(), period)
    today = local_date(NOW, zone)
    expected: set[str] = set()
    for day, _ in notes:
        if not first <= day <= today:
            continue
        if grain in ("minute", "hour"):
            own = [n for n, one in zip(names, buckets, strict=True) if one.local_start.date() == day][:1]
        else:
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone_info(zone)).astimezone(UTC)
            start = bucket_date(noon, grain, zone)
            own = [n for n, one in zip(names, buckets, strict=True) if one.local_start.date() == start]
        expected.update(own)
    figure = marked(period, notes)
    if grain in ("week", "month"):  # a later day of a bucket that has begun is in it
        later = {shape.x0 for shape in figure.layout.shapes} - expected
        assert later <= {names[-1]}
    else:
        assert {shape.x0 for shape in figure.layout.shapes} == expected
    assert expected <= {one.x for one in figure.layout.annotations} == {one.x0 for one in figure.layout.shapes}


@given(st.lists(st.tuples(DAYS, st.text(min_size=1, max_size=200)), min_size=1, max_size=20))
def test_labels_cover_no_other_label(notes: Any) -> None:
    period = Period.of_dates(date(2026, 10, 20), date(2026, 11, 9), zone="UTC", now=NOW, grain="day")
    names = bucket_names(period.buckets(), period)
    by_row: dict[float, list[tuple[float, float]]] = {}
    for one in marked(period, notes).layout.annotations:
        if one.text == DOT:
            continue
        at, width = (names.index(one.x) + 0.5) / len(names), len(html.unescape(one.text)) * 0.02
        by_row.setdefault(one.yshift, []).append((at, at + width) if one.xanchor == "left" else (at - width, at))
    assert len(by_row) <= LABEL_ROWS
    for spans in by_row.values():
        ordered = sorted(spans)
        assert all(left[1] <= right[0] for left, right in pairwise(ordered))


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<a href='javascript:x'>y</a>", "a &lt; b", "x\n\u202ey"]
)
def test_hostile_text_stays_text(text: str) -> None:
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    (one,) = marked(period, [(date(2026, 11, 9), text)]).layout.annotations
    assert "<" not in one.text.replace("<br>", "")
    assert "<" not in one.hovertext.replace("<br>", "")
    assert "\u202e" not in one.text + one.hovertext


def test_several_notes_of_one_day_are_one_mark_with_all_on_hover() -> None:
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    notes = [(date(2026, 11, 9), "Second"), (date(2026, 11, 9), "First")]
    (one,) = marked(period, notes).layout.annotations
    assert one.text == "Second +1"
    assert one.hovertext == "Second<br>First"


def test_several_tenants_are_told_apart_by_name() -> None:
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    (one,) = marked(period, [(date(2026, 11, 9), "Price")], named=True).layout.annotations
    assert one.hovertext == "Kumo: Price"


def test_without_notes_the_figure_is_as_it_was() -> None:
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    assert marked(period, []) == time_figure(period, period.buckets(), labels_right=False)
    empty = Period(NOW - timedelta(days=1), NOW - timedelta(days=1), "UTC", "day", NOW)
    assert not marked(empty, [(date(2026, 11, 9), "x")]).layout.shapes
