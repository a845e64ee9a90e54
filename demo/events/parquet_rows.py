"""Rows of a Parquet file as text, batch by batch, so that they are read by the same rules as CSV."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demo.events.csv_rows import Row

BATCH_ROWS: Final = 10_000


def parquet_rows(file: pq.ParquetFile) -> Iterator[Row]:
    """The rows, numbered from 1; missing values are empty text."""
    number = 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS):
        for cells in zip(*map(_texts, batch.columns), strict=True):
            number += 1
            yield Row(number, list(cells), _as_csv(cells))


def _texts(column: Any) -> list[str]:
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        texts = pc.cast(column, pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs, binary that is not UTF-8
        texts = [None if value is None else str(value) for value in column.to_pylist()]
    return ["" if text is None else text for text in texts]


def _as_csv(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
