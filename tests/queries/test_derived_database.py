"""A database of one schema per tenant behind the real doors: walls, new tenants, what goes while the program runs."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from queries import migrations
from queries.balance_history import take_snapshot
from queries.catalog import usage
from queries.closing import Closer
from queries.database import Database
from queries.errors import MappingError
from queries.mapping import Mapping, load_mapping
from queries.migrations.walls import show_new_schemas
from queries.period import Period
from queries.refresh import refresh
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import OWNER, READER, Server
from tests.queries.asking import MakeServices

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
FILE = """
[tables.organization]
schemas = "tenant_*"
select = "SELECT {schema_text} AS tenant_id, min(made) AS created_at FROM {schema}.job"
[tables.generation]
schemas = "tenant_*"
select = '''
SELECT id, {schema_text} AS tenant_id, made AS created_at, cost AS credits_used, did AS status -- 100%
FROM {schema}.job WHERE name NOT LIKE 'test%' '''
note = "jobs named test are left out"
[values.generation_status]
succeeded = [true]
failed = [false]
"""
MISSING = ("user", "membership", "subscription", "credit_balance", "credit_transaction", "usage_limit", "image")


def add_tenant(url: str, name: str, jobs: int) -> None:
    schema = sql.Identifier(name)
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
        connection.execute(
            "CREATE TABLE job (id int, made timestamptz NOT NULL, cost numeric(8, 2), did boolean, name text)"
        )
        connection.execute(
            "INSERT INTO job SELECT n, %s - n * interval '1 hour', 1.5, n %% 2 = 0, 'a'"
            " FROM generate_series(1, %s) AS n",
            [NOW, jobs],
        )
        connection.execute("INSERT INTO job VALUES (0, %s, 9, true, 'test one')", [NOW])
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, sql.Identifier(OWNER)))
        connection.execute(sql.SQL("GRANT SELECT ON job TO {}").format(sql.Identifier(OWNER)))


@pytest.fixture
def tenant_schemas(empty_database_url: str, server: Server) -> str:
    """The database's name, with two tenants in it."""
    name = urlsplit(empty_database_url).path.lstrip("/")
    with server.superuser(name) as connection:
        connection.execute(f'GRANT CREATE ON DATABASE "{name}" TO app')
    for tenant, jobs in (("tenant_a", 4), ("tenant_b' %s", 6)):
        add_tenant(empty_database_url, tenant, jobs)
    return name


