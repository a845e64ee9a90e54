"""Their tables as the live database has them: the types of the mapped columns, and, of a derived table, its SELECT.

A table that is mapped by names alone, with every column, is read as it is. Any other is a SELECT that gives one column
for each of ours: theirs under our names, NULL where there is none, the file's own SELECT, the same for each schema of a
pattern, the ledger out of generations, or no row at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect

from queries.column_types import TIMES, AwareTime, NaiveUtc, cast_to, default_type, ours
from queries.derived import as_source, quoted
from queries.errors import MappingError
from queries.mapping import Mapping as Names
from queries.mapping import TableMapping
from queries.mapping.model import ASSUMED_STATUS, DERIVED_CHARGE
from queries.mapping.selects import in_schema, nearest, tables_in_schema

Types = dict[str, sa.types.TypeEngine[Any]]
_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
# Columns that statements compare with each other: where one is missing, its NULL has the type of another of them.
_USERS = (("user", "id"), ("generation", "user_id"), ("membership", "user_id"), ("credit_transaction", "user_id"))
_GENERATIONS = (("generation", "id"), ("image", "generation_id"), ("credit_transaction", "generation_id"))
_ALIKE = (_USERS, _GENERATIONS, (("generation", "type"), ("usage_limit", "type")))
_TENANT = "tenant_id"
_NAMED_BY = {"organization": (_TENANT,), "user": ("email", "id")}
_SCHEMAS = """
SELECT n.nspname, array(SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = n.oid
                        AND c.relname = ANY(:tables) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS tables
FROM pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'usage_dashboard')
ORDER BY n.nspname
"""
_TYPES = """
SELECT t.oid, t.typname, CASE WHEN NOT pg_type_is_visible(t.oid) THEN n.nspname END AS schema,
       format_type(t.oid, NULL) AS name, array(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid
                                               ORDER BY e.enumsortorder) AS labels
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE t.oid = ANY(:oids)
"""


@dataclass(frozen=True)
class Relation:
    """One logical table: the types of all its columns and what they are called in it, and the SELECT of its rows where
    it is a derived one."""

    types: Types
    names: dict[str, str]
    sql: str | None = None


def live_relations(connection: sa.Connection, mapping: Names) -> dict[str, Relation]:
    """Every logical table as this database has it; MappingError names what it has not, and where to map it."""
    sources = {logical: _source(connection, logical, one) for logical, one in mapping.tables.items()}
    named = {logical: one for logical, one in mapping.tables.items() if one.select is None and not one.missing}
    described = _named_types(connection, named)
    types = {
        logical: described[logical]
        if logical in described
        else selected_types(connection, logical, source)
        if (source := sources[logical]) is not None
        else {}
        for logical in mapping.tables
    }
    return relations(mapping, types, sources)


def relations(mapping: Names, types: Mapping[str, Types], sources: Mapping[str, str | None]) -> dict[str, Relation]:
    """The same from the types of the columns that there are, and the SELECTs of those tables that are ones."""
    made = {logical: _relation(mapping, logical, types, sources[logical]) for logical in mapping.tables}
    if mapping.derives_ledger:
        made["credit_transaction"] = _derived_ledger(mapping, made["generation"], made["credit_transaction"].types)
    return made


def _relation(mapping: Names, logical: str, types: Mapping[str, Types], source: str | None) -> Relation:
    one, there = mapping.tables[logical], types[logical]
    casts = {key: cast for key, type_ in there.items() if (cast := cast_to(key, type_)) is not None}
    whole = {**_with_missing(mapping, logical, types), **casts}
    if not one.is_derived and not casts:
        return Relation(whole, dict(one.columns))
    names = {key: key for key in whole}
    if one.missing:
        nothing = ", ".join(f"{_null(type_)} AS {quoted(key)}" for key, type_ in whole.items())
        return Relation(whole, names, f"SELECT {nothing} WHERE false")
    if source is None:
        return Relation(whole, names, _named_sql(one, whole, logical, casts))
    physical = {key: key if one.columns[key] else "" for key in whole}
    columns = _columns(logical, physical, whole, casts)
    # A row that an outer join found no tenant for is nobody's.
    sql = f"SELECT {columns} FROM {as_source(source)} AS source WHERE {quoted(_TENANT)} IS NOT NULL"  # noqa: S608
    return Relation(whole, names, sql)


def default_relations(mapping: Names) -> dict[str, Relation]:
    """The same with Prisma's types, and each SELECT as the file has it, without a database."""
    types = {
        logical: {key: default_type(logical, key) for key, physical in one.columns.items() if physical}
        for logical, one in mapping.tables.items()
    }
    return relations(mapping, types, {logical: one.select for logical, one in mapping.tables.items()})


