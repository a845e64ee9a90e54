"""What one server process holds: the runner and what it stands on. Pages reach it through `current()`."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

import queries
from dashboard.admission import Admission, admission
from dashboard.auditing import AuditedRegister
from dashboard.export_links import Links
from dashboard.exporting import Exporter, Job, Run
from queries.audit import Audit
from queries.balance_history import SnapshotTaker
from queries.cache import ResultCache
from queries.closing import Closer
from queries.database import Database
from queries.errors import SettingsError
from queries.export_register import ExportRegister, MemoryRegister, Register
from queries.mapping import prisma_mapping
from queries.notes import Notebook
from queries.performance.advising import Advisor
from queries.performance.index_changes import IndexChanges
from queries.performance.monitor import Monitor
from queries.performance.plan_keeping import PlanKeeper
from queries.performance.query_log import QueryLog
from queries.refresh import Refresher
from queries.runner import Runner
from queries.settings import Settings, load_settings

log = logging.getLogger(__name__)

_LOCK_MARGIN_S = 5.0


@dataclass(frozen=True)
class Services:
    """One database's runner, cache, monitor and log, and how this process was started."""

    settings: Settings
    database: Database
    cache: ResultCache
    monitor: Monitor
    runner: Runner
    plan_keeper: PlanKeeper
    advisor: Advisor
    export_register: Register
    exporter: Exporter
    query_log: QueryLog | None = None
    audit: Audit | None = None
    notebook: Notebook | None = None
    index_changes: IndexChanges | None = None
    refresher: Refresher | None = None
    snapshots: SnapshotTaker | None = None
    closer: Closer | None = None
    admission: Admission | None = None
    is_demo: bool = False
    dataset: str = ""
    closers: tuple[Callable[[], None], ...] = field(default=(), repr=False)

    @property
    def notices(self) -> list[str]:
        """What the page must say about how this process was started."""
        open_door = "Sign-in is off: everybody who reaches this address is an administrator."
        is_open = not self.is_demo and self.admission is None
        kept = [*self.database.notices, *_unkept(self.audit)]
        return [*([open_door] if is_open else []), *kept, *self.mapping_notes]

    @property
    def mapping_notes(self) -> list[str]:
        """Those of the notices that say what the mapped database lacks or derives: there may be many."""
        return self.database.mapping.notes()

    def close(self) -> None:
        """End what this process started, the newest things first: the query log while its database still runs. One
        thing that fails to end keeps no other from it."""
        with ExitStack() as last_first:
            for close in reversed(self.closers):
                last_first.callback(close)
            last_first.callback(self.database.close)
            for log_ in (self.query_log, self.audit):
                if log_ is not None:
                    last_first.callback(log_.stop)
            last_first.callback(self.cache.close)
            for thread in (self.refresher, self.snapshots):
                if thread is not None:
                    last_first.callback(thread.stop)
            last_first.callback(self.plan_keeper.stop)
            last_first.callback(self.runner.close)
            last_first.callback(self.exporter.close)
            last_first.callback(self.advisor.close)
            if self.index_changes is not None:
                last_first.callback(self.index_changes.close)


def build(
    settings: Settings,
    *,
    is_demo: bool = False,
    dataset: str = "",
    closers: tuple[Callable[[], None], ...] = (),
    application_url: SecretStr | None = None,
) -> Services:
    """Services for the database that the settings name. Nothing is connected yet: it may be asleep.

    `application_url` is the address of the tables' owner. Only the embedded database gives it: there an index can be
    tried and rolled back, made and dropped."""
    if not is_demo and settings.auth is None:
        raise SettingsError(
            "sign-in is not set up; set USAGE_DASHBOARD_AUTH to oidc or header (docs/sign-in.md), or to none to let"
            " everybody who reaches the address see everything"
        )
    # The demo's tables are Prisma's, whatever file stands in the working folder.
    database = Database(settings, prisma_mapping() if is_demo and settings.mapping_file is None else None)
    monitor = Monitor(slow_query_ms=settings.slow_query_ms)
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url is not None else None
    cache = ResultCache(
        max_bytes=settings.cache_bytes,
        prefix=f"usage-dashboard:{code_version()}:{database.mapping.digest}:{database.identity}:",
        redis_url=redis_url,
        lock_s=settings.wake_wait_s + settings.pool_wait_s + settings.statement_timeout_s + _LOCK_MARGIN_S,
    )
    query_log = _query_log(database, monitor, settings)
    audit = _audit(database)
    export_register = ExportRegister(database.owner) if database.owner is not None else MemoryRegister()
    runner = Runner(database, cache, monitor)
    as_table_owner = _as_table_owner(application_url) if application_url is not None else None
    services = Services(
        settings=settings,
        database=database,
        cache=cache,
        monitor=monitor,
        runner=runner,
        plan_keeper=_plan_keeper(database, monitor),
        advisor=Advisor(database, monitor, as_table_owner),
        export_register=export_register,
        exporter=Exporter(
            lambda job, export_id: _run_of(services, job, export_id),
            AuditedRegister(export_register, audit),
            lambda: _links(settings),
            at_once=settings.exports_at_once,
        ),
        index_changes=IndexChanges(runner, as_table_owner) if as_table_owner and database.owner is not None else None,
        query_log=query_log,
        audit=audit,
        notebook=Notebook(database.owner) if database.owner is not None else None,
        refresher=_refresher(database, settings),
        snapshots=_snapshots(database, settings),
        closer=_closer(database, settings),
        admission=admission(settings, database.owner),
        is_demo=is_demo,
        dataset=dataset,
        closers=closers,
    )
    monitor.add_gauges(lambda: _gauges(services))
    return services


