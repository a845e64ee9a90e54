"""`python -m dashboard slow`: the slow statements, from our own log or from what the server counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pandas as pd
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dashboard.commands.advice_report import printable
from dashboard.commands.advise import opened, said_in_words
from queries.database import Database
from queries.errors import ArgumentError, DatabaseError, MappingError, UsageDashboardError
from queries.performance import server_statements
from queries.performance.log_reading import Window, slow
from queries.performance.monitor import Monitor, utc_now
from queries.settings import load_settings

MOST_ROWS = 200
_SPAN = re.compile(r"(\d{1,4})([hd])")
_LOGGED = ("at", "query", "page", "role", "database_ms", "rows", "parameters", "asked_by", "plan_hash", "fingerprint")
_COUNTED = ("queryid", "sql", "roles", "calls", "mean_ms", "max_ms", "total_ms", "rows", "temp_bytes")
_WIDTH = 140
# Of a statement, and of parameters; --json has them whole.
_SQL_LETTERS, _PARAMETERS_LETTERS = 300, 80


def slow_command(
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="How many.")] = 25,
    since: Annotated[str, typer.Option(help="12h, 7d, or a moment such as 2026-11-01 or 2026-11-01T12:00Z.")] = "7d",
    url: Annotated[str | None, typer.Option(help="PostgreSQL 14 to 18. Default: the dashboard's.")] = None,
    as_document: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """Print the slow statements, newest first: of the query log, or, where there is none, of pg_stat_statements by
    their mean time."""
    with said_in_words():
        end = utc_now()
        start = begin(since, end)
        with _database(url) as database:
            title, rows = _found(database, start, end, limit)
    if as_document:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=True, default=str))
        return
    _show(title, rows)


def begin(since: str, now: datetime) -> datetime:
    """The moment that `since` names. ArgumentError says what is accepted."""
    text = since.strip()
    if (span := _SPAN.fullmatch(text)) is not None:
        count = int(span.group(1))
        start = now - (timedelta(hours=count) if span.group(2) == "h" else timedelta(days=count))
    else:
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            raise ArgumentError(
                f"--since {printable(text)!r} is no time; write 12h, 7d, 2026-11-01 or 2026-11-01T12:00Z"
            ) from None
        start = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
    if start >= now:
        raise ArgumentError("--since lies in the future; name a moment before now")
    return start


@contextmanager
def _database(url: str | None) -> Iterator[Database]:
    if url is None:
        with opened(None) as there:
            assert there.database is not None, "only an address given has none"
            yield there.database
        return
    settings = load_settings().model_copy(update={"database_url": SecretStr(url), "direct_url": None})
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


def _found(database: Database, start: datetime, end: datetime, limit: int) -> tuple[str, list[dict[str, Any]]]:
    try:
        frame = slow(
            database, Window(start, end, source="log"), Monitor(slow_query_ms=database.settings.slow_query_ms), limit
        )
        least_ms = database.settings.slow_query_ms
        return f"Slow since {start:%Y-%m-%d %H:%M} UTC: {least_ms:g} ms or more", _rows(frame, _LOGGED)
    except (MappingError, DatabaseError) as unreadable:
        return _counted(database, limit, unreadable)


def _counted(database: Database, limit: int, unreadable: UsageDashboardError) -> tuple[str, list[dict[str, Any]]]:
    """What the server counts; when it cannot be read either, the sentence says what to run."""
    state = server_statements.state(database)
    if not state.is_readable:
        raise MappingError(
            f"there is no query log to read here ({unreadable.message.partition(';')[0]}), and {_lower(state.sentence)}"
            + (f" Run: {state.command}" if state.command else "")
        ) from unreadable
    frame = server_statements.top(database, "mean_time", limit, whose="all")
    since = f" since {state.since:%Y-%m-%d %H:%M} UTC" if state.since is not None else ""
    return f"By mean time{since}, as pg_stat_statements counts", _rows(frame, _COUNTED)


def _lower(sentence: str) -> str:
    return sentence if sentence.startswith("pg_") else sentence[:1].lower() + sentence[1:]


def _rows(frame: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    return [{name: _value(row[name]) for name in names} for row in frame.to_dict("records")]


def _value(value: Any) -> Any:
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        return [str(one) for one in value] if not hasattr(value, "tolist") else value.tolist()
    if value is None or pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return round(value, 3) if isinstance(value, float) else value


def _show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    if not rows:
        console.print(f"{title}: nothing was.", markup=False)
        return
    shown = [name for name in rows[0] if name not in ("fingerprint", "roles", "temp_bytes", "queryid")]
    table = Table(title=Text(title), title_justify="left")
    for name in shown:
        is_number = isinstance(rows[0][name], int | float)
        heading = name.replace("_ms", ", ms").replace("_", " ")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(name, row[name])) for name in shown))
    console.print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if name == "at":
        return str(value)[:19].replace("T", " ")
    text = printable(" ".join(str(value).split()))
    most = _PARAMETERS_LETTERS if name == "parameters" else _SQL_LETTERS
    return text if len(text) <= most else f"{text[:most]}…"
