"""The page runs of the recorded executions: which there were, what each ran, and which repeat themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from queries.database import Database
from queries.performance.monitor import Monitor
from queries.performance.recorded import Reading, Window, in_database, read, recorded, shown
from queries.performance.repeats import DUPLICATE_EXECUTIONS, N_PLUS_ONE_DISTINCT_PERCENT, N_PLUS_ONE_EXECUTIONS

RUNS_LISTED, EXECUTIONS_LISTED, REPEATS_LISTED = 50, 500, 25
_MS = ("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")


def runs(window: Window, monitor: Monitor, *, limit: int = RUNS_LISTED) -> Reading:
    """The newest page runs: run_id, page, role, started_at, total_ms (until the last answer), questions, misses,
    database_ms (of misses, fetching included)."""
    log = recorded(window, monitor, (*_MS, "run_id", "role", "outcome"), only=lambda one: one.run_id != "")
    started = _started(log)
    first = sa.func.min(started)
    took = sa.extract("epoch", sa.func.max(log.c.at) - first) * 1000
    database = sa.func.sum(in_database(log)).filter(log.c.outcome == "miss")
    statement = (
        sa.select(
            log.c.run_id,
            # The page of its questions; of a run that asked for several, the one with the most.
            sa.func.mode().within_group(log.c.page).label("page"),
            sa.func.max(log.c.role).label("role"),
            first.label("started_at"),
            sa.cast(took, sa.Double).label("total_ms"),
            sa.func.count().label("questions"),
            sa.func.count().filter(log.c.outcome == "miss").label("misses"),
            sa.func.coalesce(database, 0.0).label("database_ms"),
        )
        .where(log.c.run_id != "")
        .group_by(log.c.run_id)
        .order_by(sa.desc("started_at"), log.c.run_id)
        .limit(limit)
    )
    return Reading("page runs", statement, shown(window))


def run_executions(window: Window, monitor: Monitor, run_id: str) -> Reading:
    """What one run asked, in the order it began: at, started_at, query, page, role, outcome, the five times in ms,
    rows, slow, error, asked_by, fingerprint, parameters_hash, plan_hash. The window's page and question do not matter
    here, and of its time only the day around it."""
    around = timedelta(days=1)
    whole = replace(window, page=None, query=None, start=window.start - around, end=window.end + around)
    names = (
        "role",
        "outcome",
        *_MS,
        "rows",
        "slow",
        "error",
        "asked_by",
        "fingerprint",
        "parameters_hash",
        "plan_hash",
    )
    log = recorded(whole, monitor, (*names, "run_id"), only=lambda one: one.run_id == run_id)
    started = _started(log).label("started_at")
    columns = [
        sa.func.coalesce(log.c.asked_by, "").label("asked_by") if name == "asked_by" else log.c[name] for name in names
    ]
    statement = (
        sa.select(log.c.at, started, log.c.query, log.c.page, *columns)
        .where(log.c.run_id == run_id)
        .order_by(started, log.c.at, log.c.query, log.c.parameters_hash)
        .limit(EXECUTIONS_LISTED)
    )
    return Reading("one page run", statement, {"run_id": run_id, "source": window.source})


def repeated(window: Window, monitor: Monitor, *, limit: int = REPEATS_LISTED) -> Reading:
    """What page runs of the window repeat, by the rules of `repeats`, the worst first: kind, query, fingerprint, page,
    asked_by, executions and distinct (of the worst run), runs (how many show it), run_id (of the worst), last_at."""
    log = recorded(
        window,
        monitor,
        ("run_id", "fingerprint", "parameters_hash", "outcome", "asked_by"),
        only=lambda one: one.outcome == "miss" and one.run_id != "" and one.fingerprint is not None,
    )
    asked = _asked(log)
    found = sa.union_all(_n_plus_one(asked), _duplicates(asked)).subquery("found")
    place = (found.c.kind, found.c.query, found.c.fingerprint, found.c.page, found.c.asked_by)
    worst = sa.func.row_number().over(
        partition_by=place, order_by=(found.c.executions.desc(), found.c.last_at.desc(), found.c.run_id)
    )
    ranked = sa.select(
        found,
        worst.label("rank"),
        sa.func.count().over(partition_by=place).label("runs"),
        sa.func.max(found.c.last_at).over(partition_by=place).label("newest_at"),
    ).subquery("ranked")
    columns = (*(one.key for one in place), "executions", "distinct", "runs", "run_id")
    statement = (
        sa.select(*(ranked.c[one] for one in columns), ranked.c.newest_at.label("last_at"))
        .where(ranked.c.rank == 1)
        .order_by(ranked.c.kind, ranked.c.executions.desc(), *(ranked.c[one.key] for one in place[1:]))
        .limit(limit)
    )
    return Reading("repeats", statement, shown(window))


def newest_run(database: Database, window: Window, monitor: Monitor) -> str | None:
    """The run that began last."""
    frame = read(database, runs(window, monitor, limit=1)).frame
    return None if frame.empty else str(frame["run_id"].iloc[0])


def _started(log: sa.FromClause) -> sa.ColumnElement[Any]:
    spent = sum((log.c[one] for one in _MS[1:]), start=log.c[_MS[0]])
    return log.c.at - spent * sa.cast("1 millisecond", sa.Interval)


def _asked(log: sa.FromClause) -> sa.CTE:
    """The executed questions of runs, with how often their run executed the statement, and the very same question.
    Counted in place: PostgreSQL guesses so few rows that a join would compare each with each."""
    same = (log.c.run_id, log.c.fingerprint, log.c.parameters_hash)
    return (
        sa.select(
            log.c.run_id,
            log.c.fingerprint,
            log.c.parameters_hash,
            log.c.query,
            log.c.page,
            sa.func.coalesce(log.c.asked_by, "").label("asked_by"),
            log.c.at,
            sa.func.count().over(partition_by=same[:2]).label("of_statement"),
            sa.func.count().over(partition_by=same).label("times"),
        )
        .where(log.c.outcome == "miss", log.c.run_id != "", log.c.fingerprint.is_not(None))
        .cte("asked")
    )


def _n_plus_one(asked: sa.CTE) -> sa.Select[Any]:
    many = _by_run("N+1", sa.select(asked).where(asked.c.of_statement >= N_PLUS_ONE_EXECUTIONS))
    executions, distinct = (one.element for one in many.selected_columns if one.key in ("executions", "distinct"))
    return many.having(100 * distinct >= N_PLUS_ONE_DISTINCT_PERCENT * executions)


def _duplicates(asked: sa.CTE) -> sa.Select[Any]:
    return _by_run("duplicate", sa.select(asked).where(asked.c.times >= DUPLICATE_EXECUTIONS))


def _by_run(kind: str, chosen: sa.Select[Any]) -> sa.Select[Any]:
    """A row per run and statement. Page, line and name are those that asked most, else the first by name."""
    rows = chosen.subquery()
    line = (rows.c.page, rows.c.asked_by, rows.c.query)
    asks = sa.func.count().over(partition_by=(rows.c.run_id, rows.c.fingerprint, *line))
    counted = sa.select(rows, asks.label("asks")).subquery()
    # By code points, as Python orders texts.
    by_name = [sa.collate(counted.c[one.key], "C") for one in line]

    def first(name: str) -> sa.Label[Any]:
        ordered = aggregate_order_by(counted.c[name], counted.c.asks.desc(), *by_name)
        return sa.func.array_agg(ordered, type_=sa.ARRAY(sa.Text()))[1].label(name)

    return sa.select(
        sa.literal(kind, sa.Text).label("kind"),
        counted.c.run_id,
        counted.c.fingerprint,
        *(first(one) for one in ("query", "page", "asked_by")),
        sa.func.count().label("executions"),
        sa.func.count(sa.distinct(counted.c.parameters_hash)).label("distinct"),
        sa.func.max(counted.c.at).label("last_at"),
    ).group_by(counted.c.run_id, counted.c.fingerprint)
