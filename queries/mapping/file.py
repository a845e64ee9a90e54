"""The mapping file: read, with every mistake named, and written so that it is read back as it was."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from queries.errors import MappingError
from queries.mapping.default import REQUIRED_TABLES, required
from queries.mapping.model import Mapping, TableMapping, prisma_mapping
from queries.mapping.selects import checked_outputs, nearest, normalised

# Read from the working folder where MAPPING_FILE names no other.
FILE_NAME = "usage-dashboard.toml"
_SECTIONS = ("tables", "values")
_KEYS = ("schema", "name", "columns", "select", "schemas", "missing", "note")
# A literal text of several lines holds anything but these.
_NOT_LITERAL = re.compile(r"'''|[\x00-\x08\x0b-\x1f\x7f]")


def load_mapping(path: Path | None) -> Mapping:
    """The default with what the TOML file says instead; MappingError names what it does not know. Without a path, the
    file of that name in the working folder is read where there is one."""
    if path is None:
        path = Path(FILE_NAME)
        if not path.is_file():
            return prisma_mapping()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingError(
            f"the mapping file {path.name} cannot be read: {error}; correct it or MAPPING_FILE"
        ) from error
    for name in document:
        if name not in _SECTIONS:
            raise MappingError(f"the mapping file has a section {name!r}; {nearest(name, _SECTIONS)}")
    base = prisma_mapping()
    tables = {name: _table(name, base.tables, given) for name, given in _section(document, "tables").items()}
    values = {name: _value_map(name, base.values, given) for name, given in _section(document, "values").items()}
    mapping = Mapping({**base.tables, **tables}, {**base.values, **values})
    _refuse_shared(mapping)
    return mapping


def written(mapping: Mapping) -> str:
    """The TOML text of what differs from the default; `load_mapping` reads it back equal."""
    base = prisma_mapping()
    parts = [
        "\n".join([f"[tables.{logical}]", *_table_lines(base.tables[logical], one)])
        for logical, one in mapping.tables.items()
        if one != base.tables[logical]
    ]
    for kind, known in base.values.items():
        changed = {name: values for name, values in mapping.values[kind].items() if values != known[name]}
        if changed:
            lines = (f"{name} = [{', '.join(map(_text, values))}]" for name, values in changed.items())
            parts.append("\n".join([f"[values.{kind}]", *lines]))
    return "\n\n".join(parts) + ("\n" if parts else "")


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict) or not all(isinstance(one, dict) for one in section.values()):
        raise MappingError(f"[{name}] in the mapping file is not a table of tables; write [{name}.generation]")
    return section


def _table(logical: str, known: dict[str, TableMapping], given: dict[str, Any]) -> TableMapping:
    if logical not in known:
        raise MappingError(f"the mapping file names a table {logical!r}; {nearest(logical, list(known))}")
    for key in given:
        if key not in _KEYS:
            raise MappingError(f"[tables.{logical}] in the mapping file says {key!r}; {nearest(key, _KEYS)}")
    note, missing = _string(logical, given, "note", ""), given.get("missing", False)
    if not isinstance(missing, bool):
        raise MappingError(f"[tables.{logical}] missing in the mapping file is not true or false; write missing = true")
    if missing:
        return _nothing(logical, given, note)
    if "select" in given or "schemas" in given:
        return _selected(logical, list(known[logical].columns), given, note)
    return _named(logical, known[logical], given, note)


def _nothing(logical: str, given: dict[str, Any], note: str) -> TableMapping:
    _refuse_beside(logical, given, "missing", ("schema", "name", "columns", "select", "schemas"))
    if logical in REQUIRED_TABLES:
        raise MappingError(
            f"[tables.{logical}] in the mapping file is missing, and nothing can be shown without it;"
            " name a table, or write a SELECT that gives its rows"
        )
    return TableMapping.of_nothing(logical, note=note)


def _selected(logical: str, known: list[str], given: dict[str, Any], note: str) -> TableMapping:
    _refuse_beside(logical, given, "select", ("schema", "name", "columns"))
    if "select" not in given:
        raise MappingError(
            f"[tables.{logical}] in the mapping file has schemas and no select; write the SELECT that is asked in each"
        )
    select = normalised(_string(logical, given, "select", ""))
    schemas = _string(logical, given, "schemas", "") if "schemas" in given else None
    if schemas == "":
        raise MappingError(f'[tables.{logical}] schemas in the mapping file is empty; write a pattern: "tenant_*"')
    outputs = checked_outputs(logical, select, schemas, known)
    made = TableMapping.of_select(logical, select, outputs, schemas=schemas, note=note)
    _require(logical, made)
    return made


def _named(logical: str, base: TableMapping, given: dict[str, Any], note: str) -> TableMapping:
    columns = given.get("columns", {})
    if not isinstance(columns, dict):
        raise MappingError(f'[tables.{logical}] columns in the mapping file is no table; write {{ id = "their_id" }}')
    for key in columns:
        if key not in base.columns:
            raise MappingError(
                f"the mapping file names a column {key!r} of {logical} that is not known;"
                f" {nearest(key, list(base.columns))}"
            )
    schema, name = _string(logical, given, "schema", base.schema), _string(logical, given, "name", base.name)
    made = TableMapping(
        schema, name, {**base.columns, **{one: _string(logical, columns, one, "") for one in columns}}, note=note
    )
    physical = [one for one in made.columns.values() if one]
    twice = sorted({one for one in physical if physical.count(one) > 1})
    if twice:
        raise MappingError(f"the mapping file maps two columns of {logical} to {twice[0]!r}; give each one of its own")
    _require(logical, made)
    return made


def _refuse_shared(mapping: Mapping) -> None:
    """A statement that joins two of ours cannot tell them apart when both are one table of theirs by its name."""
    known: dict[tuple[str, str], str] = {}
    for logical, one in mapping.tables.items():
        first = logical if one.is_derived else known.setdefault((one.schema, one.name), logical)
        if first != logical:
            raise MappingError(
                f'the mapping file maps both {first} and {logical} to "{one.schema}"."{one.name}"; write one of the two'
                " as a SELECT"
            )


def _require(logical: str, made: TableMapping) -> None:
    for column in required(logical):
        if not made.columns[column]:
            raise MappingError(
                f"[tables.{logical}] in the mapping file has no {column}, and no figure can be made of its rows without"
                " it; name the column, or write a SELECT that gives it"
            )


def _refuse_beside(logical: str, given: dict[str, Any], key: str, others: tuple[str, ...]) -> None:
    beside = [one for one in others if one in given]
    if beside:
        raise MappingError(
            f"[tables.{logical}] in the mapping file has {key} and {beside[0]}, which say different things; keep one"
        )


def _string(logical: str, given: dict[str, Any], key: str, otherwise: str) -> str:
    value = given.get(key, otherwise)
    if not isinstance(value, str):
        raise MappingError(f"{key} of [tables.{logical}] in the mapping file is not a text; put it into quotes")
    return value


def _value_map(
    kind: str, known: dict[str, dict[str, tuple[str, ...]]], given: dict[str, Any]
) -> dict[str, tuple[str, ...]]:
    if kind not in known:
        raise MappingError(f"the mapping file names values {kind!r}; {nearest(kind, list(known))}")
    for name, values in given.items():
        if name not in known[kind]:
            others = nearest(name, list(known[kind]))
            raise MappingError(f"the mapping file names a value {name!r} of {kind} that is not known; {others}")
        if not isinstance(values, list) or not all(isinstance(one, str | int | bool) for one in values):
            raise MappingError(f'[values.{kind}] {name} in the mapping file is not a list of texts; write ["A", "B"]')
    return {**known[kind], **{k: tuple(_value(one) for one in v) for k, v in given.items()}}


def _value(one: str | int | bool) -> str:
    return str(one).lower() if isinstance(one, bool) else str(one)


def _table_lines(base: TableMapping, one: TableMapping) -> Iterator[str]:
    if one.missing:
        yield "missing = true"
    elif one.select is not None:
        if one.schemas is not None:
            yield f"schemas = {_text(one.schemas)}"
        yield f"select = {_long_text(one.select)}"
    else:
        for key, value, default in (("schema", one.schema, base.schema), ("name", one.name, base.name)):
            if value != default:
                yield f"{key} = {_text(value)}"
        changed = {key: value for key, value in one.columns.items() if value != base.columns[key]}
        if changed:
            yield f"columns = {{ {', '.join(f'{k} = {_text(v)}' for k, v in changed.items())} }}"
    if one.note:
        yield f"note = {_text(one.note)}"


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON lets stand.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _long_text(value: str) -> str:
    """Several lines as they are; TOML drops the line break after the opening quotes."""
    if "\n" not in value or _NOT_LITERAL.search(value) or value.endswith("'"):
        return _text(value)
    return f"'''\n{value}'''"
