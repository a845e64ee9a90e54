"""What the advisor is asked about: the statements that were logged, each with parameters for several tenants, and if
wished those that the server counted.

A question about one tenant is made anew for the median, the biggest, the smallest and a tenant without rows; one about
all tenants, or some, has one set of parameters. What only the log of another process knows cannot be made anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

import pglast
import sqlalchemy as sa
from pglast import ast

import queries.catalog  # noqa: F401 - makes every question known to CATALOG
from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.execution import checked_statement
from queries.performance import server_statements
from queries.performance.advice import Statement, TenantKind
from queries.performance.monitor import Monitor, fingerprint
from queries.performance.recorded import Reading, Window, in_database, read, recorded, shown
from queries.performance.sql_text import numbered
from queries.query import CATALOG, Query
from queries.scope import Scope
from queries.tables import facts

Source = Literal["ours", "server"]
"""ours: what the dashboard asked. server: that, and what pg_stat_statements has of others."""
MOST_STATEMENTS = 60
MOST_SERVER_STATEMENTS = 40
_ABSENT_TEXT = "no such tenant"
_ADVISED = (ast.SelectStmt, ast.UpdateStmt, ast.DeleteStmt)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a statement of the workload comes from: a question as it was asked last, or the server's own count."""

    query: str
    fingerprint: str | None
    question: Query | None
    calls: int
    mean_ms: float
    sql: str

    @property
    def is_ours(self) -> bool:
        return self.question is not None


@dataclass(frozen=True, slots=True)
class Workload:
    """The statements, where each comes from by its name, and the logged questions that could not be made anew."""

    statements: list[Statement]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    server: server_statements.State | None = None


def logged_statements(database: Database, monitor: Monitor, window: Window, source: Source = "ours") -> list[Statement]:
    """The statements of the window for the advisor."""
    return logged(database, monitor, window, source).statements


def logged(database: Database, monitor: Monitor, window: Window, source: Source = "ours") -> Workload:
    """The same with all that is known about them. Only errors of queries.errors are raised."""
    days = max(1.0, (window.end - window.start).total_seconds() / 86_400)
    tenants = tenants_by_size(database)
    statements: list[Statement] = []
    origins: dict[str, Origin] = {}
    unknown: dict[str, None] = {}
    for row in _calls(database, monitor, window):
        question = _question(monitor, row)
        if question is None:
            unknown[row["query"]] = None
            continue
        name = _free_name(row["query"], origins)
        made = _statement(database, name, question, tenants, calls_per_day=row["calls"] / days, mean_ms=row["mean_ms"])
        statements.append(made)
        origins[name] = Origin(row["query"], row["fingerprint"], question, row["calls"], row["mean_ms"], made.sql)
    state = None
    if source == "server":
        state, theirs = _of_server(database)
        for statement, origin in theirs:
            statements.append(statement)
            origins[statement.name] = origin
    known = {one.query for one in origins.values()}
    return Workload(statements, origins, tuple(sorted(set(unknown) - known)), state)


def as_sent(database: Database, question: Query) -> tuple[str, dict[str, Any]]:
    """The question's statement with `%(name)s` parameters and their values, as the driver gets them."""
    statement = checked_statement(database, question)
    compiled: Any = statement.compile(dialect=database.reader.dialect, compile_kwargs={"render_postcompile": True})
    processors = compiled._bind_processors
    values = {
        name: processors[name](value) if name in processors and not isinstance(value, list | tuple) else value
        for name, value in compiled.construct_params().items()
    }
    return str(compiled), values


def _statement(
    database: Database,
    name: str,
    question: Query,
    tenants: Mapping[TenantKind, str],
    *,
    calls_per_day: float,
    mean_ms: float,
) -> Statement:
    sql, values = as_sent(database, question)
    text, names = numbered(sql)
    parameters: dict[TenantKind, tuple[Any, ...]] = {}
    for kind, other in _for_kinds(question, tenants).items():
        other_sql, other_values = as_sent(database, other)
        if other_sql == sql:  # an id that cannot be of the column's type makes another statement
            parameters[kind] = tuple(other_values[one] for one in names)
    parameters = parameters or {"biggest": tuple(values[one] for one in names)}
    return Statement(
        name=name,
        sql=text,
        parameters=parameters,
        calls_per_day=calls_per_day,
        constants=_constants(names, values, question),
        mean_ms=mean_ms,
    )


def _for_kinds(question: Query, tenants: Mapping[TenantKind, str]) -> dict[TenantKind, Query]:
    if question.scope.ids is None or len(question.scope.ids) != 1:
        return {"biggest": question}
    function = CATALOG[question.name].function
    return {kind: function(Scope.of([tenant]), **question.arguments) for kind, tenant in tenants.items()}


