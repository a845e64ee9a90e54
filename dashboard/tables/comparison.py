"""Figures against those of the days before, and of one tenant beside another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import static_table


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure: now, before, and the change in words."""

    label: str
    now: str
    before: str
    change: str


def table(sides: Sequence[tuple[str, Sequence[Compared]]], *, key: str) -> None:
    """One row per figure; three columns for each tenant."""
    shown = pd.DataFrame({"figure": [one.label for one in sides[0][1]]})
    config = {"figure": st.column_config.TextColumn("Figure", pinned=True, width=130)}
    for number, (name, figures) in enumerate(sides):
        first = name if len(sides) > 1 else "These days"
        for column, title in (("now", first), ("before", "Days before"), ("change", "Change")):
            shown[f"{column}-{number}"] = [getattr(one, column) for one in figures]
            config[f"{column}-{number}"] = st.column_config.TextColumn(
                words.plain(title), alignment="right", width=150, help=words.plain(f"{name}: {title.lower()}")
            )
    static_table(
        shown,
        key=key,
        columns=config,
        alt="Figures of the complete days, of the days before, and the change",
    )
