"""The ledger of credits: a row per movement, with charges as negative amounts whatever signs they keep."""

from __future__ import annotations

import re
from typing import Any

from queries.connect.found import BASE, Draft, Found, bare, column_sql, of_sample
from queries.connect.ground import Ground, exact_number, moment, put, simple, user_column, worded
from queries.connect.matching import best_field, described
from queries.connect.names import plain, words
from queries.connect.roles import best_for, name_points, the_named
from queries.connect.routes import follow, routes
from queries.connect.shape import NUMBERS, Relation, text_literal
from queries.connect.tenancy import tenant_column
from queries.connect.values import TYPE, Meanings, are_kinds, meaning, meanings, numbered

_DEBIT, _CREDIT = ("debit", "debited", "out"), ("credit", "credited", "in")
# What takes credits away; everything else gives them, or says by its sign.
_TAKING = ("burned", "expired")
_ENOUGH = 6.0
_JOINED = re.compile(rf"\b{BASE}\d+\.")


def ledger(
    ground: Ground, events: list[Relation], taken: list[Relation], *, has_credits: bool
) -> tuple[Draft, Meanings] | None:
    """The draft of the ledger and what its types mean; None where there is none. `has_credits` says whether generations
    know what they cost."""
    named = ground.answers.get("tables", "credit_transaction")
    relation = _relation(ground, taken)
    if relation is None:
        return None
    draft = ground.draft("credit_transaction", relation, f"{relation.label} has an amount and a time for each movement")
    tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    if tenant is None:
        return None
    if relation.key:
        put(draft, "id", ground.keyed(draft, bare(relation, relation.by_name[relation.key[0]], "its primary key")))
    put(draft, "tenant_id", tenant)
    put(draft, "user_id", user_column(ground, draft))
    put(draft, "generation_id", _generation(ground, draft, events))
    put(draft, "created_at", moment(ground, draft, "created_at"))
    type_ = _type(ground, draft)
    put(draft, "amount", _amount(ground, draft))
    put(draft, "price_paid", _price(ground, draft))
    put(draft, "currency", simple(ground, draft, "currency"))
    if "amount" not in draft.columns or "created_at" not in draft.columns:
        return None
    if type_ is None:
        type_, made = _by_sign(ground, draft)
    else:
        made = _meanings(ground, draft, type_)
        _sign(ground, draft, type_, made)
    put(draft, "type", type_)
    # What only ever gives, such as a list of payments, says nothing of what was used.
    gives_only = not made.values["burned"] or "'burned'" in type_.sql
    if gives_only and has_credits and not named and _gives_only(ground, draft):
        return None
    return draft, made


def _relation(ground: Ground, taken: list[Relation]) -> Relation | None:
    named = ground.answers.get("tables", "credit_transaction")
    if named is not None:
        return the_named(ground.shape, named) if named else None
    extra = {"type": 3.0, "price_paid": 1.0}
    found = best_for(ground.shape, "credit_transaction", ("created_at",), taken, extra=extra)
    relation = found.relation if found is not None and found.points >= _ENOUGH else _posted_to(ground, taken)
    if relation is None:
        return None
    has_amount = best_field(relation, "credit_transaction", "amount") is not None or _two_sides(relation) is not None
    # One row per tenant is a balance, and what is called a credit without an amount for each movement is one as well.
    is_balance = any(relation.is_unique(one.column) for one in relation.references) and not best_field(
        relation, "credit_transaction", "type"
    )
    return relation if has_amount and not is_balance and not _is_money(relation) else None


def _posted_to(ground: Ground, taken: list[Relation]) -> Relation | None:
    """The one table, whatever its name, that has several rows with an amount and a time for each balance."""
    shape = ground.shape
    balances = [
        one
        for one in shape.relations
        if name_points(one, "credit_balance") >= _ENOUGH and best_field(one, "credit_balance", "balance") is not None
    ]
    found = [
        one
        for one in shape.relations
        if one not in taken
        and all(best_field(one, "credit_transaction", column) is not None for column in ("amount", "created_at"))
        and any(shape.leads_to(each) in balances and not one.is_unique(each.column) for each in one.references)
    ]
    return found[0] if len(found) == 1 else None


