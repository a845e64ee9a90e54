"""`python -m dashboard advise` and `slow` as a pull request runs them: files in, a table or JSON out, exit codes."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from benchmarks.truth import cluster
from benchmarks.truth.cluster import SecondServer
from dashboard.cli import app
from tests.running import ROOT

WORKLOAD = """
-- Two statements of a page; the semicolon in this comment; is none.
-- name: images of a generation
SELECT url FROM "Image" WHERE "generationId" = $1;
-- name: by its id
SELECT $$a;b$$, * FROM "Image" WHERE id = 'img-7;';
SELECT count(*) FROM "Image" /* ; */ WHERE width > 0
"""
NAMES = ["by its id", "images of a generation", "statement 3"]
VALUES = """
["images of a generation"]
biggest = ["gen-77"]
absent = ["no such generation"]
calls_per_day = 50000
"""
PASSWORD = "secret-word"
HIGH, FAILED, BAD_INPUT = "high", 1, 2
KEYS = {"statement", "verdict", "ddl", "prisma", "reason", "gain_ms", "size_bytes", "evidence"}


@pytest.fixture(scope="module")
def images(second_server: SecondServer) -> str:
    """A table of 60,000 images that has no index on its foreign key, for a role that may only read."""
    second_server.create_database("images")
    with second_server.connected("images", cluster.OWNER) as owner:
        owner.execute(
            'CREATE TABLE "Image" (id text PRIMARY KEY, "generationId" text NOT NULL, url text, width int);'
            "INSERT INTO \"Image\" SELECT 'img-' || n, 'gen-' || n / 3, repeat('u', 80), 512 FROM"
            " generate_series(1, 60000) AS n"
        )
        # Its count of changed rows reaches the server's after this, when the session ends: they are known all the same.
        owner.execute("VACUUM (ANALYZE)")
    return second_server.url("images", cluster.READER)


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "pages.sql"
    path.write_text(WORKLOAD)
    return path


@pytest.fixture
def values(tmp_path: Path) -> Path:
    path = tmp_path / "values.toml"
    path.write_text(VALUES)
    return path


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def dashboard(*arguments: str | Path, **environment: str) -> Done:
    """The command in this process, with no address but the ones given."""
    without: dict[str, str | None] = {name: None for name in os.environ if name.endswith("_URL")}
    done = CliRunner().invoke(app, [str(one) for one in arguments], env={**without, **environment})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return checked(Done(done.exit_code, done.stdout, done.stderr))


def from_a_shell(*arguments: str | Path) -> Done:
    """The same in a process of its own, as it is really run."""
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    command = [sys.executable, "-m", "dashboard", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=cleared, capture_output=True, text=True, check=False, timeout=120)
    return checked(Done(done.returncode, done.stdout, done.stderr))


def checked(done: Done) -> Done:
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.xdist_group("second")
def test_a_pull_request_is_told_as_json_and_fails_on_high(images: str, workload: Path, values: Path) -> None:
    asked = ("advise", "--workload", workload, "--values", values, "--url", images, "--json")
    told = from_a_shell(*asked, "--fail-on", HIGH)
    assert told.returncode == FAILED, told.stderr
    rows = json.loads(told.stdout)
    assert [row["statement"] for row in rows] == NAMES
    assert all(row.keys() >= KEYS for row in rows)
    found = {row["statement"]: row for row in rows}
    advised = found["images of a generation"]
    assert (advised["verdict"], advised["evidence"]) == ("create_index", "hypopg")
    assert advised["prisma"] == "@@index([generationId])"
    assert advised["ddl"].startswith("CREATE INDEX CONCURRENTLY ")
    assert set(advised["gain_ms"]) == {"biggest", "absent"}
    assert 500_000 < advised["size_bytes"] < 5_000_000
    assert found["by its id"]["verdict"] == "none"
    again = dashboard(*asked)
    assert (again.returncode, again.stdout) == (0, told.stdout)


@pytest.mark.xdist_group("second")
def test_a_person_reads_a_table_with_each_statement_to_run_on_one_line(
    images: str, workload: Path, values: Path, second_server: SecondServer
) -> None:
    told = dashboard("advise", "--workload", workload, "--values", values, "--url", images)
    assert told.returncode == 0
    (line,) = (line for line in told.stdout.splitlines() if "CREATE INDEX CONCURRENTLY" in line)
    with second_server.connected("images", cluster.OWNER) as owner:
        owner.execute(line.split("SQL: ", 1)[1].encode())
    after = dashboard("advise", "--workload", workload, "--values", values, "--url", images, "--fail-on", "low")
    assert "CREATE INDEX" not in after.stdout
    with second_server.connected("images", cluster.OWNER) as owner:
        names = owner.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = '\"Image\"'::regclass")
        for (name,) in names.fetchall():
            if "pkey" not in name:
                owner.execute(f"DROP INDEX {name}".encode())


@pytest.mark.xdist_group("second")
def test_health_tells_which_index_is_in_the_way(images: str, workload: Path, second_server: SecondServer) -> None:
    with second_server.connected("images", cluster.OWNER) as owner:
        owner.execute('CREATE INDEX "twin" ON "Image" (id)')
        try:
            told = dashboard("advise", "--workload", workload, "--url", images, "--health", "--json")
        finally:
            owner.execute('DROP INDEX "twin"')
    drops = [row for row in json.loads(told.stdout) if row["verdict"] == "drop_index"]
    assert [(row["statement"], row["ddl"]) for row in drops] == [
        ("index twin", 'DROP INDEX CONCURRENTLY "public"."twin";')
    ]


@pytest.mark.parametrize(
    ("file", "given", "words"),
    [
        (None, None, "cannot be read"),
        ("", None, "holds no statement"),
        ("-- only a comment; nothing else", None, "holds no statement"),
        ("SELECT 'never closed", None, "close every quote"),
        ("SELECT 1\0", None, "zero byte"),
        ("-- name: a\nSELECT 1; -- name: a\nSELECT 2", None, "two statements"),
        ("-- name: a\nSELECT $1", "b = [1]", "no statement of the workload"),
        ("-- name: a\nSELECT $1", "a = [1", "cannot be read as TOML"),
        ("-- name: a\nSELECT $1", "a = 1", "no list"),
        ("-- name: a\nSELECT $1", "a.large = [1]", "'large'"),
        ("-- name: a\nSELECT $1", "a.biggest = [{x = 1}]", "json as text"),
        ("-- name: a\nSELECT $1", "a.biggest = [1]\na.absent = []", "equally many"),
        ("-- name: a\nSELECT $1", "a.biggest = [1]\na.calls_per_day = -1", "above 0"),
        ("-- name: a\nSELECT $1", "a.biggest = [1]\na.constants = [true]", "numbers of parameters"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(tmp_path: Path, file: str | None, given: str | None, words: str) -> None:
    path, values = tmp_path / "work.sql", tmp_path / "values.toml"
    arguments = ["advise", "--workload", str(path), "--url", "postgresql://nobody@127.0.0.1:1/none"]
    if file is not None:
        path.write_text(file)
    if given is not None:
        values.write_text(given)
        arguments += ["--values", str(values)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == BAD_INPUT
    assert words in done.stderr
    assert done.stdout == ""


def test_a_database_that_is_away_is_no_finding_and_its_password_is_not_told(workload: Path) -> None:
    away = f"postgresql://nobody:{PASSWORD}@127.0.0.1:1/none"
    for command in (("advise", "--workload", workload), ("slow",)):
        done = dashboard(*command, "--url", away)
        assert done.returncode == BAD_INPUT
        assert done.stderr.startswith("error: ")


def test_options_that_do_not_belong_together_are_named(values: Path) -> None:
    for arguments, words in (
        (["advise", "--values", str(values)], "--workload"),
        (["advise", "--url", "postgresql://nobody@127.0.0.1:1/none"], "--workload"),
        (["slow", "--since", "soon", "--url", "postgresql://nobody@127.0.0.1:1/none"], "--since"),
        (["slow", "--since", "2999-01-01", "--url", "postgresql://nobody@127.0.0.1:1/none"], "future"),
    ):
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.stdout) == (BAD_INPUT, "")
        assert words in done.stderr


def test_the_logged_workload_is_advised_with_the_values_that_were_kept(reader_url: str, owner_url: str) -> None:
    text = 'SELECT count(*) FROM "Generation" WHERE "Generation"."organizationId" = ANY (%(tenants_1)s)'
    hidden = 'SELECT * FROM "Generation" WHERE prompt LIKE %(search_1)s'
    with psycopg.connect(owner_url, autocommit=True) as owner:
        log(owner, "usage.totals", "f1", text, {"tenants_1": ["one"]}, database_ms=900.0)
        log(owner, "generations.search", "f2", hidden, {"search_1": "(hidden)"}, database_ms=900.0)
    done = dashboard("advise", "--json", DATABASE_URL=reader_url, DIRECT_URL=owner_url)
    assert done.returncode == 0, done.stderr
    assert "generations.search" in done.stderr
    rows = {row["statement"]: row for row in json.loads(done.stdout)}
    assert "usage.totals" in rows
    assert "generations.search" not in rows


def test_slow_prints_the_log_newest_first_and_within_its_time(reader_url: str, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        log(owner, "usage.totals", "f1", None, {"model": "\x1b[31m"}, database_ms=900.0)
        log(owner, "tenants.signals", "f2", None, {}, database_ms=700.0, age_hours=30)
    addresses = {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url}
    rows = json.loads(dashboard("slow", "--json", **addresses).stdout)
    assert [row["query"] for row in rows] == ["usage.totals", "tenants.signals"]
    assert rows[0]["database_ms"] == 900.0
    lately = json.loads(dashboard("slow", "--json", "--since", "24h", **addresses).stdout)
    assert [row["query"] for row in lately] == ["usage.totals"]
    told = dashboard("slow", "--limit", "1", **addresses)
    assert "usage.totals" in told.stdout
    assert "tenants.signals" not in told.stdout
    assert "\x1b" not in told.stdout


def test_without_a_log_the_server_is_asked_and_without_its_count_it_is_said_what_to_run(
    superuser_url: str, empty_database_url: str
) -> None:
    counted = dashboard("slow", "--json", "--limit", "3", "--url", empty_database_url)
    assert counted.returncode == 0, counted.stderr
    assert all(row.keys() >= {"sql", "calls", "mean_ms"} for row in json.loads(counted.stdout))


@pytest.mark.xdist_group("second")
def test_without_any_count_it_is_said_what_to_run(images: str) -> None:
    done = dashboard("slow", "--url", images)
    assert done.returncode == BAD_INPUT
    assert "pg_stat_statements is not installed" in done.stderr
    assert "CREATE EXTENSION" in done.stderr


def log(
    owner: psycopg.Connection[tuple[object, ...]],
    query: str,
    fingerprint: str,
    text: str | None,
    parameters: dict[str, object],
    *,
    database_ms: float,
    age_hours: int = 0,
) -> None:
    """A slow miss as the query log writes it, and its statement's text where one is kept."""
    known = {
        "query": query,
        "fingerprint": fingerprint,
        "parameters": json.dumps(parameters),
        "parameters_hash": fingerprint,
        "scope_digest": "all",
        "page": "tenants",
        "run_id": "run",
        "role": "admin",
        "outcome": "miss",
        "database_ms": database_ms,
        "wait_ms": 0.0,
        "fetch_ms": 0.0,
        "frame_ms": 0.0,
        "cache_ms": 0.0,
        "rows": 1,
        "slow": True,
    }
    names = [sql.Identifier(name) for name in known]
    statement = sql.SQL("INSERT INTO usage_dashboard.query_log (at, {}) VALUES (now() - {}, {})").format(
        sql.SQL(", ").join(names),
        sql.Literal(timedelta(hours=age_hours)),
        sql.SQL(", ").join(map(sql.Placeholder, known)),
    )
    owner.execute(statement, known)
    if text is not None:
        owner.execute(
            "INSERT INTO usage_dashboard.statement (fingerprint, query, sql) VALUES (%s, %s, %s)",
            [fingerprint, query, text],
        )
