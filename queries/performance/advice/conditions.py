"""The conditions that EXPLAIN prints, as terms over the columns of one relation.

EXPLAIN writes SQL, except for its words for subplans; these are made names first, and then PostgreSQL's own parser
reads the rest. What it cannot read says nothing: an index is never advised for it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pglast import ast, enums
from pglast.parser import ParseError

from queries.performance.advice.parsing import column_of, every, is_a, parse, written

TermKind = Literal["eq", "in", "range", "prefix", "like", "null", "not_null", "other"]

# A literal or a quoted name, which stay as they are, or one of EXPLAIN's own words.
_WORDS = re.compile(
    r"""('(?:[^']|'')*'|"(?:[^"]|"")*")"""
    r"""|\((?:hashed\ )?(?:SubPlan|InitPlan)\ \d+\)|\(alternatives:[^)]*\)|\((ANY|ALL)\ (?=\()""",
    re.VERBOSE,
)
_REFERENCE = re.compile(r"""'(?:[^']|'')*'|("(?:[^"]|"")*"|[A-Za-z_][\w$]*)\.("(?:[^"]|"")*"|[A-Za-z_][\w$]*)""")
_RANGES = {"<", "<=", ">", ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_WILDCARDS = re.compile(r"[%_\\]")


@dataclass(frozen=True, slots=True)
class Term:
    """What one relation must meet: a column, or an expression over its columns, and with what it is compared.

    `value` is the constant as SQL; empty where it is of another relation (`is_outside`) or not known before it runs.
    `cast_column` is the column of an expression that only casts it to text.
    """

    kind: TermKind
    alias: str
    column: str = ""
    expression: str = ""
    operator: str = ""
    value: str = ""
    is_outside: bool = False
    cast_column: str = ""


@dataclass(frozen=True, slots=True)
class Either:
    """Terms of which one must hold: for each arm, all of its terms."""

    arms: tuple[tuple[Term, ...], ...]


Condition = Term | Either


@functools.lru_cache(maxsize=4096)
def conditions(printed: str) -> tuple[Condition, ...]:
    """The terms of a Filter, Index Cond, Hash Cond, ... that must all hold."""
    tree = _tree(printed)
    return tuple(_conditions(tree)) if tree is not None else ()


@functools.lru_cache(maxsize=4096)
def references(printed: str) -> frozenset[tuple[str, str]]:
    """(alias, column) wherever one stands in printed SQL. Where a plan reads one relation only, aliases are empty."""
    try:
        tree = parse(f"SELECT {_plain(printed.removeprefix('PARTIAL '))}")
    except ParseError:
        found = (
            (unquoted(one.group(1)), unquoted(one.group(2))) for one in _REFERENCE.finditer(printed) if one.group(1)
        )
        return frozenset(found)
    return frozenset(_references(tree))


@dataclass(frozen=True, slots=True)
class SortTerm:
    """One of a Sort Key or Group Key; without a column where it is an expression."""

    alias: str
    column: str
    descending: bool
    nulls_first: bool
    expression: str = ""


@functools.lru_cache(maxsize=4096)
def sort_term(printed: str) -> SortTerm:
    """A Sort Key as EXPLAIN prints it: its expression, then COLLATE, DESC, NULLS where they are not the default."""
    try:
        select = parse(f"SELECT 1 ORDER BY {_plain(printed)}")
    except ParseError:
        return SortTerm("", "", False, False)
    term = select.sortClause[0]
    found = column_of(term.node)
    descending = term.sortby_dir == enums.SortByDir.SORTBY_DESC
    nulls = {enums.SortByNulls.SORTBY_NULLS_FIRST: True, enums.SortByNulls.SORTBY_NULLS_LAST: False}
    nulls_first = nulls.get(term.sortby_nulls, descending)
    if found is not None:
        return SortTerm(*found, descending=descending, nulls_first=nulls_first)
    return SortTerm("", "", descending, nulls_first, expression=written(term.node))


def unquoted(name: str) -> str:
    """A printed name as the catalog holds it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _plain(printed: str) -> str:
    return _WORDS.sub(_word, printed)


def _word(match: re.Match[str]) -> str:
    """`(ANY (x = (hashed SubPlan 1).col1))`, as PostgreSQL 17 says it, becomes a call that no index serves."""
    return match.group(1) or ("(subplan_test" if match.group(2) else "(subplan_value)")


def _tree(printed: str) -> Any:
    try:
        return parse(f"SELECT 1 WHERE {_plain(printed)}").whereClause
    except (ParseError, RecursionError):
        return None


def _conditions(node: Any) -> Iterator[Condition]:
    if is_a(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        for one in node.args:
            yield from _conditions(one)
    elif is_a(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.OR_EXPR:
        arms = tuple(tuple(one for one in _conditions(arm) if isinstance(one, Term)) for arm in node.args)
        yield Either(arms)
    else:
        yield from _terms(node)


def _terms(node: Any) -> Iterator[Term]:
    if is_a(node, ast.A_Expr):
        yield from _comparison(node)
    elif is_a(node, ast.NullTest):
        found = column_of(node.arg)
        is_null = node.nulltesttype == enums.NullTestType.IS_NULL
        if found is not None:
            yield Term("null" if is_null else "not_null", *found)
    elif is_a(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.NOT_EXPR:
        found = column_of(node.args[0])
        if found is not None:
            yield Term("eq", *found, operator="=", value="false")
    elif (found := column_of(node)) is not None:
        yield Term("eq", *found, operator="=", value="true")


def _comparison(node: Any) -> Iterator[Term]:
    operator = node.name[-1].sval
    if node.kind == enums.A_Expr_Kind.AEXPR_OP_ANY:
        yield from _side("in", node.lexpr, node.rexpr, operator)
        return
    if node.kind != enums.A_Expr_Kind.AEXPR_OP or node.lexpr is None:
        return
    yield from _side(_kind(operator, node.rexpr), node.lexpr, node.rexpr, operator)
    if operator in _TURNED:
        yield from _side(_kind(_TURNED[operator], node.lexpr), node.rexpr, node.lexpr, _TURNED[operator])


def _kind(operator: str, other: Any) -> TermKind:
    if operator == "=":
        return "eq"
    if operator in _RANGES:
        return "range"
    if operator in ("~~", "~~*", "^@"):
        pattern = _constant_text(other)
        is_prefix = operator == "~~" and pattern is not None and _is_prefix(pattern)
        return "prefix" if is_prefix or operator == "^@" else "like"
    return "other"


def _side(kind: TermKind, mine: Any, other: Any, operator: str) -> Iterator[Term]:
    """The comparison as seen from one side, when this side is of one relation and the other is not of it."""
    found = column_of(mine)
    aliases = {one[0] for one in _references(mine)}
    others = {one[0] for one in _references(other)}
    if len(aliases) != 1 or aliases & others:
        return
    alias = next(iter(aliases))
    if not alias:
        return
    is_outside = bool(others)
    value = written(other) if _is_constant(other) else ""
    if found is not None:
        yield Term(kind, alias, found[1], operator=operator, value=value, is_outside=is_outside)
    else:
        yield Term(kind, alias, "", _unqualified(mine), operator, value, is_outside, _cast_column(mine))


def _cast_column(node: Any) -> str:
    """varchar compared as text is printed as a cast, and indexed all the same; the catalog tells which it is."""
    found = column_of(node.arg) if is_a(node, ast.TypeCast) and node.typeName.names[-1].sval == "text" else None
    return found[1] if found is not None else ""


def _references(node: Any) -> list[tuple[str, str]]:
    return [found for one in every(node) if (found := column_of(one)) is not None and found[1] != "subplan_value"]


def _is_constant(node: Any) -> bool:
    return not any(is_a(one, ast.ColumnRef | ast.ParamRef | ast.FuncCall | ast.SubLink) for one in every(node))


def _constant_text(node: Any) -> str | None:
    while is_a(node, ast.TypeCast):
        node = node.arg
    if is_a(node, ast.A_Const) and is_a(node.val, ast.String):
        return str(node.val.sval)
    return None


def _is_prefix(pattern: str) -> bool:
    """Whether a LIKE pattern is plain characters and then one `%`, or plain characters first at least."""
    found = _WILDCARDS.search(pattern)
    return found is None or found.start() > 0


def _unqualified(node: Any) -> str:
    """An expression over one relation, as CREATE INDEX takes it: without the alias."""
    copied = parse(f"SELECT {written(node)}").targetList[0].val
    for one in every(copied):
        if is_a(one, ast.ColumnRef):
            one.fields = one.fields[-1:]
    return written(copied)
