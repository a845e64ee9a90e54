"""Our own schema, `usage_dashboard`: its tables by Alembic, and the walls before the application's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from queries.database import driver_url
from queries.errors import translated
from queries.mapping import Mapping, prisma_mapping
from queries.migrations.walls import raise_walls, take_down
from queries.tables import OUR_SCHEMA

READER_ROLE = "usage_dashboard_reader"


def upgrade(url: str, mapping: Mapping | None = None, *, reader_role: str = READER_ROLE) -> None:
    """Bring our schema to the newest version and put up the walls; running it twice changes nothing.

    `url` is a direct one, of a role that may create a schema and may read the mapped tables. The reader role, where it
    exists, is given SELECT on the walls and on our tables, and nothing else.
    """
    with _owning(url) as connection:
        connection.execute(sa.schema.CreateSchema(OUR_SCHEMA, if_not_exists=True))
        configuration = alembic_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        raise_walls(connection, mapping or prisma_mapping(), reader_role)


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
        raise translated(error) from error
    finally:
        engine.dispose()


def alembic_configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent))
    configuration.set_main_option("path_separator", "os")
    return configuration
