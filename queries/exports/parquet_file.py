"""Parquet: typed columns, in row groups of a few megabytes, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
from pyarrow import parquet

from queries.exports.canonical import DIGITS, Sums, parsed
from queries.exports.reports import Column, Order, Report
from queries.exports.sink import Sink

# Of each, a row group is made.
CHUNK_BYTES = 2**20


class ParquetFile:
    """`scales`: digits after the point of each number."""

    def __init__(self, order: Order, sink: Sink, *, scales: Mapping[str, int]) -> None:
        self._columns = order.what.columns
        self._types = types_of(order.what, scales)
        described = {"report": order.report, "schema_version": str(order.what.schema_version)}
        self._schema = pa.schema(list(self._types.items()), metadata=described)
        self._place = pa.PythonFile(sink, mode="w")
        self._writer: parquet.ParquetWriter | None = None
        self._sums = Sums(order.what)

    @property
    def sums(self) -> Mapping[str, Decimal] | None:
        return self._sums.found

    def begin(self) -> None:
        self._writer = parquet.ParquetWriter(self._place, self._schema, compression="zstd")

    def add(self, chunk: bytes, rows: int) -> None:
        assert self._writer is not None, "begun"
        table = parsed(chunk, self._columns, self._types).cast(self._schema)
        self._sums.add(table)
        self._writer.write_table(table, row_group_size=max(1, rows))
        del table
        # Twenty exports at once would each hold what the last row group of theirs took.
        pa.default_memory_pool().release_unused()

    def end(self) -> None:
        assert self._writer is not None, "begun"
        self._writer.close()

    def give_up(self) -> None:
        if self._writer is not None:
            self._writer.close()


def types_of(report: Report, scales: Mapping[str, int]) -> dict[str, pa.DataType]:
    """Each column's Arrow type."""
    return {one.name: _type(one, scales.get(one.name, 0)) for one in report.columns}


def _type(column: Column, scale: int) -> pa.DataType:
    return {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.decimal128(DIGITS, scale),
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
    }[column.kind]
