"""`python -m dashboard close-month`, for cron."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from dashboard import auditing, services
from dashboard.commands.digest import opened
from dashboard.commands.export import ROLE, month_named, person
from dashboard.logs import configure_logging
from queries.balance_history import take_snapshot
from queries.closing import ClosedMonth
from queries.errors import SettingsError
from queries.settings import load_settings


def close_month(
    month: Annotated[
        str | None, typer.Option(help="A month, such as 2026-10. Default: every month that can be closed.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Refuse unless this is the zone in which months are closed (REPORTING_ZONE).")
    ] = None,
) -> None:
    """Freeze a month: its credit statement, usage lines and ledger, through DIRECT_URL. A month that is closed stays
    as it is. Without --month: the months after the last closed one that are over, or the last one when none is closed.
    """
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    wanted = None if month is None else month_named(month)
    now = datetime.now(UTC)
    with opened(settings) as held:
        closer, owner = held.closer, held.database.owner
        if closer is None or owner is None:
            raise SettingsError("a month is closed through DIRECT_URL, which is not set; set it to a direct address")
        _take_snapshot(held)
        months = closer.due(now) if wanted is None else [wanted]
        for one in months:
            made = closer.close(one, zone=zone or closer.zone, by=person(), now=now, progress=_say)
            auditing.month_closed(held.audit, person(), ROLE, made, now)
            _print(made)
    if not months:
        _say("No month can be closed now.")


def _take_snapshot(held: services.Services) -> None:
    """The balances of today, so that the month's end was observed."""
    assert held.database.owner is not None, "asked before"
    taken = take_snapshot(held.database.owner, held.database.mapping, zone=held.settings.reporting_zone)
    if taken is not None:
        _say(f"Balances of {taken.tenants:,} tenants written down for {taken.day} ({taken.zone}).")


def _print(made: ClosedMonth) -> None:
    closed = f"closed at {made.closed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {made.closed_by}"
    typer.echo(f"{made.month:%Y-%m} ({made.zone}): {closed}")
    for name, one in made.reports.items():
        typer.echo(f"  {name}: {one.rows:,} rows, SHA-256 {one.sha256}")


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)
