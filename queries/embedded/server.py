"""The embedded PostgreSQL as one object: start, stop, addresses, databases."""

import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from queries.embedded import databases
from queries.embedded.cluster import Cluster
from queries.embedded.databases import Connection
from queries.embedded.lock import FolderLock
from queries.embedded.supervisor import Supervisor
from queries.errors import EmbeddedServerError

# Below the range from which kernels take ports for outgoing connections: a restart finds its port free again.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS = 20


class EmbeddedServer:
    """PostgreSQL 18 in a data folder of its own, on 127.0.0.1 and a port that is kept while this object lives.

    Ends with this process, however it ends, and is started again when it dies. Every failure is an
    EmbeddedServerError that says what to do.
    """

    def __init__(self, data_folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._cluster = Cluster(data_folder, settings or {})
        self._lock = FolderLock(self._cluster.folder / "server.lock")
        self._passwords: Mapping[str, str] = {}
        self._supervisor: Supervisor | None = None
        self._port: int | None = None

    def start(self) -> None:
        """Make the data folder when it is new, start the server, and return when it accepts connections."""
        if self._supervisor is not None:
            raise EmbeddedServerError("the embedded PostgreSQL runs already; stop it before starting it again")
        self._cluster.prepare_folder()
        self._lock.acquire()
        try:
            self._passwords = self._cluster.prepare()
            self._port = self._port or _free_port()
            self._supervisor = Supervisor(self._cluster, self._port)
            self._supervisor.start()
            with self._superuser() as connection:
                databases.ensure_roles(connection, self._passwords)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the server down (within 5 s) and unlock the folder; harmless when it does not run."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.stop()
        self._lock.release()

    def announce(self, address: str) -> None:
        """Tell whoever tries to start on the same folder where our pages are."""
        self._lock.announce(address)

    def describe_holder(self) -> str | None:
        """Who holds the data folder ('process 4711, serving http://...'); None when nobody does."""
        return self._lock.describe_holder()

    def url(self, database: str, role: str) -> str:
        """`postgresql://role:password@127.0.0.1:port/database`; roles: postgres, app and our owner and reader."""
        if role not in self._passwords:
            known = ", ".join(self._passwords) or "none before the server was started"
            raise EmbeddedServerError(f"the embedded server has no role {role!r}; its roles: {known}")
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def ensure_database(self, name: str) -> bool:
        """Create the database `name` with roles, privileges and pg_stat_statements. True when it is new."""
        with self._superuser() as connection:
            is_new = databases.create_database(connection, name)
        with self._superuser(name) as connection:
            databases.grant_privileges(connection, name)
        return is_new

    def drop_database(self, name: str) -> None:
        """Drop the database `name` and all in it; harmless when it is missing."""
        with self._superuser() as connection:
            databases.drop_database(connection, name)

    def databases(self) -> list[str]:
        """Names of the databases made by `ensure_database`, sorted."""
        with self._superuser() as connection:
            return databases.database_names(connection)

    @property
    def running(self) -> bool:
        """Whether the server accepts connections now."""
        return self._supervisor is not None and self._supervisor.is_ready

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while it does not run."""
        return self._supervisor.pid if self._supervisor is not None else None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1, chosen at the first start and kept."""
        if self._port is None:
            raise EmbeddedServerError("the embedded PostgreSQL has no port before it is started; call start()")
        return self._port

    @property
    def log(self) -> Path:
        """PostgreSQL's log file."""
        return self._cluster.log

    @contextmanager
    def _superuser(self, database: str = "postgres") -> Iterator[Connection]:
        try:
            connection = psycopg.connect(self.url(database, "postgres"), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise EmbeddedServerError(f"the embedded PostgreSQL does not answer ({error}); see {self.log}") from error
        with connection:
            yield connection


def _free_port() -> int:
    for _ in range(PORT_ATTEMPTS):
        port = secrets.choice(PORTS)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedServerError(f"no free port between {PORTS.start} and {PORTS.stop}; end what occupies them")
