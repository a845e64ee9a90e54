"""What our aggregates are: five tables of sums by tenant, typed as the application's own columns, behind walls.

They can be dropped at any time: whatever reads them (queries/catalog/parts.py) reads the rows instead when they are not
there. They are made and kept up to date by queries/refresh.py.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect

from queries.tables import OUR_SCHEMA, Aggregates, AwareTime, Tables, aware, error_text, our_wall_name

# Raise it with every change of what they hold.
_VERSION = 2

NAMES = ("usage_hour", "usage_day", "ledger_hour", "latency_day", "failure_hour")
STATE = sa.table(
    "aggregate_state",
    sa.column("made_for", sa.Text),
    *(sa.column(name, AwareTime()) for name in ("until", "refreshed_at", "compared_at")),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True)
class Aggregate:
    """One of them: its name, the time of the rows that it sums, its own column with the start of their hour or day
    (always of UTC), and the select that makes it."""

    name: str
    at: sa.ColumnElement[Any]
    start: str
    made: sa.Select[Any]

    def table(self, name: str | None = None) -> sa.Table:
        """The table, or its wall under that name."""
        columns = [sa.Column(one.key, one.type) for one in self.made.selected_columns]
        info = {"tenant_keyed": True, "logical": self.name}
        return sa.Table(name or self.name, sa.MetaData(), *columns, schema=OUR_SCHEMA, info=info)


def aggregates(tables: Tables) -> tuple[Aggregate, ...]:
    """All of them, for these tables. The selects read every tenant: they are the owner's."""
    rows, ledger = tables.generation, tables.credit_transaction
    counted, newest = sa.func.count().label("generations"), aware(sa.func.max(rows.c.created_at)).label("newest_at")
    used = sa.func.coalesce(sa.func.sum(rows.c.credits_used), 0, type_=_exact(rows.c.credits_used)).label("credits")
    moved = sa.func.coalesce(sa.func.sum(ledger.c.amount), 0, type_=_exact(ledger.c.amount)).label("credits")
    used_at = rows.c.created_at
    usage_of = {"tenant_id": rows.c.tenant_id, "hour": _start("hour", used_at), "status": rows.c.status}
    day_of = {
        "tenant_id": rows.c.tenant_id,
        "user_id": rows.c.user_id,
        "day": _start("day", used_at),
        "status": rows.c.status,
    }
    posted_of = {"tenant_id": ledger.c.tenant_id, "hour": _start("hour", ledger.c.created_at), "type": ledger.c.type}
    return (
        Aggregate("usage_hour", used_at, "hour", _grouped(usage_of, counted, used, newest)),
        Aggregate("usage_day", used_at, "day", _grouped(day_of, counted, used, newest)),
        Aggregate(
            "ledger_hour",
            ledger.c.created_at,
            "hour",
            _grouped(posted_of, sa.func.count().label("movements"), moved),
        ),
        Aggregate("latency_day", used_at, "day", _durations(tables)),
        Aggregate("failure_hour", used_at, "hour", _failures(tables)),
    )


def _durations(tables: Tables) -> sa.Select[Any]:
    """The durations of a tenant's successful generations of a day, all of them: percentiles stay exact, and to fetch
    them costs a tenth of fetching the rows."""
    rows = tables.generation
    took, day = rows.c.duration_ms, _start("day", rows.c.created_at)
    sorted_ = sa.func.array_agg(postgresql.aggregate_order_by(took, took), type_=postgresql.ARRAY(took.type))
    return (
        sa.select(rows.c.tenant_id.label("tenant_id"), day.label("day"), sorted_.label("durations_ms"))
        .where(tables.has(rows.c.status, "generation_status", "succeeded"), took.is_not(None))
        .group_by(rows.c.tenant_id, day)
    )


def _failures(tables: Tables) -> sa.Select[Any]:
    rows = tables.generation
    by = {"tenant_id": rows.c.tenant_id, "hour": _start("hour", rows.c.created_at), "error": error_text(tables)}
    failed = tables.has(rows.c.status, "generation_status", "failed")
    return _grouped(by, sa.func.count().label("failed")).where(failed)


def reads_aggregates(sql: str) -> bool:
    """Whether a statement as it was sent reads one of them."""
    return any(our_wall_name(name) in sql for name in NAMES)


def made_for(tables: Tables) -> str:
    """A digest of all that the aggregates depend on: others are not read, and are made anew."""
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    types = {
        one.name: {column.key: column.type.compile(dialect) for column in one.made.selected_columns}
        for one in aggregates(tables)
    }
    plain = json.dumps([_VERSION, tables.mapping.digest, types], sort_keys=True)
    return hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()


def aggregates_of(connection: sa.Connection, tables: Tables) -> Aggregates | None:
    """The aggregates that were made for these tables, when they are whole and may be read."""
    made = aggregates(tables)
    names = [f"{OUR_SCHEMA}.{one}" for one in ("aggregate_state", *(our_wall_name(each.name) for each in made))]
    listed = sa.func.unnest(sa.bindparam("names", names, type_=sa.ARRAY(sa.Text))).column_valued("name")
    readable = sa.func.has_table_privilege(sa.func.to_regclass(listed), "SELECT")
    if not connection.scalar(sa.select(sa.func.bool_and(sa.func.coalesce(readable, sa.false())))):
        return None
    state = connection.execute(sa.select(STATE).where(STATE.c.made_for == made_for(tables))).mappings().first()
    if state is None:
        return None
    walls = {one.name: one.table(our_wall_name(one.name)) for one in made}
    return Aggregates(until=state["until"], refreshed_at=state["refreshed_at"], **walls)


def _grouped(by: dict[str, sa.ColumnElement[Any]], *sums: sa.Label[Any]) -> sa.Select[Any]:
    # An enum is kept as text, so that the application can still drop its type; and so is every status and type, which
    # statements put together with the rows' own.
    kept = {name for name, one in by.items() if isinstance(one.type, sa.Enum) or name in ("status", "type")}
    plain = {name: sa.cast(one, sa.Text) if name in kept else one for name, one in by.items()}
    return sa.select(*(one.label(name) for name, one in plain.items()), *sums).group_by(*by.values())


def _start(unit: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The start of the column's hour or day of UTC, as `timestamptz`."""
    if isinstance(column.type, AwareTime):
        return sa.func.date_trunc(unit, column, "UTC", type_=AwareTime())
    return aware(sa.func.date_trunc(unit, column, type_=column.type))


def _exact(column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    return sa.BigInteger() if isinstance(column.type, sa.Integer) else sa.Numeric()
