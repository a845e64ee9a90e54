"""A logical table that is a SELECT over theirs: SQLAlchemy's table to whoever builds a statement, parentheses in it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles


class DerivedTable(sa.Table):
    """A table whose rows are those of `sql`, a SELECT with one column for each of the table's."""

    sql: str

    @classmethod
    def of(cls, name: str, sql: str, *columns: sa.Column[Any], info: dict[str, Any]) -> DerivedTable:
        made = cls(name, sa.MetaData(), *columns, info=info)
        made.sql = sql
        return made


def as_source(sql: str) -> str:
    """A SELECT as it stands in FROM: on lines of its own, because a comment may end it."""
    return f"(\n{sql}\n)"


def quoted(name: str) -> str:
    """A name of their catalog as an identifier."""
    return '"' + name.replace('"', '""') + '"'


@compiles(DerivedTable)
def _compiled(
    table: DerivedTable,
    compiler: Any,
    *,
    asfrom: bool = False,
    enclosing_alias: Any = None,
    from_linter: Any = None,
    **options: Any,
) -> str:
    if not asfrom:
        return str(compiler.visit_table(table, from_linter=from_linter, **options))
    if from_linter:
        from_linter.froms[table] = table.fullname
    preparer = compiler.preparer
    source = as_source(table.sql)
    # The driver takes a lone percent sign for the start of a parameter.
    source = source.replace("%", "%%") if preparer._double_percents else source
    if enclosing_alias is not None and enclosing_alias.element is table:
        return source
    return f"{source} AS {preparer.quote(table.name)}"
