"""Their tables that no proposal reads though they lead to the tenant, and the columns that nothing reads of tables that
are read: none is left out without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queries.connect.deleted import is_marker, marker_of
from queries.connect.fitting import NEEDED
from queries.connect.found import Draft
from queries.connect.ground import Ground
from queries.connect.matching import best_field
from queries.connect.names import words
from queries.connect.roles import is_sign_in, name_points
from queries.connect.routes import Route, routes
from queries.connect.shape import NUMBERS, Field, Relation
from queries.connect.vocabulary import AMOUNTS, STATES, TABLES

_TENANTS = {one for phrase in TABLES["tenant"] for one in words(phrase)}
_IDS = {"id", "uuid", "key", "ref", "code"}


@dataclass(frozen=True, slots=True)
class Unused:
    """A table that is not read: how many rows it has (None: nobody knows), the way to the tenant in words, and which of
    ours, of those that there are none of, it could be."""

    relation: Relation
    rows: int | None
    way: str
    could_be: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnusedColumns:
    """Columns that nothing reads of a table that is read for these of ours: those that look like they matter, each with
    what it may be, and the names of the others."""

    relation: Relation
    read_for: tuple[str, ...]
    mattering: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


def unused_columns(ground: Ground, drafts: Mapping[str, Draft | None]) -> tuple[UnusedColumns, ...]:
    """For each table that is read, those with columns that look like they matter first. Keys are left out."""
    found = []
    for one in ground.shape.relations:
        reading = {logical: draft for logical, draft in drafts.items() if draft is not None and draft.reads(one)}
        if not reading:
            continue
        read = {name for draft in reading.values() for name in draft.columns_of(one)}
        # What marks deleted rows was asked for, and may have been answered by counting them.
        asked = marker_of(one) if one in ground.marked else None
        left = [each for each in one.fields if each.name not in {*read, *one.key} and each != asked]
        may_be = {each.name: _may_be(ground, one, each) for each in left}
        own = tuple(logical for logical, draft in reading.items() if one in _relations(draft)) or tuple(reading)
        if left:
            mattering = tuple((name, what) for name, what in may_be.items() if what)
            others = tuple(name for name, what in may_be.items() if not what)
            found.append(UnusedColumns(one, own, mattering, others))
    return tuple(sorted(found, key=lambda one: not one.mattering))


def _relations(draft: Draft) -> list[Relation]:
    return [one.relation for one in (draft, *draft.united)]


def _may_be(ground: Ground, relation: Relation, field: Field) -> str:
    """What a column that matters to figures may be, by its name and type; empty for any other."""
    said, reference = set(words(field.name)), relation.reference_of(field.name)
    if reference is not None and ground.shape.leads_to(reference) is ground.tenancy.relation:
        return "whose a row is"
    if said & _TENANTS and reference is None and field.kind in ("integer", "uuid", "text") and said & _IDS:
        return "whose a row is"
    if is_marker(field):
        return "whether a row counts"
    if said & set(AMOUNTS) and reference is None and (field.kind in NUMBERS or field.type == "money"):
        return "an amount"
    return "a status" if said & set(STATES) and field.kind not in ("numeric", "float", "json") else ""


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
