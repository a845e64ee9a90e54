"""The way from a table to another by references: a generation to its project, and that to its team."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from queries.connect.found import BASE, Confidence, Draft, Found, Join, column_sql
from queries.connect.names import plain, words
from queries.connect.shape import Field, Reference, Relation, Shape, quoted, same_kind

MOST_HOPS = 3
# A subscription knows its plan, or something between that does, such as a version of it.
MOST_HOPS_TO_PLAN = 2


@dataclass(frozen=True, slots=True)
class Hop:
    """One reference, and the table that has it."""

    relation: Relation
    reference: Reference

    @property
    def field(self) -> Field:
        return self.relation.by_name[self.reference.column]


@dataclass(frozen=True, slots=True)
class Route:
    """References one after the other, to the key of `target`."""

    hops: tuple[Hop, ...]
    target: Relation

    @property
    def words(self) -> str:
        """The way for a reason: generations.project_id then projects.team_id."""
        return " then ".join(f"{one.relation.name}.{one.reference.column}" for one in self.hops)

    @property
    def is_declared(self) -> bool:
        return all(one.reference.declared for one in self.hops)

    @property
    def is_one_each(self) -> bool:
        """Whether a target has at most one row at the beginning of the way."""
        return all(one.relation.is_unique(one.reference.column) for one in self.hops)


def routes(shape: Shape, start: Relation, target: Relation, *, avoid: Relation | None = None) -> list[Route]:
    """The shortest ways, the likeliest first. `avoid` is a table that is passed only when there is no other way."""
    if len(target.key) != 1:
        return []
    for length in range(1, MOST_HOPS + 1):
        found = [Route(hops, target) for hops in _ways(shape, start, target, length)]
        if found:
            return sorted(found, key=lambda one: _likelihood(one, avoid))
    return []


def _ways(shape: Shape, start: Relation, target: Relation, length: int) -> Iterator[tuple[Hop, ...]]:
    for reference in start.references:
        to = shape.leads_to(reference)
        if to is None or to is start or not to.is_unique(reference.target):
            continue
        hop = Hop(start, reference)
        if length == 1:
            if to is target and reference.target == to.key[0]:
                yield (hop,)
        elif to is not target:
            yield from (
                (hop, *rest) for rest in _ways(shape, to, target, length - 1) if start not in [r.relation for r in rest]
            )


def _likelihood(route: Route, avoid: Relation | None) -> tuple[object, ...]:
    through = sum(1 for one in route.hops[1:] if one.relation is avoid)
    nullable = sum(1 for one in route.hops if one.field.nullable)
    inferred = sum(1 for one in route.hops if not one.reference.declared)
    return (through, _name_rank(route), nullable, inferred, [one.reference.column for one in route.hops])


def _name_rank(route: Route) -> int:
    return sum(hop_rank(one) for one in route.hops)


def hop_rank(hop: Hop) -> int:
    """0 where the column is called as the table that it refers to, 1 where its name begins otherwise, such as
    billing_org_id, or says something else."""
    said = words(hop.reference.column)
    said = said[:-1] if said[-1:] in (("id",), ("uuid",)) else said
    target = words(hop.reference.table)
    return 0 if plain(said) in {plain(target), plain(target[-1:]), plain(target)[:3]} else 1


def rivals(found: list[Route]) -> list[Route]:
    """Those of the ways that are as likely as the first by all that can be told without a person."""
    if not found:
        return []
    first = found[0]
    return [
        one
        for one in found
        if len(one.hops) == 1 and hop_rank(one.hops[0]) == hop_rank(first.hops[0]) and len(first.hops) == 1
    ]


def follow(draft: Draft, route: Route) -> Found:
    """Joins what the way leads through to the draft, and gives the target's key."""
    confidence: Confidence = "high" if route.is_declared else "medium"
    alias, is_outer = along(draft, route.hops[:-1])
    last = route.hops[-1]
    key = route.target.by_name[route.target.key[0]]
    if not same_kind(last.field, key):
        # The two do not compare by themselves; the target's own key has the type that all others have.
        is_outer = is_outer or may_lead_nowhere(last)
        alias = joined(draft, last.reference, alias=alias, as_text=True, is_outer=is_outer)
        sql, plain_column = column_sql(key.name, alias), None
    else:
        sql = column_sql(last.reference.column, alias)
        plain_column = last.reference.column if alias == BASE else None
    how = "a foreign key" if route.is_declared else "told by its name"
    reason = f"{route.words} leads to {route.target.label} ({how})"
    return Found(sql, reason, confidence, plain_column, (last.relation, last.reference.column))


def along(draft: Draft, hops: Iterable[Hop]) -> tuple[str, bool]:
    """Joins what these references lead to, one after the other: the last one's alias, and whether it may be missing."""
    alias, is_outer = BASE, False
    for hop in hops:
        is_outer = is_outer or may_lead_nowhere(hop)
        alias = joined(draft, hop.reference, alias=alias, is_outer=is_outer)
    return alias, is_outer


def may_lead_nowhere(hop: Hop) -> bool:
    """Whether a row may have nothing there: then it must not be lost by a join."""
    return hop.field.nullable or not hop.reference.declared


def joined(
    draft: Draft, reference: Reference, *, alias: str = BASE, as_text: bool = False, is_outer: bool = True
) -> str:
    """The alias of the table that a column refers to, joined once; `as_text` where the two columns are of types that do
    not compare."""
    cast, new = "::text" if as_text else "", f"{BASE}{len(draft.joins) + 1}"
    left = f"{column_sql(reference.column, alias)}{cast}"
    relation = Relation(reference.schema, reference.table, ())
    for one in draft.joins:
        if one.relation == relation and one.on.endswith(f" = {left}"):
            return one.alias
    draft.joins.append(Join(new, relation, f"{new}.{quoted(reference.target)}{cast} = {left}", is_outer))
    return new
