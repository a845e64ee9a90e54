"""Which statements there are, which plans each has had, and how long it took with each: from what was recorded and what
the keeper kept, here and, with DIRECT_URL, by every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.performance.monitor import Monitor
from queries.performance.plan_keeping import PLAN, STATEMENT, KeptPlan, PlanKeeper
from queries.performance.recorded import Reading, Window, in_database, recorded, shown
from queries.scope import Scope

PLANS_LISTED = 20
_TIME: sa.types.TypeEngine[Any] = sa.TIMESTAMP(timezone=True)


@dataclass(frozen=True, slots=True)
class Call:
    """The newest recorded call of a statement, with its parameters as the log has them: what is personal is hidden."""

    query: str
    parameters_hash: str
    parameters: Mapping[str, Any]
    database_ms: float
    rows: int | None
    at: datetime
    page: str


def statements(window: Window, monitor: Monitor, *, offset: int = 0, limit: int = 25) -> Reading:
    """The statements that were run, the slowest by p95 first: fingerprint, query, calls, p50_ms, p95_ms, slowest_ms,
    last_at, total_rows. Times are in the database, rows fetched."""
    log = _run(window, monitor, ())
    p50, p95 = (sa.func.percentile_cont(share).within_group(in_database(log)) for share in (0.5, 0.95))
    statement = (
        sa.select(
            log.c.fingerprint,
            sa.func.mode().within_group(log.c.query).label("query"),
            sa.func.count().label("calls"),
            p50.label("p50_ms"),
            p95.label("p95_ms"),
            sa.func.max(in_database(log)).label("slowest_ms"),
            sa.func.max(log.c.at).label("last_at"),
            sa.func.count().over().label("total_rows"),
        )
        .where(_is_run(log))
        .group_by(log.c.fingerprint)
        .order_by(p95.desc(), log.c.fingerprint)
        .offset(offset)
        .limit(limit)
    )
    return Reading("statements", statement, shown(window))


def plan_counts(database: Database, keeper: PlanKeeper, fingerprints: Sequence[str]) -> dict[str, int]:
    """How many plans of each of these statements are kept."""
    found = {one: len(keeper.plans(one)) for one in fingerprints}
    if database.owner is not None:
        wanted = sa.bindparam(None, list(fingerprints), sa.ARRAY(sa.Text()))
        statement = (
            sa.select(PLAN.c.fingerprint, sa.func.count().label("plans"))
            .where(PLAN.c.fingerprint == sa.func.any(wanted))
            .group_by(PLAN.c.fingerprint)
        )
        for one in _rows(database, statement):
            found[one["fingerprint"]] = max(found[one["fingerprint"]], one["plans"])
    return found


def newest_call(
    database: Database, window: Window, monitor: Monitor, fingerprint: str, parameters_hash: str | None = None
) -> Call | None:
    """The call of the statement that was recorded last; with a hash, the last one with these parameters."""
    log = _run(window, monitor, ("parameters", "parameters_hash", "rows"))
    kept = [_is_run(log), log.c.fingerprint == fingerprint]
    if parameters_hash is not None:
        kept.append(log.c.parameters_hash == parameters_hash)
    statement = (
        sa.select(
            log.c.query,
            log.c.parameters_hash,
            log.c.parameters,
            in_database(log).label("database_ms"),
            log.c.rows,
            log.c.at,
            log.c.page,
        )
        .where(*kept)
        .order_by(log.c.at.desc(), log.c.parameters_hash)
        .limit(1)
    )
    found = _rows(database, statement)
    return Call(**found[0]) if found else None


def times_by_plan(
    database: Database, window: Window, monitor: Monitor, fingerprint: str, plans: Sequence[KeptPlan]
) -> dict[str, tuple[int, float, float]]:
    """By plan: executions, p50 and p95 in the database (ms) from when it was first seen until the next one was."""
    in_order = sorted(plans, key=lambda one: (one.first_seen_at, one.plan_hash))
    if not in_order:
        return {}
    starts = [one.first_seen_at for one in in_order]
    given = sa.func.unnest(
        sa.bindparam(None, [one.plan_hash for one in in_order], sa.ARRAY(sa.Text())),
        sa.bindparam(None, starts, sa.ARRAY(_TIME)),
        sa.bindparam(None, [*starts[1:], window.end], sa.ARRAY(_TIME)),
    )
    seen = given.table_valued(
        sa.column("plan_hash", sa.Text()), sa.column("first_at", _TIME), sa.column("until", _TIME), name="seen"
    ).render_derived()
    log = _run(window, monitor, ())
    p50, p95 = (sa.func.percentile_cont(share).within_group(in_database(log)) for share in (0.5, 0.95))
    statement = (
        sa.select(seen.c.plan_hash, sa.func.count().label("calls"), p50.label("p50_ms"), p95.label("p95_ms"))
        .select_from(seen)
        .join(log, sa.and_(log.c.at >= seen.c.first_at, log.c.at < seen.c.until))
        .where(_is_run(log), log.c.fingerprint == fingerprint)
        .group_by(seen.c.plan_hash)
    )
    rows = _rows(database, statement)
    return {one["plan_hash"]: (one["calls"], one["p50_ms"], one["p95_ms"]) for one in rows}


def kept_plans(database: Database, keeper: PlanKeeper, fingerprint: str, limit: int = PLANS_LISTED) -> list[KeptPlan]:
    """The plans of a statement, the one seen last first: this process's own, and what others have written."""
    found = {one.plan_hash: one for one in keeper.plans(fingerprint)}
    if database.owner is not None:
        for one in _written(database, fingerprint, limit):
            mine = found.get(one.plan_hash)
            found[one.plan_hash] = one if mine is None else _merged(mine, one)
    return sorted(found.values(), key=lambda one: (one.last_seen_at, one.plan_hash), reverse=True)[:limit]


def _merged(mine: KeptPlan, other: KeptPlan) -> KeptPlan:
    newest = mine if mine.last_seen_at >= other.last_seen_at else other
    return replace(newest, first_seen_at=min(mine.first_seen_at, other.first_seen_at))


def _written(database: Database, fingerprint: str, limit: int) -> list[KeptPlan]:
    statement = (
        sa.select(
            *(PLAN.c[name] for name in ("fingerprint", "plan_hash", "query", "parameters", "database_ms")),
            *(PLAN.c[name] for name in ("first_seen_at", "last_seen_at")),
            PLAN.c.plan.label("document"),
            STATEMENT.c.sql,
            STATEMENT.c.queryid,
        )
        .join(STATEMENT, STATEMENT.c.fingerprint == PLAN.c.fingerprint)
        .where(PLAN.c.fingerprint == fingerprint)
        .order_by(PLAN.c.last_seen_at.desc(), PLAN.c.plan_hash)
        .limit(limit)
    )
    return [KeptPlan(**{**one, "parameters": one["parameters"] or {}}) for one in _rows(database, statement)]


def _run(window: Window, monitor: Monitor, names: Sequence[str]) -> sa.FromClause:
    wanted = ("fingerprint", "outcome", "database_ms", "fetch_ms", *names)
    return recorded(window, monitor, wanted, only=lambda one: one.outcome == "miss" and one.fingerprint is not None)


def _is_run(log: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(log.c.outcome == "miss", log.c.fingerprint.is_not(None))


def _rows(database: Database, statement: sa.Select[Any]) -> list[dict[str, Any]]:
    timeout_s = database.settings.statement_timeout_s
    try:
        with database.reading(Scope.all_tenants(), timeout_s) as connection:
            return [dict(one) for one in connection.execute(statement).mappings()]
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error
