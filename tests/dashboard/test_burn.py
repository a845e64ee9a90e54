"""The Credit burn page: its figures by their data, its forecasts by what they are told, and the page as it is met."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import outlook
from dashboard.burn import choices, forecast, headlines, sections, sentences
from dashboard.burn.forecast import AS_IT_IS, WhatIf
from dashboard.figures.burn_down import Ahead, Past, burn_down
from dashboard.figures.colours import GREY
from dashboard.figures.movements import KINDS, burn_by_tenant, in_and_out, summed_by_bucket
from dashboard.insights.runway import Runway
from queries.period import AUTOMATIC_BUCKETS, Period

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
TODAY = date(2026, 6, 15)
WEEK = Period.last_days(7, zone="Europe/Berlin", now=NOW, grain="day")
NO_FORECAST = Runway("short_history", None, None, None)


def flows(period: Period, series: dict[str | None, dict[str, Any]], balances: list[Any] | None = None) -> pd.DataFrame:
    """`credits.flows`: for every bucket the same movements of each series."""
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    left = balances or [100] * len(starts)
    rows = []
    for start, balance in zip(starts, left, strict=True):
        for key, moved in series.items():
            figures = {**dict.fromkeys(KINDS, 0), **moved}
            figures["net_burn_credits"] = figures["burned"] - figures["refunded"]
            rows.append({"bucket_start": start, "series_id": key, "series": key or "Other"} | figures)
            rows[-1]["balance_credits"] = balance
    return pd.DataFrame(rows)


def signal(name: str = "a", **figures: Any) -> dict[str, Any]:
    """One row of `tenants.signals`: burns 10 credits a day and has 200 left."""
    counts = {
        f"{what}_{when}": 70 for what in ("generations", "succeeded") for when in ("7d", "prev_7d", "28d", "prev_28d")
    } | {f"failed_{when}": 0 for when in ("7d", "prev_7d", "28d", "prev_28d")}
    burn = {"burn_7d_credits": 70, "burn_prev_7d_credits": 70, "burn_28d_credits": 280, "burn_prev_28d_credits": 280}
    users = {"active_users_7d": 3, "active_users_28d": 3, "active_users_prev_28d": 3}
    row = {
        "tenant_id": name,
        "tenant": name.upper(),
        "plan": "PRO",
        "subscription_status": "ACTIVE",
        "renewing": True,
        "period_start": NOW - timedelta(days=3),
        "renews_at": NOW + timedelta(days=80),
        "credits_per_period": 1_000,
        "credits_left": 200,
        "history_days": 56,
        "burn_daily": [10] * 56,
        "last_success_at": NOW,
        "last_seen_at": NOW,
        "used_in_period_credits": 30,
        "limit_hit_days_28d": 0,
        "quota_peak_28d": None,
    }
    return row | counts | burn | users | figures


def forecasts(*rows: dict[str, Any], what_if: WhatIf = AS_IT_IS) -> list[forecast.Forecast]:
    found = outlook.of_tenants(pd.DataFrame(list(rows), dtype=object), NOW, "UTC")
    return forecast.made(found, NOW, "UTC", what_if)


# ---- figures


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


# ---- forecasts


def test_a_steady_burn_runs_out_when_the_credits_do():
    (one,) = forecasts(signal())
    assert (one.runway.state, one.runway.p10_days, one.runway.p50_days, one.runway.p90_days) == ("runs_out", 19, 19, 19)
    assert one.runway == one.as_it_is
    assert [flag.rule for flag in one.flags] == ["runs_out_before_renewal"]


def test_buying_moves_the_day_and_the_flags_stay_those_of_things_as_they_are():
    (one,) = forecasts(signal(), what_if=WhatIf(buys_credits=100))
    assert (one.runway.p50_days, one.as_it_is.p50_days) == (29, 19)
    (faster,) = forecasts(signal(), what_if=WhatIf(change_percent=100))
    assert (faster.runway.p50_days, faster.as_it_is.p50_days) == (9, 19)
    assert faster.flags == one.flags


@settings(max_examples=20)
@given(st.lists(st.integers(0, 60), min_size=56, max_size=56), st.integers(1, 2_000), st.integers(-90, 200))
def test_buying_never_shortens_and_burning_more_never_lengthens(burn: list[int], buys: int, percent: int) -> None:
    late = 10_000
    row = signal(burn_daily=burn, credits_left=300)

    def middle(what_if: WhatIf) -> int:
        days = forecasts(row, what_if=what_if)[0].runway.p50_days
        return late if days is None else days

    assert middle(WhatIf(buys_credits=buys)) >= middle(AS_IT_IS)
    changed = middle(WhatIf(change_percent=percent))
    assert changed <= middle(AS_IT_IS) if percent >= 0 else changed >= middle(AS_IT_IS)


def test_whoever_runs_out_first_comes_first_and_those_without_an_answer_last():
    rows = [
        signal("quiet", burn_daily=[0] * 56),
        signal("unknown", credits_left=None),
        signal("late", credits_left=400),
        signal("new", history_days=9),
        signal("rich", credits_left=10_000_000),
        signal("soon", credits_left=100),
        signal("empty", credits_left=-3),
    ]
    found = forecasts(*rows)
    assert [one.tenant_id for one in found] == ["empty", "soon", "late", "rich", "new", "quiet", "unknown"]
    assert [one.runway.state for one in found] == [
        *("empty", "runs_out", "runs_out", "beyond", "short_history", "no_burn", "no_balance"),
    ]


def test_credits_that_are_not_whole_may_be_forecast_too():
    (one,) = forecasts(signal(credits_left=Decimal("99.5"), burn_daily=[Decimal("10.0")] * 56))
    assert one.runway.p50_days == 9
    (bought,) = forecasts(one.row, what_if=WhatIf(buys_credits=20))
    assert bought.runway.p50_days == 11


def test_no_tenant_is_no_forecast():
    assert forecasts() == []
    assert forecasts(what_if=WhatIf(5, 5)) == []


def test_the_fan_ends_where_the_runway_does():
    (one,) = forecasts(signal())
    fan = forecast.fan(one, NOW, "UTC", WhatIf(buys_credits=50))
    assert (fan.p50[0], fan.p50[1], fan.p50[25], fan.runway.p50_days) == (250, 240, 0, 24)


# ---- words and figures of the page


def headline_of(label: str, *, tenant_id: str | None = None, rows: Any = (), **compared: Any) -> headlines.Headline:
    nothing = dict.fromkeys(
        [f"{when}_{what}_credits" for when in ("today", "previous") for what in ("gross_burn", "refunded", "net_burn")],
        0,
    )
    frame = flows(WEEK, {"a": {"burned": 20, "refunded": 5}})
    found = forecasts(*(rows or [signal()]))
    figures = headlines.figures(summed_by_bucket(frame), nothing | compared, found, WEEK, tenant_id)
    assert len(figures) == 5
    return next(one for one in figures if one.label == label)


def test_burn_is_compared_without_the_day_in_progress():
    one = headline_of("Credits burned", today_net_burn_credits=15, previous_net_burn_credits=100)
    assert (one.value, one.change.text) == ("120", "+5.0 %")
    assert "complete days: 105" in one.detail
    assert len(one.spark) == 7


def test_refunds_are_a_share_of_what_was_charged_and_change_in_points():
    compared = {"previous_gross_burn_credits": 100, "previous_refunded_credits": 20}
    one = headline_of("Refunded share", **compared)
    assert (one.value, one.change.text) == ("25.0 %", "+5.0 points")
    assert headline_of("Refunded share", today_gross_burn_credits=160).change.text == ""


def test_credits_left_say_who_is_left_out():
    one = headline_of("Credits left now", rows=[signal("a"), signal("b", credits_left=None), signal("c")])
    assert (one.value, one.note) == ("400", "1 tenant without")
    assert headline_of("Credits left now", rows=[signal(credits_left=None)]).value == "not enough data"


def test_those_who_run_out_soon_are_counted_and_so_are_the_empty_ones():
    rows = [signal("a"), signal("b", credits_left=0), signal("c", credits_left=50_000), signal("d", renewing=False)]
    one = headline_of("Run out in 30 days", rows=rows)
    assert (one.value, one.note) == ("2", "1 before renewal, 1 empty")


def test_one_tenant_has_its_runway_in_place_of_the_count():
    assert headline_of("Runway", tenant_id="a").value == "19 d"
    assert "P10 to P90" in headline_of("Runway", tenant_id="a").note
    assert headline_of("Runway", tenant_id="a", rows=[signal(history_days=3)]).value == "new"


@given(st.integers(1, 9_000), st.sampled_from(("day", "week", "month")))
def test_a_chart_holds_at_most_400_points(days: int, grain: Any) -> None:
    last = TODAY
    first = max(date(2002, 1, 1), last - timedelta(days=days - 1))
    period = Period.of_dates(first, last, zone="UTC", now=NOW, grain="month")
    shown = choices.fitting(period, grain)
    assert len(shown.buckets()) <= AUTOMATIC_BUCKETS + 1
    if days <= AUTOMATIC_BUCKETS:
        assert shown.grain == grain


@pytest.mark.parametrize(
    ("asked", "is_fine"),
    [
        ("0", True),
        ("250", True),
        ("251", False),
        ("-5", False),
        ("²", False),
        ("1e3", False),
        ("", False),
        ("x", False),
    ],
)
def test_numbers_of_the_address_are_whole_and_within_bounds(asked, is_fine):
    assert (choices.whole("buy", 0, 250)([asked]) == "") is is_fine


@pytest.mark.parametrize(
    ("what_if", "is_one", "said"),
    [
        (WhatIf(), True, ""),
        (WhatIf(5_000, 0), True, "If they buy 5,000 credits now"),
        (WhatIf(0, -20), True, "If they burn 20 % less"),
        (WhatIf(5_000, 20), False, "If each tenant buys 5,000 credits now and burns 20 % more"),
        (WhatIf(0, 20), False, "If each tenant burns 20 % more"),
    ],
)
def test_a_what_if_in_words(what_if, is_one, said):
    assert sentences.what_if(what_if, is_one) == said


def test_the_backtest_reads_complete_days_from_the_first_charge_on():
    moved = flows(WEEK, {"a": {"burned": 5, "refunded": 1}})
    moved.loc[:1, ["burned", "refunded", "net_burn_credits"]] = 0
    assert sections.lived(moved, WEEK) == (4.0,) * 5
    assert sections.lived(flows(WEEK, {"a": {}}), WEEK) == ()


def test_the_past_begins_where_the_credits_do_and_a_flat_balance_is_kept():
    frame = flows(WEEK, {"a": {"burned": 5}}, balances=[0, 0, 30, 25, 20, 15, 10, 5])
    frame.loc[:1, "burned"] = 0
    assert sections.past(frame, WEEK.zone).balances == (30, 25, 20, 15, 10, 5)
    assert sections.past(frame, WEEK.zone).days[-1] == TODAY
    flat = flows(WEEK, {None: {}}, balances=[75] * 8)
    assert sections.past(flat, WEEK.zone).balances == (75,) * 8
    unknown = flows(WEEK, {None: {}}, balances=[None] * 8)
    assert set(sections.past(unknown, WEEK.zone).balances) == {None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Counted on: 1,000 credits on 3 Sep 2026."),
        (
            {"renews_at": NOW + timedelta(days=5)},
            "Counted on: 1,000 credits on 20 Jun 2026, and on each renewal after it.",
        ),
        ({"renews_at": None, "period_start": None}, "No subscription is known, so no credits are counted on."),
        ({"renewing": False}, "The subscription will not renew, so no credits are counted on."),
        ({"renews_at": NOW - timedelta(days=1)}, "The renewal is overdue, so its credits are not counted on."),
        ({"credits_per_period": None}, "The renewal on 3 Sep 2026 brings no credits within 90 days."),
        ({"credits_left": -340}, "The balance is negative: more was charged than was there. Counted on:"),
    ],
)
def test_what_the_forecast_counts_on(changes, expected):
    (one,) = forecasts(signal(**changes))
    assert sentences.about_fan(one, NOW, "UTC").startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Runs out around 4 Jul (4 Jul to 4 Jul) if the pattern of the last 8 weeks continues."),
        ({"credits_left": 0}, "Already empty."),
        ({"credits_left": None}, "No balance is known, so nothing says when the credits run out."),
        ({"burn_daily": [0] * 56}, "No burn in the last 8 weeks, so nothing says when the credits run out."),
        ({"history_days": 13}, "Not enough history: 13 complete days of at least 14."),
        ({"burn_daily": [-1] * 56}, "No burn in the last 8 weeks, so nothing says when the credits run out."),
        ({"credits_left": 10**7}, "Lasts beyond 90 days."),
    ],
)
def test_every_state_of_a_forecast_is_said(changes, expected):
    (one,) = forecasts(signal(**changes))
    assert sentences.runs_out(one, TODAY, AS_IT_IS) == expected


def test_a_what_if_is_said_beside_how_things_are():
    (one,) = forecasts(signal(), what_if=WhatIf(buys_credits=100))
    assert sentences.runs_out(one, TODAY, WhatIf(buys_credits=100)) == (
        "If they buy 100 credits now: runs out around 14 Jul (14 Jul to 14 Jul) if the pattern of the last 8 weeks"
        " continues. As it is: 19 d (19–19)."
    )


def test_the_line_of_balances_says_whom_it_leaves_out():
    some, nothing = (summed_by_bucket(flows(WEEK, {"a": moved})) for moved in ({"burned": 1}, {}))
    assert sentences.about_balance([5, 5], some).startswith("Line: the posted balance of now")
    assert sentences.about_balance([5, None], some).endswith("1 tenant without a balance left out.")
    assert sentences.about_balance([None], some) == "No balance is known, so there is no line."
    assert sentences.about_balance([5], nothing).startswith("The ledger has no movement in this period. Line:")


# ---- the page


def panels(app: Any) -> list[str]:
    return [one.value.replace("\\", "") for one in app.header]


def said(texts: Any, app: Any) -> str:
    return str(texts(app)).replace("\\", "")


def box(app: Any, label: str) -> Any:
    return next(one for one in [*app.selectbox, *app.number_input] if one.label == label)


def table(app: Any) -> pd.DataFrame:
    """The last table is that of tenants by runway."""
    frame: pd.DataFrame = app.dataframe[-1].value
    return frame


def test_all_tenants_have_five_figures_and_a_list_by_runway(open_app, ids, texts):
    app = open_app("burn")
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == [
        *("Credits burned", "Burned per day", "Credits left now", "Run out in 30 days", "Refunded share"),
    ]
    assert panels(app) == [
        *("Credits burned per day", "Burn-down", "How good is this forecast?"),
        *("Credits in and out per day", "Tenants by runway"),
    ]
    assert len(table(app)) == min(25, len(ids))
    assert "if the pattern of the last 8 weeks continues" in said(texts, app)


def test_one_tenant_has_its_own_page_and_no_list(open_app, ids, texts):
    app = open_app("burn", tenant=ids[0])
    assert not app.exception
    assert not app.error
    assert "Credit burn of " in said(texts, app)
    assert [one.label for one in app.metric][3] == "Runway"
    assert "Tenants by runway" not in panels(app)
    button = next(one for one in app.button if one.label == "All tenants")
    button.click().run()
    assert "tenant" not in app.query_params
    assert "Tenants by runway" in panels(app)


@pytest.mark.parametrize("grain", ["Week", "Month"])
def test_credits_by_week_and_month(open_app, grain):
    app = open_app("burn", per=grain)
    box(app, "Period").set_value("Last 90 days").run()
    assert not app.exception
    assert not app.error
    assert panels(app)[0] == f"Credits burned per {grain.lower()}"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2019-05-01", "2019-05-07", "No credits were charged or refunded from 1 to 7 May 2019."),
        ("2026-12-01", "2026-12-07", "No credits were charged or refunded from"),
        ("2026-06-15", "2026-06-15", "Line: the posted balance of now"),
        ("2000-01-01", "2026-06-15", "Line: the posted balance of now"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Havana"])
def test_a_period_without_movements_one_day_and_a_quarter_of_a_century(open_app, texts, first, last, expected, zone):
    app = open_app("burn")
    box(app, "Time zone").set_value(zone)
    box(app, "Period").set_value("Custom").run()
    for label, day in (("From", first), ("To", last)):
        next(one for one in app.date_input if one.label == label).set_value(date.fromisoformat(day))
    app.run()
    assert not app.exception
    assert not app.error
    assert expected in said(texts, app)
    assert len(app.metric) == 5


def test_the_figures_are_the_same_by_whatever_grain(open_app):
    by_grain = [[one.value for one in open_app("burn", per=grain).metric] for grain in ("Day", "Week", "Month")]
    assert by_grain[0] == by_grain[1] == by_grain[2]


def test_a_what_if_changes_list_and_sentence_and_nothing_else(open_app, texts):
    plain = open_app("burn")
    app = open_app("burn", buy="100000", change="50")
    assert not app.exception
    assert "If each tenant buys 100,000 credits now and burns 50 % more" in said(texts, app)
    assert "If they buy 100,000 credits now and burn 50 % more" in said(texts, app)
    assert [one.value for one in app.metric] == [one.value for one in plain.metric]
    as_it_was = dict(zip(table(plain)["tenant"], table(plain)["runway"], strict=True))
    shared = table(app)[table(app)["tenant"].isin(as_it_was)]
    assert len(shared) > 0
    assert all(as_it_was[name] == was for name, was in zip(shared["tenant"], shared["as_it_is"], strict=True))
    next(one for one in app.button if one.label == "As it is").click().run()
    assert "as_it_is" not in table(app).columns
    assert box(app, "What if each buys (credits)").value == 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"buy": "-5"}, "The link's buy is not a whole number from 0 to 100,000,000; 0 is taken."),
        ({"buy": "1e9"}, "The link's buy is not a whole number"),
        ({"change": "banana"}, "The link's change is not a whole number from −90 to 400; 0 is taken."),
        ({"per": "Fortnight"}, "The link's grain “Fortnight” is not known; the charts show days."),
        ({"focus": "nobody"}, "The link's tenant is not one of these; the one that runs out first is shown."),
        ({"runway_page": "x"}, "The link's page is not a number from 1 on; page 1 is shown."),
    ],
)
def test_what_a_link_asks_for_and_there_is_not_is_said(open_app, texts, parameters, complaint):
    app = open_app("burn", **parameters)
    assert not app.exception
    assert not app.error
    assert complaint in said(texts, app)
    assert complaint in said(texts, app.run()), "a rerun must not pass over it in silence"


@pytest.mark.parametrize("bad", ["nope", "' OR 1=1 --", "x" * 5_000, "a\x00b", "{}"])
def test_an_unknown_tenant_is_not_found(open_app, texts, bad):
    app = open_app("burn", tenant=bad)
    assert not app.exception
    assert not app.dataframe
    assert "There is no such tenant, or it is not one of yours." in said(texts, app)


def test_another_ones_tenant_looks_like_none(open_app, ids, texts):
    foreign = open_app("burn", role="account_manager", tenant=ids[-1])
    unknown = open_app("burn", role="account_manager", tenant="org_ffffffffffffffffffff")
    assert said(texts, foreign) == said(texts, unknown)
    assert not foreign.metric
    focused = open_app("burn", role="account_manager", focus=ids[-1])
    nobody = open_app("burn", role="account_manager", focus="org_ffffffffffffffffffff")
    assert "is not one of these" in said(texts, focused)
    shown = [
        [[one.value for one in app.get(kind)] for kind in ("title", "info", "metric")] for app in (focused, nobody)
    ]
    assert shown[0] == shown[1]
    assert box(focused, "Burn-down of").value == box(nobody, "Burn-down of").value != ids[-1]


def test_a_page_beyond_the_last_says_how_many_there_are(open_app, texts):
    assert "There is no page 99: the list has" in said(texts, open_app("burn", runway_page="99"))


def test_the_burn_down_follows_the_link(open_app, ids):
    app = open_app("burn", focus=ids[0])
    assert box(app, "Burn-down of").value == ids[0]
    box(app, "Burn-down of").set_value(ids[1]).run()
    assert app.query_params["focus"] == ids[1]


def test_the_page_asks_as_many_questions_of_few_tenants_as_of_many(demo, open_app, ids):
    answers: list[Any] = []
    demo.monitor.add_sink(answers.append)

    def questions(**parameters: str) -> list[str]:
        answers.clear()
        open_app("burn", **parameters)
        return sorted(one.query for one in answers if one.page == "burn")

    everything = ["credits.compared", "credits.flows", "credits.flows", "notes.pinned"]
    everything += ["tenants.signals", "tenants.tenant_choices"]
    assert questions() == questions(role="account_manager") == questions(focus=ids[1], per="Month") == everything
    of_one = sorted([*everything, "tenants.tenant_choices"])
    assert questions(tenant=ids[0]) == questions(tenant=ids[1], buy="5", per="Week") == of_one
