"""When credits run out: against plain loops over the same draws, what must hold for any tenant, and the words."""

from __future__ import annotations

import math
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.insights import runway
from dashboard.insights.runway import HISTORY_DAYS, HORIZON_DAYS, PATHS, Runway, fan, known_grants, runways

TODAY = date(2026, 11, 23)
FEW = settings(max_examples=40, deadline=None)
# Whole credits: busy days, idle ones, and days on which more was given back than charged.
BURN = st.lists(st.one_of(st.integers(0, 400), st.just(0), st.integers(-60, 0)), min_size=56, max_size=56)
BALANCE = st.integers(1, 30_000)
LIVED = st.integers(14, 56)


def one(burn: object, lived: int = HISTORY_DAYS, balance: float = 1_000, grants: object = None, **what_if: float):
    return runways([burn], [lived], [balance], None if grants is None else [grants], **what_if)[0]


def of_days(found: Runway) -> list[float]:
    days = (found.p10_days, found.p50_days, found.p90_days)
    return [math.inf if one is None else one for one in days]


def by_hand(burn: list[int], lived: int, balance: float, grants: list[float]) -> list[float]:
    """The method in plain Python, with the draws that the product uses."""
    rows = lived // 7
    weeks = [burn[56 - 7 * rows :][7 * row : 7 * row + 7] for row in range(rows)]
    moved = [sum(abs(day) for day in week) / 7 for week in weeks]
    floor = runway.FLOOR_SHARE * sum(moved) / rows
    levels = [max(sum(week) / 7, floor) for week in weeks]
    divisors = [max(level, much / 2) for level, much in zip(levels, moved, strict=True)]
    shapes = [[day / divisor for day in week] for week, divisor in zip(weeks, divisors, strict=True)]
    steps = [math.log(later / sooner) for sooner, later in pairwise(levels)]
    together = min(2, len(steps))
    runs = [steps[at : at + together] for at in range(len(steps) - together + 1)]
    runs += [[-step for step in run] for run in runs]
    start = (levels[-1] + (levels[-1] + levels[-2]) / 2) / 2
    step_draws, shape_draws = runway._draws(math.ceil(HORIZON_DAYS / 7))
    first_days = []
    for of_steps, of_shapes in zip(step_draws.tolist(), shape_draws.tolist(), strict=True):
        taken = [step for draw in of_steps for step in runs[int(draw * len(runs))]]
        days, log = [], math.log(start)
        for step, draw in zip(taken, of_shapes, strict=False):
            log += step
            days += [math.exp(log) * share for share in shapes[int(draw * rows)]]
        left, first = float(balance), math.inf
        added = float(balance)
        for day in range(HORIZON_DAYS):
            left += grants[day] - days[day]
            added += grants[day]
            if left <= 1e-9 * abs(added):
                first = day
                break
        first_days.append(first)
    first_days.sort()
    return [first_days[math.ceil(PATHS * quantile) - 1] for quantile in (0.1, 0.5, 0.9)]


