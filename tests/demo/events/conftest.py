"""A database for imported events, files to import, and a loader that opens both."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo.events import loading
from demo.events.columns import chosen_columns
from demo.events.moments import Clock
from demo.events.reading import Reader
from demo.events.rejects import RejectFile, reject_path
from demo.events.source import Source

Load = Callable[..., loading.Outcome]
WriteCsv = Callable[..., Path]


@pytest.fixture
def events_connection(empty_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection, as `app`, to a database without tables."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def load(events_connection: psycopg.Connection[Any]) -> Load:
    """Load a file with named columns and options."""

    def load_file(path: Path, *, zone: str = "UTC", strict: bool = False, unit: str | None = None, **named: str) -> Any:
        source = Source(path)
        reader = Reader(chosen_columns(source.header, named, unit), Clock(zone))
        with RejectFile(reject_path(path), path) as rejects:
            return loading.load(events_connection, source, reader, rejects, strict=strict)

    return load_file


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Write rows below a header and answer the path."""

    def write(header: Sequence[str], rows: Sequence[Sequence[str]], name: str = "events.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write
