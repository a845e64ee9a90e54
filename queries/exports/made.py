"""Rows that the dashboard makes, as canonical CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from queries.errors import ArgumentError
from queries.exports.canonical import lines_of, plain
from queries.exports.reports import Kind, Report


@dataclass(frozen=True, slots=True)
class Made:
    """The rows of a report that the dashboard makes: the report's columns by name, and when the database was read."""

    table: pa.Table
    as_of: datetime


def canonical_of(made: Made, report: Report) -> bytes:
    """All rows as canonical CSV, without the header. ArgumentError when the columns are not the report's."""
    if tuple(made.table.column_names) != report.header:
        raise ArgumentError(f"these rows have not the columns of the report {report.name}; give them in its order")
    texts = {
        one.name: pa.array([_text(value, one.kind) for value in made.table.column(one.name).to_pylist()], pa.string())
        for one in report.columns
    }
    return lines_of(pa.table(texts), report.columns, guard=False)


def _text(value: Any, kind: Kind) -> str | None:
    return None if value is None else _TEXTS[kind](value)


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ArgumentError(f"a {type(value).__name__} is not an exact number; give integers or decimals")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ArgumentError("a number that is not finite has no digits; leave it out")
    return plain(value)


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ArgumentError("a time without a zone is not known to be UTC; give aware times")
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _date(value: date) -> str:
    return value.isoformat()


_TEXTS: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "integer": _number,
    "number": _number,
    "timestamp": _moment,
    "date": _date,
}