@pytest.fixture
def mapping_file(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(FILE + "".join(f"[tables.{one}]\nmissing = true\n" for one in MISSING), encoding="utf-8")
    return path


@pytest.fixture
def mapping(mapping_file: Path) -> Mapping:
    return load_mapping(mapping_file)


@pytest.fixture
def database(
    tenant_schemas: str, server: Server, mapping: Mapping, mapping_file: Path
) -> Iterator[Callable[[str], Database]]:
    """A Database as this role, with the walls up."""
    made: list[Database] = []
    migrations.upgrade(server.url(tenant_schemas, OWNER), mapping)

    def opened(role: str) -> Database:
        url, direct = server.url(tenant_schemas, role), server.url(tenant_schemas, OWNER)
        made.append(Database(Settings(database_url=url, direct_url=direct, mapping_file=mapping_file)))  # type: ignore[arg-type]
        return made[-1]

    yield opened
    for one in made:
        one.close()


def counts(database: Database, scope: Scope) -> dict[str, int]:
    """Generations by tenant, through whatever the database reads, without the first wall."""
    rows = database.tables().generation
    with database.reading(scope, 5) as connection:
        found = connection.execute(sa.select(rows.c.tenant_id, sa.func.count()).group_by(rows.c.tenant_id)).all()
    return {str(tenant): count for tenant, count in found}


def test_each_tenant_sees_its_schema_and_a_new_one_comes_with_migrate(
    database: Callable[[str], Database], tenant_schemas: str, server: Server, mapping: Mapping, empty_database_url: str
) -> None:
    reading = database(READER)
    everything = {"tenant_a": 4, "tenant_b' %s": 6}
    assert counts(reading, Scope.all_tenants()) == everything
    assert counts(reading, Scope.of(["tenant_b' %s"])) == {"tenant_b' %s": 6}
    assert reading.notices == []
    add_tenant(empty_database_url, "tenant_c", 3)
    reading.look_again()
    assert counts(reading, Scope.all_tenants()) == everything, "the known tenants stay readable"
    assert ["migrate" in one for one in reading.notices] == [True]
    migrations.upgrade(server.url(tenant_schemas, OWNER), mapping)
    reading.look_again()
    assert counts(reading, Scope.all_tenants()) == {**everything, "tenant_c": 3}
    assert reading.notices == []


def test_the_server_shows_a_new_schema_and_whoever_might_read_the_walls_still_may(
    database: Callable[[str], Database], tenant_schemas: str, server: Server, mapping: Mapping, empty_database_url: str
) -> None:
    reading = database(READER)
    owner: Any = reading.owner
    assert not show_new_schemas(owner, mapping, READER)
    with psycopg.connect(server.url(tenant_schemas, OWNER)) as connection:
        connection.execute("GRANT SELECT ON usage_dashboard.app_generation TO app")
    add_tenant(empty_database_url, "tenant_c", 3)
    assert show_new_schemas(owner, mapping, READER)
    assert counts(reading, Scope.all_tenants())["tenant_c"] == 3
    assert not show_new_schemas(owner, mapping, READER)
    with psycopg.connect(server.url(tenant_schemas, OWNER)) as connection:
        privilege = "SELECT has_table_privilege('app', 'usage_dashboard.app_generation', 'SELECT')"
        row = connection.execute(privilege).fetchone()
    assert row == (True,)
    # A mapping that the walls were not made for is a matter of migrate.
    migrations.remove_walls(server.url(tenant_schemas, OWNER), mapping)
    assert not show_new_schemas(owner, mapping, READER)


def test_without_walls_a_new_schema_is_read_by_itself(
    database: Callable[[str], Database], tenant_schemas: str, server: Server, mapping: Mapping, empty_database_url: str
) -> None:
    migrations.remove_walls(server.url(tenant_schemas, OWNER), mapping)
    reading = database("app")
    assert not reading.tables().walled
    assert set(counts(reading, Scope.all_tenants())) == {"tenant_a", "tenant_b' %s"}
    add_tenant(empty_database_url, "tenant_c", 3)
    reading.look_again()
    assert set(counts(reading, Scope.all_tenants())) == {"tenant_a", "tenant_b' %s", "tenant_c"}


def test_aggregates_are_read_through_the_walls(
    database: Callable[[str], Database], tenant_schemas: str, mapping: Mapping
) -> None:
    reading, scope = database(READER), Scope.of(["tenant_a", "tenant_b' %s"])
    assert reading.owner is not None
    refreshed = refresh(reading.owner, mapping, datetime.now(UTC))
    assert refreshed is not None
    assert refreshed.added_rows > 0
    reading.look_again()
    tables = reading.tables()
    assert tables.aggregates is not None
    period = Period.last_days(7, zone="UTC", now=NOW, grain="day")
    with reading.reading(scope, 5) as connection:
        row = connection.execute(usage.totals(scope, period=period).statement(tables)).mappings().one()
    assert (row["generations"], row["succeeded"], row["failed"]) == (10, 5, 5)
    assert row["net_burn_credits"] == 15


def test_a_derived_ledger_is_written_down_and_a_month_of_it_closed(
    database: Callable[[str], Database], mapping: Mapping
) -> None:
    reading = database(READER)
    owner: Any = reading.owner
    taken = take_snapshot(owner, mapping, zone="UTC")
    assert taken is not None
    assert taken.tenants == 2
    closed = Closer(owner, mapping, zone="UTC").close(date(2026, 6, 1), zone="UTC", by="me", now=datetime.now(UTC))
    assert {name: one.rows for name, one in closed.reports.items()}["credit-statement"] == 2
    assert dict(closed.reports["credit-statement"].sums)["burned"] == "15.00"


def test_a_column_that_goes_while_the_program_runs_is_named(
    database: Callable[[str], Database], tenant_schemas: str, server: Server, mapping: Mapping, empty_database_url: str
) -> None:
    migrations.remove_walls(server.url(tenant_schemas, OWNER), mapping)
    reading = database("app")
    assert counts(reading, Scope.all_tenants())
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("ALTER TABLE tenant_a.job DROP COLUMN cost")
    reading.forget_tables()
    with pytest.raises(MappingError, match=r"\[tables.generation\].*column .cost. does not exist"):
        reading.tables()


def test_the_pages_are_told_what_is_missing(
    make_services: MakeServices, tenant_schemas: str, server: Server, mapping_file: Path, mapping: Mapping
) -> None:
    migrations.upgrade(server.url(tenant_schemas, OWNER), mapping)
    held: Any = make_services(
        database_url=server.url(tenant_schemas, READER),
        direct_url=server.url(tenant_schemas, OWNER),
        mapping_file=mapping_file,
    )
    held.database.tables()
    said = " ".join(held.notices)
    assert "derived from generations" in said
    assert "Jobs named test are left out." in said
    assert "No table of users is mapped" in said
