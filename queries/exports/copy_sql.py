"""The SQL of an export: the rows as CSV text by PostgreSQL itself, and what the second statement counts and sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect

from queries.errors import ArgumentError
from queries.exports.guarding import guarded_sql
from queries.exports.reports import Column, Order
from queries.guard import refuse_unscoped
from queries.tables import Tables

_DIALECT: Any = psycopg_dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
# Always as many digits: readers take the form of the first for that of all.
_ISO_UTC = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
# What Excel can hold in one cell, counted in UTF-16 as Excel does.
XLSX_CELL_LENGTH = 32_767
_BEYOND_16_BITS = "[^\U00010000-\U0010ffff]"


def select_of(tables: Tables, order: Order) -> sa.Select[Any]:
    """The report's rows, held to the order's tenants."""
    select = order.what.select
    if select is None:
        raise ArgumentError(f"the report {order.report} is made by the dashboard; hand its rows over")
    statement = select(tables, order.scope, order)
    refuse_unscoped(statement, order.scope)
    assert [one.name for one in statement.selected_columns] == list(order.what.header), "the report's columns"
    return statement


def rendered(select: sa.Select[Any], order: Order, *, guard: bool, limit: int | None = None) -> sa.Select[Any]:
    """The rows as CSV wants them: ISO times in UTC, texts guarded if wanted. Numbers are left to PostgreSQL, which
    writes plain digits. Each row passes once it has its place, so only rows that are wanted cost anything."""
    rows = select.subquery("rows")
    return sa.select(*(_cell(rows.c[one.name], one, guard).label(one.name) for one in order.what.columns)).limit(limit)


def counted_and_summed(select: sa.Select[Any], order: Order) -> sa.Select[Any]:
    """One row: how many rows, and the exact sum of each summed column."""
    rows = select.order_by(None).subquery("rows")
    sums = [sa.func.coalesce(sa.func.sum(rows.c[one.name]), 0).label(one.name) for one in order.what.summed]
    return sa.select(sa.func.count().label("rows_counted"), *sums).select_from(rows)


def measured_for_xlsx(select: sa.Select[Any], order: Order) -> sa.Select[Any]:
    """One row: how many rows, the bytes of the longest text, and the sum of each row's longest. Bytes are known without
    reading a text, and in UTF-16 it has no more units than bytes."""
    rows, texts = _texts(select, order)
    longest = sa.func.greatest(0, *(sa.func.octet_length(one) for one in texts))
    return sa.select(
        sa.func.count().label("rows_counted"),
        sa.func.coalesce(sa.func.max(longest), 0).label("longest_bytes"),
        sa.func.coalesce(sa.func.sum(longest), 0).label("sum_bytes"),
    ).select_from(rows)


def longest_for_xlsx(select: sa.Select[Any], order: Order) -> sa.Select[Any]:
    """One row: the longest text as Excel counts it, which takes reading those that have more bytes than fit."""
    rows, texts = _texts(select, order)
    lengths = [
        sa.case((sa.func.octet_length(one) >= XLSX_CELL_LENGTH, sa.func.char_length(one) + _beyond(one)), else_=0)
        for one in texts
    ]
    return sa.select(sa.func.max(sa.func.greatest(0, *lengths)).label("longest_text")).select_from(rows)


def _texts(select: sa.Select[Any], order: Order) -> tuple[sa.Subquery, list[sa.ColumnElement[Any]]]:
    rows = select.order_by(None).subquery("rows")
    return rows, [rows.c[one.name] for one in order.what.columns if one.kind == "text"]


def _beyond(text: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """How many of its characters take two units of UTF-16."""
    return sa.func.char_length(sa.func.regexp_replace(text, _BEYOND_16_BITS, "", "g"))


def sent(statement: sa.Select[Any]) -> tuple[str, Mapping[str, Any]]:
    """The statement as psycopg takes it, and its parameters."""
    compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    parameters = compiled.construct_params()
    for name, bind in compiled.binds.items():
        process = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) if name in parameters else None
        if process is not None:
            parameters[name] = process(parameters[name])
    return str(compiled), parameters


def copy_command(sql: str, order: Order) -> str:
    """COPY of the statement as CSV. Texts are always quoted: an empty text is "" and a missing one is nothing."""
    texts = ", ".join(f'"{one.name}"' for one in order.what.columns if one.kind == "text")
    return f"COPY ({sql}) TO STDOUT (FORMAT csv, FORCE_QUOTE ({texts}))"


def _cell(value: sa.ColumnElement[Any], column: Column, guard: bool) -> sa.ColumnElement[Any]:
    if column.kind == "timestamp":
        return sa.func.to_char(sa.func.timezone("UTC", value), _ISO_UTC, type_=sa.Text())
    return guarded_sql(value) if column.kind == "text" and guard else value
