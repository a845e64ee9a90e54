"""Whether the pages can be shown of a database with a mapping: each page's questions, asked once with a few rows.

Nothing raises: what fails is part of the report, in the words that the page would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
from pydantic import SecretStr

from queries.cache import ResultCache
from queries.catalog import (
    credits,
    generations,
    latency,
    ledger,
    limits,
    prices,
    statements,
    tenants,
    timelines,
    usage,
    users,
)
from queries.catalog.rollforward import month_before
from queries.database import Database
from queries.errors import UsageDashboardError
from queries.exports.reports import REPORTS, Order
from queries.mapping import Mapping
from queries.performance.monitor import Monitor
from queries.period import Period, local_date
from queries.query import Query, Result
from queries.runner import Context, Runner
from queries.scope import Scope
from queries.settings import load_settings
from queries.tables import Tables

LIMIT_ROWS = 50
_DAYS = 28
_CACHE_BYTES = 2**24
_POOL = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a page: how many rows it brought at most `LIMIT_ROWS`, in how many milliseconds, or why not."""

    question: str
    rows: int = 0
    database_ms: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class PageCheck:
    """One page and its questions."""

    title: str
    asked: tuple[Asked, ...]

    @property
    def works(self) -> bool:
        return not any(one.error for one in self.asked)

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.asked)


@dataclass(frozen=True, slots=True)
class Check:
    """All pages, what the mapping leaves out, and what the rows are of: when the newest generation was made and how
    many tenants there are; `error` where the database could not be read at all."""

    pages: tuple[PageCheck, ...]
    notes: tuple[str, ...]
    newest_at: datetime | None = None
    tenants: int = 0
    error: str = ""

    @property
    def works(self) -> bool:
        return not self.error and all(one.works for one in self.pages)


def check(url: str, mapping: Mapping, *, zone: str = "UTC", now: datetime | None = None) -> Check:
    """Asks every page's questions once, as its role would, through the same runner."""
    notes = tuple(mapping.notes())
    try:
        with _runner(url, mapping) as runner:
            return _checked(runner, notes, zone, now or datetime.now(UTC))
    except UsageDashboardError as error:
        return Check((), notes, error=error.message)


@contextmanager
def _runner(url: str, mapping: Mapping) -> Iterator[Runner]:
    settings = load_settings(database_url=SecretStr(url), direct_url=None, redis_url=None, pool_size=_POOL)
    database = Database(settings, mapping)
    cache = ResultCache(max_bytes=_CACHE_BYTES, prefix="connect:", redis_url=None, lock_s=settings.statement_timeout_s)
    runner = Runner(database, cache, Monitor(slow_query_ms=math.inf))
    try:
        yield runner
    finally:
        runner.close()
        cache.close()
        database.close()


def _checked(runner: Runner, notes: tuple[str, ...], zone: str, now: datetime) -> Check:
    everybody = Scope.all_tenants()
    newest_at = _newest(runner, everybody)
    # Of a copy that is a month old, the month that it has is looked at.
    at = min(now, newest_at + timedelta(minutes=1)) if newest_at is not None else now
    listed = tenants.portfolio(
        everybody, now=at, zone=zone, search="", plans=(), sort="generations_28d", descending=True, offset=0, limit=1
    )
    first = _one(runner, listed)
    one = Scope.of([str(first["tenant_id"])]) if first is not None else everybody
    pages = tuple(
        PageCheck(title, tuple(_asked(runner, questions)))
        for title, questions in _questions(everybody, one, at, zone).items()
    )
    return Check(pages, notes, newest_at, int(first["matching_tenants"]) if first is not None else 0)


def _newest(runner: Runner, scope: Scope) -> datetime | None:
    row = _one(runner, usage.newest(scope))
    value: Any = row["newest_at"] if row is not None else None
    return None if value is None or pd.isna(value) else value.to_pydatetime()


def _one(runner: Runner, query: Query) -> dict[str, Any] | None:
    result: Result = runner.run(query, Context(Scope.all_tenants()))
    return dict(result.frame.iloc[0]) if len(result.frame) else None


