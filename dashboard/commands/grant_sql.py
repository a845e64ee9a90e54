"""`python -m dashboard grant-sql`."""

from __future__ import annotations

from typing import Annotated

import typer

from queries import migrations
from queries.database import Database, driver_url
from queries.errors import ArgumentError
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
    address = settings.direct_url or settings.database_url
    if address is None:
        raise ArgumentError("the mapping file has a SELECT, and only the database knows its tables; set DATABASE_URL")
    database = Database(settings.model_copy(update={"database_url": address, "direct_url": None}), mapping)
    try:
        database.ping()
        with database.reading(Scope.of(()), settings.statement_timeout_s) as connection:
            return read_columns(connection, mapping)
    finally:
        database.close()
