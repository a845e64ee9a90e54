"""The file of rows that were refused: line, column, reason, original text. Safe to open in a spreadsheet."""

import contextlib
import csv
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from demo.events.errors import UnusableFile
from demo.events.reading import Rejection

HEADER: Final = ("line", "column", "reason", "original")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_KEPT_IN_MEMORY_BYTES: Final = 2**20


class RejectFile:
    """Collects rejections out of sight; only `publish` puts them at `path`, whole, so that a killed load leaves none.

    `count` is how many there are, `first` the earliest added.
    """

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        self.count = 0
        self.first: Rejection | None = None
        _refuse_foreign(path, source)
        # The text is the file's own, bytes that are not UTF-8 included.
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            _KEPT_IN_MEMORY_BYTES, mode="w+", encoding="utf-8", errors="surrogateescape", newline=""
        )
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, rejection: Rejection) -> None:
        self.count += 1
        self.first = self.first or rejection
        texts = (rejection.column, rejection.reason, rejection.text)
        self._writer.writerow((rejection.line, *map(formula_safe, texts)))

    def publish(self) -> Path | None:
        """Where the rejections now are; None when there are none (then one of an earlier load is removed).

        Raises UnusableFile when the place cannot be written to.
        """
        try:
            if self.count == 0:
                self.path.unlink(missing_ok=True)
                return None
            return self._published()
        except OSError as error:
            if self.count == 0:  # a stale file that cannot be removed is no reason to fail a load without a bad row
                return None
            raise UnusableFile(
                f"the {self.count:,} rejected rows cannot be written to {self.path} ({error.strerror}); "
                "name another file with --rejects"
            ) from error

    def _published(self) -> Path:
        partial = self.path.with_name(self.path.name + ".partial")
        self._file.seek(0)
        try:
            with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
                shutil.copyfileobj(self._file, target)
            partial.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        return self.path


def reject_path(source: Path) -> Path:
    """Beside the file: events.csv.rejects.csv."""
    return source.with_name(source.name + ".rejects.csv")


def formula_safe(text: str) -> str:
    """The text, with a ' in front when a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _refuse_foreign(path: Path, source: Path) -> None:
    """Neither the input nor any other file that is not of rejected rows may be written over."""
    try:
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            is_ours = file.readline(100).rstrip("\r\n") == ",".join(HEADER)
    except OSError:
        is_ours = False
    if not is_ours or path.resolve() == source.resolve():
        raise UnusableFile(f"{path} exists and is not a file of rejected rows; name another with --rejects")
