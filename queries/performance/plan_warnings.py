"""What stands out in a plan, in words: the fact with its numbers, and what to do. Pure.

Thresholds follow PEV2 (https://github.com/dalibo/pev2), which colours a node from 10, 40 and 90 % of the time on and
marks estimates that are off by 10, 100 and 1,000 times and filters that remove more than half; `MIN_ROWS` keeps small
numbers out. The rest follows https://www.postgresql.org/docs/current/using-explain.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from queries.performance.plan_shares import number
from queries.performance.plan_tree import Node, PlanTree

Level = Literal["none", "some", "much", "most"]
Severity = Literal["high", "medium", "low"]
Kind = Literal[
    "estimate",
    "filter",
    "recheck",
    "sort",
    "temporary",
    "heap_fetches",
    "lossy",
    "hash_batches",
    "workers",
    "jit",
    "whole_table",
]

# Shares of the time from which a node counts.
SOME_SHARE, MUCH_SHARE, MOST_SHARE = 0.10, 0.40, 0.90
OFF_TIMES = (10, 100, 1_000)
REMOVED_SHARE = 0.5
MIN_ROWS = 1_000
WHOLE_TABLE_ROWS = 100_000
HEAP_FETCH_SHARE = 0.1
JIT_SHARE, JIT_MS = 0.1, 10.0
_OF_JOIN = "join on a column that can be looked up, so that pairs are not tried one by one"
_WORK_MEM = "give this statement more work_mem, or sort and group fewer or narrower rows"


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """One finding: the node's number (0 for the whole plan), what is so, and what to do about it."""

    kind: Kind
    node: int
    severity: Severity
    fact: str
    advice: str


def level(share: float) -> Level:
    """How much of the whole a node is."""
    if share > MOST_SHARE:
        return "most"
    return "much" if share > MUCH_SHARE else "some" if share > SOME_SHARE else "none"


def plan_warnings(tree: PlanTree) -> list[PlanWarning]:
    """What stands out, the gravest first, then from the top down."""
    order = {"high": 0, "medium": 1, "low": 2}
    found = [one for node in tree.nodes for check in _OF_A_NODE for one in check(node, tree)]
    return sorted([*found, *_jit(tree)], key=lambda one: (order[one.severity], one.node, one.kind))


def times_off(node: Node) -> float:
    """How many times more rows came than were expected; negative for fewer. 1 where nothing was measured."""
    if node.actual_rows is None or not node.loops:
        return 1.0
    estimated, actual = max(node.estimated_rows, 1.0), max(node.actual_rows, 1.0)
    return actual / estimated if actual >= estimated else -estimated / actual


# ---- checks of one node


def _estimate(node: Node, tree: PlanTree) -> Iterator[PlanWarning]:
    off = times_off(node)
    if abs(off) < OFF_TIMES[0] or (off < 0 and node.is_cut_short):
        return
    actual = node.actual_rows or 0.0
    if abs(actual - node.estimated_rows) < MIN_ROWS:
        return
    # Said where the error begins: what stands above inherits it.
    for child in tree.nodes:
        if child.parent == node.number and abs(times_off(child)) >= OFF_TIMES[0] and times_off(child) * off > 0:
            return
    severity: Severity = "high" if abs(off) >= OFF_TIMES[2] else "medium" if abs(off) >= OFF_TIMES[1] else "low"
    what = f"ANALYZE on {node.relation}" if node.relation else "ANALYZE on the tables below it"
    yield PlanWarning(
        "estimate",
        node.number,
        severity,
        f"{actual:,.0f} rows came where {node.estimated_rows:,.0f} were expected: {abs(off):,.0f} times"
        f" {'more' if off > 0 else 'fewer'}",
        f"run {what}; if it stays, extended statistics (CREATE STATISTICS) on the columns of the condition",
    )


