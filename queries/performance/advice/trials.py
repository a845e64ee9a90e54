"""Candidates tried by the planner, statement by statement: what each would cost for every kind of tenant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from queries.performance.advice.candidates import Option, is_served
from queries.performance.advice.cases import Case, Costs, times_ms
from queries.performance.advice.index import Index, covers
from queries.performance.advice.model import TenantKind
from queries.performance.advice.planner import Node, Planner, indexes_read
from queries.performance.advice.what_if import WhatIf

# Costs at least halved; nothing may become slower than this; as good as the best is what comes this near.
HALVED, SLOWER, AS_GOOD = 2.0, 1.02, 1.15
# What still costs this much joins, sorts or adds up many rows, which the planner underrates beside reading pages: then
# twice less by its reckoning may be next to nothing by the clock.
_MUCH_LEFT, _MUCH_LESS = 5_000.0, 3.0
LEAST_GAIN_MS_PER_CALL, LEAST_GAIN_MS_PER_DAY = 0.2, 500.0
# A statement that takes less than this is quick as it is.
QUICK_MS = 1.0
_MOST_TRIED, _MOST_SHARED, _MOST_IN_A_SET = 60, 12, 4
_FLOOR = 10.0
# What a second, wider copy of an index has to save more than a first one.
_MORE_FOR_A_COPY = 10.0


def try_candidates(planner: Planner, what_if: WhatIf, case: Case) -> None:
    """Fill `case.outcomes`: all candidates at once first, which bounds what any of them can do; then one by one."""
    everything = list(dict.fromkeys(index for option in case.options for index in option))
    if not everything:
        return
    used: list[list[Index]] = []
    with what_if.with_indexes(everything) as names:
        case.tried = len(names)
        for kind, plan in _plans(planner, case, tuple(case.before)):
            case.least[kind] = min(float(plan["Total Cost"]), case.cost(plan, names))
            used.append([names[one] for one in sorted(indexes_read(plan)) if one in names])
    if any(case.before[kind] >= HALVED * case.least[kind] for kind in case.least):
        _try(planner, what_if, case, [*_sets(used), *case.options])


def try_shared(planner: Planner, what_if: WhatIf, case: Case, others: Iterable[Option]) -> None:
    """The candidates that other statements would have, on this one: one index may serve several."""
    if not case.outcomes or not case.least:
        return
    columns = {
        (scan.relation, term.column) for scan in case.scans for term in (*scan.terms, *scan.joins) if term.column
    } | {(scan.relation, order[0].column) for scan in case.scans for order in scan.orders}
    fitting = [
        option
        for option in others
        if option not in case.outcomes
        and all(((one.schema, one.table), one.keys[0].column) in columns for one in option)
        and not any(_is_served(case, one) for one in option)
    ]
    _try(planner, what_if, case, fitting[:_MOST_SHARED])


def _is_served(case: Case, index: Index) -> bool:
    """Whether indexes that are there answer all that this one would, wherever the statement reads its table."""
    relation = (index.schema, index.table)
    return all(
        is_served(index, scan, case.tables[relation], scan.orders) for scan in case.scans if scan.relation == relation
    )


def good_options(case: Case) -> dict[Option, Costs]:
    """The options that pass the gate and are nearly as good as the best of them. One index more, or a wider copy of one
    that is there, has to pass the gate again, held against the best with less."""
    passing = {option: costs for option, costs in case.outcomes.items() if passes(case, costs)}
    best: Costs = case.before
    kept: dict[Option, Costs] = {}
    for level in sorted({_level(case, option) for option in passing}):
        worth: dict[Option, Costs] = {
            option: costs
            for option, costs in passing.items()
            if _level(case, option) == level
            and is_worth_more(case, best, costs, times=_MORE_FOR_A_COPY if level > len(option) else 1.0)
        }
        if worth:
            best, kept = min(worth.values(), key=weight), worth
    return {option: costs for option, costs in kept.items() if _is_near(case, costs, best)}


def weight(costs: Costs) -> float:
    """One number for all kinds of tenants: by ratios, so that the biggest tenant does not outweigh all others. The
    planner knows nothing of the order in which an index's second column lies, and overrates the biggest one's cost."""
    return math.fsum(math.log(cost + _FLOOR) for cost in costs.values()) / max(len(costs), 1)


def _is_near(case: Case, costs: Costs, best: Costs) -> bool:
    return all(costs[kind] <= best[kind] * AS_GOOD + case.trifle for kind in costs)


def is_worth_more(case: Case, less: Costs, more: Costs, *, times: float = 1.0) -> bool:
    """Whether a kind of tenant's cost is at least halved, and enough saved a call and a day, or `times` that."""
    saved = case.gain_ms_per_call(more) - case.gain_ms_per_call(less)
    a_day = saved * case.statement.calls_per_day
    halved = any(
        less[kind] >= more[kind] * (HALVED if case.is_clocked or more[kind] < _MUCH_LEFT else _MUCH_LESS)
        for kind in _usual(more)
    )
    return halved and saved >= LEAST_GAIN_MS_PER_CALL * times and a_day >= LEAST_GAIN_MS_PER_DAY * times


