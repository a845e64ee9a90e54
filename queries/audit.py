"""The audit: who signed in, opened which tenant, took what along, closed or changed what, and when.

Kept in `usage_dashboard.audit`, which the program's own roles can add to and read, and neither change nor empty. What
could not be kept is counted, and stands whole in the log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from queries.batches import QUEUE_RECORDS, Batches
from queries.scope import is_storable
from queries.tables import OUR_SCHEMA
from queries.transactions import short_transaction

log = logging.getLogger(__name__)

# One value of a subject: a list of tenants may be long, and what is cut says so.
LONGEST_VALUE = 4_000

AUDIT = sa.table(
    "audit",
    sa.column("id", sa.BigInteger),
    sa.column("at", sa.TIMESTAMP(timezone=True)),
    *(sa.column(name, sa.Text) for name in ("who", "role", "action")),
    sa.column("subject", JSONB),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One thing that somebody did: when in UTC, their name and role, what, and to what."""

    at: datetime
    who: str
    role: str
    action: str
    subject: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for. `who` and `subject` are parts of a text, in any case of letters; times are half
    open; None and empty ask for all."""

    who: str = ""
    action: str = ""
    subject: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of the records, the newest first, and how many there are."""

    rows: Sequence[Recorded] = field(default=())
    total_rows: int = 0


class Audit:
    """Writes from a thread of its own and reads. Safe to share between threads."""

    def __init__(self, engine: sa.Engine, *, queue_records: int = QUEUE_RECORDS) -> None:
        self._engine = engine
        self._batches = Batches("audit", self._write, lost=_tell_lost, queue_records=queue_records)

    @property
    def dropped(self) -> int:
        """Records of this process that could not be kept; each stands in the log."""
        return self._batches.dropped

    @property
    def written(self) -> int:
        return self._batches.written

    def start(self) -> None:
        self._batches.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the time allows, and end."""
        self._batches.stop(timeout_s)

    def record(self, who: str, role: str, action: str, subject: Mapping[str, str]) -> None:
        """Write down that somebody did something, now; returns at once. Nothing secret belongs into a subject."""
        kept = {_storable(name): _storable(value) for name, value in subject.items()}
        self._batches.add(Recorded(datetime.now(UTC), _storable(who), _storable(role), _storable(action), kept))

    def page(self, wanted: Wanted, *, limit: int, offset: int = 0) -> AuditPage:
        """Records that are in the database. Only errors of queries.errors are raised."""
        matching = _matching(wanted)
        columns = (AUDIT.c[name] for name in ("at", "who", "role", "action", "subject"))
        newest = sa.select(*columns).where(*matching).order_by(AUDIT.c.at.desc(), AUDIT.c.id.desc())
        with short_transaction(self._engine) as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(AUDIT).where(*matching))
            found = connection.execute(newest.limit(limit).offset(offset)).mappings().all()
        return AuditPage([Recorded(**one) for one in found], int(total or 0))

    def _write(self, batch: Sequence[Recorded]) -> None:
        if batch:
            rows = [{**_row(one), "subject": dict(one.subject)} for one in batch]
            with self._engine.begin() as connection:
                connection.execute(sa.insert(AUDIT), rows)


def _matching(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    given: list[sa.ColumnElement[bool] | None] = [
        AUDIT.c.who.icontains(wanted.who, autoescape=True) if wanted.who else None,
        AUDIT.c.action == wanted.action if wanted.action else None,
        sa.cast(AUDIT.c.subject, sa.Text).icontains(wanted.subject, autoescape=True) if wanted.subject else None,
        AUDIT.c.at >= wanted.start if wanted.start is not None else None,
        AUDIT.c.at < wanted.end if wanted.end is not None else None,
    ]
    return [one for one in given if one is not None]


def _row(one: Recorded) -> dict[str, Any]:
    return {"at": one.at, "who": one.who, "role": one.role, "action": one.action, "subject": one.subject}


def _storable(text: str) -> str:
    """The text as PostgreSQL can keep it: a record must not be lost for a character in it."""
    kept = text if is_storable(text) else text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return kept if len(kept) <= LONGEST_VALUE else f"{kept[:LONGEST_VALUE]}… ({len(kept):,} characters)"


def _tell_lost(one: Recorded) -> None:
    """What may not have been kept stands in the log, as one line."""
    said = json.dumps({**_row(one), "at": one.at.isoformat(), "subject": dict(one.subject)}, ensure_ascii=True)
    log.error("an audit record may not have been kept: %s", said)
