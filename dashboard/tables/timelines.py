"""Failures by error."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import static_table


def errors(frame: pd.DataFrame, key: str) -> None:
    """`timelines.failures` as a table: how many, which share of all failures, and when."""
    total = int(frame["failed"].sum())
    rows = [
        (words.one_line(name), [int(one) for one in group["failed"]])
        for name, group in frame.groupby("series", sort=False)
    ]
    shown = pd.DataFrame(
        {
            "error": [name for name, _ in rows],
            "failed": [sum(values) for _, values in rows],
            "share": [round(100 * sum(values) / total, 1) for _, values in rows],
            "when": [values for _, values in rows],
        }
    )
    static_table(
        shown,
        key=key,
        columns={
            "error": st.column_config.TextColumn("Error", pinned=True, width=190),
            "failed": st.column_config.NumberColumn("Failed", format="localized", width=60),
            "share": st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0, max_value=100, width=90),
            "when": st.column_config.AreaChartColumn("When", y_min=0, width=110),
        },
        alt="Failed generations by error text, with their number, share and course over the period",
    )
