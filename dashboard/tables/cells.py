"""Cells and columns that several tables share, and the pages of a long one."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.insights.rates import success_rate

PAGE_ROWS = 25
DAY = "D MMM YYYY"
TIME = "D MMM YYYY, HH:mm"


def static_table(shown: pd.DataFrame, *, columns: Mapping[str, Any], key: str, alt: str) -> None:
    """A table to read; what is missing is a dash."""
    st.dataframe(
        shown, key=key, hide_index=True, height="content", placeholder="–", column_config=dict(columns), alt=alt
    )


def clicked_row(shown: pd.DataFrame, *, columns: Mapping[str, Any], key: str, alt: str) -> int | None:
    """A table whose rows can be clicked; the place of the one that was."""
    chosen = st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        column_config=dict(columns),
        alt=alt,
    )
    rows = chosen["selection"]["rows"]
    return int(rows[0]) if rows and rows[0] < len(shown) else None


def pages(total_rows: int) -> int:
    return max(1, ceil(total_rows / PAGE_ROWS))


def shown_rows(total_rows: int, page: int, noun: str) -> str:
    """ "26 to 50 of 312 tenants"."""
    first = (page - 1) * PAGE_ROWS + 1
    return f"{first:,} to {min(page * PAGE_ROWS, total_rows):,} of {words.counted(total_rows, noun)}"


def time_column(name: str, zone: str, *, pinned: bool = False, form: str = TIME, width: int = 135) -> Any:
    return st.column_config.DatetimeColumn(name, format=form, timezone=zone, pinned=pinned, width=width, help=zone)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dictionaries; a missing value is None."""
    columns = {str(name): [words.known(one) for one in frame[name]] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def pairs(frame: pd.DataFrame, first: str, second: str) -> Any:
    return [(words.known(a), words.known(b)) for a, b in zip(frame[first], frame[second], strict=True)]


def whole_percent(part: Any, whole: Any) -> int | None:
    return None if part is None or not whole else round(100 * part / whole)


def change_cell(now: int, before: int) -> str:
    return words.change(now, before).text


def success_cell(succeeded: int, failed: int) -> str:
    rate = success_rate(succeeded, failed)
    if rate is None:
        return ""
    if rate.is_certain:
        return words.percent(rate.value)
    return f"{words.percent(rate.value)} ({rate.low * 100:.0f}–{rate.high * 100:.0f})"
