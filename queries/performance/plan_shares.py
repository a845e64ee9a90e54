"""What each node of a plan used itself. What a node prints holds what its children did; own parts add up to the whole.

- A child that runs many times prints the average of a run, and one that parallel workers share the average of each.
- An InitPlan or a CTE hangs on one node and is run by the first that reads it: its time is taken from there, and not
  from the node that it hangs on as well.
- Where children print more than their parent used of them (a LIMIT stops them early), they count for what it used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queries.performance.plan_shape import Printed, children

Metric = Mapping[int, float]
_KEPT_RESULT = ("Materialize", "CTE Scan")
_NOT_OF_THIS_NODE = frozenset({"Plans", "Workers"})


@dataclass(slots=True)
class Flat:
    """A node in the order from the top down: the places of its parent and children, how many processes share it, and
    all that it prints of itself."""

    printed: Printed
    place: int
    parent: int
    depth: int
    processes: float
    said: str
    children: list[int] = field(default_factory=list)

    @property
    def is_read_elsewhere(self) -> bool:
        return self.printed.get("Parent Relationship") == "InitPlan"


def flattened(root: Printed) -> list[Flat]:
    """The tree as a list, parents first."""
    flat: list[Flat] = []
    waiting: list[tuple[Printed, int, int, float]] = [(root, -1, 0, 1.0)]
    while waiting:
        printed, parent, depth, processes = waiting.pop()
        place = len(flat)
        flat.append(Flat(printed, place, parent, depth, processes, _said(printed)))
        if parent >= 0:
            flat[parent].children.append(place)
        waiting += [
            (child, place, depth + 1, _processes(printed, child, processes))
            for child in reversed(list(children(printed)))
        ]
    return flat


def number(printed: Printed, name: str) -> float:
    """The number under this key; 0 when there is none."""
    value = printed.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else 0.0


def own_ms(flat: Sequence[Flat]) -> list[float]:
    """Milliseconds on the clock of each node itself: processes that share a node run side by side."""
    used = [
        number(one.printed, "Actual Total Time") * number(one.printed, "Actual Loops") / one.processes for one in flat
    ]
    return _settled(flat, used, _lent(flat, used), runs=None)


def own_cost(flat: Sequence[Flat]) -> list[float]:
    """The planner's cost of each node itself, in its units. The planner charges what is run for others to the node that
    it hangs on."""
    used = [number(one.printed, "Total Cost") for one in flat]
    return _settled(flat, used, {}, runs=[_estimated_runs(flat, one) for one in flat])


def own_blocks(flat: Sequence[Flat], keys: Sequence[str]) -> list[int]:
    """Blocks of each node itself, of all its loops and processes."""
    used = [sum(number(one.printed, key) for key in keys) for one in flat]
    return [round(one) for one in _settled(flat, used, _lent(flat, used), runs=None)]


def _processes(printed: Printed, child: Printed, above: float) -> float:
    """Below a Gather: as many processes as ran the child in each of the Gather's loops."""
    if not str(printed.get("Node Type", "")).startswith("Gather") or child.get("Parent Relationship") == "InitPlan":
        return above
    return above * max(1.0, number(child, "Actual Loops") / max(1.0, number(printed, "Actual Loops")))


def _estimated_runs(flat: Sequence[Flat], one: Flat) -> float:
    """How often the planner expects a node to run for each run of its parent."""
    if one.parent < 0:
        return 1.0
    parent = flat[one.parent]
    relationship = one.printed.get("Parent Relationship")
    if relationship == "SubPlan":
        is_hashed = f"hashed {one.printed.get('Subplan Name')}" in parent.said
        return 1.0 if is_hashed else max(1.0, number(parent.printed, "Plan Rows"))
    is_inner = relationship == "Inner" and parent.printed.get("Node Type") == "Nested Loop"
    if is_inner and one.printed.get("Node Type") not in _KEPT_RESULT:
        outer = next((flat[at].printed for at in parent.children if flat[at] is not one), {})
        return max(1.0, number(outer, "Plan Rows"))
    return 1.0


def _said(printed: Printed) -> str:
    own = {key: one for key, one in printed.items() if key not in _NOT_OF_THIS_NODE}
    return json.dumps(own, ensure_ascii=False, default=str)


