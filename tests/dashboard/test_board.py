"""One run of a page: who waits for what."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import Services
from tests.dashboard.conftest import SECONDS


def page() -> None:
    import sqlalchemy as sa
    import streamlit as st

    from dashboard import board
    from dashboard.services import current
    from tests.queries.asking import plain_query

    held = st.session_state["held"]
    rows = current().database.tables()
    slow = sa.select(sa.func.count().label("n")).select_from(rows.generation)
    fast = sa.select(sa.func.count().label("n")).select_from(rows.organization)
    run = board.open_board("tenants", "Order", "Who waits for whom?")
    run.ask({"slow": plain_query("test.slow", slow), "fast": plain_query("test.fast", fast)})
    drawn = st.session_state["drawn"] = []

    def draw(name: str, *results: object) -> None:
        drawn.append((name, [one.query.name for one in results]))
        if name == "of what follows":
            held.rollback()  # only now can the slow one be answered

    needed = {"of both": ("slow", "fast"), "fast": ("fast",), "of what follows": ("after",)}
    for name, needs in needed.items():
        run.panel(name, needs, lambda *results, name=name: draw(name, *results), height=100)
    run.ask_after("fast", "after", lambda: plain_query("test.after", fast.where(sa.literal(1) == 1)))
    run.fill()


@pytest.fixture
def holding(demo: Services, server: Any, shared_database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that lets nobody read the generations until it rolls back."""
    with psycopg.connect(server.url(shared_database, "app")) as connection:
        connection.execute('LOCK TABLE "Generation" IN ACCESS EXCLUSIVE MODE')
        yield connection
        connection.rollback()


def test_a_panel_waits_for_its_own_answers_only(holding: psycopg.Connection[Any]) -> None:
    app = AppTest.from_function(page, default_timeout=SECONDS)
    app.session_state["held"] = holding
    app.run()
    assert not app.exception, app.exception
    drawn = app.session_state["drawn"]
    assert sorted(name for name, _ in drawn) == ["fast", "of both", "of what follows"]
    assert drawn[-1] == ("of both", ["test.slow", "test.fast"])
    assert ("of what follows", ["test.after"]) in drawn
    # Their places on the page are as the page has them, whenever they were drawn.
    titles = [one.value for one in app.header]
    assert titles == ["of both", "fast", "of what follows"]
