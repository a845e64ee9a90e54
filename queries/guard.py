"""The first wall between tenants: a statement that reads a tenant-keyed table without its predicate is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import dml, operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    ColumnClause,
    Extract,
    Grouping,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import AliasedReturnsRows, FromClause, FromGrouping, Join, TableClause

from queries.errors import UnscopedStatementError
from queries.scope import Scope

TENANT_KEY = "tenant_id"
# What `count(*)` and `EXISTS (SELECT 1 ...)` are made of; any other literal could hide a table.
_HARMLESS_LITERALS = {"*", "1"}
# Where a Select or a CTE keeps text that is rendered as it is; SQLAlchemy's walk passes over it.
_TEXT_PLACES = ("_prefixes", "_suffixes", "_hints", "_statement_hints")
# Functions that run a statement given as text, read files, or could name other tenants to the walls.
_OPAQUE_FUNCTIONS = re.compile(
    r"(query|table|cursor|schema|database)_to_xml.*|ts_stat|set_config|dblink.*|pg_read_.*|pg_ls_.*|lo_.*"
)
_SYMBOLS = re.compile(r"(?!.*(--|/\*))[-+*/<>=~!@#%^&|`?]+")
_COMPILER: Any = sa.select(sa.literal(1))._default_compiler()


def refuse_unscoped(statement: Any, scope: Scope) -> None:
    """UnscopedStatementError, naming the table, unless each tenant-keyed FROM is held to the scope's ids.

    A predicate counts for a FROM when it is `tenant_id = ANY(ids of the scope)` and stands, as one of the terms that
    must all hold, in the WHERE of the select that has this FROM, or in the ON that joins it (for an outer join, only
    for the side that the ON can leave out). For the scope of all tenants there is nothing to hold a statement to, but
    text and writes are refused all the same: a table could hide in them.
    """
    if not isinstance(statement, sa.Select | sa.CompoundSelect):
        raise UnscopedStatementError(f"a {type(statement).__name__} is not a SELECT; catalog statements only read")
    for element in _elements(statement):
        _refuse_opaque(element)
        if isinstance(element, sa.Select) and scope.ids is not None:
            _check_select(element, scope.ids)


def _elements(statement: Any) -> Iterator[Any]:
    """Every element of the statement, each once: SQLAlchemy's own walk visits a shared CTE once per use."""
    seen: set[int] = set()
    waiting = [statement]
    while waiting:
        element = waiting.pop()
        if id(element) not in seen:
            seen.add(id(element))
            yield element
            waiting.extend(element.get_children())


def _final_froms(select: sa.Select[Any]) -> list[FromClause]:
    """What `select.get_final_froms()` gives, which compiles the whole select to get there."""
    state: Any = select._compile_state_factory(select, _COMPILER)
    return list(state._get_display_froms())


def _refuse_opaque(element: Any) -> None:
    if isinstance(element, sa.TextClause):
        raise UnscopedStatementError("the statement holds text, in which a table could hide; use SQLAlchemy Core")
    if isinstance(element, dml.UpdateBase):
        raise UnscopedStatementError("the statement writes; catalog statements only read")
    if isinstance(element, ColumnClause) and element.is_literal and element.name not in _HARMLESS_LITERALS:
        raise UnscopedStatementError("the statement holds a literal column, in which a table could hide; use a bind")
    if any(_attribute(element, place) for place in _TEXT_PLACES):
        raise UnscopedStatementError("the statement has a prefix, suffix or hint, in which a table could hide")
    operator = _attribute(element, "operator")
    if isinstance(operator, operators.custom_op) and not _SYMBOLS.fullmatch(operator.opstring):
        raise UnscopedStatementError("the statement has an operator of words, in which a table could hide")
    if isinstance(element, Extract) and not element.field.isidentifier():
        raise UnscopedStatementError("the statement extracts what is no field, in which a table could hide")
    if isinstance(element, FunctionElement) and is_opaque_function(str(getattr(element, "name", ""))):
        raise UnscopedStatementError(f"the statement calls {element.name}, which could read beyond its tables")
    if isinstance(element, TableClause) and not isinstance(element, sa.Table):
        raise UnscopedStatementError(f'the table "{element.name}" is not a mapped one; take it from Tables')
    if isinstance(element, sa.Table) and "tenant_keyed" not in element.info:
        raise UnscopedStatementError(f'the table "{element.name}" is not a mapped one; take it from Tables')


def is_opaque_function(name: str) -> bool:
    """Whether a function of this name could read beyond the tables that a statement names."""
    return _OPAQUE_FUNCTIONS.fullmatch(name.lower()) is not None


def _attribute(element: Any, name: str) -> Any:
    """An attribute of the element's own or of its class; a column's fallback, which asks its type for operators of that
    name, takes half of a guard's time and never has one."""
    try:
        return object.__getattribute__(element, name)
    except AttributeError:
        return None


def _check_select(select: sa.Select[Any], ids: frozenset[str]) -> None:
    everywhere = list(_terms(select.whereclause))
    for from_ in _final_froms(select):
        for leaf, terms in _leaves(from_, everywhere):
            table = _tenant_table(leaf)
            if table is not None and not any(_holds(term, leaf, ids) for term in terms):
                raise UnscopedStatementError(
                    f'the statement reads "{table.name}" without its tenant predicate;'
                    " add scope.predicate(<from>.c.tenant_id) to the select that reads it"
                )


def _leaves(from_: FromClause, terms: list[ClauseElement]) -> Iterator[tuple[FromClause, list[ClauseElement]]]:
    """Each FROM that is not a join, with the terms that restrict it."""
    while isinstance(from_, FromGrouping):  # a join on the right of another stands in parentheses
        from_ = from_.element
    if not isinstance(from_, Join):
        yield from_, terms
        return
    on = list(_terms(from_.onclause))
    left_on = [] if from_.isouter or from_.full else on
    right_on = [] if from_.full else on
    yield from _leaves(from_.left, terms + left_on)
    yield from _leaves(from_.right, terms + right_on)


def _terms(clause: Any) -> Iterator[ClauseElement]:
    """The terms that must all hold."""
    if clause is None:
        return
    if isinstance(clause, Grouping):
        yield from _terms(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for one in clause.clauses:
            yield from _terms(one)
    else:
        yield clause


def _tenant_table(leaf: FromClause) -> sa.Table | None:
    element: Any = leaf
    while isinstance(element, AliasedReturnsRows | FromGrouping):
        element = element.element
    if isinstance(element, Join):
        raise UnscopedStatementError("the statement gives a join a name, in which a table could hide; name its sides")
    # A table of our own in which no tenant stands is nobody's.
    return element if isinstance(element, sa.Table) and element.info.get("tenant_keyed") is not False else None


def _holds(term: ClauseElement, leaf: FromClause, ids: frozenset[str]) -> bool:
    if not isinstance(term, BinaryExpression) or term.operator is not operators.eq:
        return False
    column, bound = term.left, getattr(term.right, "element", None)
    bound = bound.element if isinstance(bound, Grouping) else bound
    if getattr(term.right, "operator", None) is not operators.any_op or not isinstance(bound, BindParameter):
        return False
    return (
        isinstance(column, sa.Column)
        and column.key == TENANT_KEY
        and column.table is leaf
        and isinstance(bound.value, list)
        and {str(one) for one in bound.value} <= ids
    )
