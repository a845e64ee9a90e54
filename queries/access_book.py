"""The rules as this process knows them: read again every few seconds, so that who is removed is out within a minute.

They come from the table `usage_dashboard.access` or from a file. What cannot be read again in time is not believed any
longer: then nobody sees anything until it can.
"""

from __future__ import annotations

import logging
import threading
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from queries.access import Grant, Identity, Rule, checked, matching, read_rules
from queries.errors import (
    ArgumentError,
    DatabaseUnavailableError,
    NotFoundError,
    SettingsError,
    UsageDashboardError,
    translated,
)
from queries.tables import OUR_SCHEMA

log = logging.getLogger(__name__)

REREAD_S = 10.0
# While the database is away, what was read before is believed for so long.
BELIEVED_S = 45.0
# A failed reading is not tried again by everybody at once.
_RETRY_S = 1.0
_TIMEOUT_MS = 5_000
_MOST_ENDED, _MOST_KNOWN, _MOST_PEOPLE = 20_000, 10_000, 1_000

_ACCESS = sa.table(
    "access",
    sa.column("id", sa.BigInteger),
    *(sa.column(name, sa.Text) for name in ("kind", "subject", "role", "created_by")),
    sa.column("tenants", postgresql.ARRAY(sa.Text)),
    sa.column("may_read_prompts", sa.Boolean),
    sa.column("created_at", sa.TIMESTAMP(timezone=True)),
    schema=OUR_SCHEMA,
)
_ENDED = sa.table(
    "ended_sign_in",
    sa.column("sign_in", sa.Text),
    sa.column("ended_at", sa.TIMESTAMP(timezone=True)),
    schema=OUR_SCHEMA,
)


class Rules(Protocol):
    """Where rules are kept. Only errors of queries.errors are raised."""

    def read(self) -> Sequence[Rule]: ...
    def ended(self, within_s: float) -> frozenset[str]:
        """The sign-ins that were ended within this time, by any process that shares these rules."""

    def end(self, sign_in: str) -> None:
        """Remember that this sign-in has ended."""


class NoRules:
    """No rules but those that the settings name."""

    def read(self) -> Sequence[Rule]:
        return []

    def ended(self, within_s: float) -> frozenset[str]:  # noqa: ARG002 - as Rules has it
        return frozenset()

    def end(self, sign_in: str) -> None:
        pass


