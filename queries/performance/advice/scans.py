"""What each scan of a plan looks for: conditions, joins, the order and the columns that the nodes above it want.

EXPLAIN is the one place where views are opened, conditions pushed down and aliases resolved; so what a scan looks for
is read from there, with the names of the base tables behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.conditions import (
    Condition,
    Either,
    SortTerm,
    Term,
    conditions,
    references,
    sort_term,
    unquoted,
)
from queries.performance.advice.index import Key
from queries.performance.advice.planner import Node, nodes

_OWN_CONDITIONS = ("Index Cond", "Recheck Cond", "Filter")
_JOIN_CONDITIONS = ("Hash Cond", "Merge Cond", "Join Filter")
_KEEPS_COLUMNS = {
    *("Sort", "Incremental Sort", "Limit", "Hash", "Materialize", "Memoize", "Unique", "LockRows", "Append"),
    *("Merge Append", "Gather", "Gather Merge"),
}
_LETS_THROUGH = {
    "Sort",
    "Incremental Sort",
    "Subquery Scan",
    "Result",
    "Gather",
    "Gather Merge",
    "LockRows",
    "Nested Loop",
}
_PRINTED = (*_JOIN_CONDITIONS, "Filter", "Index Cond", "One-Time Filter")


@dataclass(slots=True)
class Scan:
    """One relation read in a plan. `terms` must all hold; of each `either`, one arm; `joins` hold with others.
    `sort_cost` is what a sort above it, and all between, add to its cost."""

    relation: Relation
    alias: str
    node: Node
    terms: list[Term] = field(default_factory=list)
    either: list[Either] = field(default_factory=list)
    joins: list[Term] = field(default_factory=list)
    orders: list[tuple[Key, ...]] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    has_limit: bool = False
    limit_rows: float = 0.0
    rows_out: float = 0.0
    loops: float = 1.0
    sort_cost: float = 0.0
    other_rows: float = 1.0

    @property
    def cost(self) -> float:
        return float(self.node["Total Cost"])

    @property
    def total_cost(self) -> float:
        """Over all the times that it runs."""
        return self.cost * self.loops


def relations(top: Node) -> set[Relation]:
    """(schema, name) of each relation that a plan reads."""
    found = set()
    stack = [top]
    while stack:
        node = stack.pop()
        stack.extend(node.get("Plans", ()))
        if "Relation Name" in node:
            found.add((str(node.get("Schema", "")), str(node["Relation Name"])))
    return found


def scans(top: Node, tables: Mapping[Relation, Table]) -> list[Scan]:
    """The scans of a plan, from the top."""
    found: list[Scan] = []
    _walk(top, (), tables, found)
    # A nested loop has its condition in the inner scan.
    printed = [node[key] for node in nodes(top) for key in (*_JOIN_CONDITIONS, *_OWN_CONDITIONS) if key in node]
    outside = [one for text in printed for one in conditions(text) if isinstance(one, Term) and one.is_outside]
    used = {reference for text in printed for reference in references(text)}
    for scan in found:
        mine = _columns_only([one for one in outside if one.alias == scan.alias])
        scan.joins = [one for one in dict.fromkeys(mine) if one not in scan.terms]
        scan.needed |= {column for alias, column in used if alias == scan.alias} & set(tables[scan.relation].columns)
    return found


def _walk(node: Node, above: tuple[Node, ...], tables: Mapping[Relation, Table], found: list[Scan]) -> None:
    if "Relation Name" in node and "Alias" in node and node["Node Type"] != "ModifyTable":
        relation = (str(node.get("Schema", "")), str(node["Relation Name"]))
        if relation in tables:
            found.append(_scan(node, above, relation, tables[relation]))
    for child in node.get("Plans", ()):
        _walk(child, (*above, node), tables, found)


def _scan(node: Node, above: Sequence[Node], relation: Relation, table: Table) -> Scan:
    scan = Scan(relation, str(node["Alias"]), node)
    for key in _OWN_CONDITIONS:
        for one in conditions(node[key]) if key in node else ():
            _put(scan, one, table)
    scan.terms = list(dict.fromkeys(scan.terms))
    scan.needed = {column for column in _needed(node, above, scan.alias) if column in table.columns}
    names = {scan.alias, *_aliases_above(node, above)}
    parallel = max((int(one.get("Workers Planned", 0)) for one in above), default=0)
    # The planner's divisor: the leader helps less the more workers it has to read from.
    workers = parallel + max(0.0, 1.0 - 0.3 * parallel) if node.get("Parallel Aware") and parallel else 1.0
    scan.rows_out = round(float(node["Plan Rows"]) * workers)
    _put_limit(scan, node, above)
    scan.loops, scan.other_rows = _loops((*above, node)), _other_rows((*above, node))
    for parent in above:
        if "Sort Key" in parent:
            _add_order(scan, [sort_term(key) for key in parent["Sort Key"]], names, table)
        if "Group Key" in parent:
            _add_group(scan, [sort_term(key) for key in parent["Group Key"]], names, table)
    return scan


def _put_limit(scan: Scan, node: Node, above: Sequence[Node]) -> None:
    """A LIMIT that would stop the scan, if only it came in order: nothing between has to see every row but a sort."""
    sort_cost, child = 0.0, node
    for parent in reversed(above):
        is_inner = parent["Node Type"] == "Nested Loop" and child is not parent["Plans"][0]
        if parent["Node Type"] == "Limit":
            scan.has_limit, scan.limit_rows, scan.sort_cost = True, float(parent["Plan Rows"]), sort_cost
            return
        if parent["Node Type"] not in _LETS_THROUGH or is_inner:
            return
        if parent["Node Type"] == "Sort":
            sort_cost = max(float(parent["Total Cost"]) - scan.cost, 0.0)
        child = parent


def _loops(path: Sequence[Node]) -> float:
    """How often the last node of a path runs: once for each outer row of a nested loop or of a subplan's parent."""
    loops = 1.0
    for parent, child in pairwise(path):
        if child.get("Parent Relationship") == "SubPlan":
            loops *= max(float(parent["Plan Rows"]), 1.0)
        elif parent["Node Type"] == "Nested Loop" and child is not parent["Plans"][0]:
            loops *= max(float(parent["Plans"][0]["Plan Rows"]), 1.0)
        elif parent["Node Type"] in ("Materialize", "Memoize", "Hash"):
            loops = 1.0
    return loops


