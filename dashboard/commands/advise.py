"""`python -m dashboard advise`: the index advice, for a terminal or a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
import typer
from pydantic import SecretStr
from rich.console import Console

from dashboard.commands import advice_report, demo
from dashboard.commands.workload_file import statements_in, with_values
from queries import migrations
from queries.database import Database, driver_url
from queries.embedded.attach import AttachedServer, started_or_attached
from queries.errors import ArgumentError, DatabaseUnavailableError, UsageDashboardError, translated
from queries.performance.advice import SEVERITIES, Advice, Statement, advise, as_json
from queries.performance.advising import lend_walls, split_by_cost
from queries.performance.index_health import findings
from queries.performance.kept_workload import kept_statements
from queries.settings import Settings, load_settings

BAD_INPUT = 2
_CONNECT_S = 10
# As little as possible stands in the way of what runs there, and nothing is waited for.
_OPTIONS = "-c TimeZone=UTC -c statement_timeout=20000 -c lock_timeout=2000 -c usage_dashboard.tenants=all"
_READ_ONLY = "-c default_transaction_read_only=on"

Connection = psycopg.Connection[Any]
FailOn = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Opened:
    """Where advice is asked for: a connection that only reads, one of the tables' owner where building is harmless, and
    the database with its log, unless an address was given."""

    reading: Connection
    building: Connection | None = None
    database: Database | None = None


def advise_command(
    workload: Annotated[
        Path | None, typer.Option(help="File of SQL statements. Without it: the workload that was logged.")
    ] = None,
    values: Annotated[Path | None, typer.Option(help="TOML or JSON file with the values of $1, $2, ...")] = None,
    url: Annotated[
        str | None,
        typer.Option(help="PostgreSQL 14 to 18; a role that may SELECT is enough. Default: ours."),
    ] = None,
    as_document: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 1 when something of this severity, or above, is to be done.")
    ] = None,
    health: Annotated[bool, typer.Option("--health", help="With --workload: judge the existing indexes too.")] = False,
    hours: Annotated[int, typer.Option(min=1, max=24 * 365, help="Without --workload: how far back to look.")] = 168,
) -> None:
    """Say which index or which change would make statements faster, what it costs, and where none helps.

    Exit codes: 0, 1 (see --fail-on), 2 (a file, a value or the database cannot be read)."""
    with said_in_words():
        if values is not None and workload is None:
            raise ArgumentError("--values belongs to a --workload; name the file of statements too")
        if workload is None and url is not None:
            raise ArgumentError("the log of another address is not read; name a file of statements by --workload")
        statements = statements_in(workload) if workload is not None else []
        statements = with_values(statements, values) if values is not None else statements
        with opened(url) as there:
            if workload is None:
                found = _of_log(there, hours)
            else:
                found = advise(there.reading, statements, build_on=there.building)
            if workload is None or health:
                found = [*found, *index_advice(there.reading)]
    _print(found, as_document=as_document)
    if fail_on is not None and any(_counts(one, fail_on) for one in found):
        raise typer.Exit(1)


@contextmanager
def said_in_words() -> Iterator[None]:
    """An error of ours or the database's as one sentence, and exit code 2."""
    try:
        yield
    except (UsageDashboardError, psycopg.Error) as failure:
        sentence = advice_report.printable(translated(failure).message)
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {sentence}", markup=False)
        raise typer.Exit(BAD_INPUT) from None


@contextmanager
def opened(url: str | None) -> Iterator[Opened]:
    """The given address, else DIRECT_URL or DATABASE_URL, else the embedded demo, where candidates may be built."""
    if url is not None:
        with _connected(url, _READ_ONLY) as reading:
            yield Opened(reading)
        return
    settings = load_settings()
    if settings.database_url is not None:
        with _own(settings) as (reading, database):
            yield Opened(reading, database=database)
        return
    server = started_or_attached(settings.data)
    try:
        if not isinstance(server, AttachedServer):
            demo.prepare(server)
        owner, reader = (server.url(demo.DEMO, role) for role in ("usage_dashboard_owner", "usage_dashboard_reader"))
        migrations.upgrade(owner)
        addresses = {"database_url": SecretStr(reader), "direct_url": SecretStr(owner), "auth": "none"}
        with (
            _own(settings.model_copy(update=addresses)) as (reading, database),
            _connected(server.url(demo.DEMO, "app"), "") as building,
        ):
            yield Opened(reading, building, database)
    finally:
        server.stop()


@contextmanager
def _own(settings: Settings) -> Iterator[tuple[Connection, Database]]:
    address = settings.direct_url or settings.database_url
    assert address is not None, "asked before"
    database = Database(settings)
    try:
        with _connected(address.get_secret_value(), _READ_ONLY) as reading:
            yield reading, database
    finally:
        database.close()


@contextmanager
def _connected(url: str, options: str) -> Iterator[Connection]:
    """A connection with settings of its own session; an error never holds the address."""
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection: Connection = psycopg.connect(
            address,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=_CONNECT_S,
            options=f"{_OPTIONS} {options}",
            application_name="usage-dashboard advise",
        )
    except psycopg.OperationalError as error:
        state = error.sqlstate or "no answer"
        raise DatabaseUnavailableError(
            f"the database at {driver_url(url).host or 'this address'} cannot be signed in to ({state});"
            " check the address, the role and its password"
        ) from None
    with connection:
        yield connection


def _of_log(there: Opened, hours: int) -> list[Advice]:
    """Advice for what was logged; where indexes may be built, they are for the statements that cost the most."""
    statements = _logged(there.database, hours)
    if there.building is None or there.database is None:
        return advise(there.reading, statements) if statements else []
    lend_walls(there.database, there.building.info.user)
    costly, others = split_by_cost(statements)
    found = advise(there.reading, others) if others else []
    return [*found, *(advise(there.reading, costly, build_on=there.building) if costly else [])]


def _logged(database: Database | None, hours: int) -> list[Statement]:
    assert database is not None, "there is no other address"
    if database.owner is None:
        _say("No DIRECT_URL, so no query log is kept; name a file of statements by --workload.")
        return []
    kept = kept_statements(database, hours)
    if kept.unknown:
        _say(f"Not kept whole, and so not looked at: {', '.join(kept.unknown)}.")
    if not kept.statements:
        _say(
            f"Nothing that can be sent again was logged in the last {hours} hours; open some pages, or use --workload."
        )
    return kept.statements


def index_advice(connection: Connection) -> list[Advice]:
    """What the existing indexes themselves ask for, as advice: drops, and foreign keys without an index."""
    found = []
    for one in findings(connection):
        if one.ddl is None or one.severity == "note":
            continue
        drops = one.ddl.startswith("DROP ")
        advice = Advice(
            statements=(f"{'index' if drops else 'foreign key'} {one.subject}",),
            verdict="drop_index" if drops else "create_index",
            severity=one.severity,
            reason=f"{one.sentence} {one.fix}",
            table=one.table,
            ddl=one.ddl,
            prisma=one.prisma,
            size_bytes=one.size_bytes,
        )
        found.append(advice)
    return found


def _counts(one: Advice, fail_on: FailOn) -> bool:
    return one.verdict != "none" and SEVERITIES.index(one.severity) <= SEVERITIES.index(fail_on)


def _print(found: Sequence[Advice], *, as_document: bool) -> None:
    if as_document:
        typer.echo(json.dumps(as_json(found), indent=2, ensure_ascii=True))
    else:
        advice_report.show(found)


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(advice_report.printable(sentence), markup=False)
