"""Frames become tables: which columns, in which words, and how wide. Text cells are never read as markup."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.insights.rates import success_rate

PAGE_ROWS = 25
BREAKDOWN_ROWS = 10
_DAY = "D MMM YYYY"
_TIME = "D MMM YYYY, HH:mm"

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


def tenants(frame: pd.DataFrame, zone: str, key: str) -> str | None:
    """`tenants.portfolio` as a table; the id of the row that was clicked."""
    shown = pd.DataFrame(
        {
            "tenant": [words.one_line(one) for one in frame["tenant"]],
            "plan": [words.readable(one) if words.known(one) else None for one in frame["plan"]],
            "left_share": [_percent(a, b) for a, b in _pairs(frame, "credits_left", "credits_per_period")],
            "credits_left": frame["credits_left"],
            "burn_daily": [list(one) for one in frame["burn_daily"]],
            "burn": frame["burn_28d_credits"],
            "generations": frame["generations_28d"],
            "change": [_week_change(a, b) for a, b in _pairs(frame, "generations_7d", "generations_prev_7d")],
            "success": [_success(a, b) for a, b in _pairs(frame, "succeeded_28d", "failed_28d")],
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


def breakdown(frame: pd.DataFrame, *, noun: str, is_constant: bool, key: str) -> None:
    """`usage.breakdown` as a table with shares."""
    name = words.readable if is_constant else words.one_line
    shown = pd.DataFrame(
        {
            "series": [name(one) for one in frame["series"]],
            "share": [None if (one := words.known(share)) is None else round(100 * one, 1) for share in frame["share"]],
            "generations": frame["generations"],
            "burned": frame["burned_credits"],
            "success": [_success(a, b) for a, b in _pairs(frame, "succeeded", "failed")],
        }
    )
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        column_config={
            "series": st.column_config.TextColumn(noun, pinned=True, width=128),
            "share": st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0, max_value=100, width=100),
            "generations": st.column_config.NumberColumn("Generations", format="localized", width=84),
            "burned": st.column_config.NumberColumn("Charged", format="localized", width=72, help="Credits, gross"),
            "success": st.column_config.TextColumn("Success rate", alignment="right", width=104),
        },
        alt=f"Generations by {noun.lower()} with share, credits charged, and success rate",
    )


def generations(frame: pd.DataFrame, *, may_read_prompts: bool, role_name: str, zone: str, key: str) -> None:
    """`generations.latest` as a table. A role that may not read prompts gets none sent to its browser."""
    hidden = f"hidden for the role {role_name.lower()}"
    shown = pd.DataFrame(
        {
            "created": frame["created_at"],
            "user": [words.one_line(one) if words.known(one) else None for one in frame["user"]],
            "type": [words.readable(one) for one in frame["type"]],
            "model": [words.one_line(one) for one in frame["model"]],
            "status": [words.readable(one) for one in frame["status"]],
            "credits": frame["credits"],
            "took": [
                words.duration(words.known(one)) if words.known(one) is not None else "" for one in frame["duration_ms"]
            ],
            "images": frame["images"],
            "prompt": list(frame["prompt"]) if may_read_prompts else [hidden] * len(frame),
            "error": frame["error"],
        }
    )
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        column_config={
            "created": _time_column("Created", zone, pinned=True),
            "user": st.column_config.TextColumn("User", pinned=False, width=140),
            "type": st.column_config.TextColumn("Type", width=110),
            "model": st.column_config.TextColumn("Model", width=120),
            "status": st.column_config.TextColumn("Status", width=90),
            "credits": st.column_config.NumberColumn("Credits", format="localized", width=70),
            "took": st.column_config.TextColumn("Took", alignment="right", width=75),
            "images": st.column_config.NumberColumn("Images", width=70),
            "prompt": st.column_config.TextColumn("Prompt (first 200 characters)", width="large"),
            "error": st.column_config.TextColumn("Error", width="medium"),
        },
        alt="Latest generations with time, user, type, model, status, credits, duration and prompt",
    )


def pages(total_rows: int) -> int:
    return max(1, ceil(total_rows / PAGE_ROWS))


def shown_rows(total_rows: int, page: int, noun: str) -> str:
    """ "26 to 50 of 312 tenants"."""
    first = (page - 1) * PAGE_ROWS + 1
    return f"{first:,} to {min(page * PAGE_ROWS, total_rows):,} of {words.counted(total_rows, noun)}"


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
        "last_seen": _time_column("Last seen", zone, form=_DAY, width=86),
        "renews": _time_column("Renewal", zone, form=_DAY, width=86),
    }


def _time_column(name: str, zone: str, *, pinned: bool = False, form: str = _TIME, width: int = 135) -> Any:
    return st.column_config.DatetimeColumn(name, format=form, timezone=zone, pinned=pinned, width=width, help=zone)


def _pairs(frame: pd.DataFrame, first: str, second: str) -> Any:
    return [(words.known(a), words.known(b)) for a, b in zip(frame[first], frame[second], strict=True)]


def _percent(part: Any, whole: Any) -> int | None:
    return None if part is None or not whole else round(100 * part / whole)


def _week_change(now: int, before: int) -> str:
    return words.change(now, before).text


def _success(succeeded: int, failed: int) -> str:
    rate = success_rate(succeeded, failed)
    if rate is None:
        return ""
    if rate.is_certain:
        return words.percent(rate.value)
    return f"{words.percent(rate.value)} ({rate.low * 100:.0f}–{rate.high * 100:.0f})"
