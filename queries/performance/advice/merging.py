"""Indexes of a whole workload that begin alike: as few of them as do the same.

Each was chosen for statements of its own. Beside the others it has to be worth its keep once more: for one statement at
least, by the gate that it passed at first. Those that differ in INCLUDE only are held against one that has it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from queries.performance.advice.candidates import WIDEST_INCLUDE_BYTES
from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.index import Index
from queries.performance.advice.planner import Planner
from queries.performance.advice.sizes import size_bytes
from queries.performance.advice.trials import is_worth_more, passes, seen
from queries.performance.advice.what_if import HypoPG

_MOST_INCLUDED_TOGETHER = 6


def merged(
    planner: Planner, what_if: HypoPG, cases: Sequence[Case], indexes: Sequence[Index], tables: Mapping[Relation, Table]
) -> tuple[Index, ...]:
    """Those of the indexes, and of what several of them make together, that the workload cannot do without."""
    pool = [*indexes, *(one for one in _unions(indexes, tables) if one not in indexes)]
    if not any(_others_alike(one, pool) for one in pool):
        return tuple(indexes)
    with what_if.with_indexes(pool) as names:
        shown = {index: name for name, index in names.items()}
        all_there = {place: seen(planner, case, names) for place, case in enumerate(cases)}
        reads = {place: read for place, (_, read) in all_there.items()}
        for index in sorted(shown, key=lambda one: (len(one.keys), len(one.include), _size(one, tables), one.body)):
            if not _others_alike(index, list(shown)):
                continue
            what_if.drop(shown[index])
            left = {name: one for one, name in shown.items() if one != index}
            touched = [place for place, read in reads.items() if index in read]
            without = {place: seen(planner, cases[place], left) for place in touched}
            if any(_misses(cases[place], without[place][0], all_there[place][0]) for place in touched):
                name = what_if.show(index)
                if name is not None:
                    shown[index] = name
                    names[name] = index
                continue
            del shown[index]
            reads.update({place: read for place, (_, read) in without.items()})
    return tuple(one for one in pool if one in shown)


def _size(index: Index, tables: Mapping[Relation, Table]) -> int:
    return size_bytes(index, tables[index.schema, index.table])


def _misses(case: Case, without: Costs, full: Costs) -> bool:
    """Held against the costs with all indexes, so that many small losses do not add up."""
    return is_worth_more(case, without, full) or (passes(case, full) and not passes(case, without))


def _others_alike(index: Index, indexes: Sequence[Index]) -> bool:
    """Whether another one of the same table begins with the same column."""
    return any(other != index and _beginning(other) == _beginning(index) for other in indexes)


def _beginning(index: Index) -> tuple[str, ...]:
    return (index.schema, index.table, index.keys[0].column, index.keys[0].expression)


def _unions(indexes: Sequence[Index], tables: Mapping[Relation, Table]) -> Iterator[Index]:
    """For those with the same keys, one that includes what any of them does."""
    groups: dict[tuple[object, ...], list[Index]] = {}
    for index in indexes:
        columns = tuple((key.column, key.expression, key.opclass) for key in index.keys)
        groups.setdefault((index.schema, index.table, index.method, index.where, columns), []).append(index)
    for group in groups.values():
        table = tables[group[0].schema, group[0].table]
        held = {key.column for key in group[0].keys}
        included = {name for index in group for name in index.include} - held
        inside = sorted((table.columns[name] for name in included), key=lambda one: one.number)
        width = sum(one.width for one in inside)
        if len(group) > 1 and len(inside) <= _MOST_INCLUDED_TOGETHER and width <= WIDEST_INCLUDE_BYTES:
            first = min(group, key=lambda one: one.body)
            yield replace(first, include=tuple(one.name for one in inside))
