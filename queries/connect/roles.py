"""Which of their tables is what: by name, by columns, and by what refers to what. Points are added, and the best wins;
of two with the same points the one whose name comes first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from queries.connect.answers import Answers, not_there
from queries.connect.matching import best_field
from queries.connect.names import plain, words
from queries.connect.shape import NUMBERS, TIMES, Relation, Shape
from queries.connect.vocabulary import ALONE, DETAILS, DURATIONS, EVIDENCE, MEDIA, TABLES

# Copies of tables are not what anybody wants to look at.
_COPIES = {"archive", "archived", "backup", "bak", "old", "tmp", "temp", "copy", "audit", "staging", "deprecated", "v1"}
# A sign-in library's tables of providers and sessions, which are called Account and Session.
_SIGN_IN = {"accesstoken", "sessiontoken", "provideraccountid"}
HAS = "it has "
LEAST_POINTS = 8.0
# A table of events beside the best one belongs to it when it has so large a part of its points.
_BESIDE = 0.6
# What it takes from a table of events that no column says by a usual word when a row was made.
_TIMELESS = 4.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table, what speaks for it in numbers, and in words."""

    relation: Relation
    points: float
    signs: tuple[str, ...]

    @property
    def order(self) -> tuple[float, int, str, str]:
        shown = self.relation
        return (-round(self.points, 3), -(shown.rows or 0), shown.schema, shown.name)


def name_points(relation: Relation, role: str) -> float:
    """What the table's name says for a role: the whole of it, its end, or a part of it."""
    own = {relation.words, words(relation.name)}
    return max((_phrase_points(name, phrases) for name in own for phrases in (TABLES[role],)), default=0.0)


def _phrase_points(name: tuple[str, ...], phrases: Mapping[str, float]) -> float:
    best = 0.0
    for phrase, points in phrases.items():
        wanted = words(phrase)
        if plain(name) == plain(wanted):
            share = 1.0
        elif name[-len(wanted) :] == wanted:
            share = 0.7
        elif set(wanted) <= set(name):
            share = 0.4
        else:
            continue
        best = max(best, share * points)
    return best - (8 if _COPIES & set(name) else 0)


def events(shape: Shape, answers: Answers) -> list[Candidate]:
    """The tables of generations: one, or several that are alike; empty when nothing looks like one."""
    named = answers.get("tables", "generation")
    if named:
        asked = [named] if isinstance(named, str) else list(named)
        return [Candidate(the_named(shape, one), 99, ("as answered",)) for one in asked]
    found = sorted(map(_docked, likely_events(shape)), key=lambda one: one.order)
    if not found or found[0].points < LEAST_POINTS:
        return []
    best = found[0]
    # What belongs to each generation, such as its pictures, is not another kind of it.
    beside = [one for one in found[1:] if one.points >= _BESIDE * best.points and _is_alike(best, one)]
    return [best, *beside] if _medium(best.relation) else [best]


def likely_events(shape: Shape) -> list[Candidate]:
    """Every table that could hold generations, the likeliest first."""
    return sorted((one for one in map(_as_events, shape.relations) if one is not None), key=lambda one: one.order)


def times(relation: Relation) -> list[str]:
    """Columns that may say when a row was made, those that every row has first; numbers where there is no time."""
    able = [one for one in relation.fields if one.kind in (*TIMES, "date")]
    keys = {*relation.key, *(one.column for one in relation.references)}
    able = able or [one for one in relation.fields if one.kind == "integer" and one.name not in keys]
    return [one.name for one in sorted(able, key=lambda one: one.nullable)]


def _as_events(relation: Relation) -> Candidate | None:
    if relation.is_view or not relation.key or not times(relation):
        return None
    named = name_points(relation, "generation")
    points, signs = named, ["its name says so"] if named > 0 else []
    for column, worth in EVIDENCE.items():
        field = best_duration(relation) if column == "duration" else best_field(relation, "generation", column)
        if field is not None:
            points += worth
            signs.append(f"{HAS}{column.replace('_', ' ')} ({field})")
    names = {plain(one.name) for one in relation.fields}
    details = sum(1 for one in DETAILS if plain(one) in names)
    points += min(3, details) + (0.1 * math.log10(relation.rows + 1) if relation.rows else 0)
    has_prompt, has_model = (best_field(relation, "generation", one) is not None for one in ("prompt", "model"))
    is_told = has_prompt or named >= LEAST_POINTS or (named > 0 and has_model)
    return Candidate(relation, points if is_told else points / 2, tuple(signs))


