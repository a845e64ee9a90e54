"""`export`, `verify` and `close-month` as cron runs them: real processes on a real PostgreSQL."""

import csv
import gzip
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from dashboard.commands import close_month as close_month_module
from dashboard.commands import export as export_module
from queries.errors import UsageDashboardError
from tests.running import ROOT

BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


def run_apart(*arguments: str, preexec: Callable[[], None] | None = None, **environment: str) -> Ended:
    """A process of its own, as cron has it."""
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", *arguments],
        cwd=ROOT,
        env={**cleared, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=preexec,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same command within this process, which costs no start."""
    for command in (export_module, close_month_module):
        # The log would go on to a stream that ends with the command.
        monkeypatch.setattr(command, "configure_logging", lambda *_: None)

    def ran(*arguments: str, **environment: str) -> Ended:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(app, arguments)
        if isinstance(done.exception, UsageDashboardError):
            return Ended(1, done.stdout, f"{done.stderr}error: {done.exception.message}\n")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ended(done.exit_code, done.stdout, done.stderr)

    return ran


@pytest.fixture
def addresses(reader_url: str, owner_url: str) -> dict[str, str]:
    return {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in folder.iterdir()}


def posted(app_url: str, start: datetime, end: datetime) -> list[tuple[Any, ...]]:
    with psycopg.connect(app_url) as connection:
        return connection.execute(
            'SELECT "organizationId", type::text, amount FROM "CreditTransaction"'
            ' WHERE "createdAt" >= %s AND "createdAt" < %s',
            [start.astimezone(UTC).replace(tzinfo=None), end.astimezone(UTC).replace(tzinfo=None)],
        ).fetchall()


def post(app_url: str, at: datetime, amount: int = 40) -> None:
    with psycopg.connect(app_url) as connection:
        connection.execute(
            'INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")'
            " SELECT gen_random_uuid()::text, min(id), 'GRANT', %s, %s FROM \"Organization\"",
            [amount, at.replace(tzinfo=None)],
        )


def test_a_file_and_its_manifest_are_written_once_and_verify(
    addresses: dict[str, str], app_url: str, owner_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "not yet" / "there"
    order = ("export", "ledger", "--month", "2026-05", "--zone", "Europe/Berlin", "--plain", "--out", str(folder))
    first = run_apart(*order, **addresses)
    assert first.returncode == 0, first.stderr
    there = contents(folder)
    assert sorted(there) == [
        "ledger-2026-05-europe-berlin-plain.csv",
        "ledger-2026-05-europe-berlin-plain.csv.manifest.json",
    ]
    (content, _), (manifest, _) = (there[name] for name in sorted(there))
    told = json.loads(manifest)
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    expected = posted(app_url, datetime(2026, 5, 1, tzinfo=BERLIN), datetime(2026, 6, 1, tzinfo=BERLIN))
    assert sorted((row["tenant_id"], row["type"], int(row["amount"])) for row in rows) == sorted(expected)
    total = sum(amount for _, _, amount in expected)
    assert (told["rows"], told["sums"]["amount"]) == (len(expected), str(total))
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["status"] == "provisional"
    assert f"{len(expected):,} rows, provisional, SHA-256 {told['sha256']}" in first.stdout
    assert f"  amount {total}\n" in first.stdout
    # Running it twice changes nothing.
    second = run_apart(*order, **addresses)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "Nothing changed" in second.stderr
    assert contents(folder) == there
    good = run_apart("verify", str(folder))
    assert (good.returncode, good.stdout) == (0, "ledger-2026-05-europe-berlin-plain.csv: ok\n")
    # The register knows both runs.
    with psycopg.connect(owner_url) as connection:
        entered = connection.execute(
            "SELECT report, role, state, status, rows, sha256, filters->>'zone' FROM usage_dashboard.export"
        ).fetchall()
    assert (
        entered
        == [("ledger", "command line", "done", "provisional", len(expected), told["sha256"], "Europe/Berlin")] * 2
    )
    # What was posted since changes a provisional file.
    post(app_url, datetime(2026, 5, 9, tzinfo=UTC))
    third = run_apart(*order, **addresses)
    assert third.returncode == 0
    assert f"{len(expected) + 1:,} rows" in third.stdout
    # One digit more is found.
    path = folder / "ledger-2026-05-europe-berlin-plain.csv"
    path.write_bytes(path.read_bytes().replace(b'"GRANT",', b'"GRANT",1', 1))
    bad = run_apart("verify", str(folder))
    assert bad.returncode == 1
    assert bad.stdout.startswith("ledger-2026-05-europe-berlin-plain.csv: differs\n")


def test_every_format_of_a_statement_of_two_tenants(
    run: Run, addresses: dict[str, str], app_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(app_url) as connection:
        ids = [one for (one,) in connection.execute('SELECT id FROM "Organization" ORDER BY id LIMIT 2').fetchall()]
    chosen = [word for one in ids for word in ("--tenant", one)]
    shas = set()
    for format_ in ("csv", "csv.gz", "parquet", "xlsx"):
        done = run(
            *("export", "credit-statement", "--month", "2026-05", "--out", str(tmp_path), "--format", format_),
            *chosen,
            **addresses,
        )
        assert done.returncode == 0, done.stderr
        assert "2 rows, provisional" in done.stdout
        shas.add(done.stdout.splitlines()[0].split()[-1])
        sums = done.stdout.splitlines()[1:]
        assert [line.split()[0] for line in sums][:1] == ["opening"]
        shas.add("\n".join(sums))
    # Four files, and the same sums in each.
    assert len(shas) == 5
    assert run("verify", str(tmp_path)).stdout.count(": ok\n") == 4
    packed = next(tmp_path.glob("*.csv.gz"))
    assert gzip.decompress(packed.read_bytes()) == packed.with_suffix("").read_bytes()


def test_a_closed_month_is_fetched_byte_for_byte_whatever_is_posted_later(
    run: Run, addresses: dict[str, str], app_url: str, tmp_path: Path
) -> None:
    closed = run("close-month", "--month", "2026-05", "--zone", "UTC", **addresses)
    assert closed.returncode == 0, closed.stderr
    assert closed.stdout.startswith("2026-05 (UTC): closed at ")
    assert "Freezing: ledger" in closed.stderr
    orders = [
        ("export", report, "--month", "2026-05", "--out", str(tmp_path), "--format", format_)
        for report, format_ in (("credit-statement", "csv"), ("ledger", "parquet"), ("usage-lines", "xlsx"))
    ]
    for order in orders:
        done = run(*order, **addresses)
        assert done.returncode == 0, done.stderr
        assert "rows, closed, SHA-256" in done.stdout
    before = contents(tmp_path)
    post(app_url, datetime(2026, 5, 9, tzinfo=UTC))
    again = run("close-month", "--month", "2026-05", **addresses)
    assert (again.returncode, again.stdout) == (0, closed.stdout)
    for order in orders:
        assert "Nothing changed" in run(*order, **addresses).stderr
    assert contents(tmp_path) == before
    assert run("verify", str(tmp_path)).stdout.count(": ok\n") == 3
    # In June it shows.
    june = run("export", "credit-statement", "--month", "2026-06", "--plain", "--out", str(tmp_path), **addresses)
    assert june.returncode == 0
    with (tmp_path / "credit-statement-2026-06-utc-plain.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["tenant_id"]: row for row in csv.DictReader(file)}
    with psycopg.connect(app_url) as connection:
        (grants,) = connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM \"CreditTransaction\" WHERE type = 'GRANT'"
            ' AND "createdAt" >= \'2026-06-01\' AND "organizationId" = %s',
            [min(rows)],
        ).fetchall()[0]
    assert int(rows[min(rows)]["granted"]) == grants + 40


def test_without_a_month_all_that_are_due_are_closed_and_a_second_run_changes_nothing(
    run: Run, addresses: dict[str, str], owner_url: str
) -> None:
    last = (datetime.now(UTC) - timedelta(hours=1)).replace(day=1) - timedelta(days=1)
    due = {"CLOSE_GRACE_H": "0"}
    first = run("close-month", **addresses, **due)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{last:%Y-%m} (UTC): closed at ")
    assert "written down for" in first.stderr
    second = run("close-month", **addresses, **due)
    assert (second.returncode, second.stdout) == (0, "")
    assert second.stderr == "No month can be closed now.\n"
    running = run("close-month", "--month", f"{datetime.now(UTC):%Y-%m}", **addresses)
    assert running.returncode == 1
    assert "is not over; close it from" in " ".join(running.stderr.split())
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM usage_dashboard.closed_month").fetchall() == [(1,)]


def test_a_month_cannot_be_closed_without_direct_url_and_a_file_can_be_fetched(
    run: Run, superuser_url: str, tmp_path: Path
) -> None:
    refused = run("close-month", DATABASE_URL=superuser_url)
    assert refused.returncode == 1
    assert "DIRECT_URL, which is not set" in " ".join(refused.stderr.split())
    fetched = run("export", "usage-lines", "--month", "2026-05", "--out", str(tmp_path), DATABASE_URL=superuser_url)
    assert fetched.returncode == 0, fetched.stderr
    assert run("verify", str(tmp_path)).returncode == 0


def test_a_full_disk_leaves_what_was_there(addresses: dict[str, str], owner_url: str, tmp_path: Path) -> None:
    order = ("export", "ledger", "--month", "2026-05", "--out", str(tmp_path))
    assert run_apart(*order, **addresses).returncode == 0
    before = contents(tmp_path)

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = run_apart(*order, preexec=small, **addresses)
    assert full.returncode == 1
    assert "cannot be written to" in full.stderr
    assert contents(tmp_path) == before
    with psycopg.connect(owner_url) as connection:
        states = connection.execute("SELECT state FROM usage_dashboard.export ORDER BY asked_at").fetchall()
    assert states == [("done",), ("failed",)]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_ended_leaves_no_file_and_no_copy(
    addresses: dict[str, str], app_url: str, owner_url: str, tmp_path: Path, ending: signal.Signals
) -> None:
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    with psycopg.connect(app_url) as holding:
        holding.execute('LOCK TABLE "CreditTransaction" IN ACCESS EXCLUSIVE MODE')
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard", "export", "ledger", "--month", "2026-05", "--out", str(tmp_path)],
            cwd=ROOT,
            env={**cleared, **addresses},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with psycopg.connect(owner_url, autocommit=True) as looking:
                waiting = (
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event = 'relation'"
                )
                deadline = time.monotonic() + 60
                while looking.execute(waiting).fetchone() != (1,):
                    assert time.monotonic() < deadline, "the export did not begin"
                    time.sleep(0.05)
                assert [one.suffix for one in tmp_path.iterdir()] == [".part"]
                process.send_signal(ending)
                assert process.wait(60) != 0
                while looking.execute(waiting).fetchone() != (0,):
                    assert time.monotonic() < deadline + 60, "the statement still waits"
                    time.sleep(0.05)
                entered = looking.execute("SELECT state, reason FROM usage_dashboard.export").fetchall()
        finally:
            process.kill()
            process.wait()
    assert entered == [("failed", "stopped before its end")]
    assert list(tmp_path.iterdir()) == []


def test_an_empty_result_is_a_file_with_its_header(run: Run, addresses: dict[str, str], tmp_path: Path) -> None:
    done = run(
        *("export", "ledger", "--from", "2020-01-01", "--to", "2020-01-31", "--plain", "--out", str(tmp_path)),
        **addresses,
    )
    assert done.returncode == 0, done.stderr
    assert ": 0 rows, provisional" in done.stdout
    (content,) = (one.read_text() for one in tmp_path.glob("*.csv"))
    assert content.startswith("movement_id,posted_at_utc,date,zone,")
    assert content.count("\n") == 1
    assert run("verify", str(tmp_path)).returncode == 0


def test_reports_without_a_period_and_without_tenants(run: Run, addresses: dict[str, str], tmp_path: Path) -> None:
    for order in (("tenants",), ("query-log", "--from", "2026-01-01", "--to", f"{datetime.now(UTC):%Y-%m-%d}")):
        done = run("export", *order, "--out", str(tmp_path), **addresses)
        assert done.returncode == 0, done.stderr
    assert run("verify", str(tmp_path)).stdout.count(": ok\n") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ledgers", "--month", "2026-05"), "'ledgers' is not known; choose one of credit-statement"),
        (("ledger",), "needs a first and a last day"),
        (("ledger", "--month", "2026-13"), "'2026-13' is not a month; write it as 2026-10"),
        (("ledger", "--month", "2026-05", "--from", "2026-05-01"), "a month and days are given"),
        (("ledger", "--from", "yesterday", "--to", "2026-05-01"), "'yesterday' is not a day"),
        (("ledger", "--from", "2026-05-02", "--to", "2026-05-01"), "is after to"),
        (("ledger", "--month", "2099-01"), "which is after today"),
        (("ledger", "--month", "2026-05", "--zone", "Mars/Olympus"), "this time zone is not known"),
        (("ledger", "--month", "2026-05", "--format", "pdf"), "'pdf' is not known"),
        (("ledger", "--month", "2026-05", "--tenant", "nobody"), "there is no tenant 'nobody'"),
        (("ledger", "--month", "2026-05", "--tenant", "a\x00"), "there is no tenant"),
        (("credit-statement", "--from", "2026-05-01", "--to", "2026-05-02"), "by month"),
        (("tenants", "--month", "2026-05"), "has no period"),
    ],
)
def test_what_there_cannot_be_is_said_in_words_and_writes_nothing(
    run: Run,
    addresses: dict[str, str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    done = run("export", *arguments, "--out", str(tmp_path / "out"), **addresses)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_folder_without_exports_is_said_in_words(run: Run, tmp_path: Path) -> None:
    for folder, said in ((tmp_path, "there is no export in"), (tmp_path / "none", "there is no folder")):
        done = run("verify", str(folder))
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {said}")
