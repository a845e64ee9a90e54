"""EXPLAIN's JSON as a tree of nodes, each with its own part of time, cost and buffers. Pure, and for PostgreSQL 14 to
18: no key is taken to be there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from queries.performance.plan_shape import CONDITIONS, Printed
from queries.performance.plan_shares import Flat, flattened, number, own_blocks, own_cost, own_ms

_HIT = ("Shared Hit Blocks", "Local Hit Blocks")
_READ = ("Shared Read Blocks", "Local Read Blocks")
_WRITTEN = ("Temp Written Blocks",)
_READS_ALL_FIRST = ("Sort", "Hash", "BitmapAnd", "BitmapOr")
_STRATEGIES = {"Hashed": "Hash", "Sorted": "Group", "Mixed": "Mixed ", "Plain": ""}


@dataclass(frozen=True, slots=True)
class Buffers:
    """Blocks of a node's own: found in memory, read, and written to temporary files."""

    hit: int
    read: int
    temp_written: int


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `number` counts from 1 from the top down, `parent` is 0 for the first. Rows are those of all loops.
    What is only known once it was measured is None in an estimate."""

    number: int
    parent: int
    depth: int
    kind: str
    about: str
    relation: str
    condition: str
    estimated_rows: float
    actual_rows: float | None
    loops: int | None
    own_cost: float
    cost_share: float
    own_ms: float | None
    time_share: float | None
    buffers: Buffers | None
    printed: Printed
    # Less of it was asked for than there is: a LIMIT above, or a join that had seen enough.
    is_cut_short: bool

    @property
    def share(self) -> float:
        """Of the time where it was measured, else of the cost: from 0 to 1."""
        return self.cost_share if self.time_share is None else self.time_share

    @property
    def title(self) -> str:
        return f"{self.kind} {self.about}".strip()


@dataclass(frozen=True, slots=True)
class PlanTree:
    """The nodes from the top down, and the whole."""

    nodes: tuple[Node, ...]
    total_cost: float
    total_ms: float | None
    planning_ms: float | None
    execution_ms: float | None
    jit_ms: float | None
    settings: Mapping[str, str]

    @property
    def is_measured(self) -> bool:
        return self.total_ms is not None

    def shares_with_below(self) -> list[float]:
        """Of each node with all that is under it, in order."""
        found = [one.share for one in self.nodes]
        for one in reversed(self.nodes):
            if one.parent:
                found[one.parent - 1] += found[one.number - 1]
        return found


def plan_tree(document: Printed) -> PlanTree:
    """The tree of the one element that EXPLAIN (FORMAT JSON) prints."""
    flat = flattened(document.get("Plan") or {})
    root = flat[0].printed
    is_measured = number(root, "Actual Loops") > 0 and "Actual Total Time" in root
    costs = own_cost(flat)
    times = own_ms(flat) if is_measured else None
    cost_shares, time_shares = _shares(costs), None if times is None else _shares(times)
    blocks = [own_blocks(flat, keys) for keys in (_HIT, _READ, _WRITTEN)]
    has_blocks = any(key in root for key in (*_HIT, *_READ))
    cut_short = _cut_short(flat)
    nodes = tuple(
        _node(
            one,
            is_cut_short=cut_short[at],
            is_measured=is_measured,
            own_cost=costs[at],
            cost_share=cost_shares[at],
            own_ms=times[at] if times is not None else None,
            time_share=time_shares[at] if time_shares is not None else None,
            buffers=Buffers(*(each[at] for each in blocks)) if has_blocks else None,
        )
        for at, one in enumerate(flat)
    )
    jit = document.get("JIT")
    return PlanTree(
        nodes=nodes,
        total_cost=number(root, "Total Cost"),
        total_ms=number(root, "Actual Total Time") if is_measured else None,
        planning_ms=_known(document, "Planning Time"),
        execution_ms=_known(document, "Execution Time"),
        jit_ms=_known(jit.get("Timing") or {}, "Total") if isinstance(jit, Mapping) else None,
        settings={str(name): str(value) for name, value in (document.get("Settings") or {}).items()},
    )


def _node(one: Flat, *, is_measured: bool, **parts: Any) -> Node:
    printed = one.printed
    loops = round(number(printed, "Actual Loops"))
    return Node(
        number=one.place + 1,
        parent=one.parent + 1,
        depth=one.depth,
        kind=_kind(printed),
        about=_about(printed),
        relation=str(printed.get("Relation Name", "")),
        condition=_condition(printed),
        estimated_rows=number(printed, "Plan Rows") * (max(loops, 1) if is_measured else 1),
        actual_rows=number(printed, "Actual Rows") * loops if is_measured else None,
        loops=loops if is_measured else None,
        printed=printed,
        **parts,
    )


def _cut_short(flat: list[Flat]) -> list[bool]:
    """Below a LIMIT, and where a join stops as soon as it has seen enough: until a node that reads all before it gives
    its first row."""
    cut = [False] * len(flat)
    for one in flat[1:]:
        above = flat[one.parent].printed
        kind = above.get("Node Type")
        is_probed = one.printed.get("Parent Relationship") in ("Inner", "SubPlan")
        stops = above.get("Join Type") in ("Semi", "Anti") or above.get("Inner Unique") is True
        cut[one.place] = (
            kind in ("Limit", "Merge Join")
            or (is_probed and stops)
            or (cut[one.parent] and kind not in _READS_ALL_FIRST and not _is_grouping(above))
        )
    return cut


def _is_grouping(printed: Printed) -> bool:
    return printed.get("Node Type") == "Aggregate" and printed.get("Strategy") in ("Hashed", "Plain", "Mixed")


def _shares(parts: list[float]) -> list[float]:
    """Of the whole; where there is nothing to share, all of it is the first one's."""
    whole = math.fsum(parts)
    return [one / whole for one in parts] if whole > 0 else [1.0, *([0.0] * (len(parts) - 1))]


