"""Indexes, foreign keys and since when scans are counted, as the catalog has them. Nothing but SELECT is needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

_ASCENDING_OF_DESCENDING = 3  # pg_index.indoption: 1 is DESC, 2 is NULLS FIRST; a backward scan turns both round


@dataclass(frozen=True, slots=True)
class IndexFact:
    """One index. `columns` are its keys and then the included ones, as text; per key: class, collation, direction."""

    oid: int
    table_oid: int
    schema: str
    table: str
    name: str
    method: str
    is_unique: bool
    is_valid: bool
    is_building: bool
    is_replica_identity: bool
    is_partitioned: bool
    is_partition: bool
    nulls_not_distinct: bool
    constraint: str | None
    serves_foreign_key: bool
    keys: int
    attributes: list[int]
    columns: list[str]
    classes: list[int]
    collations: list[int]
    options: list[int]
    predicate: str | None
    definition: str
    size_bytes: int
    scans: int
    table_rows: int

    @property
    def key_columns(self) -> list[str]:
        return self.columns[: self.keys]

    @property
    def included(self) -> list[str]:
        return self.columns[self.keys :]

    @property
    def is_kept(self) -> bool:
        """Whether it must stay whatever else there is: it is a rule about the data, or another thing rests on it."""
        return (
            self.is_unique
            or self.constraint is not None
            or self.is_replica_identity
            or self.serves_foreign_key
            or self.is_partition
        )

    def covers(self, other: IndexFact) -> bool:
        """Whether it answers all that the other one does: the other's keys are its first, in one direction or the
        other, with the same classes, collations and predicate, and it holds the other's included columns."""
        if self.table_oid != other.table_oid or self.oid == other.oid or self.predicate != other.predicate:
            return False
        if not (self.is_valid and other.is_valid and self.method == other.method == "btree"):
            return False
        first = other.keys
        return (
            self.keys >= first
            and self.key_columns[:first] == other.key_columns
            and self.classes[:first] == other.classes
            and self.collations[:first] == other.collations
            and _one_direction(self.options[:first], other.options)
            and set(other.included) <= set(self.columns)
        )

    def is_same_as(self, other: IndexFact) -> bool:
        """Whether the other one is the same index under another name."""
        return self.oid != other.oid and self._identity == other._identity

    @property
    def _identity(self) -> tuple[Any, ...]:
        return (
            *(self.table_oid, self.method, self.is_unique, self.nulls_not_distinct, self.is_valid, self.keys),
            *(self.columns, self.classes, self.collations, self.options, self.predicate),
        )


@dataclass(frozen=True, slots=True)
class ForeignKeyFact:
    """One foreign key, and whether an index of its table starts with its columns."""

    name: str
    schema: str
    table: str
    columns: list[str]
    referenced: str
    table_rows: int
    table_bytes: int
    deleted_or_changed: int
    has_index: bool


@dataclass(frozen=True, slots=True)
class Counting:
    """Since when scans are counted in this database (None: not known to have been reset), since when the server runs,
    its clock, and whether scans may happen elsewhere."""

    reset_at: datetime | None
    started_at: datetime
    now: datetime
    is_replica: bool
    replicas: int

    @property
    def since(self) -> datetime:
        return self.reset_at or self.started_at


def indexes(connection: psycopg.Connection[Any]) -> list[IndexFact]:
    """Every index of the application's tables, in the order of their names."""
    with connection.cursor(row_factory=class_row(IndexFact)) as cursor:
        return cursor.execute(_INDEXES).fetchall()


def foreign_keys(connection: psycopg.Connection[Any]) -> list[ForeignKeyFact]:
    """Every foreign key of the application's tables, in the order of their names."""
    with connection.cursor(row_factory=class_row(ForeignKeyFact)) as cursor:
        return cursor.execute(_FOREIGN_KEYS).fetchall()


def counting(connection: psycopg.Connection[Any]) -> Counting:
    with connection.cursor(row_factory=class_row(Counting)) as cursor:
        found = cursor.execute(_COUNTING).fetchone()
    assert found is not None, "a SELECT without FROM has one row"
    return found


