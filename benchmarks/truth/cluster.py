"""A second PostgreSQL: the system's own, with HypoPG, for advice that is verified without building anything.

It listens on a socket in a temporary folder only, runs as an unprivileged user when we are root, and ends with us.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from queries.embedded import launch

NOBODY = 65534
PORT = 5432  # the name of the socket; nothing listens on the network
SUPERUSER, OWNER, READER = "postgres", "truth_owner", "truth_reader"
PREFERRED_MAJOR = "15"
PROGRAMS, EXTENSIONS = Path("/usr/lib/postgresql"), Path("/usr/share/postgresql")
_START_S = 30.0

# As the embedded server, but without parallel workers: on two cores that do other things too, times with them are a
# lottery.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "384MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_wal_size": "4GB",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class SecondServer:
    """Where it is, for each role: `postgres`, `truth_owner` (owns tables), `truth_reader` (may only SELECT)."""

    folder: Path
    major: str

    def url(self, database: str, role: str) -> str:
        return f"postgresql://{role}@/{quote(database, safe='')}?host={quote(str(self.folder), safe='')}&port={PORT}"

    @contextmanager
    def connected(self, database: str, role: str) -> Iterator[psycopg.Connection[Any]]:
        """An autocommit connection, closed afterwards."""
        with psycopg.connect(self.url(database, role), autocommit=True) as connection:
            yield connection

    def create_database(self, name: str) -> None:
        """A database of `truth_owner` with HypoPG in it, whose tables `truth_reader` may read."""
        with self.connected("postgres", SUPERUSER) as connection:
            connection.execute(f'CREATE DATABASE "{name}" OWNER {OWNER}')
        with self.connected(name, SUPERUSER) as connection:
            connection.execute("CREATE EXTENSION hypopg")
            connection.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
            connection.execute(f"GRANT USAGE ON SCHEMA public TO {READER}")
            connection.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {READER}")


def installed_major() -> str | None:
    """The newest PostgreSQL of the system that has HypoPG, 15 before all others; None when there is none."""
    found = [
        one.parent.parent.name
        for one in PROGRAMS.glob("*/bin/postgres")
        if (EXTENSIONS / one.parent.parent.name / "extension" / "hypopg.control").exists()
    ]
    return max(found, key=lambda major: (major == PREFERRED_MAJOR, int(major)), default=None)


@contextmanager
def second_server() -> Iterator[SecondServer]:
    """A new cluster, gone afterwards; LookupError, in words, when the system has none with HypoPG."""
    major = installed_major()
    if major is None:
        raise LookupError(
            "PostgreSQL with HypoPG is not installed (Debian: apt-get install postgresql-15 postgresql-15-hypopg)"
        )
    folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-second-"))
    try:
        _initialise(folder, major)
        command = _as_server_user(folder, [_program(major, "postgres"), "-D", str(folder / "data"), *_options(folder)])
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, cwd="/")
        try:
            server = SecondServer(folder, major)
            _wait_until_ready(server, process)
            _create_roles(server)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=_START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(folder: Path, major: str) -> None:
    if (user := _server_user()) is not None:
        os.chown(folder, *user)
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    program = [_program(major, "initdb"), "-D", str(folder / "data"), *options]
    done = subprocess.run(_as_server_user(folder, program), capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise LookupError(f"initdb of PostgreSQL {major} failed: {done.stderr.strip()[-400:]}")


def _options(folder: Path) -> Iterator[str]:
    for name, value in {**SETTINGS, "port": str(PORT), "unix_socket_directories": str(folder)}.items():
        yield "-c"
        yield f"{name}={value}"


def _as_server_user(folder: Path, program: Sequence[str]) -> list[str]:
    """The command line that runs `program` unprivileged, for as long as this process lives."""
    uid, gid = _server_user() or (None, None)
    orders = {
        "parent": os.getpid(),
        "signal": signal.SIGINT.value,
        "uid": uid,
        "gid": gid,
        "reach": [program[0], str(folder)],
        "watch": sys.platform != "linux",
    }
    return [sys.executable, "-I", "-S", str(Path(launch.__file__)), json.dumps(orders), *program]


def _server_user() -> tuple[int, int] | None:
    return (NOBODY, NOBODY) if os.geteuid() == 0 else None


def _program(major: str, name: str) -> str:
    return str(PROGRAMS / major / "bin" / name)


def _wait_until_ready(server: SecondServer, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with server.connected("postgres", SUPERUSER):
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    log = (server.folder / "log").read_text(errors="replace")
    raise LookupError(f"PostgreSQL {server.major} did not start: {log[-400:]}")


def _create_roles(server: SecondServer) -> None:
    with server.connected("postgres", SUPERUSER) as connection:
        for role in (OWNER, READER):
            connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
