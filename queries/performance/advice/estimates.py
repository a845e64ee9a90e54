"""Candidates reckoned by hand from today's plan and the statistics: where no planner can be asked, and to build only
the few indexes that may be worth it.

A scan's cost is replaced by that of an index scan as the planner's own formulas have it, without its finer points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from queries.performance.advice.candidates import Option, matched, share_of
from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.conditions import Term, conditions
from queries.performance.advice.index import Index, Key
from queries.performance.advice.model import TenantKind
from queries.performance.advice.planner import Node, nodes
from queries.performance.advice.scans import Scan, scans
from queries.performance.advice.sizes import PAGE_BYTES, size_bytes
from queries.performance.advice.trials import HALVED, good_options, weight

_TUPLE_COST, _INDEX_TUPLE_COST, _DESCENT_COST = 0.0125, 0.005, 0.4
_RARE = 1e-7
# How many times less an index that no planner has seen has to cost.
UNVERIFIED = 5.0


def estimate_candidates(
    case: Case, tables: Mapping[Relation, Table], random_page_cost: float, *, most: int | None = None
) -> None:
    """Fill `case.outcomes` with what the candidates would cost by reckoning; of these the `most` best only.

    Where nothing verifies it (`most` is None), only plain indexes that promise much more than half are left, for what
    no index is read for today: whether a scan of the index alone results, or how much better than one that is there a
    like one would be, no formula of ours can tell.
    """
    by_kind = {kind: _scans(case, plan, tables) for kind, plan in case.plans.items()}
    case.least = dict(case.before)
    reckoned: dict[Option, Costs] = {}

    def reckon(options: Sequence[Option]) -> None:
        for option in options:
            if any(index.method != "btree" for index in option):
                continue
            if most is None and any(index.include or _is_like_todays(index, by_kind, tables) for index in option):
                continue
            reckoned[option] = {
                kind: _after(case.before[kind], by_kind[kind], option, tables, random_page_cost) for kind in case.before
            }

    reckon(case.options)
    if most is not None:
        reckon(_together(reckoned))
    for costs in reckoned.values():
        case.least = {kind: min(case.least[kind], costs[kind]) for kind in costs}
    least = HALVED if most is not None else UNVERIFIED
    case.outcomes |= {
        option: dict(costs)
        for option, costs in reckoned.items()
        if any(case.before[kind] >= least * costs[kind] for kind in costs)
    }
    if most is not None:
        near = sorted(good_options(case), key=lambda option: _simplicity(option, tables))[:most]
        # Of a join's two, one may turn out to do it.
        alone = [(index,) for option in near[:1] if len(option) > 1 for index in option if (index,) in reckoned]
        chosen = {*near[: 1 if alone else most], *alone}
        known_now = {option: costs for option, costs in case.outcomes.items() if not option}
        case.outcomes = known_now | {option: dict(costs) for option, costs in reckoned.items() if option in chosen}


def _scans(case: Case, plan: Node, tables: Mapping[Relation, Table]) -> list[Scan]:
    """The plan's scans; that of a lone min or max as one for the first row in its order."""
    found = scans(plan, tables)
    output = plan.get("Output", ())
    if len(found) == 1 and len(output) == 1 and str(output[0]).startswith(("min(", "max(")) and case.parsed.orders:
        order = tuple(Key(one.column) for one in case.parsed.orders[0])
        found[0].has_limit, found[0].limit_rows = True, 1.0
        found[0].orders.append(order)
    return found


def _is_like_todays(
    index: Index, by_kind: Mapping[TenantKind, Sequence[Scan]], tables: Mapping[Relation, Table]
) -> bool:
    """Whether an index that is there begins with all columns but the last, of three or more; or those that this one
    answers are what some index is read for already."""
    names = [key.column for key in index.keys]
    there = [one.index for one in tables[index.schema, index.table].indexes if one.index is not None]
    if len(names) > 2 and any([key.column for key in one.keys] == names[:-1] for one in there):
        return True
    mine = [scan for found in by_kind.values() for scan in found if scan.relation == (index.schema, index.table)]
    answers = [(scan, *matched(index, scan, scan.orders)) for scan in mine]
    return all(
        {term.column for term in answered} <= _read_for(scan.node) and not (by_order and scan.has_limit)
        for scan, answered, by_order in answers
    )


def _read_for(node: Node) -> set[str]:
    """The columns that an index of today is read for."""
    printed = [str(one["Index Cond"]) for one in nodes(node) if "Index Cond" in one]
    return {one.column for text in printed for one in conditions(text) if isinstance(one, Term)}


def _together(reckoned: Mapping[Option, Costs]) -> list[Option]:
    """What promises most for each table, for two and for three tables at once: a join may want an index on each."""
    best: dict[Relation, Option] = {}
    for option, costs in reckoned.items():
        relation = (option[0].schema, option[0].table)
        if len(option) == 1 and (relation not in best or weight(costs) < weight(reckoned[best[relation]])):
            best[relation] = option
    ordered = [best[relation] for relation in sorted(best)]
    return [sum(some, ()) for size in (2, 3) for some in itertools.combinations(ordered, size)]


def _simplicity(option: Option, tables: Mapping[Relation, Table]) -> tuple[object, ...]:
    size = sum(size_bytes(one, tables[one.schema, one.table]) for one in option)
    return (len(option), size, tuple(one.body for one in option))


def _after(
    before: float, found: Sequence[Scan], option: Option, tables: Mapping[Relation, Table], random_page_cost: float
) -> float:
    # Scans that the plan repeats are counted for more than they can cost together.
    known = min(1.0, before / max(sum(scan.total_cost for scan in found if not _holds_others(scan)), 1.0))
    saved = 0.0
    for scan in found:
        table = tables[scan.relation]
        mine = [index for index in option if (index.schema, index.table) == scan.relation]
        ways = [_index_cost(scan, index, table, random_page_cost) for index in mine]
        if mine and scan.either:
            ways.append(_either_cost(scan, mine, table, random_page_cost))
        if ways:
            saved += max(0.0, known * (scan.total_cost - min(ways)))
    return max(before - saved, before / 10_000, 1.0)


def _holds_others(scan: Scan) -> bool:
    """Whether a scan's cost is that of the subplans which it runs."""
    return any("Relation Name" in one for one in nodes(scan.node) if one is not scan.node)


def _either_cost(scan: Scan, option: Sequence[Index], table: Table, random_page_cost: float) -> float:
    """Each arm of an OR by an index of its own, new or there."""
    there = [one.index for one in table.indexes if one.index is not None and one.index.method == "btree"]
    costs = []
    for either in scan.either:
        total = 0.0
        for arm in either.arms:
            terms = [*scan.terms, *arm]
            rows = table.rows * math.prod(_selectivity(term, table) for term in terms)
            part = replace(scan, terms=terms, either=[], rows_out=rows, orders=[], has_limit=False)
            total += min(_index_cost(part, index, table, random_page_cost) for index in (*option, *there))
        costs.append(total)
    return min(costs)


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
    spared = scan.sort_cost if by_order and scan.has_limit else 0.0
    return probes * scan.loops * _read_cost(read, index, scan, table, random_page_cost) - spared


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
