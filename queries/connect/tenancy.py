"""Who the tenant is: an organization, the user, or a schema of its own; and the column of each table that says so."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from queries.connect.answers import Answers, Question, not_there
from queries.connect.belonging import belonging
from queries.connect.found import Confidence, Draft, Found, column_sql
from queries.connect.matching import best_field
from queries.connect.names import words
from queries.connect.roles import LEAST_POINTS, Candidate, events, is_sign_in, name_points, the_named
from queries.connect.routes import MOST_HOPS, Route, follow, rivals, routes
from queries.connect.samples import Peek
from queries.connect.shape import Relation, Shape, quoted
from queries.errors import ConnectError

SCHEMA: Literal["schema"] = "schema"
# Schemas of these are copies of each other, and no tenants.
_STAGES = {
    "public",
    "staging",
    "prod",
    "production",
    "dev",
    "development",
    "test",
    "backup",
    "old",
    "archive",
    "preview",
}
# How far apart two candidates must be for the better one to be taken without asking.
_CLEAR = 3.0
_NEARNESS = {0: 6.0, 1: 6.0, 2: 4.0, 3: 2.0}
_BILLING = ("credit_balance", "credit_transaction", "subscription")


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant's table (None for a schema each), the users' table, and where several schemas hold the same tables,
    their pattern and names."""

    kind: Literal["organization", "user", "schema"]
    relation: Relation | None
    user: Relation | None
    reason: str
    confidence: Confidence = "high"
    pattern: str | None = None
    schemas: tuple[str, ...] = ()

    def is_of_tenant_schema(self, relation: Relation) -> bool:
        return relation.schema in self.schemas


def tenant_schemas(shape: Shape, answers: Answers) -> tuple[str, tuple[str, ...]] | None:
    """The pattern and the names of schemas that hold the same tables, with generations among them, one per tenant."""
    by_schema: defaultdict[str, set[str]] = defaultdict(set)
    for one in shape.relations:
        by_schema[one.schema].add(one.name)
    if (pattern := answers.get("schemas")) is not None:
        matching = tuple(sorted(one for one in by_schema if _matches(one, pattern)))
        if not matching:
            raise not_there("pattern of schemas", pattern, by_schema)
        return pattern, matching
    if answers.has("tenant") and answers.get("tenant") != SCHEMA:
        return None
    families: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for schema, tables in sorted(by_schema.items()):
        families[tuple(sorted(tables))].append(schema)
    for names in sorted(families.values(), key=lambda one: (-len(one), one)):
        if len(names) < 2 or any(_STAGES & set(words(one)) for one in names):
            continue
        if events(shape.in_schemas({names[0]}), Answers()):
            return _family(names, by_schema)
    if answers.get("tenant") == SCHEMA:
        raise ConnectError(
            "the answers say that each schema is a tenant, and no two schemas hold the same tables with generations"
            ' among them; name them by schemas = "tenant_*"'
        )
    return None


def inner_tenant(
    shape: Shape, peek: Peek, events_: list[Relation], user: Candidate | None, answers: Answers
) -> Question | None:
    """Where several schemas hold the same tables: whether these have tenants of their own, which only a person can tell
    from a tenant per schema."""
    if answers.has("tenant") or answers.has("schemas"):
        return None
    own = _options(shape, peek, events_, user.relation if user is not None else None)
    own = [one for one in own if one.points >= LEAST_POINTS and (user is None or one.relation is not user.relation)]
    if not own:
        return None
    label = own[0].relation.label
    return Question(
        ("tenant",),
        f"several schemas hold the same tables, and in them {label} could be the tenant as well."
        " Whose figures may nobody else see?",
        (SCHEMA, label),
    )


def _family(names: list[str], by_schema: Mapping[str, set[str]]) -> tuple[str, tuple[str, ...]]:
    """The pattern that takes these schemas, and others only if they hold the same tables and more; else their list."""
    start = _common_start(names[0], names[-1])
    matching = [one for one in sorted(by_schema) if one.startswith(start)]
    if start and all(by_schema[one] >= by_schema[names[0]] for one in matching):
        return f"{start}*", tuple(matching)
    return ", ".join(names), tuple(names)


