"""The register of exports: who fetched which file, when, with what filter, and what was in it.

Kept in `usage_dashboard.export` through the owner's engine; in this process's memory without one.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.errors import NotFoundError
from queries.exports.manifest import Manifest, filters_of
from queries.exports.reports import Order
from queries.tables import OUR_SCHEMA
from queries.transactions import short_transaction

State = Literal["running", "done", "failed", "left"]
Ending = Literal["failed", "left"]
# What is kept without a database of ours: the newest, so that the memory of a long run stays flat.
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Registered:
    """One export. What the manifest says (from `as_of` on) is None until the file has ended."""

    id: str
    report: str
    schema_version: int
    asked_by: str
    role: str
    asked_at: datetime
    filters: Mapping[str, Any]
    format: str
    state: State = "running"
    reason: str | None = None
    finished_at: datetime | None = None
    as_of: datetime | None = None
    rows: int | None = None
    bytes: int | None = None
    sums: Mapping[str, str] | None = None
    sha256: str | None = None
    status: str | None = None
    differences: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """Some of the exports, the newest first, and how many there are."""

    rows: Sequence[Registered] = field(default=())
    total_rows: int = 0


class Register(Protocol):
    """Safe to share between threads. Only errors of queries.errors are raised."""

    def begin(self, order: Order, *, by: str, role: str) -> str:
        """Enter an export that starts now; its id."""

    def finish(self, export_id: str, manifest: Manifest) -> None:
        """The file has ended, and this is what is in it."""

    def fail(self, export_id: str, state: Ending, reason: str) -> None:
        """The file has not ended: an error, or the reader left. An export that is done stays so."""

    def page(
        self,
        *,
        limit: int,
        offset: int = 0,
        reports: Collection[str] | None = None,
        asked_by: str | None = None,
    ) -> RegisterPage:
        """The newest exports of these reports (None: of all), and of this person (None: of everybody)."""

    def of(self, export_id: str) -> Registered:
        """One export; NotFoundError when there is none of this id."""


class MemoryRegister:
    """The register of this process, for as long as it runs."""

    def __init__(self) -> None:
        self._entered: dict[str, Registered] = {}
        self._lock = threading.Lock()

    def begin(self, order: Order, *, by: str, role: str) -> str:
        entry = Registered(asked_at=datetime.now(UTC), **_entry(order, by, role))
        with self._lock:
            self._entered[entry.id] = entry
            if len(self._entered) > _MOST_REMEMBERED:
                del self._entered[next(iter(self._entered))]
        return entry.id

    def finish(self, export_id: str, manifest: Manifest) -> None:
        self._end(export_id, {"state": "done", **_found(manifest)})

    def fail(self, export_id: str, state: Ending, reason: str) -> None:
        self._end(export_id, {"state": state, "reason": reason})

    def page(
        self,
        *,
        limit: int,
        offset: int = 0,
        reports: Collection[str] | None = None,
        asked_by: str | None = None,
    ) -> RegisterPage:
        with self._lock:
            newest_first = list(reversed(self._entered.values()))
        wanted = [
            one
            for one in newest_first
            if (reports is None or one.report in reports) and asked_by in (None, one.asked_by)
        ]
        return RegisterPage(wanted[offset : offset + limit], len(wanted))

    def of(self, export_id: str) -> Registered:
        with self._lock:
            found = self._entered.get(export_id)
        return _there(found)

    def _end(self, export_id: str, values: dict[str, Any]) -> None:
        with self._lock:
            entry = self._entered.get(export_id)
            if entry is not None and entry.state == "running":
                self._entered[export_id] = replace(entry, finished_at=datetime.now(UTC), **values)


_EXPORT = sa.table(
    "export",
    *(sa.column(name, sa.Text) for name in ("id", "report", "asked_by", "role", "format", "state", "reason")),
    *(sa.column(name, sa.Text) for name in ("sha256", "status")),
    *(sa.column(name, sa.BigInteger) for name in ("schema_version", "rows", "bytes")),
    *(sa.column(name, sa.TIMESTAMP(timezone=True)) for name in ("asked_at", "finished_at", "as_of")),
    *(sa.column(name, postgresql.JSONB(none_as_null=True)) for name in ("filters", "differences")),
    sa.column("sums", postgresql.JSON(none_as_null=True)),
    schema=OUR_SCHEMA,
)
_FIELDS = tuple(Registered.__dataclass_fields__)


class ExportRegister:
    """The register of all processes that share the database, for good."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def begin(self, order: Order, *, by: str, role: str) -> str:
        values = _entry(order, by, role)
        with short_transaction(self._engine) as connection:
            connection.execute(sa.insert(_EXPORT).values(**values))
        return str(values["id"])

    def finish(self, export_id: str, manifest: Manifest) -> None:
        self._end(export_id, {"state": "done", **_found(manifest)})

    def fail(self, export_id: str, state: Ending, reason: str) -> None:
        self._end(export_id, {"state": state, "reason": reason})

    def page(
        self,
        *,
        limit: int,
        offset: int = 0,
        reports: Collection[str] | None = None,
        asked_by: str | None = None,
    ) -> RegisterPage:
        wanted = [
            *([] if reports is None else [_EXPORT.c.report.in_(list(reports))]),
            *([] if asked_by is None else [_EXPORT.c.asked_by == asked_by]),
        ]
        rows = (
            sa.select(*(_EXPORT.c[name] for name in _FIELDS))
            .where(*wanted)
            .order_by(_EXPORT.c.asked_at.desc(), _EXPORT.c.id)
            .limit(limit)
            .offset(offset)
        )
        with short_transaction(self._engine) as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(_EXPORT).where(*wanted))
            found = connection.execute(rows).mappings().all()
        return RegisterPage([Registered(**one) for one in found], int(total or 0))

    def of(self, export_id: str) -> Registered:
        with short_transaction(self._engine) as connection:
            row = sa.select(*(_EXPORT.c[name] for name in _FIELDS)).where(_EXPORT.c.id == export_id)
            found = connection.execute(row).mappings().one_or_none()
        return _there(None if found is None else Registered(**found))

    def _end(self, export_id: str, values: dict[str, Any]) -> None:
        ended = sa.update(_EXPORT).where(_EXPORT.c.id == export_id, _EXPORT.c.state == "running")
        with short_transaction(self._engine) as connection:
            connection.execute(ended.values(finished_at=sa.func.now(), **values))


def _entry(order: Order, by: str, role: str) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8),
        "report": order.report,
        "schema_version": order.what.schema_version,
        "asked_by": by,
        "role": role,
        "filters": filters_of(order),
        "format": order.format,
    }


def _found(manifest: Manifest) -> dict[str, Any]:
    return {
        "as_of": manifest.as_of,
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "sums": dict(manifest.sums),
        "sha256": manifest.sha256,
        "status": manifest.status,
        "differences": list(manifest.differences),
    }


def _there(found: Registered | None) -> Registered:
    if found is None:
        raise NotFoundError("no such export, or it is not one of yours; choose one from the register")
    return found
