"""The second wall between tenants: views that the reader role reads instead of the application's tables.

Each is a security-barrier view in our schema over the mapped columns of one table, or over the SELECT of a derived one,
bound to the tenants that the transaction names in a setting of its own. A transaction that names none sees nothing. The
application's tables stay as they are. The comment on a view says for which mapping it was made. Our own tenant-keyed
tables stand behind the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from sqlalchemy.sql.compiler import IdentifierPreparer

from queries.database import (
    ALL_TENANTS,
    TENANTS_SETTING,
    full_wall_comment,
    our_wall_comment,
    shows_all_schemas,
    walls_stand,
)
from queries.derived import DerivedTable, as_source, quoted
from queries.errors import translated
from queries.mapping import Mapping
from queries.tables import (
    BALANCE_SNAPSHOT_COLUMNS,
    CLOSED_STATEMENT_COLUMNS,
    CORRECTION_COLUMNS,
    NOTE_COLUMNS,
    OUR_SCHEMA,
    our_wall_name,
    reflected_tables,
    wall_name,
)

# Once a transaction has named tenants, the setting is an empty text for the rest of its session.
_SETTING = f"NULLIF(current_setting('{TENANTS_SETTING}', true), '')"
# The same, and the ids, as constants of the plan (migration 0008).
_PLANNED, _PLANNED_IDS = f"{OUR_SCHEMA}.planned_tenants()", f"{OUR_SCHEMA}.planned_tenant_ids()"
_OUR_READABLE_TABLES = (
    "query_log",
    "statement",
    "plan",
    "baseline",
    "index_change",
    "aggregate_state",
    "closed_month",
    "export",
    "audit",
)
# Those who may read the generations' wall, its owner aside: pages read as one of them.
_READERS = sa.text(
    """
    SELECT rolname::text FROM pg_roles WHERE rolname = :role
    UNION SELECT pg_get_userbyid(given.grantee)::text FROM pg_class AS one, aclexplode(one.relacl) AS given
    WHERE one.oid = to_regclass(:wall) AND given.privilege_type = 'SELECT' AND given.grantee NOT IN (0, one.relowner)
    """
)


@dataclass(frozen=True, slots=True)
class Wall:
    """One view: its name, what is behind it as it stands in FROM, the columns it shows, and, as SQL of ours, which
    rows."""

    view: str
    source: str
    columns: Sequence[str]
    tenant_column: str
    tenant_type: str
    comment: str
    only: str = ""


def in_our_schema(table: str) -> str:
    """A table of our own as it stands in FROM."""
    return f"{quoted(OUR_SCHEMA)}.{quoted(table)}"


def _our_wall(table: str, columns: Iterable[str], *, only: str = "") -> Wall:
    shown = tuple(columns)
    return Wall(
        view=our_wall_name(table),
        source=in_our_schema(table),
        columns=shown,
        tenant_column="tenant_id",
        tenant_type="text",
        comment=our_wall_comment(shown),
        only=only,
    )


_OUR_WALLS = (
    _our_wall("note", NOTE_COLUMNS, only="removed_at IS NULL"),
    _our_wall("balance_snapshot", BALANCE_SNAPSHOT_COLUMNS),
    _our_wall("closed_statement", CLOSED_STATEMENT_COLUMNS),
    _our_wall("correction", CORRECTION_COLUMNS),
)


def raise_walls(connection: sa.Connection, mapping: Mapping, reader_role: str) -> None:
    """Put up or renew the views and give them and our tables to the reader role, if that role exists, and to whoever
    read through the walls before."""
    readers = _readers(connection, reader_role)
    walls = [*_application_walls(connection, mapping), *_OUR_WALLS]
    _renewed(connection, walls)
    _give(connection, (*(one.view for one in walls), *_OUR_READABLE_TABLES), readers)


def readable_names(mapping: Mapping) -> list[str]:
    """Every view and table in our schema that the reader role is given."""
    return [*map(wall_name, mapping.tables), *(one.view for one in _OUR_WALLS), *_OUR_READABLE_TABLES]


def show_new_schemas(engine: sa.Engine, mapping: Mapping, reader_role: str) -> bool:
    """Renew walls that were made for this mapping where tenants' schemas came or went since; whether there were any.
    Only errors of queries.errors are raised."""
    if all(one.schemas is None for one in mapping.tables.values()):
        return False
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(OUR_SCHEMA))))
            if not walls_stand(connection, mapping) or shows_all_schemas(connection, mapping):
                return False
            raise_walls(connection, mapping, reader_role)
            return True
    except sa.exc.SQLAlchemyError as error:
        raise translated(error) from error


def raise_our_walls(connection: sa.Connection, walls: Sequence[Wall], reader_role: str) -> None:
    """Put up those that are not there, or were built in another way, before tables of our own that come and go."""
    if made := _renewed(connection, walls):
        _give(connection, made, _readers(connection, reader_role))


def _renewed(connection: sa.Connection, walls: Sequence[Wall]) -> list[str]:
    """The names of those that were made, or made anew."""
    quote = connection.dialect.identifier_preparer
    return [wall.view for wall in walls if _renew(connection, quote, wall)]


def take_down(connection: sa.Connection, mapping: Mapping) -> None:
    """Drop the views: PostgreSQL refuses to drop or retype a column of a table while a view shows it."""
    quote = connection.dialect.identifier_preparer
    for logical in mapping.tables:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quote.quote(OUR_SCHEMA)}.{quote.quote(wall_name(logical))}")


def _application_walls(connection: sa.Connection, mapping: Mapping) -> list[Wall]:
    tables, comment = reflected_tables(connection, mapping, walled=False).all(), full_wall_comment(connection, mapping)
    return [
        Wall(
            view=wall_name(logical),
            source=_source(tables[logical]),
            columns=tuple(dict.fromkeys(column.name for column in tables[logical].c)),
            tenant_column=tables[logical].c.tenant_id.name,
            tenant_type=tables[logical].c.tenant_id.type.compile(connection.dialect),
            comment=comment,
        )
        for logical in mapping.tables
    ]


def _source(table: sa.Table) -> str:
    if isinstance(table, DerivedTable):
        return f"{as_source(table.sql)} AS source"
    assert table.schema is not None, "the mapping names a schema"
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def _renew(connection: sa.Connection, quote: IdentifierPreparer, wall: Wall) -> bool:
    view = f"{quote.quote(OUR_SCHEMA)}.{quote.quote(wall.view)}"
    described = connection.scalar(sa.text("SELECT obj_description(to_regclass(:view), 'pg_class')"), {"view": view})
    if described == wall.comment:
        return False
    tenant, only = quote.quote(wall.tenant_column), f"{wall.only} AND " if wall.only else ""
    statement = (
        f"CREATE OR REPLACE VIEW {view} WITH (security_barrier = true) AS"  # noqa: S608 - identifiers from the catalog, quoted
        f" SELECT {', '.join(quote.quote(name) for name in wall.columns)}"
        f" FROM {wall.source.replace('%', '%%')}"  # the driver's sign for a parameter
        # A plan that was kept from another transaction shows nothing: asked once for the statement. The comparison that
        # no row meets keeps it at the scan, and the planner takes the null test to be true.
        f" WHERE {only}((SELECT true WHERE {_SETTING} = {_PLANNED}) IS NOT NULL OR {tenant} <> {tenant})"
        # An index takes this in together with the first wall's predicate, and no row is asked.
        f" AND ({_PLANNED} = '{ALL_TENANTS}' OR {tenant} = ANY ({_PLANNED_IDS}::{wall.tenant_type}[]))"
    )
    try:
        # What shows the same columns, such as those of one more schema, is replaced, and whoever may read it still may.
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.InvalidTableDefinition):
            raise
        connection.exec_driver_sql(f"DROP VIEW {view}")
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"COMMENT ON VIEW {view} IS '{wall.comment}'")
    return True


def _readers(connection: sa.Connection, reader_role: str) -> Sequence[str]:
    """That role, if it exists, and those who read through our walls before: a view that is made anew has no rights."""
    wall = f"{OUR_SCHEMA}.{wall_name('generation')}"
    return connection.scalars(_READERS, {"role": reader_role, "wall": wall}).all()


def _give(connection: sa.Connection, names: Sequence[str], readers: Sequence[str]) -> None:
    quote = connection.dialect.identifier_preparer
    schema = quote.quote(OUR_SCHEMA)
    for role in map(quote.quote_identifier, readers):
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        for name in names:
            connection.exec_driver_sql(f"GRANT SELECT ON {schema}.{quote.quote(name)} TO {role}")