def _matches(name: str, pattern: str) -> bool:
    """Whether one of the patterns, which commas part, takes the schema."""
    return any(fnmatch.fnmatchcase(name, one.strip()) for one in pattern.split(","))


def _common_start(first: str, last: str) -> str:
    """What the first and the last of sorted names begin with, and so all between them."""
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:same]


@dataclass(frozen=True, slots=True)
class _Option:
    relation: Relation
    points: float
    billing: float
    signs: tuple[str, ...]


def chosen(
    shape: Shape, peek: Peek, events_: list[Relation], user: Candidate | None, answers: Answers
) -> tuple[Tenancy | None, Question | None]:
    """The tenancy; or, where two tables could be the tenant, the question that only a person can answer."""
    person = user.relation if user is not None else None
    named = answers.get("tenant")
    if named is not None and named != SCHEMA:
        relation = the_named(shape, named)
        kind: Literal["organization", "user"] = "user" if relation is person else "organization"
        return Tenancy(kind, relation, person, "as answered"), None
    options = _options(shape, peek, events_, person)
    own = [one for one in options if one.relation is not person]
    if any(one.relation is person and one.billing for one in options):
        # Groups and teams that nothing is billed to are not whose figures they are.
        own = [one for one in own if one.billing]
    if own and len(own) > 1 and own[0].points - own[1].points < _CLEAR:
        return None, _which(own)
    if own and own[0].points >= LEAST_POINTS:
        best, sure = own[0], own[0].points >= LEAST_POINTS + _CLEAR
        reason = f"{best.relation.label} is the tenant: {'; '.join(best.signs)}"
        return Tenancy("organization", best.relation, person, reason, "high" if sure else "medium"), None
    if not any(one.relation is person for one in options):
        return None, _whoever(shape, events_[0])
    assert person is not None, "one of the options"
    reason = f"each user of {person.label} is a tenant: no organization is reached from {events_[0].label}"
    return Tenancy("user", person, person, reason, "high" if own == [] else "medium"), None


def _options(shape: Shape, peek: Peek, events_: list[Relation], person: Relation | None) -> list[_Option]:
    """Every table that generations lead to and that could be the tenant, with what speaks for it."""
    found = []
    billing = _billing_tables(shape)
    for one in shape.relations:
        points = name_points(one, "tenant")
        if len(one.key) != 1 or one in events_ or is_sign_in(one) or (points <= 0 and one is not person):
            continue
        ways = [routes(shape, each, one, avoid=person) for each in events_]
        if not all(ways) or not (one is person or all(_is_filled(peek, each[0]) for each in ways)):
            continue
        hops = max(len(each[0].hops) for each in ways)
        points += _NEARNESS[hops]
        signs = ["its name says so", f"{ways[0][0].words} leads to it"]
        billed = [each.label for each in billing if each is not one and _is_direct(shape, each, one)]
        signs += [f"{each} belongs to it" for each in billed]
        if keeps_credits(one):
            signs.append("it keeps credits")
        worth = 4.0 * len(billed) + (3.0 if keeps_credits(one) else 0.0)
        found.append(_Option(one, points + worth, worth, tuple(signs)))
    return sorted(found, key=lambda one: (-one.points, one.relation.schema, one.relation.name))


def _is_filled(peek: Peek, way: Route) -> bool:
    """Whether most rows have the reference; one that is nearly always empty says of few whose they are."""
    hop = way.hops[0]
    if not hop.field.nullable:
        return True
    facts = peek.facts(hop.relation, {"rows": "count(*)", "there": f"count({quoted(hop.field.name)})"})
    return not facts.get("rows") or facts["there"] >= 0.5 * facts["rows"]


def _is_direct(shape: Shape, relation: Relation, target: Relation) -> bool:
    return any(shape.leads_to(one) is target for one in relation.references)


def keeps_credits(relation: Relation) -> bool:
    """Whether one of its columns is called as credits that are left."""
    name = best_field(relation, "credit_balance", "balance")
    return name is not None and bool({"credit", "balance", "token", "coin"} & set(words(name)))


