"""The credit statement as tables: by month, by tenant and month, and what makes a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import clicked_row, static_table, time_column

MONTH = "MMM YYYY"
# Each finding in a few words, and what it means.
FINDINGS: Mapping[str, str] = {
    "missing_charge": "no charge in the ledger",
    "charged_twice": "charged more than once",
    "other_amount": "charged another amount",
    "missing_refund": "failed, not refunded",
    "refunded_twice": "refunded more than charged",
    "no_generation": "charge without a generation",
}
_RED = "color: #dc2f2f; font-weight: 600"
_FIGURES = {
    "opening": ("Opening", "What the month before closed with."),
    "purchased": ("Purchased", None),
    "granted": ("Granted", None),
    "refunded": ("Refunded", "Given back for generations that failed, on the day it was returned."),
    "adjusted": ("Adjusted", "With its sign."),
    "burned": ("Burned", "Charged by generations; taken off."),
    "expired": ("Expired", "Taken off."),
    "closing": ("Closing", "Opening and all movements, with what is unexplained."),
    "unexplained": ("Unexplained", "What the balance has more (or less) than the ledger explains; red where not 0."),
}


def by_month(frame: pd.DataFrame, *, key: str, choose: Callable[[date], None]) -> None:
    """`statements.totals` as a table; `choose` is called with the month of a row that is clicked."""
    months = [one.date() if isinstance(one, pd.Timestamp) else one for one in frame["month"].tolist()]
    shown = pd.DataFrame(
        {"month": frame["month"], "status": frame["status"], "tenants": frame["tenants"], **_sums(frame)}
    )
    _clickable(
        shown,
        key=key,
        columns={"month": _month(pinned=True), **_columns(), "tenants": _number("Tenants", None, 64)},
        alt="Totals by month: opening, movements, closing, what is unexplained, and whether the month is closed",
        clicked=lambda row: choose(months[row]),
    )


def by_tenant(frame: pd.DataFrame, *, key: str, choose: Callable[[str, date], None]) -> None:
    """`statements.monthly` as a table; `choose` is called with tenant and month of a row that is clicked."""
    rows = list(zip(frame["tenant_id"].tolist(), frame["month"].tolist(), strict=True))
    names = [
        words.one_line(name if words.known(name) is not None else key)
        for name, key in zip(frame["tenant"], frame["tenant_id"], strict=True)
    ]
    shown = pd.DataFrame({"tenant": names, "month": frame["month"], "status": frame["status"], **_sums(frame)})
    _clickable(
        shown,
        key=key,
        columns={
            "tenant": st.column_config.TextColumn("Tenant", pinned=True, width=160),
            "month": _month(),
            **_columns(),
        },
        alt="The statement by tenant and month: opening, movements, closing, what is unexplained, status",
        clicked=lambda row: choose(*rows[row]),
    )


def worth(frame: pd.DataFrame, *, key: str) -> None:
    """`statements.prices` as a table."""
    shown = pd.DataFrame(
        {
            "currency": [words.one_line(one) if words.known(one) else "no prices" for one in frame["currency"]],
            "tenants": frame["tenants"],
            "closing": frame["closing_credits"],
            "deferred": [_money(one) for one in frame["deferred"]],
            "expired": frame["expired_credits"],
            "breakage": [_money(one) for one in frame["breakage"]],
            "average": [_average(*one) for one in zip(frame["paid"], frame["purchased_credits"], strict=True)],
        }
    )
    config = st.column_config
    static_table(
        shown,
        key=key,
        columns={
            "currency": config.TextColumn("Currency", pinned=True, width=76),
            "tenants": _number("Tenants", None, 64),
            "closing": _number("Credits left", "Closing credits of the last month; balances below 0 count as 0.", 80),
            "deferred": config.TextColumn("Deferred revenue", alignment="right", width=112),
            "expired": _number("Expired", "Credits that expired in these months.", 72),
            "breakage": config.TextColumn("Breakage", alignment="right", width=76),
            "average": config.TextColumn(
                "Per 1,000", alignment="right", width=76, help="Average price of 1,000 purchased credits, all tenants."
            ),
        },
        alt="Per currency: credits left and what they were paid, credits that expired and what they were paid",
    )


def corrected(frame: pd.DataFrame, zone: str, *, key: str) -> None:
    """`statements.corrections` as a table."""
    names = [
        words.one_line(name if words.known(name) is not None else key)
        for name, key in zip(frame["tenant"], frame["tenant_id"], strict=True)
    ]
    shown = pd.DataFrame(
        {
            "tenant": names,
            "kind": [str(one).capitalize() for one in frame["kind"]],
            "credits": frame["credits"],
            "month": frame["month"],
            "counted_in": frame["counted_in"],
            "counted_status": frame["counted_status"],
            "found": [_found(one, zone) for one in frame["found_at"]],
        }
    )
    config = st.column_config
    static_table(
        shown,
        key=key,
        columns={
            "tenant": config.TextColumn("Tenant", pinned=True, width=130),
            "kind": config.TextColumn("Kind", width=76),
            "month": _month("Closed"),
            "credits": _number("Credits", "What was posted into this or an earlier month after it was closed.", 72),
            "counted_in": _month("Counted in"),
            "counted_status": config.TextColumn("Which is", width=80, help="A closed month has taken it for good."),
            "found": config.TextColumn("Found", width=150),
        },
        alt="Corrections: tenant, closed month, kind, credits, the month they are counted in, when found",
    )


def suspects(frame: pd.DataFrame, zone: str, *, key: str) -> str | None:
    """`statements.suspects` as a table; the generation of the row that was clicked."""
    shown = pd.DataFrame(
        {
            "finding": [FINDINGS.get(str(one), str(one)) for one in frame["finding"]],
            "credits": frame["credits"],
            "happened": frame["happened_at"],
            "status": [words.readable(one) if words.known(one) else None for one in frame["status"]],
            "used": frame["credits_used"],
            "charged": frame["charged_credits"],
            "refunded": frame["refunded_credits"],
            "generation": frame["generation_id"],
        }
    )
    config = st.column_config
    row = clicked_row(
        shown,
        key=key,
        columns={
            "finding": config.TextColumn("Finding", pinned=True, width=190),
            "credits": _number(
                "Explains", "What the balance has more than the ledger by this row, if it is right.", 76
            ),
            "happened": time_column("Time", zone),
            "status": config.TextColumn("Status", width=90),
            "used": _number("Credits used", None, 90),
            "charged": _number("Charged", None, 72),
            "refunded": _number("Refunded", None, 76),
            "generation": config.TextColumn("Generation", width=210),
        },
        alt="Generations and charges that do not fit together, with what each explains",
    )
    return None if row is None else words.known(frame["generation_id"].iloc[row])


def _clickable(
    shown: pd.DataFrame, *, key: str, columns: Mapping[str, Any], alt: str, clicked: Callable[[int], None]
) -> None:
    def selected() -> None:
        # Once for each click: what stays selected must not win over what is chosen elsewhere later.
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(shown):
            clicked(int(rows[0]))

    styles = ["" if not words.known(one) else _RED for one in shown["unexplained"]]
    st.dataframe(
        shown.style.apply(lambda _: styles, subset=["unexplained"], axis=0),
        key=key,
        hide_index=True,
        height="content",
        placeholder="–",
        on_select=selected,
        selection_mode="single-row",
        column_config=dict(columns),
        alt=alt,
    )


def _sums(frame: pd.DataFrame) -> dict[str, Any]:
    return {name: frame[name] for name in _FIGURES}


def _columns() -> dict[str, Any]:
    columns = {name: _number(title, said, 78) for name, (title, said) in _FIGURES.items()}
    said = "Provisional until the month is closed; then exactly as it was frozen."
    return {**columns, "status": st.column_config.TextColumn("Status", width=84, help=said)}


def _number(title: str, said: str | None, width: int) -> Any:
    return st.column_config.NumberColumn(title, format="localized", width=width, help=said)


def _month(title: str = "Month", *, pinned: bool = False) -> Any:
    return st.column_config.DateColumn(title, format=MONTH, width=84, pinned=pinned)


def _found(at: Any, zone: str) -> str:
    """When a correction was written down; what was not yet is found by looking."""
    moment = words.utc(at)
    return words.moment(moment, zone) if moment is not None else "now"


def _money(amount: Any) -> str | None:
    return words.exact(amount) if words.known(amount) is not None else None


def _average(paid: Any, credits: Any) -> str | None:
    """The price of a thousand credits, to cents."""
    return words.exact(round(paid * 1000 / credits, 2)) if credits else None