def _other_rows(path: Sequence[Node]) -> float:
    """Rows of the other side of the nearest join: how often an index on the join's column would be looked into."""
    for parent, child in reversed(list(pairwise(path))):
        sides = parent.get("Plans", ())
        if parent["Node Type"] in ("Hash Join", "Merge Join", "Nested Loop") and len(sides) == 2:
            return float(next(one for one in sides if one is not child)["Plan Rows"])
    return 1.0


def _put(scan: Scan, condition: Condition, table: Table) -> None:
    if isinstance(condition, Either):
        arms = tuple(tuple(_columns_only(arm, table)) for arm in condition.arms)
        if all(arms):
            scan.either.append(Either(arms))
        return
    for term in _columns_only([condition], table):
        if term.alias == scan.alias:
            scan.terms.append(term)


def _columns_only(terms: Sequence[Term], table: Table | None = None) -> list[Term]:
    """varchar's cast to text undone: an index on the column serves it."""
    return [
        replace(term, column=term.cast_column, expression="", cast_column="")
        if term.cast_column
        and table is not None
        and term.cast_column in table.columns
        and table.columns[term.cast_column].type.startswith("character varying")
        else term
        for term in terms
    ]


def _needed(node: Node, above: Sequence[Node], alias: str) -> set[str]:
    """Columns of a scan that anything above it or its own conditions use.

    A scan prints more columns than are wanted where that is cheaper to hand on (a whole row), so its own output counts
    only where nothing above it chooses.
    """
    ours = (alias, "")
    wanted = {column for key in _PRINTED if key in node for of, column in references(str(node[key])) if of in ours}
    chooser = next((one for one in reversed(above) if one["Node Type"] not in _KEEPS_COLUMNS), None)
    is_subplan = chooser is None or _is_boundary(node, above)
    hands_on = any(one["Node Type"] in ("Sort", "Incremental Sort", "Hash", "Materialize") for one in above)
    if is_subplan or (chooser is not None and chooser["Node Type"] == "Subquery Scan"):
        return wanted | {column for line in node.get("Output", ()) for of, column in references(line) if of in ours}
    for one in above:
        for line in _lines(one):
            wanted |= {column for of, column in references(line) if of in ours}
    if hands_on and not wanted:
        wanted |= {column for line in node.get("Output", ()) for of, column in references(line) if of in ours}
    return wanted


def _is_boundary(node: Node, above: Sequence[Node]) -> bool:
    """Whether nothing between the scan and its own (sub)plan's root chooses columns."""
    for one in (node, *reversed(above)):
        if one.get("Parent Relationship") in ("SubPlan", "InitPlan", "Subquery"):
            return True
        if one is not node and one["Node Type"] not in _KEEPS_COLUMNS:
            return False
    return True


def _lines(node: Node) -> Iterator[str]:
    if node["Node Type"] not in _KEEPS_COLUMNS:
        yield from node.get("Output", ())
    for key in (*_PRINTED, "Sort Key", "Group Key", "Presorted Key"):
        value = node.get(key, ())
        yield from [value] if isinstance(value, str) else value


def _aliases_above(node: Node, above: Sequence[Node]) -> list[str]:
    """Names of the views that hand this scan's rows on as they are."""
    names = []
    below = node
    for one in reversed(above):
        if one["Node Type"] == "Subquery Scan" and "Alias" in one:
            names.append(str(one["Alias"]))
        elif one["Node Type"] not in _KEEPS_COLUMNS and one.get("Plans", (below,))[0] is not below:
            break
        below = one
    return names


def _add_order(scan: Scan, terms: Sequence[SortTerm], names: set[str], table: Table) -> None:
    keys = []
    for term in terms:
        if term.alias not in names or term.column not in table.columns:
            break
        keys.append(order_key(term.column, descending=term.descending, nulls_first=term.nulls_first))
    if keys and tuple(keys) not in scan.orders:
        scan.orders.append(tuple(keys))


def _add_group(scan: Scan, terms: Sequence[SortTerm], names: set[str], table: Table) -> None:
    columns = tuple(term.column for term in terms)
    if all(term.alias in names and term.column in table.columns for term in terms) and columns not in scan.groups:
        scan.groups.append(columns)


def order_key(column: str, *, descending: bool, nulls_first: bool) -> Key:
    """A key of this order."""
    return Key(column, descending=descending, nulls_first=None if nulls_first == descending else nulls_first)


def alias_matches(scan: Scan, qualifier: str, table: Table) -> bool:
    """Whether a qualifier in the text may mean this scan."""
    return qualifier in ("", scan.alias, table.name, unquoted(scan.alias))
