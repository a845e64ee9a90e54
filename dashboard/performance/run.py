"""One page run as bars: what ran side by side, what waited, and what repeats."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import panels, words
from dashboard.figures.waterfall import Bar, waterfall
from dashboard.performance import choices
from dashboard.performance.choices import Chosen
from dashboard.performance.readings import first_shown
from dashboard.services import current
from dashboard.tables import performance as tables
from dashboard.tables.cells import records
from queries.performance.repeats import Ran, Repeat, repeats
from queries.period import zone_info
from queries.query import Result

BARS_SHOWN = 40
_PICK = "run_pick"
# The parts of a bar, and the columns that they come from.
_PARTS = {
    "waiting": "wait_ms",
    "database": "database_ms",
    "fetch": "fetch_ms",
    "frame": "frame_ms",
    "cache": "cache_ms",
}
_RAN = ("query", "fingerprint", "parameters_hash", "outcome", "page", "asked_by")


def draw(chosen: Chosen, ran: Result, runs: Result) -> None:
    """A run to choose, its bars, and in words what it waited for and repeats."""
    rows, listed = records(ran.frame), records(runs.frame)
    shown_id = chosen.run_id or first_shown(runs)
    if not listed and not rows:
        st.info(f"No page was run {chosen.span}.", icon=":material/hourglass_empty:")
        return
    _pick(chosen, listed, shown_id)
    if not rows:
        st.info("The log does not have this page run (any more). Choose another.", icon=":material/link_off:")
        return
    found = repeats(Ran(*(one[name] for name in _RAN)) for one in rows)
    bars = _bars(rows[:BARS_SHOWN], found)
    panels.chart(waterfall(bars), alt=_alt(rows), key=f"waterfall-{shown_id}")
    st.caption(words.plain(_said(rows)))
    for one in found:
        st.markdown(f":material/repeat: {words.plain(one.sentence)}")
    with st.expander("As a table"):
        tables.executions(rows, key=f"executions-{shown_id}")


def _pick(chosen: Chosen, listed: list[dict[str, Any]], shown_id: str | None) -> None:
    """The newest runs, and the one of the address."""
    names = {one["run_id"]: _run_name(one, chosen.zone) for one in listed}
    options = list(names) if shown_id in names or shown_id is None else [shown_id, *names]
    st.session_state[_PICK] = shown_id
    st.selectbox(
        "Page run",
        options,
        format_func=lambda one: names.get(one, "The run of the link"),
        key=_PICK,
        on_change=_picked,
        help=f"The newest {len(listed)}. A run that was answered from the cache has nothing to wait for.",
    )


def _picked() -> None:
    choices.open_run(str(st.session_state[_PICK]))


def _run_name(one: dict[str, Any], zone: str) -> str:
    """ "14:32:05 · Tenants · 812 ms · 7 questions, 5 run in the database"."""
    started = one["started_at"].to_pydatetime().astimezone(zone_info(zone))
    parts = (
        f"{started:%H:%M:%S}, {started.day} {started:%b}",
        choices.page_name(one["page"]),
        words.duration(one["total_ms"]),
        f"{words.counted(one['questions'], 'question')}, {words.exact(one['misses'])} run in the database",
    )
    return " · ".join(words.one_line(part) for part in parts)


def _bars(rows: list[dict[str, Any]], found: list[Repeat]) -> list[Bar]:
    began = min(one["started_at"] for one in rows)
    kinds = {one.fingerprint: one.kind for one in found}
    return [
        Bar(
            name=one["query"],
            start_ms=(one["started_at"] - began).total_seconds() * 1000,
            parts_ms={part: float(one[column]) for part, column in _PARTS.items()},
            note=_note(one, kinds.get(one["fingerprint"]) if one["outcome"] == "miss" else None),
            hover=_hover(one),
        )
        for one in rows
    ]


def _note(one: dict[str, Any], kind: str | None) -> str:
    parts = [one["outcome"]] if one["outcome"] != "miss" else []
    return f"({', '.join([*parts, *([kind] if kind else [])])})" if parts or kind else ""


def _hover(one: dict[str, Any]) -> str:
    spent = ", ".join(f"{words.small_ms(one[column])} {part}" for part, column in _PARTS.items() if one[column])
    lines = [f"{one['query']}: {one['outcome']}", spent or "no time to speak of"]
    lines += [words.counted(one["rows"], "row")] if one["rows"] is not None else []
    return "\n".join([*lines, *([f"asked by {one['asked_by']}"] if one["asked_by"] else [])])


def _said(rows: list[dict[str, Any]]) -> str:
    """What ran side by side and what waited, in numbers."""
    ran = [one for one in rows if one["outcome"] == "miss"]
    database_ms = sum(one["database_ms"] + one["fetch_ms"] for one in ran)
    began = min(one["started_at"] for one in rows)
    took_ms = max((one["at"] - began).total_seconds() for one in rows) * 1000
    fact = (
        f"{words.counted(len(ran), 'question')} ran in the database for {words.small_ms(database_ms)} together within"
        f" {words.small_ms(took_ms)}."
        if ran
        else "Everything came from the cache."
    )
    waited = max((one["wait_ms"] for one in ran), default=0.0)
    why = f"for one of {current().settings.pool_size} connections, or for a thread"
    because = f" The longest wait was {words.small_ms(waited)}: {why}." if waited else ""
    more = f" The first {BARS_SHOWN} of {len(rows)} are drawn." if len(rows) > BARS_SHOWN else ""
    return f"{fact}{because} | marks where a question began.{more}"


def _alt(rows: list[dict[str, Any]]) -> str:
    return f"Bars of one page run: {words.counted(len(rows), 'question')}. {_said(rows)}"
