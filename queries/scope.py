"""Whose rows a statement may read."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.errors import NotFoundError

ALL_DIGEST = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """All tenants, or a set of tenant ids in their text form. The digest is computed once and stands in cache keys."""

    ids: frozenset[str] | None
    digest: str = field(compare=True)
    ordered_ids: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def all_tenants(cls) -> Scope:
        return cls(None, ALL_DIGEST)

    @classmethod
    def of(cls, ids: Iterable[str]) -> Scope:
        """The scope of these tenants; of none is a scope that sees nothing."""
        ordered = tuple(sorted({str(one) for one in ids}))
        packed = b"".join(len(raw := one.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + raw for one in ordered)
        return cls(frozenset(ordered), hashlib.blake2b(packed, digest_size=16).hexdigest(), ordered)

    @property
    def is_all(self) -> bool:
        return self.ids is None

    def covers(self, other: Scope) -> bool:
        """Whether everything that the other scope may read is in this one."""
        # Nearly always a page asks within the viewer's very scope; comparing 500 ids with themselves costs 6 µs.
        if self.ids is None or other is self:
            return True
        return other.ids is not None and other.ids <= self.ids

    def narrowed(self, ids: Iterable[str]) -> Scope:
        """The scope of these tenants of mine; NotFoundError when one is not mine. Ids may come from a URL."""
        wanted = Scope.of(ids)
        if not self.covers(wanted):
            raise NotFoundError("no such tenant, or it is not one of yours; choose one from the list")
        return wanted

    def predicate(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """`column = ANY(ids)`, or true for all tenants. The runner recognises it by its ids.

        An id that cannot be of the column's type (a word for an integer key) is no tenant's id and matches nothing.
        """
        if self.ids is None:
            return sa.true()
        native = [value for one in self.ordered_ids if (value := native_id(one, column.type)) is not None]
        bound = sa.bindparam("tenants", native, type_=postgresql.ARRAY(column.type), unique=True)
        return column == sa.any_(bound)


def native_id(text: str, type_: sa.types.TypeEngine[Any]) -> Any:
    """The id as a value for a column of this type; None when it is not the text form of one, and so nobody's id."""
    native: Any = text
    try:
        if isinstance(type_, sa.Integer):
            native = int(text)
            return native if str(native) == text and abs(native) < _integer_limit(type_) else None
        if isinstance(type_, sa.Uuid):
            native = uuid.UUID(text)
    except ValueError:
        return None
    return native if str(native) == text and is_storable(text) else None


def is_storable(text: str) -> bool:
    """Whether a PostgreSQL text in UTF-8 can hold it: no NUL and no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _integer_limit(type_: sa.Integer) -> int:
    bits = 15 if isinstance(type_, sa.SmallInteger) else 63 if isinstance(type_, sa.BigInteger) else 31
    return int(2**bits)
