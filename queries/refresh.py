"""Keeping the aggregates equal to the rows: one transaction, one snapshot, one process at a time.

Days are compared with the rows as they are now, and only what differs is written: run twice, it changes nothing; killed
in the middle, it leaves what was there. Which days: those that have ended since, the newest ones, and those that held
something unfinished; once an hour, and when asked to, all of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from queries.aggregates import STATE, Aggregate, aggregates, made_for
from queries.database import our_wall_comment
from queries.errors import UsageDashboardError, translated
from queries.mapping import Mapping
from queries.migrations import READER_ROLE
from queries.migrations.walls import Wall, in_our_schema, raise_our_walls, show_new_schemas
from queries.tables import OUR_SCHEMA, Tables, instant, our_wall_name, reflected_tables

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
# A day is summed when it has been over for this long: what is younger changes, and is read from the rows.
SETTLED = DAY
# So many of the newest summed days are compared with the rows each time.
RECENT_DAYS = 7
COMPARE_ALL_EVERY = timedelta(hours=1)
# Of more days with something unfinished than this, all days are compared in one pass.
MOST_UNFINISHED_DAYS = 30
_ANALYZE_FROM_ROWS = 1_000
# A refresh rests for this many times as long as it took: on a very large database it must not run all the time.
_REST = 20
_FIRST_AFTER_S = 5.0

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh did."""

    until: datetime
    compared_all: bool
    added_rows: int
    removed_rows: int
    took_s: float


def settled_until(now: datetime) -> datetime:
    """The midnight of UTC before which days are summed."""
    return (now - SETTLED).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def refresh(
    engine: sa.Engine, mapping: Mapping, now: datetime, *, rebuild: bool = False, compare_all: bool = False
) -> Refreshed | None:
    """Bring the aggregates up to date through the owner's engine; None when another process is doing so. `rebuild`
    makes them from nothing. Only errors of queries.errors are raised."""
    try:
        with engine.connect() as connection:
            repeatable = connection.execution_options(isolation_level="REPEATABLE READ")
            with repeatable.begin():
                # Before the snapshot is taken, which a query would do: the last one's work must be part of it.
                repeatable.exec_driver_sql(f"LOCK TABLE {OUR_SCHEMA}.aggregate_state IN EXCLUSIVE MODE NOWAIT")
                tables = reflected_tables(repeatable, mapping, walled=False)
                return refresh_within(repeatable, tables, now, rebuild=rebuild, compare_all=compare_all)
    except sa.exc.SQLAlchemyError as error:
        if isinstance(getattr(error, "orig", None), psycopg.errors.LockNotAvailable):
            return None
        raise translated(error) from error


def refresh_within(
    connection: sa.Connection, tables: Tables, now: datetime, *, rebuild: bool = False, compare_all: bool = False
) -> Refreshed:
    """The same within a transaction of the caller's, which must see one snapshot and hold others off."""
    started = time.perf_counter()
    made, purpose, until = aggregates(tables), made_for(tables), settled_until(now)
    compared_at = connection.scalar(sa.select(STATE.c.compared_at).where(STATE.c.made_for == purpose))
    is_new = rebuild or compared_at is None or not _are_there(connection, made)
    if is_new:
        _make(connection, made)
    whole = is_new or compare_all or compared_at is None or not compared_at <= now < compared_at + COMPARE_ALL_EVERY
    spans = None if whole else _spans(connection, tables, made, until)
    added = removed = 0
    for one in made:
        changed = _made_equal(connection, one, spans, until)
        added, removed = added + changed[0], removed + changed[1]
        if sum(changed) >= _ANALYZE_FROM_ROWS:
            connection.exec_driver_sql(f"ANALYZE {OUR_SCHEMA}.{one.name}")
    raise_our_walls(connection, [_wall(connection, one) for one in made], READER_ROLE)
    connection.execute(sa.delete(STATE))
    # As old as the snapshot, by the database's own clock.
    values = {"made_for": purpose, "until": until, "refreshed_at": sa.func.now()}
    connection.execute(sa.insert(STATE).values(**values, compared_at=now if spans is None else compared_at))
    return Refreshed(until, spans is None, added, removed, time.perf_counter() - started)


def _are_there(connection: sa.Connection, made: Sequence[Aggregate]) -> bool:
    names = [f"{OUR_SCHEMA}.{name}" for one in made for name in (one.name, our_wall_name(one.name))]
    listed = sa.func.unnest(sa.bindparam("names", names, type_=sa.ARRAY(sa.Text))).column_valued("name")
    return bool(connection.scalar(sa.select(sa.func.bool_and(sa.func.to_regclass(listed).is_not(None)))))


