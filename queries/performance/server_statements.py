"""What the server counts about every statement: pg_stat_statements of PostgreSQL 14 to 18, theirs told from ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from queries.database import Database
from queries.errors import ArgumentError
from queries.performance.catalog_reading import reading
from queries.performance.findings import quoted
from queries.performance.monitor import fingerprint
from queries.tables import OUR_SCHEMA

By = Literal["total_time", "mean_time", "calls", "rows", "temp"]
Whose = Literal["theirs", "ours", "all"]
Kind = Literal["ready", "not_installed", "not_loaded", "hidden", "no_right"]
ORDERS: dict[By, str] = {
    "total_time": "total_ms",
    "mean_time": "mean_ms",
    "calls": "calls",
    "rows": "rows",
    "temp": "temp_bytes",
}
MOST_STATEMENTS = 200
# SQLSTATEs: object_not_in_prerequisite_state is what an extension that was not loaded at the start answers.
_NOT_LOADED, _NO_RIGHT = "55000", "42501"
_HIDDEN = "<insufficient privilege>"

COLUMNS = (
    *("queryid", "sql", "roles", "calls", "total_ms", "mean_ms", "min_ms", "max_ms", "stddev_ms", "rows"),
    *("blocks_hit", "blocks_read", "read_ms", "temp_bytes", "is_ours"),
)


@dataclass(frozen=True, slots=True)
class State:
    """Whether there is something to read, and otherwise what to run and who must. `since` is when counting began."""

    kind: Kind
    sentence: str
    command: str | None = None
    since: datetime | None = None
    schema: str | None = None

    @property
    def is_readable(self) -> bool:
        """Whether `top` has rows; texts of other roles' statements may still be hidden."""
        return self.kind in ("ready", "hidden")


def state(database: Database) -> State:
    """What this role can see of pg_stat_statements in this database. Only errors of queries.errors are raised."""
    with reading(database) as connection:
        return state_of(connection)


def top(database: Database, by: By = "total_time", limit: int = 50, *, whose: Whose = "theirs") -> pd.DataFrame:
    """The statements of this database that lead by total time, mean time, calls, rows or temporary files: queryid, sql
    ($1 in place of values), roles, calls, total_ms, mean_ms, min_ms, max_ms, stddev_ms, rows, blocks_hit, blocks_read,
    read_ms (null where the server does not time its reads), temp_bytes, is_ours. Empty where there is nothing to read;
    `state` says why."""
    if by not in ORDERS or not 1 <= limit <= MOST_STATEMENTS:
        raise ArgumentError(f"server statements go by one of {', '.join(ORDERS)}, 1 to {MOST_STATEMENTS} of them")
    with reading(database) as connection:
        found = state_of(connection)
        rows = _rows(connection, found.schema, by, limit, whose, _our_roles(database)) if found.schema else []
        ours = _our_fingerprints(connection)
    for row in rows:
        # One role may serve the application too: a fingerprint of ours, or our schema in the text, decides as well.
        row["is_ours"] = bool(row["by_us"]) or f"{OUR_SCHEMA}." in row["sql"] or fingerprint(row["sql"]) in ours
    kept = [row for row in rows if whose == "all" or row["is_ours"] == (whose == "ours")]
    return pd.DataFrame([{name: row[name] for name in COLUMNS} for row in kept], columns=list(COLUMNS))


def state_of(connection: psycopg.Connection[Any]) -> State:
    """The same on a connection that is inside a transaction."""
    schema = _schema(connection)
    if schema is None:
        return State(
            "not_installed",
            "pg_stat_statements is not installed in this database, so the application's own statements are not seen.",
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';  -- keep what it holds; then restart\n"
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;",
        )
    try:
        with connection.transaction():
            info = sql.SQL("SELECT stats_reset FROM {}").format(sql.Identifier(schema, "pg_stat_statements_info"))
            connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(_view(schema)))
            since = connection.execute(info).fetchone()
    except psycopg.Error as error:
        return _unreadable(connection, schema, error)
    began = since[0] if since is not None else None
    if not _reads_all(connection):
        role = _role(connection)
        return State(
            "hidden",
            f"The role {quoted(role)} sees that other roles' statements were run, and not what they say.",
            f"GRANT pg_read_all_stats TO {quoted(role)};  -- as a superuser",
            began,
            schema,
        )
    return State("ready", "pg_stat_statements counts every statement of this server.", None, began, schema)


