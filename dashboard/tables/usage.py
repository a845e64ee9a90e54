"""Usage by series, and single generations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import pairs, static_table, success_cell, time_column

BREAKDOWN_ROWS = 10


def breakdown(frame: pd.DataFrame, *, noun: str, is_constant: bool, key: str) -> None:
    """`usage.breakdown` as a table with shares."""
    name = words.readable if is_constant else words.one_line
    shown = pd.DataFrame(
        {
            "series": [name(one) for one in frame["series"]],
            "share": [None if (one := words.known(share)) is None else round(100 * one, 1) for share in frame["share"]],
            "generations": frame["generations"],
            "burned": frame["burned_credits"],
            "success": [success_cell(a, b) for a, b in pairs(frame, "succeeded", "failed")],
        }
    )
    static_table(
        shown,
        key=key,
        columns={
            "series": st.column_config.TextColumn(noun, pinned=True, width=128),
            "share": st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0, max_value=100, width=100),
            "generations": st.column_config.NumberColumn("Generations", format="localized", width=84),
            "burned": st.column_config.NumberColumn("Charged", format="localized", width=72, help="Credits, gross"),
            "success": st.column_config.TextColumn("Success rate", alignment="right", width=104),
        },
        alt=f"Generations by {noun.lower()} with share, credits charged, and success rate",
    )


def generations(
    frame: pd.DataFrame,
    *,
    may_read_prompts: bool,
    hidden: str,
    zone: str,
    key: str,
    with_tenant: bool = False,
) -> None:
    """`generations.latest` as a table. Who may not read prompts gets none sent to their browser."""
    columns: dict[str, Any] = {"created": frame["created_at"]}
    if with_tenant:
        columns["tenant"] = [_line(one) for one in frame["tenant"]]
    columns |= _what_it_was(frame)
    columns["images"] = frame["images"]
    columns["prompt"] = list(frame["prompt"]) if may_read_prompts else [hidden] * len(frame)
    columns["error"] = frame["error"]
    static_table(
        pd.DataFrame(columns),
        key=key,
        columns={
            "created": time_column("Created", zone, pinned=True),
            "tenant": st.column_config.TextColumn("Tenant", width=140),
            **_generation_columns(),
            "images": st.column_config.NumberColumn("Images", width=70),
            "prompt": st.column_config.TextColumn("Prompt (first 200 characters)", width="large"),
            "error": st.column_config.TextColumn("Error", width="medium"),
        },
        alt="Generations, newest first, with time, user, type, model, status, credits, duration and prompt",
    )


def stuck(frame: pd.DataFrame, *, now: datetime, zone: str, key: str) -> None:
    """`generations.stuck` as a table: how long each has been waiting."""
    ages = [words.utc(one) for one in frame["created_at"]]
    shown = pd.DataFrame(
        {
            "age": ["" if one is None else words.ago(one, now).removesuffix(" ago") for one in ages],
            "created": frame["created_at"],
            **_what_it_was(frame),
            "id": frame["generation_id"],
        }
    )
    static_table(
        shown,
        key=key,
        columns={
            "age": st.column_config.TextColumn("Waiting for", pinned=True, width=100),
            "created": time_column("Created", zone),
            **_generation_columns(),
            "id": st.column_config.TextColumn("Generation", width=190),
        },
        alt="Generations that are stuck, the oldest first, with age, time, user, type, model, status and credits",
    )


def _what_it_was(frame: pd.DataFrame) -> dict[str, Any]:
    """The columns that every list of generations has."""
    took = [words.known(one) for one in frame["duration_ms"]]
    return {
        "user": [_line(one) for one in frame["user"]],
        "type": [words.readable(one) for one in frame["type"]],
        "model": [words.one_line(one) for one in frame["model"]],
        "status": [words.readable(one) for one in frame["status"]],
        "credits": frame["credits"],
        "took": ["" if one is None else words.duration(one) for one in took],
    }


def _generation_columns() -> dict[str, Any]:
    return {
        "user": st.column_config.TextColumn("User", pinned=False, width=140),
        "type": st.column_config.TextColumn("Type", width=110),
        "model": st.column_config.TextColumn("Model", width=120),
        "status": st.column_config.TextColumn("Status", width=90),
        "credits": st.column_config.NumberColumn("Credits", format="localized", width=70),
        "took": st.column_config.TextColumn("Took", alignment="right", width=75),
    }


def _line(value: Any) -> str | None:
    return words.one_line(value) if words.known(value) else None
