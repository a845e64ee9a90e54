"""The application's tables under our names, with the live catalog's types, and the expressions that need them.

A predicate never wraps an indexed column: the parameter is converted, not the column.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect

from queries.errors import MappingError
from queries.mapping import Mapping, prisma_mapping
from queries.period import Period

OUR_SCHEMA = "usage_dashboard"
NO_ERROR = "(no error text)"
# So much of an error's text tells it from the others; longer texts often end in an id of their own.
ERROR_LENGTH = 120


# `dialect` below is not used: the signatures are SQLAlchemy's.
class NaiveUtc(sa.types.TypeDecorator[datetime]):
    """`timestamp` without zone that holds UTC, as Prisma writes it. An aware parameter is refused:
    PostgreSQL would compare it through the connection's zone without a word."""

    impl = sa.TIMESTAMP
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is not None:
            raise ValueError("an aware time for a column without zone; convert it to naive UTC first")
        return value


class AwareTime(sa.types.TypeDecorator[datetime]):
    """`timestamptz`. A naive parameter is refused, for the same reason."""

    impl = sa.TIMESTAMP(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive time for a column with zone; make it aware first")
        return value


# What readers see of a note; the same in every database.
NOTE_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "id": sa.BigInteger(),
    "tenant_id": sa.Text(),
    "day": sa.Date(),
    "text": sa.Text(),
    "author": sa.Text(),
    "author_role": sa.Text(),
    "created_at": AwareTime(),
}


# What a statement says of a tenant and month, in its order.
STATEMENT_SUMS = ("opening", "purchased", "granted", "refunded", "adjusted", "burned", "expired", "closing")
# The kinds of movements among them; burned and expired credits are kept as positive numbers.
STATEMENT_KINDS = STATEMENT_SUMS[1:-1]
BALANCE_SNAPSHOT_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "tenant_id": sa.Text(),
    "zone": sa.Text(),
    "day": sa.Date(),
    "taken_at": AwareTime(),
    "balance": sa.Numeric(),
    "ledger": sa.Numeric(),
}
CLOSED_STATEMENT_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "tenant_id": sa.Text(),
    "month": sa.Date(),
    "zone": sa.Text(),
    "tenant": sa.Text(),
    "is_listed": sa.Boolean(),
    **dict.fromkeys((*STATEMENT_SUMS, "unexplained"), sa.Numeric()),
    **dict.fromkeys((f"to_date_{one}" for one in STATEMENT_KINDS), sa.Numeric()),
    "closed_at": AwareTime(),
}
CORRECTION_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "id": sa.BigInteger(),
    "tenant_id": sa.Text(),
    "month": sa.Date(),
    "zone": sa.Text(),
    "kind": sa.Text(),
    "credits": sa.Numeric(),
    "found_at": AwareTime(),
}
CLOSED_MONTH_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "month": sa.Date(),
    "zone": sa.Text(),
    "closed_at": AwareTime(),
    "closed_by": sa.Text(),
    "as_of": AwareTime(),
    "last_posted_at": AwareTime(),
    "reports": postgresql.JSON(),
}


@dataclass(frozen=True)
class History:
    """What was written down of balances and statements, in our own tables. Tenants are text in all of them.

    `balance_snapshot`: a row per tenant, zone and day of that zone, with the posted balance (null without one) and the
    sum of all movements, both read in one snapshot at `taken_at`. `closed_statement`: a row per tenant and closed month
    as it was frozen; one that is not `is_listed` holds only the sums to date of a tenant that the statement left out.
    `correction`: what was posted up to the end of the last closed month after it was closed, by tenant and kind, each
    time it was found; burned and expired credits are positive. These stand behind walls. `closed_month`: a row per
    closed month, with no tenant in it.
    """

    balance_snapshot: sa.Table
    closed_statement: sa.Table
    correction: sa.Table
    closed_month: sa.Table


@dataclass(frozen=True)
class Aggregates:
    """Our sums of the application's rows, through their walls. Of each day of UTC before `until`, which is a midnight,
    they hold everything that was there at `refreshed_at`; everything later is read from the rows themselves."""

    until: datetime
    refreshed_at: datetime
    usage_hour: sa.Table
    usage_day: sa.Table
    ledger_hour: sa.Table
    latency_day: sa.Table
    failure_hour: sa.Table


