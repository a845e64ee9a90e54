"""All good rows land once or none does, and every figure follows from the rows."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.events.errors import BadRows, NothingToLoad, UnusableFile
from demo.events.loading import Outcome
from demo.events.rejects import reject_path
from demo.schema import has_schema

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parents[3]
HEADER = ("created_at", "tenant", "user", "type", "status", "model", "credits", "duration_ms", "prompt", "error")
START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = [
    "=SUM(A1)",
    "<script>alert(1)</script>",
    "🎨 Studio",
    "x" * 200,
    "שלום",
    "a'b\"c\\d",
    "\\N",
    ";--",
    "a\tb\nc",
    "NULLs",
]

moments = st.integers(0, 10_000).map(lambda minutes: (START + timedelta(minutes=minutes)).isoformat())
good_rows = st.tuples(
    moments,
    st.sampled_from([name for name in HOSTILE if name != "\\N"]),
    st.sampled_from(["", "ann", "bob", "=1+1"]),
    st.sampled_from(["TXT_2_IMG", "img2img", "INPAINTING", "upscale"]),
    st.sampled_from(["SUCCEED", "FAILED", "PENDING", "running", "canceled"]),
    st.sampled_from(["", "flux", "sdxl"]),
    st.sampled_from(["", "0", "1", "8.0", "10000000"]),
    st.sampled_from(["", "0", "23000", "1.5"]),
    st.sampled_from(["", 'a cat, "quoted"\nand more', "=cat()"]),
    st.sampled_from(["", "out of memory"]),
)
# Each breaks exactly one cell, or the shape of the row.
breaks = st.sampled_from(
    [
        *((0, "not a time"), (0, ""), (1, " "), (1, "t" * 501), (3, "video"), (4, "kaput"), (4, ""), (6, "-1")),
        *((6, "1.5"), (7, "-0.1"), (7, "9999999999"), (2, "a\0b"), (8, "a\0b"), (8, "p" * 100_001), (9, None)),
    ]
)


def broken(row: Sequence[str], position: int, value: str | None) -> tuple[str, ...]:
    return tuple(row[:position]) if value is None else (*row[:position], value, *row[position + 1 :])


bad_rows = st.builds(lambda row, fault: broken(row, *fault), good_rows, breaks)
files = st.lists(st.one_of(good_rows, good_rows, good_rows, bad_rows), min_size=1, max_size=25).flatmap(
    lambda rows: st.permutations(rows + rows[: len(rows) // 3])
)
each_example_empties = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, print_blob=True
)


def emptied(connection: Connection) -> None:
    if has_schema(connection):
        connection.execute('TRUNCATE "Organization" CASCADE')


def rows_of(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def state(connection: Connection) -> list[list[tuple[Any, ...]]]:
    """Everything that a load writes."""
    tables = ("Organization", "User", "Membership", "Generation", "CreditTransaction")
    return [rows_of(connection, f'SELECT * FROM "{table}" ORDER BY "id"') for table in tables]  # noqa: S608


@each_example_empties
@given(rows=files, data=st.data())
def test_any_mixture_adds_up_and_a_second_load_adds_nothing(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path], rows: Any, data: Any
) -> None:
    emptied(events_connection)
    path = write_csv(HEADER, rows)
    distinct_good = {row for row in rows if is_good(row)}
    if not distinct_good:
        with pytest.raises(NothingToLoad):
            load(path)
        return
    first = load(path)
    assert first.read_rows == len(rows)
    assert first.new_rows == len(distinct_good)
    assert first.rejected_rows == sum(not is_good(row) for row in rows)
    assert first.read_rows == first.new_rows + first.duplicate_rows + first.rejected_rows + first.already_there_rows
    assert first.already_there_rows == 0
    agree_with_plain_python(events_connection, distinct_good)
    assert reject_path(path).exists() == (first.rejected_rows > 0)
    before = state(events_connection)
    # Overlapping: some of the same rows, in another order.
    write_csv(HEADER, part := data.draw(st.permutations(rows)))
    second = load(path)
    assert (second.new_rows, second.already_there_rows, second.changed_rows) == (0, len(distinct_good), 0)
    assert second.read_rows == len(part)
    assert second.duplicate_rows == first.duplicate_rows
    assert state(events_connection) == before


def is_good(row: Sequence[str]) -> bool:
    """Knows the strategies above: what they break is easy to see."""
    return (
        len(row) == len(HEADER)
        and row[0] not in ("", "not a time")
        and row[1] != " "
        and len(row[1]) <= 500
        and row[3] != "video"
        and row[4] not in ("", "kaput")
        and row[6] not in ("-1", "1.5")
        and row[7] not in ("-0.1", "9999999999")
        and "\0" not in row[2] + row[8]
        and len(row[8]) <= 100_000
    )


def agree_with_plain_python(connection: Connection, rows: set[Sequence[str]]) -> None:
    credits = {row: int(float(row[6] or 0)) for row in rows}
    failed = [row for row in rows if row[4] == "FAILED"]
    expected = (len(rows), sum(credits.values()), sum(row[4] == "SUCCEED" for row in rows), len(failed))
    query = """SELECT count(*), sum("creditsUsed"), count(*) FILTER (WHERE "status" = 'SUCCEEDED'),
        count(*) FILTER (WHERE "status" = 'FAILED') FROM "Generation" """
    assert rows_of(connection, query) == [expected]
    ledger = dict(rows_of(connection, 'SELECT "type"::text, sum("amount") FROM "CreditTransaction" GROUP BY 1'))
    assert ledger["CHARGE"] == -sum(credits.values())
    assert ledger.get("REFUND", 0) == sum(credits[row] for row in failed)
    tenants = rows_of(
        connection,
        """SELECT "name", count(*), sum("creditsUsed") FROM "Generation"
           JOIN "Organization" ON "Organization"."id" = "organizationId" GROUP BY 1""",
    )
    counts, burned = Counter(row[1] for row in rows), Counter[str]()
    for row in rows:
        burned[row[1]] += credits[row]
    assert {name: (count, total) for name, count, total in tenants} == {
        name: (count, burned[name]) for name, count in counts.items()
    }
    users = rows_of(connection, 'SELECT "name", "organizationId" FROM "User"')
    assert Counter(name for name, _ in users) == Counter(
        user or "unknown user" for user, _ in {(row[2], row[1]) for row in rows}
    )


def test_a_generation_and_its_ledger(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    failed = ("2026-01-01 10:00:00.1239", "Acme", "ann", "t2i", "error", "flux", "3", "1500", "a cat", "boom")
    running = ("2026-01-01 11:00:00", "Acme", "", "upscale", "queued", "", "", "", "", "")
    load(write_csv(HEADER, [failed, running]))
    found = rows_of(
        events_connection,
        """SELECT u."name", g."type"::text, "model", "status"::text, "creditsUsed", "durationMs", "prompt", "error",
               g."createdAt", "completedAt", g."updatedAt"
           FROM "Generation" g JOIN "User" u ON u."id" = "userId" ORDER BY g."createdAt" """,
    )
    at, done = datetime(2026, 1, 1, 10, 0, 0, 123_000), datetime(2026, 1, 1, 10, 0, 1, 623_000)  # noqa: DTZ001
    later = datetime(2026, 1, 1, 11)  # noqa: DTZ001
    assert found == [
        ("ann", "TEXT_TO_IMAGE", "flux", "FAILED", 3, 1500, "a cat", "boom", at, done, done),
        ("unknown user", "UPSCALE", "unknown", "PENDING", 0, None, "", None, later, None, later),
    ]
    ledger = 'SELECT "type"::text, "amount", "description", "createdAt" FROM "CreditTransaction" ORDER BY "createdAt"'
    assert rows_of(events_connection, ledger) == [
        ("CHARGE", -3, "generation", at),
        ("REFUND", 3, "failed generation", done),
        ("CHARGE", 0, "credits unknown", later),
    ]
    for table in ("CreditBalance", "Subscription", "UsageLimit", "Image"):
        assert rows_of(events_connection, f'SELECT count(*) FROM "{table}"') == [(0,)]  # noqa: S608


def test_file_without_optional_columns(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    outcome = load(write_csv(("time", "tenant"), [("1767225600", name) for name in HOSTILE if name != "\\N"]))
    assert outcome.new_rows == outcome.unknown_credits_rows == len(HOSTILE) - 1
    assert outcome.content.users == 0
    names = {name for (name,) in rows_of(events_connection, 'SELECT "name" FROM "Organization"')}
    assert names == set(HOSTILE) - {"\\N"}
    assert rows_of(events_connection, 'SELECT DISTINCT "type"::text, "status"::text FROM "Generation"') == [
        ("TEXT_TO_IMAGE", "SUCCEEDED")
    ]


def test_reject_file_tells_true_lines_columns_and_text(load: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(
        b'\xef\xbb\xbftime;tenant;credits\r\n2026-01-01;"two\nlines";1\r\n=now();a;1\r\n2026-01-01;b\r\n\r\n'
        b'2026-01-01;;1\r\n2026-01-01;\xff;1\r\n2026-01-01;"open;1\r\n2026-01-01;c;-1\r\n2026-01-02;d;2\r\n'
    )
    outcome = load(path)
    assert (outcome.read_rows, outcome.new_rows, outcome.rejected_rows) == (8, 2, 6)
    lines = reject_path(path).read_text(errors="surrogateescape").splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        ["line", "column"],
        ["4", "time"],
        ["5", ""],
        ["7", "tenant"],
        ["8", ""],
        ["9", ""],
        ["10", "credits"],
    ]
    assert lines[1].endswith(",'=now();a;1")
    assert lines[4].endswith("2026-01-01;\udcff;1")


def test_strict_and_nothing_good_leave_nothing(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    path = write_csv(("time", "tenant"), [("2026-01-01", "a"), ("never", "b")])
    with pytest.raises(BadRows, match="line 3, column time"):
        load(path, strict=True)
    assert not has_schema(events_connection)
    assert reject_path(path).exists()
    with pytest.raises(NothingToLoad, match="none of the 1 rows"):
        load(write_csv(("time", "tenant"), [("never", "b")]))
    with pytest.raises(NothingToLoad, match="a header but no rows"):
        load(write_csv(("time", "tenant"), []))
    assert not has_schema(events_connection)


def test_own_ids_and_what_contradicts_them(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    header = ("id", "time", "tenant", "status")
    pending, done = ("g1", "2026-01-02", "a", "PENDING"), ("g1", "2026-01-02", "a", "FAILED")
    path = write_csv(header, [pending, pending, done, ("", "2026-01-02", "a", "ok")])
    outcome = load(path)
    assert (outcome.new_rows, outcome.duplicate_rows, outcome.rejected_rows) == (1, 1, 2)
    assert "4,,an earlier row has the same id but another content" in reject_path(path).read_text()
    later = load(write_csv(header, [done, ("g2", "2026-01-01", "a", "ok")]))
    assert (later.new_rows, later.already_there_rows, later.changed_rows) == (1, 1, 1)
    assert rows_of(events_connection, 'SELECT "id", "status"::text FROM "Generation" ORDER BY 1') == [
        ("g1", "PENDING"),
        ("g2", "SUCCEEDED"),
    ]
    assert rows_of(events_connection, 'SELECT count(*) FROM "CreditTransaction" WHERE "type" = \'REFUND\'') == [(0,)]
    # The tenant is as old as its first event, also when that is loaded later.
    assert rows_of(events_connection, 'SELECT "createdAt"::date::text FROM "Organization"') == [("2026-01-01",)]


def test_columns_in_another_order_are_the_same_rows(
    load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    load(write_csv(("time", "tenant", "extra"), [("2026-01-01", "a", "x"), ("2026-01-01", "a", "y")]))
    outcome = load(write_csv(("extra", "tenant", "time"), [("y", "a", "2026-01-01"), ("z", "a", "2026-01-01")]))
    assert (outcome.new_rows, outcome.already_there_rows) == (1, 1)


def test_zone_and_changed_clocks(
    events_connection: Connection, load: Callable[..., Outcome], write_csv: Callable[..., Path]
) -> None:
    texts = ("2026-10-25 02:30", "2026-03-29 02:30", "2026-07-01 12:00", "2026-07-01 12:00Z")
    outcome = load(write_csv(("time", "tenant"), [(text, "a") for text in texts]), zone="Europe/Berlin")
    assert (outcome.new_rows, outcome.repeated_times, outcome.skipped_times) == (4, 1, 1)
    found = rows_of(events_connection, 'SELECT "createdAt"::text FROM "Generation" ORDER BY "createdAt"')
    assert [text for (text,) in found] == [
        "2026-03-29 01:30:00",
        "2026-07-01 10:00:00",
        "2026-07-01 12:00:00",
        "2026-10-25 00:30:00",
    ]


def test_parquet_with_real_types(events_connection: Connection, load: Callable[..., Outcome], tmp_path: Path) -> None:
    at = START + timedelta(microseconds=123_456)
    table = pa.table(
        {
            "createdAt": pa.array([at, at, None, at], pa.timestamp("ns", tz="Asia/Kathmandu")),
            "organizationId": pa.array(["=A()", "=A()", "b", "c"]).dictionary_encode(),
            "creditsUsed": pa.array([2, 2, 2, 3], pa.int32()),
            "duration_seconds": pa.array([1.5, 1.5, 1.5, float("nan")]),
            "status": ["ok", "ok", "ok", "failed"],
            "nothing": pa.nulls(4),
            "tags": [["x"], ["x"], [], None],
        }
    )
    path = tmp_path / "events.parquet"
    pq.write_table(table, path)
    outcome = load(path)
    assert (outcome.new_rows, outcome.duplicate_rows, outcome.rejected_rows) == (2, 1, 1)
    query = 'SELECT "creditsUsed", "durationMs", "createdAt"::text FROM "Generation" ORDER BY "creditsUsed"'
    assert rows_of(events_connection, query) == [
        (2, 1500, "2026-01-01 00:00:00.123"),
        (3, None, "2026-01-01 00:00:00.123"),
    ]
    assert reject_path(path).read_text().splitlines()[1].startswith("3,createdAt,missing,")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n\n", "no header"),
        (b"PK\x03\x04zip", "Excel"),
        (b"\x1f\x8bgzip", "gzip"),
        (b"\xff\xfet\0", "UTF-16"),
        (b"\x89PNG\r\n\x1a\n", "neither CSV"),
        (b"\x7fELF\0\0,\0", "neither CSV"),
        (b"PAR1 broken", "cannot be read"),
        (b"x" * 3_000_000, "neither CSV"),
    ],
)
def test_other_files_are_refused(load: Callable[..., Outcome], tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises((UnusableFile, NothingToLoad), match=words):
        load(path)


def test_folders_missing_files_and_pipes_are_refused(load: Callable[..., Outcome], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "folder"), (tmp_path / "no", "does not exist"), (tmp_path / "pipe", "regular")):
        with pytest.raises(UnusableFile, match=words):
            load(path)


def test_broken_off_parquet_leaves_nothing(
    events_connection: Connection, load: Callable[..., Outcome], tmp_path: Path
) -> None:
    path = tmp_path / "events.parquet"
    table = pa.table({"time": ["2026-01-01"] * 50_000, "tenant": [f"t{number}" for number in range(50_000)]})
    pq.write_table(table, path, row_group_size=20_000, use_dictionary=False, compression="zstd")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2_000] = b"\xff" * 2_000
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match="cannot be read"):
        load(path)
    assert not has_schema(events_connection)


# A program that loads a file, says when it is in the middle of it, and stays there.
STUCK = """
import json, sys, time
from pathlib import Path
import psycopg
from demo.events import loading
from demo.events.columns import chosen_columns
from demo.events.moments import Clock
from demo.events.reading import Reader
from demo.events.rejects import RejectFile, reject_path
from demo.events.source import Source

url, name, stage = json.loads(sys.argv[1])
path = Path(name)
source = Source(path)

def stay(at, done, total):
    if at.startswith(stage) and done:
        print("here", flush=True)
        time.sleep(600)

with psycopg.connect(url, autocommit=True) as connection, RejectFile(reject_path(path), path) as rejects:
    loading.load(connection, source, Reader(chosen_columns(source.header, {}), Clock()), rejects, progress=stay)
"""


@pytest.mark.parametrize("stage", ["reading", "writing"])
def test_killed_in_the_middle_leaves_nothing_and_loads_again(
    events_connection: Connection,
    empty_database_url: str,
    load: Callable[..., Outcome],
    write_csv: Callable[..., Path],
    stage: str,
) -> None:
    path = write_csv(("time", "tenant"), [("2026-01-01", f"t{n}") for n in range(20_000)])
    command = [sys.executable, "-c", STUCK, json.dumps([empty_database_url, str(path), stage])]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
            assert not has_schema(events_connection)
        finally:
            process.send_signal(signal.SIGKILL)
    assert list(path.parent.iterdir()) == [path]
    assert load(path).new_rows == 20_000
