"""Our own schema, `usage_dashboard`: its tables by Alembic, and the walls before the application's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from queries.database import driver_url
from queries.errors import translated
from queries.mapping import Mapping, prisma_mapping
from queries.migrations.walls import raise_walls, take_down
from queries.tables import OUR_SCHEMA

READER_ROLE = "usage_dashboard_reader"
_RELATIONS = sa.text(
    """
    SELECT one.relname::text, one.relkind::text,
           CASE WHEN one.relkind = 'v' THEN coalesce(obj_description(one.oid, 'pg_class'), '') ELSE '' END
    FROM pg_class AS one JOIN pg_namespace AS space ON space.oid = one.relnamespace
    WHERE space.nspname = :schema AND one.relkind IN ('r', 'p', 'v') AND NOT one.relispartition
      AND one.relname <> 'alembic_version'
    """
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a migration made: whether the schema itself, which tables, which walls (new, or for another mapping), and
    whether tables that were there came to a newer version."""

    schema: bool
    tables: tuple[str, ...]
    walls: tuple[str, ...]
    newer: bool


def upgrade(url: str, mapping: Mapping | None = None, *, reader_role: str = READER_ROLE) -> Made:
    """Bring our schema to the newest version and put up the walls; running it twice changes nothing.

    `url` is a direct one, of a role that may create a schema and may read the mapped tables. The reader role, where it
    exists, is given SELECT on the walls and on our tables, and nothing else.
    """
    with _owning(url) as connection:
        was_there = connection.scalar(sa.select(sa.func.to_regnamespace(OUR_SCHEMA))) is not None
        before, version = _relations(connection), _version(connection)
        connection.execute(sa.schema.CreateSchema(OUR_SCHEMA, if_not_exists=True))
        configuration = alembic_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        raise_walls(connection, mapping or prisma_mapping(), reader_role)
        made = sorted(_relations(connection) - before)
        return Made(
            schema=not was_there,
            tables=tuple(name for name, kind, _ in made if kind != "v"),
            walls=tuple(name for name, kind, _ in made if kind == "v"),
            newer=version not in (None, _version(connection)),
        )


def _version(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table_schema": OUR_SCHEMA}).get_current_revision()


def _relations(connection: sa.Connection) -> set[tuple[str, str, str]]:
    """Tables and views of our schema, Alembic's own aside: name, kind, and of a view what it was made for."""
    rows = connection.execute(_RELATIONS, {"schema": OUR_SCHEMA})
    return {(name, kind, made_for) for name, kind, made_for in rows}


def upgrade_sql(url: str, mapping: Mapping | None = None, *, reader_role: str = READER_ROLE) -> str:
    """What `upgrade` would run now, as SQL for somebody else to read and run. Nothing is changed: the database is only
    read, to see what is there."""
    with _owning(url) as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        statements = [
            *_versions_sql(_version(connection)),
            *_walls_sql(connection, mapping or prisma_mapping(), reader_role),
        ]
    return "\n\n".join(["BEGIN;", *statements, "COMMIT;"]) + "\n"


def _versions_sql(present: str | None) -> Iterator[str]:
    if present is None:
        yield f"CREATE SCHEMA IF NOT EXISTS {OUR_SCHEMA};"
    configuration = alembic_configuration()
    written = configuration.output_buffer = StringIO()
    command.upgrade(configuration, f"{present or 'base'}:head", sql=True)
    # The transaction is ours, and the walls' too.
    lines = [one for one in written.getvalue().splitlines() if one not in ("BEGIN;", "COMMIT;")]
    if text := "\n".join(lines).strip():
        yield text


def _walls_sql(connection: sa.Connection, mapping: Mapping, reader_role: str) -> Iterator[str]:
    """The walls' own statements, caught before they are sent."""
    caught: list[str] = []

    @sa.event.listens_for(connection, "before_cursor_execute", retval=True)
    def _catch(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
        if statement.lstrip().upper().startswith("SELECT"):
            return statement, parameters
        caught.append(statement)
        return "SELECT", ()

    raise_walls(connection, mapping, reader_role)
    yield from (f"{one};" for one in caught)


def remove_walls(url: str, mapping: Mapping | None = None) -> None:
    """Take the walls down, for a migration of the application's that drops or retypes a column they show.

    Until `upgrade` puts them up again, the reader role can read nothing.
    """
    with _owning(url) as connection:
        take_down(connection, mapping or prisma_mapping())


@contextmanager
def _owning(url: str) -> Iterator[sa.Connection]:
    """One transaction of the role that owns our schema; two migrations at once wait for each other."""
    engine = sa.create_engine(driver_url(url), poolclass=sa.NullPool, connect_args={"prepare_threshold": None})
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(OUR_SCHEMA))))
            yield connection
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise translated(error, is_owner=True) from error
    finally:
        engine.dispose()


def alembic_configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent))
    configuration.set_main_option("path_separator", "os")
    return configuration
