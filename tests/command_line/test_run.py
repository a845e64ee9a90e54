"""`python -m dashboard run`: first start, signals, a killed server, and what stands in its way."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.running import ROOT, Dashboard, free_port, is_alive, json_of

pytestmark = [pytest.mark.xdist_group("run"), pytest.mark.timeout(400)]


def started(data: Path, **environment: str) -> Dashboard:
    dashboard = Dashboard(data, free_port(), **environment)
    try:
        dashboard.wait_ready()
    except BaseException:
        dashboard.process.kill()
        raise
    return dashboard


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return subprocess.run(
        [sys.executable, "-m", "dashboard", *arguments],
        cwd=ROOT,
        env={**cleared, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_first_start_serves_pages_health_and_metrics(data_folder: Path) -> None:
    dashboard = started(data_folder)
    try:
        assert dashboard.get("/healthz") == (200, "ok\n")
        assert json_of(dashboard.get("/readyz")[1]) == {"ready": True}
        metrics = dashboard.get("/metrics")[1]
        for name in ("pool_connections", "cache_bytes", "query_log_dropped_records", "database_seconds"):
            assert f"usage_dashboard_{name}" in metrics
        assert "<html" in dashboard.get("/")[1]
        assert "Traceback" not in dashboard.log
    finally:
        assert dashboard.stop() < 5


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_nothing_is_left_and_nothing_is_lost(data_folder: Path, sent: signal.Signals) -> None:
    dashboard = started(data_folder)
    assert dashboard.stop(sent) < 5
    assert dashboard.get("/healthz")[0] == 0
    again = started(data_folder)
    again.stop()
    assert "300000/300000" not in again.log, "the demo was loaded anew: what was there was lost"


def test_a_killed_server_is_started_again_within_ten_seconds(data_folder: Path) -> None:
    dashboard = started(data_folder)
    try:
        killed = dashboard.postgres_pid()
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while not (dashboard.get("/readyz")[0] == 200 and dashboard.postgres_pid() != killed):
            assert time.monotonic() < deadline, dashboard.log[-2000:]
            time.sleep(0.05)
        assert not is_alive(killed)
        assert "Traceback" not in dashboard.log
    finally:
        dashboard.stop()


def test_a_second_start_on_the_same_folder_is_refused_in_words(data_folder: Path) -> None:
    dashboard = started(data_folder)
    try:
        second = command("run", USAGE_DASHBOARD_DATA=str(data_folder), PORT=str(free_port()))
        assert second.returncode == 1
        said = " ".join(second.stderr.split())
        assert f"process {dashboard.process.pid}" in said
        assert dashboard.url in said
        assert "USAGE_DASHBOARD_DATA" in said
        assert "Traceback" not in second.stderr
        assert dashboard.get("/readyz")[0] == 200
    finally:
        dashboard.stop()


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = command("run", USAGE_DASHBOARD_DATA=str(tmp_path / "data"), PORT=str(port))
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in " ".join(refused.stderr.split())
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PORT": "no"}, "PORT is not accepted"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL is not accepted"),
        ({"DATABASE_URL": "postgresql://nobody:word@127.0.0.1:1/x"}, "set USAGE_DASHBOARD_AUTH to oidc or header"),
    ],
)
def test_a_wrong_start_is_one_sentence(environment: dict[str, str], said: str) -> None:
    refused = command("run", **{"PORT": str(free_port()), **environment})
    assert refused.returncode == 1
    assert said in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    assert "word@" not in refused.stderr, "a secret was printed"


def test_a_data_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = command("run", USAGE_DASHBOARD_DATA=str(tmp_path / "file" / "data"), PORT=str(free_port()))
    assert refused.returncode == 1
    assert "USAGE_DASHBOARD_DATA" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unknown_dataset_is_said_with_the_known_ones(data_folder: Path) -> None:
    for name, said in (("nowhere", "there is no dataset 'nowhere'"), ("No Good!", "lower-case letter")):
        refused = command("run", "--dataset", name, USAGE_DASHBOARD_DATA=str(data_folder), PORT=str(free_port()))
        assert refused.returncode == 1
        assert said in " ".join(refused.stderr.split())


def test_a_database_of_ones_own_is_read_and_never_given_demo_data(empty_database_url: str, tmp_path: Path) -> None:
    dashboard = Dashboard(tmp_path / "data", free_port(), DATABASE_URL=empty_database_url, USAGE_DASHBOARD_AUTH="none")
    try:
        dashboard.wait_ready(60)
        assert "Sign-in is off" in dashboard.log
        assert "No DIRECT_URL" in dashboard.log
    finally:
        dashboard.stop()
    assert not (tmp_path / "data").exists(), "an embedded server was made beside a database of one's own"
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
    assert tables == []


def test_migrate_without_an_address_says_what_to_set() -> None:
    refused = command("migrate")
    assert refused.returncode == 1
    assert "DIRECT_URL" in refused.stderr


def test_migrate_makes_our_schema(owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA usage_dashboard CASCADE")
    done = command("migrate", DIRECT_URL=owner_url)
    assert done.returncode == 0
    assert re.search(r"Made the schema usage_dashboard, \d+ tables \(.*query_log.*\) and \d+ walls, views", done.stderr)
    again = command("migrate", DIRECT_URL=owner_url)
    assert (again.returncode, again.stderr.strip()) == (
        0,
        "Nothing was to do: the schema usage_dashboard is up to date.",
    )
