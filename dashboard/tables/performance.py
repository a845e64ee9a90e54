"""Questions, statements of the application, slow executions and repeats as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.performance.sentences import regression_cell
from dashboard.tables.cells import clicked_row, records, static_table, time_column

OURS, THEIRS = "dashboard", "application"
HIDDEN = "hidden for your role"
_SQL_CHARACTERS = 300


def questions(rows: Sequence[Mapping[str, Any]], key: str, *, marked: bool, slower: bool) -> int | None:
    """A row per question or statement; the place of the one that was clicked. `marked` says whose each is; `slower`
    compares with a baseline."""
    columns = _config()
    hidden = {name for name, wanted in (("whose", marked), ("slower", slower)) if not wanted}
    if all(one.get("whose") != THEIRS for one in rows):
        hidden |= {"mean", "temp"}
    chosen = {name: column for name, column in columns.items() if name not in hidden}
    shown = pd.DataFrame([{name: one.get(name) for name in chosen} for one in rows], columns=list(chosen))
    return clicked_row(
        shown,
        key=key,
        columns=chosen,
        alt="Questions with calls, cache outcomes, percentiles, total time, rows and trend",
    )


def our_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question of the catalog, of `figures_by_query`."""
    return {
        "name": row["query"],
        "whose": OURS,
        "slower": regression_cell(row),
        "calls": row["calls"],
        "hits": row["hits"],
        "stale": row["stale"],
        "misses": row["misses"],
        "shared": row["shared"],
        "errors": row["errors"],
        "p50": _ms(row["p50_ms"]),
        "p95": _ms(row["p95_ms"]),
        "p99": _ms(row["p99_ms"]),
        "total": _ms(row["total_ms"]),
        "trend": [float(one) for one in row["trend_ms"]] if row["trend_ms"] is not None else None,
        "rows": row["rows"],
        "slowest": "" if row["slowest_ms"] is None else words.small_ms(row["slowest_ms"]),
        "total_sort": row["total_ms"],
    }


