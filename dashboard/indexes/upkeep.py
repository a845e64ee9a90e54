"""Tables by size, with what they need: dead rows, the last vacuum and analyze."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.indexes import Indexes, panel
from dashboard.tables.cells import static_table, time_column
from queries.performance.findings import size_text
from queries.performance.health import TableFact


def section(shown: Indexes) -> None:
    """The biggest tables."""
    with panel("Tables"):
        tables = [one for one in shown.health.tables if shown.is_shown(one.table)]
        if not tables:
            st.info("There are no tables yet. They appear here as soon as the application has made some.")
            return
        every = tables[0].tables
        st.caption(f"{len(tables)} of {words.counted(every, 'table')}, the biggest first.")
        static_table(
            _frame(tables),
            columns=_columns(shown.board.zone),
            key="tables",
            alt="Tables with rows, size, indexes, dead rows, scans, last vacuum and last analyze",
        )


def _frame(tables: list[TableFact]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "table": [words.one_line(one.table) for one in tables],
            "rows": [one.rows for one in tables],
            "size": [size_text(one.table_bytes) for one in tables],
            "indexes": [size_text(one.index_bytes) for one in tables],
            "dead": [words.percent(one.dead_rows / max(1, one.live_rows + one.dead_rows)) for one in tables],
            "sequential": [one.sequential_scans for one in tables],
            "index_scans": [one.index_scans for one in tables],
            "vacuumed": pd.array([one.vacuumed_at for one in tables], dtype="datetime64[us, UTC]"),
            "analyzed": pd.array([one.analyzed_at for one in tables], dtype="datetime64[us, UTC]"),
        }
    )


def _columns(zone: str) -> dict[str, object]:
    config = st.column_config
    return {
        "table": config.TextColumn("Table", pinned=True, width=170),
        "rows": config.NumberColumn("Rows", format="localized", help="As the server estimates them.", width=100),
        "size": config.TextColumn("Size", alignment="right", width=90, help="With TOAST, without indexes."),
        "indexes": config.TextColumn("Indexes", alignment="right", width=90),
        "dead": config.TextColumn("Dead", alignment="right", width=80, help="Rows that VACUUM has still to remove."),
        "sequential": config.NumberColumn("Scans", format="localized", width=90, help="Sequential scans."),
        "index_scans": config.NumberColumn("Index scans", format="localized", width=100),
        "vacuumed": time_column("Vacuumed", zone, width=140),
        "analyzed": time_column("Analyzed", zone, width=140),
    }
