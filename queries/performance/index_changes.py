"""Making and dropping an index from a page, and what became of the statements it was for.

Only what was offered (`index_offers`) is applied, by a connection of the tables' owner, which there is only for the
embedded demo; one change at a time, whoever asks. The statements are measured before and after.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

from queries.errors import ArgumentError, UsageDashboardError, translated
from queries.performance.catalog_reading import reading
from queries.performance.index_offers import Offer, Offers
from queries.performance.log_reading import statement_times
from queries.performance.measuring import Times, measure_lookup, measure_question
from queries.performance.monitor import fingerprint, utc_now
from queries.runner import Runner
from queries.tables import OUR_SCHEMA

log = logging.getLogger(__name__)

State = Literal["measuring", "changing", "confirming", "done", "failed"]
_LOCK_NUMBER = 7_135_480_112_937  # an advisory lock of ours: one change at a time, over all processes
_LOCK_WAIT_S, _LONGEST_S = 60, 900
_LOGGED_BEFORE = timedelta(days=7)
_LISTED = 20
# A statement that takes less time than this differs by chance.
_NOISE_MS = 0.3

_CHANGE = sa.table(
    "index_change",
    sa.column("id", sa.BigInteger),
    *(sa.column(name, sa.Text) for name in ("index_name", "ddl", "action", "changed_by")),
    sa.column("before", JSONB),
    sa.column("changed_at", sa.TIMESTAMP(timezone=True)),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One statement that an index is for: its times as logged and as measured, before and after."""

    name: str
    fingerprint: str | None
    logged: Times | None
    before: Times | None
    after: Times | None = None

    def as_json(self) -> dict[str, Any]:
        times = {"logged": self.logged, "before": self.before, "after": self.after}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            **{key: one.as_json() if one is not None else None for key, one in times.items()},
        }

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Measured:
        times = {key: Times.of(kept[key]) if kept.get(key) else None for key in ("logged", "before", "after")}
        return cls(str(kept.get("name", "")), kept.get("fingerprint"), **times)


@dataclass(frozen=True, slots=True)
class Change:
    """An index that was made or dropped from here, and what came of it."""

    id: int
    index_name: str
    ddl: str
    action: str
    measured: tuple[Measured, ...]
    changed_at: datetime
    changed_by: str