class RuleFile(NoRules):
    """Rules in a TOML file, see `queries.access.read_rules`. What has ended is known to this process only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Sequence[Rule]:
        try:
            return read_rules(tomllib.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise SettingsError(f"ACCESS_FILE cannot be read ({reason}); correct the file {self.path.name}") from None
        except ArgumentError as error:
            raise SettingsError(f"ACCESS_FILE is not accepted: {error.message}") from None


class RuleTable:
    """Rules in the table `usage_dashboard.access`, through the owner's engine. Safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def read(self) -> Sequence[Rule]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_ACCESS).order_by(_ACCESS.c.id)).mappings().all()
        return [one for row in rows if (one := _rule(row)) is not None]

    def ended(self, within_s: float) -> frozenset[str]:
        since = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, within_s)
        asked = sa.select(_ENDED.c.sign_in).where(_ENDED.c.ended_at > since).limit(_MOST_ENDED)
        with self._transaction() as connection:
            return frozenset(connection.scalars(asked))

    def end(self, sign_in: str) -> None:
        insert = postgresql.insert(_ENDED).values(sign_in=sign_in).on_conflict_do_nothing()
        # Longer than any sign-in lasts, there is nothing to remember.
        old = sa.delete(_ENDED).where(_ENDED.c.ended_at < sa.func.now() - sa.func.make_interval(0, 0, 0, 31))
        with self._transaction() as connection:
            connection.execute(insert)
            connection.execute(old)

    def add(self, rule: Rule, *, by: str) -> int:
        """Keep a rule; its id. ArgumentError when there is one of this subject and role already."""
        values = {
            "kind": rule.kind,
            "subject": rule.subject,
            "role": rule.role,
            "tenants": None if rule.tenants is None else list(rule.tenants),
            "may_read_prompts": rule.may_read_prompts,
            "created_by": by,
        }
        kept = postgresql.insert(_ACCESS).values(values).on_conflict_do_nothing().returning(_ACCESS.c.id)
        with self._transaction() as connection:
            made = connection.scalar(kept)
        if made is None:
            raise ArgumentError(f"{rule.subject} has this role already; change the row that is there")
        return int(made)

    def change(self, rule_id: int, *, tenants: Iterable[str] | None, may_read_prompts: bool, by: str) -> Rule:
        """Give a rule other tenants or rights; as it is now. NotFoundError when somebody has removed it."""
        with self._transaction() as connection:
            row = connection.execute(sa.select(_ACCESS).where(_ACCESS.c.id == rule_id)).mappings().first()
            if row is None:
                raise _gone()
            rule = checked(
                kind=row["kind"],
                subject=row["subject"],
                role=row["role"],
                tenants=tenants,
                may_read_prompts=may_read_prompts,
            )
            ids = None if rule.tenants is None else list(rule.tenants)
            values = {"tenants": ids, "may_read_prompts": rule.may_read_prompts, "created_by": by}
            connection.execute(
                sa.update(_ACCESS).where(_ACCESS.c.id == rule_id).values(**values, created_at=sa.func.now())
            )
        return rule

    def remove(self, rule_id: int, *, others: int = 0) -> Rule:
        """Take a rule away; as it was. Without `others`, administrators that no rule makes, the last one's stays:
        ArgumentError."""
        with self._transaction() as connection:
            # Two administrators who remove each other at once: one of them waits, and is told.
            connection.exec_driver_sql(f"LOCK TABLE {OUR_SCHEMA}.access IN SHARE ROW EXCLUSIVE MODE")
            row = connection.execute(sa.delete(_ACCESS).where(_ACCESS.c.id == rule_id).returning(_ACCESS)).mappings()
            gone = row.first()
            if gone is None:
                raise _gone()
            administrators = sa.select(sa.func.count()).select_from(_ACCESS).where(_ACCESS.c.role == "admin")
            if gone["role"] == "admin" and not others and not connection.scalar(administrators):
                raise ArgumentError("this is the last administrator; give somebody else the role first")
        return checked(
            kind=gone["kind"],
            subject=gone["subject"],
            role=gone["role"],
            tenants=gone["tenants"],
            may_read_prompts=gone["may_read_prompts"],
        )

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.select(sa.func.set_config("statement_timeout", str(_TIMEOUT_MS), True)))
                yield connection
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise translated(error, timeout_s=_TIMEOUT_MS / 1000) from error


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read at one time."""

    at: float
    rules: tuple[Rule, ...]
    ended: frozenset[str]


class AccessBook:
    """Rules and ended sign-ins, at most `REREAD_S` old. Safe to share between threads."""

    def __init__(
        self,
        source: Rules,
        always: Sequence[Rule] = (),
        *,
        remembers_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self._always, self._remembers_s, self._clock = source, tuple(always), remembers_s, clock
        self._read: _Read | None = None
        self._failure: UsageDashboardError | None = None
        self._failed_at = float("-inf")
        # What this process has ended is known at once, whatever the table says.
        self._ended_here: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._grants: dict[tuple[str, frozenset[str]], tuple[Grant, ...]] = {}
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    @property
    def administrators(self) -> int:
        """How many administrators the settings name."""
        return sum(one.role == "admin" for one in self._always)

    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, those of the settings first. An error of queries.errors when they cannot be known."""
        return self._fresh().rules

    def grants(self, who: Identity) -> tuple[Grant, ...]:
        """The roles of this person now; none when nobody has given them one."""
        read = self._fresh()
        key = (who.email, who.groups)
        with self._lock:
            found = self._grants.get(key) if self._read is read else None
        if found is None:
            found = tuple(dict.fromkeys(one.grant for one in matching(read.rules, who)))
            with self._lock:
                if self._read is read and len(self._grants) < _MOST_PEOPLE:
                    self._grants[key] = found
        return found

    def has_ended(self, who: Identity) -> bool:
        """Whether this sign-in was ended by its person, here or in another process."""
        with self._lock:
            if who.sign_in in self._ended_here:
                return True
        return who.sign_in in self._fresh().ended

    def end(self, who: Identity) -> bool:
        """End this sign-in for good; False when it had ended before, or is not ours to end. What cannot be written down
        counts here."""
        with self._lock:
            if not who.sign_in or who.sign_in in self._ended_here:
                return False
            self._ended_here[who.sign_in] = None
            while len(self._ended_here) > _MOST_ENDED:
                self._ended_here.popitem(last=False)
        try:
            self.source.end(who.sign_in)
        except UsageDashboardError as error:
            log.warning("a sign-out is known to this process only: %s", error.message)
        return True

    def is_new(self, who: Identity, what: str = "") -> bool:
        """Whether this process sees that of this sign-in for the first time; True once."""
        seen = f"{who.digest} {what}"
        with self._lock:
            if seen in self._known:
                self._known.move_to_end(seen)
                return False
            self._known[seen] = None
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return True

    def forget(self) -> None:
        """Read the rules again at the next question: they were changed here."""
        with self._lock:
            self._read, self._failed_at = None, float("-inf")
            self._grants.clear()

    def _fresh(self) -> _Read:
        read = self._in_time()
        if read is not None:
            return read
        with self._reading:
            return self._in_time() or self._read_again()

    def _in_time(self) -> _Read | None:
        with self._lock:
            read = self._read
            return read if read is not None and self._clock() - read.at < REREAD_S else None

    def _read_again(self) -> _Read:
        if self._failure is not None and self._clock() - self._failed_at < _RETRY_S:
            return self._believed(self._failure)
        # The time before the reading: what is changed meanwhile is read again in time.
        at = self._clock()
        try:
            rules = tuple(dict.fromkeys((*self._always, *self.source.read())))
            ended = self.source.ended(self._remembers_s)
        except UsageDashboardError as error:
            self._failure, self._failed_at = _unknown(error), self._clock()
            log.warning("who may see what cannot be read: %s", error.message)
            return self._believed(self._failure)
        self._failure = None
        read = _Read(at, rules, ended)
        with self._lock:
            self._read = read
            self._grants.clear()
        return read

    def _believed(self, failure: UsageDashboardError) -> _Read:
        """What was read before, for a while, when only the database is away; else the failure is raised."""
        with self._lock:
            read = self._read
        is_away = isinstance(failure, DatabaseUnavailableError)
        if read is None or not is_away or self._clock() - read.at >= BELIEVED_S:
            raise failure.again()
        return read


def _unknown(error: UsageDashboardError) -> UsageDashboardError:
    """In words that leak nothing to somebody who may have no role any more."""
    if isinstance(error, DatabaseUnavailableError):
        return DatabaseUnavailableError("who may see what cannot be read just now; the page tries again by itself")
    return SettingsError("who may see what cannot be read; whoever runs this server finds the reason in its log")


def _rule(row: Any) -> Rule | None:
    """A row as a rule. One that somebody wrote by hand, and that cannot be, gives nothing to anybody."""
    try:
        rule = checked(
            kind=row["kind"],
            subject=row["subject"],
            role=row["role"],
            tenants=row["tenants"],
            may_read_prompts=row["may_read_prompts"],
        )
    except ArgumentError as error:
        log.warning("row %s of usage_dashboard.access gives nothing: %s", row["id"], error.message)
        return None
    return Rule(
        rule.kind,
        rule.subject,
        rule.role,
        rule.tenants,
        rule.may_read_prompts,
        id=int(row["id"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def _gone() -> NotFoundError:
    return NotFoundError("this row is not there any more; look at the list again")
