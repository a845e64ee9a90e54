"""Canonical rows are cut, taken apart and put together again without losing a byte."""

import csv
import io
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.errors import DatabaseError
from queries.exports.canonical import Sums, header_line, lines_of, parsed, row_ends, rows_in, whole_rows, without_header
from queries.exports.csv_file import with_crlf
from queries.exports.reports import REPORTS
from tests.queries.exports.conftest import HOSTILE

STATEMENT = REPORTS["credit-statement"]
TEXTS = st.none() | st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.none() | st.decimals(-(10**20), 10**20, places=3)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Columns of text as they stand in a file."""
    rows = draw(st.integers(0, 6))
    cells = {"text": TEXTS, "number": NUMBERS.map(lambda one: None if one is None else f"{one:f}")}
    columns = {
        one.name: draw(st.lists(cells.get(one.kind, st.just("2026-06-01")), min_size=rows, max_size=rows))
        for one in STATEMENT.columns
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


@given(tables())
def test_rows_come_back_cell_by_cell_and_byte_by_byte(table: pa.Table) -> None:
    data = lines_of(table, STATEMENT.columns, guard=False)
    assert rows_in(data) == table.num_rows
    if data:
        back = parsed(data, STATEMENT.columns, {})
        assert back.to_pylist() == table.to_pylist()
        assert lines_of(back, STATEMENT.columns, guard=False) == data


@given(tables())
def test_the_csv_module_reads_the_same_cells(table: pa.Table) -> None:
    data = with_crlf(lines_of(table, STATEMENT.columns, guard=False), table.num_rows).decode()
    found = list(csv.reader(io.StringIO(data, newline=""), strict=True))
    assert found == [["" if one is None else one for one in row.values()] for row in table.to_pylist()]


@given(tables())
def test_line_feeds_within_a_text_stay_as_they_are(table: pa.Table) -> None:
    rows = [lines_of(table.slice(place, 1), STATEMENT.columns, guard=False) for place in range(table.num_rows)]
    assert with_crlf(b"".join(rows), len(rows)) == b"".join(one[:-1] + b"\r\n" for one in rows)


@given(tables(), st.integers(1, 400), st.data())
def test_pieces_are_the_same_however_they_were_cut(table: pa.Table, least: int, data: st.DataObject) -> None:
    whole = lines_of(table, STATEMENT.columns, guard=False)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = list(whole_rows(pieces, least))
    assert found == list(whole_rows([whole], least))
    assert b"".join(found) == whole
    assert all(len(one) >= least for one in found[:-1])
    assert sum(rows_in(one) for one in found) == table.num_rows
    for one in found[:-1]:
        assert np.count_nonzero(np.flatnonzero(row_ends(one)) >= least - 1) == 1, (
            "the first row at or after so many bytes"
        )


@given(tables(), st.integers(1, 100))
def test_a_header_is_taken_off_wherever_it_is_cut(table: pa.Table, size: int) -> None:
    rows = lines_of(table, STATEMENT.columns, guard=False)
    whole = header_line(STATEMENT) + rows
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert b"".join(without_header(pieces, STATEMENT)) == rows


def test_another_header_and_a_cut_end_are_refused() -> None:
    with pytest.raises(DatabaseError, match="other columns"):
        list(without_header([b"a,b\n1,2\n"], STATEMENT))
    for cut in (b'"a","b', b'"a",1', b'"a\n'):
        with pytest.raises(DatabaseError, match="middle"):
            list(whole_rows([b'"x",1\n', cut], 1))


@given(st.lists(st.none() | st.decimals(-(10**30), 10**30, places=6), max_size=20), st.integers(1, 5))
def test_sums_are_exact_beyond_what_python_rounds_to(values: list[Decimal | None], cut: int) -> None:
    texts = [None if one is None else f"{one:f}".rstrip("0").rstrip(".") or "0" for one in values]
    sums = Sums(STATEMENT)
    for start in range(0, len(texts), cut):
        given_texts = texts[start : start + cut]
        nothing = [None] * len(given_texts)
        columns = {one.name: given_texts if one.name == "opening" else nothing for one in STATEMENT.columns}
        sums.add(pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()}))
    assert Fraction(sums.found["opening"]) == sum(Fraction(one) for one in values if one is not None)
    assert sums.found["closing"] == 0
