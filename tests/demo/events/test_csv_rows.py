"""Rows come with true line numbers and unchanged text, and one broken quote costs one line."""

import csv
import io
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.events.csv_rows import LINE_LIMIT_CHARACTERS, csv_rows, likely_delimiter

cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
tables = st.lists(st.lists(cells, min_size=2, max_size=4), max_size=12)


@given(table=tables, delimiter=st.sampled_from(",;\t"), ending=st.sampled_from(["\n", "\r\n"]))
def test_any_table_comes_back_with_its_lines_and_text(table: list[list[str]], delimiter: str, ending: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(table)
    text = file.getvalue()
    rows = list(csv_rows(io.StringIO(text, newline=""), delimiter))
    assert [row.cells for row in rows] == table
    lines = io.StringIO(text, newline="").readlines()
    for row, after in zip_longest(rows, rows[1:]):
        end = after.line - 1 if after else len(lines)
        assert row.text == "".join(lines[row.line - 1 : end]).rstrip("\r\n")
        assert row.problem is None


@pytest.mark.parametrize(
    "bad", ['"never closed,1', '"closed"too early,1', "x" * 200_000 + ",1", "y" * (LINE_LIMIT_CHARACTERS + 5)]
)
@pytest.mark.parametrize("after", [0, 1, 500])
def test_broken_line_is_refused_alone(bad: str, after: int) -> None:
    text = "a,b\n1,2\n" + bad + "\n" + '3,"4"\n' * after
    rows = list(csv_rows(io.StringIO(text, newline=""), ","))
    assert [row.line for row in rows] == list(range(1, 4 + after))
    assert [row.cells for row in rows if row.problem is None] == [["a", "b"], ["1", "2"], *([["3", "4"]] * after)]
    (refused,) = (row for row in rows if row.problem is not None)
    assert (refused.line, refused.text) == (3, bad[:LINE_LIMIT_CHARACTERS])


def test_blank_lines_count_as_lines_but_are_no_rows() -> None:
    rows = list(csv_rows(io.StringIO('a,b\n\n"1\n2",3\n\n4,5\n', newline=""), ","))
    assert [(row.line, row.cells) for row in rows] == [(1, ["a", "b"]), (3, ["1\n2", "3"]), (6, ["4", "5"])]


@pytest.mark.parametrize(("header", "delimiter"), [("a,b", ","), ("a;b,c;d", ";"), ("a\tb", "\t"), ("alone", ",")])
def test_delimiter_is_the_one_that_splits_most(header: str, delimiter: str) -> None:
    assert likely_delimiter(header) == delimiter
