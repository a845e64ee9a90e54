"""What is in a database: its catalog, read once, in a read-only session that is told to give up early.

The address is a person's own: nothing of it but the host is ever repeated. Schemas of PostgreSQL's own, of extensions
and of this program are left out, and so are the tables in which migration tools keep their notes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from queries.connect.shape import Field, Kind, Reference, Relation, Shape, with_inferred_references
from queries.connection_errors import ADDRESS, trouble_of
from queries.database import driver_url
from queries.errors import ConnectError, DatabaseUnavailableError, UsageDashboardError, translated
from queries.waking import OLDEST_SERVER

Connection = psycopg.Connection[Any]

_CONNECT_S = 10
_BEGIN = (
    "SELECT set_config('statement_timeout', '15s', true), set_config('lock_timeout', '2s', true),"
    " set_config('TimeZone', 'UTC', true)"
)
_MIGRATIONS = re.compile(
    r"_prisma_migrations|__drizzle_migrations|schema_migrations|alembic_version|.*_migrations|knex_.*"
)
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), "integer"),
    "numeric": "numeric",
    "money": "other",
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name"), "text"),
    "uuid": "uuid",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "interval": "interval",
    **dict.fromkeys(("json", "jsonb"), "json"),
    "bytea": "bytes",
}

_RELATIONS = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.reltuples::bigint AS rows,
       has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'usage_dashboard')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY n.nspname, c.relname"""
_FIELDS = """
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typname, t.typtype::text,
       base.typname AS base, a.attnotnull AS required, col_description(a.attrelid, a.attnum) AS comment,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = a.atttypid)
         AS labels
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type base ON base.oid = t.typbasetype
WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum"""
_KEYS = """
SELECT i.indrelid AS oid, i.indisprimary AS is_key,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.place) AS columns
FROM pg_index i
WHERE i.indrelid = ANY(%s) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY i.indexrelid"""
_REFERENCES = """
SELECT r.conrelid AS oid, a.attname AS column, n.nspname AS schema, c.relname AS table, f.attname AS target
FROM pg_constraint r
JOIN pg_attribute a ON a.attrelid = r.conrelid AND a.attnum = r.conkey[1]
JOIN pg_attribute f ON f.attrelid = r.confrelid AND f.attnum = r.confkey[1]
JOIN pg_class c ON c.oid = r.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.contype = 'f' AND r.conrelid = ANY(%s) AND cardinality(r.conkey) = 1 ORDER BY r.conrelid, r.conname"""


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    """A read-only session; ConnectError says in a sentence what is wrong with the address, and never repeats it."""
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection: Connection = psycopg.connect(
            address,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=_CONNECT_S,
            application_name="usage-dashboard connect",
        )
    except psycopg.Error as error:
        raise refused(error, driver_url(url).host or "this address") from None
    with connection:
        connection.read_only = True
        require_version(connection.info.server_version)
        yield connection


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """A read-only transaction that gives up early. All is set for it alone: behind a pooler, the session is the
    application's own again a moment later."""
    with connection.transaction():
        connection.execute(_BEGIN)
        yield


def require_version(version: int) -> None:
    """ConnectError for a server that is too old; libpq writes PostgreSQL 13.4 as 130004."""
    if version // 10_000 < OLDEST_SERVER:
        raise ConnectError(
            f"the database is PostgreSQL {version // 10_000}, and {OLDEST_SERVER} or newer is needed;"
            " upgrade it, or connect to a copy on a newer server"
        )


def refused(error: psycopg.Error, host: str) -> DatabaseUnavailableError:
    """Why nobody was let in, as one sentence without a secret."""
    trouble = trouble_of(str(error))
    if trouble.kind == "refused":
        return DatabaseUnavailableError(trouble.sentence.replace(ADDRESS, "the address"))
    return DatabaseUnavailableError(
        f"nothing that lets us in answers at {host}; check host, port and firewall, and whether it has connections left"
    )


def read_shape(connection: Connection) -> Shape:
    """Everything that may be an application's table; ConnectError when there is none."""
    try:
        return _read(connection)
    except UsageDashboardError:
        raise
    except psycopg.Error as error:
        raise translated(error) from error


def _read(connection: Connection) -> Shape:
    with reading(connection), connection.cursor(row_factory=dict_row) as cursor:
        found = [one for one in cursor.execute(_RELATIONS).fetchall() if not _MIGRATIONS.fullmatch(one["name"])]
        if not found:
            raise ConnectError(
                f"the database {connection.info.dbname!r} holds no table that this role may know of; check the"
                " database's name in the address, or ask for USAGE on its schemas"
            )
        oids = [one["oid"] for one in found]
        fields, keys, references = (
            _by_relation(cursor.execute(statement, [oids]).fetchall()) for statement in (_FIELDS, _KEYS, _REFERENCES)
        )
    relations = (_relation(one, fields[one["oid"]], keys[one["oid"]], references[one["oid"]]) for one in found)
    return with_inferred_references(Shape(tuple(relations), f"the database {connection.info.dbname}"))


def _by_relation(rows: list[dict[str, Any]]) -> defaultdict[int, list[dict[str, Any]]]:
    sorted_: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        sorted_[row["oid"]].append(row)
    return sorted_


def _relation(
    one: dict[str, Any], fields: list[dict[str, Any]], keys: list[dict[str, Any]], references: list[dict[str, Any]]
) -> Relation:
    return Relation(
        schema=one["schema"],
        name=one["name"],
        fields=tuple(_field(row) for row in fields),
        key=next((tuple(row["columns"]) for row in keys if row["is_key"]), ()),
        uniques=tuple(tuple(row["columns"]) for row in keys if not row["is_key"]),
        references=tuple(Reference(row["column"], row["schema"], row["table"], row["target"]) for row in references),
        rows=one["rows"] if one["rows"] >= 0 else None,
        readable=one["readable"],
        is_view=one["kind"] in ("v", "m", "f"),
    )


def _field(row: dict[str, Any]) -> Field:
    return Field(
        name=row["name"],
        type=row["type"],
        kind=_kind(row),
        nullable=not row["required"],
        labels=tuple(row["labels"] or ()),
        comment=row["comment"] or "",
    )


def _kind(row: dict[str, Any]) -> Kind:
    if row["type"].endswith("[]"):
        return "array"
    if row["typtype"] == "e":
        return "enum"
    return _KINDS.get(row["base"] or row["typname"], "other")
