"""Candidates reckoned by hand from today's plan and the statistics: where no planner can be asked, and to build only
the few indexes that may be worth it.

A scan's cost is replaced by that of an index scan as the planner's own formulas have it, without its finer points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from queries.performance.advice.candidates import Option, matched, share_of
from queries.performance.advice.cases import Case
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.conditions import Term
from queries.performance.advice.index import Index
from queries.performance.advice.scans import Scan, scans
from queries.performance.advice.sizes import PAGE_BYTES, size_bytes
from queries.performance.advice.trials import HALVED, good_options

_TUPLE_COST, _INDEX_TUPLE_COST, _DESCENT_COST = 0.0125, 0.005, 0.4
_RARE = 1e-7
# How many times less an index that no planner has seen has to cost.
UNVERIFIED = 5.0


def estimate_candidates(
    case: Case, tables: Mapping[Relation, Table], random_page_cost: float, *, most: int | None = None
) -> None:
    """Fill `case.outcomes` with what the candidates would cost by reckoning; of these the `most` best only.

    Where nothing verifies it (`most` is None), only plain indexes that promise much more than half are left: whether a
    scan of the index alone results, no formula of ours can tell.
    """
    by_kind = {kind: scans(plan, tables) for kind, plan in case.plans.items()}
    for option in case.options:
        if any(index.method != "btree" or (index.include and most is None) for index in option):
            continue
        costs = {
            kind: _after(case.before[kind], by_kind[kind], option, tables, random_page_cost) for kind in case.before
        }
        least = HALVED if most is not None else UNVERIFIED
        if any(case.before[kind] >= least * costs[kind] for kind in costs):
            case.outcomes[option] = costs
    case.least = dict(case.before)
    for costs in case.outcomes.values():
        case.least = {kind: min(case.least[kind], costs[kind]) for kind in costs}
    if most is not None:
        near = sorted(good_options(case), key=lambda option: _simplicity(option, tables))[:most]
        case.outcomes = {option: case.outcomes[option] for option in near}


def _simplicity(option: Option, tables: Mapping[Relation, Table]) -> tuple[object, ...]:
    size = sum(size_bytes(one, tables[one.schema, one.table]) for one in option)
    return (len(option), size, tuple(one.body for one in option))


def _after(
    before: float, found: Sequence[Scan], option: Option, tables: Mapping[Relation, Table], random_page_cost: float
) -> float:
    saved = 0.0
    for scan in found:
        ways = [
            _index_cost(scan, index, tables[scan.relation], random_page_cost)
            for index in option
            if (index.schema, index.table) == scan.relation
        ]
        if ways:
            saved += max(0.0, scan.total_cost - min(ways))
    return max(before - saved, before / 10_000, 1.0)


def _index_cost(scan: Scan, index: Index, table: Table, random_page_cost: float) -> float:
    """Reading what a scan wants by this index; more than anything where it cannot."""
    rows = max(table.rows, 1.0)
    own = {term: _selectivity(term, table) for term in scan.terms if term.kind not in ("other", "not_null", "like")}
    joins = [term for term in scan.joins if term.kind == "eq"]
    answered, by_order = matched(index, scan, scan.orders)
    if not answered and not by_order and not index.where:
        return math.inf
    kept = max(scan.rows_out / rows, _RARE)
    fraction = kept / math.prod(own[term] for term in own if term not in answered and not _is_in(term, index))
    probes = 1.0
    for term in answered:
        if term in joins:
            probes = max(scan.other_rows, 1.0)
            fraction *= _selectivity(term, table)
    read = rows * min(fraction, 1.0)
    if by_order and scan.has_limit:
        read = min(read, max(scan.limit_rows, 1.0) / max(kept / min(fraction, 1.0), _RARE))
    return probes * scan.loops * _read_cost(read, index, scan, table, random_page_cost)


def _read_cost(read: float, index: Index, scan: Scan, table: Table, random_page_cost: float) -> float:
    pages = max(table.size_bytes / PAGE_BYTES, 1.0)
    share = read / max(table.rows, 1.0)
    leaves = size_bytes(index, table) / PAGE_BYTES * share
    held = {key.column for key in index.keys} | set(index.include)
    heap = 0.0
    if not scan.needed <= held:
        column = table.columns.get(index.keys[-1].column)
        together = ((column.correlation or 0.0) if column is not None else 0.0) ** 2
        apart = min(read, 2 * pages * read / (2 * pages + read))
        heap = together * share * pages + (1 - together) * apart * random_page_cost
    descent = _DESCENT_COST + random_page_cost
    return descent + leaves * random_page_cost + heap + read * (_TUPLE_COST + _INDEX_TUPLE_COST)


def _is_in(term: Term, index: Index) -> bool:
    """Whether a partial index's condition is this term."""
    return any(f'"{term.column}"' in condition for condition in index.where)


def _selectivity(term: Term, table: Table) -> float:
    """The share of rows that one term keeps: from the statistics where they tell, else as the planner guesses."""
    column = table.columns.get(term.column)
    if column is None:
        return 0.005
    if term.kind == "null":
        return max(column.null_fraction or 0.005, _RARE)
    if term.kind in ("eq", "in"):
        known = share_of(column, term.value) if term.value and term.kind == "eq" else None
        distinct = table.distinct_values(term.column)
        return max(known if known is not None else 1.0 / max(distinct or 200.0, 1.0), _RARE)
    return 1.0 / 3.0
