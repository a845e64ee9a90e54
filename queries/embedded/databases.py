"""Roles, privileges and databases: who may do what, on the embedded server and on any server given to the tests.

- `app` owns the application's tables (schema public of each database).
- `usage_dashboard_owner` reads them, and may create the schema `usage_dashboard`.
- `usage_dashboard_reader`, the only role that pages use, reads none of them and creates nothing.

All functions are idempotent and take a superuser's connection in autocommit mode.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from queries.errors import EmbeddedServerError

APP, OWNER, READER = "app", "usage_dashboard_owner", "usage_dashboard_reader"
RESERVED = frozenset({"postgres", "template0", "template1"})
NAME_LIMIT_BYTES = 63

Connection = psycopg.Connection[Any]


def ensure_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    """Create the three roles where they are missing and set their passwords."""
    known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in (APP, OWNER, READER):
        if role not in known:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        # Sent as a verifier, so that no log and no statistics view can hold the password itself.
        verifier = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(verifier.decode())
            )
        )
    connection.execute(sql.SQL("GRANT pg_read_all_stats TO {}, {}").format(*map(sql.Identifier, (OWNER, READER))))
    connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def create_database(connection: Connection, name: str) -> bool:
    """Create the database `name`; False when it exists. Its privileges are `grant_privileges`'s part."""
    check_name(name)
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None:
        return False
    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return True


def clone_database(connection: Connection, name: str, template: str) -> None:
    """Create `name` as a copy of `template`, to which nobody may be connected; with the same privileges on it."""
    check_name(name)
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    _grant_on_database(connection, name)


def drop_database(connection: Connection, name: str) -> None:
    """Drop the database `name`, throwing out who is connected; harmless when it is missing."""
    check_name(name)
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_names(connection: Connection) -> list[str]:
    """Names of the databases that are ours to show: neither templates nor the maintenance database."""
    found = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname")
    return [name for (name,) in found if name not in RESERVED]


def grant_privileges(connection: Connection, name: str) -> None:
    """Give the roles their rights in the database `name`, to which `connection` leads, and add pg_stat_statements."""
    _grant_on_database(connection, name)
    roles = {"app": sql.Identifier(APP), "owner": sql.Identifier(OWNER), "reader": sql.Identifier(READER)}
    for statement in (
        "ALTER SCHEMA public OWNER TO {app}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        # The reader needs the schema's name only to reach pg_stat_statements; it has no right on any table in it.
        "GRANT USAGE ON SCHEMA public TO {owner}, {reader}",
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {owner}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {app} IN SCHEMA public GRANT SELECT ON TABLES TO {owner}",
    ):
        connection.execute(sql.SQL(statement).format(**roles))


def check_name(name: str) -> None:
    """EmbeddedServerError unless `name` can be a database of ours."""
    if not name or len(name.encode()) > NAME_LIMIT_BYTES or "\0" in name:
        raise EmbeddedServerError(f"a database name has 1 to {NAME_LIMIT_BYTES} bytes, not {name!r}; choose another")
    if name in RESERVED:
        raise EmbeddedServerError(f"the database name {name!r} is PostgreSQL's own; choose another")


def _grant_on_database(connection: Connection, name: str) -> None:
    roles = {"app": sql.Identifier(APP), "owner": sql.Identifier(OWNER), "reader": sql.Identifier(READER)}
    for statement in (
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}",
        "GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {database} TO {owner}",
        "GRANT CONNECT ON DATABASE {database} TO {reader}",
    ):
        connection.execute(sql.SQL(statement).format(database=sql.Identifier(name), **roles))
