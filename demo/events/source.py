"""The file: what kind it is, its header, its rows, and how far reading has come."""

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from demo.events.csv_rows import LINE_LIMIT_CHARACTERS, Row, csv_rows, likely_delimiter
from demo.events.errors import NothingToLoad, UnusableFile
from demo.events.parquet_rows import parquet_rows

# What else people hold in their hands, known by its first bytes, and what to do about it.
OTHER_KINDS: Final = (
    (b"PK\x03\x04", "an Excel workbook or zip archive", "save the sheet as CSV (UTF-8), or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV (UTF-8)"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\xff\xfe", "UTF-16 text", "save it as CSV in UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as CSV in UTF-8"),
)
Progress = Callable[[int, int], None]
"""Called with what has been read and what there is in all (bytes of a CSV file, rows of a Parquet file)."""
PROGRESS_ROWS: Final = 2_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")


class Source:
    """An opened description of the file: `header` is what its columns are called. Rows can be read repeatedly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file():
                raise UnusableFile(_why_no_file(path))
            with path.open("rb") as file:
                head = file.read(16)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise _unreadable(path, error) from error
        if not head:
            raise UnusableFile(f"{path} is empty; give a CSV file with a header, or a Parquet file")
        self.is_parquet = head.startswith(b"PAR1")
        _refuse_other_kinds(path, head)
        self._delimiter = ","
        self.header = self._parquet_header() if self.is_parquet else self._csv_header()

    def rows(self, progress: Progress = lambda *_: None) -> Iterator[Row]:
        """Every row after the header. Raises UnusableFile when the file breaks off or cannot be read any more."""
        try:
            yield from self._parquet_rows(progress) if self.is_parquet else self._csv_rows(progress)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self.path, error) from error

    def _csv_rows(self, progress: Progress) -> Iterator[Row]:
        size_bytes = max(1, self.path.stat().st_size)
        with self.path.open("rb") as binary, _text(binary) as file:
            rows = csv_rows(file, self._delimiter)
            next(rows)
            for count, row in enumerate(rows):
                if count % PROGRESS_ROWS == 0:
                    progress(min(binary.tell(), size_bytes), size_bytes)
                yield row
        progress(size_bytes, size_bytes)

    def _parquet_rows(self, progress: Progress) -> Iterator[Row]:
        with pq.ParquetFile(self.path) as file:
            total = max(1, file.metadata.num_rows)
            for row in parquet_rows(file):
                if row.line % PROGRESS_ROWS == 0:
                    progress(row.line, total)
                yield row
        progress(total, total)

    def _csv_header(self) -> list[str]:
        with self.path.open("rb") as binary, _text(binary) as file:
            first = next((line for line in iter(lambda: file.readline(LINE_LIMIT_CHARACTERS), "") if line.strip()), "")
            if not first:
                raise NothingToLoad(f"{self.path} has no header and no rows; give a CSV file with a header")
            self._delimiter = likely_delimiter(first)
            file.seek(0)
            header = next(csv_rows(file, self._delimiter))
        names = [name.strip() for name in header.cells]
        if header.problem is not None or not any(names) or _CONTROL.search(header.text) or not _is_text(header.text):
            raise UnusableFile(
                f"{self.path} is neither CSV in UTF-8 with a header nor Parquet; export it as one of them"
            )
        return names

    def _parquet_header(self) -> list[str]:
        try:
            with pq.ParquetFile(self.path) as file:
                return list(file.schema_arrow.names)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self.path, error) from error


def _text(binary: BinaryIO) -> io.TextIOWrapper:
    """Bytes that are not UTF-8 pass as lone surrogates: their row is refused, and its text stays what it was."""
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    for start, kind, fix in OTHER_KINDS:
        if head.startswith(start):
            raise UnusableFile(f"{path} is {kind}; {fix}")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder; give one CSV or Parquet file of it"
    if os.path.lexists(path):
        return f"{path} is no regular file; save the events to a file first"
    return f"{path} does not exist; check the path"


def _unreadable(path: Path, error: Exception) -> UnusableFile:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UnusableFile(f"{path} cannot be read ({words}); check that it is whole and yours to read")
