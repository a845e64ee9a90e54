"""`python -m dashboard grant-sql`."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
import typer

from queries import migrations
from queries.database import Database, driver_url
from queries.errors import ArgumentError, UsageDashboardError, translated
from queries.grants import Wish, grants
from queries.mapping import Mapping, load_mapping
from queries.readable import Columns, named_columns, read_columns
from queries.scope import Scope
from queries.settings import Settings, load_settings


def grant_sql(
    role: Annotated[str, typer.Option(help="The role that pages shall read as.")] = migrations.READER_ROLE,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Give it pg_read_all_stats too, instead of only saying what for.")
    ] = False,
) -> None:
    """Print the SQL for roles that can do what the dashboard needs and nothing else. Nothing is run. With DIRECT_URL
    the reader may select from our views alone; without it, the mapped columns of the application."""
    settings = load_settings()
    mapping = load_mapping(settings.mapping_file)
    wish = Wish(reader=role, owner=_owner(settings), statistics=statistics)
    typer.echo(grants(wish, mapping, _columns(settings, mapping)), nl=False)


def _owner(settings: Settings) -> str | None:
    """The role of DIRECT_URL; None without one, and so without walls."""
    if settings.direct_url is None:
        return None
    return driver_url(settings.direct_url.get_secret_value()).username or "usage_dashboard_owner"


def _columns(settings: Settings, mapping: Mapping) -> Columns:
    """What the mapping reads. Of a SELECT only the database knows whose its columns are."""
    if all(one.select is None for one in mapping.tables.values()):
        return named_columns(mapping)
    # The roles of both addresses may be such as this command's answer is to make.
    addresses = [one for one in (settings.database_url, settings.direct_url) if one is not None]
    refused = "no address is set"
    for address in addresses:
        try:
            return _read(settings.model_copy(update={"database_url": address, "direct_url": None}), mapping)
        except UsageDashboardError as error:
            refused = error.message
    raise ArgumentError(
        f"the mapping file has a SELECT, and only the database knows its columns ({refused}); set DATABASE_URL to a"
        " role that may read the tables, such as their owner, while this command runs"
    )


def _read(settings: Settings, mapping: Mapping) -> Columns:
    database = Database(settings, mapping)
    try:
        database.ping()
        with database.reading(Scope.of(()), settings.statement_timeout_s) as connection:
            return read_columns(connection, mapping)
    except sa.exc.SQLAlchemyError as error:
        raise translated(error) from error
    finally:
        database.close()
