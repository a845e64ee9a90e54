"""What is there: tables, columns, keys and references, whether read from a database or from a Prisma schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from queries.connect.names import plain, telling, words

Kind = Literal[
    "integer",
    "numeric",
    "float",
    "text",
    "uuid",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "interval",
    "enum",
    "json",
    "bytes",
    "array",
    "other",
]
NUMBERS: tuple[Kind, ...] = ("integer", "numeric", "float")
TIMES: tuple[Kind, ...] = ("timestamp", "timestamptz")
TEXTS: tuple[Kind, ...] = ("text", "enum")
_ID_WORDS = ("id", "uuid", "guid", "key", "fk", "ref")


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its type as PostgreSQL writes it, what kind of type that is, and an enum's labels."""

    name: str
    type: str
    kind: Kind
    nullable: bool = True
    labels: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that holds another table's key; `declared` by a foreign key, otherwise told by its name."""

    column: str
    schema: str
    table: str
    target: str
    declared: bool = True


@dataclass(frozen=True)
class Relation:
    """A table or view. `rows` is PostgreSQL's estimate; None when nobody has counted."""

    schema: str
    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    rows: int | None = None
    readable: bool = True
    is_view: bool = False

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {one.name: one for one in self.fields}

    @cached_property
    def words(self) -> tuple[str, ...]:
        return telling(self.name)

    @property
    def label(self) -> str:
        """How a person calls it: with its schema, unless that is public."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def is_unique(self, column: str) -> bool:
        """Whether at most one row has each value of the column."""
        return (column,) in (self.key, *self.uniques)

    def reference_of(self, column: str) -> Reference | None:
        return next((one for one in self.references if one.column == column), None)


@dataclass(frozen=True)
class Shape:
    """All relations, by schema and name. `origin` says where they are from, in words for a person."""

    relations: tuple[Relation, ...]
    origin: str = "the database"
    _places: dict[tuple[str, str], Relation] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._places.update({(one.schema, one.name): one for one in self.relations})

    def at(self, schema: str, name: str) -> Relation | None:
        return self._places.get((schema, name))

    def named(self, name: str) -> list[Relation]:
        """Relations that a person may mean: by "schema.table", by the table's name, or by it in another case."""
        ways = (
            [one for one in self.relations if f"{one.schema}.{one.name}" == name],
            [one for one in self.relations if one.name == name],
            [one for one in self.relations if one.label.casefold() == name.casefold()],
        )
        return next((found for found in ways if found), [])

    def leads_to(self, reference: Reference) -> Relation | None:
        return self.at(reference.schema, reference.table)

    def in_schemas(self, schemas: set[str]) -> Shape:
        return Shape(tuple(one for one in self.relations if one.schema in schemas), self.origin)


def quoted(name: str) -> str:
    """An identifier as PostgreSQL takes any."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """A text as SQL, whatever is in it."""
    if "\\" in value:
        return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + value.replace("'", "''") + "'"


def same_kind(one: Field, other: Field) -> bool:
    """Whether the two compare without a cast that PostgreSQL would have to be told."""
    return one.kind == other.kind and one.kind not in ("other", "array", "json", "bytes")


def with_inferred_references(shape: Shape) -> Shape:
    """The same with references that no foreign key declares: user_id holds the key of users when it could.

    Applications on PlanetScale's or Prisma's `relationMode` declare none, and many others forget some."""
    keyed = [one for one in shape.relations if len(one.key) == 1]
    return replace(shape, relations=tuple(_completed(one, keyed) for one in shape.relations))


def _completed(relation: Relation, keyed: list[Relation]) -> Relation:
    declared = {one.column for one in relation.references}
    found = [
        reference
        for one in relation.fields
        if one.name not in declared and (reference := _inferred(relation, one, keyed)) is not None
    ]
    return replace(relation, references=(*relation.references, *found))


def _inferred(relation: Relation, column: Field, keyed: list[Relation]) -> Reference | None:
    if column.kind not in ("integer", "text", "uuid") or (column.name,) == relation.key:
        return None
    parts = words(column.name)
    if parts[-1:] and parts[-1] in _ID_WORDS and len(parts) > 1:
        parts = parts[:-1]
    elif column.kind == "text":
        return None  # a text called "user" is as likely a name
    for wanted in _tails(parts):
        able = [one for one in keyed if _may_hold(column, one)]
        there = [one for one in able if _is_called(one, wanted)]
        # job_id is the key of image_jobs, as long as there are no other jobs.
        ending = [one for one in able if len(one.words) > 1 and one.words[-len(wanted) :] == wanted]
        there = there or (ending if len(ending) == 1 else [])
        there.sort(key=lambda one: (one.schema != relation.schema, one.schema, one.name))
        if there:
            target = there[0]
            return Reference(column.name, target.schema, target.name, target.key[0], declared=False)
    return None


def _tails(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All of it, then without what stands before: owner_user is a user."""
    for start in range(len(parts)):
        yield parts[start:]


_SHORT = {"org": "organization", "organisation": "organization", "gen": "generation", "tx": "transaction"}


def _is_called(relation: Relation, wanted: tuple[str, ...]) -> bool:
    return any(
        plain(_SHORT.get(one, one) for one in name) == plain(_SHORT.get(one, one) for one in wanted)
        for name in (relation.words, words(relation.name))
    )


def _may_hold(column: Field, target: Relation) -> bool:
    key = target.by_name[target.key[0]]
    return column.kind == key.kind or {column.kind, key.kind} == {"text", "uuid"}
