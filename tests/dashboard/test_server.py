"""Readiness, and the order in which things end."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request

from dashboard import server as web
from dashboard import services
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.queries.asking import plain_query


def test_a_database_that_hangs_costs_one_thread_however_often_it_is_asked(
    demo: services.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, released = [], threading.Event()

    def ping() -> None:
        asked.append(1)
        released.wait(10)

    monkeypatch.setattr(demo.database, "ping", ping)
    monkeypatch.setattr(web, "READY_WITHIN_S", 0.1)

    async def probe() -> list[Any]:
        answers = [await web.readyz(Request({"type": "http"})) for _ in range(5)]
        released.set()
        assert web._asked is not None
        await web._asked
        monkeypatch.setattr(web, "READY_WITHIN_S", 5)
        return [*answers, await web.readyz(Request({"type": "http"}))]

    with ThreadPoolExecutor(1) as elsewhere:  # browser tests leave an event loop running in this thread
        *hanging, well = elsewhere.submit(asyncio.run, probe()).result()
    assert [one.status_code for one in hanging] == [503] * 5
    assert "did not answer" in json.loads(hanging[0].body)["reason"]
    assert (well.status_code, len(asked)) == (200, 2)


def test_the_query_log_is_written_before_its_database_ends(server: Any, shared_database: str) -> None:
    settings = Settings(
        database_url=server.url(shared_database, "usage_dashboard_reader"),
        direct_url=server.url(shared_database, "usage_dashboard_owner"),
    )
    ended: list[int] = []

    def fail() -> None:
        raise RuntimeError("the simulator")

    def stop_database() -> None:
        assert held.query_log is not None
        ended.append(held.query_log.written)

    held = services.build(settings, is_demo=True, closers=(fail, stop_database))
    held.runner.run(
        plain_query("test.one", sa.select(sa.literal(1, sa.Integer).label("n"))), Context(Scope.all_tenants())
    )
    with pytest.raises(RuntimeError, match="the simulator"):
        held.close()
    assert ended == [1]
