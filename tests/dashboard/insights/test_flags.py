"""Each rule just on and just off its bound, with the numbers in its sentence; pacing, utilisation, whom to call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.insights.flags import Flag, elapsed, flags, pacing, priority, utilisation
from dashboard.insights.runway import Runway

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
NAMES = [
    "plan",
    "subscription_status",
    "renewing",
    "period_start",
    "renews_at",
    "credits_per_period",
    "credits_left",
    "history_days",
    "burn_daily",
    "burn_7d_credits",
    "burn_prev_7d_credits",
    "burn_28d_credits",
    "burn_prev_28d_credits",
    "generations_7d",
    "generations_prev_7d",
    "generations_28d",
    "generations_prev_28d",
    "succeeded_7d",
    "failed_7d",
    "succeeded_prev_7d",
    "failed_prev_7d",
    "succeeded_28d",
    "failed_28d",
    "succeeded_prev_28d",
    "failed_prev_28d",
    "active_users_7d",
    "active_users_28d",
    "active_users_prev_28d",
    "last_success_at",
    "last_seen_at",
    "used_in_period_credits",
    "limit_hit_days_28d",
]
EMPTY_ROW: dict[str, Any] = {"tenant_id": "t", "tenant": "Tenant", **dict.fromkeys(NAMES)}
# A healthy tenant: no rule holds.
CALM: dict[str, Any] = {
    **EMPTY_ROW,
    "renewing": True,
    "period_start": NOW - timedelta(days=15),
    "renews_at": NOW + timedelta(days=15),
    "credits_left": 500,
    "used_in_period_credits": 500,
    "history_days": 56,
    "burn_7d_credits": 1000,
    "burn_prev_7d_credits": 1000,
    "burn_28d_credits": 4000,
    "burn_prev_28d_credits": 4000,
    "generations_7d": 400,
    "generations_prev_7d": 400,
    "generations_28d": 1600,
    "succeeded_7d": 390,
    "failed_7d": 5,
    "succeeded_prev_7d": 390,
    "failed_prev_7d": 5,
    "active_users_28d": 8,
    "active_users_prev_28d": 8,
    "last_success_at": NOW - timedelta(hours=2),
    "last_seen_at": NOW - timedelta(hours=1),
    "limit_hit_days_28d": 0,
}
LASTS = Runway("beyond", None, None, None)


def found(runway: Runway | None = LASTS, zone: str = "UTC", **changed: Any) -> list[Flag]:
    return flags({**CALM, **changed}, runway, now=NOW, zone=zone)


def of_rule(rule: str, runway: Runway | None = LASTS, **changed: Any) -> str | None:
    """The sentence of that rule, which must be the only one that holds."""
    flagged = found(runway, **changed)
    assert [one.rule for one in flagged] in ([], [rule])
    return flagged[0].sentence if flagged else None


def test_a_calm_tenant_has_no_flag():
    assert found() == []


def test_missing_figures_raise_no_flag():
    for runway in (None, LASTS, Runway("no_balance", None, None, None), Runway("short_history", None, None, None)):
        assert flags(EMPTY_ROW, runway, now=NOW, zone="UTC") == []
    assert flags({"tenant_id": "t"}, None, now=NOW, zone="UTC") == []


@pytest.mark.parametrize("name", NAMES)
def test_any_one_figure_may_be_missing(name):
    # Attempts without a success in 56 days are a silence themselves.
    expected = ["silent"] if name == "last_success_at" else []
    assert [one.rule for one in found(**{name: None})] == expected


@pytest.mark.parametrize("number", [int, Decimal, lambda credits: Decimal(f"{credits}.0000"), float])
def test_burn_down(number):
    assert of_rule("burn_down", burn_prev_7d_credits=number(1204), burn_7d_credits=number(652)) == (
        "Burn fell 46 % week on week (1,204 to 652 credits)."
    )
    assert of_rule("burn_down", burn_prev_7d_credits=number(1000), burn_7d_credits=number(700)) is None
    assert of_rule("burn_down", burn_prev_7d_credits=number(1000), burn_7d_credits=number(699)) == (
        "Burn fell 30.1 % week on week (1,000 to 699 credits)."
    )
    assert of_rule("burn_down", burn_7d_credits=number(500), generations_prev_7d=20) is not None
    assert of_rule("burn_down", burn_7d_credits=number(500), generations_prev_7d=19) is None
    assert of_rule("burn_down", burn_7d_credits=number(-5), burn_prev_7d_credits=number(0)) is None


def test_silent():
    assert of_rule("silent", last_success_at=NOW - timedelta(days=14)) is None
    assert of_rule("silent", last_success_at=NOW - timedelta(days=14, seconds=1)) == (
        "No generation has succeeded for 14 days, since 9 Nov 2026."
    )
    assert of_rule("silent", last_success_at=NOW + timedelta(days=3)) is None
    tried = NOW - timedelta(days=3)
    assert of_rule("silent", last_success_at=None, last_seen_at=tried, history_days=15) == (
        "No generation has ever succeeded; the last attempt was 3 days ago."
    )
    assert of_rule("silent", last_success_at=None, last_seen_at=tried, history_days=14) is None
    assert of_rule("silent", last_success_at=None, last_seen_at=None) is None


def test_users_halved():
    assert of_rule("users_halved", active_users_28d=4) == "Active users fell from 8 to 4 in 28 days."
    assert of_rule("users_halved", active_users_28d=5) is None
    assert of_rule("users_halved", active_users_28d=0, active_users_prev_28d=4) is not None
    assert of_rule("users_halved", active_users_28d=0, active_users_prev_28d=3) is None


def test_failing():
    worse = {"succeeded_7d": 53, "failed_7d": 7, "succeeded_prev_7d": 63, "failed_prev_7d": 1}
    assert of_rule("failing", **worse) == "Success rate fell from 98.4 % (63 of 64) to 88.3 % (53 of 60) in a week."
    assert of_rule("failing", succeeded_7d=95, failed_7d=5) is None
    assert of_rule("failing", succeeded_7d=949, failed_7d=51) is not None
    # Low, but not falling.
    assert of_rule("failing", succeeded_7d=80, failed_7d=20, succeeded_prev_7d=40, failed_prev_7d=10) is None
    assert of_rule("failing", succeeded_7d=79, failed_7d=21, succeeded_prev_7d=40, failed_prev_7d=10) is not None
    # 20 have ended in each week.
    assert of_rule("failing", succeeded_7d=10, failed_7d=10) is not None
    assert of_rule("failing", succeeded_7d=10, failed_7d=9) is None
    assert of_rule("failing", **{**worse, "succeeded_prev_7d": 20, "failed_prev_7d": 0}) is not None
    assert of_rule("failing", **{**worse, "succeeded_prev_7d": 19, "failed_prev_7d": 0}) is None


def test_under_paced():
    # Half of the period has passed: a pacing of 0.5 is a quarter used.
    assert of_rule("under_paced", used_in_period_credits=250, credits_left=750) is None
    assert of_rule("under_paced", used_in_period_credits=249, credits_left=751) == (
        "Used 24.9 % of the credits in 50.0 % of the period; renews in 15 days."
    )
    slow = {"used_in_period_credits": 10, "credits_left": 990}
    far = {"period_start": NOW - timedelta(days=30), **slow}
    assert of_rule("under_paced", renews_at=NOW + timedelta(days=30), **far) is not None
    assert of_rule("under_paced", renews_at=NOW + timedelta(days=30, seconds=1), **far) is None
    assert of_rule("under_paced", period_start=NOW - timedelta(days=7), **slow) is not None
    assert of_rule("under_paced", period_start=NOW - timedelta(days=6, hours=23), **slow) is None
    assert of_rule("under_paced", renewing=False, **slow) is None
    assert of_rule("under_paced", renews_at=NOW - timedelta(seconds=1), **slow) is None
    assert of_rule("under_paced", used_in_period_credits=-3, credits_left=990) is not None


def test_runs_out_before_renewal():
    rule = "runs_out_before_renewal"
    assert of_rule(rule, Runway("runs_out", 9, 15, 20)) is None
    assert of_rule(rule, Runway("runs_out", 9, 14, 20)) == "Runs out around 7 Dec 2026, 1 day before the renewal."
    assert of_rule(rule, Runway("runs_out", 2, 3, None)) == "Runs out around 26 Nov 2026, 12 days before the renewal."
    for unknown in ({"renewing": False}, {"renews_at": None}):
        assert [one.rule for one in found(Runway("runs_out", 2, 3, 4), **unknown)] == ["runs_out_soon"]
    assert of_rule(rule, Runway("beyond", 3, None, None)) is None
    empty = Runway("empty", 0, 0, 0)
    assert of_rule(rule, empty) == "Out of credits; the renewal is in 15 days."
    assert of_rule(rule, empty, generations_28d=0) is None
    assert of_rule(rule, empty, renews_at=NOW + timedelta(hours=1)) is None


def test_runs_out_soon_where_no_renewal_is_known():
    rule, soon = "runs_out_soon", Runway("runs_out", 9, 14, 20)
    said = "Runs out around 7 Dec 2026, in 14 days; no renewal is known."
    assert of_rule(rule, soon, renewing=False) == of_rule(rule, soon, renews_at=None) == said
    assert of_rule("runs_out_before_renewal", soon) is not None
    assert of_rule(rule, Runway("runs_out", 9, 15, 20), renewing=False) is None
    assert of_rule(rule, soon, renewing=False, generations_28d=0) is None
    assert of_rule(rule, Runway("empty", 0, 0, 0), renewing=False) == "Out of credits; no renewal is known."


def test_days_are_those_of_the_zone():
    # In Auckland it is already the 24th, and the renewal, tomorrow in UTC, is on that same day.
    soon = {"renews_at": datetime(2026, 11, 24, 10, tzinfo=UTC)}
    today = Runway("runs_out", 0, 0, 1)
    assert [one.rule for one in found(today, "UTC", **soon)] == ["runs_out_before_renewal"]
    assert found(today, "Pacific/Auckland", **soon) == []


def test_limit_hits():
    assert of_rule("limit_hits", limit_hit_days_28d=3) == "Reached a daily limit on 3 of 28 days."
    assert of_rule("limit_hits", limit_hit_days_28d=2) is None


def test_high_utilisation():
    assert of_rule("high_utilisation", used_in_period_credits=800, credits_left=200) is None
    assert of_rule("high_utilisation", used_in_period_credits=Decimal("801"), credits_left=Decimal("199")) == (
        "Used 80.1 % of the period's credits in 50.0 % of it."
    )
    assert of_rule("high_utilisation", used_in_period_credits=810, credits_left=190, period_start=None) == (
        "Used 81.0 % of the period's credits."
    )


def test_every_rule_has_its_kind_and_a_short_sentence():
    flagged = found(
        Runway("runs_out", 2, 3, 4),
        burn_7d_credits=1,
        burn_prev_7d_credits=123_456_789,
        last_success_at=NOW - timedelta(days=400),
        active_users_28d=1000,
        active_users_prev_28d=123_456,
        succeeded_7d=20_000,
        failed_7d=123_456,
        succeeded_prev_7d=123_456,
        failed_prev_7d=20_000,
        used_in_period_credits=10,
        credits_left=990,
        limit_hit_days_28d=28,
    )
    assert [(one.kind, one.rule) for one in flagged] == [
        ("at_risk", "burn_down"),
        ("at_risk", "silent"),
        ("at_risk", "users_halved"),
        ("at_risk", "failing"),
        ("at_risk", "under_paced"),
        ("upsell", "runs_out_before_renewal"),
        ("upsell", "limit_hits"),
    ]
    assert max(len(one.sentence) for one in flagged) <= 110
    assert all(one.sentence.endswith(".") for one in flagged)


COUNT = st.one_of(st.none(), st.integers(-10, 10**9), st.decimals(-10, 10**9, places=4))
MOMENT = st.one_of(st.none(), st.timedeltas(timedelta(days=-800), timedelta(days=800)).map(lambda off: NOW + off))
MOMENTS = ("period_start", "renews_at", "last_success_at", "last_seen_at")
ROWS = st.fixed_dictionaries(
    {name: MOMENT if name in MOMENTS else COUNT for name in NAMES if name not in ("renewing", "burn_daily")}
    | {"renewing": st.sampled_from([None, True, False])}
)


@given(ROWS, st.sampled_from([None, LASTS, Runway("empty", 0, 0, 0), Runway("runs_out", 0, 4, None)]))
def test_any_row_is_answered(row, runway):
    flagged = flags(row, runway, now=NOW, zone="Asia/Kathmandu")
    assert len({one.rule for one in flagged}) == len(flagged)
    assert priority(row, flagged) >= 0
    assert (priority(row, flagged) == 0) == (not flagged)


def test_utilisation_and_pacing():
    assert utilisation(CALM) == 0.5
    assert pacing(CALM, NOW) == 1
    assert pacing({**CALM, "credits_left": 1500}, NOW) == 0.5
    assert utilisation({**CALM, "credits_left": -500}) is None
    assert utilisation({**CALM, "credits_left": -100}) == 500 / 400
    assert utilisation({**CALM, "credits_left": None}) is None
    assert utilisation({**CALM, "credits_left": 0, "used_in_period_credits": 0}) is None
    assert pacing({**CALM, "period_start": NOW}, NOW) is None
    assert elapsed({**CALM, "period_start": NOW + timedelta(days=1)}, NOW) == 0
    assert elapsed({**CALM, "renews_at": NOW - timedelta(days=1)}, NOW) == 1
    assert elapsed({**CALM, "renews_at": CALM["period_start"]}, NOW) is None


def test_who_has_most_at_stake_is_called_first():
    risk, out, hits = (
        Flag("at_risk", "burn_down", "."),
        Flag("upsell", "runs_out_before_renewal", "."),
        Flag("upsell", "limit_hits", "."),
    )
    small, large = ({**CALM, "burn_28d_credits": 10, "burn_prev_28d_credits": size} for size in (100, 9_000))
    called = [(small, []), (small, [hits]), (small, [risk]), (small, [out, risk]), (large, [hits]), (large, [risk])]
    scores = [priority(*one) for one in called]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)
    assert scores[0] == 0
    # What fell silent counts with what it used to burn.
    assert priority({**large, "burn_28d_credits": 0}, [risk]) == priority(large, [risk])
