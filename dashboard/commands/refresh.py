"""`python -m dashboard refresh`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Console

from queries.database import driver_url
from queries.errors import SettingsError
from queries.mapping import load_mapping
from queries.refresh import refresh as refreshed
from queries.settings import load_settings


def refresh(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the aggregates from nothing instead of comparing all days.")
    ] = False,
) -> None:
    """Bring the aggregates in the schema usage_dashboard up to date with the rows, through DIRECT_URL."""
    settings = load_settings()
    if settings.direct_url is None:
        raise SettingsError("no database is named to refresh; set DIRECT_URL to a direct address (no pooler)")
    engine = sa.create_engine(driver_url(settings.direct_url.get_secret_value()), poolclass=sa.NullPool)
    say = Console(stderr=True, highlight=False).print
    try:
        done = refreshed(
            engine, load_mapping(settings.mapping_file), datetime.now(UTC), rebuild=rebuild, compare_all=True
        )
    finally:
        engine.dispose()
    if done is None:
        say("Another process is refreshing the aggregates; nothing is left to do here.")
        return
    say(
        f"The aggregates hold all days of UTC before {done.until:%Y-%m-%d}: {done.added_rows:,} rows added,"
        f" {done.removed_rows:,} removed, {done.took_s:.1f} s."
    )
