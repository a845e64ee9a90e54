"""The one door to PostgreSQL: engines, roles, the reading transaction, and what the live catalog says.

Two addresses, as on Neon. `DATABASE_URL` may go through a pooler in transaction mode: everything that a reading needs
is set inside its transaction, and no prepared statement is left behind. `DIRECT_URL` is for our own schema.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from queries.aggregates import aggregates_of
from queries.errors import (
    DatabaseUnavailableError,
    DatabaseWakingError,
    MappingError,
    UsageDashboardError,
    translated,
)
from queries.mapping import Mapping, load_mapping
from queries.relations import schemas_digest, unlike
from queries.scope import Scope, is_storable, native_id
from queries.server_checks import address_notices, role_notices
from queries.settings import Settings
from queries.tables import OUR_SCHEMA, Aggregates, Tables, history_of, reflected_tables, wall_name
from queries.waking import Waking

log = logging.getLogger(__name__)

TENANTS_SETTING = "usage_dashboard.tenants"
ALL_TENANTS = "all"
# Raise it with every change of how a wall is built.
WALL_VERSION = 6
_SCHEMAS_MARK = ", schemas "
LONGEST_UNREFRESHED = timedelta(hours=6)
_CONNECT_TIMEOUT_S = 5
# How long the answer to "which tables are there, and do the walls stand" is good.
_WALL_CHECK_S = 60.0
# Rights change seldom, and asking costs a look at every table there is.
_ROLE_CHECK_S = 3600.0
_UNREADABLE = (
    "the database address cannot be read; write postgresql://user:password@host/name, special characters of the"
    " password percent-encoded (@ as %40, / as %2F, # as %23, ? as %3F, : as %3A, % as %25)"
)
# What Prisma and its engines write into an address, and libpq refuses; and what is ours to say.
_NOT_LIBPQS = (
    *("pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "schema"),
    *("sslaccept", "sslidentity", "connect_timeout"),
)
_NEW_SCHEMAS = (
    "Tenants whose schemas came after the walls are not shown, or schemas are gone: run python -m dashboard migrate."
)
_SECRETS = frozenset({"password", "sslpassword", "sslkey", "passfile"})

_BEGIN_READING = sa.text(
    "SELECT set_config('statement_timeout', :timeout_ms, true), set_config('TimeZone', 'UTC', true),"
    f" set_config('{TENANTS_SETTING}', :tenants, true)"
)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of a pool."""

    in_use: int
    size: int


