"""Rows to frames by type oid, and frames through bytes: exactly, and without trusting the bytes."""

import json
import math
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import ipc

from queries import arrow
from queries.arrow import UnreadableFrameError, arrow_frame, decoded, encoded, frame_of, held_bytes
from queries.errors import DatabaseError

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["🖼️", "naïve", "", "a\x00b"])
NUMERIC = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale), st.integers(-(10**20), 10**20), st.integers(0, 18)
)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - naive is what `timestamp` gives
AWARE = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]),
)
JSON = st.recursive(st.none() | st.booleans() | INT64 | TEXT, lambda one: st.lists(one) | st.dictionaries(TEXT, one))


def same(value: Any) -> Any:
    return value


def spelled(value: Any) -> Any:
    return [None if one is None else str(one) for one in value] if isinstance(value, list) else str(value)


def listed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=4)


# PostgreSQL's type -> what psycopg gives for it, the column's type, what the column gives back.
TYPES: dict[str, tuple[st.SearchStrategy[Any], pa.DataType | None, Callable[[Any], Any]]] = {
    "int2": (st.integers(-(2**15), 2**15 - 1), pa.int64(), same),
    "int4": (st.integers(-(2**31), 2**31 - 1), pa.int64(), same),
    "int8": (INT64, pa.int64(), same),
    "numeric": (NUMERIC, None, same),
    "float8": (st.floats(allow_nan=False), pa.float64(), same),
    "bool": (st.booleans(), pa.bool_(), same),
    "text": (TEXT, pa.string(), same),
    "varchar": (TEXT, pa.string(), same),
    "uuid": (st.uuids(), pa.string(), spelled),
    "timestamptz": (AWARE, pa.timestamp("us", "UTC"), lambda value: value.astimezone(UTC)),
    "timestamp": (MOMENTS, pa.timestamp("us"), same),
    "date": (st.dates(), pa.date32(), same),
    "interval": (st.timedeltas(timedelta(days=-99999), timedelta(days=99999)), pa.duration("us"), same),
    "jsonb": (JSON.filter(lambda one: one is not None), pa.string(), json.loads),
    "bytea": (st.binary(max_size=20), pa.binary(), same),
    "int4[]": (listed(st.integers(-(2**31), 2**31 - 1)), pa.list_(pa.int64()), same),
    "text[]": (listed(TEXT), pa.list_(pa.string()), same),
    "uuid[]": (listed(st.uuids()), pa.list_(pa.string()), spelled),
    "numeric[]": (listed(NUMERIC), None, same),
    "timestamptz[]": (
        listed(AWARE),
        pa.list_(pa.timestamp("us", "UTC")),
        lambda value: [one and one.astimezone(UTC) for one in value],
    ),
}


def oid_of(name: str) -> int:
    info = psycopg.adapters.types[name.removesuffix("[]")]
    return info.array_oid if name.endswith("[]") else info.oid


def column_of(frame: pd.DataFrame, name: str) -> pa.ChunkedArray:
    return pa.chunked_array(pa.array(frame[name].array))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    names = draw(st.lists(st.sampled_from(sorted(TYPES)), unique=True, min_size=1, max_size=6))
    row = st.tuples(*(st.none() | TYPES[name][0] for name in names))
    return names, draw(st.lists(row, max_size=8))


@given(tables())
@example((sorted(TYPES), []))
@example((sorted(TYPES), [(None,) * len(TYPES)] * 3))
def test_frame_holds_each_row_in_the_type_of_its_oid(given_: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    names, rows = given_
    frame = frame_of(rows, names, [oid_of(name) for name in names])
    assert len(frame) == len(rows)
    for position, name in enumerate(names):
        _, type_, back = TYPES[name]
        column = column_of(frame, name)
        if type_ is not None:
            assert column.type == type_
        found, sent = column.to_pylist(), [row[position] for row in rows]
        if back is json.loads:
            assert [one if one is None else json.loads(one) for one in found] == sent
        else:
            assert found == [one if one is None else back(one) for one in sent]


@given(tables(), st.dictionaries(TEXT, JSON, max_size=3))
def test_frame_and_metadata_survive_bytes(given_: tuple[list[str], list[tuple[Any, ...]]], metadata: Any) -> None:
    names, rows = given_
    frame = frame_of(rows, names, [oid_of(name) for name in names])
    back, back_metadata = decoded(encoded(frame, metadata))
    assert back_metadata == metadata
    assert back.index.equals(frame.index)
    assert list(back.dtypes) == list(frame.dtypes)
    for name in names:
        assert column_of(back, name).to_pylist() == column_of(frame, name).to_pylist()


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@example([Decimal("99999999999999999999999999999999999999"), Decimal("-1")])
@example([Decimal("0.00000000000000000000000000000000000001")])
@example([Decimal("1"), Decimal("1.25"), Decimal("1E+3")])
@example([Decimal("9.9999999999999999990E-20")])
@example([Decimal("0.00008705241"), Decimal("9.9999999999999592313651100E-25")])
def test_decimal_is_kept_to_the_last_digit_or_refused(values: list[Decimal]) -> None:
    try:
        column = column_of(frame_of([(one,) for one in values], ["x"], [oid_of("numeric")]), "x")
    except DatabaseError:
        scale = max(0, *(-int(one.as_tuple().exponent) for one in values))
        assert scale + max(max(0, one.adjusted() + 1) for one in values) > arrow.MAX_DIGITS
    else:
        assert pa.types.is_decimal128(column.type)
        assert column.to_pylist() == values


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", "1" * 39, "0." + "1" * 39])
@pytest.mark.parametrize("shape", ["numeric", "numeric[]"])
@pytest.mark.parametrize("before", [[], [Decimal("1.5")], [None]])
def test_decimal_that_cannot_be_kept_names_its_column(value: str, shape: str, before: list[Any]) -> None:
    values = [*before, Decimal(value)]
    rows = [(one if shape == "numeric" else [one],) for one in values]
    with pytest.raises(DatabaseError, match=r"column 'price'.*38 digits"):
        frame_of(rows, ["price"], [oid_of(shape)])


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DatabaseError, match="two columns of one name"):
        frame_of([(1, 2)], ["a", "a"], [23, 23])


