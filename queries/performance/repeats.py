"""Statements that one page run sends again and again: a question per row (N+1), or the same question twice.

Source of the rule: Bullet and Scout APM call five or more of the same statement with other parameters in one request an
N+1; the same parameters again mean that a cache is missing. Only what was executed counts: a question that the cache
answered costs nothing and repeats nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

N_PLUS_ONE_EXECUTIONS, N_PLUS_ONE_DISTINCT_PERCENT = 5, 80
DUPLICATE_EXECUTIONS = 2

Kind = Literal["N+1", "duplicate"]


class Executed(Protocol):
    """What the rules look at; an Execution of the monitor has it all."""

    @property
    def query(self) -> str: ...
    @property
    def fingerprint(self) -> str | None: ...
    @property
    def parameters_hash(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def page(self) -> str: ...
    @property
    def asked_by(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ran:
    """An execution as far as the rules look at it: one read from the log."""

    query: str
    fingerprint: str | None
    parameters_hash: str
    outcome: str
    page: str
    asked_by: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A statement that one run sent too often. `asked_by` is the line that asked most of them; `distinct` of the
    `executions` had parameters of their own."""

    kind: Kind
    query: str
    fingerprint: str
    page: str
    asked_by: str
    executions: int
    distinct: int

    @property
    def sentence(self) -> str:
        """What was seen, with its numbers, and what to do."""
        where = f"page {self.page or 'unknown'}, {self.asked_by or 'line unknown'}"
        if self.kind == "N+1":
            return (
                f"N+1: {self.query} ran {self.executions} times in one run, {self.distinct} times with other parameters"
                f" ({where}). Ask once for all of them."
            )
        same = "with the same parameters" if self.distinct == 1 else f"for only {self.distinct} different questions"
        return (
            f"Duplicate: {self.query} ran {self.executions} times in one run {same} ({where}). Ask once and keep the"
            " answer; a cache is missing, too small for it, or passed over."
        )


def repeats(executions: Iterable[Executed]) -> list[Repeat]:
    """The repeats of one page run, N+1 first, then by how often. The executions are of one run."""
    by_statement: dict[str, list[Executed]] = defaultdict(list)
    for one in executions:
        if one.outcome == "miss" and one.fingerprint is not None:
            by_statement[one.fingerprint].append(one)
    found = [
        one for name, ran in by_statement.items() for one in (_n_plus_one(name, ran), _duplicate(name, ran)) if one
    ]
    return sorted(found, key=_worst_first)


def _worst_first(one: Repeat) -> tuple[Any, ...]:
    return one.kind != "N+1", -one.executions, one.query, one.fingerprint


def _n_plus_one(fingerprint: str, ran: Sequence[Executed]) -> Repeat | None:
    distinct = len({one.parameters_hash for one in ran})
    if len(ran) < N_PLUS_ONE_EXECUTIONS or 100 * distinct < N_PLUS_ONE_DISTINCT_PERCENT * len(ran):
        return None
    return _repeat("N+1", fingerprint, ran, distinct)


def _duplicate(fingerprint: str, ran: Sequence[Executed]) -> Repeat | None:
    times = Counter(one.parameters_hash for one in ran)
    again = [one for one in ran if times[one.parameters_hash] >= DUPLICATE_EXECUTIONS]
    return _repeat("duplicate", fingerprint, again, len({one.parameters_hash for one in again})) if again else None


def _repeat(kind: Kind, fingerprint: str, ran: Sequence[Executed], distinct: int) -> Repeat:
    lines = Counter((one.page, one.asked_by, one.query) for one in ran)
    # Of lines that asked equally often the first by name, whatever order they ran in.
    page, asked_by, query = min(lines, key=lambda one: (-lines[one], one))
    return Repeat(kind, query, fingerprint, page, asked_by, len(ran), distinct)
