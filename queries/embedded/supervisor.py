"""One thread that starts PostgreSQL, waits for its end, and starts it again until told to stop.

The thread lives as long as the server does because it must: the kernel's parent-death signal fires when the *thread*
that forked ends, not only when the process does.
"""

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from queries.embedded.cluster import Cluster, environment
from queries.embedded.orphans import clear_the_way, postmaster_status
from queries.errors import EmbeddedServerError

logger = logging.getLogger(__name__)

POLL_S = 0.01
# Crash recovery of a large write-ahead log takes its time; a server that works on it is not given up.
READY_LIMIT_S = 300.0
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# Fast shutdown first; then immediate (recovers at the next start, nothing committed is lost); then the kernel.
STOP_STEPS = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 0.8), (signal.SIGKILL, 0.5))


class Supervisor:
    """Keeps the server of one cluster running on one port."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self._cluster = cluster
        self._port = port
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._supervise, name="embedded-postgres", daemon=True)

    def start(self) -> None:
        """Return when the server accepts connections; EmbeddedServerError when it does not come up."""
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure

    def stop(self) -> None:
        """End server and thread within 5 seconds; harmless when they have ended."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is None or not self._thread.is_alive():
            return
        for number, patience_s in STOP_STEPS:
            process.send_signal(number)
            self._thread.join(patience_s)
            if not self._thread.is_alive():
                return

    @property
    def is_ready(self) -> bool:
        """Whether the server accepted connections when last looked at and has not ended since."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while there is none."""
        status = postmaster_status(self._cluster.data)
        return status[0] if status is not None and self.is_ready else None

    def _supervise(self) -> None:
        try:
            self._start_once()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._failure = error
            return
        finally:
            self._started.set()
        attempts = 0
        while self._wait_for_end():
            logger.warning("the embedded PostgreSQL ended; starting it again on port %d", self._port)
            attempts = self._start_again(attempts)

    def _wait_for_end(self) -> bool:
        """Block until the server ends. Whether it must be started again."""
        assert self._process is not None
        self._process.wait()
        self._ready.clear()
        return not self._stopping.is_set()

    def _start_again(self, attempts: int) -> int:
        while not self._stopping.is_set():
            try:
                self._start_once()
            except (EmbeddedServerError, OSError) as error:
                if attempts < len(RETRY_S):  # a lasting cause (full disk) is told a few times, not for ever
                    logger.error("the embedded PostgreSQL does not start again: %s", error)
                self._stopping.wait(RETRY_S[min(attempts, len(RETRY_S) - 1)])
                attempts += 1
            else:
                logger.warning("the embedded PostgreSQL is back on port %d", self._port)
                return 0
        return attempts

    def _start_once(self) -> None:
        clear_the_way(self._cluster.data)
        offset = self._cluster.log.stat().st_size if self._cluster.log.exists() else 0
        with self._lock:
            if self._stopping.is_set():
                return
            self._process = process = self._spawn()
        deadline = time.monotonic() + READY_LIMIT_S
        while not self._accepts(process):
            if process.poll() is not None:
                if self._stopping.is_set():
                    return
                raise EmbeddedServerError(f"PostgreSQL did not start: {self._words(offset)}")
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGQUIT)
                raise EmbeddedServerError(f"PostgreSQL is not ready after {READY_LIMIT_S:.0f} s: {self._words(offset)}")
            time.sleep(POLL_S)
        self._ready.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._cluster.open_log()
        try:
            # A session of its own: Ctrl-C at the terminal is for us, and we stop the server when our work has ended.
            return subprocess.Popen(  # noqa: S603 - our own command line
                self._cluster.server_command(self._port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _accepts(self, process: subprocess.Popen[bytes]) -> bool:
        status = postmaster_status(self._cluster.data)
        if status is None or status[1] != "ready" or (self._is_direct and status[0] != process.pid):
            return False
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def _is_direct(self) -> bool:
        """Whether PostgreSQL replaces the launcher (and so has its process id) instead of being watched by it."""
        return Path("/proc/self").exists()

    def _words(self, offset: int) -> str:
        return f"{self._cluster.log_since(offset)} (log: {self._cluster.log})"
