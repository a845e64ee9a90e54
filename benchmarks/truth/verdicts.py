"""The advice held against the truth: what it says of each statement alone, really built, in the same minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.truth import measuring
from benchmarks.truth.case import Case, Values
from benchmarks.truth.ground import Tenant, TenantKind
from benchmarks.truth.measuring import Connection, Times
from queries.performance.advice import Advice, Statement

Advise = Callable[[Sequence[Statement]], Sequence[Advice]]
# A statement's text, and the definitions of the indexes that were built for it.
Kind = tuple[str, frozenset[str]]

WITHIN = 1.3
IMPROVES = 1.3
# Below this two times of a statement are the same: what a shared machine adds by chance.
FLOOR_MS = 0.2


@dataclass(frozen=True, slots=True)
class Judged:
    """One statement: times per kind of tenant with nothing, with our advice, with the best that was found."""

    case: Case
    none: Mapping[TenantKind, float]
    ours: Mapping[TenantKind, float]
    best: Mapping[TenantKind, float]
    advice: tuple[Advice, ...]
    failure: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(one.verdict for one in self.advice)

    @property
    def ddl(self) -> tuple[str, ...]:
        return tuple(one.ddl for one in self.advice if one.ddl)

    @property
    def is_right_kind(self) -> bool:
        return bool(self.kinds & self.case.verdicts)

    @property
    def is_near_best(self) -> bool:
        """The sum over the kinds is within 1.3 times the best one's, and nobody is slower than without."""
        ours_ms, best_ms = sum(self.ours.values()), sum(self.best.values())
        near = ours_ms <= max(WITHIN * best_ms, best_ms + FLOOR_MS * len(self.best))
        return near and all(
            took_ms <= max(WITHIN * self.none[kind], self.none[kind] + FLOOR_MS) for kind, took_ms in self.ours.items()
        )

    @property
    def is_false_positive(self) -> bool:
        """An index was advised where none is right, or that brings less than 1.3 times."""
        if not any(one.verdict == "create_index" for one in self.advice):
            return False
        allowed = "create_index" in self.case.verdicts or "rewrite" in self.kinds & self.case.verdicts
        return not allowed or sum(self.none.values()) < IMPROVES * sum(self.ours.values())

    @property
    def holds(self) -> bool:
        return self.is_right_kind and self.is_near_best and not self.is_false_positive and not self.failure


def statement_of(case: Case, tenants: Mapping[TenantKind, Tenant]) -> Statement:
    """The case as it is given to the advisor: name, text, values, nothing of what is right."""
    return Statement(
        name=case.name,
        sql=case.sql,
        parameters=case.parameters(tenants),
        calls_per_day=case.calls_per_day,
        constants=case.constants,
    )


def judged(connection: Connection, case: Case, tenants: Mapping[TenantKind, Tenant], advise: Advise) -> Judged:
    """Measure a statement as it is, with each candidate, and with what is advised, on the owner's connection."""
    parameters = case.parameters(tenants)
    none = measuring.times_ms(connection, case.sql, parameters)
    found: dict[Kind, Times] = {(case.sql, frozenset()): none}
    for candidate in case.candidates:
        sql, values = measuring.with_candidate(case, candidate, parameters)
        with measuring.built(connection, candidate.indexes) as definitions:
            _note(found, (sql, definitions), measuring.times_ms(connection, sql, values))
    advice: tuple[Advice, ...] = ()
    kind, failure = (case.sql, frozenset[str]()), ""
    try:
        advice = tuple(advise([statement_of(case, tenants)]))
        kind = _with_advice(connection, case, parameters, advice, found)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the advice is a finding, not the end of the suite
        failure = f"{type(error).__name__}: {error}".splitlines()[0]
    return Judged(case, found[case.sql, frozenset()], found[kind], _best(case, found, kind), advice, failure)


def _note(found: dict[Kind, Times], kind: Kind, times: Times) -> None:
    """Times of the same statement with the same indexes are one: the lesser of each, as the rest is the machine's."""
    known = found.get(kind, times)
    found[kind] = {one: min(took_ms, known[one]) for one, took_ms in times.items()}


def _best(case: Case, found: Mapping[Kind, Times], ours: Kind) -> Times:
    """The least of all that was tried. Where no index is right, though one might win a tenth of a millisecond, the
    statement as it is, or rewritten."""
    may_build = "create_index" in case.verdicts or any(one.sql and one.indexes for one in case.candidates)
    fair = [times for kind, times in found.items() if may_build or not kind[1] or kind == ours]
    return min(fair, key=lambda times: sum(times.values()))


def _with_advice(
    connection: Connection,
    case: Case,
    parameters: measuring.Parameters,
    advice: Sequence[Advice],
    found: dict[Kind, Times],
) -> Kind:
    """Measure with every advised index built and, where a rewrite is advised, the statement rewritten."""
    sql, values = rewrite_of(case, advice) or (case.sql, lambda given: given)
    changed = {kind: values(given) for kind, given in parameters.items()}
    advised = [one.ddl for one in advice if one.ddl and one.verdict != "drop_index"]
    with measuring.built(connection, advised) as definitions:
        for kind, given in parameters.items():
            if sql != case.sql and _rows(connection, case.sql, given) != _rows(connection, sql, changed[kind]):
                raise ValueError(f"the rewritten statement answers otherwise for the {kind} tenant")
        if (sql, definitions) != (case.sql, frozenset()):
            _note(found, (sql, definitions), measuring.times_ms(connection, sql, changed))
        return sql, definitions


def rewrite_of(case: Case, advice: Sequence[Advice]) -> tuple[str, Callable[[Values], Values]] | None:
    """The statement to run instead: as the advice has it, else as the suite writes it; None without such advice."""
    if "rewrite" not in {one.verdict for one in advice}:
        return None
    for one in advice:
        if one.verdict == "rewrite" and one.rewritten and one.rewritten.lstrip().upper().startswith(("SELECT", "WITH")):
            return one.rewritten.rstrip().rstrip(";"), lambda given: given
    for candidate in case.candidates:
        if candidate.sql:
            return candidate.sql, candidate.values
    return None


def _rows(connection: Connection, sql: str, values: Values) -> list[str]:
    with measuring.raw(connection) as cursor:
        return sorted(map(repr, cursor.execute(sql, values).fetchall()))
