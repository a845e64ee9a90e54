"""Files against their manifests: the checksum, and rows and sums counted anew from the file itself."""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from queries.errors import ArgumentError
from queries.exports.canonical import EXACT, exact_sum, plain
from queries.exports.manifest import SUFFIX, Manifest
from queries.exports.reports import REPORTS

_BLOCK_BYTES = 2**20
_SHEET = "xl/worksheets/sheet1.xml"
_ROW_END = b"</row>"
_REPORTS_FILE = re.compile(rf"({'|'.join(map(re.escape, REPORTS))})(-[a-z0-9-]+)?\.(csv|csv\.gz|parquet|xlsx)")
_CELL = re.compile(rb"<c(?: [^>]*)?(?:/>|>(.*?)</c>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:v|t)(?: [^>]*)?>(.*?)</(?:v|t)>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: what its manifest says, and what is wrong, in words; nothing when it is whole."""

    file: str
    manifest: Manifest | None
    differences: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.differences


def verified(folder: Path) -> list[Checked]:
    """Every manifest of a folder against its file, and every report's file that has no manifest."""
    found = [*map(_checked, sorted(folder.glob(f"*{SUFFIX}"))), *_without_manifest(folder)]
    return sorted(found, key=lambda one: one.file)


def recounted(path: Path, manifest: Manifest) -> tuple[int, Mapping[str, Decimal]]:
    """Rows and sums as the file itself has them. ValueError when it cannot be read."""
    format_ = str(manifest.filters.get("format"))
    if format_ == "parquet":
        return _of_parquet(path, manifest)
    if format_ == "xlsx":
        return _of_rows(_sheet_rows(path), manifest)
    with _fields_of_any_length(), path.open("rb") as file:
        unpacked = gzip.GzipFile(fileobj=file) if format_ == "csv.gz" else file
        with io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="") as text:
            return _of_rows(csv.reader(text, strict=True), manifest)


def problems(path: Path, manifest: Manifest) -> tuple[str, ...]:
    """What a file has that its manifest does not say, in words: its checksum, and rows and sums counted anew."""
    try:
        return tuple(_problems(path, manifest))
    except (OSError, ValueError, InvalidOperation, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        return (f"the file cannot be read ({type(error).__name__})",)


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    """The limit is the whole process's, and others rely on it."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _checked(place: Path) -> Checked:
    name = place.name.removesuffix(SUFFIX)
    try:
        manifest = Manifest.from_json(place.read_text(encoding="utf-8"))
    except (ArgumentError, OSError, UnicodeDecodeError) as error:
        return Checked(name, None, (f"the manifest cannot be read: {error}",))
    path = place.with_name(Path(manifest.file).name)
    found = (f"the export itself found a difference: {one}" for one in manifest.differences)
    return Checked(manifest.file, manifest, (*found, *problems(path, manifest)))


def _without_manifest(folder: Path) -> Iterator[Checked]:
    """Files that have a report's name and nothing beside them to hold them against."""
    for path in sorted(folder.iterdir()):
        if _REPORTS_FILE.fullmatch(path.name) and not path.with_name(path.name + SUFFIX).exists():
            yield Checked(path.name, None, ("there is no manifest beside it; export it again",))


def _problems(path: Path, manifest: Manifest) -> Iterator[str]:
    if not path.is_file():
        yield "the file is not there"
        return
    if (found := _sha256(path)) != manifest.sha256:
        size = path.stat().st_size
        yield f"the checksum is {found}, not {manifest.sha256} ({size:,} bytes instead of {manifest.bytes:,})"
        return  # what it holds is not what was written
    rows, sums = recounted(path, manifest)
    if rows != manifest.rows:
        yield f"it has {rows:,} rows, not {manifest.rows:,}"
    for name, value in manifest.sums.items():
        if sums.get(name) != Decimal(value):
            yield f"the sum of {name} is {plain(sums.get(name, Decimal(0)))}, not {value}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _of_rows(rows: Iterator[list[str]], manifest: Manifest) -> tuple[int, Mapping[str, Decimal]]:
    header = next(rows, [])
    if tuple(header) != tuple(manifest.columns):
        raise ValueError("the header is not the manifest's")
    places = {name: header.index(name) for name in manifest.sums}
    count, sums = 0, dict.fromkeys(places, Decimal(0))
    for row in rows:
        if len(row) != len(header):
            raise ValueError("a row has other columns than the header")
        count += 1
        for name, place in places.items():
            if row[place]:
                sums[name] = EXACT.add(sums[name], Decimal(row[place]))
    return count, sums


def _sheet_rows(path: Path) -> Iterator[list[str]]:
    """Of a sheet that we wrote, as its checksum says: no other file comes here."""
    with zipfile.ZipFile(path) as archive, archive.open(_SHEET) as sheet:
        waiting = b""
        while block := sheet.read(_BLOCK_BYTES):
            *whole, waiting = (waiting + block).split(_ROW_END)
            for row in whole:
                yield [_value(cell[1]) for cell in _CELL.finditer(row, row.find(b"<row>"))]


def _value(cell: bytes | None) -> str:
    found = _VALUE.search(cell) if cell else None
    return html.unescape(found[1].decode()) if found else ""


def _of_parquet(path: Path, manifest: Manifest) -> tuple[int, Mapping[str, Decimal]]:
    file = parquet.ParquetFile(path)
    if tuple(file.schema_arrow.names) != manifest.columns:
        raise ValueError("the columns are not the manifest's")
    rows, sums = 0, dict.fromkeys(manifest.sums, Decimal(0))
    for batch in file.iter_batches(columns=list(sums)):
        rows += batch.num_rows
        for name, so_far in sums.items():
            sums[name] = EXACT.add(so_far, exact_sum(pa.chunked_array([batch.column(name)])))
    return rows, sums
