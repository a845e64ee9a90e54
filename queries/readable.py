"""What a role must be able to read for a mapping: tables of theirs, and of each the columns.

A table that is mapped by names needs the mapped columns. Of a SELECT the parse tree says which tables it reads and
which names of columns it holds; the database says which of them its tables have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pglast import ast

from queries.derived import quoted
from queries.mapping import Mapping, TableMapping
from queries.mapping.selects import in_schema
from queries.performance.advice.parsing import every, is_a, parse
from queries.relations import schemas_of

Columns = dict[tuple[str, str], list[str]]
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
    """The same and, of each SELECT, the columns of every table that it may read, as this database has them."""
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
    nodes = list(every(parse(select)))
    named, joined = _those(nodes, ast.ColumnRef), _those(nodes, ast.JoinExpr)
    # A name may be a column of any of the tables: one too many is a right to read a column, and none to write.
    names = {str(part.sval) for one in named for part in one.fields if is_a(part, ast.String)}
    names |= {str(part.sval) for one in joined for part in one.usingClause or ()}
    # All columns, count(*) aside, and a NATURAL JOIN read what is not named.
    reads_all = any(is_a(one.fields[-1], ast.A_Star) for one in named) or any(one.isNatural for one in joined)
    made = {str(one.ctename) for one in _those(nodes, ast.CommonTableExpr)}
    found: Columns = {}
    for one in _those(nodes, ast.RangeVar):
        if one.schemaname is not None or one.relname not in made:
            rows = connection.execute(_THERE, {"name": _as_written(one)}).all()
            for schema, table, column in rows:
                if reads_all or column in names:
                    _add(found, (schema, table), [column])
    return found


def _those(nodes: Sequence[Any], kind: Any) -> list[Any]:
    return [one for one in nodes if is_a(one, kind)]


def _add(found: Columns, place: tuple[str, str], columns: Sequence[str]) -> None:
    known = found.setdefault(place, [])
    known.extend(name for name in columns if name not in known)


def _as_written(table: Any) -> str:
    """The name as `to_regclass` takes it; without a schema it is looked for as in the SELECT."""
    return ".".join(quoted(one) for one in (table.schemaname, table.relname) if one is not None)
