"""What stands between a client and PostgreSQL: a way that falls asleep, a pooler, and things that are no PostgreSQL."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.conftest import _free_port, _required, ending_with_us

SSL_REQUEST, GSS_REQUEST = 80_877_103, 80_877_104
POOLED_CONNECTIONS = 5
_NOBODY = "nobody"
_START_S = 10.0


def elsewhere(url: str, port: int, host: str = "127.0.0.1") -> str:
    """The same address by another host and port."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{host}:{port}"))


class Way:
    """A way to a server that can fall asleep as one that scales to zero does: all connections are cut, and the next
    ones are accepted and not answered until it wakes; or refused while it starts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listening.getsockname()[1])
        self.url = elsewhere(url, self.port)
        self._awake, self._is_starting = threading.Event(), False
        self._awake.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.asked = 0
        """How often somebody has tried to connect."""
        threading.Thread(target=self._accept, daemon=True).start()

    def sleep(self, *, starting: bool = False) -> None:
        """Cut every connection; leave the next ones waiting or, `starting`, tell them so."""
        self._is_starting = starting
        self._awake.clear()
        self.cut()

    def cut(self) -> None:
        """Cut every connection that there is."""
        with self._lock:
            opened, self._open = self._open, set()
        for one in opened:
            _close(one)

    def wake(self, after_s: float = 0.0) -> None:
        """Answer again, those too who wait."""
        threading.Timer(after_s, self._awake.set).start()

    def close(self) -> None:
        _close(self._listening)
        self._awake.set()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.asked += 1
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if not self._awake.is_set() and self._is_starting:
                startup_of(client)
                client.sendall(error_message("FATAL", "57P03", "the database system is starting up"))
                client.shutdown(socket.SHUT_WR)
                return
            self._awake.wait()
            server = socket.create_connection(self._target)
            with self._lock:
                self._open.add(server)
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()
            _pump(client, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    for one in (source, sink):
        _close(one)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def startup_of(client: socket.socket) -> bytes:
    """A client's startup message, after saying no to TLS and GSS."""
    while True:
        (length,) = struct.unpack("!I", _exactly(client, 4))
        body = _exactly(client, length - 4)
        (code,) = struct.unpack("!I", body[:4])
        if code not in (SSL_REQUEST, GSS_REQUEST):
            return body
        client.sendall(b"N")


def _exactly(client: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        piece = client.recv(count - len(taken))
        if not piece:
            raise OSError("the client left")
        taken += piece
    return taken


def error_message(severity: str, state: str, text: str) -> bytes:
    """An ErrorResponse of PostgreSQL's protocol."""
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in ((b"S", severity), (b"V", severity), (b"C", state), (b"M", text))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


def parameter(name: str, value: str) -> bytes:
    """A ParameterStatus of PostgreSQL's protocol."""
    body = name.encode() + b"\0" + value.encode() + b"\0"
    return b"S" + struct.pack("!I", len(body) + 4) + body


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of something that treats each client in this way."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=32)

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), client:
                answer(client)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        _close(listening)


@contextmanager
def pgbouncer(url: str, folder: Path, *, connections: int = POOLED_CONNECTIONS) -> Iterator[str]:
    """This address through Debian's PgBouncer in transaction mode, with so many connections to the server."""
    program, port, parts = _required("pgbouncer", "/usr/sbin/pgbouncer"), _free_port(), urlsplit(url)
    folder.chmod(0o755)  # it does not run as root
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""[databases]
* = host={parts.hostname} port={parts.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 1000
server_reset_query_always = 0
"""
    )
    options = ["-u", _NOBODY] if os.geteuid() == 0 else []
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(ending_with_us([program, *options, str(settings)]), stderr=log)
    pooled = elsewhere(url, port)
    try:
        _wait_for(process, pooled, folder / "pgbouncer.log")
        yield pooled
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=2, prepare_threshold=None).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"PgBouncer did not start:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """One that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-pooler-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def backends(connection: psycopg.Connection[tuple[object, ...]], role: str, database: str) -> int:
    """How many connections of this role there are to the database."""
    asked = sql.SQL("SELECT count(*) FROM pg_stat_activity WHERE usename = {} AND datname = {}")
    found = connection.execute(asked.format(sql.Literal(role), sql.Literal(database))).fetchone()
    assert found is not None
    return int(str(found[0]))
