"""`python -m dashboard migrate`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from queries import migrations
from queries.database import driver_url
from queries.errors import ArgumentError, SettingsError
from queries.mapping import load_mapping
from queries.settings import Settings, load_settings


def migrate(
    walls: Annotated[
        bool,
        typer.Option(
            "--walls/--no-walls",
            help="Put the views before the application's tables up, or take them down for a migration of the"
            " application's that drops or retypes a column.",
        ),
    ] = True,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be run, and change nothing: for somebody else to run.")
    ] = False,
) -> None:
    """Create or update the schema usage_dashboard (query log, audit, notes, walls) through DIRECT_URL, and nothing
    else."""
    settings = load_settings()
    if settings.direct_url is None:
        raise SettingsError("no database is named to migrate; set DIRECT_URL to a direct address (no pooler)")
    if sql and not walls:
        raise ArgumentError("--sql prints what puts the walls up; leave --no-walls out")
    url, mapping = settings.direct_url.get_secret_value(), load_mapping(settings.mapping_file)
    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    if sql:
        typer.echo(migrations.upgrade_sql(url, mapping, reader_role=reader_role(settings)), nl=False)
        say("Run it as the role of DIRECT_URL, which will own what it makes.")
    elif walls:
        say(_told(migrations.upgrade(url, mapping, reader_role=reader_role(settings))))
    else:
        migrations.remove_walls(url, mapping)
        say("The walls are down; run migrate again after the application's migration.")


def _told(made: migrations.Made) -> str:
    """What was made, in a sentence."""
    parts = [
        *(["the schema usage_dashboard"] if made.schema else []),
        *([f"{_counted(made.tables, 'table')} ({', '.join(made.tables)})"] if made.tables else []),
        *([f"{_counted(made.walls, 'wall')}, views that pages read instead of tables"] if made.walls else []),
    ]
    if parts:
        return f"Made {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}."
    if made.newer:
        return "The tables of the schema usage_dashboard came to their newest version."
    return "Nothing was to do: the schema usage_dashboard is up to date."


def _counted(names: tuple[str, ...], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def reader_role(settings: Settings) -> str:
    """The role that pages read as: the one in DATABASE_URL, or ours by name."""
    given = settings.database_url
    return (driver_url(given.get_secret_value()).username if given is not None else None) or migrations.READER_ROLE
