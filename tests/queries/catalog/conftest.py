"""One database with three shapes of the application's tables, empty; each test fills it inside a transaction."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from demo.schema import create_schema
from queries import migrations
from queries.database import driver_url
from queries.embedded import databases
from queries.tables import Tables, reflected_tables
from tests.conftest import APP, OWNER, SUPERUSER, Server
from tests.queries.catalog.world import SHAPES, Shape, World, create_tables, insert, mapping_of

# A world's rows in a transaction that is rolled back, on a connection whose own zone is a hostile one.
OpenWorld = Callable[..., AbstractContextManager[tuple[sa.Connection, Tables]]]


@pytest.fixture(scope="session")
def shaped_url(server: Server) -> Iterator[str]:
    name = f"shapes_{server.run}_{secrets.token_hex(4)}"
    with server.superuser() as connection:
        databases.create_database(connection, name)
    with server.superuser(name) as connection:
        databases.grant_privileges(connection, name)
        for shape in SHAPES:
            if shape != "prisma":
                connection.execute(
                    sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(*map(sql.Identifier, (shape, APP)))
                )
    url = server.url(name, APP)
    with psycopg.connect(url) as prisma:
        create_schema(prisma)
        _loosen(prisma)
    migrations.upgrade(server.url(name, OWNER))
    with server.superuser(name) as connection:
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA usage_dashboard TO {}").format(sql.Identifier(APP)))
        for readable in ("our_note", "our_balance_snapshot", "our_closed_statement", "our_correction", "closed_month"):
            names = sql.Identifier("usage_dashboard", readable), sql.Identifier(APP)
            connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(*names))
        # Tests of the history write it themselves, for the transaction's own eyes.
        for written in ("balance_snapshot", "closed_statement", "correction", "closed_month"):
            names = sql.Identifier("usage_dashboard", written), sql.Identifier(APP)
            connection.execute(sql.SQL("GRANT SELECT, INSERT ON {} TO {}").format(*names))
        # Tests of aggregates make them within a transaction, over rows that nobody else sees.
        connection.execute(sql.SQL("GRANT CREATE ON SCHEMA usage_dashboard TO {}").format(sql.Identifier(APP)))
        connection.execute(sql.SQL("GRANT ALL ON usage_dashboard.aggregate_state TO {}").format(sql.Identifier(APP)))
    try:
        yield url
    finally:
        with server.superuser() as connection:
            databases.drop_database(connection, name)


def _loosen(connection: psycopg.Connection[Any]) -> None:
    """Columns that the dashboard does not map need no value in these tests."""
    mapping = mapping_of("prisma")
    for one in mapping.tables.values():
        found = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull",
            [f'"{one.name}"'],
        ).fetchall()
        for (column,) in found:
            if column == "id" and "id" not in one.columns.values():
                change = "SET DEFAULT gen_random_uuid()::text"
            elif column not in one.columns.values():
                change = "DROP NOT NULL"
            else:
                continue
            connection.execute(f'ALTER TABLE "{one.name}" ALTER COLUMN "{column}" {change}')


@pytest.fixture(scope="session")
def engine(shaped_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(driver_url(shaped_url), connect_args={"prepare_threshold": None})
    try:
        with engine.begin() as connection:
            for shape in SHAPES:
                if shape != "prisma":
                    create_tables(connection, shape)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def shaped_tables(engine: sa.Engine) -> dict[Shape, Tables]:
    with engine.connect() as connection:
        return {shape: reflected_tables(connection, mapping_of(shape), walled=False) for shape in SHAPES}


@pytest.fixture(scope="session")
def open_world(engine: sa.Engine, shaped_tables: dict[Shape, Tables]) -> OpenWorld:
    @contextmanager
    def opened(shape: Shape, world: World, connection_zone: str = "UTC") -> Iterator[tuple[sa.Connection, Tables]]:
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.set_config("TimeZone", connection_zone, True)))
            insert(connection, shaped_tables[shape], world)
            yield connection, shaped_tables[shape]
            connection.rollback()

    return opened


@pytest.fixture(scope="session")
def superuser_engine(server: Server, shaped_url: str, engine: sa.Engine) -> Iterator[sa.Engine]:
    """A superuser's connections to the database of the shapes: it lays rows out anew, and makes walls and roles."""
    name = sa.make_url(shaped_url).database
    assert name is not None
    made = sa.create_engine(driver_url(server.url(name, SUPERUSER)), connect_args={"prepare_threshold": None})
    yield made
    made.dispose()