def _level(case: Case, option: Option) -> int:
    """How many indexes, a wider copy of one that is there counted twice."""
    return len(option) + sum(_is_wider_copy(case, one) for one in option)


def _is_wider_copy(case: Case, index: Index) -> bool:
    """Whether an index that is there has the same keys, and only columns to be read from the index itself are new."""
    if not index.include or index.where:
        return False
    plain = Index(index.schema, index.table, index.keys)
    held = case.tables[index.schema, index.table].indexes
    return any(one.index is not None and covers(one.index, plain) for one in held)


def passes(case: Case, costs: Costs) -> bool:
    """The gate: not quick as it is, nothing slower than today, and enough saved."""
    slower = any(costs[kind] > case.before[kind] * SLOWER for kind in costs)
    return max(case.ms(case.before).values()) >= QUICK_MS and not slower and is_worth_more(case, case.before, costs)


def _usual(costs: Costs) -> list[TenantKind]:
    """The kinds that call; the absent tenant counts only where it is the only one."""
    return [kind for kind in costs if kind != "absent"] or list(costs)


def _try(planner: Planner, what_if: WhatIf, case: Case, options: Iterable[Option]) -> None:
    """First for the kind that can gain most; for the others only what does well there, among so many indexes and so
    many copies of those that are there."""
    pilot = max(case.least, key=lambda kind: case.before[kind] - case.least[kind])
    tried: dict[Option, float] = {}
    for option in list(dict.fromkeys(options))[:_MOST_TRIED]:
        if option not in case.outcomes:
            tried.update((option, cost) for cost in _with(planner, what_if, case, option, (pilot,)).values())
    known = tried | {option: costs[pilot] for option, costs in case.outcomes.items()}
    best: dict[int, float] = {}
    for option, cost in known.items():
        best[_level(case, option)] = min(cost, best.get(_level(case, option), cost))
    for option, cost in tried.items():
        if cost <= best[_level(case, option)] * 1.5 + case.trifle and cost < case.before[pilot]:
            rest = tuple(kind for kind in case.before if kind != pilot)
            case.outcomes[option] = {pilot: cost, **_with(planner, what_if, case, option, rest)}


def _with(
    planner: Planner, what_if: WhatIf, case: Case, option: Option, kinds: tuple[TenantKind, ...]
) -> dict[TenantKind, float]:
    """Costs with these indexes; nothing when PostgreSQL refuses one of them."""
    if not kinds:
        return {}
    with what_if.with_indexes(option) as names:
        if len(names) < len(option):
            return {}
        return {kind: case.cost(plan, names) for kind, plan in _plans(planner, case, kinds)}


def _plans(planner: Planner, case: Case, kinds: tuple[TenantKind, ...]) -> Iterator[tuple[TenantKind, Node]]:
    """The plan for each kind; kinds with the same values are planned once."""
    done: dict[TenantKind, Node] = {}
    for kind in kinds:
        twin = next((one for one in done if case.prepared[one] == case.prepared[kind]), None)
        done[kind] = done[twin] if twin is not None else planner.plan(case.prepared[kind])
        yield kind, done[kind]


def _sets(used: list[list[Index]]) -> list[Option]:
    """What the planner took for one kind of tenant when it had the choice of all: together, in pairs, alone."""
    found: list[Option] = []
    for indexes in used:
        ordered = sorted(indexes, key=lambda index: index.body)[:_MOST_IN_A_SET]
        for size in range(len(ordered), 0, -1):
            found += itertools.combinations(ordered, size)
    return found


def plans_with(
    planner: Planner, what_if: WhatIf, cases: Sequence[Case], indexes: Iterable[Index]
) -> dict[int, tuple[Costs, frozenset[Index]]]:
    """By the case's place: costs when all these indexes are there, and which of them it reads."""
    with what_if.with_indexes(list(indexes)) as names:
        return {place: seen(planner, case, names) for place, case in enumerate(cases)}


def try_built(planner: Planner, what_if: WhatIf, cases: Sequence[Case], option: Option) -> None:
    """Real indexes, and the statements really run: what passes the gate by cost has to pass it by the clock. Costs are
    those that the measured times stand for, at the case's own rate."""
    with what_if.with_indexes(option) as names:
        for case in cases:
            case.tried += len(names)
            costs, read = seen(planner, case, names)
            case.least = {kind: min(case.least.get(kind, cost), cost) for kind, cost in costs.items()}
            if read == frozenset(option) and passes(case, costs):
                times = times_ms(planner, case.prepared)
                if times:
                    case.outcomes[option] = {kind: times[kind] / case.ms_per_cost[kind] for kind in times}


def seen(planner: Planner, case: Case, names: Mapping[str, Index]) -> tuple[Costs, frozenset[Index]]:
    plans = dict(_plans(planner, case, tuple(case.before)))
    read = {names[one] for plan in plans.values() for one in indexes_read(plan) if one in names}
    return {kind: case.cost(plan, names) for kind, plan in plans.items()}, frozenset(read)
