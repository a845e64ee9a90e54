"""How large an index becomes and what it costs each write, reckoned from the statistics. HypoPG's own sizes are up to
five times too large."""

from __future__ import annotations

from math import ceil

from queries.performance.advice.candidates import share_of
from queries.performance.advice.catalog import Table
from queries.performance.advice.conditions import Term, conditions
from queries.performance.advice.index import Index

PAGE_BYTES = 8192
_TUPLE_HEADER_BYTES, _LINE_POINTER_BYTES, _ALIGNMENT_BYTES = 8, 4, 8
_FILL, _PAGE_USABLE = 0.9, 8192 - 24 - 16
_BRIN_PAGES_PER_RANGE = 128
# WAL of one index insertion besides the tuple itself; and of what changes a summary or misses a partial index.
_WAL_BYTES, _WAL_BYTES_SMALL = 58, 10
# Six bytes for each further row of the same key, in posting lists of up to about a hundred.
_POSTING_BYTES, _POSTING_ROWS = 6.0, 100.0
_EXPRESSION_BYTES = 16.0


def size_bytes(index: Index, table: Table) -> int:
    """The file's size soon after it was built."""
    if index.method == "brin":
        ranges = ceil(max(table.size_bytes, PAGE_BYTES) / PAGE_BYTES / _BRIN_PAGES_PER_RANGE)
        return (3 + ceil(ranges * 40 / _PAGE_USABLE) - 1) * PAGE_BYTES
    rows = max(table.rows, 0.0) * share_of_rows(index, table)
    leaf = rows * _bytes_a_row(index, table, rows) / (_PAGE_USABLE * _FILL)
    return (1 + ceil(leaf * 1.005 + 0.5)) * PAGE_BYTES


def write_cost_bytes(index: Index, table: Table) -> int:
    """Bytes of write-ahead log that a row more costs, on average."""
    if index.method == "brin":
        return _WAL_BYTES_SMALL
    each = _WAL_BYTES + _tuple_bytes(index, table)
    share = share_of_rows(index, table)
    return max(_WAL_BYTES_SMALL, round(each * share)) if index.where else round(each)


def share_of_rows(index: Index, table: Table) -> float:
    """The share of the table's rows that a partial index holds."""
    share = 1.0
    for text in index.where:
        found = conditions(f"t.{text}")
        term = found[0] if len(found) == 1 and isinstance(found[0], Term) else None
        column = table.columns.get(term.column) if term is not None else None
        if term is None or column is None:
            continue
        if term.kind == "null":
            share *= column.null_fraction if column.null_fraction is not None else 1.0
        elif term.kind == "not_null":
            share *= 1.0 - (column.null_fraction or 0.0)
        else:
            known = share_of(column, term.value)
            if known is not None:
                share *= 1.0 - known if term.operator == "<>" else known
    return share


def _tuple_bytes(index: Index, table: Table) -> float:
    names = [key.column for key in index.keys if key.column] + list(index.include)
    expressions = sum(1 for key in index.keys if not key.column)
    data = sum(table.columns[name].width for name in names if name in table.columns)
    data += expressions * _EXPRESSION_BYTES
    aligned = ceil((_TUPLE_HEADER_BYTES + data) / _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
    return aligned + _LINE_POINTER_BYTES


def _bytes_a_row(index: Index, table: Table, rows: float) -> float:
    whole = _tuple_bytes(index, table)
    if index.include or rows <= 0:  # an index with included columns keeps every row apart
        return whole
    distinct = 1.0
    for key in index.keys:
        known = table.distinct_values(key.column) if key.column in table.columns else None
        distinct *= max(known if known is not None else rows, 1.0)
    together = min(rows / min(distinct, rows), _POSTING_ROWS)
    return whole if together < 2 else _POSTING_BYTES + whole / together