def _constants(names: Sequence[str], values: Mapping[str, Any], question: Query) -> frozenset[int]:
    """The numbers of the parameters that the code always sends: words that are neither a tenant's id nor an argument
    of the question. A time or a number may be reckoned from an argument, so it is not taken for one."""
    given = {*_flat(list(question.arguments.values())), *question.scope.ordered_ids}
    return frozenset(
        number
        for number, name in enumerate(names, start=1)
        if _words(values[name]) and not given.intersection(_words(values[name]))
    )


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return tuple(value)
    return ()


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [inner for one in value for inner in _flat(one)]
    return [value] if isinstance(value, str | int | float | date | datetime) else []


def _calls(database: Database, monitor: Monitor, window: Window) -> list[dict[str, Any]]:
    """What was run in the window by question and statement, and the newest and the slowest run of each."""
    runs = recorded(window, monitor, ("query", "outcome", "fingerprint", "parameters_hash", "database_ms", "fetch_ms"))
    spent = in_database(runs)
    newest = sa.func.array_agg(sa.dialects.postgresql.aggregate_order_by(runs.c.parameters_hash, runs.c.at.desc()))
    slowest = sa.func.array_agg(sa.dialects.postgresql.aggregate_order_by(runs.c.parameters_hash, spent.desc()))
    statement = (
        sa.select(
            runs.c.query,
            runs.c.fingerprint,
            sa.func.count().label("calls"),
            sa.func.avg(spent).label("mean_ms"),
            slowest[1].label("slowest"),
            newest[1].label("newest"),
        )
        .where(runs.c.outcome == "miss", runs.c.fingerprint.is_not(None))
        .group_by(runs.c.query, runs.c.fingerprint)
        .order_by(sa.func.sum(spent).desc(), runs.c.query, runs.c.fingerprint)
        .limit(MOST_STATEMENTS)
    )
    frame = read(database, Reading("performance.workload", statement, shown(window))).frame
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _question(monitor: Monitor, row: Mapping[str, Any]) -> Query | None:
    """The question behind a row, if this process knows one: the slowest, else the newest, else another of its name
    when that is sent as the same statement."""
    for hashed in (row["slowest"], row["newest"]):
        if (found := monitor.questions.of(hashed)) is not None:
            return found
    return None


def _free_name(query: str, taken: Mapping[str, Any]) -> str:
    """The question's name; numbered when it is sent as more than one statement (with a filter, without it)."""
    number = sum(one == query or one.startswith(f"{query} (") for one in taken) + 1
    return query if number == 1 else f"{query} ({number})"


def tenants_by_size(database: Database) -> dict[TenantKind, str]:
    """The median, the biggest and the smallest tenant by generations, and an id that nobody has."""
    fact = facts(database.tables())
    counted = sa.select(fact.c.tenant_id, sa.func.count().label("rows")).group_by(fact.c.tenant_id).subquery()
    in_order = sa.select(counted.c.tenant_id).order_by(counted.c.rows, counted.c.tenant_id)
    timeout_s = database.settings.statement_timeout_s
    try:
        with database.reading(Scope.all_tenants(), timeout_s) as connection:
            ids = [str(one) for one in connection.scalars(in_order)]
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error
    absent = _absent(fact.c.tenant_id.type, ids)
    if not ids:
        return {"absent": absent}
    return {"median": ids[len(ids) // 2], "biggest": ids[-1], "smallest": ids[0], "absent": absent}


def _absent(type_: sa.types.TypeEngine[Any], ids: Sequence[str]) -> str:
    if isinstance(type_, sa.Uuid):
        return str(uuid.UUID(int=0))
    if isinstance(type_, sa.Integer):
        return "0" if "0" not in ids else str(max(map(int, ids)) + 1)
    return _ABSENT_TEXT


def _of_server(database: Database) -> tuple[server_statements.State, list[tuple[Statement, Origin]]]:
    """The application's own statements that took the most time; the server keeps no values of theirs."""
    state = server_statements.state(database)
    if not state.is_readable:
        return state, []
    frame = server_statements.top(database, "total_time", MOST_SERVER_STATEMENTS, whose="theirs")
    since = state.since or datetime.now(UTC)
    days = max(1.0, (datetime.now(UTC) - since).total_seconds() / 86_400)
    found = []
    for row in frame.to_dict("records"):
        sql = str(row["sql"])
        if not _is_advised(sql):
            continue
        name, calls, mean_ms = f"pg_stat_statements {row['queryid']}", int(row["calls"]), float(row["mean_ms"])
        statement = Statement(name=name, sql=sql, calls_per_day=calls / days, mean_ms=mean_ms)
        found.append((statement, Origin(name, fingerprint(sql), None, calls, mean_ms, sql)))
    return state, found


def _is_advised(sql: str) -> bool:
    """Whether it is one statement that searches tables; COPY, DDL and settings have no index to wish for."""
    try:
        parsed = pglast.parse_sql(sql)
    except pglast.parser.ParseError:
        return False
    if len(parsed) != 1 or not isinstance(parsed[0].stmt, _ADVISED):
        return False
    stmt = parsed[0].stmt
    return not isinstance(stmt, ast.SelectStmt) or bool(stmt.fromClause) or stmt.op != 0
