"""Which of our statements search a table of theirs, though they may know it and its columns by other names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from queries.mapping import Mapping, TableMapping
from queries.mapping.selects import plain_columns, tables_read
from queries.tables import wall_name


def searches(sql: str, mapping: Mapping, table: str, columns: Sequence[str]) -> bool:
    """Whether a statement of ours, as it was sent, reads the table, and names each of these columns of it."""
    if _names(sql, table) and all(_names(sql, column) for column in columns):
        return True
    return any(
        _names(sql, wall_name(logical)) and all(_names(sql, one) for one in _shown(mapping.tables[logical], columns))
        for logical in _behind(mapping, table)
    )


def _behind(mapping: Mapping, table: str) -> Iterator[str]:
    """The logical tables that are read from this one of theirs."""
    for logical, one in mapping.tables.items():
        if table in _read_for(one):
            yield logical
    if mapping.derives_ledger and table in _read_for(mapping.tables["generation"]):
        yield "credit_transaction"


def _read_for(one: TableMapping) -> frozenset[str]:
    if one.missing:
        return frozenset()
    return tables_read(one.select) if one.select is not None else frozenset((one.name,))


def _shown(one: TableMapping, columns: Sequence[str]) -> list[str]:
    """Their columns by the names that the wall has for them. One that a SELECT does not show, such as a foreign key on
    the way to the tenant, is searched by whoever reads the wall."""
    if one.select is not None:
        ours = {theirs: name for name, theirs in plain_columns(one.select).items()}
        return [ours[column] for column in columns if column in ours]
    ours = {theirs: name for name, theirs in one.columns.items()} if one.is_derived else {}
    return [ours.get(column, column) for column in columns]


def _names(sql: str, name: str) -> bool:
    """Whether the name stands in the statement, in quotes or not, and not as a part of a longer one."""
    return re.search(rf'(?<![\w"]){re.escape(name)}(?![\w"])|"{re.escape(name)}"', sql) is not None
