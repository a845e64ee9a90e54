"""Which indexes a workload should have: a greedy choice, the same whatever the order of the statements.

An index is chosen for what it saves a day less what it costs the writes; one that serves several statements nearly as
well as their own best comes before those, and of equals the smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queries.performance.advice.candidates import Option
from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.index import Index
from queries.performance.advice.sizes import size_bytes, write_cost_bytes
from queries.performance.advice.trials import good_options

# Gains this near each other are the same.
_EQUAL = 0.95
# An insertion into one more index: 5 microseconds for an ordinary one of 100 bytes of log.
_WRITE_MS_PER_BYTE = 0.00005
# Where the server has not counted writes for a day: a table is written once over in a year.
_WRITTEN_SHARE_A_DAY = 1 / 365


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the cases (by their place) that would gain less than the writes would lose."""

    indexes: tuple[Index, ...]
    served: Mapping[int, Option]
    too_costly_to_write: Mapping[int, float]


def choose(cases: Sequence[Case], tables: Mapping[Relation, Table]) -> Choice:
    """A greedy cover of all cases that have a good option."""
    good = {place: found for place, case in enumerate(cases) if (found := good_options(case))}
    served: dict[int, Option] = {}
    refused: dict[int, float] = {}
    indexes: list[Index] = []
    while good:
        scores = _scores(cases, good, indexes, tables)
        top = max(scores.values())
        if top <= 0:
            refused.update(
                {place: _writes_ms(_cheapest(found, tables), indexes, tables) for place, found in good.items()}
            )
            break
        near = [option for option, score in scores.items() if score >= top * _EQUAL]
        taken = min(near, key=lambda option: _burden(option, indexes, tables))
        indexes += [one for one in taken if one not in indexes]
        for place in [place for place, found in good.items() if taken in found]:
            served[place] = taken
            del good[place]
    return Choice(tuple(indexes), served, refused)


def rows_written_per_day(table: Table) -> float:
    """As counted by the server, or a guess."""
    known = table.rows_written_per_day
    return known if known is not None else max(table.rows, 0.0) * _WRITTEN_SHARE_A_DAY


def _scores(
    cases: Sequence[Case],
    good: Mapping[int, Mapping[Option, Costs]],
    indexes: Sequence[Index],
    tables: Mapping[Relation, Table],
) -> dict[Option, float]:
    """Milliseconds a day that each option saves those not served yet, less what its new indexes cost the writes."""
    scores: dict[Option, float] = {}
    for place in sorted(good):
        for option, costs in good[place].items():
            scores[option] = scores.get(option, 0.0) + cases[place].gain_ms_per_day(costs)
    return {option: score - _writes_ms(option, indexes, tables) for option, score in scores.items()}


def _writes_ms(option: Option, indexes: Sequence[Index], tables: Mapping[Relation, Table]) -> float:
    return sum(
        rows_written_per_day(tables[one.schema, one.table])
        * write_cost_bytes(one, tables[one.schema, one.table])
        * _WRITE_MS_PER_BYTE
        for one in option
        if one not in indexes
    )


def _burden(option: Option, indexes: Sequence[Index], tables: Mapping[Relation, Table]) -> tuple[object, ...]:
    new = [one for one in option if one not in indexes]
    size = sum(size_bytes(one, tables[one.schema, one.table]) for one in new)
    keys = sum(len(one.keys) + len(one.include) for one in new)
    return (len(new), size, keys, tuple(one.body for one in option))


def _cheapest(found: Mapping[Option, Costs], tables: Mapping[Relation, Table]) -> Option:
    return min(found, key=lambda option: _burden(option, (), tables))
