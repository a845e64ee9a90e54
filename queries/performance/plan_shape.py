"""The shape of a plan: how it is carried out and on what, without estimates, times and the values of conditions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Printed = Mapping[str, Any]

# What tells one plan from another.
_SHAPE = (
    *("Node Type", "Parent Relationship", "Strategy", "Partial Mode", "Operation", "Join Type", "Command"),
    *("Subplan Name", "Schema", "Relation Name", "Alias", "Index Name", "Scan Direction", "CTE Name"),
    *("Function Name", "Single Copy", "Inner Unique", "Parallel Aware", "Async Capable"),
)
CONDITIONS = (
    *("Index Cond", "Recheck Cond", "TID Cond", "Order By", "Filter", "One-Time Filter", "Join Filter", "Hash Cond"),
    *("Merge Cond", "Sort Key", "Presorted Key", "Group Key", "Cache Key", "Window", "Run Condition"),
)
_NAME = r'"(?:[^"]|"")*"'
_STRING = re.compile(rf"({_NAME})|[EB]?'(?:[^']|'')*'")
_NUMBER = re.compile(rf"({_NAME})|(?<![\w.])(?:\$\d+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?!\w)")
_TYPE = rf"(?:{_NAME}|\w+)(?:\.(?:{_NAME}|\w+))?"
_CAST = re.compile(
    rf"(?:\?|\bNULL)::{_TYPE}(?: varying| precision)?(?:\([\d?, ]+\))?(?: with(?:out)? time zone)?(?:\[\])*"
)
_LIST = re.compile(r"ARRAY\[\?(?:, \?)*\]")


def plan_hash(document: Printed) -> str:
    """The digest of the plan's shape: the same statement has the same one with other values, until it is carried out
    in another way."""
    shape = json.dumps(_shape(document.get("Plan") or {}), sort_keys=True)
    return hashlib.blake2b(shape.encode(), digest_size=8).hexdigest()


def node_shape(printed: Printed) -> dict[str, Any]:
    """What tells this node from another, without its children."""
    kept: dict[str, Any] = {name: printed[name] for name in _SHAPE if name in printed}
    return kept | {name: _without_values(printed[name]) for name in CONDITIONS if name in printed}


def without_values(condition: str) -> str:
    """The condition with each constant, and each list of them, as `?`."""
    text = _STRING.sub(lambda found: found.group(1) or "?", condition)
    text = _NUMBER.sub(lambda found: found.group(1) or "?", text)
    return _LIST.sub("?", _CAST.sub("?", text))


def children(printed: Printed) -> Iterator[Printed]:
    """The nodes below, as they are printed."""
    yield from (one for one in printed.get("Plans") or () if isinstance(one, Mapping))


def _shape(root: Printed) -> list[Any]:
    """The nodes from the top down with their depths; without recursion, as a plan may be of any depth."""
    found: list[Any] = []
    waiting = [(0, root)]
    while waiting:
        depth, printed = waiting.pop()
        found.append((depth, node_shape(printed)))
        waiting += [(depth + 1, one) for one in reversed(list(children(printed)))]
    return found


def _without_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_values(one) for one in value]
    return without_values(value) if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
