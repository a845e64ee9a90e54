"""`python -m dashboard run`: the database, the demo's data, the pages."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from typing import Annotated

import psycopg
import typer
import uvicorn
from pydantic import SecretStr
from rich.console import Console

from dashboard import services
from dashboard.commands import demo
from dashboard.logs import configure_logging
from demo.schema import has_schema
from demo.simulator import Simulator
from queries import migrations
from queries.embedded import EmbeddedServer
from queries.errors import DatabaseRefusedError, NotFoundError, SettingsError, UsageDashboardError
from queries.settings import ROOT, Settings, load_settings

# A download or a page in flight gets this long after SIGTERM.
GRACEFUL_SHUTDOWN_S = 3
DATASET_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_PR_SET_PDEATHSIG = 1


def run(
    dataset: Annotated[str, typer.Option(help="Open a dataset made by load-events instead of the demo.")] = demo.DEMO,
) -> None:
    """Serve the dashboard: of DATABASE_URL when it is set, else of the embedded PostgreSQL with the demo."""
    _end_with_parent()
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    _refuse_taken_port(settings)
    held = _own_database(settings) if settings.database_url is not None else _embedded(settings, dataset)
    if held.admission is not None:
        try:
            held.admission.check()
        except BaseException:
            held.close()
            raise
    services.install(held)
    for notice in held.notices:
        _say(f"note: {notice}")
    _serve(settings)


def _own_database(settings: Settings) -> services.Services:
    """Of a database that lets nobody in the start is refused; for one that is only away the pages wait."""
    held = services.build(settings)
    try:
        with held.database.waking.impatient():
            held.database.tables()
    except DatabaseRefusedError:
        held.close()
        raise
    except UsageDashboardError as error:
        _say(f"note: {error.message}")
    return held


def _embedded(settings: Settings, dataset: str) -> services.Services:
    if not DATASET_NAME.fullmatch(dataset):
        raise SettingsError(
            "a dataset's name is a lower-case letter, then letters, digits or _; see `load-events --help`"
        )
    server = EmbeddedServer(settings.data)
    _say(f"Starting PostgreSQL in {settings.data} ...")
    server.start()
    try:
        return _opened(settings, server, dataset)
    except BaseException:
        server.stop()
        raise


def _opened(settings: Settings, server: EmbeddedServer, dataset: str) -> services.Services:
    closers: list[Callable[[], None]] = []
    if dataset == demo.DEMO:
        demo.prepare(server)
        simulator = Simulator(lambda: psycopg.connect(server.url(demo.DEMO, "app"), connect_timeout=5))
        simulator.start()
        closers.append(simulator.stop)
    else:
        _require_dataset(server, dataset)
        migrations.upgrade(server.url(dataset, "usage_dashboard_owner"))
    server.announce(_address(settings))
    reading = settings.model_copy(
        update={
            "database_url": SecretStr(server.url(dataset, "usage_dashboard_reader")),
            "direct_url": SecretStr(server.url(dataset, "usage_dashboard_owner")),
        }
    )
    return services.build(
        reading,
        is_demo=True,
        dataset=dataset,
        closers=(*closers, server.stop),
        application_url=SecretStr(server.url(dataset, "app")),
    )


def _require_dataset(server: EmbeddedServer, dataset: str) -> None:
    known = [name for name in server.databases() if name != demo.DEMO and _is_loaded(server, name)]
    if dataset not in known:
        listed = f"; there are: {', '.join(known)}" if known else ""
        raise NotFoundError(
            f"there is no dataset {dataset!r}; load one by `python -m dashboard load-events FILE`{listed}"
        )


def _is_loaded(server: EmbeddedServer, dataset: str) -> bool:
    """A load that was killed leaves an empty database behind, which is no dataset yet."""
    with psycopg.connect(server.url(dataset, "app")) as connection:
        return has_schema(connection)


def _serve(settings: Settings) -> None:
    # Streamlit looks for .streamlit/config.toml in the working directory.
    os.chdir(ROOT)
    from dashboard.server import app  # after the services are installed: importing starts Streamlit's configuration

    _say(f"The dashboard is at {_address(settings)} (Ctrl-C stops it)")
    uvicorn.run(
        app,
        host=settings.address,
        port=settings.port,
        log_config=None,
        log_level=settings.log_level.lower(),
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        # Who is at the other end decides whose header is believed.
        proxy_headers=settings.auth != "header",
    )


def _refuse_taken_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.address, settings.port))
        except OSError as error:
            raise SettingsError(
                f"{settings.address}:{settings.port} cannot be listened on ({error.strerror}); stop what listens there,"
                " or set PORT to another port"
            ) from error


def _end_with_parent() -> None:
    """Under make: end when make is killed, so that nothing is left running."""
    if os.environ.get("USAGE_DASHBOARD_DIE_WITH_PARENT") == "1" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _address(settings: Settings) -> str:
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    return f"http://{host}:{settings.port}"


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False).print(sentence, markup=False)
