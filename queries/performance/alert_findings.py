"""What is worth an alert: the questions that ran slowly, and those that got slower than the newest baseline, each since
it was told last. Names and numbers only: no parameter, no statement, no tenant is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from queries.database import Database
from queries.performance.baselines import BASELINE, releases
from queries.performance.log_reading import is_slower
from queries.performance.monitor import Monitor
from queries.performance.recorded import Reading, Source, Window, in_database, read, recorded, shown

# How far back is looked for what was not told: so long a webhook may be down without anything being lost.
SLOW_WITHIN = timedelta(hours=1)
SLOWER_WITHIN = timedelta(hours=24)
# The log is written in batches: what is younger than this may not be there yet.
SETTLED = timedelta(seconds=5)
_SLOW, _REGRESSION = "slow ", "regression "

Told = Mapping[str, datetime]
"""When each subject was told last."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A question that ran slowly since it was told last. `stopped` of the slow runs ended by the timeout; the times are
    of the others, and None when there are none."""

    query: str
    pages: tuple[str, ...]
    since: datetime
    newest_at: datetime
    runs: int
    slow: int
    stopped: int
    p95_ms: float | None
    worst_ms: float | None

    @property
    def subject(self) -> str:
        return f"{_SLOW}{self.query}"


@dataclass(frozen=True, slots=True)
class Regression:
    """A question whose p95 since it was told last is that many times the baseline's."""

    query: str
    pages: tuple[str, ...]
    since: datetime
    newest_at: datetime
    release: str
    misses: int
    p95_ms: float
    baseline_calls: int
    baseline_p95_ms: float
    regression: float

    @property
    def subject(self) -> str:
        return f"{_REGRESSION}{self.query} {self.release}"


Finding = Slow | Regression


def found(database: Database, monitor: Monitor, told: Told, at: datetime, *, source: Source) -> list[Finding]:
    """What there is to tell at this moment, the worst first. A baseline is kept in the database, so memory is compared
    with none."""
    window = Window(at - SLOW_WITHIN, at, source=source)
    findings: list[Finding] = [
        Slow(**_shared(row), **{name: row[name] for name in ("runs", "slow", "stopped", "p95_ms", "worst_ms")})
        for row in _rows(database, slow_since(window, monitor, _by_query(told, _SLOW, "")))
    ]
    return findings if source == "memory" else [*findings, *_regressions(database, monitor, told, at)]


def slow_since(window: Window, monitor: Monitor, told: Told) -> Reading:
    """A row per question with slow runs, the most often stopped and then the slowest first: query, pages (of the slow
    ones), since, newest_at, runs, slow, stopped, p95_ms, worst_ms. `told` is by question: only later runs count."""
    wanted = {one.query for one in monitor.recent() if one.slow} if window.source == "memory" else set()
    log = recorded(
        window,
        monitor,
        ("outcome", "database_ms", "fetch_ms", "slow"),
        only=lambda one: one.query in wanted and (one.slow or one.outcome == "miss"),
    )
    last = _told(told)
    since, ran, ms = sa.func.coalesce(last.c.told_at, _instant(window.start)), log.c.outcome == "miss", in_database(log)
    slow = sa.func.count().filter(log.c.slow)
    stopped = sa.func.count().filter(log.c.slow, ~ran)
    worst = sa.func.max(ms).filter(ran)
    statement = (
        sa.select(
            log.c.query,
            _pages(log).filter(log.c.slow).label("pages"),
            sa.func.min(since).label("since"),
            sa.func.max(log.c.at).filter(log.c.slow).label("newest_at"),
            sa.func.count().label("runs"),
            slow.label("slow"),
            stopped.label("stopped"),
            _p95(ms).filter(ran).label("p95_ms"),
            worst.label("worst_ms"),
        )
        .select_from(log.outerjoin(last, last.c.query == log.c.query))
        .where(sa.or_(ran, log.c.slow), log.c.at >= since)
        .group_by(log.c.query)
        .having(slow > 0)
        .order_by(stopped.desc(), worst.desc().nulls_last(), log.c.query)
    )
    return Reading("slow since told", statement, shown(window))