def _make(connection: sa.Connection, made: Sequence[Aggregate]) -> None:
    """Empty tables. Their walls go with the old ones and come with the new ones, filled: a statement that was made for
    the old ones finds none, and is made anew."""
    for one in made:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {OUR_SCHEMA}.{one.name} CASCADE")
        table = one.table()
        sa.Index(f"{one.name}_tenant_id_{one.start}_idx", table.c.tenant_id, table.c[one.start])
        sa.Index(f"{one.name}_{one.start}_idx", table.c[one.start])
        connection.execute(sa.schema.CreateTable(table))
        for index in table.indexes:
            connection.execute(sa.schema.CreateIndex(index))


def _wall(connection: sa.Connection, one: Aggregate) -> Wall:
    table = one.table()
    names = table.c.keys()
    return Wall(
        view=our_wall_name(one.name),
        source=in_our_schema(one.name),
        columns=names,
        tenant_column="tenant_id",
        tenant_type=table.c.tenant_id.type.compile(connection.dialect),
        comment=our_wall_comment(names),
    )


def _spans(connection: sa.Connection, tables: Tables, made: Sequence[Aggregate], until: datetime) -> list[Span] | None:
    """The days to compare; None for all. A tenant's generation may hang for weeks and then end."""
    recent = until - RECENT_DAYS * DAY
    table = next(one for one in made if one.name == "usage_day").table()
    hanging = tables.has(table.c.status, "generation_status", "unfinished")
    unfinished = sa.select(table.c.day).where(hanging, table.c.day < recent).distinct()
    days = list(connection.scalars(unfinished.limit(MOST_UNFINISHED_DAYS + 1)))
    if len(days) > MOST_UNFINISHED_DAYS:
        return None
    known = connection.scalar(sa.select(sa.func.max(STATE.c.until)))
    return [(min(recent, known), until), *((one, one + DAY) for one in days)]


def _made_equal(
    connection: sa.Connection, one: Aggregate, spans: Sequence[Span] | None, until: datetime
) -> tuple[int, int]:
    """Rows added and removed, so that the aggregate equals the rows on these days."""
    table = one.table()
    start = table.c[one.start]
    fresh = one.made.where(one.at < instant(one.at, until))
    ours: sa.ColumnElement[bool] = sa.true()
    if spans is not None:
        fresh = fresh.where(sa.or_(*(_between(one.at, span) for span in spans)))
        # After the last day there may be rows of a clock that ran ahead.
        ours = sa.or_(start >= until, *(_between(start, span) for span in spans))
    new = fresh.cte("fresh")
    same = [column.is_not_distinct_from(new.c[column.key]) for column in table.c]
    keys = (table.c.tenant_id == new.c.tenant_id, start == new.c[one.start])
    gone = ~sa.exists(sa.select(1).select_from(new).where(*keys, *same).correlate(table))
    # Rows of no tenant, which a join on the tenant would never find.
    nobodys = (table.c.tenant_id.is_(None), new.c.tenant_id.is_(None), keys[1])
    gone &= ~sa.exists(sa.select(1).select_from(new).where(*nobodys, *same).correlate(table))
    removed = sa.delete(table).where(ours, gone).returning(table.c.tenant_id).cte("removed")
    missing = sa.except_(sa.select(new), sa.select(*table.c).where(ours))
    added = sa.insert(table).from_select(table.c.keys(), missing).returning(table.c.tenant_id).cte("added")
    counts = [sa.select(sa.func.count()).select_from(changed).scalar_subquery() for changed in (added, removed)]
    found = connection.execute(sa.select(*counts)).one()
    return int(found[0]), int(found[1])


def _between(column: sa.ColumnElement[Any], span: Span) -> sa.ColumnElement[bool]:
    return sa.and_(column >= instant(column, span[0]), column < instant(column, span[1]))


class Refresher:
    """A thread that refreshes every few minutes. It never slows a page: what it does not get done is read from the
    rows."""

    def __init__(self, engine: sa.Engine, mapping: Mapping, *, every_s: float, refreshed: Callable[[], None]) -> None:
        """`refreshed` is told when the days that are summed are others than before."""
        self._engine, self._mapping, self._every_s, self._told = engine, mapping, every_s, refreshed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="aggregates", daemon=True)
        self._until: datetime | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; a refresh that runs is left to the closing of its connection, which takes it back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        pause_s, warned = _FIRST_AFTER_S, False
        while not self._stopping.wait(pause_s):
            pause_s = self._every_s
            try:
                if show_new_schemas(self._engine, self._mapping, READER_ROLE):
                    self._told()
                done = refresh(self._engine, self._mapping, datetime.now(UTC))
            except UsageDashboardError as error:
                if not warned and not self._stopping.is_set():
                    log.warning("the aggregates cannot be refreshed (%s); pages read the rows", error.message)
                warned = True
                continue
            warned = False
            if done is None:
                continue
            pause_s = max(self._every_s, _REST * done.took_s)
            if done.until != self._until:
                self._until = done.until
                self._told()
