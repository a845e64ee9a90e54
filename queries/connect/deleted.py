"""Rows that are marked as deleted: for each table that has such a column, whether they are left out, and what stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from queries.connect.answers import DELETED as CHOICES
from queries.connect.answers import Question
from queries.connect.found import BASE, Draft, Join, column_sql
from queries.connect.ground import Ground
from queries.connect.names import plain, words
from queries.connect.roles import the_named
from queries.connect.shape import TIMES, Field, Relation
from queries.connect.vocabulary import ARCHIVED, INACTIVE, MARKERS
from queries.errors import ConnectError

LEAVE_OUT, COUNT = CHOICES
# What becomes of the rest when rows of a table are left out.
_LEFT: Mapping[str, str] = {
    "organization": "these tenants, their usage and what they have left are not on the page Tenants, while their"
    " generations and movements stay in Credit burn, Timelines and Statements, under their ids",
    "user": "these people are in no list, while what they made stays, under their ids",
    "membership": "these people are members of nothing, while what they made stays",
    "subscription": "their plans and periods do not count",
    "credit_balance": "their credits are not among what is left",
    "credit_transaction": "they are in no sum and no statement",
    "usage_limit": "their quotas do not count",
    "image": "they are neither shown nor counted, while their generations stay",
}
# A balance or a plan that is a column of the tenant's own table goes with the tenant.
_OF_TENANTS = ("organization", "user", "membership")
_COSTS = {
    True: "what they cost stays in the ledger",
    False: "what they cost is in no sum while no ledger is mapped",
}


def leave_deleted_out(ground: Ground, drafts: Iterable[Draft], *, has_ledger: bool) -> None:
    """Asks for each table of the drafts whose rows can be marked, and does as answered; where generations belong to
    something that can be, such as projects, for that too. `has_ledger`: what was charged is known without them."""
    drafts = list(drafts)
    for draft in drafts:
        if draft.logical in _OF_TENANTS or draft.relation not in (ground.tenancy.relation, ground.tenancy.user):
            left = _LEFT.get(draft.logical, f"they are in no count, latency or list, and {_COSTS[has_ledger]}")
            for part in (draft, *draft.united):
                draft.notes += _of_its_own(ground, part, left)
    for draft in drafts:
        if draft.logical in ("generation", "user"):
            left = _COSTS[has_ledger] if draft.logical == "generation" else _LEFT["user"]
            for part in (draft, *draft.united):
                draft.notes += _of_what_it_belongs_to(ground, part, left)


def require_marked(ground: Ground) -> None:
    """ConnectError for an answer about a table that is not used or whose rows cannot be marked."""
    for path in ground.answers.given:
        if path[0] == "deleted" and len(path) > 1 and the_named(ground.shape, path[1]) not in ground.marked:
            listed = ", ".join(_name(ground, one) for one in ground.marked) or "none"
            raise ConnectError(
                f"the answers say what to do with deleted rows of {path[1]}, which is not used or has no column that"
                f" marks any; there are {listed}"
            )


def _of_its_own(ground: Ground, draft: Draft, left: str) -> Iterator[str]:
    """Leaves marked rows out, if so answered; the note about it."""
    marker = marker_of(draft.relation)
    if marker is None:
        return
    rows = f"rows of {_name(ground, draft.relation)} that {_marks(marker)}"
    text = f"There may be {rows}. Leave them out ({left}), or count them as well?"
    answer = _answer(ground, draft.relation, text, COUNT if _told(marker, INACTIVE) else LEAVE_OUT)
    if answer == LEAVE_OUT:
        draft.where.append(_is_there(marker, BASE))
        yield f"{rows} are left out: {left}"
    elif answer == COUNT:
        yield f"{rows} are counted as well"


def _of_what_it_belongs_to(ground: Ground, draft: Draft, left: str) -> Iterator[str]:
    """The same for rows that are not marked themselves, and belong to one that is."""
    for join in _way_to_tenant(draft):
        relation = ground.shape.at(join.relation.schema, join.relation.name)
        marker = marker_of(relation) if relation is not None else None
        # People and tenants are asked for themselves: what they made stays.
        if relation is None or marker is None or relation in (ground.tenancy.user, ground.tenancy.relation):
            continue
        those = f"rows of {_name(ground, draft.relation)} that belong to {_name(ground, relation)}"
        those += f" which {_marks(marker)}"
        text = f"There may be {those}. Leave them out ({left}), or count them as well?"
        answer = _answer(ground, relation, text, COUNT)
        if answer == LEAVE_OUT:
            draft.where.append(_is_there(marker, join.alias))
            yield f"{those} are left out: {left}"
        elif answer == COUNT:
            yield f"{those} are counted as well"


def _answer(ground: Ground, relation: Relation, text: str, best: str) -> str | None:
    """What was said of this table, or of all; asked where nothing was."""
    ground.marked.append(relation)
    for path, value in ground.answers.given.items():
        if path[0] == "deleted" and len(path) > 1 and the_named(ground.shape, path[1]) == relation:
            return str(value)
    if (of_all := ground.answers.get("deleted")) is not None:
        return str(of_all)
    ground.ask(Question(("deleted", _name(ground, relation)), text, CHOICES, best))
    return None


def _name(ground: Ground, relation: Relation) -> str:
    """As an answer names it; in a schema for each tenant, without one of these."""
    return relation.name if ground.tenancy.is_of_tenant_schema(relation) else relation.label


def marker_of(relation: Relation) -> Field | None:
    """The column that marks a row as deleted."""
    able = {plain(one.name): one for one in relation.fields if is_marker(one)}
    return next((able[plain(one)] for one in MARKERS if plain(one) in able), None)


def is_marker(field: Field) -> bool:
    """Whether a column's name and type say that it marks rows as deleted, archived or inactive."""
    able = field.kind == "boolean" or (field.nullable and field.kind in (*TIMES, "date"))
    return able and plain(field.name) in {plain(one) for one in MARKERS}


def _marks(marker: Field) -> str:
    if inactive := _told(marker, INACTIVE):
        return f'"{marker.name}" marks as {inactive} (which may mean inactive rather than deleted)'
    return f'"{marker.name}" marks as {_told(marker, ARCHIVED) or "deleted"}'


def _told(marker: Field, known: Iterable[str]) -> str:
    """Which of these words the marker says; empty where it says none."""
    return next((one for one in known if one in words(marker.name)), "")


def _is_there(marker: Field, alias: str) -> str:
    return f"{column_sql(marker.name, alias)} IS {'NOT TRUE' if marker.kind == 'boolean' else 'NULL'}"


def _way_to_tenant(draft: Draft) -> Iterator[Join]:
    """The tables that the tenant's key is reached through, the last one first."""
    by_alias = {one.alias: one for one in draft.joins}
    alias = draft.columns["tenant_id"].sql.partition(".")[0]
    while alias in by_alias:
        join = by_alias[alias]
        yield join
        alias = join.on.rpartition(" = ")[2].partition(".")[0]