def _is_money(relation: Relation) -> bool:
    """Payments in a currency, with no word of credits anywhere."""
    said = {one for field in relation.fields for one in words(field.name)} | set(relation.words)
    return bool({"stripe", "payment", "invoice", "paypal", "charge"} & said) and not {"credit", "token", "coin"} & said


def _two_sides(relation: Relation) -> tuple[str, str] | None:
    """Columns of what was taken and what was given, where an amount has two."""
    numbers = {plain(one.name): one.name for one in relation.fields if one.kind in NUMBERS}
    taken = next((numbers[plain(one)] for one in _DEBIT if plain(one) in numbers), None)
    given = next((numbers[plain(one)] for one in _CREDIT if plain(one) in numbers), None)
    return (taken, given) if taken and given else None


def _generation(ground: Ground, draft: Draft, events: list[Relation]) -> Found | None:
    if len(events) != 1:
        return None  # of several tables, a key alone does not say whose
    found = [one for one in routes(ground.shape, draft.relation, events[0]) if len(one.hops) == 1]
    return ground.keyed(draft, follow(draft, found[0])) if found else None


def _type(ground: Ground, draft: Draft) -> Found | None:
    found = worded(ground, draft, "type")
    if found is None and not ground.answers.has("columns", "credit_transaction", "type"):
        return _type_by_values(ground, draft)
    if found is None or found.column is None:
        return found
    field = draft.relation.by_name[found.column]
    if field.kind == "text" and not are_kinds(value for value, _ in ground.peek.common(draft.relation, field.name)):
        return None
    names = numbered(field.comment) if field.kind == "integer" else {}
    if not names:
        return found
    cases = " ".join(f"WHEN {number} THEN {text_literal(name)}" for number, name in names.items())
    sql = f"CASE {column_sql(field.name)} {cases} ELSE {column_sql(field.name)}::text END"
    return Found(sql, f"{described(field)}, whose comment names its numbers", shown=found.shown)


def _type_by_values(ground: Ground, draft: Draft) -> Found | None:
    """The one column, whatever its name, whose few values are mostly words for movements."""
    keys = {*draft.relation.key, *(one.column for one in draft.relation.references)}
    found = []
    for field in draft.relation.fields:
        if field.kind not in ("text", "enum") or field.name in keys:
            continue
        values = [value for value, _ in ground.peek.common(draft.relation, field.name)]
        known = [one for one in values if meaning(TYPE, one)]
        if len(values) > 1 and are_kinds(values) and 2 * len(known) >= len(values):
            found.append(bare(draft.relation, field, "its values are words for movements", "medium"))
    return found[0] if len(found) == 1 else None


def _amount(ground: Ground, draft: Draft) -> Found | None:
    sides = _two_sides(draft.relation)
    if sides is None or ground.answers.has("columns", "credit_transaction", "amount"):
        return exact_number(draft, simple(ground, draft, "amount"))
    taken, given = (column_sql(one) for one in sides)
    sql = f"coalesce({given}, 0) - coalesce({taken}, 0)"
    return Found(
        sql, f'what was given ("{sides[1]}") less what was taken ("{sides[0]}")', shown=(draft.relation, sides[1])
    )


def _price(ground: Ground, draft: Draft) -> Found | None:
    found = simple(ground, draft, "price_paid")
    if found is None or found.column is None:
        return found
    field = draft.relation.by_name[found.column]
    if "cent" in words(field.name):
        sql = f"({found.sql} / 100.0)::numeric(14, 2)"
        return Found(sql, f"{described(field)} holds cents", found.confidence, shown=found.shown)
    return exact_number(draft, found)


def _meanings(ground: Ground, draft: Draft, type_: Found) -> Meanings:
    assert type_.shown is not None, "a type is a column of theirs"
    relation, name = type_.shown
    field = relation.by_name.get(name)
    named = numbered(field.comment) if field is not None else {}
    values = list(named.values()) or (list(field.labels) if field is not None else [])
    counts = {named.get(value, value): rows for value, rows in ground.peek.common(relation, name)}
    values = values or list(counts)
    guesses = {one: guess for one in values if not named and (guess := _guess(ground, draft, type_, one))}
    # Of a table of kinds it is known what they are called, and not how many movements have each.
    counts = counts if relation is draft.relation else {}
    made = meanings(TYPE, values, ground.answers, guesses, what="type of movement", counts=counts)
    ground.ask(*made.questions)
    return made


