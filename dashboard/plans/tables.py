"""The tables of the Plan page: nodes, statements, plans of a statement, and two plans beside each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import words
from dashboard.figures.plan import LEVEL_WORDS
from dashboard.plans.compare import Mark
from dashboard.tables.cells import clicked_row, static_table, time_column
from queries.performance.plan_keeping import KeptPlan
from queries.performance.plan_tree import Node, PlanTree
from queries.performance.plan_warnings import Level, level

# Behind the shares, on both themes; the words beside them say the same.
_BEHIND: dict[Level, str] = {
    "none": "",
    "some": "background-color: rgba(201, 133, 0, 0.22)",
    "much": "background-color: rgba(213, 94, 0, 0.36)",
    "most": "background-color: rgba(213, 94, 0, 0.60)",
}
_MARKED = "background-color: rgba(58, 151, 206, 0.26)"
_INDENT, _BRANCH, _DEEPEST = "\u00a0\u00a0\u00a0", "└ ", 12
_PLANS_NAMED = 8
_WEIGHT = 0.01


def node_name(node: Node) -> str:
    """ "#3 └ Index Scan using ...", as deep as it stands."""
    deep = min(node.depth, _DEEPEST)
    return f"{_INDENT * max(0, deep - 1)}{_BRANCH if deep else ''}{words.one_line(node.title)}  #{node.number}"


def of_weight(tree: PlanTree, named: Collection[int] = ()) -> list[Node]:
    """The nodes that are worth a row: with what is under them at least 1 % of the whole, or `named` by a warning, and
    all that these stand under."""
    below = tree.shares_with_below()
    kept = {1}
    for one in tree.nodes:
        if below[one.number - 1] >= _WEIGHT or one.number in named:
            at = one.number
            while at and at not in kept:
                kept.add(at)
                at = tree.nodes[at - 1].parent
    return [one for one in tree.nodes if one.number in kept]


def nodes(tree: PlanTree, chosen: Sequence[Node], *, key: str) -> None:
    """These nodes from the top down, each with its own part, rows and blocks."""
    unit = "time" if tree.is_measured else "cost"
    shown = {
        "share": [_share(one) for one in chosen],
        "node": [node_name(one) for one in chosen],
        "own": [_own(one) for one in chosen],
        "rows": [None if one.actual_rows is None else round(one.actual_rows) for one in chosen],
        "expected": [round(one.estimated_rows) for one in chosen],
        "loops": [one.loops for one in chosen],
        "hit": [None if one.buffers is None else one.buffers.hit for one in chosen],
        "read": [None if one.buffers is None else one.buffers.read for one in chosen],
        "written": [None if one.buffers is None else one.buffers.temp_written for one in chosen],
        "condition": [words.one_line(one.condition) if one.condition else None for one in chosen],
    }
    if not tree.is_measured:
        for name in ("rows", "loops", "hit", "read", "written"):
            del shown[name]
    frame = pd.DataFrame(shown)
    for name in ("rows", "loops", "hit", "read", "written"):
        if name in frame:
            frame[name] = frame[name].astype("Int64")
    config, number = st.column_config, _number
    static_table(
        _coloured(frame, "share", [_BEHIND[level(one.share)] for one in chosen]),
        key=key,
        columns={
            "share": config.TextColumn(f"Share of {unit}", width=124, help=_share_help(unit)),
            "node": config.TextColumn("Node", width=430, help="The first is run last; # is its number."),
            "own": config.TextColumn(f"Own {unit}", alignment="right", width=86, help=_own_help(unit)),
            "rows": number("Rows", 82, "Rows that came, of all loops."),
            "expected": number("Expected", 82, "Rows that the planner expected, of all loops."),
            "loops": number("Loops", 66, "How often it was run, by all processes."),
            "hit": number("In memory", 86, "Blocks of 8 kB of this node alone, found in PostgreSQL's memory."),
            "read": number("Read", 70, "Blocks of this node alone, read from the disk or the system's cache."),
            "written": number("Written", 74, "Blocks of temporary files that this node alone wrote."),
            "condition": config.TextColumn("Condition", width=520),
        },
        alt="Nodes of the plan from the top down, each with its own share, rows and conditions",
    )


def beside(tree: PlanTree, marks: Sequence[Mark], *, key: str) -> None:
    """One of two plans: its nodes, what is different, and their shares."""
    frame = pd.DataFrame(
        {
            "node": [node_name(one) for one in tree.nodes],
            "mark": [None if one == "same" else one for one in marks],
            "share": [_share(one) for one in tree.nodes],
            "condition": [words.one_line(one.condition) if one.condition else None for one in tree.nodes],
        }
    )
    config = st.column_config
    static_table(
        _coloured(frame, "mark", ["" if one == "same" else _MARKED for one in marks]),
        key=key,
        columns={
            "node": config.TextColumn("Node", width=300),
            "mark": config.TextColumn("Difference", width=90),
            "share": config.TextColumn("Own part", width=112),
            "condition": config.TextColumn("Condition", width=420),
        },
        alt="Nodes of one of two plans, with what is different",
    )


def plans(
    found: Sequence[KeptPlan], times: Mapping[str, tuple[int, float, float]], shown: str, *, zone: str, key: str
) -> str | None:
    """The plans of a statement, the one seen last first; the one whose row was clicked."""
    taken = [times.get(one.plan_hash) for one in found]
    frame = pd.DataFrame(
        {
            "plan": [one.plan_hash[:_PLANS_NAMED] for one in found],
            "is": ["shown above" if one.plan_hash == shown else None for one in found],
            "first": [one.first_seen_at for one in found],
            "last": [one.last_seen_at for one in found],
            "calls": pd.array([one[0] if one is not None else 0 for one in taken], dtype="Int64"),
            "p50": [words.small_ms(one[1]) if one is not None else None for one in taken],
            "p95": [words.small_ms(one[2]) if one is not None else None for one in taken],
        }
    )
    config = st.column_config
    row = clicked_row(
        frame,
        key=key,
        columns={
            "plan": config.TextColumn("Plan", width=90, pinned=True, help="The digest of its shape, without values."),
            "is": config.TextColumn("", width=94),
            "first": time_column("First seen", zone),
            "last": time_column("Last seen", zone),
            "calls": _number("Runs", 70, "In the database, from when it was first seen until the next one was."),
            "p50": config.TextColumn("p50", alignment="right", width=76),
            "p95": config.TextColumn("p95", alignment="right", width=76),
        },
        alt="Plans of this statement with when each was seen and how long runs took since",
    )
    return None if row is None else found[row].plan_hash


def statements(frame: pd.DataFrame, counts: Mapping[str, int], *, zone: str, key: str) -> str | None:
    """The statements that were run; the fingerprint of the one that was clicked."""
    shown = pd.DataFrame(
        {
            "query": [words.one_line(one) for one in frame["query"]],
            "p95": [words.small_ms(one) for one in frame["p95_ms"]],
            "p50": [words.small_ms(one) for one in frame["p50_ms"]],
            "slowest": [words.small_ms(one) for one in frame["slowest_ms"]],
            "calls": frame["calls"],
            "plans": [counts.get(one, 0) for one in frame["fingerprint"]],
            "last": frame["last_at"],
            "fingerprint": frame["fingerprint"],
        }
    )
    config = st.column_config
    row = clicked_row(
        shown,
        key=key,
        columns={
            "query": config.TextColumn("Question", width=220, pinned=True),
            "p95": config.TextColumn("p95", alignment="right", width=80, help="In the database, rows fetched."),
            "p50": config.TextColumn("p50", alignment="right", width=80),
            "slowest": config.TextColumn("Slowest", alignment="right", width=80),
            "calls": _number("Runs", 70, "Answers from a cache are none."),
            "plans": _number("Plans", 70, "How many different plans are kept."),
            "last": time_column("Last run", zone),
            "fingerprint": config.TextColumn("Statement", width=150, help="The digest of its text without values."),
        },
        alt="Statements that were run, the slowest first, with times, runs and plans",
    )
    return None if row is None else str(frame["fingerprint"].iloc[row])


def _share(node: Node) -> str:
    said = LEVEL_WORDS[level(node.share)]
    return f"{words.percent(node.share)}{' ·' if said else ''} {said}".strip()


def _own(node: Node) -> str:
    return words.small_ms(node.own_ms) if node.own_ms is not None else f"{node.own_cost:,.1f}"


def _share_help(unit: str) -> str:
    return f"The node's own part of the whole {unit}, its children's left out; coloured from 10, 40 and 90 % on."


def _own_help(unit: str) -> str:
    return (
        "Milliseconds of this node alone."
        if unit == "time"
        else "In the planner's units; reading a page in order is 1."
    )


def _number(name: str, width: int, about: str | None = None) -> Any:
    return st.column_config.NumberColumn(name, format="localized", width=width, help=about)


def _coloured(frame: pd.DataFrame, column: str, styles: Sequence[str]) -> Any:
    return frame.style.apply(lambda _: list(styles), subset=[column], axis=0)
