"""Advice as a page needs it: computed once in the background, remembered for a few minutes, with how far it is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.performance.advice import SEVERITIES, Advice, Statement, advise
from queries.performance.findings import counted
from queries.performance.monitor import Monitor, utc_now
from queries.performance.recorded import Window, source_of
from queries.performance.workload import Source, Workload, logged
from queries.tables import OUR_SCHEMA

log = logging.getLogger(__name__)

KEPT_S = 300.0
# For which statements indexes are built and rolled back, where that is possible: each try reads the whole table.
COSTLY_MS, MOST_TRIED = 10.0, 6
# Advice for so many choices of window and source is remembered; there are no more to choose.
_CHOICES = 16
_OPTIONS = "-c usage_dashboard.tenants=all -c TimeZone=UTC -c statement_timeout=20000 -c lock_timeout=2000"


@dataclass(frozen=True, slots=True)
class Asked:
    """For which workload: what was logged in the last hours, and whether the server's own count belongs to it."""

    hours: int
    source: Source = "ours"


@dataclass(frozen=True, slots=True)
class Advised:
    """Advice, for which workload, as of when, and how long it took."""

    advice: list[Advice]
    workload: Workload
    as_of: datetime
    took_s: float


@dataclass(slots=True)
class Standing:
    """What there is for one choice: the last advice, whether newer is being computed, and what went wrong."""

    advised: Advised | None = None
    is_computing: bool = False
    step: str = ""
    error: UsageDashboardError | None = None
    computed_at: float = field(default=float("-inf"), repr=False)


class Advisor:
    """Advises on one database. Safe to share between threads."""

    def __init__(
        self, database: Database, monitor: Monitor, connect: Callable[[], psycopg.Connection[Any]] | None = None
    ) -> None:
        self._database, self._monitor, self._connect = database, monitor, connect
        self._standing: dict[Asked, Standing] = {}
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._trying: psycopg.Connection[Any] | None = None
        self._closing = threading.Event()

    @property
    def builds(self) -> bool:
        """Whether candidates can be built and rolled back here."""
        return self._connect is not None

    def look(self, asked: Asked) -> Standing:
        """What there is now; what is missing or too old is computed in the background."""
        with self._lock:
            standing = self._standing.setdefault(asked, Standing())
            while len(self._standing) > _CHOICES:
                del self._standing[next(iter(self._standing))]
            if standing.is_computing or time.monotonic() - standing.computed_at < KEPT_S:
                return standing
            standing.is_computing, standing.step = True, "Waiting for its turn"
        threading.Thread(target=self._work, args=(asked, standing), name="index-advice", daemon=True).start()
        return standing

    def forget(self) -> None:
        """Advise anew when somebody looks next: an index has come or gone."""
        with self._lock:
            for standing in self._standing.values():
                standing.computed_at = float("-inf")

    def _work(self, asked: Asked, standing: Standing) -> None:
        try:
            with self._one_at_a_time:
                standing.advised, standing.error = self._advised(asked, standing), None
        except UsageDashboardError as error:
            standing.error = error
            log.warning("index advice failed: %s (reference %s)", error.message, error.reference)
        except Exception as error:  # the page must hear of it, whatever it is
            standing.error = translated(error)
            if not self._closing.is_set():
                log.exception("index advice failed, reference %s", standing.error.reference)
        finally:
            self._trying = None
            standing.computed_at, standing.is_computing = time.monotonic(), False

    def _advised(self, asked: Asked, standing: Standing) -> Advised:
        began, now = time.monotonic(), utc_now()
        standing.step = "Reading which statements were run"
        window = Window(now - timedelta(hours=asked.hours), now, source=source_of(self._database))
        workload = logged(self._database, self._monitor, window, asked.source)
        standing.step = f"Asking the planner about {len(workload.statements)} statements"
        found: list[Advice] = []
        if workload.statements:
            with ExitStack() as open_ones:
                connection = open_ones.enter_context(self._planning())
                costly, others = split_by_cost(workload.statements) if self.builds else ([], workload.statements)
                found = advise(connection, others) if others else []
                if self._connect is not None:
                    # What was only estimated is tried as well, together with what costs the most.
                    promising = {name for one in found if one.verdict == "create_index" for name in one.statements}
                    costly += [one for one in others if one.name in promising]
                    found = [one for one in found if not promising.intersection(one.statements)]
                if costly:
                    standing.step = f"Trying indexes for the {counted(len(costly), 'statement')} that gain the most"
                    self._trying = self._building(open_ones)
                    found += advise(connection, costly, build_on=self._trying)
        found.sort(key=lambda one: (one.verdict == "none", SEVERITIES.index(one.severity)))
        return Advised(found, workload, now, time.monotonic() - began)

    def close(self) -> None:
        """End what runs; the process can end without waiting for an index to be tried."""
        self._closing.set()
        trying = self._trying
        if trying is not None and not trying.closed:
            trying.cancel_safe(timeout=1.0)

    def _planning(self) -> psycopg.Connection[Any]:
        """A read-only connection of its own that sees all tenants; not through a pooler where there is another way."""
        engine = self._database.owner if self._database.owner is not None else self._database.reader
        _, options = engine.dialect.create_connect_args(engine.url)
        given = {**options, "options": f"{options.get('options', '')} {_OPTIONS} -c default_transaction_read_only=on"}
        connection: psycopg.Connection[Any] = psycopg.connect(**given, autocommit=True, prepare_threshold=None)
        return connection

    def _building(self, open_ones: ExitStack) -> psycopg.Connection[Any] | None:
        """A connection of the tables' owner, who for this may read the walls that the statements read; None when there
        is none just now, and then nothing is tried."""
        assert self._connect is not None, "nothing can be built here"
        try:
            connection = open_ones.enter_context(self._connect())
            lend_walls(self._database, connection.info.user)
            connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', false)")
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            log.warning("no index can be tried: %s", translated(error).message)
            return None
        return connection


def split_by_cost(statements: Sequence[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Those that cost the most, for which indexes are really built, and the others, about which the planner is asked
    what it knows: building for a statement of two milliseconds would cost more than it could ever save."""
    by_cost = sorted(statements, key=lambda one: (-one.calls_per_day * (one.mean_ms or 0.0), one.name))
    costly = [one for one in by_cost if (one.mean_ms or 0.0) >= COSTLY_MS][:MOST_TRIED]
    return costly, [one for one in statements if one not in costly]


def lend_walls(database: Database, role: str) -> None:
    """The walls show the tables' owner nothing that is not theirs: only then can the planner be asked with an index
    that nobody else sees yet."""
    if database.owner is None or not database.tables().walled:
        return
    with database.owner.begin() as connection:
        quote = connection.dialect.identifier_preparer.quote
        named = sa.text(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(:schema) AND relkind = 'v'"
            " AND NOT has_table_privilege(:role, oid, 'SELECT') ORDER BY relname"
        )
        views = connection.scalars(named, {"schema": OUR_SCHEMA, "role": role}).all()
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {quote(OUR_SCHEMA)} TO {quote(role)}")
        for view in views:
            connection.exec_driver_sql(f"GRANT SELECT ON {quote(OUR_SCHEMA)}.{quote(view)} TO {quote(role)}")
