"""What a killed parent or a killed postmaster leaves behind, and how it is cleared away before the next start.

Called only while the data folder's lock is held, so no living program looks after the processes found here. They are
known by their cluster name, which PostgreSQL shows on every process's command line: that is readable where the
process's folder is not (root in a container without CAP_SYS_PTRACE).
"""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from queries.errors import EmbeddedServerError

POLL_S = 0.02
# An orphaned postmaster is usually already shutting down (its parent's death told it to).
LEAVE_ALONE_S = 2.0
FAST_SHUTDOWN_S = 30.0
BACKENDS_S = 3.0


def cluster_name(data: Path) -> str:
    """The name that the server on the folder `data` carries on the command line of each of its processes."""
    return f"usage-dashboard-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]}"


def postmaster_status(data: Path) -> tuple[int, str] | None:
    """Process id and state ('ready', 'starting', ...) written in postmaster.pid; None when there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def server_processes(data: Path) -> set[int]:
    """Ids of the PostgreSQL processes, postmaster and backends, that work on `data`."""
    name = cluster_name(data)
    return {pid for pid, command in _command_lines() if name in command and _is_postgres(command)}


def clear_the_way(data: Path) -> None:
    """Wait for, or end, every PostgreSQL process that still works on `data`; EmbeddedServerError when one stays."""
    status = postmaster_status(data)
    if status is None:
        return
    pid = status[0]
    if pid in server_processes(data):
        _end_postmaster(pid, data)
    _end_backends(data)
    _forget_reused_pid(pid, data)


def _command_lines() -> Iterator[tuple[int, str]]:
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").glob("[0-9]*"):
            yield int(entry.name), _command_line(int(entry.name)) or ""
        return
    listing = subprocess.run(("/bin/ps", "-axo", "pid=,command="), capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command


def _command_line(pid: int) -> str | None:
    """The command line; empty for a zombie, None when there is no such process."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None


def _is_postgres(command: str) -> bool:
    return "postgres" in command and "launch.py" not in command


def _wait_until_gone(pid: int, data: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while pid in server_processes(data):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _end_postmaster(pid: int, data: Path) -> None:
    if _wait_until_gone(pid, data, LEAVE_ALONE_S):
        return
    _send(pid, signal.SIGINT)
    if not _wait_until_gone(pid, data, FAST_SHUTDOWN_S):
        raise EmbeddedServerError(
            f"an older PostgreSQL (process {pid}) still works on {data} and does not stop; end it with "
            f"'kill -INT {pid}' and start again"
        )


def _end_backends(data: Path) -> None:
    """A killed postmaster's backends may compute on for minutes; PostgreSQL rightly refuses to start beside them."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + BACKENDS_S
        for pid in server_processes(data):
            _send(pid, number)
        while server_processes(data) and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _forget_reused_pid(pid: int, data: Path) -> None:
    """After a reboot the id in postmaster.pid may belong to a stranger, for whom PostgreSQL would wait in vain.

    A PostgreSQL that somebody started by hand on our folder is no stranger: PostgreSQL itself then refuses to start.
    """
    command = _command_line(pid)
    if command is not None and not _is_postgres(command) and not server_processes(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
