"""The true questions behind what was recorded: in this process's memory only, never written, never in Redis.

What the log keeps of a question is masked. Who wants its plan, or to ask it for another tenant, needs it whole.
"""

from __future__ import annotations

import threading

from cachetools import LRUCache

from queries.query import Query

QUESTIONS_KEPT = 2_000


class Questions:
    """The newest questions that were run, by the hash that the log calls them by. Safe to share between threads."""

    def __init__(self, kept: int = QUESTIONS_KEPT) -> None:
        self._by_hash: LRUCache[str, Query] = LRUCache(kept)
        self._newest: LRUCache[str, Query] = LRUCache(kept)
        self._lock = threading.Lock()

    def remember(self, parameters_hash: str, query: Query) -> None:
        """Keep what was run; what was asked longest ago goes first."""
        with self._lock:
            self._by_hash[parameters_hash] = query
            self._newest[query.name] = query

    def of(self, parameters_hash: str) -> Query | None:
        """The question that the log calls so; None when it is forgotten, or was run by another process."""
        with self._lock:
            return self._by_hash.get(parameters_hash)

    def newest(self, query_name: str) -> Query | None:
        """The question of this name that was run last."""
        with self._lock:
            return self._newest.get(query_name)

    def __len__(self) -> int:
        return len(self._by_hash)
