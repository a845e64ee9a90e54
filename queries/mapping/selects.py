"""What a SELECT of the mapping file may be: one that only reads, gives columns of our names, and hides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import pglast
from pglast import ast
from pglast.parser import ParseError

from queries.errors import MappingError
from queries.guard import is_opaque_function

SCHEMA, SCHEMA_TEXT = "{schema}", "{schema_text}"
_STAND_IN = "usage_dashboard_schema_of_a_tenant"
_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


def normalised(select: str) -> str:
    """The SELECT without the space around it and the semicolon that ends it."""
    return select.strip().removesuffix(";").rstrip()


def in_schema(select: str, identifier: str, literal: str) -> str:
    """The SELECT for one schema: its name as a quoted identifier, and as a text literal."""
    return select.replace(SCHEMA_TEXT, literal).replace(SCHEMA, identifier)


def checked_outputs(logical: str, select: str, schemas: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The columns that the SELECT gives, in their order; MappingError unless it is one that may stand here."""
    where = f"the SELECT of [tables.{logical}] in the mapping file"
    if schemas is None and (SCHEMA in select or SCHEMA_TEXT in select):
        raise MappingError(f'{where} asks for {{schema}}, and no pattern is given; add schemas = "tenant_*"')
    if schemas is not None and SCHEMA not in select:
        raise MappingError(f"{where} does not say {{schema}}, and would give every schema the same rows; add it")
    tree = _parsed(where, select)
    for node in _every(tree):
        _refuse(where, node)
    outputs = tuple(_outputs(where, tree))
    for name in outputs:
        if name not in known:
            raise MappingError(f"{where} gives a column {name!r}, which is none of ours; {nearest(name, known)}")
        if outputs.count(name) > 1:
            raise MappingError(f"{where} gives the column {name!r} twice; give it once")
    return outputs


def tables_in_schema(select: str) -> list[str]:
    """Names of the tables that a schema must have to be asked: those that are read as `{schema}.name`."""
    tree = _parsed("the SELECT", select)
    return sorted({str(node.relname) for node in _every(tree) if _is_in_schema(node)})


def tables_read(select: str) -> frozenset[str]:
    """Names of all tables that a SELECT of the file reads, without their schemas."""
    return frozenset(str(node.relname) for node in _every(_parsed("the SELECT", select)) if _is_a(node, ast.RangeVar))


def plain_columns(select: str) -> dict[str, str]:
    """Our columns that are nothing but a column of theirs, and which; what a SELECT computes is left out."""
    found: dict[str, str] = {}
    for target in _first(_parsed("the SELECT", select)).targetList:
        last: Any = target.val.fields[-1] if _is_a(target.val, ast.ColumnRef) else None
        if _is_a(last, ast.String):
            found[str(target.name or last.sval)] = str(last.sval)
    return found


def nearest(name: str, known: Sequence[str]) -> str:
    """What the name may have been meant for, in words."""
    listed, close = ", ".join(sorted(known)), get_close_matches(name, known, n=1)
    return f"the nearest is {close[0]!r} (known are {listed})" if close else f"known are {listed}"


def _parsed(where: str, select: str) -> Any:
    text = in_schema(select, f'"{_STAND_IN}"', f"'{_STAND_IN}'")
    try:
        trees = pglast.parse_sql(text)
    except ParseError as error:
        raise MappingError(f"{where} cannot be read by PostgreSQL ({error.args[0]}); correct it") from None
    except (ValueError, RecursionError) as error:
        raise MappingError(f"{where} cannot be read ({type(error).__name__}); simplify it") from None
    if len(trees) != 1:
        raise MappingError(f"{where} holds {len(trees)} statements; write one")
    tree: Any = trees[0].stmt
    if not _is_a(tree, ast.SelectStmt):
        raise MappingError(f"{where} is no SELECT; write one that only reads")
    return tree


def _refuse(where: str, node: Any) -> None:
    kind = type(node).__name__
    if kind in _WRITES:
        raise MappingError(f"{where} writes; write one that only reads")
    if kind == "SelectStmt" and node.intoClause is not None:
        raise MappingError(f"{where} makes a table (INTO); leave that out")
    if kind == "LockingClause":
        raise MappingError(f"{where} locks rows (FOR UPDATE or FOR SHARE); leave that out")
    if kind == "ParamRef":
        raise MappingError(f"{where} has a parameter (${node.number}); write the value itself")
    name = str(node.funcname[-1].sval) if kind == "FuncCall" else ""
    if is_opaque_function(name):
        raise MappingError(f"{where} calls {name}, which could read beyond its tables; leave that out")


def _outputs(where: str, tree: Any) -> Iterator[str]:
    tree = _first(tree)
    if not tree.targetList:
        raise MappingError(f"{where} names no columns; write SELECT ... AS <our name>")
    for number, target in enumerate(tree.targetList, 1):
        value = target.val
        while _is_a(value, ast.TypeCast):
            value = value.arg
        last: Any = value.fields[-1] if _is_a(value, ast.ColumnRef) else None
        if _is_a(last, ast.A_Star):
            raise MappingError(f"{where} gives all columns (*); name each one: <theirs> AS <ours>")
        name = target.name or (last.sval if _is_a(last, ast.String) else None)
        if name is None:
            raise MappingError(f"{where} gives its column number {number} no name; write AS <our name> after it")
        yield str(name)


def _first(tree: Any) -> Any:
    """Of a UNION, the SELECT that names the columns."""
    while tree.larg is not None:
        tree = tree.larg
    return tree


def _is_a(node: Any, kind: Any) -> bool:
    """isinstance that leaves the type open: the parse tree's own types call every part optional."""
    return isinstance(node, kind)


def _is_in_schema(node: Any) -> bool:
    return _is_a(node, ast.RangeVar) and node.schemaname == _STAND_IN


def _every(node: Any) -> Iterator[Any]:
    """A parse tree's nodes."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if _is_a(one, ast.Node):
            yield one
            waiting.extend(getattr(one, slot, None) for slot in one)
        elif isinstance(one, tuple | list):
            waiting.extend(one)
