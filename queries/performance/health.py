"""How the database is: its tables, its cache, who is connected and who waits for whom, and what runs out one day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from pglast import parser
from psycopg.rows import class_row

from queries.performance.findings import (
    DEFAULT_LIMITS,
    Finding,
    Limits,
    age_text,
    counted,
    quoted,
    size_text,
)

MOST_TABLES, MOST_SEQUENCES = 50, 50
_WRAPAROUND = 2_147_483_647
_TEXT = 200
_READ_STATS = "pg_read_all_stats"


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


def findings(health: Health, limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    """What in it asks for something to be done, the weightiest first."""
    found = [
        *_ages(health.counters, limits),
        *_blocked(health.sessions),
        *_long_transactions(health.sessions, limits),
        *_sequences(health.sequences, limits),
        *_connections(health, limits),
        *_upkeep(health.tables, limits),
        *_cache(health.counters, limits),
        *_rights(health.counters),
    ]
    order = {"high": 0, "medium": 1, "low": 2, "note": 3}
    return sorted(found, key=lambda one: order[one.severity])  # stable: the order above within a severity


def _ages(counters: Counters, limits: Limits) -> Iterator[Finding]:
    for what, age in (("transaction", counters.transaction_age), ("multixact", counters.multixact_age)):
        if age < limits.age:
            continue
        yield Finding(
            rule="transaction_ids",
            subject=f"{what} ids",
            severity="high" if age >= limits.age_high else "medium",
            sentence=f"The oldest row of this database is {age:,} {what} ids old; {_WRAPAROUND - age:,} are left until"
            " the server refuses to write. Autovacuum has not frozen old rows for long.",
            source="pg_database.datfrozenxid, datminmxid; PostgreSQL manual, Preventing Transaction ID Wraparound"
            " Failures",
            fix="Look for long transactions, prepared transactions and unused replication slots, end them, and run"
            " VACUUM (FREEZE) on the oldest tables.",
        )


def _blocked(sessions: Sequence[Session]) -> Iterator[Finding]:
    by_pid = {one.pid: one for one in sessions}
    for one in sessions:
        if not one.blocked_by:
            continue
        blockers = "; ".join(_blocker(pid, by_pid.get(pid)) for pid in one.blocked_by)
        yield Finding(
            rule="blocked",
            subject=f"session {one.pid}",
            severity="high",
            sentence=f"Session {one.pid} ({one.role or 'role not to be seen'}) has waited"
            f" {_age(one.state_s)} for a lock: {one.statement or 'statement not to be seen'}. It is blocked by"
            f" {blockers}.",
            source="pg_blocking_pids(), pg_stat_activity",
            fix=f"Let that transaction end; if it never will: SELECT pg_terminate_backend({one.blocked_by[0]}); as a"
            " role that may.",
        )


def _blocker(pid: int, session: Session | None) -> str:
    if session is None:
        return f"session {pid}"
    return (
        f"session {pid} ({session.role or 'role not to be seen'}, {session.state or 'state not to be seen'},"
        f" transaction {_age(session.transaction_s)} old)"
    )


def _long_transactions(sessions: Sequence[Session], limits: Limits) -> Iterator[Finding]:
    for one in sessions:
        is_idle = (one.state or "").startswith("idle in transaction")
        for_s = (one.state_s if is_idle else one.transaction_s) or 0.0
        if one.transaction_s is None or for_s < (limits.idle_in_transaction if is_idle else limits.transaction).seconds:
            continue
        does = "is idle in a transaction since" if is_idle else "runs a transaction since"
        yield Finding(
            rule="idle_in_transaction" if is_idle else "long_transaction",
            subject=f"session {one.pid}",
            severity="medium",
            sentence=f"Session {one.pid} ({one.role or 'role not to be seen'}, {one.application or 'no name'}) {does}"
            f" {_age(for_s)}: {one.statement or 'statement not to be seen'}. It keeps its locks, and VACUUM from"
            " removing rows that died since.",
            source="pg_stat_activity.xact_start, state_change; PostgreSQL manual, Routine Vacuuming",
            fix="End the transaction in the application."
            + (" idle_in_transaction_session_timeout ends such sessions by itself." if is_idle else ""),
        )


def _sequences(sequences: Sequence[SequenceFact], limits: Limits) -> Iterator[Finding]:
    for one in sequences:
        share = (one.last_value or 0) / one.ends_at
        if share < limits.sequence_share:
            continue
        feeds = f", which feeds {one.fed}," if one.fed else ""
        yield Finding(
            rule="sequence",
            subject=one.name,
            severity="high" if share >= limits.sequence_share_high else "medium",
            sentence=f"The sequence {quoted(one.name)}{feeds} is at {one.last_value:,} of {one.ends_at:,}"
            f" ({share:.1%}); after {one.ends_at - (one.last_value or 0):,} more each INSERT fails.",
            source="pg_sequences; PostgreSQL manual, Numeric Types",
            fix="Make the column, and the sequence, a bigint before that (ALTER TABLE ... TYPE bigint rewrites the"
            " table).",
        )
    hidden = sum(not one.is_readable for one in sequences)
    if hidden:
        yield Finding(
            rule="rights",
            subject="sequences",
            severity="note",
            sentence=f"{counted(hidden, 'sequence')} cannot be read by this role; how far they are is not known.",
            source="pg_sequences",
            fix="GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO the reader role.",
        )


def _connections(health: Health, limits: Limits) -> Iterator[Finding]:
    counters = health.counters
    room = counters.max_connections - counters.reserved_connections
    used = len(health.sessions)
    if used < limits.connections_share * room:
        return
    states = ", ".join(f"{number} {state}" for state, number in health.connections.items())
    yield Finding(
        rule="connections",
        subject="connections",
        severity="high",
        sentence=f"{used} of {room} connections are taken ({states}); when all are, the server turns clients away.",
        source="pg_stat_activity, max_connections",
        fix="Put a pooler such as PgBouncer in between, or make the clients' pools smaller, before raising"
        " max_connections.",
    )


def _upkeep(tables: Sequence[TableFact], limits: Limits) -> Iterator[Finding]:
    for one in tables:
        share = one.dead_rows / (one.live_rows + one.dead_rows) if one.dead_rows else 0.0
        if one.dead_rows >= limits.dead_rows and share > limits.dead_share:
            yield Finding(
                rule="dead_rows",
                subject=one.table,
                severity="medium",
                sentence=f"{share:.0%} of {quoted(one.table)} is dead: {one.dead_rows:,} dead beside {one.live_rows:,}"
                f" live rows. It was last vacuumed {_when(one.vacuumed_at)}; scans read the dead rows too.",
                source="pg_stat_user_tables.n_dead_tup; PostgreSQL manual, Routine Vacuuming",
                fix=f"VACUUM (ANALYZE) {quoted(one.schema, one.table)}; and, if it comes again, a smaller"
                " autovacuum_vacuum_scale_factor for this table.",
                table=one.table,
            )
        if not one.is_analyzed and one.rows >= limits.table_rows:
            yield _analyze(one, "was never analyzed: the planner guesses how many rows a condition meets")
        elif one.changed_rows >= max(limits.table_rows, limits.changed_share * one.rows):
            yield _analyze(one, f"has {one.changed_rows:,} changed rows since it was analyzed {_when(one.analyzed_at)}")


def _analyze(one: TableFact, what: str) -> Finding:
    return Finding(
        rule="analyze",
        subject=one.table,
        severity="medium",
        sentence=f"{quoted(one.table)} ({counted(one.rows, 'row')}) {what}.",
        source="pg_stat_user_tables.last_analyze, n_mod_since_analyze; PostgreSQL manual, Updating Planner Statistics",
        fix=f"ANALYZE {quoted(one.schema, one.table)};",
        table=one.table,
    )


def _cache(counters: Counters, limits: Limits) -> Iterator[Finding]:
    rate = counters.hit_rate
    is_warm = counters.counted_s >= limits.warm_after.total_seconds() and counters.blocks_read >= limits.blocks_read
    if rate is None or rate >= limits.hit_rate or not is_warm:
        return
    yield Finding(
        rule="cache_hit_rate",
        subject="cache",
        severity="low",
        sentence=f"{rate:.1%} of the blocks that were looked at were in shared_buffers; {counters.blocks_read:,} were"
        f" read from the system. {limits.hit_rate:.0%} is usual where the working set fits.",
        source="pg_stat_database.blks_hit, blks_read; PgHero, cache hit rate",
        fix="Look for statements that read whole tables first; then raise shared_buffers, or add memory.",
    )


def _rights(counters: Counters) -> Iterator[Finding]:
    if not counters.reads_all_stats:
        yield Finding(
            rule="rights",
            subject=counters.role,
            severity="note",
            sentence=f"The role {quoted(counters.role)} does not see what other roles do: their statements, states and"
            " transactions are missing above.",
            source="PostgreSQL manual, Predefined Roles",
            fix=f"As a superuser: GRANT {_READ_STATS} TO {quoted(counters.role)};",
        )
    if not counters.has_server_statements:
        yield Finding(
            rule="server_statements",
            subject="pg_stat_statements",
            severity="note",
            sentence="The extension pg_stat_statements is not in this database: the application's own statements are"
            " not seen, and advice is for the dashboard's only.",
            source="PostgreSQL manual, pg_stat_statements",
            fix="Add pg_stat_statements to shared_preload_libraries, restart the server, and run CREATE EXTENSION"
            " pg_stat_statements; as a superuser. Managed services have a switch for it.",
        )


def _age(seconds: float | None) -> str:
    return age_text(timedelta(seconds=seconds)) if seconds is not None else "not known how long"


def _when(instant: datetime | None) -> str:
    return f"on {instant:%Y-%m-%d %H:%M} UTC" if instant is not None else "never"


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


def table_text(one: TableFact) -> str:
    """ "Generation": 300,000 rows, 92.1 MB and 61.0 MB of indexes."""
    return (
        f"{quoted(one.table)}: {counted(one.rows, 'row')}, {size_text(one.table_bytes)} and"
        f" {size_text(one.index_bytes)} of indexes"
    )


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
