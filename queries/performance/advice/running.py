"""Which statements may be run to take their time: one SELECT that changes nothing, not even what no rollback undoes."""

from __future__ import annotations

from typing import Any

import psycopg
from pglast import ast

from queries.performance.advice.parsing import Parsed, every, is_a

# Volatile, and harmless all the same.
_HARMLESS = ("random", "clock_timestamp", "timeofday", "gen_random_uuid")
_VOLATILE = "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND proname = ANY(%s))"
_CHANGES = ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt | ast.MergeStmt | ast.LockingClause


def may_run(connection: psycopg.Connection[Any], parsed: Parsed) -> bool:
    """A rollback undoes rows, but no locks that others waited for, no sequence's step and no signal."""
    parts = list(every(parsed.tree))
    if any(is_a(one, _CHANGES) for one in parts):
        return False
    called = {one.funcname[-1].sval for one in parts if is_a(one, ast.FuncCall)}
    with connection.cursor() as cursor:
        cursor.execute(_VOLATILE, (sorted(called.difference(_HARMLESS)),), prepare=False)
        row = cursor.fetchone()
    return row is not None and not row[0]
