"""Which alert was told when: `usage_dashboard.alert`, written through the owner's engine; this process's memory without
one.

Whoever wants to tell claims the subject first, so that of several processes one tells; what could not be told is given
back as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.errors import translated
from queries.tables import OUR_SCHEMA

HOUR = timedelta(hours=1)
_TIMEOUT_MS = 5_000
_ALERT = sa.table(
    "alert",
    sa.column("subject", sa.Text),
    sa.column("sentence", sa.Text),
    sa.column("told_at", sa.TIMESTAMP(timezone=True)),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subject to be told at this moment, unless it was told after `since`; and one of these slots, each for an hour,
    which keep the messages of an hour to as many."""

    subject: str
    sentence: str
    at: datetime
    since: datetime
    slots: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Subjects that are ours to tell, each with what was told of it last, and when."""

    at: datetime
    before: Mapping[str, tuple[str, datetime] | None]


Refusal = Literal["taken", "full"]
"""Somebody has told it lately; or there is no slot left."""


class Claims(Protocol):
    """Safe to share between threads. Only errors of queries.errors are raised."""

    def told(self) -> Mapping[str, datetime]:
        """When each subject was told last."""

    def claim(self, wanted: Wanted) -> Claim | Refusal:
        """The subject and a slot, both or neither: nobody ever sees one without the other."""

    def give_back(self, claim: Claim) -> None:
        """As if it had not been claimed; what somebody has claimed since stays theirs."""


class Remembered:
    """Claims within this process, for as long as it runs."""

    def __init__(self, told: Mapping[str, datetime] | None = None) -> None:
        self._told = {subject: ("", at) for subject, at in (told or {}).items()}
        self._lock = threading.Lock()

    def told(self) -> Mapping[str, datetime]:
        with self._lock:
            return {subject: at for subject, (_, at) in self._told.items()}

    def claim(self, wanted: Wanted) -> Claim | Refusal:
        with self._lock:
            if not self._is_due(wanted.subject, wanted.since):
                return "taken"
            subjects = {wanted.subject: wanted.sentence}
            if wanted.slots is not None:
                slot = next((one for one in wanted.slots if self._is_due(one, wanted.at - HOUR)), None)
                if slot is None:
                    return "full"
                subjects[slot] = wanted.subject
            claim = Claim(wanted.at, {subject: self._told.get(subject) for subject in subjects})
            self._told |= {subject: (sentence, wanted.at) for subject, sentence in subjects.items()}
            return claim

    def give_back(self, claim: Claim) -> None:
        with self._lock:
            for subject, before in claim.before.items():
                if subject not in self._told or self._told[subject][1] != claim.at:
                    continue
                if before is None:
                    del self._told[subject]
                else:
                    self._told[subject] = before

    def _is_due(self, subject: str, since: datetime) -> bool:
        return subject not in self._told or self._told[subject][1] <= since


class Kept:
    """Claims among all processes that share the database, for good."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def told(self) -> Mapping[str, datetime]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_ALERT.c.subject, _ALERT.c.told_at)).all()
        return {row.subject: row.told_at for row in rows}

    def claim(self, wanted: Wanted) -> Claim | Refusal:
        # Whoever wants the same rows waits until this transaction has ended. The subject first and then the slots in
        # their order: nobody waits for whoever waits for them.
        with self._transaction() as connection:
            rows = _claimed(connection, wanted.subject, wanted.sentence, wanted.at, wanted.since)
            if rows is None:
                return "taken"
            if wanted.slots is not None:
                slot = _slot_claimed(connection, wanted, wanted.slots)
                if slot is None:
                    connection.rollback()
                    return "full"
                rows |= slot
        return Claim(wanted.at, rows)

    def give_back(self, claim: Claim) -> None:
        with self._transaction() as connection:
            for subject, before in claim.before.items():
                ours = _ALERT.c.subject == subject, _ALERT.c.told_at == claim.at
                if before is None:
                    connection.execute(sa.delete(_ALERT).where(*ours))
                else:
                    sentence, told_at = before
                    connection.execute(sa.update(_ALERT).where(*ours).values(sentence=sentence, told_at=told_at))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """A short one, that waits for nobody for long."""
        try:
            with self._engine.connect() as connection:
                connection.execute(sa.select(sa.func.set_config("statement_timeout", str(_TIMEOUT_MS), True)))
                yield connection
                connection.commit()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise translated(error, timeout_s=_TIMEOUT_MS / 1000) from error


_Rows = dict[str, tuple[str, datetime] | None]


def _claimed(connection: sa.Connection, subject: str, sentence: str, at: datetime, since: datetime) -> _Rows | None:
    """The subject, told now, with what was told of it before; None when it was told after `since`."""
    last = sa.select(_ALERT.c.sentence, _ALERT.c.told_at).where(_ALERT.c.subject == subject).with_for_update()
    told = postgresql.insert(_ALERT).values(subject=subject, sentence=sentence, told_at=at)
    claimed = told.on_conflict_do_update(
        index_elements=[_ALERT.c.subject],
        set_={"sentence": told.excluded.sentence, "told_at": told.excluded.told_at},
        where=_ALERT.c.told_at <= since,
    ).returning(_ALERT.c.subject)
    before = connection.execute(last).one_or_none()
    if connection.execute(claimed).one_or_none() is None:
        return None
    return {subject: None if before is None else (before.sentence, before.told_at)}


def _slot_claimed(connection: sa.Connection, wanted: Wanted, slots: Sequence[str]) -> _Rows | None:
    """The first slot that nobody has had for an hour."""
    since = wanted.at - HOUR
    taken = set(connection.scalars(sa.select(_ALERT.c.subject).where(_ALERT.c.told_at > since)))
    for slot in (one for one in slots if one not in taken):
        rows = _claimed(connection, slot, wanted.subject, wanted.at, since)
        if rows is not None:
            return rows
    return None


@contextmanager
def claiming(claims: Claims, wanted: Wanted) -> Iterator[Literal["ours"] | Refusal]:
    """Whether it is ours to tell; given back when telling it fails."""
    claim = claims.claim(wanted)
    if not isinstance(claim, Claim):
        yield claim
        return
    try:
        yield "ours"
    except BaseException:
        claims.give_back(claim)
        raise
