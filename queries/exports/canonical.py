"""Canonical rows: plain CSV with LF, unguarded, texts always quoted. What is frozen, and what other formats are made
from; cut into whole rows, taken apart into texts, and put together again byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from queries.errors import DatabaseError
from queries.exports.guarding import guarded_array
from queries.exports.reports import Column, Report

# Sums are exact: Python's own context would round them to 28 digits.
EXACT = Context(prec=1_000)
# What Arrow's decimals hold.
DIGITS = 38
_QUOTE, _LF = b'"', b"\n"
_PARSING = arrow_csv.ParseOptions(newlines_in_values=True)


def header_line(report: Report) -> bytes:
    """The columns' names, which never need quotes."""
    return ",".join(report.header).encode() + _LF


def whole_rows(pieces: Iterable[bytes], least_bytes: int) -> Iterator[bytes]:
    """Pieces cut anywhere as pieces of whole rows, each ending with the first row at or after so many bytes: they are
    the same however the given ones were cut. DatabaseError when the last row does not end."""
    buffer, scanned, quotes = bytearray(), 0, 0
    for piece in pieces:
        buffer += piece
        while (end := buffer.find(_LF, max(scanned, least_bytes - 1))) >= 0:
            # A line feed ends a row unless it stands in quotes.
            quotes += buffer.count(_QUOTE, scanned, end)
            scanned = end + 1
            if quotes % 2 == 0:
                yield bytes(buffer[:scanned])
                del buffer[:scanned]
                scanned = quotes = 0
        quotes += buffer.count(_QUOTE, scanned)
        scanned = len(buffer)
    if buffer:
        if quotes % 2 or not buffer.endswith(_LF):
            raise DatabaseError("the frozen rows end in the middle of one; close the month again from a backup")
        yield bytes(buffer)


def without_header(pieces: Iterable[bytes], report: Report) -> Iterator[bytes]:
    """The rows after a header, which must be the report's own."""
    waiting, header = iter(pieces), header_line(report)
    start = b""
    while len(start) < len(header) and (piece := next(waiting, None)) is not None:
        start += piece
    if not start.startswith(header):
        raise DatabaseError("the frozen file has other columns than this release writes; fetch it with the older one")
    yield start[len(header) :]
    yield from waiting


def rows_in(chunk: bytes) -> int:
    """How many rows end in it; line feeds in quotes end none."""
    return int(np.count_nonzero(row_ends(chunk)))


def row_ends(chunk: bytes) -> NDArray[np.bool_]:
    """For each byte of whole rows, whether it ends a row."""
    codes = np.frombuffer(chunk, np.uint8)
    # That the count of quotes overflows does not matter to whether it is even.
    is_outside = np.cumsum(codes == _QUOTE[0], dtype=np.uint8) % 2 == 0
    ends: NDArray[np.bool_] = (codes == _LF[0]) & is_outside
    return ends


def parsed(chunk: bytes, columns: Sequence[Column], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Whole rows as columns of these types, others as text. Nothing is a missing value, and "" an empty text."""
    converting = arrow_csv.ConvertOptions(
        column_types={one.name: types.get(one.name, pa.string()) for one in columns},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    reading = arrow_csv.ReadOptions(
        column_names=[one.name for one in columns], use_threads=False, block_size=len(chunk) + 1
    )
    return arrow_csv.read_csv(
        pa.BufferReader(chunk), read_options=reading, parse_options=_PARSING, convert_options=converting
    ).combine_chunks()


def lines_of(table: pa.Table, columns: Sequence[Column], *, guard: bool) -> bytes:
    """Columns of text as CSV rows with LF: what PostgreSQL's COPY writes for the same cells."""
    if not table.num_rows:
        return b""
    cells = [_cells(table.column(one.name).combine_chunks(), one, guard) for one in columns]
    ended = pc.binary_join_element_wise(cells[-1], "\n", "", null_handling="replace", null_replacement="")
    return joined(pc.binary_join_element_wise(*cells[:-1], ended, ",", null_handling="replace", null_replacement=""))


def _cells(texts: pa.Array, column: Column, guard: bool) -> pa.Array:
    if column.kind != "text":
        return texts
    safe = guarded_array(texts) if guard else texts
    return pc.binary_join_element_wise('"', pc.replace_substring(safe, '"', '""'), '"', "")


def joined(texts: pa.Array) -> bytes:
    """All texts one after the other, which is how Arrow keeps them."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)
    first, last = int(bounds[texts.offset]), int(bounds[texts.offset + len(texts)])
    return bytes(data.slice(first, last - first))


class Sums:
    """The exact sum of each summed column, over what passed, typed or as plain digits."""

    def __init__(self, report: Report) -> None:
        self.found: dict[str, Decimal] = {one.name: Decimal(0) for one in report.summed}

    def add(self, table: pa.Table) -> None:
        for name, so_far in self.found.items():
            self.found[name] = EXACT.add(so_far, exact_sum(table.column(name)))


def exact_sum(column: pa.ChunkedArray) -> Decimal:
    """The sum of numbers, or of texts that are plain digits; nothing counts 0."""
    values = pc.drop_null(column)
    if not len(values):
        return Decimal(0)
    if pa.types.is_string(values.type):
        point = pc.find_substring(values, ".")
        after = pc.subtract(pc.subtract(pc.binary_length(values), point), 1)
        values = pc.cast(values, pa.decimal128(DIGITS, pc.max(pc.if_else(pc.less(point, 0), 0, after)).as_py()))
    elif pa.types.is_integer(values.type):
        values = pc.cast(values, pa.decimal128(DIGITS, 0))
    return Decimal(pc.sum(values).as_py())


def plain(value: Decimal | int) -> str:
    """Plain digits, never an exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
