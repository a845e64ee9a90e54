"""A `schema.prisma` read into the same shape as a database: models under the names that they have in the database
(`@@map`, `@map`, `@@schema`), their keys, relations and enums."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from queries.connect.shape import Field, Kind, Reference, Relation, Shape, with_inferred_references
from queries.errors import ConnectError

_STRING = r'"((?:[^"\\]|\\.)*)"'
# No block holds another; a brace in a text ends none.
_BLOCK = re.compile(
    r"^\s*(model|view|enum|type|datasource|generator)\s+(\w+)\s*\{((?:"
    r'"(?:[^"\\]|\\.)*"'
    r'|[^{}"])*)\}',
    re.MULTILINE,
)
_FIELD = re.compile(r"^(\w+)\s+(\w+)(\[\])?(\?)?(.*)$")
_COMMENT = re.compile(rf"({_STRING})|//.*")
_TYPES: dict[str, tuple[str, Kind]] = {
    "String": ("text", "text"),
    "Int": ("integer", "integer"),
    "BigInt": ("bigint", "integer"),
    "Float": ("double precision", "float"),
    "Decimal": ("numeric", "numeric"),
    "Boolean": ("boolean", "boolean"),
    "DateTime": ("timestamp(3) without time zone", "timestamp"),
    "Json": ("jsonb", "json"),
    "Bytes": ("bytea", "bytes"),
}
# What @db.… makes of it.
_NATIVE: dict[str, tuple[str, Kind]] = {
    "Uuid": ("uuid", "uuid"),
    "Timestamptz": ("timestamp with time zone", "timestamptz"),
    "Date": ("date", "date"),
    "Timestamp": ("timestamp without time zone", "timestamp"),
    "Money": ("money", "other"),
    "Time": ("time", "other"),
    "Timetz": ("time with time zone", "other"),
}


@dataclass(slots=True)
class _Model:
    """A model as it is written: each field's line by its Prisma name, and the lines that begin with @@."""

    name: str
    lines: dict[str, tuple[str, bool, bool, str]] = field(default_factory=dict)
    attributes: list[str] = field(default_factory=list)
    is_view: bool = False

    @property
    def table(self) -> str:
        return next((found for one in self.attributes if (found := _text_of("@@map", one))), self.name)

    @property
    def schema(self) -> str:
        return next((found for one in self.attributes if (found := _text_of("@@schema", one))), "public")

    def column(self, name: str) -> str:
        """The name in the database."""
        return _text_of("@map", self.lines[name][3]) or name if name in self.lines else name


def read_prisma(path: Path) -> Shape:
    """The shape that a schema.prisma describes; ConnectError when it cannot be read or is none of PostgreSQL."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConnectError(f"the file {path.name} cannot be read ({reason}); give a schema.prisma") from error
    return prisma_shape(text, path.name)


def prisma_shape(text: str, name: str = "schema.prisma") -> Shape:
    """The shape that the text of a schema.prisma describes."""
    stripped = _COMMENT.sub(lambda found: found[1] or "", text)
    blocks = _BLOCK.findall(stripped)
    provider = next(
        (_text_of("provider", one.replace("=", " ")) for kind, _, one in blocks if kind == "datasource"), None
    )
    if provider not in (None, "postgresql", "postgres", "cockroachdb"):
        raise ConnectError(f"{name} is for {provider}, and this program reads PostgreSQL; give one for PostgreSQL")
    enums = {block: _labels(body) for kind, block, body in blocks if kind == "enum"}
    models = {block: _model(block, body, kind == "view") for kind, block, body in blocks if kind in ("model", "view")}
    if not models:
        raise ConnectError(f"{name} holds no model; give the schema.prisma that the application is made with")
    relations = sorted(
        (_relation(one, models, enums) for one in models.values()), key=lambda one: (one.schema, one.name)
    )
    return with_inferred_references(Shape(tuple(relations), name))


def _model(name: str, body: str, is_view: bool) -> _Model:
    model = _Model(name, is_view=is_view)
    for line in _joined_lines(body):
        if line.startswith("@@"):
            model.attributes.append(line)
        elif found := _FIELD.match(line):
            model.lines[found[1]] = (found[2], bool(found[3]), bool(found[4]), found[5])
    return model


def _joined_lines(body: str) -> Iterator[str]:
    """Lines without what is empty; a parenthesis that is open joins the next."""
    held = ""
    for line in body.splitlines():
        held = f"{held} {line.strip()}".strip()
        if held.count("(") <= held.count(")"):
            if held:
                yield held
            held = ""


def _labels(body: str) -> tuple[str, ...]:
    return tuple(_text_of("@map", line) or line.split()[0] for line in _joined_lines(body) if not line.startswith("@@"))


def _relation(model: _Model, models: dict[str, _Model], enums: dict[str, tuple[str, ...]]) -> Relation:
    fields = tuple(
        _field(model, name, type_, is_list, is_optional, rest, enums)
        for name, (type_, is_list, is_optional, rest) in model.lines.items()
        if type_ not in models
    )
    alone = {
        tag: [name for name, line in model.lines.items() if re.search(rf"{tag}\b", line[3])]
        for tag in ("@id", "@unique")
    }
    key = next(iter(_lists(model, "@@id")), tuple(model.column(one) for one in alone["@id"]))
    uniques = (*((model.column(one),) for one in alone["@unique"]), *_lists(model, "@@unique"))
    return Relation(
        schema=model.schema,
        name=model.table,
        fields=fields,
        key=key,
        uniques=uniques,
        references=tuple(_references(model, models)),
        is_view=model.is_view,
    )


def _field(
    model: _Model, name: str, type_: str, is_list: bool, is_optional: bool, rest: str, enums: dict[str, tuple[str, ...]]
) -> Field:
    native = re.search(r"@db\.(\w+)", rest)
    written, kind = _NATIVE.get(native[1] if native else "", _TYPES.get(type_, (type_, "other")))
    if type_ in enums:
        written, kind = type_, "enum"
    if is_list:
        written, kind = f"{written}[]", "array"
    return Field(model.column(name), written, kind, nullable=is_optional, labels=enums.get(type_, ()))


def _references(model: _Model, models: dict[str, _Model]) -> Iterator[Reference]:
    for type_, _, _, rest in model.lines.values():
        own, theirs = re.search(r"fields:\s*\[\s*(\w+)\s*\]", rest), re.search(r"references:\s*\[\s*(\w+)\s*\]", rest)
        if type_ in models and own and theirs:
            target = models[type_]
            yield Reference(model.column(own[1]), target.schema, target.table, target.column(theirs[1]))


def _lists(model: _Model, attribute: str) -> list[tuple[str, ...]]:
    """The columns of @@id([a, b]) or @@unique([a, b])."""
    found = (re.match(rf"{attribute}\(\s*(?:fields:\s*)?\[([^\]]*)\]", one) for one in model.attributes)
    return [tuple(model.column(one) for one in re.findall(r"\w+(?![\w(])", each[1])) for each in found if each]


def _text_of(word: str, line: str) -> str | None:
    """The text that follows @map( or the like."""
    found = re.search(rf"(?<![@\w]){re.escape(word)}\b\s*\(?\s*(?:name:\s*)?{_STRING}", line)
    return found[1] if found else None
