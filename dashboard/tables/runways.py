"""Tenants by the day on which their credits run out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard import words
from dashboard.burn.forecast import Forecast
from dashboard.insights.backtest import Backtest
from dashboard.insights.runway import Runway, short
from dashboard.tables.cells import DAY, time_column
from dashboard.tables.tenants import flag_words


def runway_list(
    found: Sequence[Forecast], today: date, zone: str, *, is_what_if: bool, key: str, choose: Callable[[str], None]
) -> None:
    """One page of forecasts as a table; `choose` is called with the id of a row that is clicked."""

    def clicked() -> None:
        # Once for each click: what stays selected must not win over what is chosen elsewhere later.
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(found):
            choose(found[rows[0]].tenant_id)

    shown = pd.DataFrame(
        {
            "tenant": [words.one_line(one.tenant) for one in found],
            "left": _exact([one.row["credits_left"] for one in found]),
            "rate": _exact([words.per_day(one.row["burn_7d_credits"], 7) for one in found]),
            "runway": [short(one.runway, today) for one in found],
            "as_it_is": [short(one.as_it_is, today) for one in found],
            "out": [runs_out_on(one.runway, today) for one in found],
            "renews": [words.utc(one.row["renews_at"]) for one in found],
            "flags": [flag_words(one.outlook) for one in found],
        }
    )
    if not is_what_if:
        shown = shown.drop(columns="as_it_is")
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        on_select=clicked,
        selection_mode="single-row",
        column_config=_columns(zone),
        alt="Tenants by runway with credits left, burn per day, runway, the day they run out, renewal and flags",
    )


def backtest_table(found: Backtest) -> None:
    """How often the credits ran out where the forecast said, and how far it was off."""
    coverage = f"{words.percent(found.coverage)} ({words.percent(found.low)} to {words.percent(found.high)})"
    rows = [
        ("Within P10 to P90", coverage, "80 %"),
        ("Earlier than P10", _of_cases(found.early_misses, found), "10 %"),
        ("Later than P90", _of_cases(found.late_misses, found), "10 %"),
        ("Pinball loss", _days(found.pinball_days), f"{_days(found.flat_pinball_days)} (flat 7-day mean)"),
    ]
    st.dataframe(
        pd.DataFrame(rows, columns=["Ran out", "Forecast", "Compare with"]),
        hide_index=True,
        height="content",
        key="backtest",
        alt="How often past forecasts held: share within the range, early and late misses, pinball loss",
    )


def _of_cases(misses: int, found: Backtest) -> str:
    return f"{words.percent(misses / found.cases)} ({misses:,} of {found.cases:,})"


def _days(value: float | None) -> str:
    return words.NOT_ENOUGH if value is None else f"{value:.1f} d"


def runs_out_on(runway: Runway, today: date) -> date | None:
    """The middle day of the forecast; none where it does not run out."""
    is_known = runway.state == "runs_out" and runway.p50_days is not None
    return today + timedelta(days=runway.p50_days or 0) if is_known else None


def _exact(values: Sequence[Any]) -> pd.Series[Any]:
    """Whole numbers and decimals as they are, also beside missing ones."""
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values)))


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "tenant": config.TextColumn("Tenant", pinned=True, width=180),
        "left": config.NumberColumn("Credits left", format="localized", width=90, help="Posted balance."),
        "rate": config.NumberColumn(
            "Burn per day", format="localized", width=90, help="Net credits a day, last 7 complete days."
        ),
        "runway": config.TextColumn(
            "Runway",
            alignment="right",
            width=120,
            help="Days until the credits run out: the middle forecast (P50) and, in brackets, P10 to P90, if the"
            " pattern of the last 8 weeks continues. Known renewals are added on their dates.",
        ),
        "as_it_is": config.TextColumn("As it is", alignment="right", width=120, help="The runway without the what-if."),
        "out": config.DateColumn("Runs out", format=DAY, width=100, help="The middle forecast (P50)."),
        "renews": time_column("Renewal", zone, form=DAY, width=100),
        "flags": config.TextColumn("Flags", width=320, help="As things are; the Tenant page says why, with numbers."),
    }
