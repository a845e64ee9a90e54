"""The bytes of a closed month's files: gzip in parts that fit a row, each with its checksum, in `closed_part`.

They are compressed into a temporary file while they are read, for a connection that copies out cannot write, and
memory must not grow with the month. Each part is a gzip file of its own.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import sqlalchemy as sa

from queries.errors import DatabaseError, UsageDashboardError
from queries.tables import OUR_SCHEMA

# What one reader holds in memory at a time; a row may hold 8 MiB.
PART_BYTES = 2**20
# What the compressor may still hold back when a part is ended.
_SLACK_BYTES = 2**18
_PIECE_BYTES = 2**16
_GZIP = 31
_IN_MEMORY_BYTES = 2**22

_PART = sa.table(
    "closed_part",
    sa.column("month", sa.Date),
    *(sa.column(name, sa.Text) for name in ("report", "sha256")),
    sa.column("part", sa.Integer),
    sa.column("gzip", sa.LargeBinary),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept: how many bytes before they were compressed, in how many parts, and the SHA-256 of those bytes."""

    bytes: int
    parts: int
    sha256: str


def pieces(part: Callable[[sa.Select[Any]], Any], month: date, report: str, kept: Kept) -> Iterator[bytes]:
    """The bytes that were kept; `part` answers the select of one row. DatabaseError when they are not the same."""
    digest = hashlib.sha256()
    for number in range(kept.parts):
        row = part(
            sa.select(_PART.c.gzip, _PART.c.sha256).where(
                _PART.c.month == month, _PART.c.report == report, _PART.c.part == number
            )
        )
        if row is None or hashlib.sha256(row.gzip).hexdigest() != row.sha256:
            raise _damaged(month, report)
        for piece in _unpacked(bytes(row.gzip)):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != kept.sha256:
        raise _damaged(month, report)


class Freezer:
    """Compresses what it is given into parts, one after the other in a temporary file, and then writes them."""

    def __init__(self) -> None:
        self._bytes, self._sizes, self._digest = 0, list[int](), hashlib.sha256()
        self._spool = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._packer, self._size, self._fed = _packer(), 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, piece: bytes) -> None:
        """The next bytes of the file, as many as there are."""
        for start in range(0, len(piece), _PIECE_BYTES):
            self._add(piece[start : start + _PIECE_BYTES])

    def keep(self, connection: sa.Connection, month: date, report: str) -> Kept:
        """Write all of it as part of the connection's transaction."""
        self._end()
        self._spool.seek(0)
        for number, size in enumerate(self._sizes):
            packed = self._spool.read(size)
            values = {"month": month, "report": report, "part": number, "gzip": packed}
            connection.execute(sa.insert(_PART).values(**values, sha256=hashlib.sha256(packed).hexdigest()))
        return Kept(self._bytes, len(self._sizes), self._digest.hexdigest())

    def _add(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._fed += len(piece)
        self._digest.update(piece)
        self._write(self._packer.compress(piece))
        if self._size > PART_BYTES - _SLACK_BYTES:
            self._end()

    def _end(self) -> None:
        if not self._fed:
            return
        self._write(self._packer.flush())
        self._sizes.append(self._size)
        self._packer, self._size, self._fed = _packer(), 0, 0

    def _write(self, packed: bytes) -> None:
        try:
            self._spool.write(packed)
        except OSError as error:
            raise UsageDashboardError(
                f"the month could not be frozen ({error.strerror}); make room in the folder for temporary files"
            ) from error
        self._size += len(packed)


def _packer() -> Any:
    # A gzip header of zlib's own holds no time: the same bytes give the same parts.
    return zlib.compressobj(6, zlib.DEFLATED, _GZIP)


def _unpacked(packed: bytes) -> Iterator[bytes]:
    """A bounded piece at a time: a repetitive file is a thousand times as long as its part."""
    unpacker = zlib.decompressobj(_GZIP)
    while not unpacker.eof:
        piece = unpacker.decompress(packed, _PIECE_BYTES * 4)
        if not piece and not unpacker.unconsumed_tail:
            return
        packed = unpacker.unconsumed_tail
        if piece:
            yield piece


def _damaged(month: date, report: str) -> DatabaseError:
    return DatabaseError(
        f"the frozen {report} of {month:%Y-%m} is not what its checksum says; restore usage_dashboard.closed_part from"
        " a backup"
    )
