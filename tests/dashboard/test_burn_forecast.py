"""What Credit burn says of the days ahead, and its headlines, by what they are told."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.burn import choices, forecast, headlines, sections, sentences
from dashboard.burn.forecast import AS_IT_IS, WhatIf
from dashboard.figures.movements import summed_by_bucket
from queries.period import AUTOMATIC_BUCKETS, Period
from tests.dashboard.burning import NOW, TODAY, WEEK, flows, forecasts, signal


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
    figures = headlines.figures(summed_by_bucket(frame), nothing | compared, found, WEEK, tenant_id, forecast=None)
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
