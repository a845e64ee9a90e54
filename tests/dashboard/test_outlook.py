"""Runways, flags and priority of every tenant of an answer, on the small demo."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard import outlook, services
from dashboard.insights.flags import flags, priority
from dashboard.insights.runway import HORIZON_DAYS, Runway, known_grants, runways
from queries.catalog import tenants
from queries.query import Result
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import DEMO_NOW

ZONE = "Europe/Berlin"
NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
def signals(demo: services.Services) -> Result:
    everybody = Scope.all_tenants()
    asked = tenants.signals(everybody, now=DEMO_NOW, zone=ZONE, search="", plans=())
    return demo.runner.run(asked, Context(everybody))


def plain_row(**given: Any) -> dict[str, Any]:
    """A tenant that burns 10 credits a day, has 500 left and renews in 10 days."""
    counts = {f"{one}_{span}": 50 for one in ("generations", "succeeded") for span in ("7d", "prev_7d", "28d")}
    before = {"generations_prev_28d": 50, "succeeded_prev_28d": 50, "failed_prev_28d": 0}
    failed = {f"failed_{span}": 0 for span in ("7d", "prev_7d", "28d")}
    users = {"active_users_7d": 3, "active_users_28d": 3, "active_users_prev_28d": 3}
    burn = {"burn_7d_credits": 70, "burn_prev_7d_credits": 70, "burn_28d_credits": 280, "burn_prev_28d_credits": 280}
    plan = {"plan": "PRO", "subscription_status": "ACTIVE", "renewing": True, "credits_per_period": 300}
    times = {"period_start": NOW - timedelta(days=20), "renews_at": NOW + timedelta(days=10)}
    seen = {"last_success_at": NOW - timedelta(hours=2), "last_seen_at": NOW - timedelta(hours=1)}
    credits = {"credits_left": 500, "used_in_period_credits": 400, "history_days": 56, "burn_daily": [10] * 56}
    quota = {"limit_hit_days_28d": 0, "quota_peak_28d": None}
    row = {"tenant_id": "t", "tenant": "T", **counts, **before, **failed, **users, **burn, **plan, **times, **seen}
    return {**row, **credits, **quota, **given}


def frame_of(*rows: dict[str, Any]) -> pd.DataFrame:
    return pa.Table.from_pylist(list(rows)).to_pandas(types_mapper=pd.ArrowDtype)


def one(**given: Any) -> outlook.Outlook:
    return outlook.of_tenants(frame_of(plain_row(**given)), NOW, ZONE)[0]


def test_a_period_that_is_over_has_no_balance_to_forecast_from(signals: Result) -> None:
    found = outlook.of_result(signals, DEMO_NOW, ZONE, is_over=True)
    assert {each.runway.state for each in found} == {"no_balance"}
    rules = {flag.rule for each in found for flag in each.flags}
    assert not rules & {"under_paced", "runs_out_before_renewal", "high_utilisation"}
    assert rules, "what rests on usage alone is still said"
    assert {each.row["credits_left"] for each in found} == {None}
    now = outlook.of_result(signals, DEMO_NOW, ZONE)
    assert {each.runway.state for each in now} != {"no_balance"}


def test_every_tenant_of_the_demo_is_judged_by_its_own_figures(signals: Result) -> None:
    found = outlook.of_tenants(signals.frame, DEMO_NOW, ZONE)
    assert [each.tenant_id for each in found] == signals.frame["tenant_id"].tolist()
    for each in found:
        assert list(each.flags) == flags(each.row, each.runway, now=DEMO_NOW, zone=ZONE)
        assert each.priority == priority(each.row, list(each.flags))
    assert {flag.kind for each in found for flag in each.flags} == {"at_risk", "upsell"}


def test_one_forecast_of_all_is_the_forecast_of_each(signals: Result) -> None:
    found = outlook.of_tenants(signals.frame, DEMO_NOW, ZONE)
    alone = [outlook.of_tenants(signals.frame.iloc[[place]], DEMO_NOW, ZONE)[0] for place in range(len(found))]
    assert [each.runway for each in found] == [each.runway for each in alone]


def test_an_answer_is_judged_once(signals: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def counting(*arguments: Any) -> list[outlook.Outlook]:
        counted.append(arguments)
        return made(*arguments)

    made: Callable[..., list[outlook.Outlook]] = outlook.of_tenants
    monkeypatch.setattr(outlook, "of_tenants", counting)
    first = outlook.of_result(signals, DEMO_NOW, ZONE)
    assert outlook.of_result(signals, DEMO_NOW, ZONE) is first
    assert len(counted) <= 1
    later = replace(signals, as_of=signals.as_of + timedelta(seconds=1))
    assert outlook.of_result(later, DEMO_NOW, ZONE) is not first


def test_the_memory_of_answers_is_bounded(signals: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "_LARGEST_MEMORY", 2 * len(signals.frame))
    for second in range(5):
        outlook.of_result(replace(signals, as_of=signals.as_of + timedelta(days=second)), DEMO_NOW, ZONE)
    assert sum(len(each) for each in outlook._memory.values()) <= 2 * len(signals.frame)


def test_known_renewals_lengthen_the_runway() -> None:
    lasting, ending = one(credits_left=150), one(credits_left=150, renewing=False)
    assert ending.runway.p50_days is not None
    assert lasting.runway.p50_days is None or lasting.runway.p50_days > ending.runway.p50_days


@pytest.mark.parametrize(
    "given",
    [
        {"renewing": False},
        {"renews_at": None, "period_start": None, "renewing": False},
        {"renews_at": NOW - timedelta(hours=1)},
        {"credits_per_period": None},
    ],
)
def test_a_renewal_that_is_not_sure_adds_nothing(given: dict[str, Any]) -> None:
    row = plain_row(**given)
    assert not outlook.grants_of(row, NOW, NOW.date(), ZONE).any()


def test_a_sure_renewal_adds_its_credits_on_its_day_and_each_period_after() -> None:
    added = outlook.grants_of(plain_row(), NOW, NOW.date(), ZONE)
    assert added.tolist() == known_grants(10, 30, 300, HORIZON_DAYS).tolist()
    assert added[10] == 300


def test_unknown_balances_decimals_and_short_histories_have_their_own_answers() -> None:
    rows = [
        plain_row(tenant_id="a", credits_left=None),
        plain_row(tenant_id="b", history_days=3),
        plain_row(tenant_id="c", burn_daily=[0] * 56),
        plain_row(tenant_id="d", credits_left=-340),
    ]
    states = [each.runway.state for each in outlook.of_tenants(frame_of(*rows), NOW, ZONE)]
    assert states == ["no_balance", "short_history", "no_burn", "empty"]
    exact = plain_row(credits_left=Decimal("500.5"), burn_daily=[Decimal("10.1")] * 56, renewing=False)
    whole = runways(np.full((1, 56), 10.1), [56], [500.5])[0]
    assert outlook.of_tenants(frame_of(exact), NOW, ZONE)[0].runway == whole


def test_nobody_is_judged_when_there_is_nobody() -> None:
    assert outlook.of_tenants(frame_of(plain_row()).iloc[:0], NOW, ZONE) == []


@pytest.mark.parametrize(
    ("given", "days", "expected"),
    [
        ({"renewing": False}, 14, True),
        ({"renewing": False}, 15, False),
        ({"renewing": False, "generations_28d": 0}, 3, False),
        ({"renewing": False}, None, False),
        ({"renewing": True, "renews_at": None}, 14, True),
        ({"renewing": True, "renews_at": NOW - timedelta(days=1)}, 3, False),
    ],
)
def test_running_out_without_a_renewal(given: dict[str, Any], days: int | None, expected: bool) -> None:
    runway = Runway("runs_out" if days is not None else "beyond", days, days, days)
    row = plain_row(**given)
    judged = tuple(flags(row, runway, now=NOW, zone=ZONE))
    assert outlook.Outlook("t", "T", runway, judged, 0.0, row).is_running_out() is expected


def test_running_out_before_the_renewal() -> None:
    assert one(credits_left=30).is_running_out()
    assert not one(credits_left=5_000).is_running_out()


def test_the_first_call_is_the_one_with_most_at_stake() -> None:
    rows = [
        plain_row(tenant_id=name, credits_left=30, burn_28d_credits=stake) for name, stake in (("a", 300), ("b", 900))
    ]
    found = outlook.of_tenants(frame_of(*rows, plain_row(tenant_id="calm", credits_left=400)), NOW, ZONE)
    assert [each.tenant_id for each in outlook.by_priority(found)][:2] == ["b", "a"]