def _unreadable(connection: psycopg.Connection[Any], schema: str, error: psycopg.Error) -> State:
    role = _role(connection)
    if error.sqlstate == _NOT_LOADED:
        return State(
            "not_loaded",
            "pg_stat_statements is installed here, but the server was started without it.",
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';  -- keep what it holds; then restart",
        )
    if error.sqlstate == _NO_RIGHT:
        return State(
            "no_right",
            f"The role {quoted(role)} may not read pg_stat_statements.",
            f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)};\n"
            f"GRANT SELECT ON {quoted(schema, 'pg_stat_statements')}, {quoted(schema, 'pg_stat_statements_info')}"
            f" TO {quoted(role)};\nGRANT pg_read_all_stats TO {quoted(role)};  -- as a superuser",
        )
    raise error


def _rows(
    connection: psycopg.Connection[Any], schema: str, by: By, limit: int, whose: Whose, our_roles: list[str]
) -> list[dict[str, Any]]:
    has = _columns(connection, schema)
    # Named differently before 17, and by no name where the extension is older still.
    timed = [one for one in ("shared_blk_read_time", "local_blk_read_time", "blk_read_time") if one in has]
    read_ms = sql.SQL(" + ").join(sql.SQL("sum({})").format(sql.Identifier("s", one)) for one in timed)
    statement = sql.SQL(_TOP).format(
        view=_view(schema),
        read_ms=sql.SQL("nullif({}, 0)").format(read_ms) if timed else sql.SQL("NULL::float8"),
        order=sql.Identifier(ORDERS[by]),
    )
    values = {"ours": our_roles, "whose": whose, "limit": limit, "hidden": _HIDDEN, "schema": f"%{OUR_SCHEMA}.%"}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def _view(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "pg_stat_statements")


def _schema(connection: psycopg.Connection[Any]) -> str | None:
    found = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'pg_stat_statements'"
    ).fetchone()
    return str(found[0]) if found is not None else None


def _columns(connection: psycopg.Connection[Any], schema: str) -> set[str]:
    found = connection.execute(
        "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = 'pg_stat_statements' AND a.attnum > 0",
        [schema],
    )
    return {str(name) for (name,) in found}


def _reads_all(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute("SELECT pg_has_role('pg_read_all_stats', 'USAGE')").fetchone()
    return found is not None and bool(found[0])


def _role(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute("SELECT current_user").fetchone()
    return str(found[0]) if found is not None else ""


def _our_roles(database: Database) -> list[str]:
    """The roles that nobody but us signs in as, as far as the addresses tell."""
    engines = [database.reader, *([database.owner] if database.owner is not None else [])]
    return [str(one.url.username) for one in engines if one.url.username]


def _our_fingerprints(connection: psycopg.Connection[Any]) -> frozenset[str]:
    """The fingerprints that the plans were kept by; none where that table is not there or not to be read."""
    try:
        with connection.transaction():
            found = connection.execute("SELECT fingerprint FROM usage_dashboard.statement LIMIT 5000").fetchall()
    except psycopg.Error:
        return frozenset()
    return frozenset(str(one) for (one,) in found)


# By queryid alone: the same statement of several roles is one row. `toplevel` keeps what functions ran inside out.
_TOP = """
SELECT s.queryid, min(s.query) AS sql, array_agg(DISTINCT r.rolname::text) AS roles,
       bool_and(r.rolname = ANY(%(ours)s) AND NOT owner.owns) AS by_us,
       sum(s.calls)::bigint AS calls, sum(s.total_exec_time) AS total_ms,
       sum(s.total_exec_time) / greatest(sum(s.calls), 1) AS mean_ms,
       min(s.min_exec_time) AS min_ms, max(s.max_exec_time) AS max_ms, max(s.stddev_exec_time) AS stddev_ms,
       sum(s.rows)::bigint AS rows, sum(s.shared_blks_hit)::bigint AS blocks_hit,
       sum(s.shared_blks_read)::bigint AS blocks_read, {read_ms} AS read_ms,
       (sum(s.temp_blks_read + s.temp_blks_written) * current_setting('block_size')::bigint)::bigint AS temp_bytes
FROM {view} s
LEFT JOIN pg_roles r ON r.oid = s.userid
CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                   WHERE c.relowner = s.userid AND c.relkind IN ('r', 'p')
                                     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'usage_dashboard')
                                  ) AS owns) AS owner
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.toplevel
  AND s.queryid IS NOT NULL AND s.query <> %(hidden)s AND s.calls > 0
GROUP BY s.queryid
HAVING CASE %(whose)s WHEN 'all' THEN true
                      WHEN 'ours' THEN bool_and(r.rolname = ANY(%(ours)s) AND NOT owner.owns)
                                       OR min(s.query) LIKE %(schema)s
                      ELSE NOT bool_and(r.rolname = ANY(%(ours)s) AND NOT owner.owns)
                           AND min(s.query) NOT LIKE %(schema)s END
ORDER BY {order} DESC, s.queryid
LIMIT %(limit)s
"""
