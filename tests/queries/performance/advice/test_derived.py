"""Index advice over derived tables: it is about the base tables, by their own columns, through walls and without."""

import secrets
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from benchmarks.truth.cluster import OWNER, READER, SecondServer
from queries import migrations
from queries.catalog import usage
from queries.exports.copy_sql import sent
from queries.mapping import Mapping, TableMapping, prisma_mapping
from queries.performance.advice import Advice, Statement, advise
from queries.performance.index_names import searches
from queries.performance.sql_text import numbered
from queries.period import Period
from queries.scope import Scope
from queries.tables import Tables, reflected_tables

pytestmark = [pytest.mark.xdist_group("second")]

GROUND = """
CREATE TABLE team (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO team SELECT i, 'T' || i FROM generate_series(1, 40) AS i;
CREATE TABLE project (id int PRIMARY KEY, team_id int NOT NULL REFERENCES team);
INSERT INTO project SELECT i, 1 + i % 40 FROM generate_series(1, 400) AS i;
CREATE INDEX ON project (team_id);
CREATE TABLE job (id int PRIMARY KEY, project_id int NOT NULL REFERENCES project, state int NOT NULL,
    seconds float8 NOT NULL, cost int NOT NULL, made_at timestamptz NOT NULL);
INSERT INTO job SELECT i, 1 + (i * 7919) % 400, i % 5, i % 90, i % 9, timestamptz '2026-01-01' + i * interval '1 minute'
    FROM generate_series(1, 120000) AS i;
VACUUM ANALYZE team, project, job;
"""
GENERATION = (
    "SELECT j.id, p.team_id AS tenant_id, j.made_at AS created_at, j.state AS status, j.cost AS credits_used,"
    " j.seconds * 1000 AS duration_ms FROM job AS j JOIN project AS p ON p.id = j.project_id"
)
NOW = datetime(2026, 3, 20, tzinfo=UTC)


def mapping() -> Mapping:
    base = prisma_mapping()
    tables = {one: TableMapping.of_nothing(one) for one in base.tables}
    tables["organization"] = TableMapping.of_select(
        "organization", "SELECT id AS tenant_id, name FROM team", ("tenant_id", "name")
    )
    given = ("id", "tenant_id", "created_at", "status", "credits_used", "duration_ms")
    tables["generation"] = TableMapping.of_select("generation", GENERATION, given)
    return Mapping(tables, base.values)


@pytest.fixture(scope="module")
def derived_tables(second_server: SecondServer) -> tuple[str, dict[str, Tables]]:
    """The address for who reads, and the tables without walls and through them."""
    name = f"derived_{secrets.token_hex(4)}"
    second_server.create_database(name)
    with psycopg.connect(second_server.url(name, OWNER), autocommit=True) as connection:
        for statement in GROUND.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    engine = sa.create_engine(sa.make_url(second_server.url(name, OWNER)).set(drivername="postgresql+psycopg"))
    migrations.upgrade(second_server.url(name, OWNER), mapping(), reader_role=READER)
    with engine.connect() as connection:
        found = {way: reflected_tables(connection, mapping(), walled=way == "walled") for way in ("open", "walled")}
    engine.dispose()
    return second_server.url(name, READER), found


def statement_of(tables: Tables, query: Any) -> tuple[str, Statement]:
    sql, values = sent(query.statement(tables))
    text, names = numbered(sql)
    parameters = {"median": tuple(values[one] for one in names)}
    return sql, Statement(query.name, text, parameters)  # type: ignore[arg-type]  # of one kind of tenant


@pytest.mark.parametrize("way", ["open", "walled"])
def test_the_tenant_behind_a_join_is_reached_by_an_index_on_the_foreign_key(
    derived_tables: tuple[str, dict[str, Tables]], way: str
) -> None:
    url, tables = derived_tables
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    sql, statement = statement_of(tables[way], usage.totals(Scope.of(["7"]), period=period))
    found = advised(url, statement)
    made = [one for one in found if one.verdict == "create_index"]
    assert [one.table for one in made] == ['"job"']
    assert '"project_id", "made_at"' in str(made[0].ddl) or '("made_at"' in str(made[0].ddl)
    # The page's links to our own statements know the index by their names, and the statement by ours.
    assert searches(sql, mapping(), "job", ("project_id", "made_at"))
    assert not searches(sql, mapping(), "invoice", ("id",))


def test_of_what_is_computed_it_says_that_no_index_applies(derived_tables: tuple[str, dict[str, Tables]]) -> None:
    url, _ = derived_tables
    (found,) = advised(url, Statement("like", "SELECT id FROM job WHERE (state::text || 'x') ~ '^9'"))
    assert found.verdict == "none"
    assert "is computed" in found.reason


def advised(url: str, statement: Statement) -> list[Advice]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', false)")
        return advise(connection, [statement])
