"""One run: one snapshot, nothing written before an error, nothing left behind, and what it says of itself."""

import csv
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from queries.database import Database
from queries.errors import (
    ArgumentError,
    DatabaseError,
    DatabaseUnavailableError,
    MappingError,
    ReaderGoneError,
    StatementTimeoutError,
)
from queries.exports import csv_file
from queries.exports.copying import Export, Frozen, Made, freeze, preview, unknown_tenants
from queries.exports.manifest import Manifest
from queries.exports.reports import Order
from queries.scope import Scope
from tests.conftest import OWNER, Server
from tests.queries.exports.conftest import NOW, made_of, order_of

FIRST, LAST = date(2026, 4, 1), date(2026, 6, 30)
FORMATS = ("csv", "csv.gz", "parquet", "xlsx")
WITHIN_S = 10.0


def taken(export: Export) -> tuple[bytes, Manifest]:
    pieces: list[bytes] = []
    manifest = export.run(pieces.append)
    return b"".join(pieces), manifest


@contextmanager
def superuser(server: Server, name: str) -> Iterator[psycopg.Connection[Any]]:
    with server.superuser(name) as connection:
        yield connection


def copies(connection: psycopg.Connection[Any], name: str) -> int:
    """How many COPY statements run in this database."""
    found = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'active' AND query LIKE 'COPY%%'", [name]
    ).fetchone()
    assert found is not None
    return int(found[0])


def waited_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def long_history(server: Server, database_name: str) -> str:
    """So many movements that no buffer on the way holds them all."""
    with server.superuser(database_name) as connection:
        connection.execute(
            """INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")
               SELECT 'long_' || md5(n::text), (SELECT min(id) FROM "Organization"), 'ADJUSTMENT', 1, '2026-06-01'
               FROM generate_series(1, 200000) AS n"""
        )
    return database_name


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("report", ["ledger", "generations", "usage-lines", "credit-statement", "query-log"])
def test_every_report_in_every_format_has_its_rows_and_sums(demo: Database, report: str, format_: Any) -> None:
    export = Export(demo, order_of(report, FIRST, LAST, format=format_), id="one")
    data, manifest = taken(export)
    assert (manifest.id, manifest.report, manifest.rows, manifest.bytes) == ("one", report, export.rows, len(data))
    assert (export.state, export.bytes) == ("done", len(data))
    assert manifest.differences == ()
    assert list(manifest.sums) == [one.name for one in export.order.what.summed]
    assert (manifest.status, manifest.closed_at) == ("provisional", None)
    assert report == "query-log" or manifest.rows > 0


@pytest.mark.parametrize("format_", FORMATS)
def test_file_and_manifest_are_of_one_snapshot(own: Database, app_url: str, format_: Any) -> None:
    """Rows that others commit while the file is written are neither in it nor in its sums."""
    order = order_of("ledger", FIRST, LAST, format=format_)
    before = preview(own, order, 1)
    posted: list[int] = []

    def write(_: bytes) -> None:
        if not posted:
            posted.append(1)
            with psycopg.connect(app_url) as connection:
                connection.execute(
                    """INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")
                       SELECT 'late_' || id, id, 'GRANT', 7, '2026-06-01' FROM "Organization" """
                )

    manifest = Export(own, order).run(write)
    assert (manifest.rows, manifest.sums, manifest.differences) == (before.rows, before.sums, ())
    after = preview(own, order, 1)
    assert after.rows > manifest.rows
    assert after.as_of > manifest.as_of > before.as_of


@pytest.mark.parametrize("format_", FORMATS)
def test_an_empty_result_is_a_file_with_its_header(demo: Database, format_: Any) -> None:
    order = order_of("generations", date(2001, 1, 1), date(2001, 1, 31), format=format_)
    data, manifest = taken(Export(demo, order))
    assert manifest.rows == 0
    assert set(manifest.sums.values()) == {"0"}
    assert data
    if format_ == "csv":
        assert data == b"\xef\xbb\xbf" + ",".join(order.what.header).encode() + b"\r\n"


def test_the_header_goes_before_the_first_row_is_there(demo: Database) -> None:
    pieces: list[bytes] = []
    Export(demo, order_of("ledger", FIRST, LAST, dialect="plain")).run(pieces.append)
    assert pieces[0] == b",".join(one.encode() for one in order_of("ledger", FIRST, LAST).what.header) + b"\n"
    assert all(len(one) <= csv_file.CHUNK_BYTES for one in pieces)


