"""A manifest comes back as it was written, and a file that is not what its manifest says does not pass."""

import dataclasses
import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from queries.database import Database
from queries.errors import ArgumentError
from queries.exports.copying import Export
from queries.exports.manifest import SUFFIX, Manifest
from queries.exports.reports import Order
from queries.exports.verifying import verified
from tests.queries.exports.conftest import ALL, HOSTILE, NOW, made_of, order_of

FIRST, LAST = date(2026, 6, 1), date(2026, 6, 30)
FORMATS = ("csv", "csv.gz", "parquet", "xlsx")


def exported(database: Database, folder: Path, order: Order, **how: Any) -> tuple[Path, Manifest]:
    path = folder / order.file_name
    with path.open("wb") as file:
        manifest = Export(database, order, **how).run(file.write)
    rewritten(path, manifest)
    return path, manifest


def rewritten(path: Path, manifest: Manifest) -> None:
    path.with_name(path.name + SUFFIX).write_text(manifest.as_json(), encoding="utf-8")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("guards", [True, False])
def test_what_was_written_is_whole(demo: Database, tmp_path: Path, format_: Any, guards: bool) -> None:
    for report in ("ledger", "usage-lines", "generations", "credit-statement", "query-log"):
        _, manifest = exported(demo, tmp_path, order_of(report, FIRST, LAST, format=format_, guarded=guards))
        assert Manifest.from_json(manifest.as_json()) == manifest
    order = Order("tenants", scope=ALL, zone="UTC", first=None, last=None, now=NOW, format=format_, guarded=guards)
    exported(demo, tmp_path, order, made=made_of(HOSTILE))
    found = verified(tmp_path)
    assert len(found) == 6
    assert [(one.file, one.differences) for one in found if not one.is_good] == []


@pytest.mark.parametrize("format_", FORMATS)
def test_every_defect_is_found_and_told(demo: Database, tmp_path: Path, format_: Any) -> None:
    path, manifest = exported(demo, tmp_path, order_of("ledger", FIRST, LAST, format=format_))
    for change, said in (
        ({"rows": manifest.rows + 1}, "rows, not"),
        ({"sums": {**manifest.sums, "amount": "0.5"}}, "the sum of amount is"),
        ({"sha256": "0" * 64}, "the checksum is"),
        ({"differences": ("1 row more",)}, "the export itself found a difference: 1 row more"),
    ):
        rewritten(path, dataclasses.replace(manifest, **change))
        (found,) = verified(tmp_path)
        assert not found.is_good
        assert len(found.differences) == 1
        assert said in found.differences[0]
    rewritten(path, manifest)
    data = bytearray(path.read_bytes())
    place = random.Random(5).randrange(len(data))
    data[place] ^= 1
    for broken in (bytes(data), path.read_bytes()[:-1], b""):
        path.write_bytes(broken)
        assert "the checksum is" in verified(tmp_path)[0].differences[0]
    path.unlink()
    assert verified(tmp_path)[0].differences == ("the file is not there",)


def test_what_is_no_manifest_is_told(tmp_path: Path) -> None:
    assert verified(tmp_path) == []
    (tmp_path / f"a.csv{SUFFIX}").write_text("{}", encoding="utf-8")
    (tmp_path / f"b.csv{SUFFIX}").write_bytes(b"\xff\xfe")
    found = verified(tmp_path)
    assert [one.file for one in found] == ["a.csv", "b.csv"]
    assert all("the manifest cannot be read" in one.differences[0] for one in found)


@pytest.mark.parametrize("change", [{"rows": -1}, {"rows": True}, {"as_of": "x"}, {"columns": "a"}, {"more": 1}])
def test_a_manifest_with_other_values_is_refused(demo: Database, tmp_path: Path, change: dict[str, Any]) -> None:
    _, manifest = exported(demo, tmp_path, order_of("usage-lines", FIRST, FIRST))
    with pytest.raises(ArgumentError, match="no manifest"):
        Manifest.from_json(json.dumps({**json.loads(manifest.as_json()), **change}))


def test_a_manifest_names_no_file_elsewhere(demo: Database, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path, manifest = exported(demo, tmp_path, order_of("usage-lines", FIRST, FIRST))
    rewritten(inner / path.name, dataclasses.replace(manifest, file=f"../{path.name}"))
    assert verified(inner)[0].differences == ("the file is not there",)


def test_a_manifest_says_what_the_file_was_narrowed_to(demo: Database, tmp_path: Path) -> None:
    _, manifest = exported(demo, tmp_path, order_of("ledger", FIRST, LAST))
    assert manifest.filters == {
        "tenants": "all",
        "from": "2026-06-01",
        "to": "2026-06-30",
        "from_utc": "2026-05-31T22:00:00+00:00",
        "until_utc": "2026-06-15T10:30:00+00:00",
        "zone": "Europe/Berlin",
        "format": "csv",
        "dialect": "excel",
        "guarded": True,
        "withheld": [],
    }


def test_a_file_whose_manifest_is_missing_is_told_and_other_files_are_nobodys(demo: Database, tmp_path: Path) -> None:
    path, _ = exported(demo, tmp_path, order_of("ledger", FIRST, LAST))
    (tmp_path / "ledger of my own.csv").write_text("a,b\n")
    (tmp_path / "notes.csv").write_text("a,b\n")
    assert [one.is_good for one in verified(tmp_path)] == [True]
    path.with_name(path.name + SUFFIX).unlink()
    assert [(one.file, one.differences) for one in verified(tmp_path)] == [
        (path.name, ("there is no manifest beside it; export it again",))
    ]


def test_a_file_over_closed_months_says_which(demo: Database, tmp_path: Path) -> None:
    months = (date(2026, 5, 1), date(2026, 6, 1))
    _, manifest = exported(demo, tmp_path, order_of("ledger", months[0], LAST), closed_months=months)
    assert manifest.status == "provisional"
    assert manifest.closed_months == ("2026-05", "2026-06")
    assert Manifest.from_json(manifest.as_json()) == manifest
