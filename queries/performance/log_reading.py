"""What the recorded executions say of each question: how often, how long, from where, and what got slower.

Cache outcomes are counted apart from database time, which is of misses alone: of what this dashboard really ran. All
aggregation is PostgreSQL's, over the log or over this process's memory (`recorded`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on

from queries.database import Database
from queries.performance.baselines import BASELINE
from queries.performance.monitor import Monitor
from queries.performance.recorded import Reading, Window, in_database, read, recorded, shown, source_of

__all__ = [
    "Window",
    "by_query",
    "figures_by_query",
    "figures_over_time",
    "is_slower",
    "load_by_hour",
    "slow",
    "slow_list",
    "source_of",
    "statement_times",
]

Sort = Literal["total", "p95", "calls", "rows", "regressions"]
SORTS: tuple[Sort, ...] = ("total", "p95", "calls", "rows", "regressions")
TREND_POINTS = 24
# A statement got slower when its p95 is over so many times the baseline's, and both rest on so many executions.
REGRESSION_RATIO, REGRESSION_MISSES = 1.5, 20
_QUANTILES = (0.5, 0.95, 0.99)
_DOUBLES: sa.types.TypeEngine[Any] = sa.ARRAY(sa.Double())
_TEXTS: sa.types.TypeEngine[Any] = sa.ARRAY(sa.Text())


def figures_by_query(
    window: Window,
    monitor: Monitor,
    *,
    sort: Sort = "total",
    release: str | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> Reading:
    """A row per question, in this order: query, fingerprints, calls, hits, stale, misses, shared, errors, p50_ms,
    p95_ms, p99_ms, total_ms, rows, slow, trend_ms (p95 by 24ths of the window, 0 where nothing ran), slowest_ms,
    slowest_parameters, slowest_hash, slowest_fingerprint, slowest_plan_hash, slowest_at, baseline_calls,
    baseline_p50_ms, baseline_p95_ms, regression (times the baseline's p95; NULL when it is none), total_rows.

    Times are of misses: what this dashboard ran. `release` names the baseline to compare with.
    """
    names = ("fingerprint", "outcome", "database_ms", "fetch_ms", "rows", "slow")
    of_slowest = ("parameters", "parameters_hash", "plan_hash")
    log = recorded(window, monitor, (*names, *of_slowest))
    figures = _with_baseline(_sums(log), release)
    page = sa.select(figures, sa.func.count().over().label("total_rows")).order_by(*_order(figures, sort))
    chosen = page.offset(offset).limit(limit).cte("page")
    slowest, trend = _slowest(log).subquery("slowest"), _trend(log, window, chosen).subquery("trend")
    statement = (
        sa.select(chosen, trend.c.trend_ms, *(one for one in slowest.c if one.key != "query"))
        .select_from(chosen)
        .outerjoin(trend, trend.c.query == chosen.c.query)
        .outerjoin(slowest, slowest.c.query == chosen.c.query)
        .order_by(*_order(chosen, sort))
    )
    return Reading("query log by question", statement, shown(window, sort=sort, release=release))


def by_query(database: Database, window: Window, monitor: Monitor, **how: Any) -> pd.DataFrame:
    """The rows of `figures_by_query`."""
    return read(database, figures_by_query(window, monitor, **how)).frame


def figures_over_time(window: Window, monitor: Monitor) -> Reading:
    """A row per 24th of the window, in order: place (1 to 24), calls, hits, stale, misses, shared, errors, slow,
    total_ms."""
    log = recorded(window, monitor, ("outcome", "database_ms", "fetch_ms", "slow"))
    place = _place(log, window)
    grouped = sa.select(place.label("place"), *_counts(log)).group_by(place).subquery("grouped")
    places = _places()
    figures = [sa.func.coalesce(one, 0).label(one.key) for one in grouped.c if one.key != "place"]
    statement = (
        sa.select(places.c.place, *figures)
        .select_from(places)
        .outerjoin(grouped, grouped.c.place == places.c.place)
        .order_by(places.c.place)
    )
    return Reading("query log over time", statement, shown(window))


def load_by_hour(window: Window, monitor: Monitor, *, zone: str) -> Reading:
    """A row per hour of the week in the zone that has any: weekday (1 is Monday), hour, calls, misses, total_ms."""
    log = recorded(window, monitor, ("outcome", "database_ms", "fetch_ms"))
    local = sa.func.timezone(zone, log.c.at)
    weekday, hour = (sa.cast(sa.extract(part, local), sa.Integer) for part in ("isodow", "hour"))
    counts = [one for one in _counts(log, slow=False) if one.key in ("calls", "misses", "total_ms")]
    statement = sa.select(weekday.label("weekday"), hour.label("hour"), *counts)
    return Reading(
        "query log by hour", statement.group_by("weekday", "hour").order_by("weekday", "hour"), shown(window)
    )


def slow_list(window: Window, monitor: Monitor, *, offset: int = 0, limit: int = 25) -> Reading:
    """The slow ones, newest first: at, query, page, role, parameters, parameters_hash, database_ms (fetching
    included), rows, plan_hash, asked_by, fingerprint, error, run_id, total_rows."""
    names = ("query", "page", "role", "parameters", "parameters_hash", "database_ms", "fetch_ms", "rows", "plan_hash")
    log = recorded(
        window, monitor, (*names, "asked_by", "fingerprint", "error", "run_id", "slow"), only=lambda one: one.slow
    )
    statement = (
        sa.select(
            *(log.c[one] for one in ("at", "query", "page", "role")),
            sa.cast(log.c.parameters, sa.Text).label("parameters"),
            log.c.parameters_hash,
            in_database(log).label("database_ms"),
            *(log.c[one] for one in ("rows", "plan_hash")),
            sa.func.coalesce(log.c.asked_by, "").label("asked_by"),
            *(log.c[one] for one in ("fingerprint", "error", "run_id")),
            sa.func.count().over().label("total_rows"),
        )
        .where(log.c.slow)
        .order_by(log.c.at.desc(), log.c.query, log.c.parameters_hash, in_database(log).desc())
        .offset(offset)
        .limit(limit)
    )
    return Reading("slow queries", statement, shown(window))


def slow(database: Database, window: Window, monitor: Monitor, limit: int = 25) -> pd.DataFrame:
    """The rows of `slow_list`."""
    return read(database, slow_list(window, monitor, limit=limit)).frame


def statement_times(
    database: Database, monitor: Monitor, fingerprints: Sequence[str], start: datetime, end: datetime
) -> dict[str, tuple[int, float, float]]:
    """Of each statement that ran in this time: executions, p50 and p95 in the database (ms); for before and after."""
    window = Window(start, end, source=source_of(database))
    wanted = set(fingerprints)
    log = recorded(
        window,
        monitor,
        ("fingerprint", "outcome", "database_ms", "fetch_ms"),
        only=lambda one: one.outcome == "miss" and one.fingerprint in wanted,
    )
    statement = (
        sa.select(log.c.fingerprint, sa.func.count().label("calls"), _quantiles(log)[0], _quantiles(log)[1])
        .where(log.c.outcome == "miss", log.c.fingerprint == sa.any_(sa.bindparam(None, sorted(wanted), _TEXTS)))
        .group_by(log.c.fingerprint)
    )
    frame = read(database, Reading("times of statements", statement, shown(window))).frame
    rows = zip(*(frame[one].tolist() for one in ("fingerprint", "calls", "p50_ms", "p95_ms")), strict=True)
    return {str(name): (int(calls), float(p50), float(p95)) for name, calls, p50, p95 in rows}


def is_slower(figures: sa.FromClause, base: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether these figures (misses, p95_ms) are a regression against the baseline's (calls, p95_ms)."""
    return sa.and_(
        figures.c.misses >= REGRESSION_MISSES,
        base.c.calls >= REGRESSION_MISSES,
        figures.c.p95_ms > REGRESSION_RATIO * base.c.p95_ms,
    )


def _counts(log: sa.FromClause, *, slow: bool = True) -> list[sa.Label[Any]]:
    def of(outcome: str, name: str) -> sa.Label[Any]:
        return sa.func.count().filter(log.c.outcome == outcome).label(name)

    ran = log.c.outcome == "miss"
    return [
        sa.func.count().label("calls"),
        of("hit", "hits"),
        of("stale", "stale"),
        of("miss", "misses"),
        of("shared", "shared"),
        of("error", "errors"),
        *([sa.func.count().filter(log.c.slow).label("slow")] if slow else []),
        sa.func.coalesce(sa.func.sum(in_database(log)).filter(ran), 0.0).label("total_ms"),
    ]


def _quantiles(log: sa.FromClause) -> list[sa.Label[Any]]:
    ms = in_database(log)
    return [
        sa.func.percentile_cont(sa.cast(one, sa.Double))
        .within_group(ms)
        .filter(log.c.outcome == "miss")
        .label(f"p{one * 100:.0f}_ms")
        for one in _QUANTILES
    ]


def _sums(log: sa.FromClause) -> sa.CTE:
    ran = log.c.outcome == "miss"
    fingerprints = sa.func.array_agg(sa.distinct(log.c.fingerprint)).filter(log.c.fingerprint.is_not(None))
    rows = sa.cast(sa.func.sum(log.c.rows).filter(ran), sa.BigInteger)
    return (
        sa.select(
            log.c.query,
            fingerprints.label("fingerprints"),
            *_counts(log),
            *_quantiles(log),
            sa.func.coalesce(rows, 0).label("rows"),
        )
        .group_by(log.c.query)
        .cte("sums")
    )


def _with_baseline(sums: sa.CTE, release: str | None) -> sa.CTE:
    if release is None:
        missing = [
            sa.cast(sa.null(), type_).label(name)
            for name, type_ in (
                ("baseline_calls", sa.BigInteger),
                ("baseline_p50_ms", sa.Double),
                ("baseline_p95_ms", sa.Double),
                ("regression", sa.Double),
            )
        ]
        return sa.select(sums, *missing).cte("figures")
    base = BASELINE.alias("base")
    ratio = sums.c.p95_ms / sa.func.nullif(base.c.p95_ms, 0)
    return (
        sa.select(
            sums,
            base.c.calls.label("baseline_calls"),
            base.c.p50_ms.label("baseline_p50_ms"),
            base.c.p95_ms.label("baseline_p95_ms"),
            sa.case((is_slower(sums, base), ratio)).label("regression"),
        )
        .select_from(sums)
        .outerjoin(base, sa.and_(base.c.query == sums.c.query, base.c.release == release))
        .cte("figures")
    )


def _order(figures: sa.FromClause, sort: Sort) -> list[sa.ColumnElement[Any]]:
    by_total = [figures.c.total_ms.desc(), figures.c.calls.desc(), figures.c.query]
    first = {
        "total": [],
        "p95": [figures.c.p95_ms.desc().nulls_last()],
        "calls": [figures.c.calls.desc()],
        "rows": [figures.c.rows.desc()],
        "regressions": [figures.c.regression.desc().nulls_last()],
    }
    return [*first[sort], *by_total]


def _slowest(log: sa.FromClause) -> sa.Select[Any]:
    """Of each question its slowest execution."""
    ms = in_database(log)
    return (
        sa.select(
            log.c.query,
            ms.label("slowest_ms"),
            sa.cast(log.c.parameters, sa.Text).label("slowest_parameters"),
            log.c.parameters_hash.label("slowest_hash"),
            log.c.fingerprint.label("slowest_fingerprint"),
            log.c.plan_hash.label("slowest_plan_hash"),
            log.c.at.label("slowest_at"),
        )
        .where(log.c.outcome == "miss")
        .ext(distinct_on(log.c.query))
        .order_by(log.c.query, ms.desc(), log.c.at.desc(), log.c.parameters_hash)
    )


def _trend(log: sa.FromClause, window: Window, chosen: sa.CTE) -> sa.Select[Any]:
    """Of each chosen question the p95 by 24ths of the window."""
    place, p95 = _place(log, window), _quantiles(log)[1]
    by_place = sa.select(log.c.query, place.label("place"), p95).group_by(log.c.query, place).subquery("by_place")
    places = _places()
    values = sa.func.array_agg(
        aggregate_order_by(sa.func.coalesce(by_place.c.p95_ms, 0.0), places.c.place), type_=_DOUBLES
    )
    return (
        sa.select(chosen.c.query, values.label("trend_ms"))
        .select_from(chosen.join(places, sa.true()))
        .outerjoin(by_place, sa.and_(by_place.c.query == chosen.c.query, by_place.c.place == places.c.place))
        .group_by(chosen.c.query)
    )


def _places() -> sa.FromClause:
    return sa.func.generate_series(1, TREND_POINTS).table_valued("place", name="places").render_derived()


def _place(log: sa.FromClause, window: Window) -> sa.ColumnElement[int]:
    """Which 24th of the window."""
    start, end = window.start.timestamp(), window.end.timestamp()
    since = sa.cast(sa.extract("epoch", log.c.at), sa.Double)
    return sa.func.least(
        sa.func.width_bucket(since, sa.cast(start, sa.Double), sa.cast(end, sa.Double), TREND_POINTS), TREND_POINTS
    )
