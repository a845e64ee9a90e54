"""Frames made complete: every bucket of the period, for every series, 0 where nothing happened (a percentile: null)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from queries.errors import PeriodError
from queries.period import Period, bucket_date

PLACE = "place"
ALL = "All"
_SERIES = (PLACE, "series_id", "series")
# What is unknown where nothing happened: a percentile of nothing is not 0.
_UNKNOWN = ("p50_ms", "p95_ms", "p99_ms")
_INSTANT = pa.timestamp("us", "UTC")
# The place of each row's series; null is "Other", which comes last.
Places = list[int | None]


def every_bucket(frame: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """One row per bucket that has begun, in order; `bucket_start` is the start of the whole bucket, as an instant."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return _frame(_filled(table, arguments["period"], places=[0] * table.num_rows))


def every_bucket_and_series(frame: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """One row per bucket and series, by bucket, then by the place of the series, which is used up. Rows that were not
    split are one series, "All", also where there is none."""
    if PLACE not in frame.columns:
        whole = every_bucket(frame, arguments)
        for name, label in (("series", ALL), ("series_id", None)):
            whole.insert(1, name, pd.Series([label] * len(whole), dtype=pd.ArrowDtype(pa.string())))
        return whole
    table = pa.Table.from_pandas(unique_labels(frame), preserve_index=False)
    return _frame(_filled(table, arguments["period"], places=table.column(PLACE).to_pylist()).drop_columns(PLACE))


def unique_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Series of the same label, such as two users of one name, told apart by their ids."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    named = dict.fromkeys(zip(*(table.column(one).to_pylist() for one in _SERIES), strict=True))
    labels: dict[Any, str] = {}
    for place, series_id, label in sorted(named, key=lambda one: (one[0] is not None, one[0])):
        taken = set(labels.values())
        tries = (label, f"{label} · {series_id}", f"{label} · {series_id} · {place}")
        labels[place] = next((one for one in tries if one not in taken), tries[-1])
    fresh = [labels[place] for place in table.column(PLACE).to_pylist()]
    column = table.schema.get_field_index("series")
    return _frame(table.set_column(column, "series", pa.array(fresh, table.schema.field("series").type)))


def without_place(frame: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:  # noqa: ARG001 - a finish's form
    """The rows as they are, with labels that are unique and without the place that ordered them."""
    return unique_labels(frame).drop(columns=PLACE)


def _filled(table: pa.Table, period: Period, places: Places) -> pa.Table:
    starts = [one.local_start.astimezone(UTC) for one in period.buckets()]
    wanted: Places = sorted(set(places), key=lambda one: (one is None, one))
    if not wanted and PLACE not in table.column_names:
        wanted = [0]
    rows = _rows_of_grid(table.column("bucket_start").to_pylist(), places, starts, wanted, period)
    first_rows = [places.index(one) for one in wanted] if table.num_rows else []
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if name == "bucket_start":
            columns[name] = pa.array(np.repeat(np.array(starts, dtype=object), len(wanted)), _INSTANT)
        elif name in _SERIES:
            columns[name] = column.take(pa.array(first_rows * len(starts), pa.int64()))
        elif name in _UNKNOWN:
            columns[name] = column.take(rows)
        else:
            columns[name] = column.take(rows).fill_null(pa.scalar(0).cast(column.type))
    return pa.table(columns)


def _rows_of_grid(
    found: list[datetime], places: Places, starts: list[datetime], wanted: Places, period: Period
) -> pa.Array:
    """The row of each cell of the grid (bucket by series), null where there is none."""
    slots = {_name(start, period): number for number, start in enumerate(starts)}
    columns = {place: number for number, place in enumerate(wanted)}
    grid = np.full(len(starts) * len(wanted), -1, dtype=np.int64)
    for row, (start, place) in enumerate(zip(found, places, strict=True)):
        slot = slots.get(_name(start, period))
        cell = None if slot is None else slot * len(wanted) + columns[place]
        if cell is None or grid[cell] >= 0:
            raise PeriodError(
                f"this server and the database disagree on the clock changes of {period.zone}; bring the time zone"
                " data of both up to date (PostgreSQL's minor version, the package tzdata), or choose another zone"
            )
        grid[cell] = row
    return pa.array(grid, mask=grid < 0)


def _name(start: datetime, period: Period) -> object:
    """What a bucket is recognised by. When clocks go back at midnight, PostgreSQL starts the day at the second
    midnight and Python at the first: days and longer are one and the same by their local date."""
    return start if period.grain in ("minute", "hour") else bucket_date(start, period.grain, period.zone)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
