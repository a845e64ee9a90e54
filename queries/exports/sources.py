"""Where an export's rows come from: a snapshot of the database, or rows that are there already."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from queries.errors import DatabaseError
from queries.exports.canonical import EXACT, Sums, lines_of, parsed, rows_in, whole_rows, without_header
from queries.exports.copy_sql import (
    XLSX_CELL_LENGTH,
    counted_and_summed,
    longest_for_xlsx,
    measured_for_xlsx,
    rendered,
    select_of,
)
from queries.exports.made import Made, canonical_of
from queries.exports.reports import Order
from queries.exports.snapshot import Snapshot
from queries.tables import Tables

_CHUNK_BYTES = 2**20
# Texts of fewer bytes fit every cell of Excel.
_LONG_BYTES = 32_000


@dataclass(frozen=True, slots=True)
class Frozen:
    """A closed month's report as it was frozen: the canonical bytes of all tenants, in pieces cut anywhere, and the
    rows and sums that were recorded with them. `pieces` may be asked for more than once."""

    pieces: Callable[[], Iterator[bytes]]
    as_of: datetime
    closed_at: datetime
    rows: int
    sums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows, and the exact sum of each summed column."""

    rows: int
    sums: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What matters to Excel: rows, the longest text in UTF-16, and at most how many bytes all texts have."""

    rows: int
    longest_text: int
    text_bytes: int


class Source(Protocol):
    """Rows of one order, as of one moment."""

    @property
    def as_of(self) -> datetime: ...

    @property
    def guards(self) -> bool:
        """Whether it can hand out guarded rows itself."""

    def check(self) -> None:
        """Raise what is wrong before anything is written."""

    def chunks(
        self, least_bytes: int, *, guard: bool = False, limit: int | None = None
    ) -> Generator[tuple[bytes, int]]:
        """CSV with LF in pieces of whole rows, and how many rows each has."""

    def counted(self) -> Counted:
        """Rows and sums, found apart from the chunks."""

    def scales(self) -> Mapping[str, int]:
        """Digits after the point of each number."""

    def sheet(self) -> Sheet: ...


class DatabaseRows:
    """What the report's statement gives in a snapshot."""

    guards = True

    def __init__(self, snapshot: Snapshot, tables: Tables, order: Order) -> None:
        self._snapshot, self._order = snapshot, order
        self._select = select_of(tables, order)
        self.as_of = snapshot.as_of

    def check(self) -> None:
        self._snapshot.check(rendered(self._select, self._order, guard=self._order.guards))

    def chunks(
        self, least_bytes: int, *, guard: bool = False, limit: int | None = None
    ) -> Generator[tuple[bytes, int]]:
        return self._snapshot.chunks(
            rendered(self._select, self._order, guard=guard, limit=limit), self._order, least_bytes
        )

    def counted(self) -> Counted:
        row = self._snapshot.row(counted_and_summed(self._select, self._order))
        rows, known = row.pop("rows_counted"), self._known_scales()
        return Counted(rows, {name: _scaled(Decimal(value), known.get(name)) for name, value in row.items()})

    def scales(self) -> Mapping[str, int]:
        known = self._known_scales()
        numbers = [one.name for one in self._order.what.columns if one.kind == "number"]
        # A sum has as many digits after the point as the most exact of its numbers.
        return known if set(numbers) <= set(known) else {**_scales(self.counted().sums), **known}

    def _known_scales(self) -> dict[str, int]:
        types = {one.name: self._select.selected_columns[one.name].type for one in self._order.what.columns}
        return {name: scale for name, type_ in types.items() if (scale := _scale(type_)) is not None}

    def sheet(self) -> Sheet:
        row = self._snapshot.row(measured_for_xlsx(self._select, self._order))
        longest, texts = row["longest_bytes"], sum(one.kind == "text" for one in self._order.what.columns)
        if longest >= XLSX_CELL_LENGTH:
            longest = self._snapshot.row(longest_for_xlsx(self._select, self._order))["longest_text"]
        return Sheet(row["rows_counted"], longest, int(row["sum_bytes"]) * texts)


