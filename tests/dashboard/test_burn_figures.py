"""The figures of Credit burn, by their data."""

import dataclasses
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard.figures.burn_down import Ahead, Past, burn_down
from dashboard.figures.colours import GREY
from dashboard.figures.movements import KINDS, burn_by_tenant, in_and_out, summed_by_bucket
from dashboard.insights.runway import Runway
from queries.period import Period
from tests.dashboard.burning import NO_FORECAST, NOW, TODAY, WEEK, flows


def test_burn_by_tenant_sums_to_the_net_burn_and_other_is_grey_and_last():
    frame = flows(WEEK, {"a": {"burned": 9, "refunded": 2}, "b": {"burned": 4}, None: {"burned": 30}})
    drawn = burn_by_tenant(frame, WEEK).data
    assert [trace.name for trace in drawn] == ["a", "b", "Other"]
    assert drawn[-1].marker.color == GREY
    assert sum(sum(trace.y) for trace in drawn) == frame["net_burn_credits"].sum()
    assert "7 credits after 2 refunded" in drawn[0].customdata[0]
    assert list(drawn[0].marker.pattern.shape) == [""] * 7 + ["/"]


def test_a_tenant_that_only_bought_is_not_drawn_among_those_that_burned():
    frame = flows(WEEK, {"a": {"burned": 9}, "b": {"purchased": 500}})
    assert [trace.name for trace in burn_by_tenant(frame, WEEK).data] == ["a"]


def test_a_day_with_more_refunds_than_charges_goes_below_zero():
    (trace,) = burn_by_tenant(flows(WEEK, {"a": {"burned": 1, "refunded": 4}}), WEEK).data
    assert set(trace.y) == {-3}


@pytest.mark.parametrize("grain", ["week", "month"])
def test_a_first_bucket_that_the_period_cuts_keeps_its_credits(grain):
    period = Period.of_dates(date(2026, 4, 15), TODAY, zone="Europe/Berlin", now=NOW, grain=grain)
    frame = flows(period, {"a": {"burned": 5}})
    assert period.buckets()[0].start != period.buckets()[0].local_start
    (trace,) = burn_by_tenant(frame, period).data
    assert list(trace.y) == [5] * len(period.buckets())


def test_what_came_in_stands_above_zero_and_what_went_out_below():
    moved = {"purchased": 50, "granted": 20, "refunded": 3, "adjusted": -4, "burned": 30, "expired": 7}
    figure = in_and_out(flows(WEEK, {"a": moved, None: moved}), WEEK)
    bars = {trace.name: set(trace.y) for trace in figure.data if trace.type == "bar"}
    assert bars == {
        "Purchased": {100},
        "Granted": {40},
        "Refunded": {6},
        "Adjusted": {-8},
        "Burned": {-60},
        "Expired": {-14},
    }
    (line,) = (trace for trace in figure.data if trace.type == "scatter")
    assert list(line.y) == [100] * 8, "the balance is that of all series together, once"


def test_an_unknown_balance_is_a_gap_and_not_a_zero():
    frame = flows(WEEK, {"a": {"burned": 1}}, balances=[None] * 8)
    (line,) = (trace for trace in in_and_out(frame, WEEK).data if trace.type == "scatter")
    assert set(line.y) == {None}


def test_sums_over_series_stay_exact():
    frame = flows(WEEK, {"a": {"burned": Decimal("0.1")}, "b": {"burned": Decimal("0.2")}}, [Decimal("0.7")] * 8)
    exact = {one: pd.ArrowDtype(pa.decimal128(38, 1)) for one in (*KINDS, "net_burn_credits", "balance_credits")}
    sums = summed_by_bucket(frame.astype(exact))
    assert set(sums["burned"]) == {Decimal("0.3")}
    assert set(sums["balance_credits"]) == {Decimal("0.7")}
    assert len(sums) == 8


def drawn_down(ahead: Ahead, *, past: Past | None = None, renews_at: datetime | None = None, grants: Any = ()) -> Any:
    days = past or Past(tuple(TODAY - timedelta(days=back) for back in (2, 1, 0)), (30, 20, 15))
    return burn_down(days, ahead, NOW.replace(tzinfo=None), renews_at=renews_at, grants=grants, zone="UTC")


def at(text: str) -> datetime:
    """A local time, as the chart has it."""
    return datetime.fromisoformat(text)


def some_ahead(**changes: Any) -> Ahead:
    steps = np.arange(91.0)
    fan = Ahead(90 - steps * 3, 90 - steps * 2, 90 - steps, Runway("runs_out", 3, 7, 12))
    return dataclasses.replace(fan, **changes)


def test_the_fan_starts_now_and_ends_days_at_their_midnights():
    figure = drawn_down(some_ahead())
    named = {trace.name: trace for trace in figure.data if trace.name}
    assert named["Estimate"].line.dash == "dash"
    assert named["P10 to P90"].fill == "tonexty"
    assert list(named["Estimate"].x[:2]) == [at("2026-06-15T10:30"), at("2026-06-16T00:00")]
    assert list(named["Balance"].x) == [at("2026-06-14T00:00"), at("2026-06-15T00:00"), at("2026-06-15T10:30")]
    assert list(named["Balance"].y) == [30, 20, 15]
    assert named["Balance"].line.dash is None
    (end,) = (trace for trace in figure.data if trace.mode == "markers+text")
    assert list(end.text) == ["22 Jun"]


def test_the_renewal_is_a_line_with_what_it_brings():
    grants = [0.0] * 5 + [500.0] + [0.0] * 84
    figure = drawn_down(some_ahead(), renews_at=at("2026-06-20T08:00"), grants=grants)
    assert "renewal, +500" in [one.text for one in figure.layout.annotations]
    assert "renewal" in [
        one.text for one in drawn_down(some_ahead(), renews_at=at("2026-06-20T08:00")).layout.annotations
    ]
    overdue = drawn_down(some_ahead(), renews_at=at("2026-06-01T00:00"))
    assert [one.text for one in overdue.layout.annotations] == ["now"]


def test_without_a_forecast_there_is_the_past_and_no_fan():
    nothing = np.empty(0)
    figure = drawn_down(Ahead(nothing, nothing, nothing, NO_FORECAST), past=Past((TODAY,), (None,)))
    assert [trace.name for trace in figure.data] == ["Balance"]
    assert list(figure.data[0].y) == [None]


def test_a_forecast_that_is_open_shows_its_whole_horizon():
    figure = drawn_down(some_ahead(runway=Runway("beyond", 80, None, None)))
    assert figure.layout.xaxis.range[1] == "2026-09-14"
    closed = drawn_down(some_ahead())
    assert closed.layout.xaxis.range[1] == "2026-07-03"


def test_with_a_what_if_the_middle_of_things_as_they_are_is_dotted():
    figure = drawn_down(some_ahead(as_it_is=np.arange(91.0)))
    (as_it_is,) = (trace for trace in figure.data if trace.name == "As it is")
    assert as_it_is.line.dash == "dot"
