"""What the measurements stand on: a PostgreSQL and a Redis of their own, in temporary folders, gone afterwards."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
from pydantic import SecretStr

from dashboard import services
from demo.schema import create_schema
from queries import migrations
from queries.embedded import EmbeddedServer, databases
from queries.scope import Scope
from queries.settings import Settings

DATABASE = "bench"
TENANTS = 500
# The period that all rows lie in, whenever this runs.
NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
_WAIT_S = 10.0

_FILL = (
    """INSERT INTO "Organization" (id, name, slug, "createdAt", "updatedAt")
       SELECT id, 'Tenant ' || id, id, now(), now() FROM (SELECT 'org_' || lpad(n::text, 6, '0') AS id
       FROM generate_series(1, %(tenants)s) AS n) AS tenant""",
    """INSERT INTO "User" (id, "organizationId", email, name, "createdAt", "updatedAt")
       SELECT 'user_' || id, id, id || '@example.com', 'User of ' || name, now(), now() FROM "Organization" """,
    # All of one tenant: the same rows are then an answer for one id and for 500.
    """INSERT INTO "Generation" (id, "userId", "organizationId", type, model, status, "creditsUsed", "durationMs",
              prompt, "createdAt", "completedAt", "updatedAt")
       SELECT 'gen_' || lpad(n::text, 20, '0'), 'user_org_000001', 'org_000001', 'TEXT_TO_IMAGE',
              'model-' || n %% 5, 'SUCCEEDED', 1 + n %% 9, 1000 + n %% 7919, 'a prompt', at, at, at
       FROM (SELECT n, timestamp '2026-06-15' - n * interval '4 seconds' AS at
             FROM generate_series(1, %(generations)s) AS n) AS made""",
)


def scope_of(tenants: int) -> Scope:
    """The first tenant, which has the rows, and others."""
    return Scope.of(f"org_{number:06}" for number in range(1, tenants + 1))


@contextmanager
def embedded_server() -> Iterator[EmbeddedServer]:
    """PostgreSQL with its default settings in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-bench-"))
    folder.chmod(0o755)  # the server runs as another user when we are root
    server = EmbeddedServer(folder / "data")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def filled_server(generations: int) -> Iterator[EmbeddedServer]:
    """The same with a database of 500 tenants, one of which has all the generations."""
    with embedded_server() as server:
        server.ensure_database(DATABASE)
        with psycopg.connect(server.url(DATABASE, databases.APP)) as connection:
            create_schema(connection)
            for statement in _FILL:
                connection.execute(statement, {"tenants": TENANTS, "generations": generations})
        migrations.upgrade(server.url(DATABASE, databases.OWNER))
        with psycopg.connect(superuser_url(server), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        yield server


def superuser_url(server: EmbeddedServer) -> str:
    return server.url(DATABASE, "postgres")


def settings_for(server: EmbeddedServer, **overrides: Any) -> Settings:
    """The settings that `run` gives its services, with overrides; nothing from this shell's environment."""
    chosen: dict[str, Any] = {
        **{name: one.default for name, one in Settings.model_fields.items()},
        "database_url": SecretStr(server.url(DATABASE, databases.READER)),
        "direct_url": SecretStr(server.url(DATABASE, databases.OWNER)),
        **overrides,
    }
    return Settings.model_validate(chosen)


@contextmanager
def open_services(settings: Settings) -> Iterator[services.Services]:
    """Runner, caches, monitor and query log as the server builds them."""
    held = services.build(settings, is_demo=True)
    try:
        yield held
    finally:
        held.close()


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a redis-server that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed; on Debian and Ubuntu: apt-get install redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="usage-dashboard-bench-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for_redis(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(timeout=_WAIT_S)


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def _wait_for_redis(port: int) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    with redis.Redis(port=port) as client:
        while time.monotonic() < deadline_s:
            try:
                client.ping()
            except redis.exceptions.ConnectionError:
                time.sleep(0.02)
            else:
                return
    raise SystemExit(f"redis-server did not start within {_WAIT_S:g} s")