class Database:
    """One database: a pool of reading connections and, with DIRECT_URL, a small one that may write our schema."""

    def __init__(self, settings: Settings, mapping: Mapping | None = None) -> None:
        if settings.database_url is None:
            raise MappingError("no database is named; set DATABASE_URL, or start by `python -m dashboard run`")
        self.settings = settings
        self.mapping = mapping or load_mapping(settings.mapping_file)
        self._url = driver_url(settings.database_url.get_secret_value())
        self.waking, self._owner_waking = Waking(settings.wake_wait_s), Waking(settings.wake_wait_s)
        self.reader = _reading_engine(self._url, settings, self.waking)
        direct = settings.direct_url
        self.owner = (
            _writing_engine(driver_url(direct.get_secret_value()), self._owner_waking) if direct is not None else None
        )
        self._address_notices = address_notices(settings)
        self._role_notices: tuple[str, ...] = ()
        self._role_checked_at = float("-inf")
        self._tables: Tables | None = None
        self._tenant_types: Sequence[sa.types.TypeEngine[Any]] = ()
        self._checked_at = float("-inf")
        self._failure: UsageDashboardError | None = None
        self._failed_at = float("-inf")
        self._shows_all_schemas = True
        self._schemas = ""
        self._unlike: list[str] = []
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Tells this database and role from every other in cache keys; holds no secret."""
        # A socket's folder and a Neon endpoint are among the options.
        options = sorted((name, value) for name, value in self._url.query.items() if name not in _SECRETS)
        place = f"{self._url.host}:{self._url.port}/{self._url.database}@{self._url.username}?{options}"
        return hashlib.blake2b(place.encode(), digest_size=6).hexdigest()

    def tables(self) -> Tables:
        """The mapped tables with live types, read once; once a minute, whether the walls stand, for this mapping.

        `forget_tables` after an error reads them anew.
        """
        tables = self._tables
        # Who knows tables does not queue behind the one who looks whether they are still so.
        if tables is not None and (self._is_checked() or self._lock.locked()):
            return tables
        asked_at = time.monotonic()
        with self._lock:
            # Of a database that does not answer, all who waited hear at once, and not one connecting after the other.
            if self._failure is not None and self._failed_at >= asked_at:
                raise self._failure.again()
            tables = self._tables
            return tables if tables is not None and self._is_checked() else self._read_tables()

    def _is_checked(self) -> bool:
        return time.monotonic() - self._checked_at < _WALL_CHECK_S

    def _read_tables(self) -> Tables:
        tables = self._tables
        try:
            with self._errors(), self._connected() as connection:
                walled = walls_stand(connection, self.mapping)
                schemas = "" if walled else schemas_digest(connection, self.mapping)
                if tables is None or walled != tables.walled or schemas != self._schemas:
                    tables = reflected_tables(connection, self.mapping, walled=walled)
                self._schemas = schemas
                self._shows_all_schemas = not walled or shows_all_schemas(connection, self.mapping)
                # Only what the reader role was given together with the walls is read.
                aggregates = _young(aggregates_of(connection, tables)) if walled else None
                tables = replace(tables, aggregates=aggregates, history=history_of(connection))
                self._look_at_role(connection, walled=walled)
        except UsageDashboardError as error:
            self._failure, self._failed_at = error.again(), time.monotonic()
            raise
        types = [one.c.tenant_id.type for one in tables.all().values()]
        self._unlike = unlike({name: {one.key: one.type for one in table.c} for name, table in tables.all().items()})
        self._tenant_types = list({type(one): one for one in types}.values())
        self._tables, self._checked_at = tables, time.monotonic()
        return tables

    def _look_at_role(self, connection: sa.Connection, *, walled: bool) -> None:
        """What the reader's role may do beyond reading: said on the pages, and logged once."""
        if time.monotonic() - self._role_checked_at < _ROLE_CHECK_S:
            return
        found = role_notices(connection, walled=walled)
        for notice in found:
            if notice not in self._role_notices:
                log.warning("%s", notice)
        self._role_notices, self._role_checked_at = found, time.monotonic()

    def forget_tables(self) -> None:
        """Read the catalog again at the next question: a table or a wall may have come or gone."""
        self._tables = None

    @property
    def aggregates(self) -> Aggregates | None:
        """The aggregates that are read now, as far as somebody has looked."""
        return self._tables.aggregates if self._tables is not None else None

    def look_again(self) -> None:
        """Whether the walls stand, and up to when the aggregates are whole, is looked up at the next question."""
        self._checked_at = float("-inf")

    @contextmanager
    def reading(self, scope: Scope, timeout_s: float) -> Iterator[sa.Connection]:
        """A read-only transaction in UTC, with a statement timeout, bound to the scope's tenants."""
        with self._connected() as connection:
            tenants = self.tenants_setting(scope)
            connection.execute(_BEGIN_READING, {"timeout_ms": str(int(timeout_s * 1000)), "tenants": tenants})
            yield connection

    def own_connection(self) -> psycopg.Connection[Any]:
        """A new connection of the reader role beside the pool, for what runs long: no page waits behind it. A statement
        has its parameters put into it by the driver, since a COPY takes none. The caller closes it."""
        _, options = self.reader.dialect.create_connect_args(self._url)
        given: dict[str, Any] = {**options, **_connect_arguments(), "cursor_factory": psycopg.ClientCursor}
        with self._errors():
            connection = self.waking.connected(lambda: psycopg.connect(**given))
        connection.read_only = True
        return connection

    def tenants_setting(self, scope: Scope) -> str:
        """What a transaction must name in TENANTS_SETTING to read this scope through the walls."""
        return tenants_setting(scope, self._tenant_types)

    def ping(self) -> None:
        """DatabaseUnavailableError unless the database answers now; one that sleeps is woken, and not waited for."""
        with self.waking.impatient(), self._errors(), self.reader.connect() as connection:
            connection.execute(sa.select(1))

    def pool_use(self) -> PoolUse:
        """Reading connections in use, and how many there may be."""
        pool = self.reader.pool
        assert isinstance(pool, sa.QueuePool), "the reading engine was made with a queue pool"
        return PoolUse(in_use=pool.checkedout(), size=self.settings.pool_size)

    @property
    def notices(self) -> list[str]:
        """What the way this database was given takes away or leaves open, in words for the page."""
        return [*self._missing, *self._unlike, *self._address_notices, *self._role_notices]

    @property
    def _missing(self) -> list[str]:
        kept = [] if self.owner is not None else ["No DIRECT_URL: the query log is kept in memory only."]
        tables = self._tables
        if tables is not None and tables.walled:
            return kept if self._shows_all_schemas else [*kept, _NEW_SCHEMAS]
        if self.owner is None:
            return [
                f"{kept[0]} The second wall between tenants (views in the database) is missing too:"
                " set DIRECT_URL and run python -m dashboard migrate."
            ]
        if tables is None:
            return []  # nobody has looked yet
        return [
            "The second wall between tenants (views in the database) is missing, may not be read, or was made for"
            " another mapping: run python -m dashboard migrate."
        ]

    def close(self) -> None:
        self.waking.close()
        self._owner_waking.close()
        self.reader.dispose()
        if self.owner is not None:
            self.owner.dispose()

    def _connected(self) -> sa.Connection:
        """One of the pool. Who finds it taken by those who wake the database is told just that."""
        try:
            return self.reader.connect()
        except sa.exc.TimeoutError as error:
            if self.waking.since_s is None:
                raise
            raise DatabaseWakingError(
                "the database is being woken, and has not answered in time; the page tries again by itself"
            ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UsageDashboardError:
            raise
        except Exception as error:
            raise translated(error, timeout_s=self.settings.statement_timeout_s) from error


def _young(found: Aggregates | None) -> Aggregates | None:
    """Aggregates that nobody has compared with the rows for so long are not read: late changes would stay unseen."""
    return found if found is not None and datetime.now(UTC) - found.refreshed_at < LONGEST_UNREFRESHED else None


def driver_url(url: str) -> URL:
    """The address for SQLAlchemy's psycopg driver; Prisma's own parameters, which libpq does not know, are left out."""
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError):  # a port that is no number is quoted, and may be a password
        raise DatabaseUnavailableError(_UNREADABLE) from None
    # A second @ parts a password in two: what follows the first would be taken for the host, and repeated.
    after = url.partition("@")[2].partition("?")
    if "@" in after[0] or any("@" in one.partition("=")[0] for one in after[2].split("&")):
        raise DatabaseUnavailableError(_UNREADABLE)
    return parsed.difference_update_query(_NOT_LIBPQS)


