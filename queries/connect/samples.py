"""A look at the rows: which values a column has, and numbers that tell one meaning from another.

Everything is read with LIMIT, of a large table by blocks that are the same each time. What is shown to a person is cut
so that no prompt, address of a picture or e-mail stands there in full.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from queries.connect.catalog import reading
from queries.connect.shape import Relation, quoted

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]
Counts = tuple[tuple[str, int], ...]

LOOKED_AT_ROWS = 100_000
SHOWN_LETTERS = 24
_COMMON = 40
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Peek(Protocol):
    """What can be seen of the rows. Nothing, where there is only a file."""

    def common(self, relation: Relation, column: str) -> Counts:
        """The most frequent values as texts, the most frequent first, with how often each was seen."""

    def facts(self, relation: Relation, wanted: Mapping[str, str], *, where: str = "true") -> dict[str, Any]:
        """Expressions of ours over the rows, such as max("amount"), by the names given; empty when nothing is known."""

    def first(self, relation: Relation, column: str) -> str:
        """A value that is there, as text; empty when there is none."""


class NoRows:
    """Only the shape is known."""

    def common(self, relation: Relation, column: str) -> Counts:  # noqa: ARG002 - of one form
        return ()

    def facts(
        self,
        relation: Relation,  # noqa: ARG002 - of one form
        wanted: Mapping[str, str],  # noqa: ARG002
        *,
        where: str = "true",  # noqa: ARG002
    ) -> dict[str, Any]:
        return {}

    def first(self, relation: Relation, column: str) -> str:  # noqa: ARG002 - of one form
        return ""


class Rows:
    """Looks at the rows of a database, at each thing once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seen: dict[str, list[tuple[Any, ...]]] = {}

    def common(self, relation: Relation, column: str) -> Counts:
        name = quoted(column)
        rows = self._read(
            f"SELECT {name}::text, count(*) FROM {_some(relation, name)} WHERE {name} IS NOT NULL"  # noqa: S608 - quoted
            f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_COMMON}"
        )
        return tuple((str(value), int(count)) for value, count in rows)

    def facts(self, relation: Relation, wanted: Mapping[str, str], *, where: str = "true") -> dict[str, Any]:
        shown = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in wanted.items())
        rows = self._read(f"SELECT {shown} FROM {_some(relation)} WHERE {where}")  # noqa: S608 - expressions of ours
        return dict(zip(wanted, rows[0], strict=True)) if rows else {}

    def first(self, relation: Relation, column: str) -> str:
        name = quoted(column)
        kind = relation.by_name[column].kind
        shown = f"octet_length({name})::text || ' bytes'" if kind == "bytes" else f"left({name}::text, 200)"
        rows = self._read(
            f"SELECT {shown} FROM {_some(relation, name)} WHERE {name} IS NOT NULL LIMIT 1"  # noqa: S608 - quoted
        )
        return str(rows[0][0]) if rows else ""

    def _read(self, statement: str) -> list[tuple[Any, ...]]:
        if statement not in self._seen:
            try:
                with reading(self._connection):
                    found = self._connection.execute(sql.SQL(statement)).fetchall()
            except psycopg.Error as error:
                # What cannot be looked at is not known; the proposal says so by its confidence.
                log.info("a look at the rows failed (SQLSTATE %s)", error.sqlstate)
                found = []
            self._seen[statement] = found
        return self._seen[statement]


def _some(relation: Relation, columns: str = "*") -> str:
    """At most so many of its rows, of the columns that are needed: a role may read these and no others. Of a large
    table blocks from all of it, the same ones each time: the newest values are not among the first rows."""
    sampled, most = "", LOOKED_AT_ROWS
    if relation.rows is not None and relation.rows > 2 * LOOKED_AT_ROWS and not relation.is_view:
        share = max(0.01, 100 * LOOKED_AT_ROWS / relation.rows)
        sampled = f" TABLESAMPLE SYSTEM ({share:.4f}) REPEATABLE (0)"
        most *= 2  # blocks come in their order, and a limit that is reached would cut the newest off
    return f"(SELECT {columns} FROM {relation.sql}{sampled} LIMIT {most}) AS seen"  # noqa: S608 - quoted names


def masked(value: str, meaning: str = "") -> str:
    """A sample value as a person may see it: enough to recognise the column, too little to tell a secret."""
    text = " ".join(value.split())
    if not text:
        return ""
    if meaning in ("prompt", "error"):
        return f"{text[:8]}… ({len(text)} characters)"
    if meaning == "url" or "://" in text:
        return _host_only(text)
    if meaning == "email" or _EMAIL.search(text):
        return f"{text[0]}…@…"
    if meaning == "name":
        return f"{text[:3]}…" if len(text) > 3 else text
    if meaning == "data" and not text.endswith(" bytes"):
        return f"{len(text)} characters"
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}…"


def _host_only(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        return "…"
    # Neither a user and password nor a signed address.
    return f"{parts.scheme}://{parts.hostname}/…" if parts.hostname else f"{text[:6]}…"
