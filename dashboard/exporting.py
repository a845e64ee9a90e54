"""Exports on their way: whose turn it is, how far each is, and what became of it. At most a set number run at once.

A job is `waiting` for its turn, then `ready` for its browser to fetch it, then `running`; it ends as `done`, `failed`,
`left` (the reader went away), `stopped` (by its person) or `dropped` (nobody came for it).
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from dashboard.export_links import AGAIN, Links, Person, RefusedError
from queries.access import Identity
from queries.errors import UsageDashboardError, translated
from queries.export_register import Register
from queries.exports.manifest import Manifest
from queries.exports.reports import Order

log = logging.getLogger(__name__)

State = Literal["waiting", "ready", "running", "done", "failed", "left", "stopped", "dropped"]
ENDED: frozenset[State] = frozenset({"done", "failed", "left", "stopped", "dropped"})

# Who has a turn fetches the file by itself; one whose page is gone does not, and would hold up the others.
FETCHED_WITHIN_S = 20.0
# A page that shows a waiting job asks after it about once a second.
ASKED_AFTER_WITHIN_S = 30.0
# What one browser may have waiting. Turns go round by browser: one's second waits behind all others' first.
MOST_OF_ONE = 25
_KEPT_JOBS, _KEPT_S = 500, 3600.0

Write = Callable[[bytes], None]


class ReaderLeftError(Exception):
    """Raised inside the copy when nobody takes the bytes any more."""

    def __init__(self, reason: str = "the reader went away before the file was complete") -> None:
        super().__init__(reason)
        self.reason = reason


class Run(Protocol):
    """One file being made, see `queries.exports.copying.Export`."""

    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    def run(self, write: Write) -> Manifest: ...
    def cancel(self) -> None:
        """End the run soon; returns at once."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """What the page said of the file before it was asked for."""

    rows: int
    sums: Mapping[str, str]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Earlier:
    """The file that is fetched again: what the register says of it."""

    asked_at: datetime
    sha256: str
    status: str
    rows: int
    sums: Mapping[str, str]


@dataclass(eq=False)
class Job:
    """One order of one person, and, where people sign in, who that is. Written by the exporter only."""

    order: Order
    person: Person
    visit: str = ""
    identity: Identity | None = field(default=None, repr=False)
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = "waiting"
    reason: str = ""
    manifest: Manifest | None = None
    register_id: str | None = None
    previewed: Previewed | None = None
    earlier: Earlier | None = None
    export: Run | None = field(default=None, repr=False)
    shut: Callable[[], None] = field(default=lambda: None, repr=False)
    is_fetched: bool = False
    is_streaming: bool = False
    looked_at: float = field(default_factory=lambda: time.monotonic())
    ready_at: float = 0.0
    ended_at: float = 0.0

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self.export.rows if self.export is not None else 0

    @property
    def bytes(self) -> int:
        return self.export.bytes if self.export is not None else 0

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def asked(self) -> dict[str, str]:
        """What the link to this job is signed for."""
        order = self.order
        return {
            "report": order.report,
            "from": str(order.first or ""),
            "to": str(order.last or ""),
            "zone": order.zone,
            "format": order.format,
            "dialect": order.dialect,
            "guarded": str(order.guarded),
            "prompts": str(order.with_prompts),
            "scope": order.scope.digest,
        }


class Exporter:
    """The jobs of this process. Safe to share between threads."""

    def __init__(
        self, make: Callable[[Job, str], Run], register: Register, links: Callable[[], Links], *, at_once: int
    ) -> None:
        self._make, self._register, self._links_of, self._at_once = make, register, links, at_once
        self._links: Links | None = None
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._inside: set[Job] = set()
        self._lock = threading.RLock()
        self._is_closed = False

    @property
    def links(self) -> Links:
        with self._lock:
            if self._links is None:
                self._links = self._links_of()
            return self._links

    def order(
        self,
        order: Order,
        person: Person,
        previewed: Previewed | None = None,
        earlier: Earlier | None = None,
        identity: Identity | None = None,
    ) -> Job:
        """Take a place in the queue. RefusedError for somebody who has many jobs there already."""
        job = Job(order, person, self.links.visit(person.browser), identity, previewed=previewed, earlier=earlier)
        with self._lock:
            own = sum(not one.has_ended and one.person.browser == person.browser for one in self._jobs.values())
            if own >= MOST_OF_ONE:
                raise RefusedError(429, f"You have {own} exports under way. Wait for one of them, or stop one.")
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._forget_old()
            self._advance()
        return job

    def address(self, job: Job) -> str:
        """Where this job's person fetches the file; good for a short time, in their browser only. RefusedError once
        they have signed out."""
        if not self._is_of_this_visit(job):
            raise RefusedError(403, f"This export was asked for before its owner signed out or changed role. {AGAIN}")
        return self.links.address(job.person, job.id, job.asked, visit=job.visit)

    def opened(self, token: str, browser: str | None, *, who: str = "", longer_s: float = 0.0) -> Job:
        """The job that a link leads to. RefusedError when this browser, or who has signed in in it, may not have it."""
        person, ticket, asked = self.links.opened(token, browser, longer_s=longer_s)
        if not secrets.compare_digest(who, person.who):
            raise RefusedError(403, f"This link was made for somebody else, or before you signed in anew. {AGAIN}")
        with self._lock:
            job = self._jobs.get(ticket)
        if job is None or job.person != person or job.asked != dict(asked):
            raise RefusedError(410, f"This export is not known any more. {AGAIN}")
        return job

    def jobs_of(self, browser: str) -> list[Job]:
        """The jobs of a browser since somebody last signed out there, newest first; whoever looks at them waits for
        them."""
        with self._lock:
            found = [
                one
                for one in reversed(self._jobs.values())
                if one.person.browser == browser and self._is_of_this_visit(one)
            ]
            for one in found:
                one.looked_at = time.monotonic()
            self._advance()
        return found

    def ahead_of(self, job: Job) -> int:
        """How many wait before this one, those that run not counted."""
        with self._lock:
            self._advance()
            return self._in_order().index(job) if job in self._waiting else 0

    @property
    def running(self) -> int:
        with self._lock:
            return len(self._inside)

    def fetch(self, job: Job) -> None:
        """The browser has come for the file. RefusedError when it was fetched, or has ended."""
        with self._lock:
            self._advance()
            if job.has_ended or job.is_fetched:
                raise RefusedError(410, _why_not(job))
            job.is_fetched = True

    def has_turn(self, job: Job) -> bool:
        """Whether a fetched job may begin; RefusedError when it was stopped while it waited."""
        with self._lock:
            job.looked_at = time.monotonic()
            self._advance()
            if job.has_ended:
                raise RefusedError(410, _why_not(job))
            return job.state == "ready"

    def stream(
        self, job: Job, write: Write, drained: Callable[[], None], shut: Callable[[], None] = lambda: None
    ) -> None:
        """Make the file in the calling thread; `drained` waits until the reader has taken all of it. An error is
        raised, and never written. `shut` is called, from another thread, when the job is stopped: `write` must not
        wait any longer."""
        with self._lock:
            if job.state != "ready":
                raise RefusedError(410, _why_not(job))
            job.state, job.is_streaming, job.shut = "running", True, shut
        try:
            self._stream(job, write, drained)
        finally:
            with self._lock:
                # Only now: a run that was stopped may still hold its COPY.
                job.is_streaming = False
                self._inside.discard(job)
                self._advance()

    def _stream(self, job: Job, write: Write, drained: Callable[[], None]) -> None:
        try:
            job.register_id = self._register.begin(job.order, by=job.person.name, role=job.person.role)
            job.export = self._make(job, job.register_id)
            if job.has_ended:  # stopped meanwhile
                raise ReaderLeftError
            manifest = job.export.run(write)
            drained()
            self._register.finish(job.register_id, manifest)
            job.manifest = manifest
            self._end(job, "done", "")
        except BaseException as error:
            self._failed(job, error)
            raise

    def leave(self, job: Job, why: ReaderLeftError | None = None) -> None:
        """The reader is gone: nothing goes on for them."""
        self._cancel(job, "left", (why or ReaderLeftError()).reason)

    def stop(self, job: Job) -> None:
        """Its person does not want it any more."""
        self._cancel(job, "stopped", f"stopped by {job.person.name}")

    def sign_out(self, browser: str) -> None:
        """Nothing that was asked for in this browser goes on, and no link that it was given is good any more."""
        self.links.revoke(browser)
        with self._lock:
            jobs = [one for one in self._jobs.values() if one.person.browser == browser and not one.has_ended]
        for job in jobs:
            self._cancel(job, "stopped", f"{job.person.name} signed out or changed role")

    def sign_out_of(self, identity: Identity) -> None:
        """The same for a person at one sign-in, in whichever browser."""
        with self._lock:
            jobs = [one for one in self._jobs.values() if one.person.who == identity.digest and not one.has_ended]
        for job in jobs:
            self._cancel(job, "stopped", f"{job.person.name} signed out")

    def forbid(self, job: Job, reason: str) -> None:
        """Its person may not have it any more."""
        self._cancel(job, "stopped", reason)

    def close(self) -> None:
        """End all that runs; nothing begins any more."""
        with self._lock:
            self._is_closed = True
            jobs = [one for one in self._jobs.values() if not one.has_ended]
        for job in jobs:
            self._cancel(job, "failed", "the server was stopped")

    def _failed(self, job: Job, error: BaseException) -> None:
        """Written down as it ended: whoever cancelled the copy has said why."""
        if not job.has_ended:
            if isinstance(error, ReaderLeftError):
                self._end(job, "left", error.reason)
            else:
                known = translated(error)
                defect = None if isinstance(error, UsageDashboardError) else error
                log.warning(
                    "export %s failed, reference %s: %s", job.id, known.reference, known.message, exc_info=defect
                )
                self._end(job, "failed", f"{known.message} (reference {known.reference})")
        if job.register_id is None:
            return
        try:
            self._register.fail(job.register_id, "failed" if job.state == "failed" else "left", job.reason)
        except UsageDashboardError as unwritten:
            log.warning("the register does not say how export %s ended: %s", job.id, unwritten.message)

    def _cancel(self, job: Job, state: State, reason: str) -> None:
        with self._lock:
            if job.has_ended:
                return
            self._end(job, state, reason)
            export, shut = job.export, job.shut
        shut()
        if export is not None:
            export.cancel()

    def _end(self, job: Job, state: State, reason: str) -> None:
        with self._lock:
            job.state, job.reason, job.ended_at = state, reason, time.monotonic()
            if not job.is_streaming:
                self._inside.discard(job)
            if job in self._waiting:
                self._waiting.remove(job)
            self._advance()

    def _advance(self) -> None:
        """Give turns to those in front; drop those that nobody comes for."""
        now = time.monotonic()
        for job in [one for one in self._inside if one.state == "ready" and not one.is_fetched]:
            if now - job.ready_at > FETCHED_WITHIN_S:
                self._inside.discard(job)
                job.state, job.ended_at = "dropped", now
                job.reason = f"the browser did not come for the file within {FETCHED_WITHIN_S:g} s"
        while self._waiting and len(self._inside) < self._at_once and not self._is_closed:
            job = self._in_order()[0]
            self._waiting.remove(job)
            if now - job.looked_at > ASKED_AFTER_WITHIN_S:
                job.state, job.ended_at = "dropped", now
                job.reason = "the page that waited for it was closed"
                continue
            job.state, job.ready_at = "ready", now
            self._inside.add(job)

    def _in_order(self) -> list[Job]:
        """Those that wait, by turn: everybody's first before anybody's second, what a browser has running counted."""
        taken = Counter(one.person.browser for one in self._inside)
        rounds: dict[Job, int] = {}
        for job in self._waiting:
            rounds[job] = taken[job.person.browser]
            taken[job.person.browser] += 1
        return sorted(rounds, key=rounds.__getitem__)

    def _is_of_this_visit(self, job: Job) -> bool:
        return job.visit == self.links.visit(job.person.browser)

    def _forget_old(self) -> None:
        now = time.monotonic()
        ended = [one for one in self._jobs.values() if one.has_ended]
        surplus = len(self._jobs) - _KEPT_JOBS
        for place, job in enumerate(ended):
            if place < surplus or now - job.ended_at > _KEPT_S:
                del self._jobs[job.id]


def _why_not(job: Job) -> str:
    if job.state == "done" or not job.has_ended:
        return f"This link has been used: it gives one file once. {AGAIN}"
    return f"This export has ended: {job.reason}. {AGAIN}"