@dataclass(frozen=True)
class Tables:
    """One SQLAlchemy table per logical table; columns are reached by their logical names. `note` is our own.
    `aggregates` are there only while they are whole and were made for these tables; `history` once `migrate` has run.
    """

    mapping: Mapping
    walled: bool
    organization: sa.Table
    user: sa.Table
    membership: sa.Table
    subscription: sa.Table
    credit_balance: sa.Table
    credit_transaction: sa.Table
    usage_limit: sa.Table
    generation: sa.Table
    image: sa.Table
    note: sa.Table
    aggregates: Aggregates | None = None
    history: History | None = None

    def all(self) -> dict[str, sa.Table]:
        """The application's tables by their logical names."""
        return {logical: getattr(self, logical) for logical in self.mapping.tables}

    def has(self, column: sa.ColumnElement[Any], kind: str, *logical: str) -> sa.ColumnElement[bool]:
        """Whether the column holds one of the logical values of this kind, such as generation_status, succeeded."""
        wanted = [value for one in logical for value in self.mapping.values[kind][one]]
        if isinstance(column.type, sa.Enum):
            wanted = [value for value in wanted if value in column.type.enums]
        # An IN of nothing, not FALSE: AND with FALSE would fold every other predicate away, the tenants' included.
        return column.in_(wanted)


def wall_name(logical: str) -> str:
    """The view in our schema that stands before one of their tables."""
    return f"app_{logical}"


def our_wall_name(table: str) -> str:
    """The view that stands before a tenant-keyed table of our own."""
    return f"our_{table}"


def facts(tables: Tables) -> sa.Table:
    """The one relation that every usage figure reads: a row per generation. Aggregates may take its place."""
    return tables.generation


def error_text(tables: Tables) -> sa.ColumnElement[Any]:
    """What tells a generation's error from others: the beginning of its text."""
    begun = sa.func.btrim(sa.func.left(facts(tables).c.error, ERROR_LENGTH))
    return sa.func.coalesce(sa.func.nullif(begun, ""), NO_ERROR, type_=sa.Text())


def default_tables(mapping: Mapping | None = None, *, walled: bool = False) -> Tables:
    """Tables with the types that Prisma gives by default: to print and walk statements without a database."""
    chosen = mapping or prisma_mapping()
    types = {
        name: {column: _default_type(name, column) for column in one.columns} for name, one in chosen.tables.items()
    }
    return _built(chosen, walled, types)


def reflected_tables(connection: sa.Connection, mapping: Mapping, *, walled: bool) -> Tables:
    """Tables with the types of the live catalog; MappingError names what is missing and the setting that maps it."""
    inspector = sa.inspect(connection)
    wanted: dict[str, list[str]] = {}
    for logical in mapping.tables:
        schema, name = _place(logical, mapping, walled)
        wanted.setdefault(schema, []).append(name)
    found: dict[tuple[str, str], dict[str, sa.types.TypeEngine[Any]]] = {}
    for schema, names in wanted.items():
        columns = inspector.get_multi_columns(
            schema=schema, filter_names=names, kind=sa.engine.reflection.ObjectKind.ANY
        )
        for (_, name), described in columns.items():
            found[schema, name] = {one["name"]: one["type"] for one in described}
    types = {
        logical: _live_types(logical, mapping, found.get(_place(logical, mapping, walled)))
        for logical in mapping.tables
    }
    return _built(mapping, walled, types)


def default_history() -> History:
    """The tables of our own history, those that hold tenants through their walls."""
    return History(
        balance_snapshot=_our_table("balance_snapshot", BALANCE_SNAPSHOT_COLUMNS),
        closed_statement=_our_table("closed_statement", CLOSED_STATEMENT_COLUMNS),
        correction=_our_table("correction", CORRECTION_COLUMNS),
        closed_month=_our_table("closed_month", CLOSED_MONTH_COLUMNS, is_walled=False),
    )


def history_of(connection: sa.Connection) -> History | None:
    """Our history as far as this role may read it; None where the migration has not run."""
    if connection.scalar(sa.select(sa.func.to_regnamespace(OUR_SCHEMA))) is None or not connection.scalar(
        sa.select(sa.func.has_schema_privilege(OUR_SCHEMA, "USAGE"))
    ):
        return None
    history = default_history()
    names = [f"{OUR_SCHEMA}.{getattr(history, one.name).name}" for one in fields(history)]
    listed = sa.func.unnest(sa.bindparam("names", names, type_=sa.ARRAY(sa.Text))).column_valued("name")
    readable = sa.func.has_table_privilege(sa.func.to_regclass(listed), "SELECT")
    is_there = connection.scalar(sa.select(sa.func.bool_and(sa.func.coalesce(readable, sa.false()))))
    return history if is_there else None


def instant(column: sa.ColumnElement[Any], value: datetime) -> datetime:
    """An aware time as a parameter for this column: naive UTC where the column has no zone."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(column.type, NaiveUtc) else value.astimezone(UTC)


def between(column: sa.ColumnElement[Any], start: datetime, end: datetime) -> sa.ColumnElement[bool]:
    """`start <= column < end`, by the column's own type."""
    return sa.and_(column >= instant(column, start), column < instant(column, end))


def within(column: sa.ColumnElement[Any], period: Period) -> sa.ColumnElement[bool]:
    """Whether a time column lies in the period, up to its `now`."""
    return between(column, period.start, period.until)


