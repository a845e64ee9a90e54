"""Whether the tables that were answered could be used as answered; an answer is never left aside without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from queries.connect.found import Draft
from queries.connect.ground import Ground, simple
from queries.connect.roles import the_named
from queries.connect.routes import routes
from queries.connect.shape import Relation
from queries.connect.tenancy import tenant_column
from queries.errors import ConnectError

# Columns without which a table cannot be one of ours: one of each group.
NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "credit_transaction": (("amount",), ("created_at",)),
    "credit_balance": (("balance",),),
    "subscription": (("plan", "period_end"),),
    "usage_limit": (("count",),),
    "image": (("url", "data"),),
}


def require_fit(ground: Ground, drafts: Mapping[str, Draft | None]) -> None:
    """ConnectError for the first table that was answered and is not what was made: what it lacks, and what helps."""
    for logical, draft in drafts.items():
        named = ground.answers.get("tables", logical)
        if not named or logical == "generation":  # which is taken as answered, or refused with a reason of its own
            continue
        relation = the_named(ground.shape, named)
        if draft is not None and draft.relation == relation:
            continue
        if logical == "organization":
            raise ConnectError(
                f"the answers name {relation.label} for organization, and the tenant is {_tenant(ground)}; answer"
                ' tenant = "..." instead'
            )
        lacks = "; ".join(_lacking(ground, logical, relation, drafts["generation"])) or "it is of another form"
        raise ConnectError(
            f"the answers name {relation.label} for {logical}, and it does not fit: {lacks}. Correct the answer, leave"
            f" it out, or write [tables.{logical}] as a SELECT in the mapping file, where each column may be an"
            " expression (docs/mapping.md)"
        )


def _lacking(ground: Ground, logical: str, relation: Relation, generation: Draft | None) -> Iterator[str]:
    draft = ground.draft(logical, relation, "")
    tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    if tenant is None:
        yield f"nothing in it leads to {_tenant(ground)}"
    if logical in ("image", "user") and len(relation.key) != 1:
        yield "it has no primary key of one column"
    if logical == "membership":
        yield "each row must refer to a user and to a tenant"
    if logical == "image" and generation is not None:
        if generation.united:
            yield "generations are of several tables, and one of pictures cannot be of all"
        elif not any(len(one.hops) == 1 for one in routes(ground.shape, relation, generation.relation)):
            yield f"no column refers to {generation.relation.label}"
    for group in NEEDED.get(logical, ()):
        if all(simple(ground, draft, column) is None for column in group):
            yield (
                f"none of its columns ({', '.join(relation.by_name)}) is known to be {' or '.join(group)}, which"
                f' [columns.{logical}] {group[0]} = "..." would name'
            )


def _tenant(ground: Ground) -> str:
    return ground.tenancy.relation.label if ground.tenancy.relation is not None else "a schema each"