def _one_direction(mine: list[int], others: list[int]) -> bool:
    return mine == others or [one ^ _ASCENDING_OF_DESCENDING for one in mine] == others


# What is not the application's: PostgreSQL's own, ours, and what extensions brought.
_THEIRS = """
    n.nspname NOT IN ('pg_catalog', 'information_schema', 'usage_dashboard')
    AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e')"""
_ROWS = "greatest(t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::bigint"

_INDEXES = f"""
SELECT i.indexrelid::bigint AS oid, i.indrelid::bigint AS table_oid,
       n.nspname AS schema, t.relname AS "table", c.relname AS name, am.amname AS method,
       i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS is_building,
       i.indisreplident AS is_replica_identity,
       c.relkind = 'I' AS is_partitioned, c.relispartition AS is_partition,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
       (SELECT min(k.conname) FROM pg_constraint k
        WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) AS "constraint",
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'f') AS serves_foreign_key,
       i.indnkeyatts::int AS keys,
       ARRAY(SELECT a FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS one(a, at) ORDER BY at) AS attributes,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, at, true) FROM generate_series(1, i.indnatts) AS at) AS columns,
       ARRAY(SELECT a::bigint FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS one(a, at) ORDER BY at) AS classes,
       ARRAY(SELECT a::bigint FROM unnest(i.indcollation::oid[]) WITH ORDINALITY AS one(a, at)
             WHERE at <= i.indnkeyatts ORDER BY at) AS collations,
       ARRAY(SELECT a FROM unnest(i.indoption::int2[]) WITH ORDINALITY AS one(a, at) ORDER BY at) AS options,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       pg_get_indexdef(i.indexrelid) AS definition,
       coalesce(pg_relation_size(i.indexrelid), 0) AS size_bytes,
       pg_stat_get_numscans(i.indexrelid) AS scans,
       {_ROWS} AS table_rows
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_am am ON am.oid = c.relam
WHERE {_THEIRS}
ORDER BY n.nspname, t.relname, c.relname
"""  # noqa: S608 - put together from constants of this module

# An index serves the check of a key when its first columns are the key's, in any order, over all rows or over those
# that have a value: the check asks for equality, which no NULL meets.
_FOREIGN_KEYS = f"""
SELECT k.conname AS name, n.nspname AS schema, t.relname AS "table",
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS key(attnum, at)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.attnum ORDER BY key.at) AS columns,
       r.relname AS referenced,
       {_ROWS} AS table_rows, coalesce(pg_table_size(t.oid), 0) AS table_bytes,
       pg_stat_get_tuples_deleted(k.confrelid) + pg_stat_get_tuples_updated(k.confrelid)
           - pg_stat_get_tuples_hot_updated(k.confrelid) AS deleted_or_changed,
       EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
               WHERE i.indrelid = k.conrelid AND i.indisvalid
                 AND i.indnkeyatts >= cardinality(k.conkey)
                 AND (am.amname = 'btree' OR (am.amname = 'hash' AND cardinality(k.conkey) = 1))
                 AND (SELECT array_agg(first.a ORDER BY first.a)
                      FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS first(a, at)
                      WHERE first.at <= cardinality(k.conkey))
                     = (SELECT array_agg(key.a ORDER BY key.a) FROM unnest(k.conkey) AS key(a))
                 AND (i.indpred IS NULL OR EXISTS (
                         SELECT FROM unnest(k.conkey) AS key(a)
                         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.a
                         WHERE pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname)))
       ) AS has_index
FROM pg_constraint k
JOIN pg_class t ON t.oid = k.conrelid
JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND {_THEIRS}
ORDER BY n.nspname, t.relname, k.conname
"""  # noqa: S608 - the same

_COUNTING = """
SELECT pg_stat_get_db_stat_reset_time((SELECT oid FROM pg_database WHERE datname = current_database())) AS reset_at,
       pg_postmaster_start_time() AS started_at, clock_timestamp() AS now, pg_is_in_recovery() AS is_replica,
       (SELECT count(*) FROM pg_stat_get_wal_senders())::int AS replicas
"""
