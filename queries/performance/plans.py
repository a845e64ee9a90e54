"""PostgreSQL's plan for a question with its own parameters: estimated, or measured when somebody asks for that.

Parameters are bound, so that the plan is that of these very values; a generic plan misleads. EXPLAIN plans and runs
nothing. With ANALYZE the statement is run: one SELECT that calls nothing volatile, in a read-only transaction with the
statement timeout, which is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from queries.database import Database
from queries.errors import ArgumentError, UsageDashboardError, translated
from queries.execution import checked_statement
from queries.performance.monitor import fingerprint, masked
from queries.performance.plan_masking import hidden_values, without_hidden
from queries.performance.plan_shape import plan_hash
from queries.performance.sql_text import hidden_parameters, refuse_all_but_one_select, with_types
from queries.query import Query
from queries.scope import Scope

_ESTIMATE = "EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) "
_MEASURE = "EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS, ANALYZE, BUFFERS) "
# Volatile, and harmless all the same.
_HARMLESS = ("random", "clock_timestamp", "timeofday", "gen_random_uuid", "pg_sleep")
_VOLATILE = sa.text(
    "SELECT proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND proname = ANY(:names) ORDER BY proname LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What EXPLAIN (FORMAT JSON) printed, and for what: the statement as it is sent, and its parameters, masked, there
    and in the conditions of the plan.

    `plan_hash` is of the plan's shape: the same statement has the same one with other values, until it is carried out
    in another way. `queryid` is the server's own number for the statement, where it computes one.
    """

    document: Mapping[str, Any]
    sql: str
    queryid: int | None
    plan_hash: str
    fingerprint: str | None
    parameters: Mapping[str, Any]

    @property
    def is_measured(self) -> bool:
        return "Actual Loops" in self.document.get("Plan", {})


class _Explained(sa.Executable, sa.ClauseElement):
    """EXPLAIN before a statement."""

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any] | sa.CompoundSelect[Any], command: str) -> None:
        self.statement, self.command = statement, command


@compiles(_Explained, "postgresql")
def _compiled(element: _Explained, compiler: SQLCompiler, **options: Any) -> str:
    return f"{element.command}{compiler.process(element.statement, **options)}"


def explain(database: Database, query: Query, *, analyze: bool = False) -> Plan:
    """The plan of a question. The statement is held to its tenants like one that is run."""
    statement = checked_statement(database, query)
    command = _MEASURE if analyze else _ESTIMATE
    with _reading(database, query.scope) as connection:
        if analyze:
            _refuse_unsafe(connection, _text_of(statement, connection))
        answered = connection.execute(_Explained(statement, command))
        sent: Any = answered.context
        parameters = dict(sent.compiled_parameters[0]) if sent.compiled_parameters else {}
        return _plan(answered.scalar_one(), str(sent.statement).removeprefix(command), parameters)


def explain_sql(database: Database, sql: str, parameters: Mapping[str, Any], *, analyze: bool = False) -> Plan:
    """The plan of a logged statement (`%(name)s`) with the parameters that were logged. ArgumentError where they were
    masked, or when it is not one SELECT. It reads all tenants: for those who may."""
    refuse_all_but_one_select(sql)
    if hidden := hidden_parameters(sql, parameters):
        raise ArgumentError(
            f"the log does not keep the value of {hidden[0]}; open the page that asks this once more, then come back"
        )
    command = _MEASURE if analyze else _ESTIMATE
    with _reading(database, Scope.all_tenants()) as connection:
        if analyze:
            _refuse_unsafe(connection, sql)
        values = {name: with_types(one) for name, one in parameters.items()}
        answered = connection.exec_driver_sql(f"{command}{sql}", values)
        return _plan(answered.scalar_one(), sql, parameters)


@contextmanager
def _reading(database: Database, scope: Scope) -> Iterator[sa.Connection]:
    timeout_s = database.settings.statement_timeout_s
    try:
        with database.reading(scope, timeout_s) as connection:
            yield connection
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error


def _text_of(statement: sa.Select[Any] | sa.CompoundSelect[Any], connection: sa.Connection) -> str:
    return str(statement.compile(connection, compile_kwargs={"render_postcompile": True}))


def _refuse_unsafe(connection: sa.Connection, sql: str) -> None:
    """What a read-only transaction does not undo is done by volatile functions: locks, signals, other databases."""
    called = sorted(refuse_all_but_one_select(sql).difference(_HARMLESS))
    volatile = connection.scalar(_VOLATILE, {"names": called})
    if volatile is not None:
        raise ArgumentError(f"this statement calls {volatile}(), which may do more than read; it is not run from here")


def _plan(printed: Any, sql: str, parameters: Mapping[str, Any]) -> Plan:
    kept = masked(parameters)
    document: Mapping[str, Any] = without_hidden(printed[0], hidden_values(parameters, kept))
    queryid = document.get("Query Identifier")
    return Plan(
        document=document,
        sql=sql,
        queryid=queryid if isinstance(queryid, int) else None,
        plan_hash=plan_hash(document),
        fingerprint=fingerprint(sql),
        parameters=kept,
    )