class KeptRows:
    """A closed month's frozen rows, or rows that the dashboard made; of some tenants only, if the order says so."""

    guards = False

    def __init__(self, kept: Frozen | Made, order: Order) -> None:
        self._order, self._kept = order, kept
        self._only = None if order.scope.ids is None else pa.array(order.scope.ordered_ids, pa.string())
        self._made = canonical_of(kept, order.what) if isinstance(kept, Made) else b""
        self.as_of = kept.as_of

    def check(self) -> None:
        """Rows that are there are right."""

    def chunks(
        self, least_bytes: int, *, guard: bool = False, limit: int | None = None
    ) -> Generator[tuple[bytes, int]]:
        assert not guard, "who writes them guards them"
        left = limit
        for whole in whole_rows(self._pieces(), least_bytes):
            chunk, rows = self._narrowed(whole)
            if left is not None and rows > left:
                columns = self._order.what.columns
                chunk, rows = lines_of(parsed(chunk, columns, {}).slice(0, left), columns, guard=False), left
            if rows:
                yield chunk, rows
            left = None if left is None else left - rows
            if left == 0:
                return

    def counted(self) -> Counted:
        if isinstance(self._kept, Frozen) and self._only is None:
            return Counted(self._kept.rows, self._recorded())
        rows, sums = 0, Sums(self._order.what)
        for chunk, more in self.chunks(_CHUNK_BYTES):
            sums.add(parsed(chunk, self._order.what.columns, {}))
            rows += more
        return Counted(rows, sums.found)

    def scales(self) -> Mapping[str, int]:
        if isinstance(self._kept, Frozen):
            return _scales(self._recorded())
        return _scales(self.counted().sums)

    def _recorded(self) -> dict[str, Decimal]:
        assert isinstance(self._kept, Frozen), "only a closed month has a record"
        return {one.name: Decimal(self._kept.sums[one.name]) for one in self._order.what.summed}

    def sheet(self) -> Sheet:
        rows = longest = size = 0
        names = [one.name for one in self._order.what.columns if one.kind == "text"]
        for chunk, more in self.chunks(_CHUNK_BYTES):
            rows += more
            table = parsed(chunk, self._order.what.columns, {})
            for texts in (pc.drop_null(table.column(name)) for name in names):
                size += pc.sum(pc.binary_length(texts)).as_py() or 0
                longest = max(longest, _longest(texts))
        return Sheet(rows, longest, size)

    def _pieces(self) -> Iterator[bytes]:
        if isinstance(self._kept, Frozen):
            return without_header(self._kept.pieces(), self._order.what)
        return iter((self._made,))

    def _narrowed(self, chunk: bytes) -> tuple[bytes, int]:
        if self._only is None or not self._order.what.has_tenants:
            return chunk, rows_in(chunk)
        columns = self._order.what.columns
        rows = parsed(chunk, columns, {})
        kept = rows.filter(pc.is_in(rows.column("tenant_id"), value_set=self._only))
        return lines_of(kept, columns, guard=False), kept.num_rows


def _longest(texts: pa.ChunkedArray) -> int:
    """In UTF-16, of which a text has no more units than bytes."""
    most = pc.max(pc.binary_length(texts)).as_py() or 0
    if most < _LONG_BYTES:
        return int(most)
    return max(len(one.encode("utf-16-le")) // 2 for one in texts.to_pylist())


def _scale(type_: sa.types.TypeEngine[object]) -> int | None:
    if isinstance(type_, sa.Integer):
        return 0
    return type_.scale if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float) else None


def _scaled(value: Decimal, scale: int | None) -> Decimal:
    """With the digits of its column's type, also where nothing was summed."""
    return value if scale is None else value.quantize(Decimal(1).scaleb(-scale), context=EXACT)


def _scales(sums: Mapping[str, Decimal]) -> dict[str, int]:
    for name, value in sums.items():
        if not value.is_finite():
            raise DatabaseError(f"the column {name} has a number that is NaN or infinite; choose CSV, or leave it out")
    return {name: max(0, -int(value.as_tuple().exponent)) for name, value in sums.items()}
