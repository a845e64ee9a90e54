"""One execution in the air, however many wait for it; cancelled in PostgreSQL when nobody does any more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Protocol

import psycopg

from queries.entry import Entry
from queries.errors import ReaderGoneError
from queries.query import Outcome, Timings

log = logging.getLogger(__name__)

WATCH_S = 0.2
_CANCEL_TIMEOUT_S = 2.0


class Reader(Protocol):
    """Who waits for an answer."""

    def gone(self) -> bool:
        """Whether the answer is not wanted any more. Called from other threads, several times a second."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What a flight brought: an entry, how it came by it, and where the time went for the one who started it."""

    entry: Entry
    outcome: Outcome
    timings: Timings


class Flight:
    """The readers of one execution, its future, and the connection it runs on while it runs.

    Attaching, detaching and cancelling share a lock: a cancel never hits the connection's next borrower. Whoever joins
    never waits for a cancel: readers have a lock of their own, held for moments.
    """

    def __init__(self, *, background: bool, refresh: bool) -> None:
        """`background`: nobody waits for it, and it is wanted to the end. `refresh`: it goes past the caches."""
        self.future: Future[Landed] = Future()
        self.background, self.refresh = background, refresh
        self.abandoned = False
        self.began = time.perf_counter()
        self._wanted_anyway = background
        self._readers: list[Reader] = []
        self._readers_lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._connection_lock = threading.Lock()

    def join(self, reader: Reader | None) -> bool:
        """Wait along; False when the flight is being given up. Without a reader it is wanted to the end."""
        with self._readers_lock:
            if self.abandoned:
                return False
            if reader is None:
                self._wanted_anyway = True
            else:
                self._readers.append(reader)
            return True

    def attach(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with self._connection_lock:
            self.check_wanted()
            self._connection = connection

    def detach(self) -> None:
        with self._connection_lock:
            self._connection = None

    def check_wanted(self) -> None:
        """ReaderGoneError when the flight was given up."""
        if self.abandoned:
            raise ReaderGoneError("every reader left before the answer; nothing to do")

    def abandon_if_unwanted(self) -> None:
        """Give the flight up, and cancel its statement, when every reader has left."""
        if self.abandoned or self._everybody_left():
            # Again and again: a cancel that comes before the statement has reached the database cancels nothing.
            self._cancel()

    def abandon(self) -> None:
        """Give the flight up, whoever waits."""
        with self._readers_lock:
            self.abandoned = True
        self._cancel()

    def _everybody_left(self) -> bool:
        with self._readers_lock:
            readers = list(self._readers)
        # Readers are asked without a lock of ours: what they look at may have one of its own.
        if self._wanted_anyway or not all(reader.gone() for reader in readers):
            return False
        with self._readers_lock:
            self.abandoned = not self._wanted_anyway and len(self._readers) == len(readers)
            return self.abandoned

    def wait(self, reader: Reader | None, meanwhile: Callable[[], None] | None = None) -> Landed:
        """The flight's answer or error; ReaderGoneError as soon as this reader leaves. `meanwhile` is called as often
        as the reader is asked."""
        while True:
            try:
                return self.future.result(timeout=None if reader is None else WATCH_S)
            except FutureTimeoutError:
                if self.future.done():
                    raise
                if reader is not None and reader.gone():
                    raise ReaderGoneError("the page moved on; nothing to do") from None
                if meanwhile is not None:
                    meanwhile()

    def _cancel(self) -> None:
        with self._connection_lock:
            if self._connection is None:
                return
            try:
                self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
            except psycopg.Error as error:
                log.warning("a statement could not be cancelled: %s", type(error).__name__)
