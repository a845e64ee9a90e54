"""A file of statements to advise on, and the file of their values.

Statements are separated by `;`. A comment `-- name: orders of a day` before one names it. Where a statement holds `$1`,
`$2` and on, the values file (TOML or JSON) gives a list by its name, or a list for each kind of tenant:

    ["orders of a day"]
    biggest = ["acme", 2026-11-01T00:00:00]
    absent = ["nobody", 2026-11-01T00:00:00]
    calls_per_day = 20000
    constants = [2]
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, get_args

import pglast

from queries.errors import ArgumentError
from queries.performance.advice import Statement, TenantKind

MOST_BYTES = 5_000_000
MOST_STATEMENTS = 500
MOST_CALLS_PER_DAY = 1e12
_NAME = re.compile(r"^--\s*name:\s*(.+?)\s*$")
_SEMICOLON = "ASCII_59"
_COMMENTS = ("SQL_COMMENT", "C_COMMENT")
_KINDS: tuple[TenantKind, ...] = get_args(TenantKind)
_SETTINGS = ("calls_per_day", "constants", "types")
_PLAIN = (str, bool, int, float, datetime, date, time)


def statements_in(path: Path) -> list[Statement]:
    """The statements of a file in its order, those without a name numbered. ArgumentError says what is wrong."""
    text = _text(path)
    found: list[Statement] = []
    for number, (name, sql) in enumerate(_parts(text, path), start=1):
        if number > MOST_STATEMENTS:
            raise ArgumentError(f"{path} holds more than {MOST_STATEMENTS} statements; give the ones that matter")
        found.append(Statement(name=name or f"statement {number}", sql=sql))
    if not found:
        raise ArgumentError(f"{path} holds no statement; write statements separated by semicolons")
    names = [one.name for one in found]
    if twice := sorted({one for one in names if names.count(one) > 1}):
        raise ArgumentError(f"two statements of {path} are named {twice[0]!r}; give each a name of its own")
    return found


def with_values(statements: Sequence[Statement], path: Path) -> list[Statement]:
    """The same statements with the values of a TOML or JSON file. ArgumentError names the entry that cannot be used."""
    given = _values(path)
    if unknown := sorted(set(given) - {one.name for one in statements}):
        named = ", ".join(repr(one.name) for one in statements[:10])
        raise ArgumentError(f"{path} has values for {unknown[0]!r}, no statement of the workload; there are {named}")
    return [_with_entry(one, given[one.name], path) if one.name in given else one for one in statements]


def _with_entry(statement: Statement, entry: Any, path: Path) -> Statement:
    where = f"the values of {statement.name!r} in {path}"
    if isinstance(entry, list):
        entry = {"median": entry}
    if not isinstance(entry, dict):
        raise ArgumentError(f"{where} are no list; write [value, ...], or a list for each of {', '.join(_KINDS)}")
    if unknown := sorted(set(entry) - {*_KINDS, *_SETTINGS}):
        accepted = ", ".join((*_KINDS, *_SETTINGS))
        raise ArgumentError(f"{where} have the key {unknown[0]!r}; accepted are {accepted}")
    parameters = {kind: _row(entry[kind], f"{where} for the {kind} tenant") for kind in _KINDS if kind in entry}
    if len({len(row) for row in parameters.values()}) > 1:
        raise ArgumentError(f"{where} are not equally many for each tenant; give one value for each of $1, $2, ...")
    changed = replace(statement, parameters=parameters)
    if "calls_per_day" in entry:
        changed = replace(changed, calls_per_day=_calls(entry["calls_per_day"], where))
    if "constants" in entry:
        changed = replace(changed, constants=_numbers(entry["constants"], where))
    if "types" in entry:
        changed = replace(changed, types=_types(entry["types"], where))
    return changed


def _row(given: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(given, list):
        raise ArgumentError(f"{where} are no list; write [value of $1, value of $2, ...]")
    for one in given:
        inner = one if isinstance(one, list) else [one]
        if not all(value is None or isinstance(value, _PLAIN) for value in inner):
            raise ArgumentError(f"{where} hold a table; write a document for json as text")
    return tuple(given)


def _calls(given: Any, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= MOST_CALLS_PER_DAY:
        raise ArgumentError(f"{where} have calls_per_day {given!r}; a number above 0 is accepted")
    return float(given)


def _numbers(given: Any, where: str) -> frozenset[int]:
    if not isinstance(given, list) or not all(type(one) is int and one > 0 for one in given):
        raise ArgumentError(f"{where} have constants {given!r}; numbers of parameters such as [2] are accepted")
    return frozenset(given)


def _types(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ArgumentError(f'{where} have types {given!r}; names such as ["text", "timestamptz"] are accepted')
    return tuple(given)


def _values(path: Path) -> Mapping[str, Any]:
    text = _text(path)
    try:
        given = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise ArgumentError(f"{path} cannot be read as {kind}: {str(error).splitlines()[0]}") from error
    if not isinstance(given, dict):
        raise ArgumentError(f"{path} holds no values by statement; write an object of names")
    return given


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArgumentError(f"{path} is larger than {MOST_BYTES:,} bytes; give the statements that matter")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read ({error.strerror}); name a file of statements") from error
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _parts(text: str, path: Path) -> Iterator[tuple[str | None, str]]:
    """Name and text of each statement, without the comments before it. PostgreSQL's own scanner finds where it ends, so
    that a semicolon in a text, a comment or a dollar quote is none."""
    if "\0" in text:
        raise ArgumentError(f"{path} holds a zero byte, which no statement can; save it as text")
    try:
        tokens = pglast.parser.scan(text)
    except pglast.parser.ParseError as error:
        raise ArgumentError(
            f"{path} cannot be split into statements ({error}); close every quote and comment"
        ) from error
    name: str | None = None
    begin, end = -1, -1
    for token in tokens:
        if token.name in _COMMENTS:
            named = _NAME.match(text[token.start : token.end + 1]) if begin < 0 else None
            name = named.group(1) if named else name
        elif token.name == _SEMICOLON:
            if begin >= 0:
                yield name, text[begin : end + 1]
            name, begin = None, -1
        else:
            begin, end = token.start if begin < 0 else begin, token.end
    if begin >= 0:
        yield name, text[begin : end + 1]
