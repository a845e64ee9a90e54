"""Addresses, identities and walls before keys that are not text."""

from collections.abc import Callable
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from queries import migrations
from queries.column_types import TIMES
from queries.database import Database, driver_url, tenants_setting
from queries.errors import DatabaseError, DatabaseUnavailableError, translated
from queries.mapping import prisma_mapping
from queries.scope import Scope
from queries.settings import Settings


def identity(url: str) -> str:
    database = Database(Settings(database_url=url))  # type: ignore[arg-type]
    database.close()
    return database.identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://u@/db?host=/run/a", "postgresql://u@/db?host=/run/b"),
        ("postgresql://u@h/db?options=endpoint%3Da", "postgresql://u@h/db?options=endpoint%3Db"),
        ("postgresql://u@h/db", "postgresql://u@h/other"),
        ("postgresql://u@h/db", "postgresql://v@h/db"),
        ("postgresql://u@h:1/db", "postgresql://u@h:2/db"),
    ],
)
def test_two_databases_have_two_identities(one: str, other: str) -> None:
    assert identity(one) != identity(other)


def test_a_new_password_is_no_new_database() -> None:
    assert identity("postgresql://u:a@h/db?sslpassword=a") == identity("postgresql://u:b@h/db?sslpassword=b")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret/db",
        "postgresql://user@host:secret/db",
        "postgresql://user:top@secret@host/db",
        "postgresql://user:top@secret/word@host/db",
        "postgresql://user:top@secret:5432@host/db",
        "postgresql://user:top@secret?word@host/db",
        "postgresql://user:top@secret#word@host/db",
        "postgresql://user@server:secret@host/db",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseUnavailableError) as refused:
        driver_url(url)
    assert "secret" not in refused.value.message
    assert "top" not in refused.value.message
    assert "special characters of the password percent-encoded (@ as %40" in refused.value.message
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://user:a%40b@host/db", "a@b"),
        ("postgresql://user:a/b?c#d:e@host/db", "a/b?c#d:e"),
        ("postgresql://user@host/db?application_name=a@b", None),
    ],
)
def test_what_is_no_second_at_sign_is_read(url: str, password: str | None) -> None:
    read = driver_url(url)
    assert (read.username, read.password, read.host, read.database) == ("user", password, "host", "db")


def test_what_prisma_adds_to_an_address_is_left_out(reader_url: str) -> None:
    database = Database(
        Settings(database_url=f"{reader_url}?pgbouncer=true&statement_cache_size=0&sslaccept=strict&schema=public")  # type: ignore[arg-type]
    )
    database.ping()
    database.close()


def test_an_error_does_not_quote_the_value_that_it_is_about(app_url: str) -> None:
    with psycopg.connect(app_url) as connection, pytest.raises(psycopg.errors.InvalidTextRepresentation) as raised:
        connection.execute('SELECT id::integer FROM "Organization" ORDER BY id LIMIT 1')
    assert '"' in str(raised.value)
    error = translated(raised.value)
    assert isinstance(error, DatabaseError)
    assert error.message.endswith("(SQLSTATE 22P02): InvalidTextRepresentation")


@pytest.mark.parametrize(
    ("type_", "kept"),
    [(sa.Integer(), '{"1","2"}'), (sa.Text(), '{"007","1","2","99999999999","abc"}')],
)
def test_the_walls_are_given_only_ids_of_their_type(type_: sa.types.TypeEngine[Any], kept: str) -> None:
    assert tenants_setting(Scope.of(["1", "abc", "2", "99999999999", "007"]), [type_]) == kept


def test_an_id_of_no_integer_is_nobodys_behind_walls_of_integers(
    empty_database_url: str, url_of: Callable[[str, str], str]
) -> None:
    name = urlsplit(empty_database_url).path.lstrip("/")
    types: dict[str, LiteralString] = {"tenant_id": "integer", "date": "date", **dict.fromkeys(TIMES, "timestamp")}
    with psycopg.connect(empty_database_url) as connection:
        for one in prisma_mapping().tables.values():
            columns = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(physical), sql.SQL(types.get(key, "text")))
                for key, physical in one.columns.items()
            )
            connection.execute(sql.SQL("CREATE TABLE public.{} ({})").format(sql.Identifier(one.name), columns))
        connection.execute('INSERT INTO "Organization" (id) VALUES (1), (2)')
    migrations.upgrade(url_of(name, "usage_dashboard_owner"))
    database = Database(Settings(database_url=url_of(name, "usage_dashboard_reader")))  # type: ignore[arg-type]
    tenants = database.tables().organization
    assert database.tables().walled
    for ids, seen in ((["abc"], 0), (["abc", "1"], 1), (["99999999999", "1", "2"], 2)):
        with database.reading(Scope.of(ids), 5) as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(tenants)) == seen
    database.close()


@pytest.fixture
def url_of(server: Any) -> Callable[[str, str], str]:
    return server.url  # type: ignore[no-any-return]
