"""A proposal: which of their tables and columns are ours, why, how sure, and what only a person knows.

Nothing is asked here and nothing is written. Whoever has answers proposes again with them; the same shape, rows and
answers always give the same proposal.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from dataclasses import dataclass, replace
from datetime import datetime

from queries.connect import beside, billing, people
from queries.connect.answers import Answers, Question
from queries.connect.deleted import leave_deleted_out, require_marked
from queries.connect.fitting import require_fit
from queries.connect.found import PRISMA, Draft, of_sample
from queries.connect.generation import generations
from queries.connect.ground import Ground
from queries.connect.ledger import ledger
from queries.connect.needed import NEEDED_COLUMNS, which_generations
from queries.connect.roles import Candidate, events, the_named, users
from queries.connect.samples import Peek
from queries.connect.several import OverSchemas
from queries.connect.shape import Relation, Shape
from queries.connect.tenancy import SCHEMA, Tenancy, chosen, inner_tenant, tenant_schemas
from queries.connect.unused import Unused, UnusedColumns, unused, unused_columns
from queries.connect.values import RENEWING, STATUS, TYPE, Meanings
from queries.errors import ConnectError
from queries.mapping import Mapping, TableMapping


@dataclass(frozen=True)
class Proposal:
    """Drafts by our names (None: there is no such table), values with their reasons, open questions, and once there are
    none, their tables that nothing reads, and such columns of tables that are read (`left`). While generations or the
    tenant are in question there are no drafts."""

    shape: Shape
    drafts: Named[str, Draft | None]
    meanings: Named[str, Meanings]
    questions: tuple[Question, ...]
    tenancy: Tenancy | None = None
    unused: tuple[Unused, ...] = ()
    left: tuple[UnusedColumns, ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.tenancy is not None and "generation" in self.drafts

    def mapping(self) -> Mapping:
        """As it is read by everything else."""
        tables: dict[str, TableMapping] = {}
        for logical in PRISMA.tables:
            tables[logical] = self._table(logical, tables)
        values = dict(PRISMA.values)
        for kind, made in self.meanings.items():
            if any(made.values.values()):
                values[kind] = {ours: _in_order(kind, ours, theirs) for ours, theirs in made.values.items()}
        return Mapping(tables, values)

    def _table(self, logical: str, before: Named[str, TableMapping]) -> TableMapping:
        draft = self.drafts.get(logical)
        if draft is None:
            return TableMapping.of_nothing(logical)
        made = draft.mapping()
        # A statement may name both, and a table that stands twice in it must have two names.
        is_twice = any(
            (one.schema, one.name) == (made.schema, made.name) and not one.is_derived for one in before.values()
        )
        return draft.mapping(by_names=False) if is_twice and not made.is_derived else made


def _in_order(kind: str, ours: str, theirs: tuple[str, ...]) -> tuple[str, ...]:
    """The default's own tuple where the values are the same, so that the file says only what differs."""
    known = PRISMA.values[kind][ours]
    return known if set(known) == set(theirs) else theirs


def propose(shape: Shape, peek: Peek, answers: Answers) -> Proposal:
    """The proposal for what is there; ConnectError when nothing can be proposed without an answer that is missing."""
    family = tenant_schemas(shape, answers)
    if family is not None:
        pattern, schemas = family
        within = shape.in_schemas({one.schema for one in shape.relations} - set(schemas[1:]))
        peek = OverSchemas(peek, schemas)
    else:
        within = shape
    found = events(within, answers)
    if not found:
        return Proposal(shape, {}, {}, (which_generations(within),))
    relations = [one.relation for one in found]
    _require_readable(relations)
    person = _people(within, relations, answers)
    question: Question | None = None
    if family is not None:
        question = inner_tenant(within, peek, relations, person, answers)
        if question is not None:
            return Proposal(shape, {}, {}, (question,))
        reason = f"the schemas {family[0]} hold the same tables: {', '.join(family[1][:3])}, ..."
        tenancy: Tenancy | None = Tenancy(
            SCHEMA, None, person.relation if person is not None else None, reason, pattern=pattern, schemas=schemas
        )
    else:
        tenancy, question = chosen(within, peek, relations, person, answers)
    if tenancy is None:
        assert question is not None, "without a tenancy there is a question"
        return Proposal(shape, {}, {}, (question,))
    return _drafted(Ground(within, peek, answers, tenancy), found, shape)


