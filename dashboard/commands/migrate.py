"""`python -m dashboard migrate`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from queries import migrations
from queries.errors import SettingsError
from queries.mapping import load_mapping
from queries.settings import load_settings


def migrate(
    walls: Annotated[
        bool,
        typer.Option(
            "--walls/--no-walls",
            help="Put the views before the application's tables up, or take them down for a migration of the"
            " application's that drops or retypes a column.",
        ),
    ] = True,
) -> None:
    """Create or update the schema usage_dashboard (query log, notes, walls) through DIRECT_URL, and nothing else."""
    settings = load_settings()
    if settings.direct_url is None:
        raise SettingsError("no database is named to migrate; set DIRECT_URL to a direct address (no pooler)")
    url, mapping = settings.direct_url.get_secret_value(), load_mapping(settings.mapping_file)
    say = Console(stderr=True).print
    if walls:
        migrations.upgrade(url, mapping)
        say("The schema usage_dashboard is up to date.")
    else:
        migrations.remove_walls(url, mapping)
        say("The walls are down; run migrate again after the application's migration.")
