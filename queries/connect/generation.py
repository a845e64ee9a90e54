"""Generations: from one table or from several that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from queries.connect.answers import NONE, Question
from queries.connect.durations import duration
from queries.connect.found import Draft, Found, column_sql
from queries.connect.ground import Ground, exact_number, moment, put, simple, user_column, worded
from queries.connect.matching import best_field, described
from queries.connect.names import words
from queries.connect.needed import ask_what_is_needed, key
from queries.connect.roles import HAS, Candidate
from queries.connect.shape import NUMBERS, text_literal
from queries.connect.tenancy import tenant_column
from queries.connect.values import STATUS, Meanings, are_kinds, meanings, numbered
from queries.connect.vocabulary import MEDIA
from queries.errors import ConnectError

_MONEY = ("cost", "price", "usd", "amount")
_CREDITS = ("credit", "token", "coin", "point")


def generations(ground: Ground, candidates: Iterable[Candidate]) -> tuple[Draft, Meanings]:
    """The draft of generations and what their statuses mean; more than one table becomes one by UNION ALL."""
    found = list(candidates)
    drafts = [_one(ground, one, several=len(found) > 1) for one in found]
    first = drafts[0]
    shared = [one for one in first.columns if all(one in each.columns for each in drafts)]
    if len(drafts) > 1:
        for each in drafts:
            _alike(each, drafts, shared)
        first.united = drafts[1:]
        first.notes = list(dict.fromkeys(note for each in drafts for note in each.notes))
    return first, _statuses(ground, drafts)


def _one(ground: Ground, candidate: Candidate, *, several: bool) -> Draft:
    relation = candidate.relation
    draft = ground.draft("generation", relation, f"{relation.label} holds generations: {_listed(candidate.signs)}")
    if (own := key(ground, draft)) is not None:
        put(draft, "id", ground.keyed(draft, own))
    tenant, question = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    ground.ask(question)
    put(draft, "tenant_id", tenant)
    put(draft, "user_id", user_column(ground, draft))
    for column in ("created_at", "completed_at", "updated_at"):
        put(draft, column, moment(ground, draft, column))
    put(draft, "status", _status(ground, draft))
    for column in ("type", "model"):
        put(draft, column, worded(ground, draft, column))
    for column in ("prompt", "error"):
        put(draft, column, worded(ground, draft, column))
    took, asked = duration(draft, ground.peek, ground.answers)
    put(draft, "duration_ms", took)
    _say_what_is_no_duration(draft)
    ground.ask(asked)
    put(draft, "credits_used", _credits(ground, draft))
    ask_what_is_needed(ground, draft)
    if several and own is not None:
        _of_kind(draft)
    return draft


def _say_what_is_no_duration(draft: Draft) -> None:
    """An end beside a duration of its own is not what the duration is counted to."""
    took, end = draft.columns.get("duration_ms"), draft.columns.get("completed_at")
    if took is not None and took.shown is not None and end is not None:
        reason = f'{end.reason}; for exports alone, the duration is that of "{took.shown[1]}"'
        draft.columns["completed_at"] = replace(end, reason=reason)


def _listed(signs: tuple[str, ...]) -> str:
    """ "its name says so; it has a, b and c"."""
    told = [one for one in signs if not one.startswith(HAS)]
    columns = [one.removeprefix(HAS) for one in signs if one.startswith(HAS)]
    return "; ".join([*told, *([f"it has {', '.join(columns)}"] if columns else [])])


def _status(ground: Ground, draft: Draft) -> Found | None:
    found = simple(ground, draft, "status")
    relation = draft.relation
    if found is not None and found.column is not None and relation.by_name[found.column].kind == "text":
        seen = [value for value, _ in ground.peek.common(relation, found.column)]
        found = found if are_kinds(seen) else None
    if found is None or found.column is None:
        error = best_field(relation, "generation", "error")
        if error is None or ground.answers.get("columns", "generation", "status") == "":
            return None
        sql = f"CASE WHEN {column_sql(error)} IS NULL THEN 'succeeded' ELSE 'failed' END"
        return Found(sql, f'there is no status; a row with "{error}" failed', "medium", shown=(relation, error))
    field_ = relation.by_name[found.column]
    if field_.kind == "boolean":
        sql = f"CASE WHEN {found.sql} THEN 'true' ELSE 'false' END"
        return Found(sql, f"{described(field_)} says whether it succeeded", "medium", shown=found.shown)
    if field_.kind == "integer" and relation.reference_of(found.column) is not None:
        return worded(ground, draft, "status")
    names = numbered(field_.comment) if field_.kind == "integer" else {}
    if names:
        cases = " ".join(f"WHEN {number} THEN {text_literal(name)}" for number, name in names.items())
        sql = f"CASE {found.sql} {cases} ELSE {found.sql}::text END"
        return Found(sql, f"{described(field_)}, whose comment names its numbers", shown=found.shown)
    return found


def _statuses(ground: Ground, drafts: list[Draft]) -> Meanings:
    values: dict[str, None] = {}
    guesses: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for draft in drafts:
        found = draft.columns.get("status")
        if found is None or found.shown is None:
            continue
        seen, guessed = _seen(ground, draft, found)
        values |= dict.fromkeys(seen)
        guesses |= guessed
        counts += _counts(ground, draft, found)
    made = meanings(STATUS, values, ground.answers, guesses, what="status", counts=counts)
    if not values and "status" in drafts[0].columns:
        drafts[0].notes.append("no status was seen yet when this was written, so none of another name has a meaning")
    ground.ask(*made.questions)
    return made


def _counts(ground: Ground, draft: Draft, found: Found) -> Counter[str]:
    """How many of the rows that were looked at have each status; nothing where errors or another table tell it."""
    assert found.shown is not None, "asked before"
    relation, name = found.shown
    if _is_of_errors(found) or relation is not draft.relation:
        return Counter()
    names = numbered(relation.by_name[name].comment)
    return Counter({names.get(value, value): rows for value, rows in ground.peek.common(relation, name)})


def _is_of_errors(found: Found) -> bool:
    return "THEN 'succeeded' ELSE 'failed'" in found.sql


def _seen(ground: Ground, draft: Draft, found: Found) -> tuple[list[str], dict[str, str]]:
    """The status values that the mapping's column can have, and what the rows say of each."""
    assert found.shown is not None, "asked before"
    relation, name = found.shown
    field_ = relation.by_name[name]
    if _is_of_errors(found):
        return ["succeeded", "failed"], {}
    if field_.kind == "boolean":
        return ["true", "false"], {"true": "succeeded", "false": "failed"}
    values = list(field_.labels) or [value for value, _ in ground.peek.common(relation, name)]
    if field_.kind != "integer" or relation is not draft.relation:
        return values, {}
    named = numbered(field_.comment)
    if named:
        return [*named.values(), *(one for one in values if one not in named)], {}
    return sorted(values, key=int), {one: guess for one in values if (guess := _by_rows(ground, draft, name, one))}


