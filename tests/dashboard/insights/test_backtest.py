"""The backtest against a plain loop, its uncertainty, and the bar that the forecast has to clear."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import forecast
from dashboard.insights.backtest import Backtest, backtest, pinball, pooled, sentence
from dashboard.insights.rates import wilson_interval
from dashboard.insights.runway import runways

FEW = settings(max_examples=25, deadline=None)
SERIES = st.lists(st.one_of(st.integers(0, 300), st.just(0)), min_size=15, max_size=110)


def by_hand(series: list[int]) -> dict[str, float]:
    """Every case one by one; the runway itself is tested elsewhere."""
    found = dict.fromkeys(("cases", "early", "late", "ours", "flat", "unanswered"), 0.0)
    for at in range(len(series) - 7, 13, -5):
        for length in (7, 14, 21, 28, 42):
            ahead = series[at : at + length]
            if len(ahead) < length or sum(ahead) == 0:
                continue
            history = [0] * 56 + series[:at]
            answer = runways([history[-56:]], [min(56, at)], [sum(ahead)])[0]
            if answer.state not in ("runs_out", "beyond"):
                found["unanswered"] += 1
                continue
            left, truth = sum(ahead), -1
            while left > 0:
                truth += 1
                left -= ahead[truth]
            days = [90 if one is None else one for one in (answer.p10_days, answer.p50_days, answer.p90_days)]
            week = sum(series[at - 7 : at])
            flat = min(90, -(-sum(ahead) * 7 // week) - 1) if week else 90
            found["cases"] += 1
            found["early"] += truth < days[0]
            found["late"] += truth > days[2]
            for quantile, day in zip((0.1, 0.5, 0.9), days, strict=True):
                for name, said in (("ours", day), ("flat", flat)):
                    off = truth - said
                    found[name] += (quantile * off if off > 0 else (1 - quantile) * -off) / 3
    return found


@FEW
@given(SERIES)
def test_it_is_the_plain_loop(series):
    found, expected = backtest(series), by_hand(series)
    assert found.cases == expected["cases"]
    assert (found.early_misses, found.late_misses) == (expected["early"], expected["late"])
    assert found.unanswered == expected["unanswered"]
    assert found.covered == found.cases - found.early_misses - found.late_misses
    if found.cases:
        assert found.pinball_days == pytest.approx(expected["ours"] / found.cases)
        assert found.flat_pinball_days == pytest.approx(expected["flat"] / found.cases)


@FEW
@given(st.lists(SERIES, max_size=4))
def test_pooling_adds_up(several):
    each = [backtest(one) for one in several]
    together = pooled(each)
    assert together.cases == sum(one.cases for one in each) == sum(cases for cases, _ in together.blocks)
    assert together.covered == sum(one.covered for one in each) == sum(covered for _, covered in together.blocks)
    if together.cases:
        assert together.pinball_days == pytest.approx(
            sum((one.pinball_days or 0) * one.cases for one in each) / together.cases
        )
        assert together.coverage is not None
        assert together.low is not None
        assert together.high is not None
        assert together.low <= together.coverage <= together.high
    else:
        assert together.coverage is together.low is together.pinball_days is together.flat_pinball_days is None


def test_a_constant_burn_is_forecast_to_the_day():
    found = backtest([20] * 120)
    assert found.cases > 60
    assert found.coverage == 1
    assert found.pinball_days == found.flat_pinball_days == 0


def test_a_burn_that_jumps_is_missed_early():
    found = backtest([10] * 90 + [100] * 60)
    assert found.early_misses > 5
    assert found.late_misses == 0


@pytest.mark.parametrize("series", [[], [5] * 20, [0] * 100])
def test_without_cases_it_says_so(series):
    found = backtest(series)
    assert found.cases == 0
    assert found.coverage is None
    assert sentence(found).startswith("Not enough history to compare")


def test_after_weeks_without_burn_there_is_no_forecast_to_judge():
    found = backtest([50] * 7 + [0] * 70 + [50] * 30)
    assert found.unanswered > 0


def test_few_stretches_of_time_count_as_few_cases():
    found = backtest(np.random.default_rng(1).gamma(2, 50, 180))
    counts = [cases for cases, _ in found.blocks]
    assert found.coverage is not None
    assert found.cases == sum(counts) > 100
    # Four stretches of six weeks and the first days of a fifth.
    effective = found.cases**2 / sum(one**2 for one in counts)
    assert 3 < effective < 5
    assert (found.low, found.high) == wilson_interval(found.coverage * effective, effective)


def test_the_interval_widens_with_what_cases_share():
    """40 stretches of 10 cases, 320 covered: once the same in each, once all or nothing."""
    alike, apart = of_blocks([(10, 8)] * 40), of_blocks([(10, 10)] * 32 + [(10, 0)] * 8)
    assert alike.coverage == apart.coverage == 0.8
    assert (alike.low, alike.high) == wilson_interval(320, 400)
    assert apart.low == pytest.approx(wilson_interval(32, 40)[0], abs=0.01)
    assert apart.high == pytest.approx(wilson_interval(32, 40)[1], abs=0.01)


def of_blocks(blocks: list[tuple[int, int]]) -> Backtest:
    def series(cases: int, covered: int) -> Backtest:
        return Backtest(cases, covered, covered / cases, 0, 1, cases - covered, 0, 1.0, 2.0, 0, ((cases, covered),))

    return pooled([series(*block) for block in blocks])


@given(st.sampled_from([0.1, 0.5, 0.9]), st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_pinball_is_least_at_its_quantile(quantile, truths):
    at_quantile = sorted(truths)[math.ceil(quantile * len(truths)) - 1]
    losses = {said: sum(pinball(quantile, said, truth) for truth in truths) for said in range(-50, 51)}
    assert losses[at_quantile] == pytest.approx(min(losses.values()))


def test_the_sentence_holds_the_numbers():
    found = of_blocks([(10, 8)] * 40)
    assert sentence(found) == (
        "In 80.0 % of 400 past cases the credits ran out within P10 to P90, which aims at 80 % (75.8 % to 83.6 % with "
        "95 % confidence); 80 ran out earlier, 0 later. It missed by 1.0 days (pinball loss), less than the flat 7-day "
        "mean with 2.0."
    )


def assert_clears_the_bar(found: Backtest) -> None:
    assert found.coverage is not None
    assert found.pinball_days is not None
    assert found.flat_pinball_days is not None
    assert forecast.COVERAGE_LEAST <= found.coverage <= forecast.COVERAGE_MOST
    assert found.pinball_days < found.flat_pinball_days


def test_the_demo_clears_the_bar():
    series = forecast.demo_series(11)
    assert len(series) >= 60
    assert_clears_the_bar(forecast.of_all(series))


def test_the_real_trace_clears_the_bar():
    path = forecast.trace_path()
    if path is None:
        pytest.skip("the trace is not here; name gentd26_requests.csv in USAGE_DASHBOARD_TRACE")
    total, groups = forecast.trace_series(path)
    assert sum(total) > 70_000
    assert len(groups) == forecast.BUSIEST_GROUPS
    assert_clears_the_bar(forecast.of_hours([total]))