@dataclass(slots=True)
class Job:
    """One change under way, or the last one."""

    offer: Offer
    by: str
    started_at: datetime
    state: State = "measuring"
    sentence: str = ""
    pid: int | None = None
    measured: tuple[Measured, ...] = ()
    ended: threading.Event = field(default_factory=threading.Event, repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far PostgreSQL is with it."""

    phase: str
    share: float | None


class IndexChanges:
    """Applies what was offered. Safe to share between threads; `close` cancels what runs."""

    def __init__(self, runner: Runner, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        assert runner.database.owner is not None, "what is changed is written down"
        self.offers = Offers()
        self._runner, self._database, self._owner = runner, runner.database, runner.database.owner
        self._connect = connect
        self._lock = threading.Lock()
        self._running: psycopg.Connection[Any] | None = None
        self.job: Job | None = None

    def start(self, token: str, by: str) -> Job:
        """Begin a change that was offered; ArgumentError while another one runs."""
        offer = self.offers.of(token)
        with self._lock:
            if self.job is not None and not self.job.ended.is_set():
                raise ArgumentError(
                    f"{self.job.by} is changing {self.job.offer.index_name} now; wait until that has ended"
                )
            job = self.job = Job(offer, by, utc_now())
        threading.Thread(target=self._work, args=(job,), name="index-change", daemon=True).start()
        return job

    def progress(self) -> Progress | None:
        """How far the running change is; None when PostgreSQL does not say."""
        job = self.job
        if job is None or job.pid is None or job.state != "changing":
            return None
        with reading(self._database) as connection:
            found = connection.execute(_PROGRESS, [job.pid]).fetchone()
        return Progress(str(found[0]), None if found[1] is None else float(found[1])) if found is not None else None

    def changes(self) -> list[Change]:
        """The newest changes, newest first."""
        statement = sa.select(_CHANGE).order_by(_CHANGE.c.id.desc()).limit(_LISTED)
        try:
            with self._owner.connect() as connection:
                rows = connection.execute(statement).mappings().all()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise translated(error) from error
        return [
            Change(
                id=row["id"],
                index_name=row["index_name"],
                ddl=row["ddl"],
                action=row["action"],
                measured=tuple(Measured.of(one) for one in row["before"]),
                changed_at=row["changed_at"],
                changed_by=row["changed_by"],
            )
            for row in rows
        ]

    def close(self) -> None:
        running = self._running
        if running is not None:
            running.cancel_safe(timeout=1.0)

    # ---- one change

    def _work(self, job: Job) -> None:
        try:
            self._apply(job)
        except UsageDashboardError as error:
            job.state, job.sentence = "failed", error.message
            log.warning("index change %s failed: %s", job.offer.index_name, error.message)
        except Exception as error:  # the page must hear of it, whatever it is
            ours = translated(error)
            job.state, job.sentence = "failed", ours.message
            log.exception("index change %s failed, reference %s", job.offer.index_name, ours.reference)
        finally:
            self._running = None
            job.ended.set()

    def _apply(self, job: Job) -> None:
        with self._connect() as connection:
            self._running = connection
            job.pid = connection.info.backend_pid
            _refuse_two(connection)
            standing = _standing(connection, job.offer)
            if (said := _done_already(job.offer, standing)) is not None:
                job.state, job.sentence = "done", said
                return
            job.measured = self._measured(job.offer, connection)
            job.state = "changing"
            _change(connection, job.offer, is_left_over=standing is False)
            row = self._write_down(job)
            job.state = "confirming"
            job.measured = self._confirmed(job, connection)
            self._complete(row, job.measured)
        job.state, job.sentence = "done", verdict(job.offer.action, job.measured)
        log.info("index %s: %s by %s: %s", job.offer.index_name, job.offer.action, job.by, job.sentence)

    def _measured(self, offer: Offer, connection: psycopg.Connection[Any]) -> tuple[Measured, ...]:
        found = []
        for question in offer.questions:
            times, sent = measure_question(self._runner, question)
            statement = fingerprint(sent)
            found.append(Measured(question.name, statement, self._logged(statement), times))
        if offer.lookup is not None:
            found.append(Measured(offer.lookup.name, None, None, measure_lookup(connection, offer.lookup)))
        return tuple(found)

    def _logged(self, statement: str | None) -> Times | None:
        if statement is None:
            return None
        now = utc_now()
        times = statement_times(self._database, self._runner.monitor, [statement], now - _LOGGED_BEFORE, now)
        return Times(*times[statement]) if statement in times else None

    def _confirmed(self, job: Job, connection: psycopg.Connection[Any]) -> tuple[Measured, ...]:
        after = self._measured(job.offer, connection)
        return tuple(
            Measured(one.name, one.fingerprint, one.logged, one.before, two.before)
            for one, two in zip(job.measured, after, strict=True)
        )

    def _write_down(self, job: Job) -> int:
        values = {
            "index_name": job.offer.index_name,
            "ddl": job.offer.ddl,
            "action": job.offer.action,
            "before": [one.as_json() for one in job.measured],
            "changed_by": job.by,
        }
        with self._owner.begin() as connection:
            return int(connection.scalar(sa.insert(_CHANGE).values(values).returning(_CHANGE.c.id)) or 0)

    def _complete(self, row: int, measured: Sequence[Measured]) -> None:
        with self._owner.begin() as connection:
            connection.execute(
                sa.update(_CHANGE).where(_CHANGE.c.id == row).values(before=[one.as_json() for one in measured])
            )


def verdict(action: str, measured: Sequence[Measured]) -> str:
    """What came of it, in a sentence of its own for each statement; the one that changed most first."""
    known = [(one.name, one.before.p50_ms, one.after.p50_ms) for one in measured if one.before and one.after]
    if not known:
        return "No statement of ours uses it, so nothing was measured."
    told = sorted(known, key=lambda one: one[1] - one[2], reverse=action == "create")
    return "; ".join(f"{name}: {_told(action, before, after)}" for name, before, after in told) + "."


def has_helped(action: str, measured: Sequence[Measured]) -> bool | None:
    """Whether to keep it so; None when nothing was measured."""
    known = [(one.before.p50_ms, one.after.p50_ms) for one in measured if one.before and one.after]
    if not known:
        return None
    faster, slower = any(_is_faster(*one) for one in known), any(_is_faster(two, one) for one, two in known)
    return faster if action == "create" else not slower


def _told(action: str, before: float, after: float) -> str:
    times = f"{_ms(before)} to {_ms(after)} ms"
    if action == "create":
        return f"confirmed, {times}" if _is_faster(before, after) else f"did not help, {times}: drop it"
    return f"slower, {times}: make it again" if _is_faster(after, before) else f"confirmed, nothing lost, {times}"


def _is_faster(before: float, after: float) -> bool:
    return after < 0.8 * before and before - after > _NOISE_MS


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _refuse_two(connection: psycopg.Connection[Any]) -> None:
    held = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_NUMBER]).fetchone()
    if held is None or not held[0]:
        raise ArgumentError("another process is changing an index of this database; wait until that has ended")


def _standing(connection: psycopg.Connection[Any], offer: Offer) -> bool | None:
    """Whether the index is there and valid (True), there and invalid (False), or not there."""
    found = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [offer.qualified_name]
    ).fetchone()
    return bool(found[0]) if found is not None else None


def _done_already(offer: Offer, standing: bool | None) -> str | None:
    if offer.action == "create" and standing:
        return f"{offer.index_name} exists by now; nothing was done."
    if offer.action == "drop" and standing is None:
        return f"{offer.index_name} is gone by now; nothing was done."
    return None


def _change(connection: psycopg.Connection[Any], offer: Offer, *, is_left_over: bool) -> None:
    """Run the statement. What an earlier failure left over goes first; what this one leaves over goes at once."""
    _limit(connection)
    if offer.action == "create" and is_left_over:
        _drop_left_over(connection, offer)
    try:
        connection.execute(sql.SQL(offer.ddl))  # our own advice, parsed when it was offered
    except psycopg.Error as error:
        left = ""
        if offer.action == "create" and not connection.closed and _standing(connection, offer) is False:
            _drop_left_over(connection, offer)
            left = "; what it left over was dropped"
        reason = str(error.diag.message_primary or type(error).__name__)
        raise ArgumentError(f"PostgreSQL did not {offer.action} {offer.index_name}: {reason}{left}") from error


def _limit(connection: psycopg.Connection[Any]) -> None:
    """In our own session only: not to stand in the way of others for longer than this."""
    connection.execute(
        "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
        [f"{_LOCK_WAIT_S}s", f"{_LONGEST_S}s"],
    )


def _drop_left_over(connection: psycopg.Connection[Any], offer: Offer) -> None:
    names = [one for one in (offer.schema, offer.index_name) if one is not None]
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(*names)))


# Of building: tuples while they are loaded, else blocks; waiting has no share.
_PROGRESS = """
SELECT phase, CASE WHEN tuples_total > 0 THEN tuples_done / tuples_total::float8
                   WHEN blocks_total > 0 THEN blocks_done / blocks_total::float8
                   WHEN lockers_total > 0 THEN lockers_done / lockers_total::float8 END
FROM pg_stat_progress_create_index WHERE pid = %s
"""
