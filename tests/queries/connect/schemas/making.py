"""How tables are made and filled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import NAMESPACE_URL, uuid5

import psycopg
from psycopg import sql

from tests.queries.connect.recount import Expected
from tests.queries.connect.world import World

Connection = psycopg.Connection[Any]
Make = Callable[[Connection, World], Expected]


@dataclass(frozen=True)
class Schema:
    """A schema's name, how it comes to be, and the answers that it needs beyond --yes. The figures of those that are
    `walled` are read through the walls, by the reader that may read nothing else."""

    name: str
    make: Make
    answers: Mapping[str, Any] = field(default_factory=dict)
    walled: bool = False


def may_create_schemas(superuser: Connection) -> None:
    """Lets the application's role make schemas in the database that the superuser is connected to."""
    database = sql.Identifier(superuser.info.dbname)
    superuser.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO app").format(database))


def run(connection: Connection, script: LiteralString) -> None:
    """Statements, one after the other."""
    connection.execute(script)


def fill(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows into a table, which may be written with its schema."""
    place = sql.Identifier(*table.split("."))
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(place, names)) as copy:
        for row in rows:
            copy.write_row(row)


def uid(kind: str, number: int | None) -> str | None:
    """The same uuid for the same thing each time."""
    return None if number is None else str(uuid5(NAMESPACE_URL, f"{kind}/{number}"))


def cuid(kind: str, number: int | None) -> str | None:
    """An id as Prisma's cuid looks like one."""
    return None if number is None else f"cl{kind[:3]}{number:020d}"


def naive(moment: datetime | None) -> datetime | None:
    """As Prisma writes times: UTC without saying so."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def sign_in_tables(connection: Connection) -> None:
    """What a sign-in library leaves in every such database."""
    run(
        connection,
        """CREATE TABLE "Account" (id text PRIMARY KEY, "userId" text NOT NULL, type text NOT NULL,
             provider text NOT NULL, "providerAccountId" text NOT NULL, access_token text, refresh_token text);
           CREATE TABLE "Session" (id text PRIMARY KEY, "sessionToken" text UNIQUE NOT NULL, "userId" text NOT NULL,
             expires timestamp(3) NOT NULL);
           CREATE TABLE "VerificationToken" (identifier text, token text UNIQUE, expires timestamp(3));
           CREATE TABLE "_prisma_migrations" (id text PRIMARY KEY, migration_name text, started_at timestamptz)""",
    )
