"""The planner's cost of a plan, corrected where it is known to be far from the clock.

Five things it does not know: that matches may lie unevenly under a LIMIT (`planner.careful_cost`), and that the first
rows under one lie each in a page of its own, however often all of them would meet in the same; that an index's second
column may lie in the table's order, so that a tenant's newest rows share pages; that the rows of a partial index are
scattered although its key is in order; and that a row looked up for each row of a join is in memory, with its index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from queries.performance.advice.candidates import share_of
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.conditions import Term, conditions
from queries.performance.advice.index import Index
from queries.performance.advice.planner import Node, careful_cost, stopped_scan
from queries.performance.advice.sizes import PAGE_BYTES

_IN_ORDER = 0.9
# A row's own work, a page read in order, a row fetched from a page of its own that is in memory.
_ROW_COST, _PAGE_COST, _SCATTERED_COST = 0.02, 1.0, 0.25
# Of the cost of looking up one row, what its page in the table is overrated by: three quarters of about half.
_LOOKUP_OVERRATED, _LOOKUP_ROWS = 0.375, 2.0
# A page of its own again, where the planner counts a part of it already.
_FIRST_ROWS_COST = 0.125


def corrected_cost(top: Node, tables: Mapping[Relation, Table], indexes: Mapping[str, Index]) -> float:
    """`indexes` are those that are not there, by the name in the plan; those that are there, the tables know."""
    return max(careful_cost(top) + sum(_corrections(top, 1.0, tables, indexes)), 0.01)


def _corrections(
    node: Node, loops: float, tables: Mapping[Relation, Table], indexes: Mapping[str, Index]
) -> Iterator[float]:
    if node["Node Type"] == "Limit" and (scan := stopped_scan(node)) is not None:
        yield loops * _of_first_rows(node, scan, tables, indexes)
        return  # what is below is stopped before its cost is due
    table = tables.get((str(node.get("Schema", "")), str(node.get("Relation Name", ""))))
    if table is not None and node["Node Type"] in ("Index Scan", "Bitmap Heap Scan"):
        yield loops * (_of_lookup(node) if loops > 1 and _is_lookup(node) else _of_scan(node, table, indexes))
    children = node.get("Plans", ())
    for place, child in enumerate(children):
        times = loops
        if child.get("Parent Relationship") == "SubPlan":
            times *= max(float(node["Plan Rows"]), 1.0)
        elif node["Node Type"] == "Nested Loop" and place > 0:
            times *= max(float(children[0]["Plan Rows"]), 1.0)
        yield from _corrections(child, times, tables, indexes)


def _is_lookup(node: Node) -> bool:
    return node["Node Type"] == "Index Scan" and float(node["Plan Rows"]) <= _LOOKUP_ROWS


def _of_lookup(node: Node) -> float:
    return _LOOKUP_OVERRATED * (float(node["Startup Cost"]) - float(node["Total Cost"]))


def _of_scan(node: Node, table: Table, indexes: Mapping[str, Index]) -> float:
    reader = node["Plans"][0] if node["Node Type"] == "Bitmap Heap Scan" else node
    index = _index_of(reader, table, indexes)
    rows, pages = float(reader["Plan Rows"]), max(table.size_bytes / PAGE_BYTES, 1.0)
    if index is None or index.method != "btree":
        return 0.0
    if index.where:
        return _SCATTERED_COST * min(rows, pages)
    share = _share_in_order(reader, index, table, rows)
    if share is None:
        return 0.0
    reading = float(reader["Total Cost"]) if reader is not node else rows * _ROW_COST / 2
    least = reading + rows * _ROW_COST + min(share, 1.0) * pages * _PAGE_COST
    return min(0.0, least - float(node["Total Cost"]))


def _of_first_rows(limit: Node, scan: Node, tables: Mapping[Relation, Table], indexes: Mapping[str, Index]) -> float:
    table = tables.get((str(scan.get("Schema", "")), str(scan.get("Relation Name", ""))))
    index = _index_of(scan, table, indexes) if table is not None and scan["Node Type"] == "Index Scan" else None
    if table is None or index is None:
        return 0.0
    column = table.columns.get(index.keys[0].column)
    if column is not None and abs(column.correlation or 0.0) >= _IN_ORDER:
        return 0.0
    taken = min(1.0, float(limit["Plan Rows"]) / max(float(limit["Plans"][0]["Plan Rows"]), 1.0))
    return _FIRST_ROWS_COST * min(taken * float(scan["Plan Rows"]), table.size_bytes / PAGE_BYTES)


def _index_of(reader: Node, table: Table, indexes: Mapping[str, Index]) -> Index | None:
    name = str(reader.get("Index Name", ""))
    return indexes.get(name) or next((one.index for one in table.indexes if one.name == name), None)


def _share_in_order(reader: Node, index: Index, table: Table, rows: float) -> float | None:
    """The share of the table within which the rows lie, where first keys are held equal and the next, in a range, is in
    the table's order; None elsewhere."""
    terms = [one for one in conditions(str(reader.get("Index Cond", ""))) if isinstance(one, Term)]
    shares = []
    for place, key in enumerate(index.keys):
        mine = [one for one in terms if key.column and one.column == key.column]
        column = table.columns.get(key.column)
        if column is None:
            return None
        if mine and mine[0].kind == "eq" and mine[0].value:
            distinct = max(table.distinct_values(key.column) or 1.0, 1.0)
            known = share_of(column, mine[0].value)
            shares.append(known if known is not None else 1.0 / distinct)
            continue
        is_in_order = abs(column.correlation or 0.0) >= _IN_ORDER
        if place == 0 or not is_in_order or not any(one.kind == "range" for one in mine):
            return None
        return rows / max(table.rows, 1.0) / max(math.prod(shares), 1e-9)
    return None
