"""CSV: plain for machines, or with a byte order mark and CRLF as spreadsheets like it; compressed or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np

from queries.exports.canonical import Sums, header_line, lines_of, parsed, row_ends
from queries.exports.reports import Order
from queries.exports.sink import Gzip, Sink

CHUNK_BYTES = 256 * 1024
_BOM = b"\xef\xbb\xbf"
_LF, _CRLF = b"\n", b"\r\n"


class CsvFile:
    """`is_guarded`: PostgreSQL has done it, and rows pass as they come."""

    def __init__(self, order: Order, sink: Sink, *, is_guarded: bool) -> None:
        self._columns = order.what.columns
        self._header = header_line(order.what)
        self._is_for_excel = order.dialect == "excel"
        self._passes, self._guards = is_guarded, order.guards
        self._gzip = Gzip(sink.write) if order.format == "csv.gz" else None
        self._write: Callable[[bytes], object] = self._gzip.write if self._gzip is not None else sink.write
        self._sums = Sums(order.what)

    @property
    def sums(self) -> Mapping[str, Decimal] | None:
        return None if self._passes else self._sums.found

    def begin(self) -> None:
        self._write(_BOM + self._header.replace(_LF, _CRLF) if self._is_for_excel else self._header)
        if self._gzip is not None:
            self._gzip.begin()

    def add(self, chunk: bytes, rows: int) -> None:
        if not self._passes:
            texts = parsed(chunk, self._columns, {})
            self._sums.add(texts)
            chunk = lines_of(texts, self._columns, guard=True) if self._guards else chunk
        self._write(with_crlf(chunk, rows) if self._is_for_excel else chunk)

    def end(self) -> None:
        if self._gzip is not None:
            self._gzip.end()

    def give_up(self) -> None:
        """Nothing is open."""


def with_crlf(chunk: bytes, rows: int) -> bytes:
    """Rows that end with LF as rows that end with CRLF; line feeds within a text stay as they are."""
    if chunk.count(_LF) == rows:
        return chunk.replace(_LF, _CRLF)
    return np.insert(np.frombuffer(chunk, np.uint8), np.flatnonzero(row_ends(chunk)), _CRLF[0]).tobytes()
