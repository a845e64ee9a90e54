"""Findings about the database: each provoked really, by sessions that wait, tables that rot, and counters that end."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from queries.performance import health
from queries.performance.findings import DEFAULT_LIMITS, Finding, Limits

Connection = psycopg.Connection[Any]
NOW = Limits(
    table_rows=100,
    dead_rows=100,
    transaction=timedelta(0),
    idle_in_transaction=timedelta(0),
)


@pytest.fixture
def connect(empty_database_url: str) -> Iterator[Callable[..., Connection]]:
    """Connections to an empty database as the owner of its tables."""
    made: list[Connection] = []

    def connected(**how: Any) -> Connection:
        made.append(psycopg.connect(empty_database_url, **{"autocommit": True, **how}))
        return made[-1]

    yield connected
    for one in made:
        one.close()


def stated(connection: Connection) -> Connection:
    """The connection with the right to see what other sessions do; app has it not."""
    return connection


def found(connection: Connection, rule: str, limits: Limits = NOW) -> list[Finding]:
    return [one for one in health.findings(health.read(connection), limits) if one.rule == rule]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come about")


def test_who_is_blocked_and_by_whom(connect: Callable[..., Connection]) -> None:
    looking, first, second = connect(), connect(autocommit=False), connect()
    looking.execute("CREATE TABLE t (a text)")
    looking.execute("INSERT INTO t VALUES ('x')")
    first.execute("UPDATE t SET a = 'y'")
    second.execute("SET statement_timeout = '30s'")
    waiting = threading.Thread(target=second.execute, args=["UPDATE t SET a = 'a secret'"])
    waiting.start()
    try:
        wait_until(lambda: bool(found(looking, "blocked")))
        [finding] = found(looking, "blocked")
    finally:
        first.rollback()
        waiting.join(30)
    assert finding.subject == f"session {second.info.backend_pid}"
    assert f"blocked by session {first.info.backend_pid} (app, idle in transaction" in finding.sentence
    assert "UPDATE t SET a = $1" in finding.sentence
    assert "secret" not in finding.sentence, "a value of somebody else's statement is shown"
    assert f"pg_terminate_backend({first.info.backend_pid})" in finding.fix
    assert found(looking, "blocked") == []


def test_long_and_idle_transactions(connect: Callable[..., Connection]) -> None:
    looking, idle = connect(), connect(autocommit=False, application_name="forgetful")
    idle.execute("SELECT 42")
    [finding] = [one for one in found(looking, "idle_in_transaction") if "forgetful" in one.sentence]
    assert "SELECT $1" in finding.sentence
    assert found(looking, "idle_in_transaction", DEFAULT_LIMITS) == []
    idle.rollback()
    busy = threading.Thread(target=idle.execute, args=["SELECT pg_sleep(3)"])
    busy.start()
    try:
        wait_until(lambda: any("forgetful" in one.sentence for one in found(looking, "long_transaction")))
    finally:
        looking.execute("SELECT pg_cancel_backend(%s)", [idle.info.backend_pid])
        busy.join(30)


@pytest.fixture(autouse=True)
def _cancelled_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread whose statement was cancelled ends by that error."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)


def test_sequences_near_the_end_of_their_type(connect: Callable[..., Connection]) -> None:
    looking = connect()
    looking.execute("CREATE TABLE t (small smallserial, id serial, big bigserial, own int)")
    looking.execute("CREATE SEQUENCE narrow AS bigint")
    looking.execute("ALTER SEQUENCE narrow OWNED BY t.own")  # a bigint sequence before an int column
    looking.execute(
        "SELECT setval('t_small_seq', 30000), setval('t_id_seq', 1600000000), setval('t_big_seq', 2000000000)"
    )
    looking.execute("SELECT setval('narrow', 2147483000)")
    told = {one.subject: one for one in found(looking, "sequence")}
    assert {name: one.severity for name, one in told.items()} == {
        "t_small_seq": "high",
        "t_id_seq": "medium",
        "narrow": "high",
    }
    assert "feeds t.own, is at 2,147,483,000 of 2,147,483,647 (100.0%); after 647 more" in told["narrow"].sentence


def test_dead_rows_and_statistics(connect: Callable[..., Connection]) -> None:
    looking = connect()
    looking.execute("CREATE TABLE t (a int)")
    looking.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    flushed = lambda: looking.execute("SELECT pg_stat_force_next_flush()")  # noqa: E731
    flushed()
    [never] = found(looking, "analyze")
    assert "never analyzed" in never.sentence
    looking.execute(never.fix)
    assert found(looking, "analyze") == []
    looking.execute("DELETE FROM t WHERE a <= 400")
    flushed()
    [dead] = found(looking, "dead_rows")
    assert '40% of "t" is dead: 400 dead beside 600 live rows. It was last vacuumed never' in dead.sentence
    [changed] = found(looking, "analyze")
    assert "has 400 changed rows since it was analyzed on 2" in changed.sentence
    looking.execute("VACUUM ANALYZE t")
    flushed()
    assert found(looking, "dead_rows") == found(looking, "analyze") == []


def test_connections_are_counted_by_state(connect: Callable[..., Connection]) -> None:
    looking, others = connect(), [connect() for _ in range(3)]
    read = health.read(looking)
    pids = {one.pid for one in read.sessions}
    assert {one.info.backend_pid for one in (looking, *others)} <= pids
    assert sum(read.connections.values()) == len(read.sessions)
    room = len(read.sessions) + 1
    crowded = replace(read, counters=replace(read.counters, max_connections=room, reserved_connections=0))
    [finding] = [one for one in health.findings(crowded) if one.rule == "connections"]
    assert f"{len(read.sessions)} of {room} connections" in finding.sentence
    assert [one for one in health.findings(read) if one.rule == "connections"] == []


def test_transaction_ids_that_run_out(connect: Callable[..., Connection]) -> None:
    read = health.read(connect())
    age = read.counters.transaction_age
    assert age > 0
    told = [one for one in health.findings(read, replace(NOW, age=1, age_high=age)) if one.rule == "transaction_ids"]
    assert (told[0].subject, told[0].severity) == ("transaction ids", "high")
    assert f"{2_147_483_647 - age:,} are left" in told[0].sentence
    assert [one for one in health.findings(read) if one.rule == "transaction_ids"] == []


def test_the_cache_is_judged_when_it_is_warm(connect: Callable[..., Connection]) -> None:
    read = health.read(connect())
    cold = replace(read.counters, blocks_hit=900_000, blocks_read=200_000, counted_s=3_600)
    rules = lambda counters: {one.rule for one in health.findings(replace(read, counters=counters))}  # noqa: E731
    assert "cache_hit_rate" not in rules(cold)
    assert "cache_hit_rate" in rules(replace(cold, counted_s=100_000))
    assert "cache_hit_rate" not in rules(replace(cold, counted_s=100_000, blocks_hit=99_000_000))


def test_a_role_without_rights_is_told_the_grant(server: Any, shared_database: str) -> None:
    with server.superuser(shared_database) as superuser, superuser.transaction(force_rollback=True):
        superuser.execute("CREATE ROLE nobody_much")
        superuser.execute("SET LOCAL ROLE nobody_much")
        told = {one.rule: one for one in health.findings(health.read(superuser))}
    assert 'GRANT pg_read_all_stats TO "nobody_much"' in told["rights"].fix
    with psycopg.connect(server.url(shared_database, "usage_dashboard_reader")) as reader:
        assert {one.rule for one in health.findings(health.read(reader))} & {"rights", "server_statements"} == set()


def test_a_database_without_pg_stat_statements_is_told_what_to_run(server: Any, database_name: str) -> None:
    with server.superuser(database_name) as superuser:
        superuser.execute("DROP EXTENSION pg_stat_statements")
        told = {one.rule: one for one in health.findings(health.read(superuser))}
    assert "CREATE EXTENSION pg_stat_statements" in told["server_statements"].fix
