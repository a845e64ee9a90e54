"""Usage by series, and single generations."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import pairs, success_cell, time_column

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
            "created": time_column("Created", zone, pinned=True),
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
