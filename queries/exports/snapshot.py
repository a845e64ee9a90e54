"""One repeatable-read, read-only transaction, and what is read in it: rows by COPY, and single rows."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa

from queries.database import TENANTS_SETTING
from queries.exports.copy_sql import copy_command, sent
from queries.exports.reports import Order

# A plan compiled to machine code would come seconds after the first row could.
_SETTINGS = (
    "SELECT set_config('statement_timeout', %(timeout_ms)s, true), set_config('TimeZone', 'UTC', true),"
    " set_config('DateStyle', 'ISO, YMD', true), set_config('client_encoding', 'UTF8', true),"
    f" set_config('jit', 'off', true), set_config('{TENANTS_SETTING}', %(tenants)s, true)"
)


class Snapshot:
    """What one connection sees from now on, as of one moment. The transaction ends with the connection."""

    def __init__(self, connection: psycopg.Connection[Any], *, tenants: str, timeout_s: float) -> None:
        """`connection` is in no transaction yet, or in a REPEATABLE READ one."""
        self._connection = connection
        settings = {"timeout_ms": str(int(timeout_s * 1000)), "tenants": tenants}
        with self._cursor() as cursor:
            cursor.execute(_SETTINGS, settings)
            # The statement before took the snapshot: what was committed at this time is in it.
            cursor.execute("SELECT transaction_timestamp()")
            found = cursor.fetchone()
        assert found is not None, "a SELECT without FROM has a row"
        self.as_of: datetime = found[0].astimezone(UTC)

    def row(self, statement: sa.Select[Any]) -> dict[str, Any]:
        """The one row of a statement, by its columns' names."""
        sql, parameters = sent(statement)
        with self._cursor() as cursor:
            cursor.execute(sql, parameters)
            found = cursor.fetchone()
            names = [one.name for one in cursor.description or ()]
        assert found is not None, "an aggregate has a row"
        return dict(zip(names, found, strict=True))

    def check(self, statement: sa.Select[Any]) -> None:
        """Raise what is wrong with a statement, without running it. COPY itself says nothing before its first rows."""
        sql, parameters = sent(statement)
        with self._cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}", parameters)

    def chunks(self, statement: sa.Select[Any], order: Order, least_bytes: int) -> Generator[tuple[bytes, int]]:
        """The rows as CSV with LF, in pieces of whole rows that end with the first row at or after so many bytes; and
        how many rows each has. Giving up the iterator ends the COPY in PostgreSQL."""
        sql, parameters = sent(statement)
        with self._cursor() as cursor, cursor.copy(copy_command(sql, order), parameters) as copy:
            read, buffer, rows = copy.read, bytearray(), 0
            while row := read():  # PostgreSQL sends each row as a message of its own
                buffer += row
                rows += 1
                if len(buffer) >= least_bytes:
                    yield bytes(buffer), rows
                    buffer.clear()
                    rows = 0
            if buffer:
                yield bytes(buffer), rows

    def _cursor(self) -> psycopg.ClientCursor[Any]:
        """Parameters are put into the statement by the driver: a COPY takes none."""
        return psycopg.ClientCursor(self._connection)
