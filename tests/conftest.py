"""The real things that tests run on: one PostgreSQL for the whole run, a database per test, Redis, Chromium.

The server belongs to the process that the user started (the controller under pytest-xdist); workers are told where it
is. Databases are clones of one template, made by the first test that needs it.
"""

import importlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import hypothesis
import psycopg
import pytest
import redis
from psycopg import sql

from benchmarks.truth.cluster import SecondServer
from benchmarks.truth.cluster import second_server as started_second_server
from queries.embedded import EmbeddedServer, databases, launch

# Nothing here has to survive a power cut; plans must not depend on when autovacuum happens to come by.
SERVER_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
# The small demo's last moment: a Monday in summer time, in the middle of an hour.
DEMO_END = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
SUPERUSER, APP, OWNER, READER = "postgres", databases.APP, databases.OWNER, databases.READER
IS_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

# Assertions of the recount say what differs, as those of tests do.
pytest.register_assert_rewrite("tests.queries.connect.recount")

hypothesis.settings.register_profile("default", deadline=None, max_examples=60)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, print_blob=True)
hypothesis.settings.load_profile("ci" if IS_CI else "default")


@dataclass(frozen=True)
class Server:
    """Where the run's PostgreSQL is: one URL per role, and a word that names this run's databases."""

    urls: Mapping[str, str]
    run: str

    def url(self, database: str, role: str) -> str:
        """The URL of `database` for `role` (postgres, app, usage_dashboard_owner, usage_dashboard_reader)."""
        return urlsplit(self.urls[role])._replace(path="/" + quote(database, safe="")).geturl()

    @property
    def superuser_url(self) -> str:
        """The maintenance database, as superuser."""
        return self.urls[SUPERUSER]

    @contextmanager
    def superuser(self, database: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A superuser's autocommit connection, closed afterwards."""
        url = self.url(database, SUPERUSER) if database else self.superuser_url
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


class RunServer:
    """The server of this run as its first process holds it: embedded, or another one named by --dsn."""

    def __init__(self, dsn: str | None) -> None:
        self._dsn = dsn
        self._embedded: EmbeddedServer | None = None
        self._folder: Path | None = None
        self._server: Server | None = None

    def start(self) -> Server:
        """Start on the first call; the same server afterwards."""
        if self._server is None:
            urls = _urls_of_other_server(self._dsn) if self._dsn else self._start_embedded()
            self._server = Server(urls, secrets.token_hex(4))
        return self._server

    def stop(self) -> None:
        """Remove all that this run made."""
        if self._embedded is not None:
            self._embedded.stop()
        elif self._server is not None:
            _drop_databases_of(self._server)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start_embedded(self) -> Mapping[str, str]:
        self._folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-tests-"))
        self._folder.chmod(0o755)
        self._embedded = EmbeddedServer(self._folder / "data", settings=SERVER_SETTINGS)
        self._embedded.start()
        return {role: self._embedded.url("postgres", role) for role in (SUPERUSER, APP, OWNER, READER)}


RUN_SERVER = pytest.StashKey[RunServer]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--dsn: use another, disposable server."""
    parser.addoption("--dsn", help="superuser URL of a disposable PostgreSQL to use instead of the embedded one")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare (not start) the server, in the process that the user started only."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would every program that tests send it to.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Some sixty programs are started: each would compile our modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        config.stash[RUN_SERVER] = RunServer(config.getoption("--dsn"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist: tell a new worker where the server is."""
    server = node.config.stash[RUN_SERVER].start()
    node.workerinput["database_server"] = json.dumps({"urls": dict(server.urls), "run": server.run})


def pytest_unconfigure(config: pytest.Config) -> None:
    """After the last worker: stop the server."""
    if run_server := config.stash.get(RUN_SERVER, None):
        run_server.stop()


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Server:
    """The run's PostgreSQL."""
    if hasattr(pytestconfig, "workerinput"):
        return Server(**json.loads(pytestconfig.workerinput["database_server"]))
    return pytestconfig.stash[RUN_SERVER].start()


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """Name of the database that holds the small demo and our own schema. Nobody may connect to it."""
    name = f"template_{server.run}"
    with server.superuser() as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])  # given back with the connection
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            _build_template(server, connection, name)
    return name


@pytest.fixture(scope="session")
def shared_database(server: Server, template: str) -> Iterator[str]:
    """A clone for tests that only read, one per worker."""
    with _clone(server, template) as name:
        yield name


@pytest.fixture(scope="module")
def module_database(server: Server, template: str) -> Iterator[str]:
    """A clone for one module: for programs that run on it, which build aggregates and keep logs."""
    with _clone(server, template) as name:
        yield name


@pytest.fixture
def database_name(server: Server, template: str) -> Iterator[str]:
    """A clone of the test's own."""
    with _clone(server, template) as name:
        yield name


@pytest.fixture
def app_url(server: Server, database_name: str) -> str:
    """The test's own database as `app`, who owns the application's tables."""
    return server.url(database_name, APP)


@pytest.fixture
def owner_url(server: Server, database_name: str) -> str:
    """The test's own database as `usage_dashboard_owner` (DIRECT_URL)."""
    return server.url(database_name, OWNER)


@pytest.fixture
def reader_url(server: Server, database_name: str) -> str:
    """The test's own database as `usage_dashboard_reader` (DATABASE_URL)."""
    return server.url(database_name, READER)


@pytest.fixture
def superuser_url(server: Server, database_name: str) -> str:
    """The test's own database as superuser."""
    return server.url(database_name, SUPERUSER)


