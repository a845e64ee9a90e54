"""The query log: in batches, never in the way, and nothing lost without being counted."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from queries.database import driver_url
from queries.performance.query_log import QueryLog
from tests.queries.performance.test_monitor import execution


@pytest.fixture
def engine(owner_url: str) -> Any:
    made = sa.create_engine(driver_url(owner_url), pool_pre_ping=True, connect_args={"prepare_threshold": None})
    yield made
    made.dispose()


def logged(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM usage_dashboard.query_log").fetchone()
    assert found is not None
    return int(found[0])


def test_what_was_added_is_there_after_the_stop(engine: sa.Engine, owner_url: str) -> None:
    log = QueryLog(engine, keep_days=30)
    log.start()
    for _ in range(1_234):
        log.add(execution())
    log.stop(10)
    assert (logged(owner_url), log.written, log.dropped) == (1_234, 1_234, 0)


def test_a_full_queue_drops_and_counts_and_does_not_wait(engine: sa.Engine) -> None:
    log = QueryLog(engine, keep_days=30, queue_records=10)
    done = threading.Event()

    def fill() -> None:
        for _ in range(25):
            log.add(execution())
        done.set()

    threading.Thread(target=fill, daemon=True).start()
    assert done.wait(5), "adding to a full queue waits"
    assert log.dropped == 15


def test_old_records_are_swept(engine: sa.Engine, owner_url: str) -> None:
    log = QueryLog(engine, keep_days=7)
    now = datetime.now(UTC)
    for age in (0, 6, 8, 400):
        log.add(replace(execution(), at=now - timedelta(days=age)))
    log.start()
    log.stop(10)
    with psycopg.connect(owner_url) as connection:
        oldest = connection.execute("SELECT min(at), count(*) FROM usage_dashboard.query_log").fetchone()
    assert oldest is not None
    assert oldest[1] == 2
    assert oldest[0] > now - timedelta(days=7)


def test_it_waits_for_a_table_that_is_not_there_yet(
    engine: sa.Engine,
    superuser_url: str,
    owner_url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("queries.batches._RETRY_S", 0.1)
    with psycopg.connect(superuser_url) as connection:
        connection.execute("ALTER TABLE usage_dashboard.query_log RENAME TO away")
    log = QueryLog(engine, keep_days=30)
    log.start()
    log.add(execution())
    for _ in range(100):
        if "cannot be written" in caplog.text:
            break
        threading.Event().wait(0.05)
    with psycopg.connect(superuser_url) as connection:
        connection.execute("ALTER TABLE usage_dashboard.away RENAME TO query_log")
    for _ in range(100):
        if log.written:
            break
        threading.Event().wait(0.05)
    log.stop(5)
    assert (logged(owner_url), log.dropped) == (1, 0)
    assert caplog.text.count("cannot be written") == 1, "one warning, not one a try"


@pytest.mark.parametrize("poison", [{"parameters": {"a": "\x00"}}, {"page": "\x00"}, {"page": "\ud800"}])
def test_a_record_that_cannot_be_stored_holds_up_no_other(
    engine: sa.Engine, owner_url: str, poison: dict[str, Any]
) -> None:
    log = QueryLog(engine, keep_days=30)
    for one in (execution(), replace(execution(), **poison), execution()):
        log.add(one)
    log.start()
    log.stop(10)
    assert (logged(owner_url), log.written, log.dropped) == (2, 2, 1)
