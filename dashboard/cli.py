"""The command line: `python -m dashboard COMMAND`."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from dashboard.commands.advise import advise_command
from dashboard.commands.alerts import alerts
from dashboard.commands.close_month import close_month
from dashboard.commands.connect import connect
from dashboard.commands.demo import demo_app
from dashboard.commands.digest import digest
from dashboard.commands.export import export
from dashboard.commands.grant_sql import grant_sql
from dashboard.commands.load_events import load_events
from dashboard.commands.migrate import migrate
from dashboard.commands.refresh import refresh
from dashboard.commands.run import run
from dashboard.commands.slow import slow_command
from dashboard.commands.verify import verify
from queries.errors import UsageDashboardError

app = typer.Typer(
    help="Usage, credits and query performance of an image-generation application on its own PostgreSQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run)
app.command()(connect)
app.command()(migrate)
app.command("grant-sql")(grant_sql)
app.command()(refresh)
app.command()(digest)
app.command()(alerts)
app.command()(export)
app.command()(verify)
app.command("close-month")(close_month)
app.command("load-events")(load_events)
app.command("advise")(advise_command)
app.command("slow")(slow_command)
app.add_typer(demo_app, name="demo", help="The demo application's data.")


def main() -> None:
    """Run a command; an error of ours is one sentence and exit code 1."""
    try:
        app()
    except UsageDashboardError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {_plain(error.message)}")
        sys.exit(1)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
