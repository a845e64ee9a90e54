"""Results kept in two levels: in this process, bounded in bytes, and in Redis when there is one.

A hit in the process costs microseconds, however many rows it has. The levels say nothing about freshness: whoever asks
looks at `computed_at`. That one question runs once in this process is the runner's; across processes a Redis lock sees
to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import cachetools
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE, CachedValue

from queries.entry import Entry

if TYPE_CHECKING:
    from queries.redis_level import RedisLevel

__all__ = ["BoundedValues", "Entry", "RedisState", "ResultCache"]

RedisState = Literal["off", "up", "down"]


class _CountingLRU(cachetools.LRUCache[str, CachedValue]):
    """Least recently used goes first; counts what went."""

    evictions = 0

    def popitem(self) -> tuple[str, CachedValue]:
        self.evictions += 1
        return super().popitem()


class BoundedValues:
    """The dictionary behind dogpile's memory backend: bounded by the bytes of its entries, safe under threads."""

    def __init__(self, max_bytes: int) -> None:
        self._values = _CountingLRU(max_bytes, getsizeof=lambda value: value.payload.nbytes)
        self._lock = threading.Lock()

    def get(self, key: str, default: Any = None) -> Any:
        with self._lock:
            return self._values.get(key, default)

    def __setitem__(self, key: str, value: CachedValue) -> None:
        """Keep the value unless a newer one is there. One larger than the whole bound is not kept."""
        with self._lock:
            there = self._values.pop(key, None)
            if there is not None and there.payload.computed_at > value.payload.computed_at:
                value = there
            if value.payload.nbytes <= self._values.maxsize:
                self._values[key] = value

    def pop(self, key: str, default: Any = None) -> Any:
        with self._lock:
            return self._values.pop(key, default)

    def clear(self) -> None:
        with self._lock:
            while self._values:
                self._values.pop(next(iter(self._values)))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nbytes(self) -> int:
        return int(self._values.currsize)

    @property
    def evictions(self) -> int:
        return self._values.evictions


class ResultCache:
    """Entries by key, in this process and in Redis. Every method may be called from any thread."""

    def __init__(
        self, *, max_bytes: int, prefix: str, redis_url: str | None, lock_s: float, redis_rest_s: float = 5.0
    ) -> None:
        """`prefix` tells apart code version, mapping and database in Redis; `lock_s` is after how long the lock of a
        process that died is free again, `redis_rest_s` how long a Redis that failed is left alone. SettingsError for a
        Redis address that cannot be read."""
        self._values = BoundedValues(max_bytes)
        self._region = make_region().configure("dogpile.cache.memory", arguments={"cache_dict": self._values})
        self._redis = _redis_level(redis_url, prefix, lock_s, redis_rest_s) if redis_url else None

    def local(self, key: str) -> Entry | None:
        """The entry that this process holds."""
        found = self._region.get(key, ignore_expiration=True)
        return None if found is NO_VALUE else found

    def shared(self, key: str) -> Entry | None:
        """The entry that Redis holds, from now on held here too; None without Redis."""
        found = None if self._redis is None else self._redis.get(key)
        if found is not None:
            self.put_local(key, found)
        return found

    def compute(
        self,
        key: str,
        creator: Callable[[], Entry],
        *,
        keep_s: float,
        fresher_than: datetime | None,
        waiting: Callable[[], None] | None = None,
    ) -> tuple[Entry, bool]:
        """The entry, and whether `creator` ran here to make it; it is kept in both levels, in Redis for `keep_s`.

        One process at a time runs it; those who wait take what Redis then holds if it was computed after
        `fresher_than` (None: whatever it holds). `waiting` is called about every 20 ms of waiting and may raise to
        leave. What `creator` raises is raised here and nothing is kept.
        """
        if self._redis is None:
            return self._created(key, creator, keep_s), True
        with self._redis.lock(key, waiting):
            found = self.shared(key)
            if found is not None and (fresher_than is None or found.computed_at > fresher_than):
                return found, False
            return self._created(key, creator, keep_s), True

    def _created(self, key: str, creator: Callable[[], Entry], keep_s: float) -> Entry:
        entry = creator()
        self.put_local(key, entry)
        if self._redis is not None:
            self._redis.put(key, entry, keep_s)
        return entry

    def put_local(self, key: str, entry: Entry) -> None:
        """Keep the entry in this process, unless it holds a newer one."""
        self._region.set(key, entry)

    def discard(self, key: str) -> None:
        """Forget the entry in both levels."""
        self._region.delete(key)
        if self._redis is not None:
            self._redis.delete(key)

    def clear(self) -> None:
        """Forget all that this process holds. What Redis holds expires there, or is left behind by a new prefix."""
        self._values.clear()

    def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis is not None:
            self._redis.close()

    @property
    def nbytes(self) -> int:
        """Bytes held in this process."""
        return self._values.nbytes

    @property
    def entries(self) -> int:
        """Entries held in this process."""
        return len(self._values)

    @property
    def evictions(self) -> int:
        """Entries that made room for others since the start."""
        return self._values.evictions

    @property
    def redis_state(self) -> RedisState:
        return "off" if self._redis is None else self._redis.state


def _redis_level(url: str, prefix: str, lock_s: float, rest_s: float) -> RedisLevel:
    from queries.redis_level import RedisLevel  # the Redis client takes 0.1 s to load, only for those who have Redis

    return RedisLevel(url, prefix=prefix, lock_s=lock_s, rest_s=rest_s)
