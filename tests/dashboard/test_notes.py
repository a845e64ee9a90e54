"""Notes as a person meets them on the Tenant page."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import services
from queries.database import TENANTS_SETTING
from tests.conftest import OWNER


@pytest.fixture(autouse=True)
def _no_notes_left(server: Any, shared_database: str) -> Iterator[None]:
    """The clone is shared by tests that only read."""
    yield
    with psycopg.connect(server.url(shared_database, OWNER)) as connection:
        connection.execute("DELETE FROM usage_dashboard.note")


def press(app: AppTest, label: str) -> AppTest:
    next(one for one in app.button if one.label == label).click().run()
    assert not app.exception
    return app


def pin(app: AppTest, text: str) -> AppTest:
    next(one for one in app.text_input if one.label == "Note").set_value(text)
    return press(app, "Pin")


def marks(app: AppTest) -> list[str]:
    """What stands above the first chart."""
    spec = json.loads(app.get("plotly_chart")[0].proto.spec)
    return [one["text"] for one in spec["layout"].get("annotations", []) if "hovertext" in one]


def test_a_note_is_on_the_list_and_the_chart_at_once_and_gone_at_once(open_app, ids, texts):
    app = open_app("tenant", tenant=ids[0])
    assert not app.exception
    assert "No notes from" in texts(app)
    pin(app, "Price **change** <b>")
    assert "Pinned to 15 Jun 2026" in texts(app)
    assert "Price \\*\\*change\\*\\* \\<b\\>" in texts(app)
    assert marks(app) == ["Price **change*…"]
    assert next(one for one in app.text_input if one.label == "Note").value == ""
    assert marks(open_app("tenant", tenant=ids[1])) == [], "another tenant's chart"
    assert marks(open_app("tenant", tenant=ids[0], period="Last 7 days")) == ["Price **change*…"]
    press(app, "Remove")
    assert "The note is removed" in texts(app)
    assert marks(app) == []


def test_who_may_remove_what(open_app, ids, texts):
    pin(open_app("tenant", role="account_manager", tenant=ids[0]), "hers")
    assert "Remove" not in [one.label for one in open_app("tenant", role="finance", tenant=ids[0]).button]
    assert "Remove" in [one.label for one in open_app("tenant", role="account_manager", tenant=ids[0]).button]
    admins = open_app("tenant", tenant=ids[0])
    assert "Ada Accounts" in texts(admins)
    press(admins, "Remove")
    assert "No notes from" in texts(admins)


def test_an_empty_note_is_refused_in_words(open_app, ids, texts):
    app = pin(open_app("tenant", tenant=ids[0]), "   ")
    assert "The note is empty; write a few words" in texts(app)
    assert marks(app) == []


def test_a_button_pressed_after_the_rights_have_gone_writes_nothing(open_app, ids, server, shared_database):
    """The page was drawn for an administrator; by the time of the click the session looks as somebody else."""
    app = open_app("tenant", tenant=ids[-1])
    app.session_state["viewer_role"] = "account_manager"  # whose tenants are the first half
    pin(app, "not mine any more")
    with psycopg.connect(server.url(shared_database, OWNER)) as connection:
        connection.execute("SELECT set_config(%s, 'all', true)", [TENANTS_SETTING])
        assert connection.execute("SELECT count(*) FROM usage_dashboard.note").fetchone() == (0,)


def test_without_direct_url_notes_are_hidden_with_the_reason(demo, open_app, ids, texts):
    services.install(dataclasses.replace(demo, notebook=None))
    app = open_app("tenant", tenant=ids[0])
    assert not app.exception
    assert not app.error
    assert "Notes need DIRECT\\_URL" in texts(app)
    assert "Pin" not in [one.label for one in app.button]


def test_without_our_tables_the_page_works_and_says_what_to_run(demo, open_app, ids, texts, server, shared_database):
    with psycopg.connect(server.url(shared_database, OWNER)) as connection:
        connection.execute("ALTER VIEW usage_dashboard.our_note RENAME TO our_note_away")
    try:
        app = open_app("tenant", tenant=ids[0], period="Last 90 days")
        assert not app.exception
        assert not app.error
        assert "python \\-m dashboard migrate" in texts(app)
    finally:
        with psycopg.connect(server.url(shared_database, OWNER)) as connection:
            connection.execute("ALTER VIEW usage_dashboard.our_note_away RENAME TO our_note")