def _filter(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    loops, kept = node.loops or 0, node.actual_rows or 0.0
    for key, what in (("Rows Removed by Filter", "the filter"), ("Rows Removed by Join Filter", "the join's filter")):
        removed = number(node.printed, key) * loops
        if removed < MIN_ROWS or removed <= REMOVED_SHARE * (removed + kept):
            continue
        share = removed / (removed + kept)
        advice = _OF_JOIN if "Join" in key else _of_index(node)
        yield PlanWarning(
            "filter",
            node.number,
            "high" if node.share > MUCH_SHARE else "medium" if node.share > SOME_SHARE else "low",
            f"{what} removed {removed:,.0f} of {removed + kept:,.0f} rows ({_percent(share)}) after they were read",
            advice,
        )


def _of_index(node: Node) -> str:
    if node.printed.get("Node Type") == "Subquery Scan":
        return (
            "no index serves a filter that stands outside its view or subquery: narrow what is read inside it, by time"
            " or tenant"
        )
    return f"an index on {node.relation or 'the table'} whose first columns are those of the filter"


def _recheck(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    removed = number(node.printed, "Rows Removed by Index Recheck") * (node.loops or 0)
    kept = node.actual_rows or 0.0
    if removed >= MIN_ROWS and removed > REMOVED_SHARE * (removed + kept):
        yield PlanWarning(
            "recheck",
            node.number,
            "medium",
            f"the index let {removed:,.0f} rows through that the recheck removed; {kept:,.0f} were kept",
            "raise work_mem so that the bitmap keeps single rows, or use an index that tells these rows apart",
        )


def _sort(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    disk_kb = number(node.printed, "Sort Space Used") if node.printed.get("Sort Space Type") == "Disk" else 0.0
    for key in ("Full-sort Groups", "Pre-sorted Groups"):
        group = node.printed.get(key)
        space = group.get("Sort Space Disk") if isinstance(group, dict) else None
        disk_kb += number(space, "Peak Sort Space Used") if isinstance(space, dict) else 0.0
    if disk_kb:
        yield PlanWarning(
            "sort",
            node.number,
            "high" if node.share > MUCH_SHARE else "medium",
            f"the sort did not fit into memory and used {_size(disk_kb)} of disk",
            f"{_WORK_MEM}, or read them in order from an index",
        )


def _temporary(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    disk_kb = number(node.printed, "Disk Usage")
    if node.printed.get("Storage") == "Disk":  # PostgreSQL 18: what a CTE, a window or a Materialize keeps
        disk_kb += number(node.printed, "Maximum Storage")
    if disk_kb:
        yield PlanWarning(
            "temporary",
            node.number,
            "medium",
            f"what it keeps did not fit into memory and used {_size(disk_kb)} of disk",
            _WORK_MEM,
        )


def _heap_fetches(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    # Already the sum of all loops.
    fetched, rows = number(node.printed, "Heap Fetches"), node.actual_rows or 0.0
    if fetched >= MIN_ROWS / 10 and fetched > HEAP_FETCH_SHARE * rows:
        yield PlanWarning(
            "heap_fetches",
            node.number,
            "medium" if node.share > SOME_SHARE else "low",
            f"the index alone did not answer: {fetched:,.0f} rows were looked up in the table all the same",
            f"VACUUM {node.relation or 'the table'}, so that its pages are known to be visible to all",
        )


def _lossy(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    lossy, exact = number(node.printed, "Lossy Heap Blocks"), number(node.printed, "Exact Heap Blocks")
    if lossy:
        yield PlanWarning(
            "lossy",
            node.number,
            "medium",
            f"the bitmap did not fit into memory: {lossy:,.0f} of {lossy + exact:,.0f} blocks were read whole",
            "raise work_mem, or narrow the condition on the index",
        )


def _hash_batches(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    batches = number(node.printed, "Hash Batches")
    if batches > 1:
        yield PlanWarning(
            "hash_batches",
            node.number,
            "medium",
            f"the hash table did not fit into memory and was made in {batches:,.0f} batches by way of disk",
            "raise work_mem (or hash_mem_multiplier), or join fewer rows",
        )


def _workers(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    if "Workers Launched" not in node.printed:
        return
    planned, launched = number(node.printed, "Workers Planned"), number(node.printed, "Workers Launched")
    if launched < planned:
        yield PlanWarning(
            "workers",
            node.number,
            "low",
            f"{launched:,.0f} of {planned:,.0f} planned parallel workers were started",
            "the server was busy, or max_parallel_workers is too low for what runs side by side",
        )


def _whole_table(node: Node, _tree: PlanTree) -> Iterator[PlanWarning]:
    if node.printed.get("Node Type") != "Seq Scan" or node.share <= SOME_SHARE:
        return
    loops = max(1, node.loops or 1)
    removed = number(node.printed, "Rows Removed by Filter") * loops
    kept = node.estimated_rows if node.actual_rows is None else node.actual_rows
    if kept + removed < WHOLE_TABLE_ROWS or removed > REMOVED_SHARE * (kept + removed):
        return
    width = number(node.printed, "Plan Width")
    yield PlanWarning(
        "whole_table",
        node.number,
        "medium" if node.share > MUCH_SHARE else "low",
        f"all of {node.relation or 'the table'} is read and {kept:,.0f} rows of {width:,.0f} bytes are kept,"
        f" {_size(kept * width / 1024)}",
        "no index helps while most rows are needed: ask for a shorter period or fewer columns, or keep the sums of"
        " past days",
    )


_OF_A_NODE: tuple[Callable[[Node, PlanTree], Iterator[PlanWarning]], ...] = (
    *(_estimate, _filter, _recheck, _sort, _temporary, _heap_fetches, _lossy, _hash_batches, _workers, _whole_table),
)


def _jit(tree: PlanTree) -> Iterator[PlanWarning]:
    if tree.jit_ms is None or not tree.execution_ms:
        return
    share = tree.jit_ms / tree.execution_ms
    if share > JIT_SHARE and tree.jit_ms >= JIT_MS:
        yield PlanWarning(
            "jit",
            0,
            "medium" if share > MUCH_SHARE else "low",
            f"compiling the statement (JIT) took {tree.jit_ms:,.0f} of {tree.execution_ms:,.0f} ms ({_percent(share)})",
            "raise jit_above_cost, or switch jit off for this role",
        )


def _percent(share: float) -> str:
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{share * 100:.1f} %"


def _size(kilobytes: float) -> str:
    for unit, size in (("GB", 1024**2), ("MB", 1024)):
        if kilobytes >= size:
            return f"{kilobytes / size:,.1f} {unit}"
    return f"{kilobytes:,.0f} kB"
