"""Connecting to a database that may sleep: it is asked again, with longer and longer pauses, for a bounded time, and
who looks meanwhile can tell that it is being waited for. One too old for our statements is refused at once.

A database that scales to zero closes every connection and answers the next one late, or refuses it while it starts.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from queries.connection_errors import trouble_of
from queries.errors import DatabaseRefusedError

# date_bin, which the live view counts with, came with 14.
OLDEST_SERVER = 14
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0

Connect = Callable[[], psycopg.Connection[Any]]


class Waking:
    """Who connects to one address, and since when. Safe to share between threads."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._began: dict[int, float] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._closed = threading.Event()

    @property
    def since_s(self) -> float | None:
        """How long the longest of those who connect now has waited; None while nobody does."""
        with self._lock:
            began = min(self._began.values(), default=None)
        return None if began is None else time.monotonic() - began

    def connected(self, connect: Connect) -> psycopg.Connection[Any]:
        """A connection, for which a database that wakes is given time. The driver's error when it does not come up, and
        at once for any other failure; DatabaseRefusedError for a server that is too old."""
        with self._lock:
            number = next(self._numbers)
            self._began[number] = time.monotonic()
        try:
            return _new_enough(self._patiently(connect))
        finally:
            with self._lock:
                del self._began[number]

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """In this thread, one try is enough until this ends: somebody asks whether the database is there."""
        self._of_thread.is_impatient = True
        try:
            yield
        finally:
            self._of_thread.is_impatient = False

    def close(self) -> None:
        """Whoever waits between two tries gives up."""
        self._closed.set()

    def _patiently(self, connect: Connect) -> psycopg.Connection[Any]:
        until, pause_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return connect()
            except psycopg.OperationalError as error:
                if trouble_of(str(error)).kind != "waking" or time.monotonic() + pause_s > until:
                    raise
                if getattr(self._of_thread, "is_impatient", False) or self._closed.wait(pause_s):
                    raise
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _new_enough(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    major = connection.info.server_version // 10_000
    if major >= OLDEST_SERVER:
        return connection
    connection.close()
    raise DatabaseRefusedError(
        f"the server is, or says that it is, PostgreSQL {major or 'of no version'}, and the dashboard's statements need"
        f" {OLDEST_SERVER} or newer; upgrade it, or name another one in DATABASE_URL"
    )
