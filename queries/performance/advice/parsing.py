"""What the text of a statement says and its plan does not: that it is one, its constants, orders, functions on columns.

Only parts of the parse tree that PostgreSQL's own grammar made are looked at; the text itself is never searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pglast
from pglast import ast, enums
from pglast.parser import ParseError, scan
from pglast.stream import RawStream

from queries.performance.advice.model import Statement

_LONGEST_BYTES = 100_000
_COMPARES = (enums.A_Expr_Kind.AEXPR_OP, enums.A_Expr_Kind.AEXPR_IN)


class UnusableError(Exception):
    """A statement that no advice can be given for; the message is the reason."""


class UnreadableError(UnusableError):
    """A statement over something that this role may not read; another one may."""


@dataclass(frozen=True, slots=True)
class Order:
    """One term of ORDER BY, DISTINCT ON or min/max over a plain column."""

    qualifier: str
    column: str
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement. `constants` are columns that the code, not the caller, compares with a value."""

    tree: Any
    text: str
    parameter_count: int
    orders: tuple[tuple[Order, ...], ...]
    constants: frozenset[str] = frozenset()


def parsed(statement: Statement) -> Parsed:
    """UnusableError unless this is one SELECT, UPDATE or DELETE; MERGE and INSERT ... SELECT are not read."""
    if len(statement.sql.encode()) > _LONGEST_BYTES:
        raise UnusableError(f"it is longer than {_LONGEST_BYTES:,} bytes; shorten it")
    if "\0" in statement.sql:
        raise UnusableError("it holds a zero byte, which PostgreSQL refuses; take it out")
    try:
        trees = pglast.parse_sql(statement.sql)
    except ParseError as error:
        raise UnusableError(f"PostgreSQL cannot parse it ({error.args[0]}); correct the text") from None
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"it cannot be parsed ({type(error).__name__}); simplify it") from None
    if not trees:
        raise UnusableError("it is empty; give one SELECT")
    if len(trees) > 1:
        raise UnusableError(f"it holds {len(trees)} statements; give them one by one")
    tree: Any = trees[0].stmt
    if not is_a(tree, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt):
        raise UnusableError(f"it is no query but {_kind(tree)}; advice is given for SELECT, UPDATE and DELETE")
    if is_a(tree, ast.SelectStmt) and tree.intoClause is not None:
        raise UnusableError("SELECT INTO makes a table; advice is given for queries")
    start, length = trees[0].stmt_location or 0, trees[0].stmt_len or 0
    text = statement.sql[start : start + length] if length else statement.sql[start:]
    return Parsed(
        tree=tree,
        text=text.rstrip().rstrip(";"),
        parameter_count=max((int(one.number) for one in every(tree) if is_a(one, ast.ParamRef)), default=0),
        orders=tuple(_orders(tree)),
        constants=frozenset(_constants(tree, statement.constants)),
    )


def with_types(text: str, types: tuple[str, ...] | None) -> str:
    """The text with each `$n` cast to its known type, so that a value is never guessed to be of another."""
    if not types:
        return text
    pieces: list[str] = []
    end = 0
    for token in scan(text):
        if token.name != "PARAM":
            continue
        number = int(text[token.start + 1 : token.end + 1])
        if 1 <= number <= len(types) and types[number - 1]:
            cast = _type_name(types[number - 1])
            pieces += [text[end : token.start], "(", text[token.start : token.end + 1], "::", cast, ")"]
            end = token.end + 1
    return "".join([*pieces, text[end:]])


def is_a(node: Any, kind: Any) -> bool:
    """isinstance that leaves the type open: the parse tree's own types call every part optional."""
    return isinstance(node, kind)


def parse(sql: str) -> Any:
    """The one statement of a text of ours; ParseError when it is none."""
    return pglast.parse_sql(sql)[0].stmt


def every(node: Any) -> Iterator[Any]:
    """A parse tree's nodes, parents first."""
    stack = [node]
    while stack:
        one = stack.pop()
        if is_a(one, ast.Node):
            yield one
            stack.extend(getattr(one, slot, None) for slot in reversed(tuple(one)))
        elif isinstance(one, tuple | list):
            stack.extend(reversed(one))


