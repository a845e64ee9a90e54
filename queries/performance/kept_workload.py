"""The logged workload as the database keeps it, for a process that answered none of it: texts from `statement`, values
and times from the query log.

Values that the log hides, or only counts, cannot be sent again: such a run is passed over, and a statement of which no
other run is kept is named as unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from queries.database import Database
from queries.performance.advice import Statement, TenantKind
from queries.performance.monitor import utc_now
from queries.performance.recorded import LOG, Reading, in_database, read
from queries.performance.sql_text import numbered
from queries.performance.workload import MOST_STATEMENTS, tenants_by_size
from queries.tables import OUR_SCHEMA

KEPT = sa.table("statement", sa.column("fingerprint"), sa.column("sql"), schema=OUR_SCHEMA)
_RUNS_TRIED = 5
# Tenants' ids are bound by this name (Scope.predicate).
_TENANTS = "tenants_"
# What stands in the log for a text of a person's, and for a long list.
_NOT_KEPT = re.compile(r"\(hidden\)|\(\d+ values\)")


@dataclass(frozen=True, slots=True)
class Kept:
    """The statements, and the questions whose text or values are not kept."""

    statements: list[Statement]
    unknown: tuple[str, ...] = ()


def kept_statements(database: Database, hours: int) -> Kept:
    """What was run in the last hours by each statement, the dearest first. Only errors of queries.errors are raised."""
    rows = _rows(database, hours)
    tenants = tenants_by_size(database) if rows else {}
    statements: list[Statement] = []
    unknown: dict[str, None] = {}
    for row in rows:
        made = _statement(row, tenants, hours, [one.name for one in statements])
        if made is None:
            unknown[str(row["query"])] = None
        else:
            statements.append(made)
    return Kept(statements, tuple(sorted(unknown)))


def _rows(database: Database, hours: int) -> list[Mapping[str, Any]]:
    spent = in_database(LOG)
    values = sa.cast(LOG.c.parameters, sa.Text)
    slowest = sa.func.array_agg(aggregate_order_by(values, spent.desc()), type_=sa.ARRAY(sa.Text()))
    runs = (
        sa.select(
            LOG.c.query,
            LOG.c.fingerprint,
            sa.func.count().label("calls"),
            sa.func.avg(spent).label("mean_ms"),
            slowest[1:_RUNS_TRIED].label("parameters"),
        )
        .where(LOG.c.outcome == "miss", LOG.c.fingerprint.is_not(None), LOG.c.at >= utc_now() - timedelta(hours=hours))
        .group_by(LOG.c.query, LOG.c.fingerprint)
        .order_by(sa.func.sum(spent).desc(), LOG.c.query, LOG.c.fingerprint)
        .limit(MOST_STATEMENTS)
        .subquery("runs")
    )
    statement = sa.select(runs, KEPT.c.sql).outerjoin(KEPT, KEPT.c.fingerprint == runs.c.fingerprint)
    frame = read(database, Reading("performance.kept_workload", statement, {"hours": hours})).frame
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _statement(
    row: Mapping[str, Any], tenants: Mapping[TenantKind, str], hours: int, taken: Sequence[str]
) -> Statement | None:
    """The statement with the values of its slowest run that is kept whole; None when there is none."""
    if not isinstance(row["sql"], str):
        return None
    text, names = numbered(row["sql"])
    values = next((found for one in row["parameters"] if (found := _whole(one, names)) is not None), None)
    if values is None:
        return None
    return Statement(
        name=_free_name(str(row["query"]), taken),
        sql=text,
        parameters=_for_kinds(names, values, tenants),
        calls_per_day=float(row["calls"]) * 24 / max(hours, 24),
        mean_ms=float(row["mean_ms"]),
    )


def _whole(parameters: str, names: Sequence[str]) -> dict[str, Any] | None:
    """The values by name; None when one was hidden or counted, or is not there."""
    given = json.loads(parameters)
    if not isinstance(given, dict) or any(name not in given for name in names):
        return None
    values = [one for name in names for one in (given[name] if isinstance(given[name], list) else [given[name]])]
    return None if any(isinstance(one, str) and _NOT_KEPT.fullmatch(one) for one in values) else given


def _for_kinds(
    names: Sequence[str], values: Mapping[str, Any], tenants: Mapping[TenantKind, str]
) -> dict[TenantKind, tuple[Any, ...]]:
    """Values for each kind of tenant where the statement reads one tenant; else those that were sent."""
    asked = [values[name] for name in names if name.startswith(_TENANTS)]
    if not asked or any(not isinstance(one, list) or len(one) != 1 for one in asked):
        return {"biggest": tuple(values[name] for name in names)}
    return {
        kind: tuple([tenant] if name.startswith(_TENANTS) else values[name] for name in names)
        for kind, tenant in tenants.items()
    }


def _free_name(query: str, taken: Sequence[str]) -> str:
    number = sum(one == query or one.startswith(f"{query} (") for one in taken) + 1
    return query if number == 1 else f"{query} ({number})"
