"""The main figure of the page Timelines by its data, and what a click or a drag on it means."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

from dashboard import viewer
from dashboard.figures import timelines as figures
from dashboard.figures.colours import GREY
from dashboard.figures.timelines import Drawn, Mark, Track
from dashboard.selection import Click, click_of, places_of
from dashboard.viewer import Visit
from queries.period import Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PERIOD = Period.of_dates(date(2026, 6, 9), date(2026, 6, 15), zone="UTC", now=NOW, grain="day")
HOSTILE = "<b>x</b> & $y$ `z`"
COUNTS = ("generations", "succeeded", "failed", "burned_credits")


def frame(series: dict[tuple[str | None, str], list[dict[str, Any]]], period: Period = PERIOD) -> pd.DataFrame:
    """Rows as `usage.over_time` has them: every bucket for every series."""
    starts = [one.local_start for one in period.buckets()]
    rows = [
        {"bucket_start": start, "series_id": key, "series": name, **dict.fromkeys(COUNTS, 0), **values[place]}
        for place, start in enumerate(starts)
        for (key, name), values in series.items()
    ]
    return pd.DataFrame(rows)


def all_of(name: str, values: list[Any]) -> pd.DataFrame:
    return frame({(None, "All"): [{name: one} for one in values]})


def bars(tracks: list[Track], **more: Any) -> go.Figure:
    return figures.timeline(PERIOD, tracks, kind="bars", **more)


def amounts(table: pd.DataFrame, split: str = "model") -> list[Track]:
    return figures.amounts(table, PERIOD, split=split, measure="generations", unit="generations", known=None)


MODELS = frame(
    {
        ("a", HOSTILE): [{"generations": 10 + day} for day in range(7)],
        ("b", "b"): [{"generations": 5}] * 7,
        (None, "Other"): [{"generations": 1}] * 7,
    }
)


def test_bars_stack_to_the_total_and_other_is_grey_and_last():
    tracks = amounts(MODELS)
    assert [one.series_id for one in tracks] == ["a", "b", None]
    assert tracks[-1].colour == GREY
    figure = bars(tracks)
    drawn = [one for one in figure.data if one.type == "bar"]
    assert [sum(heights) for heights in zip(*(one.y for one in drawn), strict=True)] == [16 + day for day in range(7)]
    assert all(len(one.x) == len(one.y) == 7 for one in figure.data), "a click's place is a bucket's"
    assert "<b>" not in "".join(one.name for one in drawn)


def test_the_bucket_in_progress_is_hatched_or_dashed():
    bar = bars(amounts(MODELS)).data[0]
    assert list(bar.marker.pattern.shape) == [""] * 6 + ["/"]
    assert bar.x[-1].endswith("so far")
    line = [Track(None, "All", "#000000", tuple(range(7)), ("",) * 7)]
    solid, dashed, dot = figures.timeline(PERIOD, line, kind="lines", unit="seconds").data
    assert list(solid.y) == [0, 1, 2, 3, 4, 5, None]
    assert (dashed.line.dash, list(dashed.y)) == ("dot", [None] * 5 + [5, 6])
    assert (dot.marker.symbol, list(dot.y)) == ("circle-open", [None] * 6 + [6])


def test_a_missing_value_is_a_gap_and_a_lonely_one_is_seen():
    table = frame(
        {(None, "All"): [{"succeeded": a, "failed": b} for a, b in ((9, 1), (0, 0), (3, 3), (0, 0))] + [{}] * 3}
    )
    track = figures.rates(table, PERIOD, split="none", known=None)[0]
    assert track.values == (0.9, None, 0.5, None, None, None, None)
    assert "95 %" in track.hovers[0]
    line = figures.timeline(PERIOD, [track], kind="lines", unit="share").data[0]
    assert list(line.y) == list(track.values)
    assert line.connectgaps is False
    assert line.marker.size[2] > 0


def test_latency_is_p50_and_p95_of_all_and_the_p95_of_series():
    plain = pd.DataFrame(
        {
            "bucket_start": [one.local_start for one in PERIOD.buckets()],
            "p50_ms": [1_000.0, None] * 3 + [2_000.0],
            "p95_ms": [2_500.0, None] * 3 + [None],
        }
    )
    p50, p95 = figures.latencies(plain, PERIOD, split="none", known=None)
    assert p50.values[:2] == (1.0, None)
    assert (p95.values[0], p95.hovers[0]) == (2.5, "p95 2.5 s")
    split = MODELS.assign(p95_ms=1_500.0)
    assert [one.values[0] for one in figures.latencies(split, PERIOD, split="model", known=None)] == [1.5] * 3


def test_an_interval_is_said_only_of_what_is_uncertain():
    table = frame({(None, "All"): [{"succeeded": 990, "failed": 10}] * 7})
    assert "95 %:" not in figures.rates(table, PERIOD, split="none", known=None)[0].hovers[0]


def test_the_time_before_is_a_thin_grey_line_with_its_own_words():
    figure = bars(amounts(MODELS), before=[1, 2, 3, 4, 5, 6, None], before_name="Before", before_hovers=["h"] * 7)
    line = figure.data[-1]
    assert (line.line.color, line.line.width < 2, list(line.y)) == (GREY, True, [1, 2, 3, 4, 5, 6, None])
    assert len(bars(amounts(MODELS), before=[None] * 7).data) == 3


def test_what_stands_out_is_marked_where_it_is_with_its_reason():
    marks = [Mark(2, f"Generations: {HOSTILE} " + "long " * 40), Mark(3, "Failures: 40", is_failure=True)]
    figure = bars(amounts(MODELS), marks=marks)
    found, failures = figure.data[-2:]
    assert [place for place, one in enumerate(found.y) if one is not None] == [2]
    assert found.y[2] == 18
    assert found.marker.symbol != failures.marker.symbol
    assert "<b>" not in found.customdata[2]
    assert all(len(line) <= 70 for line in found.customdata[2].split("<br>"))
    assert failures.y[3] == 19


def test_the_chosen_bucket_is_shaded():
    day = PERIOD.buckets()[3]
    shapes = bars(amounts(MODELS), chosen=(day.start, day.end)).layout.shapes
    assert [(one.x0, one.x1) for one in shapes] == [(2.5, 3.5)]
    assert not bars(amounts(MODELS), chosen=(NOW + timedelta(days=9), NOW + timedelta(days=10))).layout.shapes


def test_nothing_at_all_is_an_empty_chart():
    assert not figures.amounts(MODELS.iloc[:0], PERIOD, split="model", measure="generations", unit="", known=None)
    for kind, unit in (("bars", "amount"), ("lines", "share"), ("lines", "seconds")):
        assert figures.timeline(PERIOD, [], kind=kind, unit=unit).data == ()


def test_eight_series_have_a_legend_and_few_have_names_beside_them():
    many = frame({(f"m{number}", f"m{number}"): [{"generations": 1}] * 7 for number in range(8)})
    assert bars(amounts(many)).layout.showlegend
    few = bars(amounts(MODELS))
    assert not few.layout.showlegend
    assert len(few.layout.annotations) == 3


@given(st.lists(st.lists(st.none() | st.floats(0, 100), min_size=7, max_size=7), min_size=2, max_size=4))
def test_names_beside_lines_stay_on_the_chart_and_apart(values):
    tracks = [Track(str(number), str(number), "#000000", tuple(one), ("",) * 7) for number, one in enumerate(values)]
    figure = figures.timeline(PERIOD, tracks, kind="lines", unit="seconds")
    heights = sorted(one.y for one in figure.layout.annotations)
    assert all(-0.3 <= one <= 1 for one in heights)
    assert all(b - a >= 0.07 for a, b in itertools.pairwise(heights))


def drawn(kind: Any = "bars") -> Drawn:
    return figures.drawn(PERIOD, amounts(MODELS), kind)


@pytest.mark.parametrize(
    ("height", "found"), [(0, "a"), (11.9, "a"), (12.1, "b"), (16.9, "b"), (17.5, None), (99, None)]
)
def test_a_click_on_a_bar_hits_the_series_that_covers_it(height, found):
    hit = drawn().hit(2, height)
    assert (hit.series_id if hit is not None else None) == found


def test_a_click_beside_a_line_hits_the_nearest():
    assert [drawn("lines").hit(0, height).series_id for height in (9, 6, 1.2)] == ["a", "b", None]


def test_one_series_alone_is_not_told_apart():
    only = figures.drawn(PERIOD, amounts(all_of("generations", [1] * 7), split="none"), "bars")
    assert only.hit(0, 0.5) is None
    assert len(only.starts) == len(only.ends) == 7
    assert only.ends[-1] == PERIOD.end


@pytest.mark.parametrize(
    ("heard", "places"),
    [
        ({"range": [1.79, 5.09]}, (2, 5)),
        ({"range": [5.09, 1.79]}, (2, 5)),
        ({"range": [-0.5, 0.4]}, (0, 0)),
        ({"range": [2.6, 2.7]}, (3, 3)),
        ({"range": [-9, 3]}, (0, 3)),
        ({"range": [1]}, None),
        ({"range": ["1", 2]}, None),
        ({"range": [float("nan"), 2]}, None),
        ({"range": [True, 2]}, None),
        ({"range": None}, None),
        ("range", None),
        (None, None),
    ],
)
def test_a_drag_takes_the_buckets_it_touched(heard, places):
    assert places_of(heard) == places


@given(st.floats(-5, 50), st.floats(-5, 50))
def test_a_drag_never_ends_before_it_begins(low, high):
    places = places_of({"range": [low, high]})
    assert places is not None
    assert 0 <= places[0] <= places[1]


@pytest.mark.parametrize(
    ("heard", "click"),
    [
        ({"place": 3, "height": 2.5}, Click(3, 2.5)),
        ({"place": 3}, None),
        ({"place": "3", "height": 1}, None),
        ({"place": 3, "height": float("inf")}, None),
        ({"place": 1e300, "height": 1}, None),
        ([], None),
    ],
)
def test_what_the_browser_sends_is_not_trusted(heard, click):
    assert click_of(heard) == click


def test_the_last_minutes_by_outcome():
    period = Period(NOW - timedelta(minutes=3), NOW, "UTC", "minute", NOW)
    table = pd.DataFrame(
        {
            "bucket_start": [one.start for one in period.buckets()],
            "generations": [3, 0, 2],
            "succeeded": [2, 0, 1],
            "failed": [1, 0, 0],
            "unfinished": [0, 0, 1],
        }
    )
    figure = figures.last_minutes(table, period)
    assert [sum(one) for one in zip(*(trace.y for trace in figure.data), strict=True)] == [3, 0, 2]


def test_a_fragments_reader_goes_with_the_session_or_the_next_page_run(monkeypatch):
    """The reader of the page's own run has gone by the time a fragment runs by itself; a fragment has its own."""
    visit, requests, alive = Visit("1"), ScriptRequests(), True
    monkeypatch.setattr(viewer.st, "session_state", {"visit": visit})
    monkeypatch.setattr(viewer.runtime, "exists", lambda: True)
    monkeypatch.setattr(
        viewer.runtime, "get_instance", lambda: type("R", (), {"is_active_session": lambda *_: alive})()
    )
    context = type("C", (), {"session_id": "s", "script_requests": requests})()
    monkeypatch.setattr(viewer, "get_script_run_ctx", lambda: context)
    reader = viewer.fragment_reader()
    assert visit.run_id == "1", "a fragment is no new run of the page"
    assert not reader.gone()
    requests.request_rerun(RerunData(fragment_id="live"))
    assert not reader.gone(), "its next tick waits for this one"
    visit.run_id = "2"
    assert reader.gone()
    assert not viewer.fragment_reader().gone()
    alive = False
    assert viewer.fragment_reader().gone()
