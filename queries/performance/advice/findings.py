"""What the advisor found out, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queries.performance.advice.cases import Case, Costs
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.index import Index
from queries.performance.advice.model import Evidence
from queries.performance.advice.rewrites import Rewritten


@dataclass(frozen=True, slots=True)
class Findings:
    """By a case's place: the case as given, the case as it is best asked (perhaps rewritten), its costs afterwards and
    the new indexes that it then reads."""

    cases: Sequence[Case]
    asked: Sequence[Case]
    rewritings: Mapping[int, Rewritten]
    indexes: Sequence[Index]
    after: Mapping[int, Costs]
    reads: Mapping[int, frozenset[Index]]
    too_costly_to_write: Mapping[int, float]
    unpaged: Mapping[int, Costs]
    tables: Mapping[Relation, Table]
    taken: Mapping[str, frozenset[str]]
    evidence: Evidence
    improved: frozenset[int] = field(default=frozenset())

    def table(self, index: Index) -> Table:
        return self.tables[index.schema, index.table]

    def names(self, index: Index) -> frozenset[str]:
        """Names that this index cannot have: Prisma's own leave out directions, so that two may ask for the same."""
        taken = set(self.taken.get(index.schema, ()))
        for other in sorted((one for one in self.indexes if one.schema == index.schema), key=lambda one: one.body):
            if other == index:
                break
            taken.add(other.name(frozenset(taken)))
        return frozenset(taken)
