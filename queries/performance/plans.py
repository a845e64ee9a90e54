"""PostgreSQL's plan for a question with its own parameters. It is estimated, never run."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.execution import checked_statement
from queries.query import Query


class _Explained(sa.Executable, sa.ClauseElement):
    """EXPLAIN before a statement."""

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> None:
        self.statement = statement


@compiles(_Explained, "postgresql")
def _compiled(element: _Explained, compiler: SQLCompiler, **options: Any) -> str:
    # Bound parameters give the plan for these very values; a generic plan misleads.
    return f"EXPLAIN {compiler.process(element.statement, **options)}"


def plan_of(database: Database, query: Query) -> str:
    """The plan as text, a line per node. The statement is held to its tenants like one that is run."""
    timeout_s = database.settings.statement_timeout_s
    statement = checked_statement(database, query)
    try:
        with database.reading(query.scope, timeout_s) as connection:
            return "\n".join(connection.execute(_Explained(statement)).scalars())
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error