def check_times(mapping: Names, found: Mapping[str, Relation]) -> None:
    """MappingError where a time or a date is of no type that PostgreSQL keeps one in."""
    for logical, relation in found.items():
        for key, type_ in relation.types.items():
            is_time = isinstance(type_, NaiveUtc | AwareTime) if key in TIMES else isinstance(type_, sa.Date)
            if (key in TIMES or key == "date") and not is_time and not mapping.lacks(logical, key):
                raise MappingError(
                    f"{logical}.{key} is of the type {type_.compile(_DIALECT)}, and a"
                    f" {'timestamp' if key in TIMES else 'date'} is needed; write a SELECT that converts it for"
                    f" [tables.{logical}] in the mapping file (MAPPING_FILE)"
                )


def unlike(types: Mapping[str, Types]) -> list[str]:
    """Which ids that mean the same are of types that PostgreSQL does not compare, in words for the page."""
    of_tenants = tuple((logical, _TENANT) for logical in types)
    said = []
    for alike in (of_tenants, _USERS, _GENERATIONS):
        kinds: dict[str, str] = {}
        for logical, key in alike:
            kinds.setdefault(_kind(types[logical][key]), f"{logical}.{key}")
        if len(kinds) > 1:
            named = " and ".join(f"{where} is {kind}" for kind, where in kinds.items())
            said.append(
                f"Ids that mean the same have several types, and questions that compare them fail: {named}. Cast one to"
                " the other's type by a SELECT in the mapping file."
            )
    return said


def _kind(type_: sa.types.TypeEngine[Any]) -> str:
    if isinstance(type_, sa.Integer | sa.Numeric):
        return "a number"
    return "a uuid" if isinstance(type_, sa.Uuid) else "a text"


def schemas_of(connection: sa.Connection, one: TableMapping) -> list[str]:
    """The schemas that a pattern means now: those that match and hold every table that the SELECT reads in them."""
    assert one.schemas is not None, "a table of one schema per tenant"
    assert one.select is not None, "which is a SELECT"
    tables = tables_in_schema(one.select)
    patterns = [part.strip() for part in one.schemas.split(",")]
    rows = connection.execute(sa.text(_SCHEMAS), {"tables": tables})
    return [
        name
        for name, there in rows
        if any(fnmatchcase(name, pattern) for pattern in patterns) and set(there) >= set(tables)
    ]


def schemas_digest(connection: sa.Connection, mapping: Names) -> str:
    """Tells two lists of the tenants' schemas apart; empty where the mapping knows no pattern."""
    patterned = {k: schemas_of(connection, one) for k, one in mapping.tables.items() if one.schemas is not None}
    return hashlib.blake2b(repr(sorted(patterned.items())).encode(), digest_size=6).hexdigest() if patterned else ""


def relation_sql(connection: sa.Connection, mapping: Names, logical: str) -> str:
    """The SELECT that gives the rows of a logical table with our names, as it is sent, names quoted."""
    found = live_relations(connection, mapping)[logical]
    return found.sql if found.sql is not None else _named_sql(mapping.tables[logical], found.types)


