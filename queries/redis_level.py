"""The cache level that processes share: a dogpile region in Redis, its locks, and what happens when Redis is gone.

Loaded only when REDIS_URL is set. Redis is never needed for an answer: every failure counts as a miss.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import redis
from dogpile.cache import CacheRegion, make_region
from dogpile.cache.api import NO_VALUE, CacheMutex, CantDeserializeException
from dogpile.cache.proxy import ProxyBackend
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError, ResponseError
from redis.retry import Retry

from queries.entry import Entry, entry_bytes, entry_of_bytes
from queries.errors import SettingsError, UnreadableFrameError

T = TypeVar("T")

POLL_S = 0.02
CONNECT_S = 0.25
ANSWER_S = 1.0
MAX_SHARED_BYTES = 32 * 2**20
"""More than this would not reach Redis within ANSWER_S on a slow network, and would count as Redis being gone."""

log = logging.getLogger(__name__)


class Outage:
    """Whether Redis answers. After a failure it is left alone for `rest_s`, then one caller tries it again.

    Each attempt carries the number of the outage before it, so that what began earlier and is reported late neither
    ends an outage nor begins another.
    """

    def __init__(self, place: str, rest_s: float) -> None:
        self.state: Literal["up", "down"] = "up"
        self._place, self._rest_s = place, rest_s
        self._outages, self._next_try_s = 0, 0.0
        self._lock = threading.Lock()

    def attempt(self) -> int | None:
        """The number to report the attempt with; None while Redis is left alone."""
        with self._lock:
            if self.state == "down":
                now_s = time.monotonic()
                if now_s < self._next_try_s:
                    return None
                self._next_try_s = now_s + self._rest_s
            return self._outages

    def failed(self, attempt: int, error: RedisError) -> None:
        with self._lock:
            if attempt != self._outages:
                return
            self._next_try_s = time.monotonic() + self._rest_s
            if self.state == "down":
                return
            self.state, self._outages = "down", self._outages + 1
        log.warning(
            "the shared cache at %s does not answer (%s); this process keeps its own results until it is back",
            self._place,
            type(error).__name__,
        )

    def worked(self, attempt: int) -> None:
        with self._lock:
            if self.state == "up" or attempt != self._outages:
                return
            self.state = "up"
        log.info("the shared cache at %s is back", self._place)


class _KeptFor(ProxyBackend):
    """Stores with a time to keep. dogpile's own way calls `setex`, which Redis's client has deprecated."""

    def __init__(self, keep_s: int) -> None:
        self._keep_s = keep_s

    def set_serialized(self, key: str, value: bytes) -> None:
        backend: Any = self.proxied
        backend.writer_client.set(key, value, ex=self._keep_s)


class RedisLevel:
    """Entries in Redis as Arrow bytes under digests of their keys, and one lock for each key."""

    def __init__(self, url: str, *, prefix: str, lock_s: float, rest_s: float) -> None:
        """SettingsError for an address that Redis's client cannot read."""
        try:
            self._pool = redis.ConnectionPool.from_url(
                url,
                socket_connect_timeout=CONNECT_S,
                socket_timeout=ANSWER_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            place = _place(url)
        except ValueError:
            raise SettingsError("REDIS_URL is not accepted: write redis://host:6379/0, rediss:// or unix://") from None
        self._prefix, self._lock_s = prefix, lock_s
        self._outage = Outage(place, rest_s)
        self._regions: dict[int, CacheRegion] = {}
        self._reading = self._region(1)

    @property
    def state(self) -> Literal["up", "down"]:
        return self._outage.state

    def get(self, key: str) -> Entry | None:
        """The entry that was stored under this very key; None for none, for unreadable bytes and without Redis."""
        found = self._asked(lambda: self._read(key), None)
        return found[1] if found is not None and found[0] == key else None

    def put(self, key: str, entry: Entry, keep_s: float) -> None:
        """Store the entry; Redis forgets it after `keep_s`, rounded up to a second."""
        if entry.nbytes <= MAX_SHARED_BYTES:
            region = self._region(max(1, math.ceil(keep_s)))
            self._asked(lambda: region.set(key, (key, entry)), None)

    def delete(self, key: str) -> None:
        self._asked(lambda: self._reading.delete(key), None)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._pool.disconnect()

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None) -> Iterator[None]:
        """Hold the key's lock, or none when Redis is gone or after `lock_s` of waiting.

        `waiting` is called at each poll and may raise to leave.
        """
        mutex = self._acquired(key, waiting)
        try:
            yield
        finally:
            if mutex is not None:
                self._give_back(mutex)

    def _acquired(self, key: str, waiting: Callable[[], None] | None) -> CacheMutex | None:
        mutex = self._reading.backend.get_mutex(self._digest(key))
        assert mutex is not None  # distributed_lock is set
        # Whoever held the lock when the wait began has lost it by then; others may have taken it in turn, or it is one
        # that never expires. Better to do the work twice than to wait on.
        until_s = time.monotonic() + self._lock_s
        while (got := self._asked(lambda: bool(mutex.acquire(wait=False)), None)) is False:
            if waiting is not None:
                waiting()
            if time.monotonic() > until_s:
                break
            time.sleep(POLL_S)
        return mutex if got else None

    def _give_back(self, mutex: CacheMutex) -> None:
        """Tried even while Redis is left alone: others would wait for the lock until it expires."""
        attempt = self._outage.attempt()
        try:
            mutex.release()
        except LockError:
            log.debug("a lock expired before its work was done; another may have done the same")
        except RedisError as error:
            if attempt is not None:
                self._outage.failed(attempt, error)
            return
        if attempt is not None:
            self._outage.worked(attempt)

    def _asked(self, action: Callable[[], T], otherwise: T) -> T:
        attempt = self._outage.attempt()
        if attempt is None:
            return otherwise
        try:
            answer = action()
        except RedisError as error:
            self._outage.failed(attempt, error)
            return otherwise
        self._outage.worked(attempt)
        return answer

    def _read(self, key: str) -> tuple[str, Entry] | None:
        try:
            found: Any = self._reading.get(key, ignore_expiration=True)
        except (ValueError, RecursionError):  # dogpile's own JSON before the value is not JSON
            return None
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):  # something else lies in the value's place
                return None
            raise
        return None if found is NO_VALUE else found

    def _region(self, keep_s: int) -> CacheRegion:
        """A region has one time to keep; there are two or three of them, and they share the connections."""
        if keep_s not in self._regions:
            region = make_region(key_mangler=self._digest, serializer=entry_bytes, deserializer=_deserialized)
            arguments = {
                "connection_pool": self._pool,
                "distributed_lock": True,
                "thread_local_lock": False,
                "lock_timeout": self._lock_s,
                "lock_sleep": POLL_S,
            }
            wrap = [_KeptFor(keep_s)]
            self._regions[keep_s] = region.configure("dogpile.cache.redis", arguments=arguments, wrap=wrap)
        return self._regions[keep_s]

    def _digest(self, key: str) -> str:
        return f"{self._prefix}:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


def _deserialized(data: bytes) -> tuple[str, Entry]:
    try:
        return entry_of_bytes(data)
    except UnreadableFrameError as error:
        raise CantDeserializeException from error


def _place(url: str) -> str:
    """The address without user, password and options."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
