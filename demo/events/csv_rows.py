"""Rows of a CSV file with their true line numbers and their original text, in memory that does not grow with the file.

Python's csv module reads strictly: where a quote opens and never closes properly, only the line that opens it is
refused and reading goes on with the next one, instead of swallowing the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

LINE_LIMIT_CHARACTERS: Final = 2**20
DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: where it starts (line in CSV, row number in Parquet), its cells, its original text.

    `problem` says why the row has no usable cells; None when it has.
    """

    line: int
    cells: list[str]
    text: str
    problem: str | None = None


class OverlongLine(Exception):  # noqa: N818 - the name states the fact
    """A line is longer than the limit; what was taken of it is the last of `Lines.taken`."""


class Lines:
    """Iterator of lines that remembers those taken since `begin`, and can take all but the first of them back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._returned: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        is_new = not self._returned
        line = self._file.readline(LINE_LIMIT_CHARACTERS) if is_new else self._returned.popleft()
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        if len(line) >= LINE_LIMIT_CHARACTERS:
            if is_new:
                self._skip_rest(line)
            raise OverlongLine
        return line

    def begin(self) -> int:
        """Forget what was taken; the number of the line that comes next."""
        self.taken = []
        return self.number + 1

    def keep_first_only(self) -> None:
        """Give back every line taken but the first."""
        rest = self.taken[1:]
        self._returned.extendleft(reversed(rest))
        self.number -= len(rest)
        self.taken = self.taken[:1]

    def _skip_rest(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._file.readline(LINE_LIMIT_CHARACTERS)


def csv_rows(file: TextIO, delimiter: str) -> Iterator[Row]:
    """The rows of a file opened with newline="", its header included and blank lines left out."""
    lines = Lines(file)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, OverlongLine) as error:
            lines.keep_first_only()
            yield Row(number, [], _ended(lines.taken[0]), _words(error))
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if cells:
            yield Row(number, cells, _ended("".join(lines.taken)))


def likely_delimiter(header: str) -> str:
    """The delimiter that splits the header line into the most cells; the comma when none does."""

    def cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter), []))
        except csv.Error:  # a cell beyond all limits
            return 0

    return max(DELIMITERS, key=cells)


def _ended(text: str) -> str:
    return text.rstrip("\r\n")


def _words(error: Exception) -> str:
    if isinstance(error, OverlongLine):
        return f"the line is longer than {LINE_LIMIT_CHARACTERS:,} characters"
    if "field larger" in str(error):
        return f"a cell is longer than {csv.field_size_limit():,} characters, or its quote is never closed"
    return f"not valid CSV, look at its quotes ({error})"
