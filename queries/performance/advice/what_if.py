"""Indexes that are not there, seen by the planner: HypoPG's, or real ones in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import psycopg
from psycopg import sql

from queries.performance.advice.index import Index
from queries.performance.advice.model import Evidence
from queries.performance.advice.planner import run

# Half of deadlock_timeout, as PostgreSQL has it by default.
_LOCK_TIMEOUT_MS = 500


class WhatIf(Protocol):
    """A way to show the planner indexes that are not there."""

    @property
    def evidence(self) -> Evidence: ...

    def with_indexes(self, indexes: Sequence[Index]) -> AbstractContextManager[dict[str, Index]]:
        """While inside, the planner knows these indexes: by the name that a plan shows. One that PostgreSQL refuses (an
        expression that may change, a type without an order) is left out."""


class HypoPG:
    """Hypothetical indexes of this connection only; no one else sees them, and a read-only role may make them."""

    evidence: Evidence = "hypopg"

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._create = sql.SQL("SELECT indexrelid, indexname FROM {}.hypopg_create_index(%s)").format(
            sql.Identifier(schema)
        )
        self._drop = sql.SQL("SELECT {}.hypopg_drop_index(%s)").format(sql.Identifier(schema))
        self._reset = sql.SQL("SELECT {}.hypopg_reset()").format(sql.Identifier(schema))
        self._refused: set[Index] = set()
        self._oids: dict[str, int] = {}

    def reset(self) -> None:
        """Forget every hypothetical index of this connection."""
        run(self._connection, self._reset)

    @contextmanager
    def with_indexes(self, indexes: Sequence[Index]) -> Iterator[dict[str, Index]]:
        made: dict[str, Index] = {}
        outer, self._oids = self._oids, {}
        try:
            for index in indexes:
                name = self.show(index)
                if name is not None:
                    made[name] = index
            yield made
        finally:
            if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                for oid in self._oids.values():
                    run(self._connection, self._drop, (oid,))
            self._oids = outer

    def show(self, index: Index) -> str | None:
        """Make one more inside `with_indexes`: its name in a plan."""
        row = self._made(index)
        if row is None:
            return None
        self._oids[row[1]] = row[0]
        return row[1]

    def drop(self, name: str) -> None:
        """Take back one that was made inside `with_indexes`."""
        run(self._connection, self._drop, (self._oids.pop(name),))

    def _made(self, index: Index) -> tuple[int, str] | None:
        if index in self._refused:
            return None
        text = f"CREATE INDEX {index.body}"
        is_risky = any(key.expression or key.opclass for key in index.keys) or bool(index.where)
        try:
            if is_risky:
                with self._connection.transaction():
                    return self._one(text)
            return self._one(text)
        except psycopg.errors.DatabaseError as error:
            if not is_risky or isinstance(error, psycopg.errors.QueryCanceled):
                raise
            self._refused.add(index)
            return None

    def _one(self, text: str) -> tuple[int, str] | None:
        with self._connection.cursor() as cursor:
            cursor.execute(self._create, (text,), prepare=False)
            return cursor.fetchone()


class Built:
    """Real indexes, built in a savepoint and rolled back: for a database of our own, since writers wait meanwhile."""

    evidence: Evidence = "built"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._refused: set[Index] = set()

    @contextmanager
    def with_indexes(self, indexes: Sequence[Index]) -> Iterator[dict[str, Index]]:
        made: dict[str, Index] = {}
        with self._connection.transaction(force_rollback=True):
            self._lock(indexes)
            for place, index in enumerate(indexes):
                name = f"usage_dashboard_candidate_{place}"
                if index not in self._refused and self._build(name, index):
                    made[name] = index
            yield made

    def _lock(self, indexes: Sequence[Index]) -> None:
        """All tables at once and in one order, for less time than PostgreSQL takes to look for a deadlock: whoever
        writes to them is never the one to be refused."""
        tables = sorted({(index.schema, index.table) for index in indexes})
        if tables:
            run(self._connection, "SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_TIMEOUT_MS}ms",))
            names = sql.SQL(", ").join(sql.Identifier(*one) for one in tables)
            run(self._connection, sql.SQL("LOCK TABLE {} IN SHARE MODE").format(names))

    def _build(self, name: str, index: Index) -> bool:
        try:
            with self._connection.transaction():
                # The body is written from the catalog's names, quoted, and from conditions that PostgreSQL printed.
                run(self._connection, sql.SQL("CREATE INDEX {} ").format(sql.Identifier(name)) + sql.SQL(index.body))
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            raise
        except psycopg.errors.DatabaseError:
            self._refused.add(index)
            return False
        return True
