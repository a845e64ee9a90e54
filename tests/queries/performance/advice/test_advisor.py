"""The advisor on a real server with HypoPG, as a role that may only read.

Whether its advice is right is the matter of `benchmarks.truth`; here is that it is the same whatever the order, that
its DDL applies as it stands, that nothing is left behind, and what it says to bad input.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.truth.cluster import OWNER, READER, SUPERUSER, SecondServer
from queries.performance.advice import Advice, Statement, TenantKind, advise, as_json

pytestmark = [pytest.mark.xdist_group("second")]

Connection = psycopg.Connection[Any]
GROUND = """
CREATE TYPE "State" AS ENUM ('OPEN', 'DONE', 'FAILED');
CREATE TABLE "Small" ("id" int PRIMARY KEY, "word" text);
INSERT INTO "Small" SELECT i, 'w' || i FROM generate_series(1, 500) AS i;
CREATE TABLE "Job ü" ("id" int PRIMARY KEY, "organizationId" text NOT NULL, "state" "State" NOT NULL,
    "size" int NOT NULL, "email" text NOT NULL, "at" timestamp(3) NOT NULL, "gone" timestamp(3));
INSERT INTO "Job ü" SELECT i, 'org_' || (i * 7919) % 101, (CASE WHEN i % 97 = 0 THEN 'FAILED' ELSE 'DONE' END)::"State",
    (i * 31) % 1000, 'U' || i || '@x.de', timestamp '2026-01-01' + i * interval '1 minute', NULL
    FROM generate_series(1, 40000) AS i;
