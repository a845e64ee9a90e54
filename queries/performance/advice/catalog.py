"""What the live catalog says of the tables that a workload reads: columns, statistics, indexes. Nothing of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg

from queries.performance.advice.index import Index, Key
from queries.tables import OUR_SCHEMA

_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::float8, pg_relation_size(c.oid), c.relispartition,
       s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL, coalesce(s.n_mod_since_analyze, 0),
       pg_relation_size(c.oid) > 1.2 * 8192 * c.relpages OR s.n_tup_upd + s.n_tup_del >= 0.5 * c.reltuples,
       coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0),
       (SELECT extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::float8 / 86400
        FROM pg_stat_database AS d WHERE d.datname = current_database()),
       has_table_privilege(c.oid, 'SELECT')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""
_COLUMNS = """
SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attlen, a.attnotnull, t.typtype::text,
       t.typcategory::text, coalesce(co.collname IN ('C', 'POSIX', 'ucs_basic') OR (co.collname = 'default' AND (
           SELECT (provider.letter = 'c' AND d.datcollate IN ('C', 'POSIX')) OR provider.letter = 'b'
           FROM pg_database AS d, coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider(letter)
           WHERE d.datname = current_database())), true),
       s.null_frac::float8, s.avg_width, s.n_distinct::float8, s.correlation::float8,
       s.most_common_vals::text::text[], s.most_common_freqs::float8[]
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_stats AS s
    ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_INDEXES = """
SELECT i.indrelid, c.relname, am.amname::text, i.indisunique, i.indnkeyatts,
       array(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
             LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.place),
       array(SELECT pg_get_indexdef(i.indexrelid, k::int, true) FROM generate_series(1, i.indnkeyatts) AS k),
       i.indoption::int2[], pg_get_expr(i.indpred, i.indrelid), pg_relation_size(c.oid),
       array(SELECT CASE WHEN o.opcdefault THEN '' ELSE o.opcname::text END
             FROM unnest(i.indclass) WITH ORDINALITY AS k(oid, place)
             JOIN pg_opclass AS o ON o.oid = k.oid ORDER BY k.place)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
WHERE i.indrelid = ANY(%s::oid[]) AND i.indisvalid
ORDER BY c.relname
"""
_NAMES = """
SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%s) AND c.relname LIKE ANY(%s)
"""
_DESCENDING, _NULLS_FIRST = 1, 2
_BYTES_A_ROW = 100


@dataclass(frozen=True, slots=True)
class Column:
    """One column and its statistics; None where they are hidden from the role or were never gathered."""

    name: str
    number: int
    type: str
    length: int
    is_nullable: bool
    is_enum: bool
    is_text: bool
    sorts_bytewise: bool
    null_fraction: float | None = None
    average_width: int | None = None
    distinct: float | None = None
    correlation: float | None = None
    common: Mapping[str, float] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """Bytes of a value: measured, or the type's, or 16 where neither is known."""
        if self.average_width is not None:
            return float(self.average_width)
        return float(self.length) if self.length > 0 else 16.0