_current: Services | None = None


def install(services: Services | None) -> None:
    """Make these the services of this process."""
    global _current
    _current = services


def installed() -> Services | None:
    return _current


def current() -> Services:
    """The services of this process; built from the environment when the program was not started by its command line."""
    if _current is None:
        install(build(load_settings()))
    assert _current is not None, "services were installed"
    return _current


@functools.cache
def code_version() -> str:
    """A digest of the query module's sources: part of every cache key, so that another release's answers in Redis are
    not taken for this one's."""
    sources = sorted(Path(queries.__file__).parent.rglob("*.py"))
    return hashlib.blake2b(b"".join(one.read_bytes() for one in sources), digest_size=6).hexdigest()


def _query_log(database: Database, monitor: Monitor, settings: Settings) -> QueryLog | None:
    if database.owner is None:
        return None
    query_log = QueryLog(database.owner, keep_days=settings.query_log_days, plan_hash=monitor.plan_hash)
    query_log.start()
    monitor.add_sink(query_log.add)
    return query_log


def _audit(database: Database) -> Audit | None:
    if database.owner is None:
        return None
    audit = Audit(database.owner)
    audit.start()
    return audit


def _unkept(audit: Audit | None) -> list[str]:
    if audit is None or not audit.dropped:
        return []
    return [
        f"The audit lacks what was done {audit.dropped:,} times since this server started: it could not be written."
        " The server's log has each of them."
    ]


def _as_table_owner(url: SecretStr) -> Callable[[], psycopg.Connection[Any]]:
    """Connects as the owner of the application's tables; each statement is a transaction of its own."""

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            url.get_secret_value(), autocommit=True, connect_timeout=5, application_name="usage-dashboard indexes"
        )

    return connect


def _links(settings: Settings) -> Links:
    # Importing it starts Streamlit's configuration, which no command of the command line needs.
    from streamlit.web.server.server_util import get_cookie_secret

    return Links(get_cookie_secret(), lasts_s=settings.export_link_s)


def _run_of(services: Services, job: Job, export_id: str) -> Run:
    from dashboard.exports.making import export_of  # which asks for the services itself

    return export_of(services, job, export_id)


def _plan_keeper(database: Database, monitor: Monitor) -> PlanKeeper:
    keeper = PlanKeeper(database, monitor)
    keeper.start()
    monitor.add_sink(keeper.add)
    return keeper


def _refresher(database: Database, settings: Settings) -> Refresher | None:
    """It starts with the server; a command that only asks questions leaves the aggregates as they are."""
    if database.owner is None or not settings.aggregate_refresh_s:
        return None
    return Refresher(
        database.owner, database.mapping, every_s=settings.aggregate_refresh_s, refreshed=database.look_again
    )


def _snapshots(database: Database, settings: Settings) -> SnapshotTaker | None:
    """It starts with the server, like the refresher."""
    if database.owner is None:
        return None
    return SnapshotTaker(database.owner, database.mapping, zone=settings.reporting_zone)


def _closer(database: Database, settings: Settings) -> Closer | None:
    if database.owner is None:
        return None
    return Closer(
        database.owner,
        database.mapping,
        zone=settings.reporting_zone,
        grace_h=settings.close_grace_h,
        timeout_s=settings.export_timeout_s,
    )


def _gauges(services: Services) -> Mapping[str, tuple[str, float]]:
    pool = services.database.pool_use()
    query_log = services.query_log
    return {
        "usage_dashboard_pool_connections_in_use": ("Reading connections in use.", pool.in_use),
        "usage_dashboard_pool_connections": ("Reading connections that may be open.", pool.size),
        "usage_dashboard_cache_bytes": ("Bytes of results kept in this process.", services.cache.nbytes),
        "usage_dashboard_cache_entries": ("Results kept in this process.", services.cache.entries),
        "usage_dashboard_redis_up": ("1 when Redis is set and answers.", float(services.cache.redis_state == "up")),
        "usage_dashboard_query_log_dropped_records": (
            "Query log records dropped because the queue was full.",
            query_log.dropped if query_log is not None else 0,
        ),
        "usage_dashboard_audit_dropped_records": (
            "Audit records that could not be kept; each stands in the log.",
            services.audit.dropped if services.audit is not None else 0,
        ),
    }
