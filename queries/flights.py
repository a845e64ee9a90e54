"""One execution in the air, however many wait for it; cancelled in PostgreSQL when nobody does any more."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Protocol

import psycopg

from queries.entry import Entry
from queries.errors import ReaderGoneError
from queries.query import Outcome

log = logging.getLogger(__name__)

WATCH_S = 0.2
_CANCEL_TIMEOUT_S = 2.0


class Reader(Protocol):
    """Who waits for an answer."""

    def gone(self) -> bool:
        """Whether the answer is not wanted any more. Called from other threads, several times a second."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What a flight brought: an entry, and how it came by it."""

    entry: Entry
    outcome: Outcome
    cache_ms: float = 0.0


class Flight:
    """The readers of one execution, its future, and the connection it runs on while it runs.

    Attaching, detaching and cancelling share a lock: a cancel never hits the connection's next borrower.
    """

    def __init__(self, *, wanted_anyway: bool) -> None:
        self.future: Future[Landed] = Future()
        self.abandoned = False
        self._wanted_anyway = wanted_anyway
        self._readers: list[Reader] = []
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._lock = threading.Lock()

    def join(self, reader: Reader | None) -> bool:
        """Wait along; False when the flight is being given up. Without a reader it is wanted to the end."""
        with self._lock:
            if self.abandoned:
                return False
            if reader is None:
                self._wanted_anyway = True
            else:
                self._readers.append(reader)
            return True

    def attach(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with self._lock:
            self._refuse_abandoned()
            self._connection = connection

    def detach(self) -> None:
        with self._lock:
            self._connection = None

    def check_wanted(self) -> None:
        """ReaderGoneError when the flight was given up."""
        with self._lock:
            self._refuse_abandoned()

    def abandon_if_unwanted(self) -> None:
        """Give the flight up, and cancel its statement, when every reader has left."""
        with self._lock:
            if self._wanted_anyway or self.abandoned or not all(reader.gone() for reader in self._readers):
                return
            self.abandoned = True
            if self._connection is not None:
                self._cancel(self._connection)

    def wait(self, reader: Reader | None) -> Landed:
        """The flight's answer or error; ReaderGoneError as soon as this reader leaves."""
        while True:
            try:
                return self.future.result(timeout=None if reader is None else WATCH_S)
            except FutureTimeoutError:
                if self.future.done():
                    raise
                if reader is not None and reader.gone():
                    raise ReaderGoneError("the page moved on; nothing to do") from None

    def _refuse_abandoned(self) -> None:
        if self.abandoned:
            raise ReaderGoneError("every reader left before the answer; nothing to do")

    @staticmethod
    def _cancel(connection: psycopg.Connection[tuple[object, ...]]) -> None:
        try:
            connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
        except psycopg.Error as error:
            log.warning("a statement could not be cancelled: %s", type(error).__name__)
