"""What a killed parent or a killed postmaster leaves behind, and how it is cleared away before the next start.

Called only while the data folder's lock is held, so no living program looks after the processes found here.
"""

import os
import signal
import time
from pathlib import Path

from queries.errors import EmbeddedServerError

POLL_S = 0.02
# An orphaned postmaster is usually already shutting down (its parent's death told it to).
LEAVE_ALONE_S = 2.0
FAST_SHUTDOWN_S = 30.0
BACKENDS_S = 3.0


def postmaster_status(data: Path) -> tuple[int, str] | None:
    """Process id and state ('ready', 'starting', ...) written in postmaster.pid; None when there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def server_processes(data: Path) -> set[int]:
    """Ids of the PostgreSQL processes that work in `data`. Empty on systems without /proc."""
    return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_in(entry, data.resolve())}


def clear_the_way(data: Path) -> None:
    """Wait for, or end, every PostgreSQL process that still works in `data`; EmbeddedServerError when one stays."""
    status = postmaster_status(data)
    if status is None:
        return
    pid = status[0]
    if pid in server_processes(data) or (not Path("/proc/self").exists() and _is_alive(pid)):
        _end_postmaster(pid, data)
    _end_backends(data)
    _forget_reused_pid(pid, data)


def _works_in(entry: Path, data: Path) -> bool:
    try:
        if not (entry / "exe").readlink().name.startswith("postgres"):
            return False
        return (entry / "cwd").readlink() == data
    except OSError:  # ended meanwhile, or another user's
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_until_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _end_postmaster(pid: int, data: Path) -> None:
    if _wait_until_gone(pid, LEAVE_ALONE_S):
        return
    _send(pid, signal.SIGINT)
    if not _wait_until_gone(pid, FAST_SHUTDOWN_S):
        raise EmbeddedServerError(
            f"an older PostgreSQL (process {pid}) still works in {data} and does not stop; end it with "
            f"'kill -INT {pid}' and start again"
        )


def _end_backends(data: Path) -> None:
    """Backends of a killed postmaster may compute on for minutes, and PostgreSQL rightly refuses to start beside them."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + BACKENDS_S
        for pid in server_processes(data):
            _send(pid, number)
        while server_processes(data) and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _forget_reused_pid(pid: int, data: Path) -> None:
    """After a reboot the id in postmaster.pid may belong to a stranger, for whom PostgreSQL would wait in vain."""
    entry = Path("/proc") / str(pid)
    try:
        entry.joinpath("exe").readlink()
    except OSError:
        return
    if not _works_in(entry, data.resolve()) and not server_processes(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
