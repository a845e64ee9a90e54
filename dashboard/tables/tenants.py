"""The list of tenants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import DAY, change_cell, pairs, success_cell, time_column, whole_percent

SORTS: Mapping[str, str] = {
    "Generations": "generations_28d",
    "Credits burned": "burn_28d_credits",
    "Credits left": "credits_left",
    "Change": "change_7d",
    "Success rate": "success_rate",
    "Last seen": "last_seen_at",
    "Renewal": "renews_at",
    "Name": "tenant",
    "Plan": "plan",
}


def tenant_list(frame: pd.DataFrame, zone: str, key: str) -> str | None:
    """`tenants.portfolio` as a table; the id of the row that was clicked."""
    shown = pd.DataFrame(
        {
            "tenant": [words.one_line(one) for one in frame["tenant"]],
            "plan": [words.readable(one) if words.known(one) else None for one in frame["plan"]],
            "left_share": [whole_percent(a, b) for a, b in pairs(frame, "credits_left", "credits_per_period")],
            "credits_left": frame["credits_left"],
            "burn_daily": [list(one) for one in frame["burn_daily"]],
            "burn": frame["burn_28d_credits"],
            "generations": frame["generations_28d"],
            "change": [change_cell(a, b) for a, b in pairs(frame, "generations_7d", "generations_prev_7d")],
            "success": [success_cell(a, b) for a, b in pairs(frame, "succeeded_28d", "failed_28d")],
            "last_seen": frame["last_seen_at"],
            "renews": frame["renews_at"],
        }
    )
    chosen = st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_tenant_columns(zone),
        alt="Tenants with plan, credits left, burn, generations, change, success rate, last generation and renewal",
    )
    rows = chosen["selection"]["rows"]
    return str(frame["tenant_id"].iloc[rows[0]]) if rows and rows[0] < len(frame) else None


def _tenant_columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "tenant": config.TextColumn("Tenant", pinned=True, width=160),
        "plan": config.TextColumn("Plan", width=68),
        "left_share": config.ProgressColumn(
            "Left of period",
            format="%d %%",
            min_value=0,
            max_value=100,
            width=104,
            help="Posted balance as a share of the plan's credits per period.",
        ),
        "credits_left": config.NumberColumn("Credits left", format="localized", width=80, help="Posted balance."),
        "burn_daily": config.AreaChartColumn(
            "Burn, 28 days", y_min=0, width=98, help="Net credits burned on each of the last 28 complete days."
        ),
        "burn": config.NumberColumn(
            "Burned", format="localized", width=70, help="Credits, net, last 28 complete days."
        ),
        "generations": config.NumberColumn("Generations", format="localized", width=84, help="Last 28 complete days."),
        "change": config.TextColumn(
            "Week on week", alignment="right", width=90, help="Last 7 complete days against the 7 before."
        ),
        "success": config.TextColumn(
            "Success rate",
            alignment="right",
            width=104,
            help="Succeeded of all that ended, last 28 complete days; under 200 with the 95 % interval.",
        ),
        "last_seen": time_column("Last seen", zone, form=DAY, width=86),
        "renews": time_column("Renewal", zone, form=DAY, width=86),
    }