@pytest.mark.parametrize("format_", FORMATS)
def test_an_error_of_the_statement_writes_nothing(own: Database, superuser_url: str, format_: Any) -> None:
    own.tables()
    with psycopg.connect(superuser_url) as connection:
        connection.execute("DROP VIEW usage_dashboard.app_credit_transaction CASCADE")
    pieces: list[bytes] = []
    export = Export(own, order_of("ledger", FIRST, LAST, format=format_))
    with pytest.raises(MappingError):
        export.run(pieces.append)
    assert (pieces, export.state, export.bytes) == ([], "failed", 0)


def test_an_error_among_the_rows_is_raised_and_not_written(own: Database, superuser_url: str) -> None:
    """A price that is no number, which Parquet's decimals cannot hold."""
    order = order_of("ledger", FIRST, LAST, format="parquet")
    own.tables()
    with psycopg.connect(superuser_url) as connection:
        connection.execute(
            """UPDATE "CreditTransaction" SET "createdAt" = '2026-06-02',
               "pricePaid" = 'NaN' WHERE id = (SELECT max(id) FROM "CreditTransaction")"""
        )
    pieces: list[bytes] = []
    with pytest.raises(DatabaseError) as found:
        Export(own, order).run(pieces.append)
    assert b"".join(pieces).count(b"PAR1") == 1, "it begins and has no end"
    assert "; " in str(found.value)


def test_who_takes_no_more_ends_the_copy(server: Server, own: Database, long_history: str) -> None:
    class GoneError(Exception):
        pass

    pieces: list[bytes] = []

    def write(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) == 3:
            raise GoneError

    export = Export(own, order_of("ledger", FIRST, LAST))
    with superuser(server, long_history) as connection:
        with pytest.raises(GoneError):
            export.run(write)
        waited_for(lambda: copies(connection, long_history) == 0)
    assert len(pieces) == 3, "nothing after it"
    assert export.state == "failed"


@pytest.mark.parametrize("format_", FORMATS)
def test_cancel_ends_the_copy_and_the_run(server: Server, own: Database, long_history: str, format_: Any) -> None:
    pieces: list[bytes] = []
    is_writing, may_go_on = threading.Event(), threading.Event()

    def write(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) == 3:  # rows: the first is written before the COPY
            is_writing.set()
            assert may_go_on.wait(2 * WITHIN_S)

    export = Export(own, order_of("ledger", FIRST, LAST, format=format_))
    raised: list[BaseException] = []

    def run() -> None:
        try:
            export.run(write)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert is_writing.wait(WITHIN_S)
    with superuser(server, long_history) as connection:
        assert copies(connection, long_history) == 1, "the held writer holds the COPY"
        export.cancel()
        export.cancel()
        # The writer is still held: nothing is read of the COPY, which is what its backend may be waiting for.
        waited_for(lambda: copies(connection, long_history) == 0)
    may_go_on.set()
    thread.join(WITHIN_S)
    assert not thread.is_alive()
    assert [type(one) for one in raised] == [ReaderGoneError]
    assert export.state == "cancelled"


def test_cancel_before_the_run_writes_nothing(demo: Database) -> None:
    pieces: list[bytes] = []
    export = Export(demo, order_of("ledger", FIRST, LAST))
    export.cancel()
    with pytest.raises(ReaderGoneError):
        export.run(pieces.append)
    assert (pieces, export.state) == ([], "cancelled")
    with pytest.raises(RuntimeError):
        export.run(pieces.append)


def test_the_time_of_a_statement_is_bounded_and_said(own: Database, long_history: str) -> None:
    with pytest.raises(StatementTimeoutError, match=r"after 0.02 s.*EXPORT_TIMEOUT_S"):
        Export(own, order_of("ledger", FIRST, LAST), timeout_s=0.02).run(lambda _: None)


def test_a_database_that_is_lost_in_mid_stream_is_said(server: Server, own: Database, long_history: str) -> None:
    pieces: list[bytes] = []

    def write(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) == 2:
            with superuser(server, long_history) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY%%'",
                    [long_history],
                )

    with pytest.raises(DatabaseUnavailableError):
        Export(own, order_of("ledger", FIRST, LAST)).run(write)
    assert len(b"".join(pieces)) < len(taken(Export(own, order_of("ledger", FIRST, LAST)))[0]), "it ends half-way"


