"""From findings to advice: one verdict or more for every statement, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from queries.performance.advice import reasons
from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.findings import Findings
from queries.performance.advice.index import Index
from queries.performance.advice.model import TENANT_KINDS, Advice, Severity, Statement, TenantKind
from queries.performance.advice.no_index import analyses, without_index
from queries.performance.advice.scans import Scan
from queries.performance.advice.sizes import size_bytes, write_cost_bytes

_HIGH_MS_PER_DAY, _MEDIUM_MS_PER_DAY = 60_000.0, 5_000.0
_HIGH_MS_PER_CALL = 100.0


def refused(statement: Statement, reason: str) -> Advice:
    """A statement that cannot be judged."""
    return Advice((statement.name,), "none", "low", f"No advice, because {reason}.")


def verdicts(found: Findings) -> list[Advice]:
    """All advice for the workload."""
    advice = [one for index in found.indexes if (one := _create(found, index)) is not None]
    advice += [_rewrite(found, place) for place in sorted(found.rewritings) if place in found.improved]
    advice += analyses(found)
    analyzed = {name for one in advice if one.verdict == "analyze" for name in one.statements}
    advised = {name for one in advice for name in one.statements if one.verdict != "analyze"}
    advice += [
        without_index(found, place)
        for place, case in enumerate(found.cases)
        if place not in found.improved and (case.name not in analyzed or case.name in advised)
    ]
    return advice


def _create(found: Findings, index: Index) -> Advice | None:
    """An index with the statements that read it as they are; those that must be rewritten first are told apart."""
    places = [
        place for place in sorted(found.improved) if index in found.reads[place] and not _is_first(found, place, index)
    ]
    if not places:
        return None
    table = found.table(index)
    lead = max(places, key=lambda place: (_saved_a_day(found, place), -place))
    scans = _scans(found.asked[lead], index)
    partners = sorted({one.name(found.names(one)) for one in found.reads[lead] if one != index})
    beside = f" Together with {', '.join(partners)}." if partners else ""
    shared = f" It serves {len(places)} statements." if len(places) > 1 else ""
    current = f"{reasons.today(scans[0], table)}. " if scans else ""
    reason = (
        f"{current}With this index ({reasons.does(index, scans)})"
        f" {reasons.costs_fall(found.asked[lead], found.after[lead], found.evidence)}.{beside}{shared}"
        f" {reasons.how_sure(found.evidence)}"
        f" {reasons.burden(size_bytes(index, table), write_cost_bytes(index, table))}"
        f"{reasons.made_redundant(index, table)}"
    )
    advice = Advice(tuple(found.cases[place].name for place in places), "create_index", "low", reason)
    return _with_index(found, _with_times(found, advice, places), index)


def _rewrite(found: Findings, place: int) -> Advice:
    change = found.rewritings[place]
    case = found.asked[place]
    index = _first(found, place)
    needs = ""
    if index is not None:
        table = found.table(index)
        needs = (
            f" It needs the index beside, which the predicate as it stands cannot use."
            f" {reasons.burden(size_bytes(index, table), write_cost_bytes(index, table))}"
        )
    presumes = f" Presumed: {'; '.join(change.presumes)}." if change.presumes else ""
    parts = "; ".join(f"write {new} instead of {old}" for old, new in change.changes)
    reason = (
        f"The predicate hides a column from its index: {parts}. Then"
        f" {reasons.costs_fall(case, found.after[place], found.evidence)}.{presumes}{needs}"
        " The planner was asked about the rewritten statement."
    )
    advice = Advice((case.name,), "rewrite", "low", reason, rewritten=change.text)
    advice = _with_times(found, advice, [place])
    return _with_index(found, advice, index) if index is not None else advice


def _first(found: Findings, place: int) -> Index | None:
    """The index that a rewritten statement carries with it."""
    return min(found.reads[place], key=lambda one: one.body, default=None)


def _is_first(found: Findings, place: int, index: Index) -> bool:
    return place in found.rewritings and _first(found, place) == index


def _scans(case: Case, index: Index) -> list[Scan]:
    """The case's scans of the index's table, the costliest first."""
    mine = [scan for scan in case.scans if scan.relation == (index.schema, index.table)]
    fitting = [
        scan
        for scan in mine
        if any(term.column in {key.column for key in index.keys} for term in (*scan.terms, *scan.joins)) or scan.orders
    ]
    return sorted(fitting or mine, key=lambda scan: (-scan.cost, scan.alias))


def _with_index(found: Findings, advice: Advice, index: Index) -> Advice:
    table, taken = found.table(index), found.names(index)
    return replace(
        advice,
        table=table.label,
        ddl=index.ddl(taken),
        prisma=index.prisma(taken),
        index_name=index.name(taken),
        size_bytes=size_bytes(index, table),
        write_cost_bytes_per_row=write_cost_bytes(index, table),
    )


def _with_times(found: Findings, advice: Advice, places: Sequence[int]) -> Advice:
    """Milliseconds before and after, the statements weighing by their calls; and how urgent that makes it."""
    before = [found.asked[place].ms(found.asked[place].before) for place in places]
    after = [found.asked[place].ms(found.after[place]) for place in places]
    weights = [max(found.asked[place].statement.calls_per_day, 0.0) for place in places]
    gains = {
        found.cases[place].name: {kind: was[kind] - now[kind] for kind in was}
        for place, was, now in zip(places, before, after, strict=True)
    }
    mean_before, mean_after = _mean(before, weights), _mean(after, weights)
    return replace(
        advice,
        severity=_severity(found, places),
        before_ms=mean_before,
        after_ms=mean_after,
        gain_ms={kind: mean_before[kind] - mean_after[kind] for kind in mean_before},
        by_statement=gains,
        evidence=found.evidence,
    )


def _mean(rows: Sequence[dict[TenantKind, float]], weights: Sequence[float]) -> dict[TenantKind, float]:
    means: dict[TenantKind, float] = {}
    for kind in TENANT_KINDS:
        known = [(row[kind], weight or 1e-9) for row, weight in zip(rows, weights, strict=True) if kind in row]
        if known:
            means[kind] = sum(value * weight for value, weight in known) / sum(weight for _, weight in known)
    return means


def _severity(found: Findings, places: Sequence[int]) -> Severity:
    a_day = sum(_saved_a_day(found, place) for place in places)
    a_call = max(found.asked[place].gain_ms_per_call(found.after[place]) for place in places)
    if found.evidence != "estimated" and (a_day >= _HIGH_MS_PER_DAY or a_call >= _HIGH_MS_PER_CALL):
        return "high"
    return "medium" if a_day >= _MEDIUM_MS_PER_DAY else "low"


def _saved_a_day(found: Findings, place: int) -> float:
    costs: Costs = found.after[place]
    return found.asked[place].gain_ms_per_day(costs)
