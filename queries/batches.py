"""Records on their way to the database: a bounded queue and one writing thread. Who adds a record never waits."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import sqlalchemy as sa

from queries.errors import UsageDashboardError, translated

log = logging.getLogger(__name__)

QUEUE_RECORDS = 10_000
BATCH_RECORDS = 500
BATCH_S = 1.0
_RETRY_S = 5.0
# What PostgreSQL will never take: a value out of range, a NUL in a text.
_NEVER_TAKEN = (sa.exc.DataError, sa.exc.IntegrityError, ValueError)


T = TypeVar("T")


class Batches(Generic[T]):
    """Records of one kind. What cannot be kept is counted, and told to `lost`; a full queue keeps no more."""

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], None],
        *,
        lost: Callable[[T], None] = lambda _: None,
        queue_records: int = QUEUE_RECORDS,
    ) -> None:
        """`write` stores records, or raises and stores none; it is called about once a second, also with none."""
        self._name, self._write, self._lost = name, write, lost
        self._queue: queue.Queue[T] = queue.Queue(maxsize=queue_records)
        self._in_hand: Sequence[T] = ()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name.replace(" ", "-"), daemon=True)
        self.dropped = 0
        self.written = 0

    def start(self) -> None:
        self._thread.start()

    def add(self, record: T) -> None:
        """Queue one record; returns at once."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._drop([record])

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the time allows, and end. What may not have been written by then is lost."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._drop([*self._in_hand, *self._rest()])

    def _work(self) -> None:
        batch: Sequence[T] = []
        warned = False
        while not (self._stopping.is_set() and self._queue.empty() and not batch):
            batch = self._in_hand = batch or self._next_batch()
            try:
                self._store(batch)
            except _NEVER_TAKEN as error:
                log.warning("the %s refuses a record (%s); it is dropped", self._name, type(error).__name__)
                self._store_singly(batch)
            except (sa.exc.SQLAlchemyError, UsageDashboardError) as error:
                if not warned:
                    said = translated(error).message
                    log.warning("the %s cannot be written (%s); records wait in memory", self._name, said)
                warned = True
                if self._stopping.wait(_RETRY_S):
                    self._drop([*batch, *self._rest()])
                    return
                continue
            warned, batch = False, []

    def _store(self, batch: Sequence[T]) -> None:
        self._write(batch)
        self.written += len(batch)

    def _store_singly(self, batch: Sequence[T]) -> None:
        """All that can be stored. What PostgreSQL will never take must not hold up what comes after it."""
        for one in batch:
            try:
                self._store([one])
            except (sa.exc.SQLAlchemyError, ValueError):
                self._drop([one])

    def _next_batch(self) -> list[T]:
        batch: list[T] = []
        deadline = time.monotonic() + BATCH_S
        while len(batch) < BATCH_RECORDS and (left_s := deadline - time.monotonic()) > 0:
            try:
                batch.append(self._queue.get(timeout=min(left_s, 0.2)))
            except queue.Empty:
                if self._stopping.is_set():
                    break
        return batch

    def _rest(self) -> list[T]:
        left: list[T] = []
        while True:
            try:
                left.append(self._queue.get_nowait())
            except queue.Empty:
                return left

    def _drop(self, records: Sequence[T]) -> None:
        self.dropped += len(records)
        for one in records:
            self._lost(one)