def test_pages_do_not_wait_for_an_export(demo: Database) -> None:
    used: list[int] = []
    Export(demo, order_of("ledger", FIRST, LAST)).run(lambda _: used.append(demo.pool_use().in_use))
    assert set(used) == {0}


def test_only_the_tenants_of_the_order(demo: Database, server: Server, shared_database: str) -> None:
    with server.superuser(shared_database) as connection:
        ids = [str(one) for (one,) in connection.execute('SELECT id FROM "Organization" ORDER BY id LIMIT 3')]
    order = order_of("ledger", FIRST, LAST, scope=Scope.of(ids[:2]), dialect="plain")
    data, manifest = taken(Export(demo, order))
    assert manifest.filters["tenants"] == ids[:2]
    assert {line.split(",")[4].strip('"') for line in data.decode().splitlines()[1:]} == set(ids[:2])
    nobody = taken(Export(demo, order_of("ledger", FIRST, LAST, scope=Scope.of(["nobody"]))))[1]
    assert nobody.rows == 0
    assert unknown_tenants(demo, Scope.of([*ids, "nobody", "x\x00"])) == ["nobody", "x\x00"]
    assert unknown_tenants(demo, Scope.all_tenants()) == []


def test_prompts_are_withheld_unless_they_are_asked_for(demo: Database) -> None:
    day = date(2026, 6, 10)
    without = preview(demo, order_of("generations", day, day), 5)
    assert set(without.first.column("prompt").to_pylist()) == {None}
    given = preview(demo, order_of("generations", day, day, with_prompts=True), 5)
    assert all(given.first.column("prompt").to_pylist())
    assert (given.rows, given.sums) == (without.rows, without.sums)
    _, manifest = taken(Export(demo, order_of("generations", day, day)))
    assert manifest.filters["withheld"] == ["prompt"]


def test_a_preview_is_what_the_file_will_be(demo: Database) -> None:
    order = order_of("usage-lines", FIRST, LAST)
    seen = preview(demo, order, 7)
    manifest = Export(demo, order).run(lambda _: None)
    assert (seen.rows, seen.sums) == (manifest.rows, manifest.sums)
    assert seen.first.num_rows == 7
    assert tuple(seen.first.column_names) == order.what.header
    assert preview(demo, order_of("usage-lines", date(2001, 1, 1), date(2001, 1, 2)), 7).first.num_rows == 0


def test_rows_beyond_a_sheet_are_refused_before_the_first_byte(demo: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_of("ledger", FIRST, LAST, format="xlsx")
    rows = preview(demo, order, 1).rows
    monkeypatch.setattr("queries.exports.copying.XLSX_ROWS", rows)
    assert Export(demo, order).run(lambda _: None).rows == rows
    monkeypatch.setattr("queries.exports.copying.XLSX_ROWS", rows - 1)
    pieces: list[bytes] = []
    with pytest.raises(ArgumentError, match="choose CSV or Parquet, or a shorter period"):
        Export(demo, order).run(pieces.append)
    assert pieces == []


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [("x" * 32_767, True), ("x" * 32_768, False), ("😀" * 16_383, True), ("😀" * 16_384, False), ("=" * 32_767, False)],
)
def test_a_text_beyond_a_cell_is_refused_before_the_first_byte(
    own: Database, app_url: str, prompt: str, fits: bool
) -> None:
    with psycopg.connect(app_url) as connection:
        connection.execute(
            """UPDATE "Generation" SET prompt = %s, "createdAt" = '2026-06-10'
               WHERE id = (SELECT max(id) FROM "Generation")""",
            [prompt],
        )
    day = date(2026, 6, 10)
    pieces: list[bytes] = []
    export = Export(own, order_of("generations", day, day, with_prompts=True, format="xlsx", guarded="=" in prompt))
    if fits:
        assert export.run(pieces.append).rows > 0
        return
    with pytest.raises(ArgumentError, match="choose CSV or Parquet, or leave the prompts out"):
        export.run(pieces.append)
    assert pieces == []


