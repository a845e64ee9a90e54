"""The ASGI application: Streamlit, and the routes beside it. `uvicorn dashboard.server:app` serves it too."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dashboard import alerts, export_route, services
from dashboard.browser import BrowserCookie
from dashboard.gate import Gate, use_header
from dashboard.logs import adopt_streamlit_loggers, configure_logging
from queries.errors import UsageDashboardError
from queries.settings import load_settings

log = logging.getLogger(__name__)

READY_WITHIN_S = 1.0
# What the first page would otherwise import while a person waits.
_WARM_IMPORTS = ("pandas", "pyarrow", "plotly.graph_objects", "dashboard.figures", "dashboard.panels")


async def healthz(request: Request) -> Response:  # noqa: ARG001 - the signature is Starlette's
    """Alive: this process answers."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:  # noqa: ARG001 - the signature is Starlette's
    """Ready: the database answers within a second. 503 with the reason otherwise."""
    ping = _ping()
    if not (await asyncio.wait({ping}, timeout=READY_WITHIN_S))[0]:
        return _not_ready(f"the database did not answer within {READY_WITHIN_S:g} s")
    try:
        ping.result()
    except UsageDashboardError as error:
        return _not_ready(error.message)
    return JSONResponse({"ready": True})


async def metrics(request: Request) -> Response:  # noqa: ARG001 - the signature is Starlette's
    """Prometheus: answers by name and cache outcome, database seconds, pool, cache, dropped log records."""
    return Response(generate_latest(services.current().monitor.registry), media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - the signature is Starlette's
    """Warm up before the first page; end all that this process started, also when a signal ends it."""
    if services.installed() is None:
        # Not started by our command line, which would have done this.
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
    held = services.current()
    if held.admission is not None:
        held.admission.check()
    use_header(held.admission)
    alerter = alerts.alerter(held)
    try:
        await asyncio.to_thread(_warm)
        adopt_streamlit_loggers()
        # Streamlit collects garbage after every run of a script, and looked through all that stays to the end each
        # time: pages that poll kept the process from answering.
        gc.collect()
        gc.freeze()
        for thread in (held.refresher, held.snapshots):
            if thread is not None:
                thread.start()
        if alerter is not None:
            alerter.start()
        yield {}
    finally:
        if alerter is not None:
            await asyncio.to_thread(alerter.stop)
        await asyncio.to_thread(held.close)


app = st.App(
    Path(__file__).with_name("app.py"),
    lifespan=lifespan,
    routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics), *export_route.ROUTES],
    middleware=[Middleware(Gate), Middleware(BrowserCookie)],
)


def _warm() -> None:
    for name in _WARM_IMPORTS:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log.warning("%s cannot be imported: %s", name, error)
    database = services.current().database
    try:
        # Whoever opens a page meanwhile is told that it is being woken; the server does not wait for it to start.
        with database.waking.impatient():
            database.tables()
    except UsageDashboardError as error:
        log.warning("the database is not ready yet: %s", error.message)


_asked: asyncio.Task[None] | None = None


def _ping() -> asyncio.Task[None]:
    """Ask the database, or wait along with whoever asks it: a thread that waits for a database that hangs cannot be
    ended, and one for each probe would use up all the threads there are."""
    global _asked
    if _asked is None or _asked.done():
        _asked = asyncio.get_running_loop().create_task(asyncio.to_thread(services.current().database.ping))
    return _asked


def _not_ready(reason: str) -> Response:
    return JSONResponse({"ready": False, "reason": reason}, status_code=503)