def tenants_setting(scope: Scope, types: Sequence[sa.types.TypeEngine[Any]] = ()) -> str:
    """What the walls compare with: `all`, or the ids as an array literal.

    The walls cast the ids to the tenant columns' `types`; one that cannot be of them is nobody's id and is left out.
    """
    if scope.ids is None:
        return ALL_TENANTS
    possible = (
        one
        for one in scope.ordered_ids
        if is_storable(one) and all(native_id(one, type_) is not None for type_ in types)
    )
    quoted = ('"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in possible)
    return "{" + ",".join(quoted) + "}"


def wall_comment(mapping: Mapping) -> str:
    """How the comment on each wall begins: what it was made by and for."""
    return f"usage-dashboard wall {WALL_VERSION}, mapping {mapping.digest}"


def full_wall_comment(connection: sa.Connection, mapping: Mapping) -> str:
    """The comment on each wall, with the tenants' schemas that it shows. One of another is taken down and put up anew;
    one of other schemas stands: it shows those tenants that it knows."""
    schemas = schemas_digest(connection, mapping)
    return f"{wall_comment(mapping)}{_SCHEMAS_MARK}{schemas}" if schemas else wall_comment(mapping)


def our_wall_comment(columns: Iterable[str]) -> str:
    """The same on a wall before a table of our own: it shows these columns."""
    return f"usage-dashboard wall {WALL_VERSION}, columns {', '.join(columns)}"


def walls_stand(connection: sa.Connection, mapping: Mapping) -> bool:
    """Whether every view of this mapping is there and may be read."""
    names = [f"{OUR_SCHEMA}.{wall_name(logical)}" for logical in mapping.tables]
    found = sa.select(sa.func.unnest(sa.bindparam("names", names, type_=sa.ARRAY(sa.Text))).label("name")).subquery()
    relation = sa.func.to_regclass(found.c.name)
    usable = sa.func.coalesce(
        sa.func.has_table_privilege(relation, "SELECT")
        & (sa.func.split_part(_comment_on(relation), _SCHEMAS_MARK, 1) == wall_comment(mapping)),
        sa.false(),
    )
    schema_usable = sa.func.has_schema_privilege(OUR_SCHEMA, "USAGE")
    if connection.scalar(sa.select(sa.func.to_regnamespace(OUR_SCHEMA))) is None or not connection.scalar(
        sa.select(schema_usable)
    ):
        return False
    return bool(connection.scalar(sa.select(sa.func.bool_and(usable)).select_from(found)))


def shows_all_schemas(connection: sa.Connection, mapping: Mapping) -> bool:
    """Whether the walls, which stand, show every schema that the mapping's patterns mean now."""
    patterned = [logical for logical, one in mapping.tables.items() if one.schemas is not None]
    if not patterned:
        return True
    wanted = full_wall_comment(connection, mapping)
    relations = (sa.func.to_regclass(f"{OUR_SCHEMA}.{wall_name(logical)}") for logical in patterned)
    return all(connection.scalar(sa.select(_comment_on(one))) == wanted for one in relations)


def _comment_on(relation: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.obj_description(relation, "pg_class", type_=sa.Text())


def _reading_engine(url: URL, settings: Settings, waking: Waking) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_wait_s,
        pool_pre_ping=True,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args=_connect_arguments(),
    )
    _connect_by(waking, engine)

    @sa.event.listens_for(engine, "connect")
    def _read_only(connection: object, record: object) -> None:  # noqa: ARG001 - the signature is SQLAlchemy's
        connection.read_only = True  # type: ignore[attr-defined]  # psycopg: BEGIN READ ONLY

    return engine


def _writing_engine(url: URL, waking: Waking) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=2,
        max_overflow=1,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=_connect_arguments(),
    )
    _connect_by(waking, engine)
    return engine


def _connect_by(waking: Waking, engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, record: object, arguments: Any, options: Any) -> psycopg.Connection[Any]:  # noqa: ARG001 - the signature is SQLAlchemy's
        return waking.connected(lambda: dialect.connect(*arguments, **options))


def _connect_arguments() -> dict[str, object]:
    return {
        "prepare_threshold": None,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "application_name": "usage-dashboard",
        # A peer that vanished without a word is noticed 45 s after its last one, or 15 s after ours.
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }
