"""Runs of exports that a test holds in its hand: they write what they are told, when they are told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from dashboard.export_links import Links, Person
from dashboard.exporting import Exporter, Job
from queries.export_register import MemoryRegister
from queries.exports.manifest import Manifest, filters_of
from queries.exports.reports import Order
from queries.scope import Scope

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PATIENCE_S = 20


def an_order(report: str = "ledger", **how: object) -> Order:
    days = {"first": date(2026, 5, 1), "last": date(2026, 5, 31)}
    return Order(**{"report": report, "scope": Scope.all_tenants(), "zone": "UTC", "now": NOW, **days, **how})  # type: ignore[arg-type]


def a_person(browser: str = "browser-a", role: str = "admin") -> Person:
    return Person("Demo visitor", role, browser)


class HeldRun:
    """Writes `pieces`, each when `go` is given a turn; without `step` at once. What ends it is raised by it."""

    def __init__(self, order: Order, pieces: Callable[[], Iterator[bytes]]) -> None:
        self.order, self.rows, self.bytes = order, 0, 0
        self._pieces = pieces
        self.began, self.cancelled, self.ended = threading.Event(), threading.Event(), threading.Event()

    def run(self, write: Callable[[bytes], None]) -> Manifest:
        checksum = hashlib.sha256()
        try:
            self.began.set()
            for piece in self._pieces():
                if self.cancelled.is_set():
                    raise ConnectionAbortedError("cancelled")
                write(piece)
                checksum.update(piece)
                self.rows, self.bytes = self.rows + 1, self.bytes + len(piece)
        finally:
            self.ended.set()
        return manifest_of(self.order, self.rows, self.bytes, checksum.hexdigest())

    def cancel(self) -> None:
        self.cancelled.set()


def manifest_of(order: Order, rows: int, size: int, sha256: str) -> Manifest:
    return Manifest(
        id="1",
        report=order.report,
        title=order.what.title,
        schema_version=1,
        file=order.file_name,
        columns=order.what.header,
        filters=filters_of(order),
        as_of=NOW,
        rows=rows,
        sums={},
        sha256=sha256,
        bytes=size,
    )


class Workshop:
    """An exporter whose runs the test holds; `pieces` may be changed for the runs to come."""

    def __init__(self, at_once: int = 2) -> None:
        self.pieces: Callable[[], Iterator[bytes]] = lambda: iter([b"a,b\n", b"1,2\n"])
        self.runs: list[HeldRun] = []
        self.register = MemoryRegister()
        self.links = Links("a secret", lasts_s=60)
        self.exporter = Exporter(self._make, self.register, lambda: self.links, at_once=at_once)

    def _make(self, job: Job, export_id: str) -> HeldRun:
        self.runs.append(HeldRun(job.order, self.pieces))
        return self.runs[-1]

    def fetched(self, job: Job) -> list[bytes]:
        """What a browser that comes for this job gets, in this thread."""
        taken: list[bytes] = []
        self.exporter.fetch(job)
        assert self.exporter.has_turn(job)
        self.exporter.stream(job, taken.append, lambda: None)
        return taken
