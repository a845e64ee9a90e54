"""What the person has chosen: which workload is advised on, one table or all, one question or all. All in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import address
from queries.performance.advising import Asked
from queries.performance.workload import Source

ASKED, SOURCE, TABLE, QUERY = "asked", "source", "table", "question"
HOURS = {"Last hour": 1, "Last 24 hours": 24, "Last 7 days": 168}
_DEFAULT_HOURS = "Last 24 hours"
OURS, ALL = "The dashboard's", "The application's too"
SOURCES: dict[str, Source] = {OURS: "ours", ALL: "server"}
EVERY_TABLE = "All tables"
_QUERY_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the row of choices says; None is all."""

    asked: Asked
    hours_name: str
    table: str | None
    query: str | None


def chosen(bar: Any, tables: Sequence[str]) -> Chosen:
    """Draw the choices into the page's bar and read them."""
    wrong = address.complaints(
        {
            ASKED: address.one_of("time", list(HOURS), f"the {_DEFAULT_HOURS.lower()} are shown"),
            SOURCE: address.one_of("choice of statements", list(SOURCES), "the dashboard's are shown"),
            TABLE: address.one_of("table", [EVERY_TABLE, *tables], "all tables are shown"),
        }
    )
    with bar:
        hours = st.selectbox(
            "Statements run in the",
            list(HOURS),
            index=list(HOURS).index(_DEFAULT_HOURS),
            width=150,
            **_bound(ASKED),
        )
        statements = st.selectbox(
            "Whose statements",
            list(SOURCES),
            width=190,
            help="The application's own come from pg_stat_statements, where the server has it.",
            **_bound(SOURCE),
        )
        table = st.selectbox("Table", [EVERY_TABLE, *tables], width=190, **_bound(TABLE))
    address.show(wrong)
    return Chosen(
        Asked(HOURS[hours], SOURCES[statements]), hours, table if table != EVERY_TABLE else None, asked_query()
    )


def asked_query() -> str | None:
    """The question that the link is about; whether there is one of this name is told beside the advice."""
    asked = st.query_params.get(QUERY)
    return asked[:_QUERY_LENGTH] if asked else None


def forget_query() -> None:
    """Show the advice for all statements again. A callback."""
    st.query_params.pop(QUERY, None)


def _bound(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "bind": "query-params",
        "persist_state": "session",
        "on_change": address.forgive,
        "args": (key,),
    }
