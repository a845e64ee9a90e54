"""The list of tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard import words
from dashboard.insights import flags as rules
from dashboard.insights.runway import short
from dashboard.outlook import Outlook
from dashboard.tables.cells import DAY, change_cell, clicked_row, success_cell, time_column, whole_percent
from queries.period import local_date

SORTS: Mapping[str, str] = {
    "Call first": "call_first",
    "Runway": "runway",
    "Credits burned": "burn_28d_credits",
    "Credits left": "credits_left",
    "Week on week": "change_7d",
    "Generations": "generations_28d",
    "Active users": "active_users_28d",
    "Success rate": "success_rate",
    "Quota": "quota_peak_28d",
    "Last seen": "last_seen_at",
    "Renewal": "renews_at",
    "Name": "tenant",
    "Plan": "plan",
}
# Orders that the database cannot know, and those in which the smallest is looked for first.
FORECAST_SORTS = ("call_first", "runway")
ASCENDING_FIRST = ("Runway", "Credits left", "Renewal", "Name", "Plan")
# Each rule in a word or two; its sentence with the numbers stands on the tenant's page and under "Call first".
RULES: Mapping[str, str] = {
    "burn_down": "burn down",
    "silent": "silent",
    "users_halved": "users halved",
    "failing": "failing",
    "under_paced": "under pace",
    "runs_out_before_renewal": "runs out early",
    "runs_out_soon": "runs out soon",
    "limit_hits": "at its limits",
    "high_utilisation": "credits nearly used",
}
_KINDS = (("at_risk", "At risk"), ("upsell", "Upsell"))
_SPARK_DAYS = 28


def tenant_list(
    outlooks: Sequence[Outlook], latencies: Mapping[str, float | None], now: datetime, zone: str, key: str
) -> str | None:
    """One page of tenants as a table, with the p95 of each; the id of the row that was clicked."""
    today = local_date(now, zone)
    shown = pd.DataFrame(_columns(outlooks, latencies, now, today))
    row = clicked_row(
        shown,
        key=key,
        columns=_config(zone),
        alt="Tenants with flags, runway, credits left, pacing, burn, users, success rate, latency, quota and renewal",
    )
    return None if row is None else outlooks[row].tenant_id


def flag_words(one: Outlook) -> str:
    """ "At risk: burn down, failing; Upsell: at its limits"."""
    parts = []
    for kind, name in _KINDS:
        found = [RULES.get(flag.rule, words.readable(flag.rule)) for flag in one.flags if flag.kind == kind]
        parts += [f"{name}: {', '.join(found)}"] if found else []
    return "; ".join(parts)


def _columns(
    outlooks: Sequence[Outlook], latencies: Mapping[str, float | None], now: datetime, today: date
) -> dict[str, Any]:
    rows = [one.row for one in outlooks]
    return {
        "tenant": [words.one_line(one.tenant) for one in outlooks],
        "flags": [flag_words(one) for one in outlooks],
        "runway": [short(one.runway, today) for one in outlooks],
        "credits_left": _exact(rows, "credits_left"),
        "left_share": [whole_percent(rules.left_share(one, now), 1) for one in rows],
        "pacing": [rules.pacing(one, now) for one in rows],
        "burn": _exact(rows, "burn_28d_credits"),
        "burn_daily": [[float(day) for day in one["burn_daily"][-_SPARK_DAYS:]] for one in rows],
        "change": [change_cell(one["burn_7d_credits"], one["burn_prev_7d_credits"]) for one in rows],
        "generations": _exact(rows, "generations_28d"),
        "users": [f"{one['active_users_28d']:,} ({one['active_users_7d']:,})" for one in rows],
        "success": [success_cell(one["succeeded_28d"], one["failed_28d"]) for one in rows],
        "p95": [_latency(latencies.get(one.tenant_id)) for one in outlooks],
        "quota": [_quota(one["quota_peak_28d"], one["limit_hit_days_28d"]) for one in rows],
        "plan": [words.readable(one["plan"]) if one["plan"] else None for one in rows],
        "last_seen": _times(rows, "last_seen_at"),
        "renews": _times(rows, "renews_at"),
    }


def _exact(rows: Sequence[Mapping[str, Any]], name: str) -> pd.Series[Any]:
    """Whole numbers and decimals as they are."""
    return _series(pa.array([one[name] for one in rows]))


def _times(rows: Sequence[Mapping[str, Any]], name: str) -> pd.Series[Any]:
    return _series(pa.array([one[name] for one in rows], pa.timestamp("us", "UTC")))


def _series(values: pa.Array) -> pd.Series[Any]:
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


def _latency(p95_ms: float | None) -> str:
    return "" if p95_ms is None else words.duration(p95_ms)


def _quota(peak: float | None, hit_days: int) -> str:
    """The highest use of a daily limit, and on how many days one was reached."""
    parts = [] if peak is None else [f"{peak * 100:.0f} %"]
    return ", ".join([*parts, f"{words.counted(hit_days, 'day')} at it"] if hit_days else parts)


def _config(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "tenant": config.TextColumn("Tenant", pinned=True, width=150),
        "flags": config.TextColumn(
            "Flags",
            width=165,
            help="Why to call, in short. Click the row: the tenant's page says each reason with its numbers.",
        ),
        "runway": config.TextColumn(
            "Runway",
            alignment="right",
            width=104,
            help="Days until the credits run out: the middle of the forecast (P50) and, in brackets, the early and the"
            " late bound (P10–P90), if the pattern of the last 8 weeks continues. Known renewals are counted in.",
        ),
        "credits_left": config.NumberColumn("Credits left", format="localized", width=80, help="Posted balance."),
        "left_share": config.ProgressColumn(
            "Left of period",
            format="%d %%",
            min_value=0,
            max_value=100,
            width=104,
            help="Posted balance as a share of the plan's credits per period; empty where no subscription period is"
            " known that runs now.",
        ),
        "pacing": config.NumberColumn(
            "Pacing",
            format="%.2f",
            width=60,
            help="Share of the period's credits used, over the share of the period elapsed: at 1 they end with the"
            " period, under 1 some are left, over 1 they end early.",
        ),
        "burn": config.NumberColumn(
            "Burned", format="localized", width=70, help="Credits, net, last 28 complete days."
        ),
        "burn_daily": config.AreaChartColumn(
            "Burn, 28 days", y_min=0, width=98, help="Net credits burned on each of the last 28 complete days."
        ),
        "change": config.TextColumn(
            "Week on week",
            alignment="right",
            width=90,
            help="Credits burned, net: last 7 complete days against the 7 before.",
        ),
        "generations": config.NumberColumn("Generations", format="localized", width=84, help="Last 28 complete days."),
        "users": config.TextColumn(
            "Users",
            alignment="right",
            width=70,
            help="With at least one successful generation in the last 28 complete days (in the last 7).",
        ),
        "success": config.TextColumn(
            "Success rate",
            alignment="right",
            width=104,
            help="Succeeded of all that ended, last 28 complete days; under 200 with the 95 % interval.",
        ),
        "p95": config.TextColumn(
            "Latency p95",
            alignment="right",
            width=80,
            help="Of successful generations, last 28 complete days; needs 20 of them.",
        ),
        "quota": config.TextColumn(
            "Quota",
            width=124,
            help="The highest use of a daily limit, and on how many days one was reached; last 28 complete days (UTC).",
        ),
        "plan": config.TextColumn("Plan", width=68),
        "last_seen": time_column("Last seen", zone, form=DAY, width=86),
        "renews": time_column("Renewal", zone, form=DAY, width=86),
    }
