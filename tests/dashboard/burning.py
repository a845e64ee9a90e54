"""Movements, signals and forecasts that the tests of Credit burn are made of."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from dashboard import outlook
from dashboard.burn import forecast
from dashboard.burn.forecast import AS_IT_IS, WhatIf
from dashboard.figures.movements import KINDS
from dashboard.insights.runway import Runway
from queries.period import Period

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