def _by_rows(ground: Ground, draft: Draft, name: str, value: str) -> str:
    """What a number means, by what the rows with it have: an error, an end, or neither."""
    shares = {"rows": "count(*)"}
    for column in ("error", "completed_at"):
        there = draft.columns.get(column)
        if there is not None and there.column is not None:
            shares[column] = f"count({column_sql(there.column, 'seen')})"
    facts: dict[str, Any] = ground.peek.facts(
        draft.relation, shares, where=f"{column_sql(name, 'seen')} = {int(value)}"
    )
    rows = facts.get("rows") or 0
    if not rows:
        return ""
    if facts.get("error", 0) > 0.5 * rows:
        return "failed"
    if "completed_at" not in facts:
        return ""
    return "succeeded" if facts["completed_at"] > 0.5 * rows else "unfinished"


def _credits(ground: Ground, draft: Draft) -> Found | None:
    answered = ground.answers.get("credits")
    if answered == NONE:
        return None
    if isinstance(answered, dict):
        return _per_type(draft, answered)
    if answered is not None:
        return Found(f"{answered:f}::{_number_type(answered)}", f"each costs {answered}, as answered")
    found = exact_number(draft, simple(ground, draft, "credits_used"))
    if found is None:
        said = f"No column of {draft.relation.label} is known to say what a generation cost.{_could_be(draft)}"
        ground.ask(Question(("credits",), f"{said} What does each cost? A number, or none", best=NONE))
        return None
    name = found.shown[1] if found.shown is not None else ""
    if set(_MONEY) & set(words(name)) and not set(_CREDITS) & set(words(name)):
        draft.notes.append(f'credits are the amount in "{name}"')
    return found


def _could_be(draft: Draft) -> str:
    """The numbers that may be meant, and how to say so: this question takes no column's name."""
    able = [
        one.name for one in draft.relation.fields if one.kind in NUMBERS and set(words(one.name)) & {*_MONEY, *_CREDITS}
    ]
    if not able:
        return ""
    return f' If {" or ".join(able)} does, answer [columns.generation] credits_used = "{able[0]}" in the file.'


def _per_type(draft: Draft, prices: dict[str, Any]) -> Found:
    kind = draft.columns.get("type")
    if kind is None:
        raise ConnectError("the answers give credits by type, and generations have none; give one number for all")
    cases = " ".join(f"WHEN {text_literal(one)} THEN {price:f}" for one, price in sorted(prices.items()))
    whole = all(_number_type(one) == "integer" for one in prices.values())
    sql = f"(CASE ({kind.sql})::text {cases} ELSE 0 END)::{'integer' if whole else 'numeric'}"
    return Found(sql, "a price for each type, as answered", shown=kind.shown)


def _number_type(number: Any) -> str:
    return "integer" if number == int(number) and abs(number) < 2**31 else "numeric"


def _of_kind(draft: Draft) -> None:
    """One of several tables: its rows say which, and their keys are told apart."""
    kind = next((one for one in words(draft.relation.name) if one in MEDIA), draft.relation.name)
    own = draft.columns["id"]
    draft.columns["id"] = Found(
        f"{text_literal(kind + ':')} || {own.sql}::text", f"{own.reason}, after the kind", shown=own.shown
    )
    if "type" not in draft.columns:
        draft.columns["type"] = Found(text_literal(kind), f"{draft.relation.label} holds one kind each")


def _alike(draft: Draft, drafts: list[Draft], shared: list[str]) -> None:
    """The same columns in each of the united, in types that go together."""
    for column in list(draft.columns):
        if column not in shared:
            others = [one.relation.label for one in drafts if column not in one.columns]
            known = draft.columns[column]
            for each in drafts:
                if column not in each.columns:
                    each.columns[column] = Found("NULL", f"{' and '.join(others)} has none", known.confidence)
    for column in ("type", "model", "status", "prompt", "error"):
        found = draft.columns.get(column)
        if found is not None and not found.sql.endswith("::text"):
            draft.columns[column] = Found(f"({found.sql})::text", found.reason, found.confidence, shown=found.shown)
    draft.columns = {one: draft.columns[one] for one in sorted(draft.columns)}