@dataclass(frozen=True, slots=True)
class Existing:
    """An index that is there."""

    name: str
    index: Index | None
    is_unique: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with its columns by name and its valid indexes."""

    oid: int
    schema: str
    name: str
    is_indexable: bool
    is_partition: bool
    rows: float
    size_bytes: int
    was_analyzed: bool
    changed_since_analyze: int
    rows_written_per_day: float | None
    is_readable: bool
    columns: Mapping[str, Column]
    indexes: tuple[Existing, ...]

    @property
    def label(self) -> str:
        return f'"{self.name}"' if self.schema == "public" else f'"{self.schema}"."{self.name}"'

    @property
    def has_statistics(self) -> bool:
        return any(column.average_width is not None for column in self.columns.values())

    def distinct_values(self, name: str) -> float | None:
        """How many different values a column holds, by the statistics."""
        distinct = self.columns[name].distinct
        if distinct is None:
            return None
        return distinct if distinct >= 0 else -distinct * max(self.rows, 1.0)


Relation = tuple[str, str]


def read_tables(connection: psycopg.Connection[Any], relations: Iterable[Relation]) -> dict[Relation, Table]:
    """The tables by (schema, name); what is not there (any more) is left out."""
    wanted = sorted(set(relations))
    if not wanted:
        return {}
    found = _rows(connection, _TABLES, [[one[0] for one in wanted], [one[1] for one in wanted]])
    oids = [row[0] for row in found]
    columns: dict[int, dict[str, Column]] = {oid: {} for oid in oids}
    for row in _rows(connection, _COLUMNS, [oids]):
        column = _column(row[1:])
        columns[row[0]][column.name] = column
    indexes: dict[int, list[Existing]] = {oid: [] for oid in oids}
    names = {row[0]: (row[1], row[2]) for row in found}
    for row in _rows(connection, _INDEXES, [oids]):
        indexes[row[0]].append(_existing(*names[row[0]], row[1:]))
    return {(row[1], row[2]): _table(row, columns[row[0]], tuple(indexes[row[0]])) for row in found}


def names_taken(connection: psycopg.Connection[Any], tables: Iterable[Table]) -> dict[str, frozenset[str]]:
    """Names of relations by schema that begin like one of the tables: an index of ours cannot have them."""
    listed = list(tables)
    schemas = sorted({table.schema for table in listed})
    like = sorted({table.name.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%" for table in listed})
    rows = _rows(connection, _NAMES, [schemas, like]) if listed else []
    return {schema: frozenset(name for in_schema, name in rows if in_schema == schema) for schema in schemas}


def hypopg_schema(connection: psycopg.Connection[Any]) -> str | None:
    """The schema of the extension HypoPG where this role may use it."""
    rows = _rows(
        connection,
        "SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace"
        " JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = 'hypopg_create_index'"
        " WHERE e.extname = 'hypopg' AND has_schema_privilege(n.oid, 'USAGE')"
        " AND has_function_privilege(p.oid, 'EXECUTE')",
        [],
    )
    return str(rows[0][0]) if rows else None


def random_page_cost(connection: psycopg.Connection[Any]) -> float:
    """What the planner takes a page out of order to cost on this server."""
    return float(_rows(connection, "SELECT current_setting('random_page_cost')::float8", [])[0][0])


def _rows(connection: psycopg.Connection[Any], statement: LiteralString, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None, prepare=False)
        return cursor.fetchall()


def _column(row: tuple[Any, ...]) -> Column:
    number, name, type_, length, not_null, typtype, category, bytewise, *statistics = row
    null_fraction, width, distinct, correlation, values, frequencies = statistics
    common = dict(zip(values or (), frequencies or (), strict=False))
    return Column(
        name=name,
        number=number,
        type=type_,
        length=length,
        is_nullable=not not_null,
        is_enum=typtype == "e",
        is_text=category == "S",
        sorts_bytewise=bytewise,
        null_fraction=null_fraction,
        average_width=width,
        distinct=distinct,
        correlation=correlation,
        common=common,
    )


def _existing(schema: str, table: str, row: tuple[Any, ...]) -> Existing:
    name, method, is_unique, key_count, names, definitions, options, predicate, size, opclasses = row
    if method not in ("btree", "brin"):
        return Existing(name, None, is_unique, size)
    keys = tuple(
        Key(
            column=names[place] or "",
            expression="" if names[place] else _bare(definitions[place]),
            descending=bool(options[place] & _DESCENDING),
            nulls_first=bool(options[place] & _NULLS_FIRST),
            opclass=opclasses[place],
        )
        for place in range(key_count)
    )
    include = tuple(column for column in names[key_count:] if column)
    where = (predicate,) if predicate else ()
    return Existing(name, Index(schema, table, keys, include, where, method), is_unique, size)


def _bare(definition: str) -> str:
    """An expression without the parentheses around it all."""
    return definition[1:-1] if definition.startswith("(") and definition.endswith(")") else definition


def _table(row: tuple[Any, ...], columns: dict[str, Column], indexes: tuple[Existing, ...]) -> Table:
    oid, schema, name, kind, rows, size, is_partition, was_analyzed, changed, is_other, written, days, is_readable = row
    has_gathered = any(column.average_width is not None for column in columns.values())
    return Table(
        oid=oid,
        schema=schema,
        name=name,
        # The dashboard's own tables get their indexes from its migrations.
        is_indexable=kind in ("r", "m") and not is_partition and schema != OUR_SCHEMA,
        is_partition=is_partition,
        # Before the first ANALYZE the count is not known: a hundred bytes a row are as good a guess as any.
        rows=rows if rows > 0 or size == 0 else size / _BYTES_A_ROW,
        size_bytes=size,
        # A restored or upgraded server forgets when it analyzed, and keeps what it found.
        was_analyzed=was_analyzed or has_gathered or rows > 0,
        # What a session inserted just before it analyzed is counted only afterwards, and is known all the same.
        changed_since_analyze=changed if is_other else 0,
        rows_written_per_day=written / days if days and days >= 1 else None,
        is_readable=is_readable,
        columns=columns,
        indexes=indexes,
    )
