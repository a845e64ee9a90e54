"""What others read: pandas, DuckDB and openpyxl find the same values with the right types, and no formula."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import pytest
from openpyxl.utils.escape import unescape

from queries.database import Database
from queries.exports.copying import Export
from queries.exports.guarding import guarded
from queries.exports.reports import REPORTS, Column, Order
from tests.queries.exports.conftest import ALL, HOSTILE, NOW, made_of, order_of

FIRST, LAST = date(2026, 6, 1), date(2026, 6, 30)
LONG = Decimal("12345678901234567.89")
CREDITS = [Decimal("0.10"), Decimal("-3.00"), LONG, None]
TIMES = [datetime(2026, 3, 29, 1, 0, 0, 123000, UTC), None, datetime(1970, 1, 1, tzinfo=UTC), NOW]


def written(database: Database, folder: Path, order: Order, **how: Any) -> Path:
    path = folder / order.file_name
    with path.open("wb") as file:
        Export(database, order, **how).run(file.write)
    return path


def tenants(format_: Any, **how: Any) -> Order:
    return Order("tenants", scope=ALL, zone="UTC", first=None, last=None, now=NOW, format=format_, **how)


def hostile() -> Any:
    count = len(HOSTILE)
    given = {
        "credits_left": [CREDITS[place % 4] for place in range(count)],
        "last_seen_at_utc": [TIMES[place % 4] for place in range(count)],
        "date": [None if place % 5 == 0 else date(2026, 6, 15) for place in range(count)],
        "generations_28d": [None if place % 3 == 0 else place * 10**14 for place in range(count)],
    }
    return made_of(HOSTILE, **given)


@pytest.mark.parametrize("format_", ["csv", "csv.gz"])
@pytest.mark.parametrize("guards", [True, False])
def test_pandas_reads_the_csv(demo: Database, tmp_path: Path, format_: Any, guards: bool) -> None:
    made = hostile()
    path = written(demo, tmp_path, tenants(format_, guarded=guards), made=made)
    types = {"text": "str", "integer": "Int64", "number": "str"}
    kinds = {one.name: types[one.kind] for one in REPORTS["tenants"].columns if one.kind in types}
    found = pd.read_csv(
        path,
        dtype=kinds,
        keep_default_na=False,
        na_values=[""],
        parse_dates=["last_seen_at_utc", "renews_at_utc"],
        encoding="utf-8-sig",
    )
    names = [guarded(one) if guards else one for one in HOSTILE]
    assert [one if isinstance(one, str) else "" for one in found["tenant"]] == names
    assert str(found["last_seen_at_utc"].dtype).endswith("UTC]")
    assert [None if pd.isna(one) else one.to_pydatetime() for one in found["last_seen_at_utc"]] == made.table.column(
        "last_seen_at_utc"
    ).to_pylist()
    assert [None if pd.isna(one) else Decimal(one) for one in found["credits_left"]] == made.table.column(
        "credits_left"
    ).to_pylist()


def test_duckdb_reads_csv_and_parquet_with_their_types(demo: Database, tmp_path: Path) -> None:
    orders = [order_of("ledger", FIRST, LAST, format=one, guarded=False) for one in ("csv", "parquet")]
    places = {one.format: written(demo, tmp_path, one) for one in orders}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        types = {
            one: {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM '{place}'").fetchall()}
            for one, place in places.items()
        }
        rows = {one: connection.sql(f"FROM '{place}'").to_arrow_table() for one, place in places.items()}
    expected = {"posted_at_utc": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "amount": "DECIMAL(38,0)"}
    assert {name: types["parquet"][name] for name in expected} == expected
    assert types["parquet"]["price_paid"] == "DECIMAL(38,2)"
    assert (types["csv"]["posted_at_utc"], types["csv"]["date"]) == (expected["posted_at_utc"], "DATE")
    assert types["csv"]["amount"] == "BIGINT"
    found = {one: table.to_pylist() for one, table in rows.items()}
    assert len(found["csv"]) == len(found["parquet"]) > 0
    for row, other in zip(found["csv"], found["parquet"], strict=True):
        assert row.pop("price_paid") == (None if other["price_paid"] is None else float(other["price_paid"]))
        assert row == {name: value for name, value in other.items() if name != "price_paid"}


def test_pandas_reads_the_parquet_with_its_types(demo: Database, tmp_path: Path) -> None:
    made = hostile()
    found = pd.read_parquet(written(demo, tmp_path, tenants("parquet"), made=made), dtype_backend="pyarrow")
    types = {str(name): str(kind) for name, kind in found.dtypes.items()}
    assert types["credits_left"] == "decimal128(38, 2)[pyarrow]"
    assert types["last_seen_at_utc"] == "timestamp[us, tz=UTC][pyarrow]"
    assert (types["date"], types["generations_28d"]) == ("date32[day][pyarrow]", "int64[pyarrow]")
    for name in ("tenant", "credits_left", "last_seen_at_utc", "date", "generations_28d"):
        missing = [None if pd.isna(one) else one for one in found[name].tolist()]
        assert missing == made.table.column(name).to_pylist(), name


@pytest.mark.parametrize("guards", [True, False])
def test_openpyxl_reads_the_sheet_with_its_types(demo: Database, tmp_path: Path, guards: bool) -> None:
    made = hostile()
    path = written(demo, tmp_path, tenants("xlsx", guarded=guards), made=made)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Tenants"]
    header, *rows = list(book["Tenants"].iter_rows())
    assert [one.value for one in header] == list(REPORTS["tenants"].header)
    assert len(rows) == len(HOSTILE)
    assert not any(one.data_type == "f" for row in rows for one in row), "no formula"
    for column, cells in zip(REPORTS["tenants"].columns, zip(*rows, strict=True), strict=True):
        values = made.table.column(column.name).to_pylist()
        assert [back(one, column) for one in cells] == [
            guarded(value) if guards and column.kind == "text" and value is not None else value for value in values
        ], column.name
    book.close()


def back(cell: Any, column: Column) -> Any:
    """The value that a cell stands for; numbers of more than 15 digits are texts."""
    value = cell.value
    if value is None:
        return "" if column.name == "tenant" else None
    if column.kind == "text":
        assert cell.data_type in ("s", "inlineStr")
        return unescape(value)
    if column.kind in ("integer", "number"):
        kept = Decimal(value) if isinstance(value, str) else Decimal(repr(value))
        assert isinstance(value, str) == (len(f"{kept:f}".replace("-", "").replace(".", "").lstrip("0")) > 15)
        return int(kept) if column.kind == "integer" else kept
    assert isinstance(value, datetime)
    return value.replace(tzinfo=UTC) if column.kind == "timestamp" else value.date()


def test_a_sheet_of_the_database_is_the_csv(demo: Database, tmp_path: Path) -> None:
    sheet = written(demo, tmp_path, order_of("generations", FIRST, LAST, format="xlsx"))
    plain = written(demo, tmp_path, order_of("generations", FIRST, LAST))
    found = pd.read_excel(sheet, dtype=object, keep_default_na=False)
    with plain.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(found) == len(rows) > 0
    assert list(found.columns) == list(REPORTS["generations"].header)
    assert [int(one) for one in found["credits"]] == [int(one["credits"]) for one in rows]
    assert [f"{one:%Y-%m-%dT%H:%M:%S.%f}Z" for one in found["created_at_utc"]] == [
        one["created_at_utc"] for one in rows
    ]
    assert [f"{one:%Y-%m-%d}" for one in found["date"]] == [one["date"] for one in rows]
    assert list(found["generation_id"]) == [one["generation_id"] for one in rows]


def test_the_same_rows_are_the_same_sheet_without_the_time_of_writing(demo: Database, tmp_path: Path) -> None:
    made, order = hostile(), tenants("xlsx")
    one, other = (io.BytesIO() for _ in range(2))
    for each in (one, other):
        Export(demo, order, made=made).run(each.write)
    assert one.getvalue() == other.getvalue()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
