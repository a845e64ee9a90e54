"""What was recorded, as one relation for every statement that reads it: the query log on disk, or this process's memory
handed to PostgreSQL as a document. One SQL, whichever of the two it reads.

What is asked here is no question of the catalog: it is not recorded, so that who looks at the log does not fill it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.arrow import frame_of
from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.performance.monitor import Execution, Monitor, utc_now
from queries.query import Query, Result, Timings
from queries.scope import Scope
from queries.tables import OUR_SCHEMA

Source = Literal["log", "memory"]
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own is not typed

_TIME: sa.types.TypeEngine[Any] = sa.TIMESTAMP(timezone=True)
_TEXT: sa.types.TypeEngine[Any] = sa.Text()
_MS: sa.types.TypeEngine[Any] = sa.Double()
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "at": _TIME,
    **dict.fromkeys(("query", "fingerprint", "parameters", "parameters_hash", "page", "run_id", "role"), _TEXT),
    **dict.fromkeys(("outcome", "error", "asked_by", "plan_hash"), _TEXT),
    **dict.fromkeys(("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms"), _MS),
    "rows": sa.BigInteger(),
    "slow": sa.Boolean(),
}
_TIMINGS = ("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")
LOG = sa.table("query_log", *(sa.column(name, type_) for name, type_ in _TYPES.items()), schema=OUR_SCHEMA)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of what was recorded: a time, half open, and where given one page or one question."""

    start: datetime
    end: datetime
    page: str | None = None
    query: str | None = None
    source: Source = "log"


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement over what was recorded, its name, and what in it is worth showing as its parameters."""

    name: str
    statement: sa.Select[Any] | sa.CompoundSelect[Any]
    shown: Mapping[str, Any]


def source_of(database: Database) -> Source:
    """The log on disk where there is one to write to, else this process's memory."""
    return "log" if database.owner is not None else "memory"


def recorded(
    window: Window, monitor: Monitor, names: Sequence[str], *, only: Callable[[Execution], bool] | None = None
) -> sa.FromClause:
    """The window's executions with these columns. `only` spares PostgreSQL what a statement will not look at; it must
    leave away nothing that the statement's own condition keeps."""
    wanted = tuple(dict.fromkeys((*names, "at", "page", "query")))
    given: sa.FromClause = LOG if window.source == "log" else _given(_in_memory(window, monitor, only), wanted)
    kept = [given.c.at >= _bound(window.start), given.c.at < _bound(window.end)]
    if window.page is not None:
        kept.append(given.c.page == window.page)
    if window.query is not None:
        kept.append(given.c.query == window.query)
    columns = [
        sa.cast(given.c[name], postgresql.JSONB).label(name) if name == "parameters" else given.c[name]
        for name in wanted
    ]
    return sa.select(*columns).where(*kept).cte("recorded")


def read(database: Database, reading: Reading) -> Result:
    """The reading's rows, as an answer that a panel can show. Only errors of queries.errors are raised."""
    timeout_s = database.settings.statement_timeout_s
    started = time.perf_counter()
    try:
        with database.reading(Scope.all_tenants(), timeout_s) as connection:
            waited = time.perf_counter()
            as_of = utc_now()
            answered = connection.execute(reading.statement)
            ran = time.perf_counter()
            cursor: Any = answered.cursor
            described, rows = cursor.description or (), cursor.fetchall()
            answered.close()
            fetched = time.perf_counter()
        frame = frame_of(rows, [one[0] for one in described], [one[1] for one in described])
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error
    timings = Timings(
        wait_ms=(waited - started) * 1000,
        database_ms=(ran - waited) * 1000,
        fetch_ms=(fetched - ran) * 1000,
        frame_ms=(time.perf_counter() - fetched) * 1000,
    )
    return _answer(reading, frame, as_of, timings)


def _answer(reading: Reading, frame: pd.DataFrame, as_of: datetime, timings: Timings) -> Result:
    query = Query(reading.name, Scope.all_tenants(), {}, lambda _tables: reading.statement, key=reading.name)
    sql = str(reading.statement.compile(dialect=_DIALECT))
    return Result(query, frame, as_of, "miss", timings, timings, sql, dict(reading.shown))


def shown(window: Window, **others: Any) -> dict[str, Any]:
    """A reading's parameters for the page: not the document that memory is handed over by."""
    found = {"start": window.start.isoformat(), "end": window.end.isoformat(), "page": window.page}
    found |= {"query": window.query, "source": window.source, **others}
    return {name: value for name, value in found.items() if value is not None}


def in_database(recorded: sa.FromClause) -> sa.ColumnElement[float]:
    """Milliseconds in the database, rows fetched."""
    return recorded.c.database_ms + recorded.c.fetch_ms


def _bound(instant: datetime) -> sa.BindParameter[Any]:
    return sa.bindparam(None, instant, _TIME)


def _in_memory(window: Window, monitor: Monitor, only: Callable[[Execution], bool] | None) -> list[Execution]:
    return [
        one
        for one in monitor.recent()
        if window.start <= one.at < window.end
        and window.page in (None, one.page)
        and window.query in (None, one.query)
        and (only is None or only(one))
    ]


def _given(executions: Sequence[Execution], names: Sequence[str]) -> sa.FromClause:
    # A document, not an array per column: psycopg writes an array of 20,000 texts in Python, value by value.
    document = json.dumps([{name: _value(one, name) for name in names} for one in executions])
    columns = [sa.column(name, postgresql.JSONB() if name == "parameters" else _TYPES[name]) for name in names]
    given = sa.func.json_to_recordset(sa.cast(sa.bindparam(None, document, _TEXT), postgresql.JSON))
    return given.table_valued(*columns, name="given").render_derived(with_types=True)


def _value(execution: Execution, name: str) -> Any:
    if name in _TIMINGS:
        return getattr(execution.timings, name)
    value = getattr(execution, name)
    if isinstance(value, datetime):
        return value.isoformat()
    return storable(dict(value)) if name == "parameters" else storable(value)


def storable(value: Any) -> Any:
    """Without what PostgreSQL has no place for in a text. The log drops such a record; here it must not fail the
    page."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(one) for name, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value