def _asked(runner: Runner, questions: list[Query]) -> Iterator[Asked]:
    """A page's questions side by side, as the page asks them."""
    limited_ = {f"{place} {one.name}": limited(one) for place, one in enumerate(questions)}
    answers = runner.run_all(limited_, Context(Scope.all_tenants()))
    for name, query in limited_.items():
        try:
            result = answers[name]
        except UsageDashboardError as error:
            yield Asked(query.name, error=error.message)
        else:
            yield Asked(query.name, result.rows, result.computed.database_ms)


def limited(query: Query) -> Query:
    """The same question for at most a few rows. What completes the rows is left out: it could fill gaps of them."""

    def build(tables: Tables) -> Any:
        statement = query.build(tables)
        return statement if _has_limit(statement) else statement.limit(LIMIT_ROWS)

    return replace(query, build=build, finish=None, key=f"connect:{query.key}", series=f"connect:{query.series}")


def _has_limit(statement: Any) -> bool:
    return statement._limit_clause is not None


def _questions(everybody: Scope, one: Scope, now: datetime, zone: str) -> dict[str, list[Query]]:
    """Every page's questions, as its filters ask them at first."""
    period = Period.last_days(_DAYS, zone=zone, now=now)
    month = local_date(now, zone).replace(day=1)
    months: dict[str, Any] = {"months": (month_before(month), month), "zone": zone, "now": now}
    matching: dict[str, Any] = {"now": now, "zone": zone, "search": "", "plans": ()}
    page: dict[str, Any] = {"offset": 0, "limit": 25}
    by_tenant: dict[str, Any] = {"split": "tenant", "top": 7}
    found = {
        "Tenants": [
            tenants.signals(everybody, **matching),
            tenants.portfolio(everybody, **matching, **page, sort="burn_28d_credits", descending=True),
            tenants.plans(everybody),
        ],
        "Tenant": [
            usage.totals(one, period=period),
            usage.over_time(one, period=period, split="type"),
            users.of_period(one, period=period, **page, sort="generations", descending=True),
            limits.by_day(one, period=period, top=7),
            latency.over_time(one, period=period),
            generations.latest(one, period=period, **page),
            generations.stuck(one, now=now, **page),
        ],
        "Credit burn": [
            credits.flows(everybody, period=period, top=7),
            credits.compared(everybody, period=period),
        ],
        "Timelines": [
            usage.over_time(everybody, period=period, **by_tenant),
            usage.breakdown(everybody, period=period, **by_tenant),
            timelines.latency(everybody, period=period),
            timelines.failures(everybody, period=period, top=7),
            timelines.hours(everybody, period=period.with_grain("hour")),
        ],
        "Statements": [
            statements.totals(everybody, **months, search=""),
            statements.monthly(
                everybody, **months, **page, search="", sort="tenant", descending=False, differing=False
            ),
            prices.prices(everybody, **months, search=""),
        ],
        "Exports": list(_exports(everybody, now, zone)),
    }
    if one.ids is not None:
        found["Tenant"] += [
            tenants.header(one, now=now),
            ledger.page(one, period=period, **page),
            ledger.reconciliation(one),
        ]
    return found


def _of_report(name: str, scope: Scope, order: Order, tables: Tables) -> Any:
    select = REPORTS[name].select
    assert select is not None, "these reports are statements"
    return select(tables, scope, order)


def _exports(scope: Scope, now: datetime, zone: str) -> Iterator[Query]:
    """The first rows of each report that is made of their tables."""
    last = local_date(now, zone)
    for name in ("usage-lines", "ledger", "generations"):
        order = Order(report=name, scope=scope, zone=zone, first=last.replace(day=1), last=last, now=now)
        yield Query(
            name=f"exports.{name}",
            scope=scope,
            arguments={},
            build=partial(_of_report, name, scope, order),
            key=f"exports.{name}",
            series=f"exports.{name}",
        )