def _people(shape: Shape, events_: list[Relation], answers: Answers) -> Candidate | None:
    named = answers.get("tables", "user")
    if named == "":
        return None
    if named:
        return Candidate(the_named(shape, named), 99, ("as answered",))
    return users(shape, events_)


def _drafted(ground: Ground, found: list[Candidate], shape: Shape) -> Proposal:
    tenancy, answers = ground.tenancy, ground.answers
    generation, statuses = generations(ground, found)
    if any(one not in generation.columns for one in NEEDED_COLUMNS):
        asked_first = sorted(ground.questions, key=lambda one: one.path[:2] != ("columns", "generation"))
        return Proposal(shape, {}, {}, tuple(one for one in asked_first if not answers.has(*one.path)))
    events_ = [one.relation for one in found]
    known = [one for one in (tenancy.relation, tenancy.user) if one is not None]
    taken = [*events_, *known]
    drafts: dict[str, Draft | None] = {"organization": people.organization(ground), "user": people.users(ground)}
    drafts["membership"] = people.membership(ground)
    taken += [one.relation for one in drafts.values() if one is not None]
    meanings = {STATUS: statuses}
    posted = ledger(ground, events_, taken, has_credits="credits_used" in generation.columns)
    if posted is not None:
        taken.append(posted[0].relation)
        meanings[TYPE] = posted[1]
    drafts["credit_transaction"] = posted[0] if posted is not None else None
    drafts["credit_balance"] = billing.balance(ground, taken)
    paid = billing.subscription(ground, taken, as_of=_as_of(ground, generation))
    if paid is not None:
        meanings[RENEWING] = paid[1]
    drafts["subscription"] = paid[0] if paid is not None else None
    drafts["usage_limit"] = beside.usage_limits(ground, taken, drafts["subscription"])
    drafts["generation"] = generation
    made = [one for one in drafts.values() if one is not None]
    leave_deleted_out(ground, made, has_ledger=posted is not None)
    # Pictures that are a column of generations are of those that are there.
    drafts["image"] = pictures = beside.images(ground, generation, taken)
    if pictures is not None and pictures.relation != generation.relation:
        leave_deleted_out(ground, [pictures], has_ledger=posted is not None)
    require_marked(ground)
    require_fit(ground, drafts)
    if posted is not None:
        # Without a column of its own, what a generation cost is known from the ledger, and needs no answer.
        ground.questions = [one for one in ground.questions if one.path != ("credits",)]
    asked = tuple(one for one in ground.questions if not answers.has(*one.path))
    proposal = Proposal(shape, drafts, meanings, asked, tenancy)
    return proposal if asked else replace(proposal, unused=unused(ground, drafts), left=unused_columns(ground, drafts))


def _as_of(ground: Ground, generation: Draft) -> str:
    """The present, as SQL; of a copy that is older, when its newest generation was made."""
    newest = ground.peek.facts(
        generation.relation, {"newest": f"max({of_sample(generation.columns['created_at'].sql)})"}
    ).get("newest")
    return f"least(now(), timestamptz '{newest.isoformat()}')" if isinstance(newest, datetime) else "now()"


def _require_readable(relations: list[Relation]) -> None:
    for one in relations:
        if not one.readable:
            raise ConnectError(
                f"this role may not read {one.label}; connect with an address whose role may, and give the program's"
                " own role its rights afterwards by `python -m dashboard grant-sql`"
            )
