"""Two plans of one statement: which nodes are the same, which changed, came and went. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from queries.performance.plan_shape import node_shape
from queries.performance.plan_tree import Node, PlanTree

Mark = Literal["same", "changed", "only here"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A mark for each node of either plan, in order, and the differences in words."""

    before: tuple[Mark, ...]
    after: tuple[Mark, ...]
    sentences: tuple[str, ...]


def compared(before: PlanTree, after: PlanTree) -> Comparison:
    """The differences in shape; estimates and times are left to the eye."""
    left: list[Mark] = ["only here"] * len(before.nodes)
    right: list[Mark] = ["only here"] * len(after.nodes)
    changed: list[tuple[int, int]] = []
    alone_left: list[int] = []
    alone_right: list[int] = []
    for tag, i, j, k, m in _matched(before.nodes, after.nodes):
        if tag == "equal":
            left[i:j] = right[k:m] = ["same"] * (j - i)
        else:
            alone_left += range(i, j)
            alone_right += range(k, m)
    for at in alone_left:
        other = next((one for one in alone_right if _is_same_place(before.nodes[at], after.nodes[one])), None)
        if other is not None:
            alone_right.remove(other)
            changed.append((at, other))
            left[at] = right[other] = "changed"
    return Comparison(tuple(left), tuple(right), tuple(_sentences(before, after, left, right, changed)))


def _matched(left: Sequence[Node], right: Sequence[Node]) -> list[tuple[str, int, int, int, int]]:
    a, b = ([json.dumps(node_shape(one.printed), sort_keys=True) for one in nodes] for nodes in (left, right))
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _is_same_place(one: Node, other: Node) -> bool:
    """What does the same work in another way: the same table under the same name, or else the same kind of node."""
    names = [(node.relation, str(node.printed.get("Alias", ""))) for node in (one, other)]
    if any(relation for relation, _ in names):
        return names[0] == names[1]
    kinds = [str(node.printed.get("Node Type", "")) for node in (one, other)]
    return kinds[0] == kinds[1] or all(kind in _JOINS for kind in kinds)


_JOINS = frozenset({"Nested Loop", "Hash Join", "Merge Join"})


def _sentences(
    before: PlanTree, after: PlanTree, left: Sequence[Mark], right: Sequence[Mark], changed: list[tuple[int, int]]
) -> Iterator[str]:
    for at, other in changed:
        one, two = before.nodes[at], after.nodes[other]
        if one.title != two.title:
            yield f"#{one.number} {one.title} became #{two.number} {two.title}"
        else:
            yield f"#{one.number} {one.title} has another condition, place or way as #{two.number}"
    gone = [f"#{one.number} {one.title}" for one, mark in zip(before.nodes, left, strict=True) if mark == "only here"]
    new = [f"#{one.number} {one.title}" for one, mark in zip(after.nodes, right, strict=True) if mark == "only here"]
    if gone:
        yield f"Gone: {', '.join(gone)}"
    if new:
        yield f"New: {', '.join(new)}"
