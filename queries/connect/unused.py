"""Their tables that no proposal reads though they lead to the tenant: none is left out without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queries.connect.fitting import NEEDED
from queries.connect.found import Draft
from queries.connect.ground import Ground
from queries.connect.matching import best_field
from queries.connect.roles import is_sign_in, name_points
from queries.connect.routes import Route, routes
from queries.connect.shape import Relation


@dataclass(frozen=True, slots=True)
class Unused:
    """A table that is not read: how many rows it has (None: nobody knows), the way to the tenant in words, and which of
    ours, of those that there are none of, it could be."""

    relation: Relation
    rows: int | None
    way: str
    could_be: tuple[str, ...] = ()


def unused(ground: Ground, drafts: Mapping[str, Draft | None]) -> tuple[Unused, ...]:
    """By name: what has rows and leads to the tenant, or to people."""
    made = [one for one in drafts.values() if one is not None]
    missing = [logical for logical in NEEDED if drafts.get(logical) is None]
    generation = drafts.get("generation")
    found = []
    for one in ground.shape.relations:
        if one.is_view or is_sign_in(one) or any(each.reads(one) for each in made):
            continue
        way, rows = _way(ground, one), _rows(ground, one)
        if way is not None and rows != 0:
            fitting = (logical for logical in missing if _fits(ground, one, logical, generation))
            found.append(Unused(one, rows, way, tuple(fitting)))
    return tuple(found)


def _way(ground: Ground, relation: Relation) -> str | None:
    """How it leads to the tenant, in words; None when it does not."""
    if ground.tenancy.is_of_tenant_schema(relation):
        return "being in each tenant's schema"
    targets = [one for one in (ground.tenancy.relation, ground.tenancy.user) if one is not None]
    ways: Iterable[Route] = (way for one in targets for way in routes(ground.shape, relation, one)[:1])
    return next((f"by {one.words}" for one in ways), None)


def _rows(ground: Ground, relation: Relation) -> int | None:
    """PostgreSQL's estimate; of what it takes for empty or has not counted yet, what a look finds."""
    if relation.rows:
        return relation.rows
    counted: int | None = ground.peek.facts(relation, {"rows": "count(*)"}).get("rows")
    return counted


def _fits(ground: Ground, relation: Relation, logical: str, generation: Draft | None) -> bool:
    has_needed = all(
        any(best_field(relation, logical, column) is not None for column in group) for group in NEEDED[logical]
    )
    if logical != "image":
        return has_needed
    to = routes(ground.shape, relation, generation.relation) if generation is not None else []
    return bool(to) and len(to[0].hops) == 1 and (has_needed or name_points(relation, "image") > 0)
