"""The demo's data in the embedded server: made at the first start, brought up to now at every later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import psycopg
import typer
from psycopg import sql
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demo import history, load
from demo.schema import TABLES
from demo.tenants import PERSONAS
from queries import migrations
from queries.embedded import EmbeddedServer
from queries.settings import load_settings

DEMO = "demo"
SEED = 20_260
# History is made in memory: ten million take about 12 GB.
MOST_GENERATIONS = 10_000_000

demo_app = typer.Typer(no_args_is_help=True)
ProgressReport = Callable[[str, int, int], None]


@demo_app.command()
def reset(
    generations: Annotated[
        int, typer.Option(min=len(PERSONAS), max=MOST_GENERATIONS, help="Generations of the whole history.")
    ] = history.GENERATIONS,
) -> None:
    """Throw the demo's data away and make it anew. Stop the dashboard first."""
    server = EmbeddedServer(load_settings().data)
    server.start()
    try:
        server.drop_database(DEMO)
        prepare(server, generations)
    finally:
        server.stop()


@demo_app.callback()
def _group() -> None:
    """Keeps `reset` a command of its own."""


def prepare(server: EmbeddedServer, generations: int = history.GENERATIONS) -> None:
    """The demo's database with its tables, its history up to now, and our schema."""
    server.ensure_database(DEMO)
    with psycopg.connect(server.url(DEMO, "app")) as connection, progress_bar() as progress:
        now = datetime.now(UTC)
        if load.is_loaded(connection):
            load.fill_gap(connection, now, SEED, progress)
        else:
            load.load_history(connection, history.generate(SEED, now, generations=generations), progress)
            connection.commit()
            # Rows that were loaded in the transaction that analyzed them count as changed since; autovacuum would come
            # by a minute later, and until then everything that looks at statistics takes them for old.
            for table in TABLES:
                connection.execute(sql.SQL("ANALYZE public.{}").format(sql.Identifier(table)))
    migrations.upgrade(server.url(DEMO, "usage_dashboard_owner"))


@contextmanager
def progress_bar() -> Iterator[ProgressReport]:
    """A bar per stage on standard error: call with (stage, done, total)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, done: int, total: int) -> None:
            task = tasks.get(stage)
            if task is None:
                task = tasks[stage] = int(progress.add_task(stage, total=total))
            progress.update(task, completed=done, total=total)  # type: ignore[arg-type]  # rich's TaskID is an int

        yield report