def _kind(printed: Printed) -> str:
    """As EXPLAIN names it in text: "Parallel Seq Scan", "Hash Left Join", "Partial HashAggregate"."""
    kind = str(printed.get("Node Type", "Node"))
    join = str(printed.get("Join Type", "Inner"))
    if kind == "Aggregate":
        strategy = _STRATEGIES.get(str(printed.get("Strategy", "")), "")
        partial = str(printed.get("Partial Mode", "Simple"))
        kind = f"{'' if partial == 'Simple' else partial + ' '}{strategy}Aggregate"
    elif join != "Inner":
        kind = f"{kind.removesuffix(' Join')} {join} Join"
    if kind.endswith("Scan") and printed.get("Scan Direction") == "Backward":
        kind += " Backward"
    return f"Parallel {kind}" if printed.get("Parallel Aware") is True else kind


def _about(printed: Printed) -> str:
    """What it works on: "using an index on a table"."""
    parts = []
    index = printed.get("Index Name")
    on = next((printed[key] for key in ("Relation Name", "CTE Name", "Function Name") if key in printed), None)
    alias = printed.get("Alias")
    if index is not None:
        parts.append(f"using {index}" if on is not None else f"on {index}")
    if on is not None:
        parts.append(f"on {on}" if alias in (None, on) else f"on {on} as {alias}")
    elif alias is not None and index is None:
        parts.append(f"on {alias}")
    if "Subplan Name" in printed:
        parts.append(f"· {printed['Subplan Name']}")
    return " ".join(parts)


def _condition(printed: Printed) -> str:
    found = [(name, printed[name]) for name in CONDITIONS if name in printed]
    return "; ".join(f"{name}: {', '.join(map(str, one)) if isinstance(one, list) else one}" for name, one in found)


def _known(printed: Printed, name: str) -> float | None:
    return number(printed, name) if name in printed else None