@pytest.fixture
def app_connection(app_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection as `app` to the test's own database; what is not committed is lost."""
    connection = psycopg.connect(app_url)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def empty_database_url(server: Server) -> Iterator[str]:
    """A database with roles and privileges but without tables, as `app`."""
    name = f"empty_{server.run}_{secrets.token_hex(4)}"
    with server.superuser() as connection:
        databases.create_database(connection, name)
    with server.superuser(name) as connection:
        databases.grant_privileges(connection, name)
    try:
        yield server.url(name, APP)
    finally:
        with server.superuser() as connection:
            databases.drop_database(connection, name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a redis-server without persistence, one per worker."""
    program, port = _required("redis-server"), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(ending_with_us([program, *options]), stdout=subprocess.DEVNULL)
        try:
            _wait_for_redis(process, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture(scope="session")
def second_server() -> Iterator[SecondServer]:
    """The system's PostgreSQL with HypoPG, one per worker; its tests are of the xdist group "second"."""
    with ExitStack() as running:
        try:
            found = running.enter_context(started_second_server())
        except LookupError as missing:
            _not_there(str(missing))
        yield found


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    """A data folder that the first start of the real program fills. The worker's tests use it one after the other."""
    with tempfile.TemporaryDirectory(prefix="usage-dashboard-run-") as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The system's Chromium."""
    return _required("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], chromium_path: str) -> dict[str, Any]:
    """pytest-playwright's launch arguments: the system's Chromium, quiet on the network."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": chromium_path, "args": flags}


@pytest.fixture(scope="session")
def base_url() -> str | None:
    """In place of pytest-playwright's own, whose form newer ones warn about; override where a server runs."""
    return None


def ending_with_us(program: list[str]) -> list[str]:
    """The command line that runs `program` until it ends or this process does, however that happens."""
    orders = {"parent": os.getpid(), "signal": signal.SIGTERM.value, "uid": None, "gid": None, "reach": []}
    watched = json.dumps({**orders, "watch": sys.platform != "linux"})
    return [sys.executable, "-I", "-S", str(Path(launch.__file__)), watched, *program]


def _build_template(server: Server, connection: psycopg.Connection[Any], name: str) -> None:
    building = f"{name}_new"
    databases.drop_database(connection, building)
    databases.create_database(connection, building)
    with server.superuser(building) as inside:
        databases.grant_privileges(inside, building)
    _load_small_demo(server.url(building, APP))
    if migrations := _module("queries.migrations"):
        migrations.upgrade(server.url(building, OWNER))
    with server.superuser(building) as inside:
        inside.execute("VACUUM (ANALYZE)")
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(building)))
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (building, name))))


def _load_small_demo(app_url: str) -> None:
    load, history = _module("demo.load"), _module("demo.history")
    with psycopg.connect(app_url) as connection:
        if load and history:
            load.load_history(connection, history.small(end=DEMO_END), lambda *_: None)
        elif schema := _module("demo.schema"):
            schema.create_schema(connection)


def _module(name: str) -> Any:
    """The module, or None when it does not exist (a broken one raises)."""
    package = name.rpartition(".")[0]
    if importlib.util.find_spec(package) is None or (spec := importlib.util.find_spec(name)) is None:
        return None
    return importlib.import_module(name) if spec.origin else None


@contextmanager
def _clone(server: Server, template: str) -> Iterator[str]:
    name = f"test_{server.run}_{secrets.token_hex(4)}"
    with server.superuser() as connection:
        databases.clone_database(connection, name, template)
    try:
        yield name
    finally:
        with server.superuser() as connection:
            _forget_statements(connection, name)
            databases.drop_database(connection, name)


def _forget_statements(connection: psycopg.Connection[Any], name: str) -> None:
    """What was counted in a database stays when that is dropped; the server then has no room for what the next tests
    run once, and forgets it at any moment."""
    with suppress(psycopg.Error):  # another server may be without it
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = %s", [name])


def _urls_of_other_server(dsn: str) -> Mapping[str, str]:
    passwords = {role: secrets.token_urlsafe(12) for role in (APP, OWNER, READER)}
    with psycopg.connect(dsn, autocommit=True) as connection:
        databases.ensure_roles(connection, passwords)
        host, port = connection.info.host, connection.info.port
        user, password, database = connection.info.user, connection.info.password, connection.info.dbname
    address = f"{host}:{port}" if not host.startswith("/") else f":{port}"
    options = f"?host={quote(host, safe='')}" if host.startswith("/") else ""
    urls = {role: f"postgresql://{role}:{word}@{address}/postgres{options}" for role, word in passwords.items()}
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return {**urls, SUPERUSER: f"postgresql://{login}@{address}/{quote(database, safe='')}{options}"}


def _drop_databases_of(server: Server) -> None:
    with server.superuser() as connection:
        for name in databases.database_names(connection):
            if server.run in name:
                databases.drop_database(connection, name)


def _not_there(reason: str) -> NoReturn:
    """What a test drives is missing: skipped, or a failure under CI=true."""
    if IS_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def _required(*programs: str) -> str:
    """Path of the first program that is installed; otherwise the test is skipped, or fails under CI=true."""
    for program in programs:
        if path := shutil.which(program):
            return path
    _not_there(f"{programs[0]} is not installed (Debian: apt-get install {programs[0]})")


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def _wait_for_redis(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis(port=port) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.ping()
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
            else:
                return
    pytest.fail("redis-server did not start")
