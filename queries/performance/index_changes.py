"""Making and dropping an index from a page, and what became of the statements it was for.

Only what was offered (`index_offers`) is applied, by a connection of the tables' owner, which there is only for the
embedded demo; one change at a time, whoever asks. The statements are measured before and after.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from queries.performance.plans import explain
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
_ROUNDS = 3

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
    plan_before: str | None = None
    plan_after: str | None = None

    @property
    def is_faster(self) -> bool:
        return self._differs and _is_faster(self.before, self.after)

    @property
    def is_slower(self) -> bool:
        return self._differs and _is_faster(self.after, self.before)

    @property
    def _differs(self) -> bool:
        """Under the same plan, other times are chance."""
        return self.plan_before is None or self.plan_before != self.plan_after

    def as_json(self) -> dict[str, Any]:
        times = {"logged": self.logged, "before": self.before, "after": self.after}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "plan_before": self.plan_before,
            "plan_after": self.plan_after,
            **{key: one.as_json() if one is not None else None for key, one in times.items()},
        }

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Measured:
        logged, before, after = (
            Times.of(kept[key]) if kept.get(key) else None for key in ("logged", "before", "after")
        )
        made = cls(str(kept.get("name", "")), kept.get("fingerprint"), logged, before, after)
        return replace(made, plan_before=kept.get("plan_before"), plan_after=kept.get("plan_after"))


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
            plan = explain(self._database, question).plan_hash
            found.append(Measured(question.name, statement, self._logged(statement), times, plan_before=plan))
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
        """The same measured again; once more where something seems slower, in case others kept the machine busy."""
        found = job.measured
        for _ in range(_ROUNDS):
            again = self._measured(job.offer, connection)
            found = tuple(_with_after(one, two) for one, two in zip(found, again, strict=True))
            if not any(one.is_slower for one in found):
                break
        return found

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
    """What came of it: whether to keep it so, and each statement's times; the one that changed most first."""
    helped = has_helped(action, measured)
    if helped is None:
        return "No statement of ours uses it, so nothing was measured."
    said = {
        ("create", True): "Confirmed",
        ("create", False): "It did not help: drop it",
        ("drop", True): "Confirmed, nothing is lost",
        ("drop", False): "Statements are slower: make it again",
    }[action, helped]
    told = sorted((one for one in measured if one.before and one.after), key=_gain, reverse=action == "create")
    return f"{said}. {'; '.join(f'{one.name}: {_told(one)}' for one in told)}."


def has_helped(action: str, measured: Sequence[Measured]) -> bool | None:
    """Whether to keep it so; None when nothing was measured."""
    known = [one for one in measured if one.before and one.after]
    if not known:
        return None
    # One statement may lose a little of what another gains: the sum decides.
    gained_ms = sum(_gain(one) for one in known if one.is_faster or one.is_slower)
    return gained_ms > 0 if action == "create" else gained_ms >= 0


def _with_after(one: Measured, again: Measured) -> Measured:
    quicker = [times for times in (one.after, again.before) if times is not None]
    after = min(quicker, key=lambda times: times.p50_ms, default=None)
    return replace(one, after=after, plan_after=again.plan_before)


def _told(one: Measured) -> str:
    assert one.before is not None, "it was measured before"
    assert one.after is not None, "and afterwards"
    times = f"{_ms(one.before.p50_ms)} to {_ms(one.after.p50_ms)} ms"
    if one.is_faster or one.is_slower:
        return f"{times}{', slower' if one.is_slower else ''}"
    return f"{times}, as before" if one._differs else f"{times}, by the same plan"


def _gain(one: Measured) -> float:
    return one.before.p50_ms - one.after.p50_ms if one.before and one.after else 0.0


def _is_faster(before: Times | None, after: Times | None) -> bool:
    if before is None or after is None:
        return False
    return after.p50_ms < 0.8 * before.p50_ms and before.p50_ms - after.p50_ms > _NOISE_MS


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
