"""Single movements of credits, each with the balance after it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import clicked_row, time_column


def ledger(frame: pd.DataFrame, *, zone: str, key: str) -> str | None:
    """`ledger.page` as a table; the generation of the row that was clicked."""
    shown = pd.DataFrame(
        {
            "posted": frame["posted_at"],
            "amount": frame["amount"],
            "balance": frame["balance_after_credits"],
            "type": [words.readable(one) for one in frame["type"]],
            "user": [words.one_line(one) if words.known(one) else None for one in frame["user"]],
            "price": [_price(*one) for one in zip(frame["price_paid"], frame["currency"], strict=True)],
            "generation": frame["generation_id"],
        }
    )
    config = st.column_config
    row = clicked_row(
        shown,
        key=key,
        columns={
            "posted": time_column("Posted", zone, pinned=True, form="D MMM YYYY, HH:mm:ss", width=158),
            "type": config.TextColumn("Movement", width=110),
            "amount": config.NumberColumn("Credits", format="localized", width=76, help="Charges are negative."),
            "balance": config.NumberColumn(
                "Balance after",
                format="localized",
                width=96,
                help="The sum of all movements of this tenant up to and including this one.",
            ),
            "user": config.TextColumn("User", width=150),
            "price": config.TextColumn("Price paid", alignment="right", width=110),
            "generation": config.TextColumn("Generation", width=200),
        },
        alt="Credit movements, newest first, with time, kind, credits, balance after, user, price and generation",
    )
    return None if row is None else words.known(frame["generation_id"].iloc[row])


def _price(price: Any, currency: Any) -> str | None:
    if words.known(price) is None:
        return None
    return f"{words.exact(price)} {words.one_line(currency) if words.known(currency) else ''}".strip()