def aware(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column as `timestamptz`, for the select list; never for a predicate."""
    return sa.func.timezone("UTC", column, type_=AwareTime()) if isinstance(column.type, NaiveUtc) else column


def comparable(moment: sa.ColumnElement[Any], column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A time of another table as this column has its own: only one of the two may have a zone."""
    naive = isinstance(column.type, NaiveUtc)
    if isinstance(moment.type, NaiveUtc) == naive:
        return moment
    return sa.func.timezone("UTC", moment, type_=NaiveUtc() if naive else AwareTime())


def bucket(column: sa.ColumnElement[Any], period: Period) -> sa.ColumnElement[Any]:
    """The start of the column's bucket as `timestamptz`. The three-argument form on a naive column would follow the
    connection's zone, so a naive one is made aware first."""
    return sa.func.date_trunc(period.grain, aware(column), period.zone, type_=AwareTime())


def _place(logical: str, mapping: Mapping, walled: bool) -> tuple[str, str]:
    one = mapping.tables[logical]
    return (OUR_SCHEMA, wall_name(logical)) if walled else (one.schema, one.name)


def _built(mapping: Mapping, walled: bool, types: dict[str, dict[str, sa.types.TypeEngine[Any]]]) -> Tables:
    metadata = sa.MetaData()
    built: dict[str, Any] = {}
    for logical in mapping.tables:
        schema, name = _place(logical, mapping, walled)
        physical = mapping.tables[logical].columns
        columns = [sa.Column(physical[key], type_, key=key) for key, type_ in types[logical].items()]
        built[logical] = sa.Table(
            name, metadata, *columns, schema=schema, info={"tenant_keyed": True, "logical": logical}
        )
    return Tables(mapping=mapping, walled=walled, note=_note(metadata), **built)


def _note(metadata: sa.MetaData) -> sa.Table:
    """Notes are read through their wall, whether or not those of the application's tables stand."""
    return _our_table("note", NOTE_COLUMNS, metadata)


def _our_table(
    name: str,
    types: dict[str, sa.types.TypeEngine[Any]],
    metadata: sa.MetaData | None = None,
    *,
    is_walled: bool = True,
) -> sa.Table:
    columns = (sa.Column(key, type_) for key, type_ in types.items())
    info = {"tenant_keyed": is_walled, "logical": name}
    shown = our_wall_name(name) if is_walled else name
    return sa.Table(shown, metadata or sa.MetaData(), *columns, schema=OUR_SCHEMA, info=info)


def _live_types(
    logical: str, mapping: Mapping, live: dict[str, sa.types.TypeEngine[Any]] | None
) -> dict[str, sa.types.TypeEngine[Any]]:
    one = mapping.tables[logical]
    if live is None:
        raise MappingError(
            f'the table "{one.schema}"."{one.name}" is not in the database; map it by [tables.{logical}] name'
            " in the mapping file (MAPPING_FILE)"
        )
    for key, physical in one.columns.items():
        if physical not in live:
            raise MappingError(
                f'the column "{physical}" of "{one.schema}"."{one.name}" is not in the database; map it by'
                f" [tables.{logical}] columns.{key} in the mapping file (MAPPING_FILE)"
            )
    return {key: _ours(live[physical]) for key, physical in one.columns.items()}


def _ours(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    if isinstance(type_, sa.TIMESTAMP):
        return AwareTime() if type_.timezone else NaiveUtc()
    return type_


_TIMES = ("created_at", "updated_at", "completed_at", "period_start", "period_end", "reset_at")
_INTEGERS = ("credits_per_period", "balance", "amount", "count", "limit", "credits_used", "duration_ms", "size_bytes")
_ENUMS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("generation", "type"): ("GenerationType", ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE")),
    ("usage_limit", "type"): ("GenerationType", ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE")),
    ("generation", "status"): ("GenerationStatus", ("PENDING", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELLED")),
    ("subscription", "plan"): ("Plan", ("FREE", "STARTER", "PRO", "BUSINESS")),
    ("subscription", "status"): ("SubscriptionStatus", ("TRIALING", "ACTIVE", "PAST_DUE", "CANCELED")),
    ("membership", "role"): ("MembershipRole", ("OWNER", "ADMIN", "MEMBER")),
    ("credit_transaction", "type"): (
        "CreditTransactionType",
        ("GRANT", "PURCHASE", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"),
    ),
}


def _default_type(table: str, column: str) -> sa.types.TypeEngine[Any]:
    if (table, column) in _ENUMS:
        name, labels = _ENUMS[table, column]
        return postgresql.ENUM(*labels, name=name, create_type=False)
    if column in _TIMES:
        return NaiveUtc()
    if column in _INTEGERS:
        return sa.Integer()
    special: dict[str, sa.types.TypeEngine[Any]] = {
        "date": sa.Date(),
        "data": sa.LargeBinary(),
        "price_paid": sa.Numeric(12, 2),
    }
    return special.get(column, sa.Text())