def _docked(candidate: Candidate) -> Candidate:
    points = candidate.points - (0 if _says_when(candidate.relation) else _TIMELESS)
    return replace(candidate, points=points)


def _says_when(relation: Relation) -> bool:
    return best_field(relation, "generation", "created_at") is not None


def best_duration(relation: Relation) -> str | None:
    """A column whose name says that it holds a duration."""
    names = {one.name: plain(one.name) for one in relation.fields if one.kind in (*NUMBERS, "interval")}
    begun = next((name for name, said in names.items() if any(said.startswith(plain(one)) for one in DURATIONS)), None)
    return begun or next((name for name, said in names.items() if said in ALONE), None)


def _medium(relation: Relation) -> str | None:
    return next((one for one in MEDIA if one in words(relation.name)), None)


def _is_alike(best: Candidate, other: Candidate) -> bool:
    """Whether two tables hold two kinds of the same: images and videos, neither belonging to the other."""
    one, two = best.relation, other.relation
    kinds = _medium(one), _medium(two)
    linked = _refers(one, two) or _refers(two, one)
    known = all(best_field(each, "generation", "prompt") is not None and _says_when(each) for each in (one, two))
    return None not in kinds and kinds[0] != kinds[1] and not linked and known and one.schema == two.schema


def _refers(one: Relation, other: Relation) -> bool:
    return any((reference.schema, reference.table) == _place(other) for reference in one.references)


def the_named(shape: Shape, name: str) -> Relation:
    """The table that an answer names; ConnectError with the nearest name when there is none or more than one."""
    found = shape.named(name)
    if len(found) != 1:
        if found:
            raise not_there("table", name, (f"{one.schema}.{one.name}" for one in found))
        raise not_there("table", name, (one.label for one in shape.relations))
    return found[0]


def users(shape: Shape, taken: Iterable[Relation]) -> Candidate | None:
    """The table of people, where there is one."""
    others = set(map(_place, taken))
    found = []
    for one in shape.relations:
        points = name_points(one, "user")
        names = {plain(each.name) for each in one.fields}
        if len(one.key) != 1 or _place(one) in others or points < 2.5 or "provideraccountid" in names:
            continue
        has_email = best_field(one, "user", "email") is not None and "email" in "".join(names)
        referring = sum(1 for each in shape.relations for ref in each.references if shape.leads_to(ref) is one)
        points += (5 if has_email else 0) + min(3, referring) - (2 if one.is_view else 0)
        signs = [
            "its name",
            *(["an e-mail column"] if has_email else []),
            f"{referring} references to it",
        ]
        found.append(Candidate(one, points, tuple(signs)))
    found.sort(key=lambda one: one.order)
    return found[0] if found and found[0].points >= LEAST_POINTS else None


def is_sign_in(relation: Relation) -> bool:
    """Whether it is a sign-in library's own table."""
    return bool(_SIGN_IN & {plain(one.name) for one in relation.fields})


def best_for(
    shape: Shape, role: str, needed: Iterable[str], taken: Iterable[Relation], *, extra: Mapping[str, float]
) -> Candidate | None:
    """The table for a logical table that is not events, users or tenants: it must have the needed columns; `extra`
    columns speak for it."""
    others, found = set(map(_place, taken)), []
    for one in shape.relations:
        points = name_points(one, role)
        if points <= 0 or _place(one) in others or is_sign_in(one):
            continue
        if any(best_field(one, role, column) is None for column in needed):
            continue
        signs = ["its name", *(f"a column for {each}" for each in needed)]
        for column, worth in extra.items():
            if best_field(one, role, column) is not None:
                points += worth
                signs.append(f"a column for {column}")
        found.append(Candidate(one, points, tuple(signs)))
    found.sort(key=lambda one: one.order)
    return found[0] if found else None


def _place(relation: Relation) -> tuple[str, str]:
    return relation.schema, relation.name
