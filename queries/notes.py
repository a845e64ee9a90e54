"""Notes as they are written: pinned and taken away through the owner's engine, by somebody who may.

They are read through the runner like everything else, see `queries/catalog/notes.py`.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from queries.errors import ArgumentError, NotFoundError
from queries.period import EARLIEST, LATEST
from queries.scope import Scope, is_storable
from queries.tables import OUR_SCHEMA
from queries.transactions import short_transaction

log = logging.getLogger(__name__)

TEXT_LENGTH = 200

_NOTE = sa.table(
    "note",
    sa.column("id", sa.BigInteger),
    sa.column("tenant_id", sa.Text),
    sa.column("day", sa.Date),
    *(sa.column(name, sa.Text) for name in ("text", "author", "author_role", "removed_by")),
    sa.column("removed_at", sa.TIMESTAMP(timezone=True)),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: a name, a role, and whether that role may take away what others have written."""

    name: str
    role: str
    may_remove_any: bool = False


class Notebook:
    """Writes notes. Safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._process, self._writes = secrets.token_hex(4), itertools.count(1)
        self.version = f"{self._process}-0"
        """Part of the question for notes: after a write in this process no older answer is taken for the new one."""

    def add(self, scope: Scope, *, tenant_id: str, day: date, text: str, author: Author) -> int:
        """Pin a note; its id. ArgumentError for a text or a day that cannot be kept, NotFoundError beyond the scope."""
        scope.narrowed([tenant_id])
        kept = checked_text(text)
        _check_day(day)
        values = {"tenant_id": tenant_id, "day": day, "text": kept, "author": author.name, "author_role": author.role}
        with self._writing() as connection:
            note_id = int(connection.scalar(sa.insert(_NOTE).values(values).returning(_NOTE.c.id)) or 0)
        log.info("note %d pinned to tenant %s by %s (%s)", note_id, tenant_id, author.name, author.role)
        return note_id

    def remove(self, scope: Scope, *, note_id: int, by: Author) -> None:
        """Take a note away: one's own, or any with the right to. NotFoundError when it is not there, beyond the scope,
        or somebody else's; the three are not told apart."""
        whose = sa.true() if by.may_remove_any else _NOTE.c.author == by.name
        removed = (
            sa.update(_NOTE)
            .where(_NOTE.c.id == note_id, _NOTE.c.removed_at.is_(None), scope.predicate(_NOTE.c.tenant_id), whose)
            .values(removed_at=sa.func.now(), removed_by=by.name)
            .returning(_NOTE.c.tenant_id)
        )
        with self._writing() as connection:
            tenant_id = connection.scalar(removed)
        if tenant_id is None:
            raise NotFoundError("no such note, or it is not yours to remove; open the list of notes again")
        log.info("note %d of tenant %s removed by %s (%s)", note_id, tenant_id, by.name, by.role)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One transaction that waits for nobody for long, and a new version when it is done."""
        with short_transaction(self._engine) as connection:
            yield connection
        self.version = f"{self._process}-{next(self._writes)}"


def checked_text(text: str) -> str:
    """The text without what surrounds it; ArgumentError unless it has 1 to 200 characters that can be kept."""
    kept = text.strip()
    if not kept:
        raise ArgumentError("the note is empty; write a few words")
    if len(kept) > TEXT_LENGTH:
        raise ArgumentError(f"the note has {len(kept):,} characters; shorten it to at most {TEXT_LENGTH}")
    if not is_storable(kept):
        raise ArgumentError("the note holds a character that no text in PostgreSQL has; remove it")
    return kept


def _check_day(day: Any) -> None:
    if not isinstance(day, date):
        raise ArgumentError("the note has no day; choose one")
    if not EARLIEST <= day < LATEST:
        raise ArgumentError(f"the day {day} is out of range; choose one between {EARLIEST} and {LATEST}")
