"""Files of what a panel shows: the csv module reads the same values back, and no spreadsheet runs them."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import downloads
from dashboard.downloads import LIST_SEPARATOR, csv_bytes, file_name, largest_size
from dashboard.viewer import ROLES, Viewer
from queries.exports.guarding import FORMULA_STARTS
from queries.period import Period, zone_info
from queries.scope import Scope

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
PERIOD = Period.last_days(27, zone="Europe/Berlin", now=NOW)
ZONES = st.sampled_from(["UTC", "Asia/Kathmandu", "America/Havana", "Pacific/Chatham"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\x00x",
        "\n=1",
        "\N{FULLWIDTH EQUALS SIGN}1+1",
        "\N{FULLWIDTH PLUS SIGN}1",
        "\N{FULLWIDTH HYPHEN-MINUS}1",
        "\N{FULLWIDTH COMMERCIAL AT}SUM(1)",
        'a"b',
        "a,b",
        "a\r\nb",
        "'=1",
        "'",
        "''-",
        "",
        "NULL",
        "\ufeffx",
    ]
)
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), TEXTS),
    "credits": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "price": (pa.decimal128(38, 4), st.decimals(-(10**33), 10**33, places=4)),
    "share": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "renewing": (pa.bool_(), st.booleans()),
    "day": (pa.date32(), st.dates(date(1900, 1, 1), date(2200, 1, 1))),
    "at": (
        pa.timestamp("us", "UTC"),
        st.integers(0, 4 * 10**15).map(lambda us: datetime(1975, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)),
    ),
    "daily": (pa.list_(pa.int64()), st.lists(st.integers(-(10**12), 10**12), max_size=8)),
    "names": (pa.list_(pa.string()), st.lists(TEXTS, max_size=4)),
}


@st.composite
def given_values(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Plain values by column."""
    names = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, unique=True))
    rows = draw(st.integers(0, 6))
    return {name: draw(st.lists(st.none() | KINDS[name][1], min_size=rows, max_size=rows)) for name in names}


def frame_of(values: dict[str, list[Any]]) -> pd.DataFrame:
    """The frame as the runner makes it."""
    return pd.DataFrame(
        {
            name: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(column, KINDS[name][0])))
            for name, column in values.items()
        }
    )


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def back(name: str, text: str, zone: str) -> Any:
    """The value that a cell stands for."""
    is_guarded = text.startswith("'") and text.lstrip("'").startswith(FORMULA_STARTS)
    unguarded = text[1:] if is_guarded else text
    if name in ("text", "names"):
        return unguarded
    if text == "":
        return None
    if name == "renewing":
        return {"true": True, "false": False}[text]
    if name == "daily":
        return [int(one) for one in unguarded.split(LIST_SEPARATOR)]
    if name == "at":
        value = datetime.fromisoformat(text)
        assert value.utcoffset() == value.astimezone(zone_info(zone)).utcoffset(), "in the reporting zone"
        return value
    readers: dict[str, Any] = {"credits": int, "price": Decimal, "share": float, "day": date.fromisoformat}
    return readers[name](text)


def plain(name: str, value: Any) -> Any:
    if name == "names":
        return LIST_SEPARATOR.join("" if one is None else guard(one) for one in value or [])
    if name == "text":
        return value or ""
    return None if name == "daily" and not value else value


def guard(text: str) -> str:
    return "'" + text if text.lstrip("'")[:1] in tuple("=+-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20") else text


@given(given_values(), ZONES)
def test_the_csv_module_reads_the_same_values_back(values: dict[str, list[Any]], zone: str) -> None:
    header, *rows = read(csv_bytes(frame_of(values), zone))
    assert header == list(values)
    assert len(rows) == len(next(iter(values.values())))
    for number, row in enumerate(rows):
        for name, text in zip(header, row, strict=True):
            value = values[name][number]
            if name == "names":
                assert text in (plain(name, value), guard(plain(name, value)))
            else:
                assert back(name, text, zone) == plain(name, value)


