"""Who belongs to whom, where a table between people and tenants says it."""

from __future__ import annotations

from dataclasses import dataclass

from queries.connect.matching import best_field
from queries.connect.roles import best_for
from queries.connect.routes import Route, routes
from queries.connect.shape import Relation, Shape, quoted


@dataclass(frozen=True, slots=True)
class Belonging:
    """A table of memberships, with its references to people and to tenants."""

    relation: Relation
    to_person: Route
    to_tenant: Route

    @property
    def person_column(self) -> str:
        return self.to_person.hops[0].reference.column

    @property
    def tenant_column(self) -> str:
        return self.to_tenant.hops[0].reference.column

    def first_tenant(self, person: str) -> str:
        """The tenant that a person, given as SQL, has belonged to the longest."""
        since = best_field(self.relation, "membership", "created_at")
        order = ", ".join(f"m.{quoted(one)}" for one in (since, self.tenant_column) if one is not None)
        return (
            f"(SELECT m.{quoted(self.tenant_column)} FROM {self.relation.sql} AS m"  # noqa: S608 - quoted names
            f" WHERE m.{quoted(self.person_column)} = {person} ORDER BY {order} LIMIT 1)"
        )


def belonging(shape: Shape, person: Relation | None, target: Relation | None, named: str | None) -> Belonging | None:
    """The table of memberships, or the one that an answer names; None where there is none, or people are tenants."""
    if person is None or target is None or person is target:
        return None
    for one in shape.relations:
        if one in (person, target) or (named and named not in (one.name, one.label, f"{one.schema}.{one.name}")):
            continue
        to_person, to_tenant = (
            [way for way in routes(shape, one, each) if len(way.hops) == 1] for each in (person, target)
        )
        if to_person and to_tenant and (named or _is_called_so(shape, one)):
            return Belonging(one, to_person[0], to_tenant[0])
    return None


def _is_called_so(shape: Shape, relation: Relation) -> bool:
    found = best_for(shape.in_schemas({relation.schema}), "membership", (), (), extra={"role": 3.0})
    return found is not None and found.relation is relation and found.points >= 6
