"""Columns as cells of a sheet's XML. What XML cannot hold is written as `_x0007_`, as Office does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from queries.exports.guarding import guarded_array
from queries.exports.reports import Column, Kind

# Excel keeps so many digits of a number.
NUMBER_DIGITS = 15
TEXT_STYLE, DATE_STYLE, TIME_STYLE, HEADER_STYLE = 1, 2, 3, 4
# Numbers stay the texts that they are in CSV.
PARSED_TYPES: Mapping[Kind, pa.DataType] = {"timestamp": pa.timestamp("us", "UTC"), "date": pa.date32()}
_DAY_US = 86_400_000_000
# 1970-01-01 as Excel counts days: from 1900 on, with a 29 February that was not.
_EPOCH_DAY, _FIRST_TRUE_DAY = 25_569, 61
_FIRST_PRINTABLE = 32
_MARKUP = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_EMPTY = "<c/>"
# What XML cannot hold or would change, and what reads like an escape of that.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def cells(values: pa.Array, column: Column, *, guard: bool) -> pa.Array:
    """One column's cells."""
    if column.kind == "text":
        return _text_cells(guarded_array(values) if guard else values)
    return _CELLS[column.kind](values)


def _text_cells(values: pa.Array) -> pa.Array:
    opening, closing = f'<c s="{TEXT_STYLE}" t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"
    return pc.fill_null(pc.binary_join_element_wise(opening, _escaped(values), closing, ""), _EMPTY)


def _escaped(values: pa.Array) -> pa.Array:
    _, _, data = values.buffers()
    held = memoryview(data).tobytes() if data is not None else b""
    for plain, entity in _MARKUP:
        if plain.encode() in held:
            values = pc.replace_substring(values, plain, entity)
    is_suspicious = (
        b"_x" in held or b"\xef\xbf" in held or bool((np.frombuffer(held, np.uint8) < _FIRST_PRINTABLE).any())
    )
    return pa.array([_written(one) for one in values.to_pylist()], values.type) if is_suspicious else values


def _written(text: str | None) -> str | None:
    return None if text is None else _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def _number_cells(values: pa.Array) -> pa.Array:
    as_numbers = pc.fill_null(pc.binary_join_element_wise("<c><v>", values, "</v></c>", ""), _EMPTY)
    if (pc.max(pc.binary_length(values)).as_py() or 0) <= NUMBER_DIGITS:
        return as_numbers
    digits = pc.utf8_ltrim(pc.replace_substring_regex(values, "[-.]", ""), "0")
    fits = pc.fill_null(pc.less_equal(pc.binary_length(digits), NUMBER_DIGITS), True)
    return pc.if_else(fits, as_numbers, _text_cells(values))


def _date_cells(values: pa.Array) -> pa.Array:
    days = pc.add(pc.cast(values, pa.int32()), _EPOCH_DAY)
    return _day_cells(days, pc.cast(days, pa.string()), pc.strftime(values, "%Y-%m-%d"), DATE_STYLE)


def _time_cells(values: pa.Array) -> pa.Array:
    days = pc.add(
        pc.divide(pc.cast(pc.cast(values, pa.int64()), pa.float64(), safe=False), float(_DAY_US)), float(_EPOCH_DAY)
    )
    return _day_cells(days, pc.cast(days, pa.string()), pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ"), TIME_STYLE)


def _day_cells(days: pa.Array, numbers: pa.Array, texts: pa.Array, style: int) -> pa.Array:
    """Days as Excel counts them; as text before it counts them truly."""
    as_days = pc.fill_null(pc.binary_join_element_wise(f'<c s="{style}"><v>', numbers, "</v></c>", ""), _EMPTY)
    is_true = pc.fill_null(pc.greater_equal(days, _FIRST_TRUE_DAY), True)
    return as_days if pc.all(is_true).as_py() is not False else pc.if_else(is_true, as_days, _text_cells(texts))


_CELLS: Mapping[Kind, Callable[[pa.Array], pa.Array]] = {
    "integer": _number_cells,
    "number": _number_cells,
    "timestamp": _time_cells,
    "date": _date_cells,
}
