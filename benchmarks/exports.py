"""Files of 1,000,000 generations against bare psycopg copying the same statement.

    python -m benchmarks.exports

Bare is psycopg's own loop over `COPY (statement) TO STDOUT`, which throws away what it reads. Ours guards, hashes,
counts, makes the format, hands pieces to a reader through a bounded queue as the server does, and sums in the same
snapshot afterwards. Both run in turn, in one process, over the same snapshot settings.
"""

from __future__ import annotations

import queue
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import ground
from benchmarks.report import Bound, concluded, print_table, shown
from queries.database import Database
from queries.exports.copy_sql import copy_command, rendered, select_of, sent
from queries.exports.copying import Export
from queries.exports.reports import Format, Order
from queries.exports.snapshot import Snapshot
from queries.scope import Scope

GENERATIONS = 1_000_000
FIRST, LAST = date(2026, 4, 1), date(2026, 6, 30)
FORMATS: tuple[Format, ...] = ("csv", "csv.gz", "parquet", "xlsx")
TURNS: dict[Format, int] = {"csv": 5, "csv.gz": 3, "parquet": 3, "xlsx": 2}
# 60 % of bare psycopg's throughput; the aim is 70 %.
TIME_MOST, TIME_AIM = 1 / 0.6, 1 / 0.7
FIRST_BYTE_MOST_MS, GROWTH_MOST_MB = 200.0, 30.0
_PIECES_WAITING = 16
_PAGE_BYTES, _SAMPLE_S = 4096, 0.005
_MB = 2**20


@dataclass(frozen=True, slots=True)
class Taken:
    """One run: seconds to the manifest, to the last byte and to the first, bytes, and the growth of the process."""

    total_s: float
    last_byte_s: float
    first_byte_s: float
    bytes: int
    growth_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Runs of one format, and of bare psycopg between them."""

    format: Format
    bare: list[Taken] = field(default_factory=list)
    ours: list[Taken] = field(default_factory=list)

    @property
    def times_bare(self) -> float:
        return self.median("total_s") / statistics.median(one.total_s for one in self.bare)

    @property
    def growth_mb(self) -> float:
        return max(one.growth_mb for one in self.ours)

    def median(self, name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in self.ours))

    def line(self) -> Iterator[str]:
        bare_s = statistics.median(one.total_s for one in self.bare)
        yield self.format
        for value in (bare_s, self.median("total_s"), self.median("last_byte_s"), self.median("first_byte_s") * 1000):
            yield shown(value)
        yield f"{100 / self.times_bare:.0f} %"
        yield shown(self.ours[0].bytes / 1e6)
        yield shown(self.growth_mb)


def main() -> int:
    with (
        ground.filled_server(GENERATIONS) as server,
        closing(Database(ground.settings_for(server))) as database,
    ):
        for format_ in FORMATS:  # what is loaded once for a process is not an export's
            _ours(database, _order(format_, last=FIRST))
        found = [_measured(database, format_) for format_ in FORMATS]
    print_table(
        f"{GENERATIONS:,} generations: medians; growth is the largest",
        ("", "bare, s", "ours, s", "last byte, s", "first byte, ms", "of bare", "file, MB", "growth, MB"),
        [tuple(one.line()) for one in found],
    )
    return concluded(_bounds(found))


def _bounds(found: list[Measured]) -> Iterator[Bound]:
    for one in found:
        if one.format == "csv":
            yield Bound("csv, time over that of bare psycopg", one.times_bare, TIME_MOST, "times")
        if one.format != "xlsx":  # it counts its rows first: a sheet that they do not fit is refused and not begun
            yield Bound(f"{one.format}, first byte", one.median("first_byte_s") * 1000, FIRST_BYTE_MOST_MS)
        yield Bound(f"{one.format}, growth of memory", one.growth_mb, GROWTH_MOST_MB, "MB")


def _measured(database: Database, format_: Format) -> Measured:
    measured, order = Measured(format_), _order(format_)
    for turn in range(TURNS[format_]):
        actions = ((measured.bare, _bare), (measured.ours, _ours))
        for taken, action in actions[:: 1 if turn % 2 else -1]:
            taken.append(action(database, order))
    return measured


def _order(format_: Format, last: date = LAST) -> Order:
    scope = Scope.all_tenants()
    return Order("generations", scope=scope, zone="UTC", first=FIRST, last=last, now=ground.NOW, format=format_)


def _bare(database: Database, order: Order) -> Taken:
    """As psycopg's documentation has it."""
    guard = order.format in ("csv", "csv.gz")
    sql, parameters = sent(rendered(select_of(database.tables(), order), order, guard=guard))
    with closing(database.own_connection()) as connection:
        Snapshot(connection, tenants=database.tenants_setting(order.scope), timeout_s=600)
        started, size, first_s = time.perf_counter(), 0, 0.0
        with psycopg.ClientCursor(connection).copy(copy_command(sql, order), parameters) as copy:
            for data in copy:
                first_s = first_s or time.perf_counter() - started
                size += len(data)
        total_s = time.perf_counter() - started
    return Taken(total_s, total_s, first_s, size)


def _ours(database: Database, order: Order) -> Taken:
    """From the order to the manifest, connection and all."""
    pieces: queue.Queue[bytes | None] = queue.Queue(_PIECES_WAITING)
    arrived: list[float] = []

    def read() -> None:
        while pieces.get() is not None:
            arrived.append(time.perf_counter())

    reader = threading.Thread(target=read)
    with _growth() as growth_mb:
        reader.start()
        started = time.perf_counter()
        manifest = Export(database, order).run(pieces.put)
        total_s = time.perf_counter() - started
        pieces.put(None)
        reader.join()
    assert manifest.differences == ()
    assert manifest.rows == GENERATIONS or order.last == FIRST
    return Taken(total_s, arrived[-1] - started, arrived[0] - started, manifest.bytes, growth_mb[0])


@contextmanager
def _growth() -> Iterator[list[float]]:
    """The most by which the process grew meanwhile, in MB."""
    before, most, has_ended = _resident_bytes(), [0.0], threading.Event()

    def watch() -> None:
        while not has_ended.wait(_SAMPLE_S):
            most[0] = max(most[0], (_resident_bytes() - before) / _MB)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        has_ended.set()
        watcher.join()


def _resident_bytes() -> int:
    statm: Any = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(statm[1]) * _PAGE_BYTES


if __name__ == "__main__":
    sys.exit(main())
