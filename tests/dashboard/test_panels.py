"""The line under a panel: how old the answer is and what it cost; and errors in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import panels
from queries.catalog import tenants
from queries.query import Result, Timings
from queries.runner import Context
from queries.scope import Scope

AT = datetime(2026, 1, 5, 13, 32, 5, tzinfo=UTC)


def result(outcome: Any = "miss", *, as_of: datetime = AT, rows: int = 31, **timings: float) -> Result:
    return Result(
        query=tenants.plans(Scope.all_tenants()),
        frame=pd.DataFrame({"plan": ["FREE"] * rows}),
        as_of=as_of,
        outcome=outcome,
        timings=Timings(**timings),
        computed=Timings(database_ms=4.1),
        sql="SELECT 1",
        parameters={},
    )


def test_the_badge_sums_what_the_panel_cost():
    assert panels.badge([result(database_ms=4.1, cache_ms=0.2)]) == "4.1 ms database · 0.2 ms cache · 31 rows"
    assert panels.badge([result("hit", cache_ms=0.02, rows=1)]) == "0.02 ms cache · 1 row"
    both = [result(database_ms=4, fetch_ms=1), result(database_ms=10)]
    assert panels.badge(both) == "15.0 ms database · 62 rows"


@pytest.mark.parametrize(
    ("outcome", "age_s", "said"),
    [
        ("miss", 0, "as of 14:32:05, UTC+1"),
        ("hit", 90, "as of 14:32:05, UTC+1"),
        ("hit", 200, "as of 14:32:05, UTC+1 (3 min ago)"),
        ("stale", 400, "from 14:32:05, UTC+1, newer figures are being computed"),
    ],
)
def test_freshness_is_said_in_words(outcome, age_s, said):
    assert panels.freshness([result(outcome)], "Europe/Berlin", AT + timedelta(seconds=age_s)) == said


def test_the_oldest_answer_counts():
    results = [result(), result(as_of=AT - timedelta(minutes=10))]
    assert panels.freshness(results, "UTC", AT) == "as of 13:22:05, UTC (10 min ago)"


def _fails(kind: str, message: str) -> None:
    from dashboard import panels as drawn
    from queries import errors

    drawn.failure(getattr(errors, kind)(message), key="one")


@pytest.mark.parametrize("kind", ["DatabaseUnavailableError", "StatementTimeoutError", "MappingError", "PeriodError"])
def test_errors_say_what_happened_what_works_and_a_reference(kind):
    app = AppTest.from_function(_fails, kwargs={"kind": kind, "message": "the **fact**; the fix"}).run()
    assert not app.exception
    said = app.error[0].value
    assert "The \\*\\*fact\\*\\*; the fix\\." in said
    assert "Reference `" in said
    assert said.count("**") == 2, "only our own headline is bold"


def _renews() -> None:
    import streamlit

    from dashboard import panels as drawn

    streamlit.session_state["runs"] = streamlit.session_state["runs"] + 1 if "runs" in streamlit.session_state else 1
    drawn.renew("one run", ["older"])  # type: ignore[list-item]  # whether it is there is the test's to say


@pytest.mark.parametrize("is_there", [True, False])
def test_a_page_with_older_answers_is_drawn_anew_a_bounded_number_of_times(is_there, monkeypatch):
    monkeypatch.setattr(panels, "is_there", lambda _: is_there)
    monkeypatch.setattr(panels, "RENEW_LOOKS", 4)
    app = AppTest.from_function(_renews).run()
    assert not app.exception
    assert app.session_state["runs"] == 1, "the run of the page itself draws nothing anew"
    ticks = 1 if is_there else panels.RENEW_LOOKS
    for _ in range(ticks):  # what the fragment's timer does
        app.run()
    assert not app.exception
    drawn_anew = app.session_state["runs"] - 1 - ticks
    assert drawn_anew == (panels.RENEW_TIMES if is_there else 1)


def test_answers_that_are_not_old_ask_for_nothing():
    assert panels.renew("one run", []) is None


def test_a_newer_answer_is_seen_in_the_cache(demo):
    asked = tenants.plans(Scope.all_tenants())
    before = result(as_of=datetime(2020, 1, 1, tzinfo=UTC))
    assert not panels.is_there(before)
    demo.runner.run(asked, Context(Scope.all_tenants()))
    assert panels.is_there(before)
    assert not panels.is_there(result(as_of=datetime.now(UTC) + timedelta(hours=1)))
