"""The database as its catalogs and counters have it at one moment. A role that may only connect can read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from pglast import parser
from psycopg.rows import class_row

MOST_TABLES, MOST_SEQUENCES = 50, 50
_TEXT = 200


@dataclass(frozen=True, slots=True)
class TableFact:
    """One table's size and upkeep. Times are those of whoever did it last, the person or autovacuum."""

    schema: str
    table: str
    rows: int
    table_bytes: int
    index_bytes: int
    live_rows: int
    dead_rows: int
    changed_rows: int
    sequential_scans: int
    index_scans: int
    vacuumed_at: datetime | None
    analyzed_at: datetime | None
    is_analyzed: bool
    tables: int
    database_bytes: int | None


@dataclass(frozen=True, slots=True)
class Counters:
    """What the server counts for this database, and how many connections it has room for."""

    blocks_hit: int
    blocks_read: int
    reset_at: datetime | None
    max_connections: int
    reserved_connections: int
    transaction_age: int
    multixact_age: int
    counted_s: float
    reads_all_stats: bool
    role: str
    has_server_statements: bool

    @property
    def hit_rate(self) -> float | None:
        looked_at = self.blocks_hit + self.blocks_read
        return self.blocks_hit / looked_at if looked_at else None


@dataclass(frozen=True, slots=True)
class Session:
    """One client's connection. The text of its statement is shown without the values in it."""

    pid: int
    role: str | None
    application: str | None
    is_here: bool
    state: str | None
    transaction_s: float | None
    state_s: float | None
    statement: str | None
    blocked_by: list[int]
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class SequenceFact:
    """One sequence and the column it feeds, whose type may end first."""

    schema: str
    name: str
    fed: str | None
    last_value: int | None
    ends_at: int
    is_readable: bool


@dataclass(frozen=True, slots=True)
class Health:
    """All that was read, at one moment."""

    tables: list[TableFact]
    counters: Counters
    sessions: list[Session]
    sequences: list[SequenceFact]

    @property
    def connections(self) -> dict[str, int]:
        """How many connections there are by state, the commonest first."""
        found: dict[str, int] = {}
        for one in self.sessions:
            state = one.state or "not to be seen"
            found[state] = found.get(state, 0) + 1
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def read(connection: psycopg.Connection[Any]) -> Health:
    """Read catalogs and counters. A role that may only connect is enough; what it may not see is a finding."""
    counters = _only(connection, Counters, _COUNTERS)
    sessions = [replace(one, statement=_without_values(one.statement)) for one in _all(connection, Session, _SESSIONS)]
    return Health(
        tables=_all(connection, TableFact, _TABLES, {"limit": MOST_TABLES}),
        counters=counters,
        sessions=sessions,
        sequences=_all(connection, SequenceFact, _SEQUENCES, {"limit": MOST_SEQUENCES}),
    )


def _without_values(statement: str | None) -> str | None:
    """The statement with $1 in place of each value: another session's values may be personal."""
    if not statement:
        return None
    try:
        text = str(parser.normalize(statement))
    except parser.ParseError:
        text = f"{statement.split(maxsplit=1)[0]} ..." if statement.split() else ""  # cut off, or not SQL
    line = " ".join(text.split())
    return line if len(line) <= _TEXT else f"{line[: _TEXT - 1]}…"


def _all(
    connection: psycopg.Connection[Any], kind: type[Any], sql: str, parameters: dict[str, Any] | None = None
) -> list[Any]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(sql, parameters).fetchall()


def _only(connection: psycopg.Connection[Any], kind: type[Any], sql: str) -> Any:
    return _all(connection, kind, sql)[0]


_TABLES = """
SELECT n.nspname AS schema, t.relname AS "table",
       greatest(t.reltuples, s.n_live_tup, 0)::bigint AS rows,
       coalesce(pg_table_size(t.oid), 0) AS table_bytes, coalesce(pg_indexes_size(t.oid), 0) AS index_bytes,
       coalesce(nullif(s.n_live_tup, 0), greatest(t.reltuples, 0))::bigint AS live_rows,
       s.n_dead_tup AS dead_rows, s.n_mod_since_analyze AS changed_rows,
       s.seq_scan AS sequential_scans, coalesce(s.idx_scan, 0) AS index_scans,
       greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
       greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at,
       t.reltuples >= 0 OR s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL AS is_analyzed,
       count(*) OVER ()::int AS tables,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR has_database_privilege(current_database(), 'CONNECT')
            THEN pg_database_size(current_database()) END AS database_bytes
FROM pg_stat_user_tables s
JOIN pg_class t ON t.oid = s.relid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_temp%%' AND (n.nspname <> 'usage_dashboard' OR t.relpages > 100)
ORDER BY t.relpages DESC, n.nspname, t.relname
LIMIT %(limit)s
"""

_COUNTERS = """
SELECT s.blks_hit AS blocks_hit, s.blks_read AS blocks_read, s.stats_reset AS reset_at,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved_connections,
       age(d.datfrozenxid) AS transaction_age, mxid_age(d.datminmxid) AS multixact_age,
       extract(epoch FROM clock_timestamp() - greatest(s.stats_reset, pg_postmaster_start_time()))::float8 AS counted_s,
       pg_has_role('pg_read_all_stats', 'USAGE') AS reads_all_stats, current_user::text AS role,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS has_server_statements
FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
WHERE d.datname = current_database()
"""

# Every client's connection counts; of other databases no more than that. pg_blocking_pids takes a lock of the server's
# for a moment, so it is asked only of those that wait for one.
_SESSIONS = """
SELECT a.pid, a.usename::text AS role, nullif(a.application_name, '') AS application,
       a.datname = current_database() AS is_here, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_s,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_s,
       CASE WHEN a.datname = current_database() THEN nullif(a.query, '<insufficient privilege>') END AS statement,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
       a.wait_event AS waits_for
FROM pg_stat_activity a
WHERE a.backend_type = 'client backend' OR (a.backend_type IS NULL AND a.usename IS NOT NULL)
ORDER BY a.xact_start NULLS LAST, a.pid
"""

_SEQUENCES = """
SELECT n.nspname AS schema, c.relname AS name,
       (SELECT format('%%I.%%I', t.relname, a.attname) FROM pg_class t WHERE t.oid = a.attrelid) AS fed,
       CASE WHEN may.read THEN pg_sequence_last_value(c.oid) END AS last_value,
       least(q.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                       ELSE q.seqmax END) AS ends_at,
       may.read AS is_readable
FROM pg_sequence q
JOIN pg_class c ON c.oid = q.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
     AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
CROSS JOIN LATERAL (SELECT has_sequence_privilege(c.oid, 'SELECT, USAGE')
                           AND has_schema_privilege(n.oid, 'USAGE') AS read) AS may
WHERE q.seqincrement > 0 AND NOT q.seqcycle AND c.relpersistence <> 't' AND n.nspname <> 'usage_dashboard'
ORDER BY CASE WHEN may.read THEN coalesce(pg_sequence_last_value(c.oid), 0) END::float8
         / least(q.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                           ELSE q.seqmax END) DESC NULLS LAST, n.nspname, c.relname
LIMIT %(limit)s
"""
