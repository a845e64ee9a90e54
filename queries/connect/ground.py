"""What the parts of a proposal are made from, and how one column of a table is found by its name or as answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from queries.connect.answers import Answers, Question, not_there
from queries.connect.found import Draft, Found, bare, column_sql
from queries.connect.matching import best_field, described, how_sure
from queries.connect.names import plain, words
from queries.connect.routes import follow, hop_rank, joined, routes
from queries.connect.samples import Peek
from queries.connect.shape import TIMES, Relation, Shape
from queries.connect.tenancy import Tenancy
from queries.connect.vocabulary import USERS


@dataclass(slots=True)
class Ground:
    """What the parts of a proposal are made from, and what they leave to ask and to say."""

    shape: Shape
    peek: Peek
    answers: Answers
    tenancy: Tenancy
    questions: list[Question] = field(default_factory=list)
    # Tables whose rows can be marked as deleted.
    marked: list[Relation] = field(default_factory=list)

    def ask(self, *questions: Question | None) -> None:
        for one in questions:
            if one is not None and one.path not in [each.path for each in self.questions]:
                self.questions.append(one)

    def draft(self, logical: str, relation: Relation, reason: str) -> Draft:
        is_of_tenant = self.tenancy.is_of_tenant_schema(relation)
        family, pattern = (
            (frozenset(self.tenancy.schemas), self.tenancy.pattern) if is_of_tenant else (frozenset(), None)
        )
        return Draft(logical, relation, reason, family=family, pattern=pattern)

    def keyed(self, draft: Draft, found: Found) -> Found:
        if draft.pattern is None:
            return found
        reason = f"{found.reason}; with the schema before it, since each has its own"
        return Found(f"{{schema_text}} || ':' || {found.sql}::text", reason, found.confidence, shown=found.shown)


def simple(ground: Ground, draft: Draft, column: str) -> Found | None:
    """A column by its name, or as answered."""
    relation, named = draft.relation, ground.answers.get("columns", draft.logical, column)
    if named == "":
        return None
    if named is not None:
        if named not in relation.by_name:
            raise not_there(f"column of {relation.label}", named, relation.by_name)
        return bare(relation, relation.by_name[named], "as answered")
    taken = [one.column for one in draft.columns.values() if one.column]
    name = best_field(relation, draft.logical, column, taken)
    if name is None:
        return None
    field_ = relation.by_name[name]
    return bare(
        relation,
        field_,
        f"{described(field_)} is a usual word for {column.replace('_', ' ')}",
        how_sure(relation, draft.logical, column, name),
    )


def put(draft: Draft, column: str, found: Found | None) -> None:
    if found is not None:
        draft.columns[column] = found


def moment(ground: Ground, draft: Draft, column: str) -> Found | None:
    """A time: with or without zone as it is; a date at its midnight; seconds or milliseconds since 1970 made one."""
    found = simple(ground, draft, column)
    if found is None or found.column is None:
        return found
    relation, kind = draft.relation, draft.relation.by_name[found.column].kind
    if kind in TIMES:
        return found
    if kind == "date":
        return Found(f"{found.sql}::timestamp", f"{found.reason}, as midnight UTC", found.confidence, shown=found.shown)
    newest = ground.peek.facts(relation, {"newest": f"max({column_sql(found.column, 'seen')})"}).get("newest") or 0
    scale, unit = ("/ 1000.0", "milliseconds") if newest > 10**11 else ("", "seconds")
    reason = f"{found.reason}, {unit} since 1970"
    return Found(f"to_timestamp(({found.sql} {scale})::double precision)", reason, "medium", shown=found.shown)


def worded(ground: Ground, draft: Draft, column: str) -> Found | None:
    """A name, type, model or plan as text: of the table that it refers to where it is a key."""
    found = simple(ground, draft, column)
    if found is None or found.column is None:
        return found
    field_ = draft.relation.by_name[found.column]
    reference = draft.relation.reference_of(found.column)
    target = ground.shape.leads_to(reference) if reference is not None else None
    if reference is not None and target is not None:
        name = called(target)
        if name is not None:
            alias = joined(draft, reference, is_outer=field_.nullable or not reference.declared)
            reason = f"{described(field_)} leads to {target.label}, whose {name} it is"
            return Found(f"{column_sql(name, alias)}::text", reason, found.confidence, shown=(target, name))
    if field_.kind in ("integer", "uuid", "json") or (field_.kind == "enum" and column in ("model", "name", "error")):
        return Found(f"{found.sql}::text", found.reason, found.confidence, shown=found.shown)
    return found


def called(relation: Relation) -> str | None:
    """The column that a row is called by."""
    return next((one for one in ("name", "title", "slug", "code", "key", "label") if one in relation.by_name), None)


def exact_number(draft: Draft, found: Found | None) -> Found | None:
    """Credits are exact; a float is made a decimal number as it is written."""
    if found is None or found.column is None or draft.relation.by_name[found.column].kind != "float":
        return found
    return Found(f"{found.sql}::numeric", f"{found.reason}, made exact", found.confidence, shown=found.shown)


def user_column(ground: Ground, draft: Draft) -> Found | None:
    """Who made it: the reference to users that is named most like one."""
    person, named = ground.tenancy.user, ground.answers.get("columns", draft.logical, "user_id")
    if named is not None:
        return simple(ground, draft, "user_id")
    if person is None:
        return None
    found = routes(ground.shape, draft.relation, person)
    # A movement's own user is worth nothing that a join through its generation would cost.
    most = 1 if draft.logical == "credit_transaction" else 2
    if not found or len(found[0].hops) > most:
        return None
    order = [plain(one) for one in USERS]

    def rank(name: str) -> int:
        said = plain(words(name)[:-1]) if words(name)[-1:] == ("id",) else plain(name)
        return order.index(said) if said in order else len(order)

    best = min(found, key=lambda one: (rank(one.hops[0].reference.column), hop_rank(one.hops[0])))
    made = follow(draft, best)
    return ground.keyed(draft, made) if ground.tenancy.is_of_tenant_schema(person) else made
