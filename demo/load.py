"""Puts the demo's history into its database: COPY, then keys and indexes, all in one transaction.

Whoever kills a load leaves nothing half-written. Tables that exist are emptied, not dropped, so that views over them
and rights on them live on.
"""

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from pyarrow import csv

from demo.errors import AlreadyLoaded
from demo.gap import GapRows, Progress, rows_since
from demo.history import History
from demo.schema import (
    INDEXES,
    TABLES,
    UNIQUE_INDEXES,
    create_indexes_and_keys,
    create_tables,
    drop_indexes_and_keys,
    has_schema,
)

__all__ = ["Progress", "fill_gap", "is_loaded", "load_history", "reset"]

COPY_ROWS: Final = 50_000
INDEX_STEP: Final = "indexes and keys"


def is_loaded(connection: psycopg.Connection) -> bool:
    """Whether there is a tenant in the database."""
    with connection.transaction():
        if not has_schema(connection):
            return False
        row = connection.execute('SELECT EXISTS (SELECT FROM public."Organization")').fetchone()
    return row is not None and bool(row[0])


def reset(connection: psycopg.Connection) -> None:
    """Empty the application's tables; tables and keys stay. Does nothing where there is no schema."""
    with connection.transaction():
        if has_schema(connection):
            _empty_tables(connection)


def load_history(connection: psycopg.Connection, history: History, progress: Progress) -> dict[str, int]:
    """Load a history into an empty database and return the rows of each table.

    `progress` is told (what, done, total): rows of each table, then of the step "indexes and keys". Raises
    AlreadyLoaded where a tenant exists.
    """
    with connection.transaction():
        if is_loaded(connection):
            raise AlreadyLoaded
        if has_schema(connection):
            drop_indexes_and_keys(connection)
            # Emptied or created in this transaction: what COPY FREEZE needs.
            _empty_tables(connection)
        else:
            create_tables(connection)
        for name, table in history.tables.items():
            copy_table(connection, name, table, progress, freeze=True)
        _finish(connection, progress)
    return {name: table.num_rows for name, table in history.tables.items()}


def fill_gap(connection: psycopg.Connection, now: datetime, seed: int, progress: Progress) -> dict[str, int]:
    """Add what happened between the last change and `now`, and return the rows added to each table.

    Finishes what was in flight, keeps ledger and quotas true, and adds nothing when run again for the same `now`.
    Waits for running operations and holds new ones off until it is done.
    """
    with connection.transaction():
        rows = rows_since(connection, now, seed)
        if rows is None:
            return {}
        for name, table in rows.added.items():
            copy_table(connection, name, table, progress)
        _merge(connection, rows, progress)
        for table_name in rows.added:
            connection.execute(sql.SQL("ANALYZE public.{}").format(sql.Identifier(table_name)))
    return {name: table.num_rows for name, table in rows.added.items()}


def copy_table(
    connection: psycopg.Connection, name: str, table: pa.Table, progress: Progress, *, freeze: bool = False
) -> None:
    """COPY an Arrow table into the table of that name, in pieces, telling the progress after each."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv{})").format(
        sql.Identifier(name),
        sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
        sql.SQL(", FREEZE" if freeze else ""),
    )
    progress(name, 0, table.num_rows)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        done = 0
        for piece, rows in _csv_pieces(table):
            copy.write(piece)
            done += rows
            progress(name, done, table.num_rows)


def _merge(connection: psycopg.Connection, rows: GapRows, progress: Progress) -> None:
    """Bring the changed rows of existing tables in by way of temporary tables."""
    for name, (table, target, statement) in rows.changed.items():
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM public.{} WITH NO DATA").format(
                sql.Identifier(name),
                sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
                sql.Identifier(target),
            )
        )
        copy_table(connection, name, table, _silent)
        connection.execute(statement)
        progress(target, table.num_rows, table.num_rows)
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def _csv_pieces(table: pa.Table) -> Iterator[tuple[bytes, int]]:
    options = csv.WriteOptions(include_header=False)
    for start in range(0, table.num_rows, COPY_ROWS):
        piece = table.slice(start, COPY_ROWS)
        sink = io.BytesIO()
        csv.write_csv(pa.table({name: _as_text(piece[name]) for name in piece.column_names}), sink, options)
        yield sink.getvalue(), piece.num_rows


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a type that the CSV writer knows: bytes as PostgreSQL's hex form, decimals as digits."""
    if pa.types.is_binary(column.type):
        return pa.chunked_array(
            [[None if value is None else rf"\x{value.hex()}" for value in column.to_pylist()]], pa.string()
        )
    return pc.cast(column, pa.string()) if pa.types.is_decimal(column.type) else column


def _empty_tables(connection: psycopg.Connection) -> None:
    names = sql.SQL(", ").join(sql.SQL("public.{}").format(sql.Identifier(name)) for name in TABLES)
    connection.execute(sql.SQL("TRUNCATE {}").format(names))


def _finish(connection: psycopg.Connection, progress: Progress) -> None:
    total = len(TABLES) + len(UNIQUE_INDEXES) + len(INDEXES)
    progress(INDEX_STEP, 0, total)
    connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    create_indexes_and_keys(connection)
    for name in TABLES:
        connection.execute(sql.SQL("ANALYZE public.{}").format(sql.Identifier(name)))
    progress(INDEX_STEP, total, total)


def _silent(_what: str, _done: int, _total: int) -> None:
    """No progress: the rows of a temporary table are nobody's concern."""