def selected_types(connection: sa.Connection, logical: str, source: str) -> Types:
    """The types of the columns that a SELECT gives, which PostgreSQL is asked for; it reads no row."""
    statement = f"SELECT * FROM {as_source(source)} AS source LIMIT 0"  # noqa: S608 - the mapping file's own SELECT
    try:
        described: Any = connection.exec_driver_sql(statement.replace("%", "%%")).cursor
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        # No row was read: what does not fit is a constant of the SELECT. A right that is missing is no fault of it.
        if not state.startswith(("22", "42")) or state == "42501":
            raise
        said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or type(error.orig).__name__
        raise MappingError(
            f"the SELECT of [tables.{logical}] in the mapping file (MAPPING_FILE) is refused by PostgreSQL: {said};"
            " correct it"
        ) from error
    columns = list(described.description)
    rows = connection.execute(sa.text(_TYPES), {"oids": [one.type_code for one in columns]}).mappings()
    known = {row["oid"]: row for row in rows}
    return {one.name: ours(_type(one, known[one.type_code])) for one in columns}


def _type(column: Any, row: Any) -> sa.types.TypeEngine[Any]:
    if row["labels"]:
        return postgresql.ENUM(*row["labels"], name=row["typname"], schema=row["schema"], create_type=False)
    if row["name"] == "numeric":
        return sa.Numeric(column.precision, column.scale)
    if row["name"].startswith("timestamp"):
        return sa.TIMESTAMP(timezone=row["name"].endswith("with time zone"))
    known: Any = postgresql.base.ischema_names.get(row["name"], sa.types.NullType)
    return known()  # type: ignore[no-any-return]  # SQLAlchemy's register of types by name


def _named_types(connection: sa.Connection, named: Mapping[str, TableMapping]) -> dict[str, Types]:
    """The types of the columns that are mapped by names."""
    inspector = sa.inspect(connection)
    live: dict[tuple[str, str], Types] = {}
    for schema in {one.schema for one in named.values()}:
        names = [one.name for one in named.values() if one.schema == schema]
        found = inspector.get_multi_columns(schema=schema, filter_names=names, kind=sa.engine.reflection.ObjectKind.ANY)
        for (_, name), described in found.items():
            live[schema, name] = {one["name"]: one["type"] for one in described}
    types: dict[str, Types] = {}
    for logical, one in named.items():
        there = live.get((one.schema, one.name))
        if there is None:
            raise _no_table(inspector, logical, one)
        for key, physical in one.columns.items():
            if physical and physical not in there:
                raise MappingError(
                    f'the column "{physical}" of "{one.schema}"."{one.name}" is not in the database'
                    f"{_close(physical, there)}; map it by [tables.{logical}] columns.{key} in the mapping file"
                    ' (MAPPING_FILE), to "" where there is none'
                )
        types[logical] = {key: ours(there[physical]) for key, physical in one.columns.items() if physical}
    return types


def _no_table(inspector: sa.Inspector, logical: str, one: TableMapping) -> MappingError:
    there = [*inspector.get_table_names(one.schema), *inspector.get_view_names(one.schema)]
    return MappingError(
        f'the table "{one.schema}"."{one.name}" is not in the database{_close(one.name, there)}; map it by'
        f" [tables.{logical}] name in the mapping file (MAPPING_FILE), or say missing = true there"
    )


def _close(name: str, there: Iterable[str]) -> str:
    said = nearest(name, list(there))
    return f" ({said.partition(' (')[0]})" if said.startswith("the nearest") else ""


def _source(connection: sa.Connection, logical: str, one: TableMapping) -> str | None:
    """The file's SELECT, or those of all schemas; None where it has none."""
    if one.select is None or one.schemas is None:
        return one.select
    schemas = schemas_of(connection, one)
    if not schemas:
        tables = ", ".join(tables_in_schema(one.select))
        raise MappingError(
            f"no schema of the database matches {one.schemas!r} and holds {tables}; correct [tables.{logical}] schemas"
            " in the mapping file (MAPPING_FILE)"
        )
    arms = [in_schema(one.select, quoted(name), _literal(name)) for name in schemas]
    # Each schema has enums of its own, which cannot be united as they are.
    types = selected_types(connection, logical, arms[0])
    if any(isinstance(type_, sa.Enum) for type_ in types.values()):
        columns = ", ".join(
            f"{quoted(key)}::text AS {quoted(key)}" if isinstance(type_, sa.Enum) else quoted(key)
            for key, type_ in types.items()
        )
        arms = [f"SELECT {columns} FROM {as_source(arm)} AS source" for arm in arms]  # noqa: S608 - quoted names
    return "\nUNION ALL\n".join(as_source(arm) for arm in arms) if len(arms) > 1 else arms[0]


