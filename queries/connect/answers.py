"""What a person said about their database: from a TOML file, from --yes, or from answers at a terminal.

tenant = "teams"                   # the table that is the tenant; "schema": one schema per tenant
schemas = "tenant_*"               # which schemas these are
duration_unit = "s"                # us, ms, s or min
credits = 1                        # what a generation costs, or by type { image = 1, video = 5 }, or "none"
deleted = "leave out"              # or "count": rows that are marked as deleted; for each table, { teams = "count" }

[tables]                           # theirs for ours; "" where there is none
generation = ["images", "videos"]  # one or several

[columns.generation]               # theirs for ours; "" where there is none
model = "engine"

[values.generation_status]         # theirs and what they mean; "" for none of ours
WEIRD = "failed"
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from queries.connect.vocabulary import VALUES
from queries.errors import ConnectError
from queries.mapping import prisma_mapping

Path_ = tuple[str, ...]
UNITS = ("us", "ms", "s", "min")
DELETED = ("leave out", "count")
NONE = "none"
_SINGLE = ("tenant", "schemas", "duration_unit", "credits", "deleted")
_SECTIONS = ("tables", "columns", "values")
_TABLES = prisma_mapping().tables


@dataclass(frozen=True, slots=True)
class Question:
    """What only a person knows: where the answer goes, the choices if they can be listed, the likeliest first, and the
    best guess; None where a guess might show one tenant's figures to another, or nothing tells. `seen` is what was
    found of all that the question is one of: a heading, and a line each."""

    path: Path_
    text: str
    choices: tuple[str, ...] = ()
    best: Any = None
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """Answers by where they stand in the file."""

    given: Mapping[Path_, Any] = field(default_factory=dict)

    def get(self, *path: str) -> Any:
        return self.given.get(path)

    def has(self, *path: str) -> bool:
        return path in self.given

    def under(self, *path: str) -> list[str]:
        """What is answered there, by name."""
        return [one[-1] for one in self.given if one[:-1] == path]

    def also(self, path: Path_, value: Any) -> Answers:
        """The same with one more."""
        checked = {path: _checked(path, value)}
        return Answers({**self.given, **checked})


def read_answers(path: Path) -> Answers:
    """Answers of a file; ConnectError names what it does not know, and the nearest right name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConnectError(f"the answers file {path.name} cannot be read ({reason}); check its name") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConnectError(f"the answers file {path.name} is not TOML: {error}; correct it") from error
    return answers_of(document)


def answers_of(document: Mapping[str, Any]) -> Answers:
    """Answers of a document in the form above."""
    given: dict[Path_, Any] = {}
    for key, value in document.items():
        if key == "deleted" and isinstance(value, dict):
            given |= {(key, name): _checked((key, name), one) for name, one in value.items()}
            continue
        if key in _SINGLE:
            given[key,] = _checked((key,), value)
            continue
        _known(key, (*_SINGLE, *_SECTIONS), "answer")
        given |= _section(key, value)
    return Answers(given)


def _section(name: str, section: Any) -> dict[Path_, Any]:
    if not isinstance(section, dict):
        raise ConnectError(f"the answer {name} is not a table; write [{name}] and its answers below")
    if name == "tables":
        return {(name, key): _checked((name, key), value) for key, value in section.items()}
    found: dict[Path_, Any] = {}
    for of, answers in section.items():
        _known(of, _TABLES if name == "columns" else VALUES, "table" if name == "columns" else "kind of values")
        if not isinstance(answers, dict):
            raise ConnectError(f"the answer {name}.{of} is not a table; write [{name}.{of}] and its answers below")
        found |= {(name, of, key): _checked((name, of, key), value) for key, value in answers.items()}
    return found


def _checked(path: Path_, value: Any) -> Any:
    """The value, as far as it can be checked without the database."""
    if path[0] == "tables":
        _known(path[1], _TABLES, "table")
        several = path[1] == "generation" and isinstance(value, list) and all(isinstance(one, str) for one in value)
        return value if several else _text(path, value)
    if path[0] == "columns":
        _known(path[1], _TABLES, "table")
        _known(path[2], _TABLES[path[1]].columns, f"column of {path[1]}")
        return _text(path, value)
    if path[0] == "values":
        return _one_of(path, value, [one for one in VALUES[path[1]] if one], may_be_empty=True)
    if path == ("duration_unit",):
        return _one_of(path, value, UNITS)
    if path[0] == "deleted":
        return _one_of(path, value, DELETED)
    return _credits(value) if path == ("credits",) else _text(path, value)


def _credits(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _number(one) for key, one in value.items()}
    return NONE if value == NONE else _number(value)


def _number(value: Any) -> Decimal:
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("nan")
    except ArithmeticError:
        number = Decimal("nan")
    if not number.is_finite() or number < 0:
        raise ConnectError(
            f'the answer credits is {str(value)!r}, which is no number of credits; write a number, "{NONE}", or a'
            " number for each type"
        )
    return number


def _text(path: Path_, value: Any) -> str:
    if not isinstance(value, str):
        raise ConnectError(f"the answer {'.'.join(path)} is not a text; write a name of theirs in quotes")
    return value


def _one_of(path: Path_, value: Any, accepted: Iterable[str], *, may_be_empty: bool = False) -> str:
    known = tuple(accepted)
    if value in known or (may_be_empty and value == ""):
        return str(value)
    raise ConnectError(
        f"the answer {'.'.join(path)} is {str(value)[:40]!r}{_nearest(str(value), known)}; choose one of"
        f" {', '.join(known)}"
    )


def _known(name: str, known: Iterable[str], what: str) -> None:
    names = tuple(known)
    if name not in names:
        raise ConnectError(
            f"the answers name {_a(what)} {name!r}, which is not known{_nearest(name, names)}; known are"
            f" {', '.join(sorted(names))}"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    """ ", did you mean ...", when something is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def not_there(what: str, name: str, known: Iterable[str]) -> ConnectError:
    """An answer names what is not in the database."""
    names = sorted(known)
    listed = f"; there are {', '.join(names[:40])}" if names else ""
    return ConnectError(f"the answers name {_a(what)} {name!r}, which is not there{_nearest(name, names)}{listed}")


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