def _billing_tables(shape: Shape) -> list[Relation]:
    return [
        one
        for one in shape.relations
        for role, column in zip(_BILLING, ("balance", "amount", "period_end"), strict=True)
        if name_points(one, role) >= 5 and best_field(one, role, column) is not None
    ]


def _whoever(shape: Shape, event: Relation) -> Question:
    """Where no table that generations lead to is called as a tenant: any could be, those that they lead to first;
    ConnectError where there is none."""
    able = [one for one in shape.relations if len(one.key) == 1 and one is not event and not is_sign_in(one)]
    ways = {one.label: routes(shape, event, one) for one in able}
    near = sorted(ways, key=lambda one: (len(ways[one][0].hops) if ways[one] else MOST_HOPS + 1, one))
    said = f"no table looks like tenants or users that generations ({event.label}) lead to"
    if not near:
        raise ConnectError(f'{said}; name it in an answers file: tenant = "accounts"')
    return Question(("tenant",), f"{said}. Whose figures may nobody else see?", tuple(near))


def _which(options: list[_Option]) -> Question:
    near = [one for one in options if options[0].points - one.points < _CLEAR]
    said = "; ".join(f"{one.relation.label} ({', '.join(one.signs[1:])})" for one in near)
    return Question(
        ("tenant",),
        f"more than one table could be the tenant: {said}. Whose figures may nobody else see?",
        tuple(one.relation.label for one in near),
    )


def tenant_column(
    draft: Draft, tenancy: Tenancy, shape: Shape, answers: Answers
) -> tuple[Found | None, Question | None]:
    """The column of a table that says whose a row is, with the joins that it needs."""
    if tenancy.kind == "schema":
        return Found("{schema_text}", f"each schema {tenancy.pattern} is a tenant"), None
    target = tenancy.relation
    assert target is not None, "only schemas have no table"
    if draft.relation is target:
        key = target.key[0]
        return Found(column_sql(key), f"{target.label} is the tenant", column=key, shown=(target, key)), None
    named = answers.get("columns", draft.logical, "tenant_id")
    if named:
        return _as_named(draft, named, target, shape), None
    found = routes(shape, draft.relation, target, avoid=tenancy.user)
    if not found:
        return _of_person(draft, tenancy, shape, answers), None
    alike = rivals(found)
    if draft.logical == "generation" and len(alike) > 1:
        return None, _which_column(draft, alike)
    return follow(draft, found[0]), None


def _of_person(draft: Draft, tenancy: Tenancy, shape: Shape, answers: Answers) -> Found | None:
    """Where only the person is known: the tenant that this person has belonged to the longest."""
    person = tenancy.user
    between = belonging(shape, person, tenancy.relation, answers.get("tables", "membership"))
    if between is None or person is None or draft.relation is person:
        return None
    found = routes(shape, draft.relation, person)
    if not found:
        return None
    made = follow(draft, found[0])
    draft.notes.append(f"a row of {draft.relation.label} is of the tenant that its user has belonged to the longest")
    reason = f"{found[0].words} leads to {person.label}, and {between.relation.label} says to whom each belongs"
    return Found(between.first_tenant(made.sql), reason, "low", shown=made.shown)


def _as_named(draft: Draft, named: str, target: Relation, shape: Shape) -> Found:
    if named not in draft.relation.by_name:
        raise not_there(f"column of {draft.relation.label}", named, draft.relation.by_name)
    there = [one for one in routes(shape, draft.relation, target) if one.hops[0].reference.column == named]
    if there:
        return follow(draft, there[0])
    return Found(column_sql(named), "as answered", column=named, shown=(draft.relation, named))


def _which_column(draft: Draft, alike: list[Route]) -> Question:
    names = tuple(one.hops[0].reference.column for one in alike)
    return Question(
        ("columns", draft.logical, "tenant_id"),
        f"{draft.relation.label} refers to {alike[0].target.label} by {' and by '.join(names)}. Which one says whose a"
        " generation is?",
        names,
    )
