"""`python -m dashboard load-events FILE`: a person's own usage events into a dataset beside the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dashboard.commands.demo import progress_bar
from demo.events import dataset as datasets
from demo.events import loading
from demo.events.columns import Columns, chosen_columns
from demo.events.errors import EventsError
from demo.events.moments import Clock
from demo.events.reading import Reader
from demo.events.rejects import RejectFile, reject_path
from demo.events.source import Source
from queries.embedded import EmbeddedServer
from queries.embedded.attach import started_or_attached
from queries.errors import UsageDashboardError, translated
from queries.settings import load_settings

_STANDARD_95 = 1.959964
_INTERVAL_BELOW_ROWS = 200


def load_events(
    file: Annotated[Path, typer.Argument(help="CSV (comma, semicolon or tab; with a header) or Parquet.")],
    dataset: Annotated[
        str | None, typer.Option(help="Name of the dataset; the file's name when left out.", metavar="NAME")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time of creation.", metavar="COLUMN")] = None,
    tenant: Annotated[str | None, typer.Option(help="Column of the organization.", metavar="COLUMN")] = None,
    user: Annotated[str | None, typer.Option(help="Column of the user.", metavar="COLUMN")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Column of the type.", metavar="COLUMN")] = None,
    status: Annotated[str | None, typer.Option(help="Column of the status.", metavar="COLUMN")] = None,
    model: Annotated[str | None, typer.Option(help="Column of the model.", metavar="COLUMN")] = None,
    credit: Annotated[
        str | None, typer.Option("--credits", help="Column of the credits, whole numbers.", metavar="COLUMN")
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Column of the duration.", metavar="COLUMN")] = None,
    duration_unit: Annotated[
        str | None,
        typer.Option(help="Unit of the duration; read from its column's name when left out.", metavar="s|ms"),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Column of the prompt.", metavar="COLUMN")] = None,
    error: Annotated[str | None, typer.Option(help="Column of the error's text.", metavar="COLUMN")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column of the event's own id.", metavar="COLUMN")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of times that name none.", metavar="ZONE")] = "UTC",
    time_format: Annotated[
        str | None, typer.Option(help="How times are written, such as '%m/%d/%Y %H:%M'.", metavar="FORMAT")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="File for rows that are no events; FILE.rejects.csv when left out.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Load nothing when there is a bad row.")] = False,
) -> None:
    """Load usage events of your own into a dataset beside the demo.

    A COLUMN that is left out is guessed from the header; "" says there is none.

    Times that name no zone are in ZONE. One that happens twice when the clocks go
    back is taken as the first; one that they skip is moved forward.

    Loading a file again adds nothing.
    """
    named = {"time": time, "tenant": tenant, "user": user, "type": type_, "status": status, "model": model}
    named |= {"credits": credit, "duration": duration, "prompt": prompt, "error": error, "id": id_}
    try:
        source = Source(file)
        columns = chosen_columns(source.header, named, duration_unit)
        reader = Reader(columns, Clock(zone, time_format))
        name = datasets.checked_name(datasets.safe_name(file.stem) if dataset is None else dataset)
        _show(_column_table(source, columns, zone))
        with (
            RejectFile(reject_path(file) if rejects is None else rejects, file) as refused,
            _server() as server,
            datasets.opened(server, name) as connection,
            progress_bar() as progress,
        ):
            outcome = loading.load(connection, source, reader, refused, strict=strict, progress=progress)
    except (EventsError, UsageDashboardError, psycopg.Error) as failure:
        words = failure if isinstance(failure, EventsError) else translated(failure)
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {_printable(str(words))}", markup=False)
        raise typer.Exit(1) from None
    _show(_outcome_table(outcome, name, zone))
    _say(f"open it: python -m dashboard run --dataset {name}")


@contextmanager
def _server() -> Iterator[EmbeddedServer]:
    server = started_or_attached(load_settings().data)
    try:
        yield server
    finally:
        server.stop()


def _column_table(source: Source, columns: Columns, zone: str) -> Table:
    table = Table(title=f"How {_printable(source.path.name)} is read", title_justify="left")
    for heading in ("as", "column", "why"):
        table.add_column(heading, overflow="fold")
    for choice in columns.choices:
        why = choice.reason
        if choice.part == "time":
            why += f"; times that name no zone are in {zone}"
        table.add_row(choice.part, Text(_printable(choice.column or "-")), Text(why))
    return table


def _outcome_table(outcome: loading.Outcome, name: str, zone: str) -> Table:
    content = outcome.content
    table = Table(title=f"Dataset {name}", show_header=False, title_justify="left")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    changed = f" ({outcome.changed_rows:,} differ from the file and were left as they are)"
    rejected = f" (see {_printable(outcome.reject_file or '')})"
    for what, value in (
        ("rows read", f"{outcome.read_rows:,}"),
        ("loaded", f"{outcome.new_rows:,} new"),
        ("already there", f"{outcome.already_there_rows:,}" + (changed if outcome.changed_rows else "")),
        ("duplicates", f"{outcome.duplicate_rows:,}" + (" (loaded once)" if outcome.duplicate_rows else "")),
        ("rejected", f"{outcome.rejected_rows:,}" + (rejected if outcome.rejected_rows else "")),
    ):
        table.add_row(what, Text(value))
    if outcome.unknown_credits_rows:
        table.add_row("credits unknown", f"{outcome.unknown_credits_rows:,} rows, counted as 0")
    if outcome.repeated_times:
        table.add_row("times that happened twice", f"{outcome.repeated_times:,} in {zone}, taken as the first")
    if outcome.skipped_times:
        table.add_row("times the clocks skipped", f"{outcome.skipped_times:,} in {zone}, moved forward")
    table.add_section()
    for what, value in (
        ("generations in it now", f"{content.generations:,}"),
        ("tenants", f"{content.tenants:,}"),
        ("users", f"{content.users:,}" if content.users else "none named in the file"),
        ("first event", _moment(content.first)),
        ("last event", _moment(content.last)),
        ("success rate", _success_rate(content.succeeded, content.failed)),
    ):
        table.add_row(what, value)
    return table


def _moment(stored: datetime) -> str:
    return f"{stored:%Y-%m-%d %H:%M:%S} UTC"


def _success_rate(succeeded: int, failed: int) -> str:
    """Succeeded of succeeded and failed; under 200 with its Wilson 95 % interval."""
    count = succeeded + failed
    if count == 0:
        return "not enough data: nothing succeeded or failed yet"
    share = succeeded / count
    words = f"{share:.2%} of {count:,} that ended"
    if count >= _INTERVAL_BELOW_ROWS:
        return words
    z = _STANDARD_95
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * ((share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5)
    return f"{words} (95 % interval {max(0.0, centre - reach):.1%} to {min(1.0, centre + reach):.1%})"


def _printable(text: str) -> str:
    """Text of a file without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _show(table: Table) -> None:
    Console(highlight=False).print(table)


def _say(sentence: str) -> None:
    Console(highlight=False, soft_wrap=True).print(sentence, markup=False)
