"""The SQL for roles that can do what the dashboard needs and nothing else: run on a real server, and tried."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from demo.schema import create_schema
from queries import migrations
from queries.database import Database
from queries.embedded import databases
from queries.errors import ArgumentError
from queries.grants import Wish, grants
from queries.mapping import Mapping, load_mapping, prisma_mapping
from queries.readable import Columns, named_columns, read_columns
from queries.refresh import refresh
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import APP, Server

HOSTILE = """rea"der's $grants$ %I"""


@dataclass
class Place:
    """A database with the application's tables in it, which none of our roles may read, and names for roles."""

    server: Server
    name: str
    roles: list[str]

    def role(self, name: str = "") -> str:
        made = f"{name or 'r'}_{secrets.token_hex(3)}"
        self.roles.append(made)
        return made

    def run(self, text: str) -> None:
        """As psql -f would, as the superuser."""
        with self.server.superuser(self.name) as connection:
            connection.execute(text.encode())

    def url(self, role: str) -> str:
        """An address of the role, which is given a password, as the SQL says that somebody must."""
        password = secrets.token_urlsafe(8)
        with self.server.superuser(self.name) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)))
        parts = urlsplit(self.server.url(self.name, APP))
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{quote(role, safe='')}:{password}@{host}").geturl()

    def rights(self, role: str) -> dict[tuple[str, str], set[str]]:
        """Every right of the role on a table, view, schema or database, by what it is on; columns by their names."""
        with self.server.superuser(self.name) as connection:
            found = connection.execute(
                """
                SELECT n.nspname, c.relname, x.privilege_type FROM pg_class c
                  JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
                  WHERE x.grantee = to_regrole(%(role)s)
                UNION SELECT n.nspname, c.relname, x.privilege_type || ' ' || a.attname FROM pg_attribute a
                  JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
                  aclexplode(a.attacl) x WHERE x.grantee = to_regrole(%(role)s)
                UNION SELECT n.nspname, '', x.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) x
                  WHERE x.grantee = to_regrole(%(role)s)
                UNION SELECT '', '', x.privilege_type FROM pg_database d, aclexplode(d.datacl) x
                  WHERE d.datname = current_database() AND x.grantee = to_regrole(%(role)s)
                UNION SELECT '', 'member of ' || rolname, 'MEMBER' FROM pg_roles o
                  WHERE o.oid <> to_regrole(%(role)s) AND pg_has_role(to_regrole(%(role)s), o.oid, 'MEMBER')
                """,
                {"role": '"' + role.replace('"', '""') + '"'},
            ).fetchall()
        rights: dict[tuple[str, str], set[str]] = {}
        for schema, table, right in found:
            rights.setdefault((schema, table), set()).add(right)
        return rights


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    made = Place(server, f"grants_{server.run}_{secrets.token_hex(4)}", [])
    with server.superuser() as connection:
        databases.create_database(connection, made.name)
    with server.superuser(made.name) as connection:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(made.name)))
        connection.execute(sql.SQL("GRANT CONNECT, CREATE ON DATABASE {} TO app").format(sql.Identifier(made.name)))
        connection.execute("ALTER SCHEMA public OWNER TO app; REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with psycopg.connect(server.url(made.name, APP)) as connection:
        create_schema(connection)
        connection.execute('CREATE TABLE "Secret" (word text)')
    yield made
    with server.superuser(made.name) as connection:
        for role in made.roles:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None:
                connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    with server.superuser() as connection:
        databases.drop_database(connection, made.name)


def prisma() -> tuple[Mapping, Columns]:
    mapping = prisma_mapping()
    return mapping, named_columns(mapping)


@pytest.mark.parametrize("name", ["reader", HOSTILE])
def test_without_walls_the_reader_has_the_mapped_columns_and_nothing_else(place: Place, name: str) -> None:
    mapping, columns = prisma()
    role = place.role(name)
    text = grants(Wish(reader=role, owner=None), mapping, columns)
    place.run(text)
    rights = place.rights(role)
    assert rights.pop(("", "")) == {"CONNECT"}
    assert rights.pop(("public", "")) == {"USAGE"}
    assert rights == {
        ("public", one.name): {f"SELECT {column}" for column in one.columns.values()} for one in mapping.tables.values()
    }
    place.run(text)
    assert len(place.rights(role)) == len(rights) + 2, "twice changes nothing"


def test_the_dashboard_reads_as_that_role_and_can_write_nothing(place: Place) -> None:
    role = place.role()
    place.run(grants(Wish(reader=role, owner=None), *prisma()))
    url = place.url(role)
    database = Database(Settings(database_url=url))  # type: ignore[arg-type]
    try:
        database.tables()
        assert [one for one in database.notices if "role of DATABASE_URL" in one] == []
    finally:
        database.close()
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute('SELECT count("createdAt") FROM "Generation"').fetchone() == (0,)
        for denied in ('SELECT description FROM "CreditTransaction"', 'SELECT * FROM "Secret"'):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(denied)
        connection.execute("SET default_transaction_read_only = off")
        for write in ('DELETE FROM "Image"', 'UPDATE "User" SET name = name', "CREATE TABLE public.mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(write)  # type: ignore[arg-type]  # one of the three above


def test_with_walls_the_reader_has_our_views_alone_and_the_owner_what_they_read(place: Place) -> None:
    mapping, columns = prisma()
    reader, owner = place.role(), place.role("owner")
    text = grants(Wish(reader=reader, owner=owner), mapping, columns)
    place.run(grants(Wish(reader=reader, owner=None), mapping, columns))
    assert ("public", "Generation") in place.rights(reader), "as it was before there was a DIRECT_URL"
    place.run(text)
    migrations.upgrade(place.url(owner), reader_role=reader)
    by_migrate = place.rights(reader)
    place.run(text)
    rights = place.rights(reader)
    assert rights == by_migrate, "what migrate gives and what this gives is the same"
    assert rights.pop(("", "")) == {"CONNECT"}
    assert {schema for schema, _ in rights} == {"usage_dashboard"}
    assert rights.pop(("usage_dashboard", "")) == {"USAGE"}
    assert set().union(*rights.values()) == {"SELECT"}
    assert {"app_generation", "our_note", "query_log", "audit"} <= {table for _, table in rights}
    assert not {"note", "digest_state", "closed_part"} & {table for _, table in rights}
    of_owner = {key: value for key, value in place.rights(owner).items() if key[0] == "public" and key[1]}
    assert of_owner == {
        ("public", one.name): {f"SELECT {c}" for c in one.columns.values()} for one in mapping.tables.values()
    }
    database = Database(Settings(database_url=place.url(reader), direct_url=place.url(owner)))  # type: ignore[arg-type]
    try:
        assert database.tables().walled
        assert database.notices == []
        assert database.owner is not None
        refresh(database.owner, mapping, datetime.now(UTC))
        database.look_again()
        assert database.tables().aggregates is not None, "the sums are this reader's too"
    finally:
        database.close()


def test_a_reader_of_another_name_keeps_its_rights_when_walls_are_made_anew(place: Place, tmp_path: Path) -> None:
    reader, owner = place.role(), place.role("owner")
    place.run(grants(Wish(reader=reader, owner=owner), *prisma()))
    migrations.upgrade(place.url(owner), reader_role=reader)
    before = place.rights(reader)
    path = tmp_path / "mapping.toml"
    path.write_text('[tables.image]\ncolumns = { size_bytes = "width" }\n', encoding="utf-8")
    place.run(f'GRANT SELECT (width) ON public."Image" TO {owner}')
    migrations.upgrade(place.url(owner), load_mapping(path))
    assert place.rights(reader) == before


def test_statistics_are_said_why_and_given_when_asked_for(place: Place) -> None:
    role = place.role()
    text = grants(Wish(reader=role, owner=None), *prisma())
    assert f'-- GRANT pg_read_all_stats TO "{role}"' in text
    place.run(text)
    assert ("", "member of pg_read_all_stats") not in place.rights(role)
    place.run(grants(Wish(reader=role, owner=None, statistics=True), *prisma()))
    assert place.rights(role)["", "member of pg_read_all_stats"] == {"MEMBER"}


@pytest.mark.parametrize("name", ["", "x" * 64, "two\nlines", "back\\slash", "nul\x00"])
def test_a_name_that_no_role_can_have_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="a role's name here is"):
        grants(Wish(reader=name, owner=None), *prisma())


def test_reader_and_owner_are_two() -> None:
    with pytest.raises(ArgumentError, match="name another one by --role"):
        grants(Wish(reader="one", owner="one"), *prisma())


SELECTS: dict[str, tuple[str, dict[str, set[str]]]] = {
    "joined": (
        'SELECT g.id AS id, u."organizationId" AS tenant_id, g."createdAt" AS created_at FROM public."Generation" AS g'
        ' JOIN public."User" AS u ON u.id = g."userId" WHERE g."durationMs" > 0',
        {
            "Generation": {"id", "createdAt", "userId", "durationMs"},
            "User": {"id", "organizationId"},
        },
    ),
    "with": (
        'WITH "User" AS (SELECT id, "organizationId" FROM public."Generation") SELECT id AS id, "organizationId" AS'
        ' tenant_id, now() AS created_at FROM "User"',
        {"Generation": {"id", "organizationId"}},
    ),
    "all": (
        'SELECT id AS id, "organizationId" AS tenant_id, "createdAt" AS created_at FROM'
        ' (SELECT * FROM public."Membership") AS m',
        {"Membership": {"id", "userId", "organizationId", "role", "createdAt"}},
    ),
    "using": (
        'SELECT id AS id, "organizationId" AS tenant_id, "User"."createdAt" AS created_at FROM public."User"'
        ' JOIN public."Membership" USING (id, "organizationId")',
        {"User": {"id", "organizationId", "createdAt"}, "Membership": {"id", "organizationId"}},
    ),
    # The same alias is another table in each part, and a name within is looked for there first.
    "united": (
        'SELECT t.id AS id, t."organizationId" AS tenant_id, t."createdAt" AS created_at FROM public."Generation" AS t'
        ' WHERE t."completedAt" IS NULL UNION ALL SELECT t."generationId", t."organizationId", (SELECT max("createdAt")'
        ' FROM public."Membership" AS m WHERE m."organizationId" = t."organizationId") FROM public."Image" AS t',
        {
            "Generation": {"id", "organizationId", "createdAt", "completedAt"},
            "Image": {"generationId", "organizationId"},
            "Membership": {"organizationId", "createdAt"},
        },
    ),
    "outer": (
        'SELECT id AS id, "organizationId" AS tenant_id, now() AS created_at FROM public."Generation" WHERE EXISTS'
        ' (SELECT FROM public."Membership" WHERE role IS NULL AND prompt IS NOT NULL)',
        {"Generation": {"id", "organizationId", "prompt"}, "Membership": {"role"}},
    ),
    "counted": (
        'SELECT g.id AS id, g."organizationId" AS tenant_id, now() AS created_at FROM public."Generation" AS g'
        ' WHERE EXISTS (SELECT FROM public."Membership")',
        {"Generation": {"id", "organizationId"}, "Membership": {"id"}},
    ),
    "renamed": (
        'SELECT a AS id, b AS tenant_id, now() AS created_at FROM public."Membership" AS m (a, c, b)',
        {"Membership": {"id", "userId", "organizationId", "role", "createdAt"}},
    ),
    "joined by a name": (
        'SELECT j.name AS id, j."organizationId" AS tenant_id, now() AS created_at FROM (public."User" AS u JOIN'
        " (SELECT 1 AS one) AS s ON true) AS j",
        {"User": {"name", "organizationId"}},
    ),
    "sampled": (
        'SELECT s.id AS id, s."organizationId" AS tenant_id, now() AS created_at'
        ' FROM public."Membership" AS s TABLESAMPLE SYSTEM (50)',
        {"Membership": {"id", "organizationId"}},
    ),
    "whole": (
        "SELECT to_json(m) ->> 'id' AS id, m.\"organizationId\" AS tenant_id, now() AS created_at"
        ' FROM public."Membership" AS m',
        {"Membership": {"id", "userId", "organizationId", "role", "createdAt"}},
    ),
    "natural": (
        'SELECT i.id AS id, i."organizationId" AS tenant_id, now() AS created_at FROM public."Organization" AS o'
        ' NATURAL JOIN public."Membership" AS i',
        {
            "Organization": {"id", "name", "slug", "createdAt", "updatedAt"},
            "Membership": {"id", "userId", "organizationId", "role", "createdAt"},
        },
    ),
}


@pytest.mark.parametrize("kind", SELECTS)
def test_of_a_select_the_columns_that_it_may_read_are_found_and_are_enough(
    place: Place, tmp_path: Path, kind: str
) -> None:
    select, expected = SELECTS[kind]
    nothing = "".join(
        f"[tables.{one}]\nmissing = true\n"
        for one in prisma_mapping().tables
        if one not in ("generation", "organization")
    )
    path = tmp_path / "mapping.toml"
    path.write_text(f"{nothing}[tables.generation]\nselect = '''{select}'''\n", encoding="utf-8")
    mapping = load_mapping(path)
    own = Database(Settings(database_url=place.server.url(place.name, APP)), mapping)  # type: ignore[arg-type]
    with own.reading(Scope.of(()), 5) as connection:
        columns = read_columns(connection, mapping)
    own.close()
    organization = prisma_mapping().tables["organization"]
    assert {table: set(names) for (_, table), names in columns.items()} == {
        "Organization": set(organization.columns.values()),
        **expected,
    }
    role = place.role()
    place.run(grants(Wish(reader=role, owner=None), mapping, columns))
    reader = Database(Settings(database_url=place.url(role)), mapping)  # type: ignore[arg-type]
    try:
        with reader.reading(Scope.all_tenants(), 5) as connection:
            counted: Any = connection.scalar(sa.select(sa.func.count()).select_from(reader.tables().generation))
        assert counted == 0
    finally:
        reader.close()


def test_in_another_database_it_says_so_and_makes_nothing(place: Place) -> None:
    role = place.role()
    text = grants(Wish(reader=role, owner=None), *prisma())
    with place.server.superuser() as connection:
        with pytest.raises(psycopg.errors.RaiseException, match=r"the database \w+ has no table \S+") as refused:
            connection.execute(text.encode())
        connection.rollback()
        assert "in the application's database" in (refused.value.diag.message_hint or "")
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None


def test_all_of_it_counts_or_none(place: Place) -> None:
    role = place.role()
    with place.server.superuser(place.name) as connection:
        connection.execute('ALTER TABLE "Image" RENAME url TO address')
    with pytest.raises(psycopg.errors.UndefinedColumn):
        place.run(grants(Wish(reader=role, owner=None), *prisma()))
    with place.server.superuser(place.name) as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None