def _with_missing(mapping: Names, logical: str, types: Mapping[str, Types]) -> Types:
    """The types of all columns, in our order; those that are missing have the type of what they are compared with."""
    there = types[logical]
    return {key: there.get(key) or _type_of_missing(types, logical, key) for key in mapping.tables[logical].columns}


def _type_of_missing(types: Mapping[str, Types], logical: str, key: str) -> sa.types.TypeEngine[Any]:
    if key == _TENANT or key in TIMES:
        return types["generation"]["created_at" if key in TIMES else key]
    for alike in _ALIKE:
        if (logical, key) in alike:
            found = [types[table][column] for table, column in alike if column in types[table]]
            return found[0] if found else sa.Text()
    default = default_type(logical, key)
    # The default's enums are not in this database.
    return sa.Text() if isinstance(default, sa.Enum) else default


def _named_sql(one: TableMapping, types: Types, logical: str = "", casts: Types | None = None) -> str:
    columns = _columns(logical, one.columns, types, casts or {})
    return f"SELECT {columns} FROM {quoted(one.schema)}.{quoted(one.name)}"  # noqa: S608 - quoted


def _columns(logical: str, physical: Mapping[str, str], types: Types, casts: Types) -> str:
    def given(key: str) -> str:
        if not physical[key]:
            return _assumed(logical, key, physical, types[key])
        cast = f"::{casts[key].compile(_DIALECT)}" if key in casts else ""
        return f"{quoted(physical[key])}{cast}"

    return ", ".join(f"{given(key)} AS {quoted(key)}" for key in types)


def _assumed(logical: str, key: str, physical: Mapping[str, str], type_: sa.types.TypeEngine[Any]) -> str:
    """What stands for a missing column: without a status, all generations count as succeeded; who has no name goes by
    the address or the id."""
    if (logical, key) == ("generation", "status"):
        return f"{_literal(ASSUMED_STATUS)}::text"
    others = _NAMED_BY.get(logical, ()) if key == "name" else ()
    found = next((physical[one] for one in others if physical[one]), None)
    return f"{quoted(found)}::text" if found is not None else _null(type_)


def _derived_ledger(mapping: Names, generation: Relation, types: Types) -> Relation:
    """One charge for each generation that used credits."""
    of_generation = {key: generation.types[key] for key in ("id", "tenant_id", "user_id", "created_at")}
    of_movement = {**types, **of_generation, "generation_id": generation.types["id"], "type": sa.Text()}
    used = generation.types["credits_used"]
    # What is negated has no longer so many digits.
    of_movement["amount"] = sa.Numeric() if isinstance(used, sa.Numeric) and not isinstance(used, sa.Float) else used
    one = mapping.tables["generation"]
    rows = generation.sql if generation.sql is not None else _named_sql(one, generation.types)
    given = {
        **{key: quoted(key) for key in of_generation},
        "generation_id": quoted("id"),
        "type": f"{_literal(DERIVED_CHARGE)}::text",
        "amount": f"-{quoted('credits_used')}",
    }
    columns = ", ".join(f"{given.get(key) or _null(type_)} AS {quoted(key)}" for key, type_ in of_movement.items())
    sql = f"SELECT {columns} FROM {as_source(rows)} AS used WHERE {quoted('credits_used')} IS NOT NULL"  # noqa: S608
    return Relation(of_movement, {key: key for key in of_movement}, sql)


def _null(type_: sa.types.TypeEngine[Any]) -> str:
    return f"NULL::{type_.compile(_DIALECT)}"


def _literal(text: str) -> str:
    # A backslash means itself, as the standard has it and PostgreSQL since 9.1.
    return "'" + text.replace("'", "''") + "'"