def test_what_is_frozen_is_given_again_byte_for_byte(own: Database, server: Server, database_name: str) -> None:
    order = order_of("ledger", date(2026, 5, 1), date(2026, 5, 31), dialect="plain", guarded=False)
    pieces: list[bytes] = []
    with psycopg.connect(server.url(database_name, OWNER)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        written = freeze(connection, own.tables(), order, pieces.append)
    assert (written.bytes, written.rows > 0) == (len(b"".join(pieces)), True)
    straight, _ = taken(Export(own, order))
    assert b"".join(pieces) == straight
    kept = Frozen(lambda: iter(pieces), NOW, NOW, written.rows, written.sums)
    with psycopg.connect(server.url(database_name, "app")) as connection:
        connection.execute("""UPDATE "CreditTransaction" SET amount = amount + 1 WHERE "createdAt" >= '2026-05-02'""")
    for format_ in FORMATS:
        again = order_of("ledger", date(2026, 5, 1), date(2026, 5, 31), format=format_)
        first, second = (taken(Export(own, again, frozen=kept)) for _ in range(2))
        assert first[0] == second[0]
        assert first[1].sha256 == second[1].sha256
        assert (first[1].status, first[1].closed_at, first[1].differences) == ("closed", NOW, ())
        assert (first[1].rows, first[1].sums) == (written.rows, dict(written.sums))
    assert taken(Export(own, order, frozen=kept))[0] == straight
    assert preview(own, order, 3, frozen=kept).rows == written.rows


def test_frozen_bytes_that_are_not_what_was_recorded_show(own: Database) -> None:
    order = order_of("ledger", date(2026, 5, 1), date(2026, 5, 31), dialect="plain", guarded=False)
    data, manifest = taken(Export(own, order))
    kept = Frozen(lambda: iter([data]), NOW, NOW, manifest.rows + 1, {**manifest.sums, "amount": "1"})
    found = Export(own, order, frozen=kept).run(lambda _: None).differences
    assert len(found) == 2
    assert f"{manifest.rows:,} rows were written, and {manifest.rows + 1:,} counted" in found
    with pytest.raises(DatabaseError, match="middle"):
        Export(own, order, frozen=Frozen(lambda: iter([data[:-5]]), NOW, NOW, 1, manifest.sums)).run(lambda _: None)


@pytest.mark.parametrize("format_", FORMATS)
def test_rows_that_the_dashboard_makes(demo: Database, format_: Any) -> None:
    made = made_of(
        ["=x", 'a"b', None], credits_left=[Decimal("1.25"), None, Decimal(-3)], last_seen_at_utc=[NOW, None, NOW]
    )
    scope = Scope.all_tenants()
    order = Order("tenants", scope=scope, zone="UTC", first=None, last=None, now=NOW, format=format_)
    data, manifest = taken(Export(demo, order, made=made))
    assert (manifest.rows, manifest.sums["credits_left"], manifest.as_of) == (3, "-1.75", NOW)
    if format_ == "csv":
        assert b'"t0","\'=x",' in data
        assert b"2026-06-15T10:30:00.000000Z" in data
    with pytest.raises(ArgumentError, match="hand its rows over"):
        Export(demo, order).run(lambda _: None)
    with pytest.raises(ArgumentError, match="columns of the report"):
        Export(demo, order, made=Made(made.table.drop_columns(["plan"]), NOW)).run(lambda _: None)


def test_prompts_of_a_megabyte(own: Database, app_url: str) -> None:
    texts = ["=" + 'x",\n' * 262_144, "ö" * 524_288, "\U0001f600" * 250_000]
    with psycopg.connect(app_url) as connection:
        ids = [one for (one,) in connection.execute('SELECT id FROM "Generation" ORDER BY id LIMIT 3')]
        for id_, text in zip(ids, texts, strict=True):
            connection.execute(
                """UPDATE "Generation" SET prompt = %s, "createdAt" = '2001-02-03' WHERE id = %s""", [text, id_]
            )
    day = date(2001, 2, 3)
    for guarded in (True, False):
        order = order_of("generations", day, day, with_prompts=True, guarded=guarded, dialect="plain")
        data, manifest = taken(Export(own, order))
        assert manifest.rows == 3
        rows = csv_rows(data)
        expected = {f"'{one}" if guarded and one.startswith("=") else one for one in texts}
        assert {one["prompt"] for one in rows} == expected
    _, manifest = taken(Export(own, order_of("generations", day, day, with_prompts=True, format="parquet")))
    assert manifest.rows == 3


def csv_rows(data: bytes) -> list[dict[str, str]]:
    limit = csv.field_size_limit(2**30)
    try:
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    finally:
        csv.field_size_limit(limit)
