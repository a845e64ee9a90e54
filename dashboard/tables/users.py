"""Who did it, beside whose name was charged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.tables.cells import DAY, clicked_row, pairs, success_cell, time_column

SORTS: Mapping[str, str] = {
    "Generations": "generations",
    "Credits used": "used_credits",
    "Credits charged": "charged_credits",
    "Failures": "failed",
    "Success rate": "success_rate",
    "Last seen": "last_seen_at",
    "Name": "user",
}
MOVED, NOBODY = "not in this tenant now", "(charged to no user)"


def users(frame: pd.DataFrame, *, zone: str, key: str) -> str | None:
    """`users.of_period` as a table; the id of the row that was clicked."""
    shown = pd.DataFrame(
        {
            "user": [_name(*one) for one in zip(frame["user_id"], frame["user"], strict=True)],
            "share": [None if (one := words.known(share)) is None else round(100 * one, 1) for share in frame["share"]],
            "generations": frame["generations"],
            "failed": frame["failed"],
            "success": [success_cell(a, b) for a, b in pairs(frame, "succeeded", "failed")],
            "used": frame["used_credits"],
            "charged": frame["charged_credits"],
            "refunded": frame["refunded_credits"],
            "last_seen": frame["last_seen_at"],
            "role": [_role(*one) for one in zip(frame["user_id"], frame["role"], frame["is_member"], strict=True)],
        }
    )
    row = clicked_row(
        shown,
        key=key,
        columns=_columns(zone),
        alt="Users with role, share, generations, failures, success rate, credits used and charged, and last seen",
    )
    return None if row is None else words.known(frame["user_id"].iloc[row])


def _name(user_id: Any, name: Any) -> str:
    """The name; the id of somebody whose name is another tenant's to show."""
    if words.known(user_id) is None:
        return NOBODY
    return words.one_line(name) if words.known(name) else words.one_line(user_id)


def _role(user_id: Any, role: Any, is_member: Any) -> str | None:
    if words.known(user_id) is None:
        return None
    if not bool(is_member):
        return MOVED
    return words.readable(role) if words.known(role) else None


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "user": config.TextColumn(
            "User", pinned=True, width=160, help="Who made the generations; the id where the name is not to be known."
        ),
        "role": config.TextColumn(
            "Role", width=130, help=f"In this tenant; “{MOVED}”: the user has moved to another one, or is gone."
        ),
        "share": config.ProgressColumn(
            "Share", format="%.1f %%", min_value=0, max_value=100, width=104, help="Of the tenant's generations."
        ),
        "generations": config.NumberColumn("Generations", format="localized", width=92),
        "failed": config.NumberColumn("Failed", format="localized", width=66),
        "success": config.TextColumn(
            "Success rate",
            alignment="right",
            width=112,
            help="Succeeded of all that ended; under 200 with the 95 % interval.",
        ),
        "used": config.NumberColumn(
            "Credits used", format="localized", width=92, help="Of the user's generations, as asked for."
        ),
        "charged": config.NumberColumn(
            "Charged",
            format="localized",
            width=80,
            help="Credits that the ledger posted under the user's name, gross; empty where it names no user.",
        ),
        "refunded": config.NumberColumn("Refunded", format="localized", width=80, help="Credits, when returned."),
        "last_seen": time_column("Last seen", zone, form=DAY, width=96),
    }
