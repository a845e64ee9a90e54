"""What the monitor keeps, counts, hides and calls slow."""

import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from queries.performance.monitor import Execution, Monitor, fingerprint, masked
from queries.query import Outcome, Timings


def execution(outcome: Outcome = "miss", *, database_ms: float = 1.0, slow: bool = False) -> Execution:
    return Execution(
        at=datetime.now(UTC),
        query="usage.totals",
        fingerprint="f",
        parameters={},
        parameters_hash="h",
        scope_digest="all",
        page="tenants",
        run_id="r",
        role="admin",
        outcome=outcome,
        timings=Timings(database_ms=database_ms),
        rows=1,
        slow=slow,
    )


def test_the_ring_is_bounded_and_keeps_the_newest() -> None:
    monitor = Monitor(slow_query_ms=250, ring_rows=3)
    for number in range(5):
        monitor.record(execution(database_ms=number))
    assert [one.timings.database_ms for one in monitor.recent()] == [2, 3, 4]


def test_answers_are_counted_by_outcome_and_database_time_only_where_it_ran() -> None:
    monitor = Monitor(slow_query_ms=250)
    outcomes: tuple[Outcome, ...] = ("miss", "hit", "hit", "stale", "shared", "error")
    for outcome in outcomes:
        monitor.record(execution(outcome, database_ms=30))
    text = generate_latest(monitor.registry).decode()
    assert 'usage_dashboard_answer_seconds_count{outcome="hit",query="usage.totals"} 2.0' in text
    assert 'usage_dashboard_answer_seconds_count{outcome="error",query="usage.totals"} 1.0' in text
    assert 'usage_dashboard_database_seconds_count{query="usage.totals"} 1.0' in text


def test_a_slow_query_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor(slow_query_ms=250)
    assert monitor.is_slow(Timings(database_ms=200, fetch_ms=50))
    assert not monitor.is_slow(Timings(database_ms=200, fetch_ms=49, wait_ms=900))
    with caplog.at_level(logging.WARNING):
        monitor.record(execution(database_ms=800, slow=True))
    assert "slow query usage.totals: 800 ms" in caplog.text


def test_two_monitors_do_not_share_counters() -> None:
    first, second = Monitor(slow_query_ms=1), Monitor(slow_query_ms=1)
    first.record(execution())
    assert 'query="usage.totals"' not in generate_latest(second.registry).decode()


def test_a_fingerprint_is_of_the_shape_not_of_the_parameters() -> None:
    one = fingerprint('SELECT count(*) FROM "Generation" WHERE "organizationId" = ANY(%(tenants_1)s::TEXT[])')
    other_name = fingerprint('SELECT count(*) FROM "Generation" WHERE "organizationId" = ANY(%(tenants_2)s::TEXT[])')
    other_table = fingerprint('SELECT count(*) FROM "Image" WHERE "organizationId" = ANY(%(tenants_1)s::TEXT[])')
    assert one == other_name != other_table
    assert fingerprint("SELECT FROM WHERE") is None


@given(st.text(min_size=1))
def test_what_a_person_wrote_is_hidden(text: str) -> None:
    shown = masked({"search_1": f"%{text}%", "prompt": text, "name_1": [text], "email": text})
    assert shown == {"search_1": "(hidden)", "prompt": "(hidden)", "name_1": ["(hidden)"], "email": "(hidden)"}


def test_what_an_engineer_needs_is_shown() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    shown = masked({"created_at_1": at, "tenants_1": ["a"] * 500, "plan": ["PRO"], "limit": 25, "none": None})
    assert shown == {
        "created_at_1": "2026-06-01T00:00:00+00:00",
        "tenants_1": "(500 values)",
        "plan": ["PRO"],
        "limit": 25,
        "none": None,
    }
