"""One run of an export: everything from one snapshot, streamed, with its manifest; and the look beforehand."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pyarrow as pa
import sqlalchemy as sa

from queries.database import ALL_TENANTS, Database
from queries.errors import (
    ArgumentError,
    DatabaseError,
    MappingError,
    PermissionDeniedError,
    ReaderGoneError,
    StatementTimeoutError,
    translated,
)
from queries.exports import csv_file, parquet_file, xlsx_file
from queries.exports.canonical import header_line, parsed, plain
from queries.exports.copy_sql import XLSX_CELL_LENGTH
from queries.exports.made import Made
from queries.exports.manifest import Manifest, filters_of
from queries.exports.reports import XLSX_ROWS, Order
from queries.exports.sink import File, Sink, Write
from queries.exports.snapshot import Snapshot
from queries.exports.sources import Counted, DatabaseRows, Frozen, KeptRows, Source
from queries.scope import Scope
from queries.tables import Tables

log = logging.getLogger(__name__)

__all__ = ["Export", "Frozen", "Made", "Preview", "State", "freeze", "preview", "unknown_tenants"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
TIMEOUT_S = 600.0
_CANCEL_EVERY_S, _CANCEL_TIMEOUT_S = 0.2, 2.0
_DISCARDED_BYTES = 2**20
# A backend that waits for its client to read acts on no cancel, and on no timeout: only a cut ends it.
_CUT_AFTER_S = 0.5
# A cell's XML around its text, and what a byte of text becomes where much is escaped.
_AROUND_CELL_BYTES, _ESCAPED_BYTES = 64, 2


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file of this order would hold now: rows and sums of all of it, and its first rows."""

    rows: int
    sums: Mapping[str, str]
    first: pa.Table
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """Canonical bytes that were written."""

    rows: int
    sums: Mapping[str, str]
    sha256: str
    bytes: int


class Export:
    """One run of one order. `rows`, `bytes` and `state` may be read, and `cancel` called, from any thread."""

    def __init__(
        self,
        database: Database,
        order: Order,
        *,
        id: str = "",
        timeout_s: float = TIMEOUT_S,
        frozen: Frozen | None = None,
        made: Made | None = None,
        closed_months: Sequence[date] = (),
    ) -> None:
        """`frozen` or `made` stand in for the database's rows; `closed_months` are those of the order's period."""
        self.id = id or uuid.uuid4().hex
        self.order = order
        self.rows = 0
        self.bytes = 0
        self.state: State = "waiting"
        self._database, self._timeout_s = database, timeout_s
        self._kept: Frozen | Made | None = frozen or made
        self._closed_months = tuple(f"{one:%Y-%m}" for one in closed_months)
        self._connection: psycopg.Connection[Any] | None = None
        self._socket: socket.socket | None = None
        self._is_cancelled, self._has_ended = False, threading.Event()
        self._lock = threading.Lock()

    def run(self, write: Write) -> Manifest:
        """Write the whole file, piece by piece, in the calling thread. An error before the first byte writes nothing;
        one after it is raised, never written. What `write` raises ends the COPY in PostgreSQL and is raised again."""
        if self.state != "waiting":
            raise RuntimeError("an export runs once")
        self.state, sink = "running", Sink(write)
        try:
            with self._errors(), self._source() as source:
                manifest = self._written(source, sink)
        except BaseException:
            self.state = "cancelled" if self._is_cancelled else "failed"
            raise
        finally:
            sink.shut()
            self._has_ended.set()
        self.state = "done"
        return manifest

    def cancel(self) -> None:
        """End the run: a statement of it is gone within a second. Returns at once."""
        with self._lock:
            first, self._is_cancelled = not self._is_cancelled, True
        if first:
            threading.Thread(target=self._keep_cancelling, name="export-cancel", daemon=True).start()

    def _written(self, source: Source, sink: Sink) -> Manifest:
        order = self.order
        sums = write_file(source, order, sink, self._passed)
        self.bytes = sink.bytes
        counted = source.counted()
        is_closed = isinstance(self._kept, Frozen)
        return Manifest(
            id=self.id,
            report=order.report,
            title=order.what.title,
            schema_version=order.what.schema_version,
            file=order.file_name,
            columns=order.what.header,
            filters=filters_of(order),
            as_of=source.as_of,
            rows=self.rows,
            sums=_texts(counted),
            sha256=sink.sha256,
            bytes=sink.bytes,
            status="closed" if is_closed else "provisional",
            closed_at=self._kept.closed_at if isinstance(self._kept, Frozen) else None,
            closed_months=self._closed_months,
            differences=tuple(differences(self.rows, sums, counted)),
        )

    def _passed(self, rows: int, size: int) -> None:
        self.rows += rows
        self.bytes = size
        self._check_wanted()

    @contextmanager
    def _source(self) -> Iterator[Source]:
        if self._kept is not None:
            yield KeptRows(self._kept, self.order)
            return
        with opened(self._database, self.order, self._timeout_s, self._attach) as source:
            yield source

    def _attach(self, connection: psycopg.Connection[Any] | None) -> None:
        # A descriptor of our own: the driver's may be closed, and its number be another's, when it is cut.
        own = None if connection is None else socket.socket(fileno=os.dup(connection.pgconn.socket))
        with self._lock:
            self._connection, before, self._socket = connection, self._socket, own
        if before is not None:
            before.close()
        if connection is not None:
            self._check_wanted()

    def _check_wanted(self) -> None:
        if self._is_cancelled:
            raise ReaderGoneError("the export was stopped before its end; start it again for the whole file")

    def _keep_cancelling(self) -> None:
        """Again until the run has ended: a cancel that overtakes its statement cancels nothing. What does not end by
        that is cut off from the database."""
        cut_at = time.monotonic() + _CUT_AFTER_S
        while not self._has_ended.is_set():
            if time.monotonic() >= cut_at:
                self._cut()
                return
            with self._lock:
                connection = self._connection
            if connection is not None:
                try:
                    connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
                except psycopg.Error as error:
                    log.warning("an export's statement could not be cancelled (%s)", type(error).__name__)
            self._has_ended.wait(_CANCEL_EVERY_S)

    def _cut(self) -> None:
        """End the connection to the database from below, also while the driver waits for it or reads nothing of it. A
        connection that is made later ends when it is attached."""
        with self._lock, suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
                # A backend that waits for room to write hears of it only when there is room again.
                while self._socket.recv(_DISCARDED_BYTES):
                    pass

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, sa.exc.SQLAlchemyError, pa.ArrowException) as error:
            if self._is_cancelled:
                raise ReaderGoneError(
                    "the export was stopped before its end; start it again for the whole file"
                ) from error
            raise _told(error, self._database, self._timeout_s) from error


