"""What every balance was on every day: a snapshot a day, so that opening and closing are observed, not only computed.

Each holds the posted balance and the sum of all movements, read in one statement: what lies between the two is the
difference at that moment, whatever is posted later or dated back. It is taken as soon after the reporting zone's
midnight as any process runs, by whichever comes first, and never changed. Corrections of closed months are looked for
at the same time.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from queries.corrections import HOLD_CORRECTIONS, write_corrections
from queries.errors import UsageDashboardError, translated
from queries.mapping import Mapping
from queries.period import local_date, local_midnight
from queries.tables import BALANCE_SNAPSHOT_COLUMNS, OUR_SCHEMA, Tables, reflected_tables

log = logging.getLogger(__name__)

SNAPSHOT = sa.table(
    "balance_snapshot", *(sa.column(name, type_) for name, type_ in BALANCE_SNAPSHOT_COLUMNS.items()), schema=OUR_SCHEMA
)
_LOCK = f"{OUR_SCHEMA}.balance_snapshot"
# It sums all movements there are, once a day, for nobody who waits.
_TIMEOUT_S = 600
_FIRST_AFTER_S = 5.0
# A clock may be set, and a process may sleep: look at it now and then.
_LOOK_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One snapshot: of how many tenants, on which day of which zone, when."""

    day: date
    zone: str
    taken_at: datetime
    tenants: int


def take_snapshot(engine: sa.Engine, mapping: Mapping, *, zone: str, now: datetime | None = None) -> Taken | None:
    """Write down all balances through the owner's engine; None when the day has its snapshot already, or another
    process is taking it. Without `now` the database's clock counts, so that processes whose clocks differ agree."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.set_config("statement_timeout", str(_TIMEOUT_S * 1000), True)))
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext(_LOCK)))):
                return None
            at = now if now is not None else connection.scalars(sa.select(sa.func.clock_timestamp())).one()
            return _taken(connection, mapping, zone, at.astimezone(UTC))
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise translated(error, timeout_s=_TIMEOUT_S) from error


def _taken(connection: sa.Connection, mapping: Mapping, zone: str, at: datetime) -> Taken | None:
    day = local_date(at, zone)
    of_day = sa.exists().where(SNAPSHOT.c.zone == zone, SNAPSHOT.c.day == day)
    if connection.scalar(sa.select(of_day)):
        return None
    tables = reflected_tables(connection, mapping, walled=False)
    found = connection.execute(_balances(tables)).all()
    common = {"zone": zone, "day": day, "taken_at": at}
    if found:
        connection.execute(sa.insert(SNAPSHOT), [{**row._mapping, **common} for row in found])
    connection.exec_driver_sql(HOLD_CORRECTIONS)
    write_corrections(connection, tables, zone, at)
    return Taken(day, zone, at, len(found))


def _balances(tables: Tables) -> sa.Select[Any]:
    """A row per tenant that has a balance or a movement: tenant_id, balance, ledger."""
    posted, movements = tables.credit_balance, tables.credit_transaction
    balances = sa.select(posted.c.tenant_id, sa.func.sum(posted.c.balance).label("balance")).group_by(
        posted.c.tenant_id
    )
    sums = sa.select(movements.c.tenant_id, sa.func.sum(movements.c.amount).label("ledger")).group_by(
        movements.c.tenant_id
    )
    balance, ledger = balances.subquery("balances"), sums.subquery("sums")
    tenant = sa.func.coalesce(balance.c.tenant_id, ledger.c.tenant_id)
    return (
        sa.select(
            sa.cast(tenant, sa.Text).label("tenant_id"),
            sa.cast(balance.c.balance, sa.Numeric).label("balance"),
            sa.cast(sa.func.coalesce(ledger.c.ledger, 0), sa.Numeric).label("ledger"),
        )
        .select_from(balance.join(ledger, balance.c.tenant_id == ledger.c.tenant_id, full=True))
        .where(tenant.is_not(None))  # rows of no tenant are nobody's balance
    )


class SnapshotTaker:
    """A thread that takes a snapshot after every midnight of the zone, and at the start when the day has none."""

    def __init__(self, engine: sa.Engine, mapping: Mapping, *, zone: str) -> None:
        self._engine, self._mapping, self._zone = engine, mapping, zone
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="balance snapshots", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; a snapshot that is being taken is left to the closing of its connection, which takes it back."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        pause_s, warned = _FIRST_AFTER_S, False
        while not self._stopping.wait(pause_s):
            try:
                taken = take_snapshot(self._engine, self._mapping, zone=self._zone)
            except UsageDashboardError as error:
                if not warned and not self._stopping.is_set():
                    log.warning("the balances cannot be written down (%s); tried again later", error.message)
                warned = True
            else:
                warned = False
                if taken is not None:
                    log.info("balances of %d tenants written down for %s (%s)", taken.tenants, taken.day, taken.zone)
            pause_s = min(_LOOK_EVERY_S, _until_midnight_s(datetime.now(UTC), self._zone))


def _until_midnight_s(now: datetime, zone: str) -> float:
    """A second after the zone's next midnight."""
    return (local_midnight(local_date(now, zone) + timedelta(days=1), zone) - now).total_seconds() + 1
