"""One statement run: built, checked, sent, fetched and made a frame, with each part timed."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from queries.arrow import frame_of
from queries.database import Database
from queries.entry import Entry
from queries.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    DatabaseWakingError,
    MappingError,
    PermissionDeniedError,
    ReaderGoneError,
    TooManyRowsError,
    UsageDashboardError,
    translated,
)
from queries.flights import Flight
from queries.guard import refuse_unscoped
from queries.performance.monitor import masked, utc_now
from queries.query import Query, Timings

# A database that went away is asked again once, after this; one that wakes, as long as it is given time.
_RETRY_AFTER_S = 0.5


class Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap_ms(self) -> float:
        now = time.perf_counter()
        lap, self._at = (now - self._at) * 1000, now
        return lap


def ms_since(started: float) -> float:
    """Milliseconds since a reading of `time.perf_counter`."""
    return (time.perf_counter() - started) * 1000


def execute(database: Database, query: Query, flight: Flight, closing: threading.Event) -> Entry:
    """The rows of a question; once more after a pause when the database went away or restarts, or the catalog has
    changed, and again while it wakes. Only errors of queries.errors are raised; ReaderGoneError when the flight was
    given up."""
    started = time.perf_counter()
    is_first = True
    while True:
        try:
            return _translating(database, query, flight, waited_ms=0.0 if is_first else ms_since(started))
        except (DatabaseUnavailableError, MappingError, PermissionDeniedError) as error:
            if not _is_worth_another_try(error, is_first, ms_since(started) / 1000, database.settings.wake_wait_s):
                raise
            if not isinstance(error, DatabaseUnavailableError):
                database.forget_tables()
            if closing.wait(_RETRY_AFTER_S):
                raise
        flight.check_wanted()
        is_first = False


def _is_worth_another_try(error: UsageDashboardError, is_first: bool, since_s: float, patience_s: float) -> bool:
    if isinstance(error, DatabaseRefusedError):
        return False
    return since_s < patience_s if isinstance(error, DatabaseWakingError) else is_first


def _translating(database: Database, query: Query, flight: Flight, waited_ms: float) -> Entry:
    try:
        return _executed(database, query, flight, waited_ms)
    except UsageDashboardError:
        raise
    except Exception as error:
        if flight.abandoned:
            raise ReaderGoneError("every reader left; the statement was cancelled") from error
        raise translated(error, timeout_s=database.settings.statement_timeout_s) from error


def _executed(database: Database, query: Query, flight: Flight, waited_ms: float) -> Entry:
    clock = Clock()
    statement = checked_statement(database, query)
    building_ms = clock.lap_ms()
    with database.reading(query.scope, database.settings.statement_timeout_s) as connection:
        waited_ms += clock.lap_ms()
        computed_at = utc_now()
        driver_connection: Any = connection.connection.driver_connection
        flight.attach(driver_connection)
        try:
            answered = connection.execute(statement)
            database_ms = clock.lap_ms()
            # The driver's own rows: their types are known by oid, and SQLAlchemy's rows cost as much again.
            cursor: Any = answered.cursor
            described, rows = cursor.description or (), cursor.fetchall()
            answered.close()
        finally:
            flight.detach()
        fetch_ms = clock.lap_ms()
    waited_ms += clock.lap_ms()  # to end the transaction and give the connection back
    _refuse_more_than(_row_limit(database, query), len(rows))
    frame = frame_of(rows, [one[0] for one in described], [one[1] for one in described])
    frame = query.finish(frame) if query.finish is not None else frame
    sql, parameters = _sent(answered)
    entry = Entry.of(frame, computed_at=computed_at, sql=sql, parameters=masked(parameters), timings=Timings())
    frame_ms = building_ms + clock.lap_ms()
    timings = Timings(wait_ms=waited_ms, database_ms=database_ms, fetch_ms=fetch_ms, frame_ms=frame_ms)
    return dataclasses.replace(entry, timings=timings)


def checked_statement(database: Database, query: Query) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """The statement, held to its tenants; without a limit of its own it gets one that shows when rows are too many."""
    statement = query.statement(database.tables())
    refuse_unscoped(statement, query.scope)
    return statement if statement._limit_clause is not None else statement.limit(_row_limit(database, query) + 1)


def _row_limit(database: Database, query: Query) -> int:
    return query.row_limit or database.settings.row_limit


def _refuse_more_than(row_limit: int, rows: int) -> None:
    if rows > row_limit:
        raise TooManyRowsError(
            f"the answer has more than {row_limit:,} rows; choose a shorter period or fewer tenants, or raise ROW_LIMIT"
        )


def _sent(answered: sa.CursorResult[Any]) -> tuple[str, Mapping[str, Any]]:
    """The statement and the parameters as they went to the driver."""
    sent: Any = answered.context
    return str(sent.statement), dict(sent.compiled_parameters[0]) if sent.compiled_parameters else {}
