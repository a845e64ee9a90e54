"""An index as a value: its DDL with quoted names from the catalog, its name, and what Prisma can say of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

NAME_LIMIT_BYTES = 63
Method = Literal["btree", "brin"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One key: a column, or an expression of columns as SQL. NULLS None is PostgreSQL's default for the direction."""

    column: str = ""
    expression: str = ""
    descending: bool = False
    nulls_first: bool | None = None
    opclass: str = ""

    @property
    def text(self) -> str:
        """As it stands between the parentheses of CREATE INDEX."""
        words = [quoted(self.column) if self.column else f"({self.expression})"]
        if self.opclass:
            words.append(self.opclass)
        if self.descending:
            words.append("DESC")
        if self.nulls_first is not None and self.nulls_first != self.descending:
            words.append("NULLS FIRST" if self.nulls_first else "NULLS LAST")
        return " ".join(words)

    @property
    def prisma(self) -> str:
        """As it stands in `@@index`: an operator class that Prisma has no name for is given raw."""
        options = [f'ops: raw("{self.opclass}")'] if self.opclass else []
        options += ["sort: Desc"] if self.descending else []
        return f"{self.column}({', '.join(options)})" if options else self.column

    @property
    def puts_nulls_first(self) -> bool:
        return self.descending if self.nulls_first is None else self.nulls_first

    @property
    def turned(self) -> Key:
        """The same key as a backward scan reads it."""
        return Key(self.column, self.expression, not self.descending, not self.puts_nulls_first, self.opclass)

    def sorts_as(self, other: Key) -> bool:
        """Whether both give the same order."""
        mine = (self.column, self.expression, self.opclass, self.descending, self.puts_nulls_first)
        return mine == (other.column, other.expression, other.opclass, other.descending, other.puts_nulls_first)


@dataclass(frozen=True, slots=True, order=True)
class Index:
    """An index that could be made. `where` is the condition of a partial one, as SQL terms."""

    schema: str
    table: str
    keys: tuple[Key, ...]
    include: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    method: Method = "btree"

    @property
    def relation(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def body(self) -> str:
        """What follows the index's name."""
        using = "" if self.method == "btree" else f" USING {self.method}"
        include = f" INCLUDE ({', '.join(map(quoted, self.include))})" if self.include else ""
        where = f" WHERE {' AND '.join(f'({term})' for term in self.where)}" if self.where else ""
        return f"ON {self.relation}{using} ({', '.join(key.text for key in self.keys)}){include}{where}"

    @property
    def is_plain(self) -> bool:
        """Whether Prisma's `@@index` can say it all."""
        ordinary = all(key.column and key.puts_nulls_first == key.descending for key in self.keys)
        return ordinary and not self.include and not self.where

    def name(self, taken: frozenset[str] = frozenset()) -> str:
        """Prisma's default name where that says it; else one with a digest. Never longer than PostgreSQL takes."""
        columns = [key.column or "expr" for key in self.keys]
        plain = "_".join((self.table, *columns, "idx"))
        is_default = self.is_plain and self.method == "btree" and not any(key.opclass for key in self.keys)
        if is_default and len(plain.encode()) <= NAME_LIMIT_BYTES and plain not in taken:
            return plain
        digest = hashlib.blake2b(self.body.encode(), digest_size=4).hexdigest()
        ending = f"_{digest}_idx"
        stem = plain.removesuffix("_idx").encode()[: NAME_LIMIT_BYTES - len(ending)].decode(errors="ignore")
        return stem + ending

    def ddl(self, taken: frozenset[str] = frozenset()) -> str:
        """To be run as it stands, outside a transaction."""
        return f"CREATE INDEX CONCURRENTLY {quoted(self.name(taken))} {self.body}"

    def prisma(self, taken: frozenset[str] = frozenset()) -> str:
        """The line for the model in schema.prisma, or what a raw SQL migration has to hold."""
        name = self.name(taken)
        if not self.is_plain:
            return (
                "-- Prisma's schema cannot say this index: prisma migrate dev --create-only, then in migration.sql:\n"
                f"CREATE INDEX {quoted(name)} {self.body};"
            )
        fields = ", ".join(key.prisma for key in self.keys)
        options = [f"[{fields}]"]
        if self.method == "brin":
            options.append("type: Brin")
        if name != "_".join((self.table, *(key.column for key in self.keys), "idx")):
            options.append(f'map: "{name}"')
        return f"@@index({', '.join(options)})"


def quoted(name: str) -> str:
    """A name with quotes, always: what needs none stays the same name."""
    return sql.Identifier(name).as_string(None)


def covers(held: Index, wanted: Index) -> bool:
    """Whether `held` does all that `wanted` would: the same order from the first key on, the same columns inside."""
    if (held.schema, held.table, held.method, held.where) != (wanted.schema, wanted.table, wanted.method, wanted.where):
        return False
    if wanted.method == "brin":
        return {key.column for key in wanted.keys} <= {key.column for key in held.keys}
    front = held.keys[: len(wanted.keys)]
    if len(front) < len(wanted.keys):
        return False
    inside = {key.column for key in held.keys} | set(held.include)
    same = all(mine.sorts_as(theirs) for mine, theirs in zip(front, wanted.keys, strict=True))
    turned = all(mine.turned.sorts_as(theirs) for mine, theirs in zip(front, wanted.keys, strict=True))
    return (same or turned) and set(wanted.include) <= inside