def preview(
    database: Database,
    order: Order,
    limit: int = 20,
    *,
    timeout_s: float | None = None,
    frozen: Frozen | None = None,
    made: Made | None = None,
) -> Preview:
    """Count, sums and first rows, in one snapshot."""
    kept, patience_s = frozen or made, timeout_s or database.settings.statement_timeout_s
    try:
        if kept is not None:
            return _previewed(KeptRows(kept, order), order, limit)
        with opened(database, order, patience_s) as source:
            return _previewed(source, order, limit)
    except (psycopg.Error, sa.exc.SQLAlchemyError, pa.ArrowException) as error:
        raise _told(error, database, patience_s) from error


def write_file(
    source: Source, order: Order, sink: Sink, passed: Callable[[int, int], None]
) -> Mapping[str, Decimal] | None:
    """Write the whole file and give the sums of what was written, None where nobody took the rows apart. `passed` is
    told of more rows, and how many bytes there are."""
    file, chunk_bytes, guard = _file(source, order, sink)
    source.check()
    passed(0, 0)
    try:
        file.begin()
        sink.flush()
        with closing(source.chunks(chunk_bytes, guard=guard)) as chunks:
            for chunk, rows in chunks:
                file.add(chunk, rows)
                passed(rows, sink.bytes)
        file.end()
        sink.flush()
    except BaseException:
        sink.shut()
        file.give_up()
        raise
    return file.sums


def freeze(
    connection: psycopg.Connection[Any], tables: Tables, order: Order, write: Write, *, timeout_s: float = TIMEOUT_S
) -> Written:
    """Write an order's canonical bytes (header and rows, plain and raw) as the connection's own REPEATABLE READ
    transaction sees them: what is kept of a closed month."""
    snapshot = Snapshot(connection, tenants=ALL_TENANTS, timeout_s=timeout_s)
    source, sink = DatabaseRows(snapshot, tables, order), Sink(write)
    sink.write(header_line(order.what))
    rows = 0
    for chunk, more in source.chunks(csv_file.CHUNK_BYTES):
        sink.write(chunk)
        rows += more
    sink.flush()
    counted = source.counted()
    if found := differences(rows, None, counted):
        raise DatabaseError(f"the frozen rows are not those of the database: {found[0]}; close the month again")
    return Written(rows, _texts(counted), sink.sha256, sink.bytes)