@given(given_values(), ZONES)
def test_no_cell_of_text_is_a_formula(values: dict[str, list[Any]], zone: str) -> None:
    header, *rows = read(csv_bytes(frame_of(values), zone))
    for row in rows:
        for name, text in zip(header, row, strict=True):
            assert name in ("credits", "price", "share") or not text.startswith(
                ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "\uff1d", "\uff0b", "\uff0d", "\uff20")
            )


@given(given_values(), ZONES)
def test_a_file_is_never_larger_than_was_told_before_it_was_made(values: dict[str, list[Any]], zone: str) -> None:
    frame = frame_of(values)
    assert len(csv_bytes(frame, zone)) <= largest_size(frame)


@given(st.lists(st.decimals(-(10**20), 10**20, places=6), min_size=1, max_size=20))
def test_the_files_sums_equal_the_frames(values: list[Decimal]) -> None:
    frame = pd.DataFrame({"credits": pd.Series(values, dtype=pd.ArrowDtype(pa.decimal128(38, 6)))})
    _, *rows = read(csv_bytes(frame, "UTC"))
    assert sum(Decimal(one) for (one,) in rows) == sum(values)
    assert all(re.fullmatch(r"-?\d+\.\d{6}", one) for (one,) in rows), "plain digits"


def test_bytes_as_spreadsheets_like_them() -> None:
    frame = pd.DataFrame({"tenant": pd.Series(["Müller\nSöhne"], dtype=pd.ArrowDtype(pa.string()))})
    assert csv_bytes(frame, "UTC") == '\ufefftenant\r\n"Müller\nSöhne"\r\n'.encode()


@pytest.mark.parametrize(
    ("page", "panel", "expected"),
    [
        ("tenant", "Credits burned per day", "tenant-credits-burned-per-day-2026-05-19-to-2026-06-15.csv"),
        ("tenants", "usage.totals", "tenants-usage-totals-2026-05-19-to-2026-06-15.csv"),
        ("x", '../../etc/"passwd\r\n', "x-etc-passwd-2026-05-19-to-2026-06-15.csv"),
    ],
)
def test_the_name_says_page_panel_and_period(page: str, panel: str, expected: str) -> None:
    assert file_name(page, panel, PERIOD) == expected


def test_a_page_without_a_period_has_names_without_one() -> None:
    assert file_name("performance", "Slow queries", None) == "performance-slow-queries.csv"


@pytest.mark.parametrize("role", ROLES)
def test_prompts_and_pictures_are_for_those_who_may_read_them(role: Any) -> None:
    columns = {one: pd.Series(["x"], dtype=pd.ArrowDtype(pa.string())) for one in ("prompt", "image_url", "user")}
    taken = downloads.columns_for(pd.DataFrame(columns), Viewer("x", role, Scope.all_tenants()), Scope.of("a"))
    assert taken == (["prompt", "image_url", "user"] if role in ("account_manager", "admin") else ["user"])


def test_the_bytes_of_pictures_are_no_column() -> None:
    frame = pd.DataFrame({"data": pd.Series([b"GIF"], dtype=pd.ArrowDtype(pa.binary())), "n": [1]})
    assert downloads.columns_for(frame, Viewer("x", "admin", Scope.all_tenants()), Scope.of("a")) == ["n"]


def buttons(app: Any) -> list[Any]:
    return [one.proto for one in app.get("download_button")]


def test_every_panel_has_its_file_and_none_is_made_before_a_click(open_app, ids, monkeypatch):
    made = []
    monkeypatch.setattr(downloads, "csv_bytes", lambda *given: made.append(given))
    app = open_app("tenant", tenant=ids[0])
    assert not app.exception
    assert not app.error
    icons = [one for one in buttons(app) if one.label == ":material/download: CSV"]
    assert len(icons) >= 4
    assert not any(one.disabled for one in icons)
    assert not made


def test_a_file_that_is_too_large_is_not_offered_and_the_button_says_why(open_app, ids, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST_BYTES", 10)
    app = open_app("tenant", tenant=ids[0])
    assert not app.exception
    assert all(one.disabled and one.help == downloads.TOO_LARGE for one in buttons(app))