def slower_since(window: Window, monitor: Monitor, release: str, told: Told) -> Reading:
    """A row per question that got slower than the baseline, the most so first: query, pages, since, newest_at, release,
    misses, p95_ms, baseline_calls, baseline_p95_ms, regression. `told` is by question: only later runs count."""
    log = recorded(window, monitor, ("outcome", "database_ms", "fetch_ms"), only=lambda one: one.outcome == "miss")
    last, base = _told(told), BASELINE.alias("base")
    since = sa.func.coalesce(last.c.told_at, _instant(window.start))
    figures = (
        sa.select(
            log.c.query,
            _pages(log).label("pages"),
            sa.func.min(since).label("since"),
            sa.func.max(log.c.at).label("newest_at"),
            sa.func.count().label("misses"),
            _p95(in_database(log)).label("p95_ms"),
        )
        .select_from(log.outerjoin(last, last.c.query == log.c.query))
        .where(log.c.outcome == "miss", log.c.at >= since)
        .group_by(log.c.query)
        .cte("figures")
    )
    ratio = figures.c.p95_ms / sa.func.nullif(base.c.p95_ms, 0)
    statement = (
        sa.select(
            figures,
            base.c.release,
            base.c.calls.label("baseline_calls"),
            base.c.p95_ms.label("baseline_p95_ms"),
            ratio.label("regression"),
        )
        .select_from(figures.join(base, sa.and_(base.c.query == figures.c.query, base.c.release == release)))
        # Of a baseline of 0 ms nothing can be said in times.
        .where(is_slower(figures, base), base.c.p95_ms > 0)
        .order_by(ratio.desc(), figures.c.query)
    )
    return Reading("slower since told", statement, shown(window, release=release))


def _regressions(database: Database, monitor: Monitor, told: Told, at: datetime) -> list[Finding]:
    """Against the newest baseline, by what ran after it was saved: what it was made of is not compared with it."""
    saved = _rows(database, releases())
    if not saved:
        return []
    release, saved_at = saved[0]["release"], saved[0]["saved_at"]
    window = Window(max(at - SLOWER_WITHIN, min(saved_at, at)), at)
    rows = _rows(database, slower_since(window, monitor, release, _by_query(told, _REGRESSION, f" {release}")))
    names = ("release", "misses", "p95_ms", "baseline_calls", "baseline_p95_ms", "regression")
    return [Regression(**_shared(row), **{name: row[name] for name in names}) for row in rows]


def _by_query(told: Told, before: str, after: str) -> Told:
    return {
        subject.removeprefix(before).removesuffix(after): at
        for subject, at in told.items()
        if subject.startswith(before) and subject.endswith(after)
    }


def _told(told: Told) -> sa.FromClause:
    """The moments as a relation: query, told_at."""
    names, moments = list(told), list(told.values())
    values = sa.func.unnest(
        sa.bindparam(None, names, sa.ARRAY(sa.Text())),
        sa.bindparam(None, moments, sa.ARRAY(sa.TIMESTAMP(timezone=True))),
    )
    columns = sa.column("query", sa.Text()), sa.column("told_at", sa.TIMESTAMP(timezone=True))
    return values.table_valued(*columns, name="told").render_derived()


def _instant(moment: datetime) -> sa.BindParameter[Any]:
    return sa.bindparam(None, moment, sa.TIMESTAMP(timezone=True))


def _pages(log: sa.FromClause) -> Any:
    return sa.func.array_agg(sa.distinct(log.c.page))


def _p95(ms: sa.ColumnElement[float]) -> Any:
    return sa.func.percentile_cont(sa.cast(0.95, sa.Double)).within_group(ms)


def _rows(database: Database, reading: Reading) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.Table.from_pandas(read(database, reading).frame, preserve_index=False).to_pylist()
    return rows


def _shared(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": str(row["query"]),
        "pages": tuple(sorted(str(one) for one in row["pages"])),
        "since": row["since"],
        "newest_at": row["newest_at"],
    }