# ---- what is read elsewhere: from whose time it is taken

# By the place of who is charged: what is run for it, and how much of that.
Loans = dict[int, dict[int, float]]


def _lent(flat: Sequence[Flat], used: Sequence[float]) -> Loans:
    loans: Loans = {}
    room = {one.place: max(0.0, used[one.place] - math.fsum(used[at] for at in _regular(flat, one))) for one in flat}
    for one in flat:
        if not one.is_read_elsewhere or one.parent < 0:
            continue
        left = used[one.place]
        for payer in _payers(flat, one, room):
            taken = min(left, room[payer])
            if taken > 0:
                room[payer] -= taken
                left -= taken
                loans.setdefault(payer, {})[one.place] = taken
    return loans


def _regular(flat: Sequence[Flat], one: Flat) -> list[int]:
    return [at for at in one.children if not flat[at].is_read_elsewhere]


def _payers(flat: Sequence[Flat], lent: Flat, room: Mapping[int, float]) -> list[int]:
    """Who may have run it: those that name it, and what they stand under (a Gather evaluates it before its workers
    start), up to the node that it hangs on."""
    inside = _below(flat, lent.place)
    around = [at for at in _below(flat, lent.parent) if at not in inside]
    marks = _marks(lent.printed)
    readers = [at for at in around if any(mark in flat[at].said for mark in marks)]
    if not str(lent.printed.get("Subplan Name", "")).startswith("CTE "):
        readers = readers[:1]
    ordered = sorted(readers, key=lambda at: (-room[at], at))
    for reader in readers:
        at = flat[reader].parent if reader != lent.parent else -1
        while at >= lent.parent:
            ordered.append(at)
            at = flat[at].parent
    return list(dict.fromkeys([*ordered, lent.parent]))


def _below(flat: Sequence[Flat], place: int) -> set[int]:
    """A node and all under it: they follow it without a gap."""
    end = place + 1
    while end < len(flat) and flat[end].depth > flat[place].depth:
        end += 1
    return set(range(place, end))


def _marks(lent: Printed) -> list[str]:
    """How other nodes name it: `InitPlan 1 (returns $0)` until PostgreSQL 16, `(InitPlan 1).col1` since."""
    name = str(lent.get("Subplan Name", ""))
    if name.startswith("CTE "):
        return [f'"CTE Name": {json.dumps(name.removeprefix("CTE "), ensure_ascii=False)}']
    returned = name.partition("(returns ")[2].removesuffix(")")
    return [one.strip() for one in returned.split(",")] if returned else [f"({name})."] if name else []


# ---- own parts


def _settled(flat: Sequence[Flat], used: Sequence[float], loans: Loans, *, runs: Sequence[float] | None) -> list[float]:
    """From the top down, a node's part is divided between itself, what it ran for its needs elsewhere, and its
    children. All of the first one's is given out: own parts add up to it."""
    own = [0.0] * len(flat)
    lenders = {lent for each in loans.values() for lent in each}
    received = dict.fromkeys(lenders, 0.0)
    owed = {lent: sum(lent in each for each in loans.values()) for lent in lenders}
    ready = [(0, used[0])]
    settled: set[int] = set()
    while ready or (waiting := sorted(lenders - settled)):
        # Two that read each other are no plan of PostgreSQL's; the first of them is settled as it stands.
        place, part = ready.pop() if ready else (waiting[0], received[waiting[0]])
        settled.add(place)
        factor = part / used[place] if used[place] > 0 else 0.0
        for lent, amount in loans.get(place, {}).items():
            if lent in settled:
                continue
            received[lent] += amount * factor
            owed[lent] -= 1
            part -= amount * factor
            if owed[lent] == 0:
                ready.append((lent, received[lent]))
        part = max(0.0, part)
        below = {at: used[at] * factor * (runs[at] if runs else 1) for at in flat[place].children if at not in lenders}
        together = math.fsum(below.values())
        scale = part / together if together > part else 1.0
        ready += [(at, amount * scale) for at, amount in below.items()]
        own[place] = max(0.0, part - math.fsum(amount * scale for amount in below.values()))
    return own