CREATE INDEX "by_size" ON "Job ü" ("size", "at");
CREATE TABLE "Note" ("id" int PRIMARY KEY, "jobId" int NOT NULL, "body" text NOT NULL);
INSERT INTO "Note" SELECT i, (i * 13) % 40000, 'b' || i FROM generate_series(1, 60000) AS i;
VACUUM ANALYZE "Small", "Job ü", "Note";
"""
WORKLOAD = (
    Statement("newest", 'SELECT * FROM "Job ü" WHERE "organizationId" = $1 ORDER BY "at" DESC LIMIT 20'),
    Statement("of a day", """SELECT count(*) FROM "Job ü" WHERE "organizationId" = $1 AND "at" >= '2026-01-20'"""),
    Statement("by address", 'SELECT "id" FROM "Job ü" WHERE lower("email") = $1'),
    Statement("notes", 'SELECT n."id" FROM "Job ü" AS j JOIN "Note" AS n ON n."jobId" = j."id" WHERE j."id" = $1'),
    Statement("failed", """SELECT "id" FROM "Job ü" WHERE "state" = 'FAILED' ORDER BY "at" LIMIT 10"""),
    Statement("a day", """SELECT count(*) FROM "Job ü" WHERE date_trunc('day', "at") = '2026-01-20'"""),
    Statement("all", 'SELECT "state", sum("size") FROM "Job ü" GROUP BY 1'),
    Statement("few", """SELECT * FROM "Small" WHERE "word" = 'w7'"""),
    Statement("served", 'SELECT * FROM "Job ü" WHERE "size" = 7 ORDER BY "at" LIMIT 5'),
)
VALUES: dict[str, Any] = {"newest": "org_3", "of a day": "org_3", "by address": "u7@x.de", "notes": 7}


def workload() -> list[Statement]:
    return [
        Statement(one.name, one.sql, {"median": (VALUES[one.name],), "absent": (VALUES[one.name],)})
        if one.name in VALUES
        else one
        for one in WORKLOAD
    ]


@dataclass
class Ground:
    server: SecondServer
    name: str

    def connected(self, role: str) -> Connection:
        return psycopg.connect(self.server.url(self.name, role), autocommit=True)


@pytest.fixture(scope="module")
def ground(second_server: SecondServer) -> Ground:
    name = f"advice_{secrets.token_hex(4)}"
    second_server.create_database(name)
    with psycopg.connect(second_server.url(name, OWNER), autocommit=True) as connection:
        for statement in GROUND.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    return Ground(second_server, name)


@pytest.fixture
def reader(ground: Ground) -> Iterator[Connection]:
    with ground.connected(READER) as connection:
        yield connection


@pytest.fixture(scope="module")
def given_advice(ground: Ground) -> list[Advice]:
    with ground.connected(READER) as connection:
        return advise(connection, workload())


def of(advice: list[Advice], name: str) -> list[Advice]:
    return [one for one in advice if name in one.statements]


def test_every_statement_has_a_verdict_with_a_reason(given_advice: list[Advice]) -> None:
    verdicts = {name: {one.verdict for one in of(given_advice, name)} for name in (one.name for one in WORKLOAD)}
    assert verdicts == {
        "newest": {"create_index"},
        "of a day": {"create_index"},
        "by address": {"create_index"},
        "notes": {"create_index"},
        "failed": {"create_index"},
        "a day": {"rewrite"},
        "all": {"pre_aggregate"},
        "few": {"none"},
        "served": {"none"},
    }
    assert all(one.reason.endswith(".") for one in given_advice)
    assert {one.evidence for one in given_advice if one.ddl} == {"hypopg"}


def test_gains_are_before_less_after_and_nobody_gets_slower(given_advice: list[Advice]) -> None:
    for one in given_advice:
        for kind, gain in one.gain_ms.items():
            assert gain == pytest.approx(one.before_ms[kind] - one.after_ms[kind])
            assert gain > -0.05 * one.before_ms[kind]


def test_one_index_serves_the_statements_that_share_its_columns(given_advice: list[Advice]) -> None:
    (newest,) = of(given_advice, "newest")
    assert set(newest.statements) == {"newest", "of a day"}
    assert newest.prisma is not None
    assert newest.prisma.startswith("@@index([organizationId, at")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(WORKLOAD))))
def test_the_order_of_the_workload_changes_nothing(
    order: list[int], reader: Connection, given_advice: list[Advice]
) -> None:
    statements = workload()
    assert as_json(advise(reader, [statements[place] for place in order])) == as_json(given_advice)


def test_the_ddl_applies_as_it_stands_and_is_never_advised_again(ground: Ground, given_advice: list[Advice]) -> None:
    made = list(dict.fromkeys(one.ddl for one in given_advice if one.ddl))
    names = {one.index_name for one in given_advice if one.ddl}
    with ground.connected(OWNER) as owner, ground.connected(READER) as reader:
        try:
            for ddl in made:
                owner.execute(ddl)
            owner.execute("ANALYZE")
            present = {name for (name,) in owner.execute("SELECT indexname FROM pg_indexes")}
            assert names <= present
            assert [one.ddl for one in advise(reader, workload()) if one.verdict == "create_index"] == []
        finally:
            for name in names:
                owner.execute(f'DROP INDEX IF EXISTS "{name}"')


def test_nothing_is_left_in_the_session_or_the_database(ground: Ground, reader: Connection) -> None:
    def standing() -> list[Any]:
        questions = (
            "SELECT count(*) FROM hypopg()",
            "SELECT count(*) FROM pg_prepared_statements",
            "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY 1",
            "SELECT count(*) FROM pg_class",
            "SELECT coalesce(current_setting('usage_dashboard.tenants', true), '')",
        )
        return [reader.execute(one, prepare=False).fetchall() for one in questions]

    before = standing()
    for _ in range(6):  # the driver prepares what it sees five times
        advise(reader, workload()[:3])
    assert standing() == before
    assert reader.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_callers_transaction_goes_on_as_it_was(reader: Connection) -> None:
    with reader.transaction():
        reader.execute("SET LOCAL statement_timeout = '77s'")
        advise(reader, [*workload()[:1], Statement("wrong", "SELECT * FROM not_there")])
        assert reader.execute("SHOW statement_timeout").fetchone() == ("77s",)


@pytest.mark.parametrize(
    ("sql", "values", "told"),
    [
        ("SELECT * FROM not_there", (), "not there"),
        ('SELECT "nothing" FROM "Small"', (), "not there"),
        ('SELECT * FROM "Small" WHERE "id" = $1', (), "no values"),
        ('SELECT * FROM "Small" WHERE "id" = $2', (1,), "2 parameters, and 1"),
        ('SELECT * FROM "Small" WHERE "id" = $1', ("x",), "refuses"),
        ('SELECT * FROM "Small" WHERE "id" = $1', (object(),), "refuses|adapt"),
        ("SELECT 1", (), "reads no table"),
    ],
)
def test_bad_input_gets_a_reason(reader: Connection, sql: str, values: tuple[Any, ...], told: str) -> None:
    parameters: dict[TenantKind, tuple[Any, ...]] = {"median": values} if values else {}
    (one,) = advise(reader, [Statement("x", sql, parameters)])
    assert one.verdict == "none"
    assert re.search(told, one.reason)


PARAMETERS = (
    *(1, 2**40, 1.5, Decimal("1.5"), True, "x", b"x", None, [1, 2], ["a"], date(2026, 1, 1), time(1), timedelta(1)),
    *(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1), UUID(int=1), ip_address("::1")),  # noqa: DTZ001 - naive too
)


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_parameters_of_every_type_are_planned(reader: Connection, value: Any) -> None:
    types = None if value is not None else ("text",)
    (one,) = advise(reader, [Statement("x", 'SELECT "id", $1 FROM "Small"', {"median": (value,)}, types)])
    assert "10,000" in one.reason


def test_a_role_without_rights_is_told_the_grant(ground: Ground) -> None:
    with ground.connected(SUPERUSER) as superuser, ground.connected(READER) as reader:
        superuser.execute(f'REVOKE SELECT ON "Note" FROM {READER}')  # noqa: S608 - a role of ours
        try:
            (one,) = advise(reader, [Statement("x", 'SELECT * FROM "Note" WHERE "jobId" = 1')])
        finally:
            superuser.execute(f'GRANT SELECT ON "Note" TO {READER}')
    assert "grant SELECT" in one.reason


def test_sixty_joins_are_bounded_work(reader: Connection) -> None:
    joins = " ".join(f'JOIN "Job ü" AS j{place} ON j{place}."id" = n."jobId"' for place in range(60))
    statement = Statement("x", 'SELECT 1 FROM "Note" AS n ' + joins + ' WHERE n."jobId" = 7')  # noqa: S608 - no input
    (one, *_) = advise(reader, [statement])
    assert one.ddl == 'CREATE INDEX CONCURRENTLY "Note_jobId_idx" ON "public"."Note" ("jobId")'


def test_a_table_never_analyzed_is_to_be_analyzed_first(ground: Ground) -> None:
    with ground.connected(OWNER) as owner, ground.connected(READER) as reader:
        owner.execute('CREATE TABLE "New" AS SELECT i AS "id" FROM generate_series(1, 50000) AS i')
        try:
            found = advise(reader, [Statement("x", 'SELECT * FROM "New" WHERE "id" = 7')])
            (one,) = [one for one in found if one.verdict == "analyze"]
            assert one.ddl == 'ANALYZE "public"."New"'
            owner.execute(one.ddl)
            assert [one.verdict for one in advise(reader, [Statement("x", 'SELECT * FROM "New" WHERE "id" = 7')])] == [
                "create_index"
            ]
        finally:
            owner.execute('DROP TABLE "New"')


def test_four_hundred_tables_cost_nothing(ground: Ground) -> None:
    with ground.connected(OWNER) as owner, ground.connected(READER) as reader:
        owner.execute("CREATE SCHEMA many")
        for place in range(400):
            owner.execute(f"CREATE TABLE many.t{place} (id int PRIMARY KEY)")
        try:
            assert as_json(advise(reader, workload()[:1]))[0]["verdict"] == "create_index"
        finally:
            owner.execute("DROP SCHEMA many CASCADE")


def test_indexes_that_begin_alike_become_one(reader: Connection) -> None:
    wanted = ('sum("size")', 'max("at"), count(*)', 'count(DISTINCT "state")', 'sum("size"), min("at")')
    statements = [
        Statement(f"s{place}", f'SELECT {one} FROM "Job ü" WHERE "organizationId" = $1', {"median": ("org_3",)})  # noqa: S608
        for place, one in enumerate(wanted)
    ]
    (one,) = advise(reader, statements)
    assert one.verdict == "create_index"
    assert set(one.statements) == {statement.name for statement in statements}


def test_a_value_that_the_code_leaves_out_may_be_a_condition(ground: Ground, reader: Connection) -> None:
    statement = Statement("x", """SELECT "id", "email" FROM "Job ü" WHERE "state" <> 'DONE' ORDER BY "at" LIMIT 10""")
    (one,) = advise(reader, [statement])
    assert one.ddl is not None
    assert one.ddl.endswith("""("at") WHERE ("state" <> CAST('DONE' AS "State"))""")
    with ground.connected(OWNER) as owner:
        try:
            owner.execute(one.ddl.encode())
            assert [later.verdict for later in advise(reader, [statement])] == ["none"]
        finally:
            owner.execute(f'DROP INDEX IF EXISTS "{one.index_name}"')


def test_rows_changed_by_the_session_that_analyzed_are_not_out_of_date(ground: Ground) -> None:
    """Its count of them reaches the server's statistics after its ANALYZE."""
    with ground.connected(OWNER) as owner:
        owner.execute('CREATE TABLE "Loaded" AS SELECT i AS "id" FROM generate_series(1, 50000) AS i')
        owner.execute('ANALYZE "Loaded"')
    with ground.connected(OWNER) as owner, ground.connected(READER) as reader:
        try:
            found = advise(reader, [Statement("x", 'SELECT * FROM "Loaded" WHERE "id" = 7')])
            assert [one.verdict for one in found] == ["create_index"]
            owner.execute('INSERT INTO "Loaded" SELECT i FROM generate_series(1, 60000) AS i')
            owner.execute("SELECT pg_stat_force_next_flush()")
            found = advise(reader, [Statement("x", 'SELECT * FROM "Loaded" WHERE "id" = 7')])
            assert "analyze" in {one.verdict for one in found}
        finally:
            owner.execute('DROP TABLE "Loaded"')