def column_of(node: Any) -> tuple[str, str] | None:
    """(qualifier, column) of a plain column reference."""
    if is_a(node, ast.ColumnRef) and all(is_a(one, ast.String) for one in node.fields):
        names = [one.sval for one in node.fields]
        return (names[-2] if len(names) > 1 else "", names[-1])
    return None


def written(node: Any) -> str:
    """A part of the tree as SQL on one line."""
    return str(RawStream()(node))


def _kind(tree: Any) -> str:
    return {"InsertStmt": "INSERT", "MergeStmt": "MERGE", "ExplainStmt": "EXPLAIN"}.get(
        type(tree).__name__, f"a command ({type(tree).__name__.removesuffix('Stmt')})"
    )


def _type_name(name: str) -> str:
    """UnusableError unless `name` is a type's name and nothing more."""
    try:
        trees = pglast.parse_sql(f"SELECT NULL::{name}")
    except ParseError:
        trees = ()
    stmt: Any = trees[0].stmt if len(trees) == 1 else None
    value: Any = stmt.targetList[0].val if is_a(stmt, ast.SelectStmt) else None
    is_type = is_a(value, ast.TypeCast) and is_a(value.arg, ast.A_Const)
    if not is_type or written(stmt) != f"SELECT {written(value)}":
        raise UnusableError(f"{name!r} is not the name of a type; name the parameters' types as SQL does")
    return name


def _orders(tree: Any) -> Iterator[tuple[Order, ...]]:
    for node in every(tree):
        if is_a(node, ast.SelectStmt):
            yield from _orders_of(node)
        if is_a(node, ast.WindowDef) and node.orderClause:
            partition = [Order(*found) for one in node.partitionClause or () if (found := column_of(one)) is not None]
            terms = [_order(one, {}) for one in node.orderClause]
            if None not in terms:
                yield (*partition, *(one for one in terms if one is not None))


def _orders_of(node: Any) -> Iterator[tuple[Order, ...]]:
    targets = list(node.targetList or ())
    named = {one.name: one.val for one in targets if is_a(one, ast.ResTarget) and one.name}
    places = {number: one.val for number, one in enumerate(targets, 1) if is_a(one, ast.ResTarget)}
    terms = [_order(one, {**named, **places}) for one in node.sortClause or ()]
    if terms and None not in terms:
        yield tuple(one for one in terms if one is not None)
    # A function of whole rows is no order; min and max of a column are its first and last.
    for target in targets:
        call: Any = target.val if is_a(target, ast.ResTarget) else None
        if is_a(call, ast.FuncCall) and call.funcname[-1].sval in ("min", "max") and len(call.args or ()) == 1:
            found = column_of(call.args[0])
            if found is not None:
                yield (Order(*found),)


def _order(term: Any, aliases: dict[Any, Any]) -> Order | None:
    node = term.node
    if is_a(node, ast.A_Const) and is_a(node.val, ast.Integer):
        node = aliases.get(node.val.ival)
    found = column_of(node)
    if found is not None and not found[0] and found[1] in aliases:
        found = column_of(aliases[found[1]])
    if found is None:
        return None
    descending = term.sortby_dir == enums.SortByDir.SORTBY_DESC
    nulls = {enums.SortByNulls.SORTBY_NULLS_FIRST: True, enums.SortByNulls.SORTBY_NULLS_LAST: False}
    return Order(*found, descending=descending, nulls_first=nulls.get(term.sortby_nulls, descending))


def _constants(tree: Any, numbers: frozenset[int]) -> Iterator[str]:
    for node in every(tree):
        if is_a(node, ast.A_Expr) and node.kind in _COMPARES and node.name[-1].sval in ("=", "<>"):
            for here, there in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
                found = column_of(here)
                values = there if is_a(there, tuple) else (there,)
                if found is not None and all(_is_said_by_code(one, numbers) for one in values):
                    yield found[1]


def _is_said_by_code(node: Any, numbers: frozenset[int]) -> bool:
    while is_a(node, ast.TypeCast):
        node = node.arg
    return is_a(node, ast.A_Const) or (is_a(node, ast.ParamRef) and node.number in numbers)