def _facts(ground: Ground, draft: Draft, where: str) -> dict[str, Any]:
    amount = of_sample(draft.columns["amount"].sql)
    wanted = {"rows": "count(*)", "least": f"min({amount})", "most": f"max({amount})"}
    for column in ("generation_id", "price_paid"):
        there = draft.columns.get(column)
        if there is not None and there.column is not None:
            wanted[column] = f"count({column_sql(there.column, 'seen')})"
    return ground.peek.facts(draft.relation, wanted, where=where)


def _gives_only(ground: Ground, draft: Draft) -> bool:
    least = _facts(ground, draft, "true").get("least")
    return least is not None and least >= 0


def _of_values(type_: Found, values: tuple[str, ...]) -> str:
    listed = ", ".join(map(text_literal, values))
    return f"({of_sample(type_.sql)})::text IN ({listed})"


def _is_own(type_: Found) -> bool:
    """Whether the type is told by the table's own columns, so that its rows can be looked at alone."""
    return not _JOINED.search(type_.sql)


def _guess(ground: Ground, draft: Draft, type_: Found, value: str) -> str:
    """What movements of a type are, by their signs and what they refer to."""
    if not _is_own(type_):
        return ""
    facts = _facts(ground, draft, _of_values(type_, (value,)))
    rows = facts.get("rows") or 0
    if not rows:
        return ""
    if facts["most"] <= 0:
        return "burned" if facts.get("generation_id", 0) > 0.5 * rows else "adjusted"
    if facts["least"] >= 0:
        return "purchased" if facts.get("price_paid", 0) > 0.5 * rows else "granted"
    return "adjusted"


def _sign(ground: Ground, draft: Draft, type_: Found, made: Meanings) -> None:
    """Where charges are kept as positive numbers, they are made negative."""
    taking = tuple(value for kind in _TAKING for value in made.values[kind])
    if not taking or not _is_own(type_):
        return
    facts = _facts(ground, draft, _of_values(type_, taking))
    if not facts.get("rows") or facts["least"] < 0 or facts["most"] <= 0:
        return
    found = draft.columns["amount"]
    listed = ", ".join(map(text_literal, taking))
    sql = f"CASE WHEN ({type_.sql})::text IN ({listed}) THEN -({found.sql}) ELSE {found.sql} END"
    reason = f"{found.reason}; what is taken is kept as a positive number, and made negative"
    draft.columns["amount"] = Found(sql, reason, found.confidence, shown=found.shown)


def _by_sign(ground: Ground, draft: Draft) -> tuple[Found, Meanings]:
    """Without a type: what is negative was burned, and what is positive was bought where it has a price."""
    found, price = draft.columns["amount"], draft.columns.get("price_paid")
    facts = _facts(ground, draft, "true")
    only_uses = "usage" in words(draft.relation.name) or (
        facts.get("rows") and facts.get("generation_id", 0) == facts["rows"]
    )
    if only_uses and facts.get("least", 0) >= 0 and name_points(draft.relation, "credit_transaction") > 0:
        draft.columns["amount"] = Found(
            f"-({found.sql})", f"{found.reason}; only charges, made negative", "medium", shown=found.shown
        )
        return Found("'burned'", "there is no type, and each belongs to a generation", "medium"), _own_words("burned")
    bought = f"WHEN {price.sql} > 0 THEN 'purchased' " if price is not None else ""
    sql = f"CASE WHEN {found.sql} < 0 THEN 'burned' {bought}ELSE 'granted' END"
    made = _own_words("burned", "granted", *(["purchased"] if price is not None else []))
    draft.notes.append(
        f"{draft.relation.label} has no column that tells kinds of movements: refunds and expirations are taken for"
        ' credits given and burned; answer [columns.credit_transaction] type = "..." if there is one'
    )
    return Found(sql, "there is no type; what is negative was burned", "low", shown=found.shown), made


def _own_words(*kinds: str) -> Meanings:
    every = ("granted", "purchased", "burned", "refunded", "adjusted", "expired")
    return Meanings({one: (one,) if one in kinds else () for one in every}, "by their sign", "medium")
