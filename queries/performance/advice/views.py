"""Views that the tables' owner may not read, remade for him in the transaction that is rolled back.

The reader role reads the application through views of ours; indexes can only be built by the tables' owner, who has no
right on these views. The same view as a temporary one gives him the same plans; likewise a function that it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from pglast import ast
from pglast.parser import scan
from psycopg import sql

from queries.performance.advice.conditions import unquoted
from queries.performance.advice.parsing import Parsed, UnreadableError, every, is_a, parse
from queries.performance.advice.planner import run

_VIEW = """
SELECT c.oid, pg_get_viewdef(c.oid), coalesce(c.reloptions @> ARRAY['security_barrier=true'], false)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'v'
AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
"""


_FUNCTION = """
SELECT pg_get_functiondef(p.oid)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.proname = %s AND p.prokind = 'f'
AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))
"""


def readable(connection: psycopg.Connection[Any], statements: Sequence[Parsed]) -> dict[int, str]:
    """The statements' texts by place, each reading temporary views where this role may not read the true ones."""
    made: dict[tuple[str, str], bool] = {}
    texts = {}
    for place, one in enumerate(statements):
        ranges = [node for node in every(one.tree) if is_a(node, ast.RangeVar) and node.schemaname]
        for key in [(node.schemaname, node.relname) for node in ranges]:
            if key not in made:
                made[key] = _remade(connection, *key)
        texts[place] = _replaced(one.text, {key for key, is_made in made.items() if is_made})
    return texts


def _remade(connection: psycopg.Connection[Any], schema: str, name: str) -> bool:
    """Make a temporary view like this one, unless it may be read as it is. Whether there is one now."""
    with connection.cursor() as cursor:
        cursor.execute(_VIEW, (schema, name), prepare=False)
        row = cursor.fetchone()
        if row is None:
            return False
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND relnamespace = pg_my_temp_schema())",
            (name,),
            prepare=False,
        )
        known = cursor.fetchone()
    if known is not None and not known[0]:
        barrier = sql.SQL(" WITH (security_barrier = true)" if row[2] else "")
        try:
            with connection.transaction():
                definition = sql.SQL(_with_functions(connection, row[1]))
                run(connection, sql.SQL("CREATE TEMP VIEW {}{} AS ").format(sql.Identifier(name), barrier) + definition)
        except psycopg.errors.InsufficientPrivilege:
            raise UnreadableError(f"the tables' owner may not read what is behind {schema}.{name}") from None
    return True


def _with_functions(connection: psycopg.Connection[Any], definition: str) -> str:
    """The view's text, calling temporary functions like those that this role may not call."""
    called = {
        (str(one.funcname[0].sval), str(one.funcname[1].sval))
        for one in every(parse(definition))
        if is_a(one, ast.FuncCall) and len(one.funcname) > 1
    }
    made = set()
    for key in sorted(called):
        with connection.cursor() as cursor:
            cursor.execute(_FUNCTION, key, prepare=False)
            row = cursor.fetchone()
        if row is not None:
            run(connection, sql.SQL(_replaced(row[0], {key})))
            made.add(key)
    return _replaced(definition, made)


def _replaced(text: str, names: set[tuple[str, str]]) -> str:
    """The text with each `schema.name` of these read from the temporary schema, also before a column's name."""
    if not names:
        return text
    tokens = list(scan(text))
    words = [text[token.start : token.end + 1] for token in tokens]
    pieces: list[str] = []
    end = 0
    for place in range(len(tokens) - 2):
        named = (unquoted(words[place]), unquoted(words[place + 2]))
        if words[place + 1] == "." and named in names:
            pieces += [text[end : tokens[place].start], "pg_temp"]
            end = tokens[place].end + 1
    return "".join([*pieces, text[end:]])
