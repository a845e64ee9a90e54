"""`python -m dashboard migrate`."""

from __future__ import annotations

from rich.console import Console

from queries import migrations
from queries.errors import SettingsError
from queries.mapping import load_mapping
from queries.settings import load_settings


def migrate() -> None:
    """Create or update the schema usage_dashboard (query log, walls) through DIRECT_URL. Touches nothing else."""
    settings = load_settings()
    if settings.direct_url is None:
        raise SettingsError("no database is named to migrate; set DIRECT_URL to a direct address (no pooler)")
    migrations.upgrade(settings.direct_url.get_secret_value(), load_mapping(settings.mapping_file))
    Console(stderr=True).print("The schema usage_dashboard is up to date.")
