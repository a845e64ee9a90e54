"""A question (Query) and its answer (Result). Catalog functions make questions; the runner answers them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Concatenate, Literal, NoReturn, ParamSpec

import pandas as pd
import sqlalchemy as sa

from queries.period import Period
from queries.scope import Scope
from queries.tables import Tables, default_tables

P = ParamSpec("P")
_PRIMITIVES = (str, int, bool, float, date, datetime, type(None))

Freshness = Literal["normal", "live"]
Outcome = Literal["hit", "stale", "miss", "shared", "error"]
"""hit: from a cache, fresh. stale: from a cache, past its time to live, being computed anew. miss: run by this request.
shared: run by another request that asked the same at the same time. error: no answer."""

Finish = Callable[[pd.DataFrame, Mapping[str, Any]], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Query:
    """A named question with its scope and arguments. The statement is built only when no cache has the answer.

    `series` is the same for questions that differ in nothing but their `moment` (the `now` they were asked for). The
    answer for one moment may stand in, for a while, for that of a later one.
    """

    name: str
    scope: Scope
    arguments: Mapping[str, Any]
    build: Callable[[Tables], sa.Select[Any] | sa.CompoundSelect[Any]] = field(repr=False, compare=False)
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = field(default=None, repr=False, compare=False)
    freshness: Freshness = "normal"
    row_limit: int | None = None
    key: str = field(default="", repr=False)
    series: str = field(default="", repr=False)
    moment: datetime | None = None

    def statement(self, tables: Tables | None = None) -> sa.Select[Any] | sa.CompoundSelect[Any]:
        """The statement, for live tables or, to look at it, for Prisma's default ones."""
        return self.build(tables if tables is not None else default_tables())

    @property
    def parameters_hash(self) -> str:
        """What the log calls this question with these arguments in this scope."""
        return hashlib.blake2b(self.key.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of one answer: waiting for a connection or another request, in the database until the first row is
    known, fetching rows, building the statement and making the frame, and in the caches."""

    wait_ms: float = 0.0
    database_ms: float = 0.0
    fetch_ms: float = 0.0
    frame_ms: float = 0.0
    cache_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """An answer: its rows, how old they are, where they came from and what they cost.

    `frame` is the reader's own shallow copy; pandas copies on write. `as_of` is when the database was read, in UTC.
    `timings` are those of this request; `computed` those of the run that made the rows.
    """

    query: Query
    frame: pd.DataFrame
    as_of: datetime
    outcome: Outcome
    timings: Timings
    computed: Timings
    sql: str
    parameters: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return len(self.frame)


def read_elsewhere(
    name: str,
    frame: pd.DataFrame,
    *,
    as_of: datetime,
    spent_ms: float,
    told: str,
    asked: Mapping[str, Any],
    scope: Scope | None = None,
    is_kept: bool = False,
) -> Result:
    """Rows that no question of the catalog gave, such as a page of the audit, in the shape of an answer. `told` stands
    where the statement would; `spent_ms` were spent in the database or, if they are kept ones, in our memory."""

    def no_statement(_: Tables) -> NoReturn:
        raise NotImplementedError(f"{name} is not read by a statement of the catalog")

    timings = Timings(cache_ms=spent_ms) if is_kept else Timings(database_ms=spent_ms)
    query = Query(name, scope or Scope.all_tenants(), asked, no_statement, key=name)
    return Result(query, frame, as_of, "hit" if is_kept else "miss", timings, timings, told, asked)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One question that the catalog can ask."""

    name: str
    function: Callable[..., Query]
    freshness: Freshness


CATALOG: dict[str, CatalogEntry] = {}
# Questions of one catalog function that are remembered, so that asking again makes nothing anew.
QUERIES_KEPT = 512


def catalog_query(
    name: str, *, freshness: Freshness = "normal", row_limit: int | None = None, finish: Finish | None = None
) -> Callable[
    [Callable[Concatenate[Tables, Scope, P], sa.Select[Any] | sa.CompoundSelect[Any]]],
    Callable[Concatenate[Scope, P], Query],
]:
    """Make a function `(tables, scope, ...) -> statement` a catalog function `(scope, ...) -> Query`.

    Arguments are keyword arguments of primitives, dates, tuples of them, or a Period: they are the cache key.
    `finish(frame, arguments)` completes the rows once, before they are cached (gaps filled, order made).
    """

    def decorate(
        build: Callable[Concatenate[Tables, Scope, P], sa.Select[Any] | sa.CompoundSelect[Any]],
    ) -> Callable[Concatenate[Scope, P], Query]:
        def made(scope: Scope, /, **arguments: Any) -> Query:
            key, series, moment = _keys(name, scope, arguments)
            return Query(
                name=name,
                scope=scope,
                arguments=arguments,
                build=lambda tables: build(tables, scope, **arguments),  # type: ignore[call-arg]  # by name only
                finish=None if finish is None else lambda frame: finish(frame, arguments),
                freshness=freshness,
                row_limit=row_limit,
                key=key,
                series=series,
                moment=moment,
            )

        # Making a question costs as much as answering it from the cache. Typed, since 1 == True to a dictionary.
        remembered = functools.lru_cache(maxsize=QUERIES_KEPT, typed=True)(made)

        def ask(scope: Scope, /, *args: P.args, **kwargs: P.kwargs) -> Query:
            if args:
                raise TypeError(f"{name} takes its arguments by name")
            try:
                return remembered(scope, **kwargs)  # type: ignore[arg-type]  # what cannot be hashed is caught
            except TypeError:
                return made(scope, **kwargs)  # says which argument it is that cannot be part of a key

        if name in CATALOG:
            raise ValueError(f"two catalog functions are called {name}")
        functools.update_wrapper(ask, build)
        CATALOG[name] = CatalogEntry(name, ask, freshness)
        return ask

    return decorate


def _keys(name: str, scope: Scope, arguments: Mapping[str, Any]) -> tuple[str, str, datetime | None]:
    """The key, the series and the moment of a question. `repr` of primitives keeps 1, "1" and True apart."""
    parts, series_parts = [name, scope.digest], [name, scope.digest]
    moment: datetime | None = None
    for argument in sorted(arguments):
        value = arguments[argument]
        if isinstance(value, Period):
            text, series_text = _period_texts(value)
            moment = value.now
            parts.append(f"{argument}={text}")
            series_parts.append(f"{argument}={series_text}")
        else:
            text = f"{argument}={_primitive(value)!r}"
            parts.append(text)
            if argument == "now":
                moment = value
            else:
                series_parts.append(text)
    return "|".join(parts), "|".join(series_parts), moment


@functools.lru_cache(maxsize=1_000)
def _period_texts(period: Period) -> tuple[str, str]:
    """A page asks its six questions about one period, and writing five dates costs as much as the rest of a key.
    Periods that are equal have the same texts."""
    return repr(period.key()), repr(period.series_key())


def _primitive(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_primitive(one) for one in value)
    if isinstance(value, _PRIMITIVES):
        return value
    raise TypeError(f"a catalog argument of type {type(value).__name__} cannot be part of a cache key; use a primitive")
