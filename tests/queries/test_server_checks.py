"""A role that can do more than read, and an address by which others may listen, are said."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from queries.server_checks import address_notices
from queries.settings import Settings
from tests.conftest import READER, Server
from tests.queries.asking import MakeServices


@pytest.fixture
def role_url(server: Server, database_name: str) -> Iterator[Callable[..., str]]:
    """An address of a new role that may connect, after these statements, in which {} is its name."""
    made: list[str] = []

    def url(*statements: str, attributes: str = "") -> str:
        name, password = f"role_{server.run}_{secrets.token_hex(3)}", secrets.token_urlsafe(8)
        role, database = sql.Identifier(name), sql.Identifier(database_name)
        with server.superuser(database_name) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN " + attributes + " PASSWORD {}").format(role, sql.Literal(password))
            )
            made.append(name)
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
            for one in statements:
                connection.execute(sql.SQL(one).format(role))
        return server.url(database_name, READER).replace(
            server.urls[READER].partition("//")[2].partition("@")[0], f"{name}:{password}"
        )

    yield url
    with server.superuser(database_name) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def told(make_services: MakeServices, url: str, **settings: Any) -> list[str]:
    services = make_services(database_url=url, **settings)
    services.database.tables()
    return [one for one in services.notices if "role of DATABASE_URL" in one]


WALLS = "GRANT usage_dashboard_reader TO {}"
THEIRS = "GRANT USAGE ON SCHEMA public TO {}"


def test_of_the_reader_that_migrate_sets_up_nothing_is_said(make_services: MakeServices, reader_url: str) -> None:
    assert told(make_services, reader_url) == []


@pytest.mark.parametrize(
    ("statements", "attributes", "can"),
    [
        ((), "SUPERUSER", "is a superuser, whom nothing in the database stops"),
        (("GRANT postgres TO {}",), "NOINHERIT", "may become a superuser"),
        ((WALLS,), "BYPASSRLS", "may go past row-level security (BYPASSRLS)"),
        (("GRANT app TO {}",), "", "owns 9 tables, such as public."),
        ((WALLS, THEIRS, 'GRANT INSERT ON "Image" TO {}'), "", 'may write public."Image"'),
        ((WALLS, THEIRS, 'GRANT UPDATE (name) ON "User" TO {}'), "", 'may write public."User"'),
        ((WALLS, THEIRS, 'GRANT TRUNCATE ON "Image" TO {}'), "", 'may write public."Image"'),
        ((WALLS, THEIRS, 'GRANT SELECT (prompt) ON "Generation" TO {}'), "", "past the wall between tenants"),
    ],
)
def test_a_role_that_can_do_more_is_said_with_the_way_out(
    make_services: MakeServices,
    role_url: Callable[..., str],
    statements: tuple[str, ...],
    attributes: str,
    can: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    notices = told(make_services, role_url(*statements, attributes=attributes))
    assert len(notices) == 1
    assert can in notices[0]
    assert "python -m dashboard grant-sql" in notices[0]
    assert caplog.text.count(can) == 1, "it is in the log, once"


def test_without_walls_reading_the_tables_is_meant_and_owning_them_is_not(
    make_services: MakeServices, app_url: str, role_url: Callable[..., str]
) -> None:
    reads = role_url(THEIRS, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}")
    assert told(make_services, reads, direct_url=None) == []
    assert "owns 9 tables" in told(make_services, app_url, direct_url=None)[0]


def test_a_table_with_a_hostile_name_is_named_as_sql_writes_it(
    make_services: MakeServices, app_url: str, role_url: Callable[..., str]
) -> None:
    with psycopg.connect(app_url) as connection:
        connection.execute('CREATE TABLE public."A""b\n<script>" (id int)')
    notice = told(make_services, role_url(WALLS, THEIRS, 'GRANT DELETE ON public."A""b\n<script>" TO {}'))[0]
    assert 'may write public."A""b <script>"' in notice


SAFE = ("require", "verify-ca", "verify-full")


def notices(url: str, direct: str | None = None, **environment: str) -> tuple[str, ...]:
    return address_notices(Settings(database_url=url, direct_url=direct), environment)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [None, "disable", "allow", "prefer", *SAFE])
def test_a_way_that_others_may_listen_to_is_said(mode: str | None) -> None:
    url = "postgresql://ada:word@db.example/app" + (f"?sslmode={mode}" if mode else "")
    said = notices(url, url)
    if mode in SAFE:
        assert said == ()
        return
    assert [one.partition(" ")[0] for one in said] == ["DATABASE_URL", "DIRECT_URL"]
    for one in said:
        assert f"sslmode={mode or 'prefer'}" in one
        assert "Add sslmode=require" in one
        assert "word" not in one
        assert "db.example" not in one


@pytest.mark.parametrize(
    "place",
    ["localhost", "127.0.0.1", "127.0.0.53", "[::1]", "/app?host=/run/postgresql", "/app?host=%2Fvar%2Frun"],
)
def test_this_machine_needs_no_tls(place: str) -> None:
    assert notices(f"postgresql://ada@{place}" + ("" if "?" in place else "/app")) == ()


@pytest.mark.parametrize(
    ("url", "environment", "is_said"),
    [
        ("postgresql://ada@/app", {}, False),
        ("postgresql://ada@/app", {"PGHOST": "db.example"}, True),
        ("postgresql://ada@db.example/app", {"PGSSLMODE": "verify-full"}, False),
        ("postgresql://ada@/app?host=127.0.0.1,db.example", {}, True),
        ("postgresql://ada@localhost/app?hostaddr=10.0.0.7", {}, True),
        ("postgresql://ada@/app?host=a.example&host=localhost", {}, True),
    ],
)
def test_hosts_and_modes_are_those_that_libpq_takes(url: str, environment: dict[str, str], is_said: bool) -> None:
    assert bool(notices(url, **environment)) == is_said


def test_prismas_word_for_a_verified_certificate_is_not_passed_over() -> None:
    said = notices("postgresql://ada@db.example/app?sslmode=require&sslaccept=strict")
    assert "certificate is not verified" in said[0]
    assert notices("postgresql://ada@db.example/app?sslmode=verify-full&sslaccept=strict") == ()