def their_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A statement of the application, of pg_stat_statements: it keeps no percentiles and no cache outcomes."""
    return {
        "name": words.shortened(row["sql"], _SQL_CHARACTERS),
        "whose": THEIRS,
        "calls": row["calls"],
        "mean": _ms(row["mean_ms"]),
        "total": _ms(row["total_ms"]),
        "rows": row["rows"],
        "slowest": words.small_ms(row["max_ms"]),
        "temp": row["temp_bytes"],
        "total_sort": row["total_ms"],
    }


def slow_list(frame: pd.DataFrame, zone: str, key: str, *, may_see: bool) -> int | None:
    """The slow executions of `slow_list`; the place of the one that was clicked. Values of parameters are for
    engineers."""
    rows = records(frame)
    shown = pd.DataFrame(
        {
            "query": [one["query"] for one in rows],
            "at": frame["at"],
            "took": ["stopped" if one["error"] else words.small_ms(one["database_ms"]) for one in rows],
            "rows": [one["rows"] for one in rows],
            "page": [one["page"] for one in rows],
            "line": [one["asked_by"] for one in rows],
            "role": [words.readable(one["role"].upper()) for one in rows],
            "parameters": [_parameters(one["parameters"], may_see=may_see) for one in rows],
            "plan": [one["plan_hash"] for one in rows],
        }
    )
    config = st.column_config
    return clicked_row(
        shown,
        key=key,
        columns={
            "query": config.TextColumn("Question", pinned=True, width=190),
            "at": time_column("When", zone, form="D MMM, HH:mm:ss", width=120),
            "took": config.TextColumn("Database", alignment="right", width=80, help="Until the last row was fetched."),
            "rows": config.NumberColumn("Rows", format="localized", width=64),
            "page": config.TextColumn("Page", width=90),
            "line": config.TextColumn("Asked by", width=220, help="The line of our code that asked."),
            "role": config.TextColumn("Who", width=110, help="The role of the viewer; the log keeps no names."),
            "parameters": config.TextColumn("Parameters", width=260, help="What a person wrote is never logged."),
            "plan": config.TextColumn("Plan", width=120, help="The plan known at the time. Click the row to open it."),
        },
        alt="Slow queries with time, database time, rows, page, line, role and parameters",
    )


def repeats(frame: pd.DataFrame, zone: str, key: str) -> int | None:
    """What page runs repeat, of `run_reading.repeated`; the place of the one that was clicked."""
    rows = records(frame)
    shown = pd.DataFrame(
        {
            "query": [one["query"] for one in rows],
            "kind": ["N+1" if one["kind"] == "N+1" else "Duplicate" for one in rows],
            "page": [one["page"] for one in rows],
            "line": [one["asked_by"] or "not known" for one in rows],
            "executions": [one["executions"] for one in rows],
            "distinct": [one["distinct"] for one in rows],
            "runs": [one["runs"] for one in rows],
            "last_at": frame["last_at"],
        }
    )
    config = st.column_config
    return clicked_row(
        shown,
        key=key,
        columns={
            "query": config.TextColumn("Question", pinned=True, width=170),
            "kind": config.TextColumn("Kind", width=80),
            "page": config.TextColumn("Page", width=80),
            "line": config.TextColumn("Asked by", width=210),
            "executions": config.NumberColumn("Executions", width=84, help="In the run that repeats it most."),
            "distinct": config.NumberColumn("Different", width=74, help="Different parameters among them."),
            "runs": config.NumberColumn("Runs", width=56, help="Page runs that show it."),
            "last_at": time_column("Last", zone, form="D MMM, HH:mm", width=100),
        },
        alt="Repeats within page runs with page and line",
    )


def executions(rows: Sequence[Mapping[str, Any]], key: str) -> None:
    """What one page run asked, as a table for those who cannot see the bars."""
    names = {"wait": "Waiting", "database": "Database", "fetch": "Fetch", "frame": "Frame", "cache": "Cache"}
    shown = pd.DataFrame(
        {
            "query": [one["query"] for one in rows],
            "outcome": [one["outcome"] for one in rows],
            **{
                name: [_ms(one[f"{name}_ms"]) for one in rows]
                for name in ("wait", "database", "fetch", "frame", "cache")
            },
            "line": [one["asked_by"] for one in rows],
        }
    )
    config = st.column_config
    static_table(
        shown,
        columns={
            "query": config.TextColumn("Question", pinned=True, width=190),
            "outcome": config.TextColumn("Answered by", width=90),
            **{one: config.NumberColumn(f"{name} (ms)", format="%.2f", width=90) for one, name in names.items()},
            "line": config.TextColumn("Asked by", width=240),
        },
        key=key,
        alt="Questions of one page run with the times they took",
    )


def _parameters(logged: str | None, *, may_see: bool) -> str:
    if not logged or logged == "{}":
        return ""
    return logged if may_see else HIDDEN


def _ms(value: Any) -> float | None:
    return None if value is None else round(float(value), 2)


def _config() -> dict[str, Any]:
    config = st.column_config

    def ms(name: str, help_text: str, width: int = 68) -> Any:
        return config.NumberColumn(f"{name} (ms)", format="localized", width=width, help=help_text)

    def count(name: str, help_text: str, width: int = 50) -> Any:
        return config.NumberColumn(name, format="localized", width=width, help=help_text)

    return {
        "name": config.TextColumn("Question", pinned=True, width=180),
        "whose": config.TextColumn("Whose", width=84, help="Asked by this dashboard, or by the application itself."),
        "slower": config.TextColumn("Against baseline", width=130, help="p95 now against the p95 of the baseline."),
        "calls": count("Calls", "Answered questions, from wherever the answer came."),
        "hits": count("Hit", "From a cache, fresh."),
        "stale": count("Stale", "From a cache while a newer answer was computed."),
        "misses": count("Miss", "Run in the database. Only these have database times."),
        "shared": count("Shared", "Waited for another's run of the same question."),
        "errors": count("Error", "Without an answer."),
        "p50": ms("p50", "Database time with fetching, of misses."),
        "p95": ms("p95", "Database time with fetching, of misses."),
        "p99": ms("p99", "Database time with fetching, of misses."),
        "mean": ms("Mean", "Of all calls since the server counts; it keeps no percentiles.", 84),
        "total": ms("Total", "Database time of all of them together.", 80),
        "trend": config.BarChartColumn("p95 over time", y_min=0, width=92, help="By 24ths of the time."),
        "rows": count("Rows", "Rows that the database returned.", 62),
        "slowest": config.TextColumn("Slowest", alignment="right", width=76, help="Click the row for its parameters."),
        "temp": config.NumberColumn("Temporary files", format="bytes", width=110, help="Written and read on disk."),
    }