def test_array_of_two_dimensions_is_refused_with_its_fix() -> None:
    with pytest.raises(DatabaseError, match=r"column 'a'.*cast it to text"):
        frame_of([([[1, 2], [3, 4]],)], ["a"], [oid_of("int4[]")])


SELECTED = """
    1::int2 AS small, 2::int8 AS big, 3.10::numeric AS exact, 0.5::float8 AS real, true AS yes, 'é🖼️' AS words,
    'b'::"char" AS letter, pg_catalog.uuidv7() AS id, '2026-01-02 03:04:05.678901+02'::timestamptz AS aware,
    '2026-01-02 03:04:05'::timestamp AS naive, '2026-01-02'::date AS day, '26 hours'::interval AS span,
    '{"a": [1, null]}'::jsonb AS doc, ARRAY[1, NULL]::int8[] AS numbers, ARRAY['x', NULL]::text[] AS texts,
    ARRAY[1.25, 3]::numeric[] AS exacts, '\\xff00'::bytea AS raw, '10.0.0.1'::inet AS address, NULL AS nothing,
    'public'::regnamespace AS space
"""


def test_types_of_a_real_server_with_and_without_rows(server: Any) -> None:
    with server.superuser() as connection:
        one, none = (connection.execute(f"SELECT {SELECTED} WHERE {condition}") for condition in ("true", "false"))
        names, oids = [c.name for c in one.description], [c.type_code for c in one.description]
        full, empty = frame_of(one.fetchall(), names, oids), frame_of(none.fetchall(), names, oids)
    row = {name: column_of(full, name).to_pylist()[0] for name in names}
    assert (row["exact"], row["exacts"]) == (Decimal("3.10"), [Decimal("1.25"), Decimal(3)])
    assert row["aware"] == datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC)
    assert (row["span"], row["day"], row["raw"]) == (timedelta(hours=26), date(2026, 1, 2), b"\xff\x00")
    assert (row["address"], row["nothing"], row["doc"]) == ("10.0.0.1", None, '{"a":[1,null]}')
    assert (row["numbers"], row["texts"], row["words"]) == ([1, None], ["x", None], "é🖼️")
    unscaled = [name for name in names if not name.startswith("exact")]
    assert list(full[unscaled].dtypes) == list(empty[unscaled].dtypes)
    assert pa.types.is_decimal128(column_of(empty, "exact").type)


def test_worked_on_frame_becomes_arrow_with_missing_values_kept() -> None:
    moments = pd.DatetimeIndex([pd.Timestamp("2026-01-02", tz="UTC"), pd.NaT])
    frame = pd.DataFrame(
        {"at": moments, "n": [1.5, np.nan], "s": ["🖼️", None], "c": pd.Categorical(["a", None])}, index=[7, 3]
    )
    frame["z"] = frame["at"].dt.tz_convert("Europe/Berlin")
    made = arrow_frame(frame)
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in made.dtypes)
    assert list(made.index) == [0, 1]
    assert made.isna().to_numpy().tolist() == [[False] * 5, [True] * 5]
    assert column_of(made, "s").type == column_of(made, "c").type == pa.string()
    assert arrow_frame(made) is made
    assert decoded(encoded(frame, {}))[0].equals(made)


def test_frame_whose_index_would_be_lost_is_refused() -> None:
    frame = pd.DataFrame({"a": [1]}, index=pd.Index([5], name="tenant"))
    with pytest.raises(ValueError, match="reset_index"):
        arrow_frame(frame)


