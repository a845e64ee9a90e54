"""Text of statements as the log keeps it, with `%(name)s` parameters: numbered for the parser, laid out for people, and
looked through before it is run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import pglast
from pglast import ast
from pglast.visitors import Visitor

from queries.errors import ArgumentError

# What `masked` puts in place of a value.
_MASKED = re.compile(r"\(hidden\)|\(\d+ values\)")
_PLACE = re.compile(r"%\((\w+)\)s|%%")
# Strings and quoted names are passed over.
_NUMBERED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|\$(\d+)\b""")
_DURATION = re.compile(r"(?:(-?\d+) days?, )?(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_NOT_PARSED = "PostgreSQL's parser cannot read this statement; it can be neither laid out nor run from here"


@lru_cache(maxsize=1_024)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `$1`, `$2`, ... and the names of the parameters in that order."""
    seen: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        return "%" if name is None else f"${seen.setdefault(name, len(seen) + 1)}"

    text = _PLACE.sub(number, sql)
    return text, tuple(seen)


@lru_cache(maxsize=256)
def laid_out(sql: str) -> str:
    """The statement in lines, with its parameters by name; as it is where the parser cannot read it."""
    text, names = numbered(sql)
    try:
        pretty = pglast.prettify(text)
    except Exception:  # noqa: BLE001 - a printer that stumbles must not hide the statement
        return sql

    def named(found: re.Match[str]) -> str:
        number = int(found.group(2) or 0)
        return f"%({names[number - 1]})s" if 0 < number <= len(names) else found.group(0)

    return _NUMBERED.sub(named, str(pretty))


def hidden_parameters(sql: str, parameters: Mapping[str, Any]) -> list[str]:
    """The parameters of the statement whose true values the log does not have."""
    return [name for name in numbered(sql)[1] if name not in parameters or _is_masked(parameters[name])]


def with_types(value: Any) -> Any:
    """A logged value as what it was: JSON has no moments, days and durations, and PostgreSQL resolves operators by
    type."""
    if isinstance(value, list):
        return [with_types(one) for one in value]
    if not isinstance(value, str):
        return value
    if found := _DURATION.fullmatch(value):
        days, hours, minutes, seconds = (float(one or 0) for one in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return datetime.fromisoformat(value) if _MOMENT.match(value) else _day(value)
    except ValueError:
        return value


def _day(value: str) -> Any:
    return date.fromisoformat(value) if _DAY.fullmatch(value) else value


def refuse_all_but_one_select(sql: str) -> frozenset[str]:
    """ArgumentError unless this is one SELECT that writes and locks nothing; the names of the functions it calls."""
    try:
        parsed = pglast.parse_sql(numbered(sql)[0])
    except pglast.parser.ParseError as error:
        raise ArgumentError(_NOT_PARSED) from error
    if len(parsed) != 1:
        raise ArgumentError(f"this is {len(parsed)} statements; one SELECT can be explained")
    seen = _Seen()
    seen(parsed)
    if not isinstance(parsed[0].stmt, ast.SelectStmt) or seen.writes:
        raise ArgumentError("this statement does more than read; one SELECT can be explained")
    return frozenset(seen.functions)


def _is_masked(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_masked(one) for one in value)
    return isinstance(value, str) and _MASKED.fullmatch(value) is not None


class _Seen(Visitor):
    """What a parse tree holds: the functions it calls, and whether any part of it writes or locks."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: set[str] = set()
        self.writes = False

    def visit_FuncCall(self, _above: Any, node: Any) -> None:  # noqa: N802 - the name is pglast's
        self.functions.add(str(node.funcname[-1].sval))

    def visit_SelectStmt(self, _above: Any, node: Any) -> None:  # noqa: N802
        self.writes |= bool(node.intoClause or node.lockingClause)

    def visit_InsertStmt(self, _above: Any, _node: Any) -> None:  # noqa: N802
        self.writes = True

    visit_UpdateStmt = visit_DeleteStmt = visit_MergeStmt = visit_InsertStmt  # noqa: N815
