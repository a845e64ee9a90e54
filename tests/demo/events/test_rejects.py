"""The file of rejected rows: whole or not there, safe in a spreadsheet, and never over somebody else's file."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.events.errors import UnusableFile
from demo.events.reading import Rejection
from demo.events.rejects import RejectFile, formula_safe, reject_path


@given(text=st.text())
def test_no_cell_is_a_formula_and_the_text_can_be_had_back(text: str) -> None:
    safe = formula_safe(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert safe in (text, f"'{text}")


def test_appears_when_published_only_and_goes_when_nothing_is_rejected(tmp_path: Path) -> None:
    source = tmp_path / "events.csv"
    path = reject_path(source)
    with RejectFile(path, source) as rejects:
        rejects.add(Rejection(3, "=column", "+reason", '=HYPERLINK("x")\n\x00\udcff'))
        assert list(tmp_path.iterdir()) == []
        assert rejects.publish() == path
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "column", "reason", "original"],
            ["3", "'=column", "'+reason", '\'=HYPERLINK("x")\n\x00\udcff'],
        ]
    with RejectFile(path, source) as rejects:
        assert rejects.publish() is None
    assert list(tmp_path.iterdir()) == []


def test_writes_over_neither_the_input_nor_another_file(tmp_path: Path) -> None:
    source, other = tmp_path / "events.csv", tmp_path / "other.csv"
    source.write_text("line,column,reason,original\n")
    other.write_text("precious\n")
    for path in (source, other, tmp_path):
        with pytest.raises(UnusableFile, match="--rejects"):
            RejectFile(path, source)
    assert other.read_text() == "precious\n"


def test_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "rejects.csv"
    with RejectFile(path, tmp_path / "events.csv") as rejects:
        rejects.add(Rejection(2, "", "why", "text"))
        with pytest.raises(UnusableFile, match="--rejects"):
            rejects.publish()