def unknown_tenants(database: Database, scope: Scope) -> list[str]:
    """Those of the scope's tenants that there are not."""
    if scope.ids is None:
        return []
    tenant = database.tables().organization
    with database.reading(scope, database.settings.statement_timeout_s) as connection:
        found = connection.scalars(sa.select(tenant.c.tenant_id).where(scope.predicate(tenant.c.tenant_id)))
        return sorted(scope.ids - {str(one) for one in found})


def differences(rows: int, sums: Mapping[str, Decimal] | None, counted: Counted) -> list[str]:
    """What was written against what was counted and summed apart from it, in words."""
    found = [] if rows == counted.rows else [f"{rows:,} rows were written, and {counted.rows:,} counted"]
    for name, written in (sums or {}).items():
        if written != counted.sums[name]:
            found.append(f"{name}: {plain(written)} was written, and {plain(counted.sums[name])} summed")
    return found


@contextmanager
def opened(
    database: Database,
    order: Order,
    timeout_s: float,
    attach: Callable[[psycopg.Connection[Any] | None], None] = lambda _: None,
) -> Iterator[DatabaseRows]:
    """The order's rows in a snapshot of a connection of its own. `attach` is told the connection while there is one."""
    tables = database.tables()
    connection = database.own_connection()
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        attach(connection)
        snapshot = Snapshot(connection, tenants=database.tenants_setting(order.scope), timeout_s=timeout_s)
        yield DatabaseRows(snapshot, tables, order)
    finally:
        attach(None)
        connection.close()


def _file(source: Source, order: Order, sink: Sink) -> tuple[File, int, bool]:
    """The file, the bytes of the chunks that it takes, and whether the source shall guard them."""
    if order.format == "parquet":
        return parquet_file.ParquetFile(order, sink, scales=source.scales()), parquet_file.CHUNK_BYTES, False
    if order.format == "xlsx":
        sheet = source.sheet()
        if sheet.rows > XLSX_ROWS:
            raise ArgumentError(
                f"an Excel sheet holds {XLSX_ROWS:,} rows and a header, and these are more; choose CSV or Parquet, or a"
                " shorter period"
            )
        if sheet.longest_text + (1 if order.guards else 0) > XLSX_CELL_LENGTH:
            raise ArgumentError(
                f"an Excel cell holds {XLSX_CELL_LENGTH:,} characters, and a text has {sheet.longest_text:,}; choose"
                " CSV or Parquet, or leave the prompts out"
            )
        cells = sheet.rows * len(order.what.columns)
        size = cells * _AROUND_CELL_BYTES + sheet.text_bytes * _ESCAPED_BYTES
        return xlsx_file.XlsxFile(order, sink, sheet_bytes=size), xlsx_file.CHUNK_BYTES, False
    return csv_file.CsvFile(order, sink, is_guarded=source.guards), csv_file.CHUNK_BYTES, source.guards and order.guards


def _previewed(source: Source, order: Order, limit: int) -> Preview:
    counted, scales = source.counted(), source.scales()
    types = parquet_file.types_of(order.what, scales)
    chunks = [parsed(chunk, order.what.columns, types) for chunk, _ in source.chunks(csv_file.CHUNK_BYTES, limit=limit)]
    empty = pa.schema(list(types.items())).empty_table()
    return Preview(counted.rows, _texts(counted), pa.concat_tables([empty, *chunks]), source.as_of)


def _texts(counted: Counted) -> dict[str, str]:
    return {name: plain(value) for name, value in counted.sums.items()}


def _told(error: Exception, database: Database, timeout_s: float) -> Exception:
    if isinstance(error, pa.ArrowException):
        return DatabaseError(f"a value of these rows cannot be written ({type(error).__name__}); choose CSV")
    if getattr(error, "sqlstate", None) == "57014":
        return StatementTimeoutError(
            f"the export was stopped after {timeout_s:g} s; choose a shorter period or fewer tenants, or raise"
            " EXPORT_TIMEOUT_S"
        )
    told = translated(error)
    if isinstance(told, MappingError | PermissionDeniedError):
        database.forget_tables()
    return told
