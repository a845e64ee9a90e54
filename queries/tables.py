"""The application's tables under our names, with the live catalog's types, and the expressions that need them.

A predicate never wraps an indexed column: the parameter is converted, not the column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.column_types import AwareTime, NaiveUtc, ours
from queries.derived import DerivedTable
from queries.errors import MappingError
from queries.mapping import Mapping, prisma_mapping
from queries.period import Period
from queries.relations import Relation, check_times, default_relations, live_relations, relation_sql

OUR_SCHEMA = "usage_dashboard"
NO_ERROR = "(no error text)"
# So much of an error's text tells it from the others; longer texts often end in an id of their own.
ERROR_LENGTH = 120
_NUMBER = re.compile(r"-?\d{1,18}")
_BOOLEANS = {"true": True, "false": False}


__all__ = ["AwareTime", "DerivedTable", "NaiveUtc", "Tables", "relation_sql"]  # beside what is defined here

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
        wanted = [value for one in logical for value in self.mapping.meanings[kind][one]]
        # An IN of nothing, not FALSE: AND with FALSE would fold every other predicate away, the tenants' included.
        return column.in_(_natives(column.type, wanted))


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
    return _built(chosen, walled, default_relations(chosen))


def reflected_tables(connection: sa.Connection, mapping: Mapping, *, walled: bool) -> Tables:
    """Tables with the types of the live catalog; MappingError names what is missing and the setting that maps it."""
    found = _walled_relations(connection, mapping) if walled else live_relations(connection, mapping)
    check_times(mapping, found)
    return _built(mapping, walled, found)


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


def _natives(type_: sa.types.TypeEngine[Any], values: list[str]) -> list[Any]:
    """The values, which a mapping has as texts, as a column of this type holds them; those it cannot hold left out."""
    if isinstance(type_, sa.Enum):
        return [one for one in values if one in type_.enums]
    if isinstance(type_, sa.Integer):
        return [int(one) for one in values if _NUMBER.fullmatch(one)]
    if isinstance(type_, sa.Numeric):
        return [Decimal(one) for one in values if _NUMBER.fullmatch(one)]
    if isinstance(type_, sa.Boolean):
        return [_BOOLEANS[one] for one in values if one in _BOOLEANS]
    return values


def _walled_relations(connection: sa.Connection, mapping: Mapping) -> dict[str, Relation]:
    """What the walls show: of a derived table under our names, of any other under theirs."""
    inspector = sa.inspect(connection)
    walls = [wall_name(logical) for logical in mapping.tables]
    kind = sa.engine.reflection.ObjectKind.ANY
    described = inspector.get_multi_columns(schema=OUR_SCHEMA, filter_names=walls, kind=kind)
    shown = {name: {one["name"]: one["type"] for one in columns} for (_, name), columns in described.items()}
    found = {}
    for logical, one in mapping.tables.items():
        there = shown.get(wall_name(logical), {})
        # A table that is mapped by names has its own in the wall, unless it had to be cast.
        is_theirs = not one.is_derived and set(one.columns.values()) <= set(there)
        names = dict(one.columns) if is_theirs else {key: key for key in one.columns}
        if not set(names.values()) <= set(there):
            raise MappingError(f"the wall before {logical} is not as it was made; run python -m dashboard migrate")
        found[logical] = Relation({key: ours(there[name]) for key, name in names.items()}, names)
    return found


def _built(mapping: Mapping, walled: bool, found: dict[str, Relation]) -> Tables:
    metadata = sa.MetaData()
    built: dict[str, Any] = {}
    for logical, one in mapping.tables.items():
        relation, info = found[logical], {"tenant_keyed": True, "logical": logical}
        columns = [sa.Column(relation.names[key], type_, key=key) for key, type_ in relation.types.items()]
        if relation.sql is not None and not walled:
            built[logical] = DerivedTable.of(wall_name(logical), relation.sql, *columns, info=info)
            continue
        schema, name = (OUR_SCHEMA, wall_name(logical)) if walled else (one.schema, one.name)
        built[logical] = sa.Table(name, metadata, *columns, schema=schema, info=info)
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