@pytest.mark.parametrize(
    "values",
    [pa.array([{"a": 1}]), pa.array([Decimal(1)], pa.decimal256(76, 0)), pa.array([1], pa.timestamp("us", "+01:00"))],
    ids=["struct", "decimal256", "offset"],
)
def test_type_that_could_not_be_read_again_is_refused_at_once(values: pa.Array) -> None:
    with pytest.raises(ValueError, match="column 'a' has the type"):
        arrow_frame(pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(values)}))


def test_held_bytes_counts_a_buffer_once_and_wholly() -> None:
    values = pa.array(range(10_000), pa.int64())
    one = pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(values)})
    twice = pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(values), "b": pd.arrays.ArrowExtensionArray(values)})
    part = pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(values.slice(0, 10))})
    assert 80_000 <= held_bytes(one) < 90_000
    assert held_bytes(twice) < 90_000
    assert held_bytes(part) == held_bytes(one)
    first_ten = pa.Array.from_buffers(pa.int64(), 10, [None, values.buffers()[1].slice(0, 80)])
    assert held_bytes(pd.DataFrame({"a": pd.arrays.ArrowExtensionArray(first_ten)})) == held_bytes(one)


# ---------------------------------------------------------------------------------------------------------------------
# Bytes that are not to be trusted

ROWS = [(index, f"name {index} 🖼️", Decimal(index), [index]) for index in range(50)]
OIDS = [oid_of(name) for name in ("int8", "text", "numeric", "int4[]")]
GOOD = encoded(frame_of(ROWS, ["a", "b", "c", "d"], OIDS), {"key": "value"})


def read_all(data: bytes) -> None:
    """Decode and touch every value; any other error than ours, or a crash, fails the test."""
    try:
        frame, _ = decoded(data)
    except UnreadableFrameError:
        return
    for name in frame.columns:
        pa.array(frame[name].array).to_pylist()


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFrameError):
        decoded(data)


@given(st.integers(0, len(GOOD) - 1))
def test_truncated_bytes_are_refused_or_complete(length: int) -> None:
    try:
        frame, metadata = decoded(GOOD[:length])
    except UnreadableFrameError:
        return
    assert (len(frame), metadata) == (50, {"key": "value"})  # only the end mark was cut off


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_read_or_refused_and_never_crash(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for position, value in changes:
        data[position] = value
    read_all(bytes(data))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("pickle was loaded",)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def document(rows: int = 1, metadata: str = "{}") -> dict[bytes, str]:
    return {b"usage_dashboard": f'{{"rows": {rows}, "metadata": {metadata}}}'}


def test_pickle_is_refused_plain_and_as_an_extension_type() -> None:
    with pytest.raises(UnreadableFrameError):
        decoded(pickle.dumps(Bomb()))
    hidden = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Bomb())}
    schema = pa.schema([pa.field("a", pa.int64(), metadata=hidden)], metadata=document())
    read_all(stream(pa.table([[1]], schema=schema)))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a"]).dictionary_encode(),
        pa.array([{"a": 1}]),
        pa.array([[[1]]]),
        pa.array([1], pa.timestamp("us", "../../etc/passwd")),
        pa.array([None], pa.decimal128(38, 39)),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
    ],
    ids=["dictionary", "struct", "nested list", "zone", "scale", "extension"],
)
def test_types_that_are_never_written_are_refused(column: pa.Array) -> None:
    schema = pa.schema([("a", column.type)], metadata=document())
    with pytest.raises(UnreadableFrameError):
        decoded(stream(pa.Table.from_arrays([column], schema=schema)))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        document(rows=2),
        document(metadata="[]"),
        document(metadata='{"a": NaN}'),
        {b"usage_dashboard": '{"rows": true, "metadata": {}}'},
        {b"usage_dashboard": "[" * 100_000},
        {b"usage_dashboard": b"\xff"},
    ],
    ids=["none", "rows", "list", "nan", "bool", "deep", "not utf-8"],
)
def test_wrong_metadata_are_refused(metadata: dict[bytes, Any]) -> None:
    good = stream(pa.table([[1]], schema=pa.schema([("a", pa.int64())], metadata=document())))
    assert len(decoded(good)[0]) == 1
    with pytest.raises(UnreadableFrameError):
        decoded(stream(pa.table([[1]], schema=pa.schema([("a", pa.int64())], metadata=metadata))))


def test_column_whose_offsets_leave_its_buffer_is_refused() -> None:
    schema = pa.schema([("a", pa.string())], metadata=document())
    data = bytearray(stream(pa.Table.from_arrays([pa.array(["x"])], schema=schema)))
    at = data.rindex(b"\x00\x00\x00\x00\x01\x00\x00\x00")
    data[at : at + 8] = np.array([0, 1_000_000], "<i4").tobytes()
    with pytest.raises(UnreadableFrameError):
        decoded(bytes(data))


def test_metadata_that_are_not_json_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encoded(pd.DataFrame({"a": [1]}), {"x": math.nan})
