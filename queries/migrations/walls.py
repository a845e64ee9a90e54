"""The second wall between tenants: views that the reader role reads instead of the application's tables.

Each is a security-barrier view in our schema over the mapped columns of one table, bound to the tenants that the
transaction names in a setting of its own. A transaction that names none sees nothing. The application's tables stay as
they are. The comment on a view says for which mapping it was made.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.sql.compiler import IdentifierPreparer

from queries.database import ALL_TENANTS, TENANTS_SETTING, wall_comment
from queries.mapping import Mapping, TableMapping
from queries.tables import OUR_SCHEMA, reflected_tables, wall_name

_SETTING = f"current_setting('{TENANTS_SETTING}', true)"
_OUR_READABLE_TABLES = ("query_log",)


def raise_walls(connection: sa.Connection, mapping: Mapping, reader_role: str) -> None:
    """Put up or renew the views and give them to the reader role, if that role exists."""
    tables = reflected_tables(connection, mapping, walled=False).all()
    quote = connection.dialect.identifier_preparer
    for logical, one in mapping.tables.items():
        tenant_type = tables[logical].c.tenant_id.type.compile(connection.dialect)
        _renew(connection, quote, logical, one, tenant_type, wall_comment(mapping))
    if connection.scalar(sa.text("SELECT to_regrole(:role)"), {"role": quote.quote(reader_role)}) is not None:
        _give(connection, quote, mapping, reader_role)


def take_down(connection: sa.Connection, mapping: Mapping) -> None:
    """Drop the views: PostgreSQL refuses to drop or retype a column of a table while a view shows it."""
    quote = connection.dialect.identifier_preparer
    for logical in mapping.tables:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quote.quote(OUR_SCHEMA)}.{quote.quote(wall_name(logical))}")


def _renew(
    connection: sa.Connection,
    quote: IdentifierPreparer,
    logical: str,
    one: TableMapping,
    tenant_type: str,
    comment: str,
) -> None:
    view = f"{quote.quote(OUR_SCHEMA)}.{quote.quote(wall_name(logical))}"
    described = connection.scalar(sa.text("SELECT obj_description(to_regclass(:view), 'pg_class')"), {"view": view})
    if described == comment:
        return
    physical = list(dict.fromkeys(one.columns.values()))
    tenant = quote.quote(one.columns["tenant_id"])
    # The hashed subplan looks each tenant up once per row in constant time; an array would be walked.
    statement = (
        f"CREATE VIEW {view} WITH (security_barrier = true) AS"  # noqa: S608 - identifiers from the catalog, quoted
        f" SELECT {', '.join(quote.quote(name) for name in physical)}"
        f" FROM {quote.quote(one.schema)}.{quote.quote(one.name)}"
        f" WHERE (SELECT {_SETTING}) = '{ALL_TENANTS}'"
        f" OR {tenant} IN (SELECT unnest(NULLIF({_SETTING}, '{ALL_TENANTS}')::text[])::{tenant_type})"
    )
    for command in (f"DROP VIEW IF EXISTS {view}", statement, f"COMMENT ON VIEW {view} IS '{comment}'"):
        connection.exec_driver_sql(command)


def _give(connection: sa.Connection, quote: IdentifierPreparer, mapping: Mapping, reader_role: str) -> None:
    schema, role = quote.quote(OUR_SCHEMA), quote.quote(reader_role)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    for name in (*(wall_name(logical) for logical in mapping.tables), *_OUR_READABLE_TABLES):
        connection.exec_driver_sql(f"GRANT SELECT ON {schema}.{quote.quote(name)} TO {role}")
