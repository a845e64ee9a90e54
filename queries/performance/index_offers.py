"""Statements that make or drop an index and that a person may apply: only what our own advice or findings made."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import Literal

import pglast
from cachetools import LRUCache
from pglast import ast
from pglast.enums.parsenodes import ObjectType

from queries.errors import ArgumentError, NotFoundError
from queries.performance.findings import quoted
from queries.query import Query

Action = Literal["create", "drop"]
OFFERS_KEPT = 500


@dataclass(frozen=True, slots=True)
class Lookup:
    """A search by columns for which no question of ours stands: what a foreign key's check does."""

    schema: str
    table: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"lookup in {quoted(self.table)} by {', '.join(map(quoted, self.columns))}"


@dataclass(frozen=True, slots=True)
class Offer:
    """One statement that may be applied, and what is measured before and after it."""

    token: str
    ddl: str
    action: Action
    schema: str | None
    index_name: str
    table: str | None = None
    questions: tuple[Query, ...] = ()
    lookup: Lookup | None = None

    @property
    def qualified_name(self) -> str:
        return quoted(*(one for one in (self.schema, self.index_name) if one is not None))


class Offers:
    """What was offered lately. Nothing else can be applied: a page hands back a token, never a statement."""

    def __init__(self, kept: int = OFFERS_KEPT) -> None:
        self._by_token: LRUCache[str, Offer] = LRUCache(kept)
        self._lock = threading.Lock()

    def add(self, ddl: str, *, questions: tuple[Query, ...] = (), lookup: Lookup | None = None) -> Offer:
        """Offer a statement of ours; ArgumentError unless it makes or drops one index, beside whoever writes."""
        offer = replace(parsed_offer(ddl), questions=questions, lookup=lookup)
        with self._lock:
            self._by_token[offer.token] = offer
        return offer

    def of(self, token: str) -> Offer:
        """NotFoundError unless this was offered."""
        with self._lock:
            found = self._by_token.get(token)
        if found is None:
            raise NotFoundError("this change is not among the advice any more; look at the list again")
        return found


def parsed_offer(ddl: str) -> Offer:
    """What the statement does, by PostgreSQL's own parser."""
    refusal = ArgumentError("only one CREATE INDEX CONCURRENTLY or DROP INDEX CONCURRENTLY can be applied from here")
    try:
        parsed = pglast.parse_sql(ddl)
    except pglast.parser.ParseError as error:
        raise refusal from error
    if len(parsed) != 1:
        raise refusal
    stmt, token = parsed[0].stmt, hashlib.blake2b(ddl.encode(), digest_size=12).hexdigest()
    if isinstance(stmt, ast.IndexStmt) and stmt.concurrent and stmt.idxname and not stmt.unique:
        assert stmt.relation is not None, "an index is of a relation"
        return Offer(token, ddl, "create", stmt.relation.schemaname, str(stmt.idxname), str(stmt.relation.relname))
    if isinstance(stmt, ast.DropStmt) and stmt.concurrent and stmt.removeType == ObjectType.OBJECT_INDEX:
        objects = stmt.objects or ()
        names = [str(one.sval) for one in objects[0]] if len(objects) == 1 else []
        if 1 <= len(names) <= 2:
            return Offer(token, ddl, "drop", names[0] if len(names) == 2 else None, names[-1])
    raise refusal