@FEW
@given(BURN, LIVED, BALANCE, st.integers(0, 100), st.integers(0, 5_000))
def test_it_is_the_method_in_plain_python(burn, lived, balance, granted_on, credits):
    grants = known_grants(granted_on, 30, credits, HORIZON_DAYS)
    found = one(burn, lived, balance, grants)
    if sum(burn[56 - lived // 7 * 7 :]) <= 0:
        assert found.state == "no_burn"
        return
    expected = by_hand(burn, lived, balance, grants.tolist())
    assert of_days(found) == expected
    assert found.state == ("beyond" if expected[1] == math.inf else "runs_out")


@FEW
@given(BURN, LIVED, BALANCE, st.sampled_from([0.25, 2, 1024]))
def test_scaling_burn_and_balance_together_changes_nothing(burn, lived, balance, factor):
    assert one(burn, lived, balance) == one(np.array(burn) * factor, lived, balance * factor)


@FEW
@given(BURN, LIVED, BALANCE, st.integers(0, 20_000))
def test_more_credits_never_run_out_earlier(burn, lived, balance, more):
    less = one(burn, lived, balance)
    bought = one(burn, lived, balance, extra_credits=more)
    granted = one(burn, lived, balance, known_grants(5, None, more, HORIZON_DAYS))
    for later in (bought, granted):
        assert all(a <= b for a, b in zip(of_days(less), of_days(later), strict=True))
    assert bought == one(burn, lived, balance + more)


@FEW
@given(BURN, LIVED, st.integers(-500, 30_000))
def test_the_bounds_stand_in_order_and_the_state_fits_them(burn, lived, balance):
    found = one(burn, lived, balance)
    if found.state in ("runs_out", "beyond", "empty"):
        assert of_days(found) == sorted(of_days(found))
        assert (found.p50_days is None) == (found.state == "beyond")
    else:
        assert found.p10_days is found.p50_days is found.p90_days is None
    assert (found.state == "empty") == (balance <= 0)
    assert all(day is None or 0 <= day < HORIZON_DAYS for day in (found.p10_days, found.p50_days, found.p90_days))


@FEW
@given(st.integers(1, 900), st.integers(1, 60_000), LIVED)
def test_a_constant_burn_runs_out_on_the_day_that_its_credits_end(burn, balance, lived):
    day = -(-balance // burn) - 1
    expected = [day] * 3 if day < HORIZON_DAYS else [math.inf] * 3
    assert of_days(one([burn] * 56, lived, balance)) == expected


def test_a_grant_counts_from_the_start_of_its_day():
    steady = [10] * 56
    assert one(steady, balance=50).p50_days == 4
    # The fifth day uses up the balance and the grant of that day, after four more days.
    assert one(steady, balance=50, grants=known_grants(4, None, 40, HORIZON_DAYS)).p50_days == 8
    # Nothing burned on the way is given back by a grant that comes too late.
    assert one(steady, balance=50, grants=known_grants(5, None, 1_000, HORIZON_DAYS)).p50_days == 4


def test_burn_factor_scales_the_burn():
    steady = [10] * 56
    assert one(steady, balance=120, burn_factor=1.2).p50_days == 9
    assert one(steady, balance=120, burn_factor=1.2) == one([12] * 56, balance=120)
    assert one(steady, balance=120, burn_factor=0).state == "no_burn"


@FEW
@given(BURN, BURN, st.integers(14, 55))
def test_days_before_the_history_and_half_weeks_are_not_read(burn, other, lived):
    read = lived // 7 * 7
    mixed = other[: 56 - read] + burn[56 - read :]
    assert one(burn, lived) == one(mixed, lived)


@FEW
@given(st.lists(st.tuples(BURN, st.integers(0, 80), st.one_of(st.just(math.nan), st.integers(-5, 9_000))), max_size=9))
def test_many_tenants_at_once_are_each_as_if_alone(tenants):
    burn = np.array([one_burn for one_burn, _, _ in tenants]).reshape(-1, 56)
    together = runways(burn, [lived for _, lived, _ in tenants], [balance for _, _, balance in tenants])
    assert together == [one(*tenant) for tenant in tenants]


def test_chunks_do_not_show():
    rng = np.random.default_rng(5)
    burn, balances = rng.gamma(2, 50, (300, 56)), rng.uniform(10, 9_000, 300)
    together = runways(burn, np.tile([20, 30, 56], 100), balances)
    alone = [one(burn[at], (20, 30, 56)[at % 3], balances[at]) for at in range(300)]
    assert together == alone


def test_no_tenant_has_no_runway():
    assert runways(np.empty((0, 56)), [], []) == []


def test_a_longer_horizon_draws_the_same_first_weeks():
    burn = np.random.default_rng(3).gamma(2, 50, 56)
    near, far = one(burn, balance=3_000, horizon=60), one(burn, balance=3_000, horizon=180)
    assert near.p10_days == far.p10_days
    assert near.p50_days == far.p50_days


def test_it_widens_with_the_scatter_of_the_weeks():
    calm = [100, 110] * 28
    wild = [10] * 14 + [200] * 14 + [10] * 14 + [186] * 14
    quiet, loud = one(calm, balance=3_000), one(wild, balance=3_000)
    assert quiet.p90_days is not None
    assert quiet.p10_days is not None
    assert quiet.p90_days - quiet.p10_days <= 2
    assert of_days(loud)[2] - of_days(loud)[0] > 10


def test_a_season_of_hours():
    day = [0] * 12 + [10] * 12
    assert runways([day * 8], [192], [240.0], season=24, horizon=96)[0].p50_days == 47
    assert runways([day * 8], [47], [240.0], season=24, horizon=96)[0].state == "short_history"


def test_burn_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="burn has 55 days for each tenant; 56 are needed"):
        one([1] * 55)


@pytest.mark.parametrize(
    ("burn", "lived", "balance", "state", "said", "cell"),
    [
        ([10] * 56, 56, 0, "empty", "Already empty.", "empty"),
        ([10] * 56, 9, -340, "empty", "Already empty.", "empty"),
        (
            [0] * 56,
            56,
            10,
            "no_burn",
            "No burn in the last 8 weeks, so nothing says when the credits run out.",
            "no burn",
        ),
        (
            [9] * 28 + [0] * 28,
            30,
            10,
            "no_burn",
            "No burn in the last 4 weeks, so nothing says when the credits run out.",
            "no burn",
        ),
        ([10] * 56, 9, 10, "short_history", "Not enough history: 9 complete days of at least 14.", "new"),
        ([10] * 56, 13, 10, "short_history", "Not enough history: 13 complete days of at least 14.", "new"),
        (
            [10] * 56,
            14,
            115,
            "runs_out",
            "Runs out around 4 Dec (4 Dec to 4 Dec) if the pattern of the last 2 weeks continues.",
            "11 d (11–11)",
        ),
        ([1] * 56, 56, 91, "beyond", "Lasts beyond 90 days.", "> 90 d"),
        (
            [1] * 56,
            56,
            90,
            "runs_out",
            "Runs out around 20 Feb 2027 (20 Feb 2027 to 20 Feb 2027) if the pattern of the last 8 weeks continues.",
            "89 d (89–89)",
        ),
        (
            [10] * 56,
            56,
            math.nan,
            "no_balance",
            "No balance is known, so nothing says when the credits run out.",
            "no balance",
        ),
    ],
)
def test_each_state_has_its_words(burn, lived, balance, state, said, cell):
    found = one(burn, lived, balance)
    assert found.state == state
    assert runway.sentence(found, TODAY) == said
    assert runway.short(found, TODAY) == cell


def test_bounds_beyond_the_horizon_have_words():
    late = Runway("runs_out", 12, 18, None)
    assert runway.sentence(late, TODAY) == (
        "Runs out around 11 Dec (5 Dec to after 90 days) if the pattern of the last 8 weeks continues."
    )
    assert runway.short(late, TODAY) == "18 d (12–>90)"
    now = Runway("runs_out", 0, 0, 0)
    assert runway.sentence(now, TODAY) == "Runs out today, 23 Nov, if the pattern of the last 8 weeks continues."
    assert runway.short(now, TODAY) == "today"
    assert runway.short(Runway("runs_out", 0, 0, 1), TODAY) == "today (0–1)"
    beyond = Runway("beyond", 70, None, None)
    assert runway.sentence(beyond, TODAY) == (
        "Lasts beyond 90 days if the pattern of the last 8 weeks continues; at the earliest until 1 Feb 2027."
    )


@FEW
@given(BURN, LIVED, st.integers(1, 20_000))
def test_the_fan_empties_when_the_runway_says(burn, lived, balance):
    burn = [abs(day) for day in burn]
    found = fan(burn, lived, balance)
    assert found.runway == one(burn, lived, balance)
    if found.runway.state == "no_burn":
        assert len(found.days) == len(found.p10) == 0
        return
    assert found.days.tolist() == list(range(HORIZON_DAYS + 1))
    assert found.p10[0] == found.p50[0] == found.p90[0] == balance
    assert (found.p10 <= found.p50).all()
    assert (found.p50 <= found.p90).all()
    assert (found.p10 >= 0).all()
    days = (found.runway.p10_days, found.runway.p50_days, found.runway.p90_days)
    for band, day in zip((found.p10, found.p50, found.p90), days, strict=True):
        gone = band <= 1e-8 * balance
        assert (day is None and not gone.any()) or gone.argmax() - 1 == day


def test_the_fan_stops_at_zero_until_a_grant_comes_and_shows_a_debt_as_it_is():
    after = fan([10] * 56, 56, 30, known_grants(10, None, 50, HORIZON_DAYS))
    assert after.p50[:13].tolist() == [30, 20, 10, 0, 0, 0, 0, 0, 0, 0, 0, 40, 30]
    owing = fan([10] * 56, 56, -40, known_grants(2, None, 100, HORIZON_DAYS), extra_credits=10)
    assert owing.p50[:6].tolist() == [-30, -30, -30, 60, 50, 40]
    assert owing.runway.state == "empty"


@pytest.mark.parametrize(("lived", "balance"), [(13, 100.0), (56, math.nan)])
def test_the_fan_is_empty_where_nothing_can_be_said(lived, balance):
    found = fan([10] * 56, lived, balance)
    assert len(found.days) == len(found.p10) == len(found.p50) == len(found.p90) == 0


@pytest.mark.parametrize(
    ("renews_in", "every", "credits", "expected"),
    [
        (3, 30, 100, {3: 100, 33: 100, 63: 100}),
        (0, 45, 7, {0: 7, 45: 7}),
        (12, None, 5, {12: 5}),
        (12, 0, 5, {12: 5}),
        (90, 30, 5, {}),
        (-2, 30, 5, {}),
        (None, 30, 5, {}),
        (3, 30, None, {}),
        (3, 30, 0, {}),
    ],
)
def test_known_grants_land_on_their_days(renews_in, every, credits, expected):
    added = known_grants(renews_in, every, credits, HORIZON_DAYS)
    assert {int(day): float(added[day]) for day in np.flatnonzero(added)} == expected
