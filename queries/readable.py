"""What a role must be able to read for a mapping: tables of theirs, and of each the columns.

A table that is mapped by names needs the mapped columns. Of a SELECT the parse tree says which names of columns it
holds, and of which tables each can be; the database says which of them its tables have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from pglast import ast

from queries.derived import quoted
from queries.mapping import Mapping, TableMapping
from queries.mapping.selects import in_schema
from queries.performance.advice.parsing import every, is_a, parse
from queries.relations import schemas_of

Columns = dict[tuple[str, str], list[str]]
# Schema, table, column.
_Column = tuple[str, str, str]
_THERE = sa.text(
    """
    SELECT space.nspname AS schema, one.relname AS relation, its.attname AS attribute
    FROM pg_class AS one JOIN pg_namespace AS space ON space.oid = one.relnamespace
    JOIN pg_attribute AS its ON its.attrelid = one.oid AND its.attnum > 0 AND NOT its.attisdropped
    WHERE one.oid = to_regclass(:name) ORDER BY its.attnum
    """
)


def named_columns(mapping: Mapping) -> Columns:
    """The columns of the tables that are mapped by names; no database is asked."""
    found: Columns = {}
    for one in mapping.tables.values():
        if one.select is None and not one.missing:
            _add(found, (one.schema, one.name), [name for name in one.columns.values() if name])
    return found


def read_columns(connection: sa.Connection, mapping: Mapping) -> Columns:
    """The same and, of each SELECT, the columns that it reads of each table, as this database has them."""
    found = named_columns(mapping)
    for one in mapping.tables.values():
        for select in _selects(connection, one):
            for place, columns in _of_select(connection, select).items():
                _add(found, place, columns)
    return found


def _selects(connection: sa.Connection, one: TableMapping) -> list[str]:
    if one.select is None or one.schemas is None:
        return [one.select] if one.select is not None else []
    return [in_schema(one.select, quoted(name), "''") for name in schemas_of(connection, one)]


def _of_select(connection: sa.Connection, select: str) -> Columns:
    return _Reading(connection, parse(select)).found()


class _Reading:
    """The columns that a SELECT reads, by the tables that each name can mean where it stands: those of its own FROM
    before those of the SELECTs around it."""

    def __init__(self, connection: sa.Connection, tree: Any) -> None:
        self._connection = connection
        self._made = {str(one.ctename) for one in every(tree) if is_a(one, ast.CommonTableExpr)}
        self._there: dict[str, list[_Column]] = {}
        self._needed: set[_Column] = set()
        self._walk(tree, ())

    def found(self) -> Columns:
        found: Columns = {}
        for rows in filter(None, self._there.values()):
            # Rows of which nothing is read can be counted by whoever may read one column at least.
            for schema, table, column in [one for one in rows if one in self._needed] or rows[:1]:
                _add(found, (schema, table), [column])
        return found

    def _walk(self, node: Any, scopes: tuple[list[Any], ...]) -> None:
        if isinstance(node, tuple | list):
            for one in node:
                self._walk(one, scopes)
        if not is_a(node, ast.Node):
            return
        if is_a(node, ast.SelectStmt):
            scopes = (list(_sources(node.fromClause)), *scopes)
        elif is_a(node, ast.ColumnRef):
            self._refer([str(one.sval) if is_a(one, ast.String) else None for one in node.fields], scopes)
        elif is_a(node, ast.JoinExpr):
            names = {str(one.sval) for one in node.usingClause or ()}
            self._read(_tables(node), None if node.isNatural else names)
        elif is_a(node, ast.RangeVar):
            # Where its columns have other names here, only their places tell which they are.
            self._read([node], None if node.alias is not None and node.alias.colnames else set())
        for slot in node:
            self._walk(getattr(node, slot), scopes)

    def _refer(self, fields: list[str | None], scopes: tuple[list[Any], ...]) -> None:
        """A name, `table.name`, `table.*` (None stands for the star), or a table's name for its whole rows."""
        column = fields[-1]
        if len(fields) > 1:
            self._read(_first_called(fields[-2], scopes), None if column is None else {column})
        elif column is None:
            self._read([table for _, tables in scopes[0] for table in tables], None)
        elif having := self._having(column, scopes):
            self._read(having, {column})
        else:
            self._read(_first_called(column, scopes), None)

    def _having(self, column: str, scopes: tuple[list[Any], ...]) -> list[Any]:
        """The tables of the nearest FROM that has the column."""
        each = (
            [one for _, tables in scope for one in tables if column in [name for _, _, name in self._rows(one)]]
            for scope in scopes
        )
        return next(filter(None, each), [])

    def _rows(self, table: Any) -> list[_Column]:
        if table.schemaname is None and table.relname in self._made:
            return []
        name = _as_written(table)
        if name not in self._there:
            rows = self._connection.execute(_THERE, {"name": name})
            self._there[name] = [(schema, relation, attribute) for schema, relation, attribute in rows]
        return self._there[name]

    def _read(self, tables: Iterable[Any], names: set[str] | None) -> None:
        """Columns of these names, or all of them."""
        rows = (row for table in tables for row in self._rows(table))
        self._needed.update(row for row in rows if names is None or row[-1] in names)


def _sources(node: Any) -> Iterator[tuple[str, list[Any]]]:
    """What a FROM can be referred to by, each with the tables behind it; what a SELECT in it gives is none."""
    for one in node or ():
        if is_a(one, ast.JoinExpr):
            if one.alias is not None:
                yield str(one.alias.aliasname), list(_tables(one))
            yield from _sources((one.larg, one.rarg))
        elif getattr(one, "alias", None) is not None:
            yield str(one.alias.aliasname), list(_tables(one))
        else:
            yield from (
                (str(table.relname if table.alias is None else table.alias.aliasname), [table])
                for table in _tables(one)
            )


def _tables(node: Any) -> Iterator[Any]:
    if is_a(node, ast.RangeVar):
        yield node
    elif is_a(node, ast.RangeTableSample):
        yield from _tables(node.relation)
    elif is_a(node, ast.JoinExpr):
        yield from _tables(node.larg)
        yield from _tables(node.rarg)


def _first_called(name: str | None, scopes: tuple[list[Any], ...]) -> list[Any]:
    """The tables that the name means where it stands."""
    found = (tables for scope in scopes for called, tables in scope if called == name)
    return next(found, [])


def _add(found: Columns, place: tuple[str, str], columns: Sequence[str]) -> None:
    known = found.setdefault(place, [])
    known.extend(name for name in columns if name not in known)


def _as_written(table: Any) -> str:
    """The name as `to_regclass` takes it; without a schema it is looked for as in the SELECT."""
    return ".".join(quoted(one) for one in (table.schemaname, table.relname) if one is not None)
