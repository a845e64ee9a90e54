"""What a tenant has and pays: the balance, from wherever it is kept, and the subscription."""

from __future__ import annotations

from collections.abc import Iterable

from queries.connect.found import Draft, Found, column_sql
from queries.connect.ground import Ground, called, exact_number, moment, put, simple, worded
from queries.connect.matching import best_field, described
from queries.connect.names import plain, words
from queries.connect.periods import explain_periods
from queries.connect.roles import best_for, the_named
from queries.connect.routes import MOST_HOPS_TO_PLAN, Route, along, routes
from queries.connect.shape import NUMBERS, Relation, quoted, text_literal
from queries.connect.tenancy import tenant_column
from queries.connect.values import RENEWING, Meanings, meanings

_OF_CREDITS = ("credit", "balance", "token", "coin", "point")
_WHOLE = ("total credit", "credit total", "total", "credit limit", "allowance", "credit")
_USED = ("used credit", "credit used", "used", "consumed")
_PLANS = ("plan", "tier", "package")
_ENOUGH = 6.0


def balance(ground: Ground, taken: list[Relation]) -> Draft | None:
    """Credits left: from a table of balances, else from a column of the tenant, its user or its subscription."""
    named = ground.answers.get("tables", "credit_balance")
    if named == "":
        return None
    places = [the_named(ground.shape, named)] if named else _places(ground, taken)
    for relation in places:
        draft = ground.draft("credit_balance", relation, f"{relation.label} keeps what is left")
        tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
        if tenant is None:
            continue
        is_one_each = not draft.joins and tenant.column is not None and relation.is_unique(tenant.column)
        put(draft, "tenant_id", tenant)
        left = _left(ground, draft)
        if left is None:
            continue
        put(draft, "balance", left)
        for column in ("reset_at", "updated_at"):
            put(draft, column, moment(ground, draft, column))
        if not is_one_each:
            _summed(draft)
        return draft
    return None


def _places(ground: Ground, taken: list[Relation]) -> list[Relation]:
    """Where balances may be kept, the likeliest first."""
    extra = {"reset_at": 3.0, "updated_at": 1.0}
    own = best_for(ground.shape, "credit_balance", (), taken, extra=extra)
    columns = [one for one in (ground.tenancy.relation, ground.tenancy.user) if one is not None]
    found = [own.relation] if own is not None and own.points >= _ENOUGH else []
    subscription = best_for(ground.shape, "subscription", (), taken, extra={})
    # What belongs to each tenant alone, such as a profile.
    columns += [one for one in ground.shape.relations if one not in taken and _is_beside(ground, one)]
    others = [*columns, *([subscription.relation] if subscription is not None else [])]
    return [*found, *(one for one in others if one not in found and _has_credits(one, ground))]


def _is_beside(ground: Ground, relation: Relation) -> bool:
    references = (one for one in relation.references if relation.is_unique(one.column))
    return any(ground.shape.leads_to(one) is ground.tenancy.relation for one in references)


def _has_credits(relation: Relation, ground: Ground) -> bool:
    """Whether one of its columns is called as credits that are left; a plan's monthly credits are not."""
    name = best_field(relation, "credit_balance", "balance")
    is_left = name is not None and any(one in words(name) for one in _OF_CREDITS)
    is_tenant = relation in (ground.tenancy.relation, ground.tenancy.user) or _is_beside(ground, relation)
    said = words(name) if name is not None else ()
    return is_left and (is_tenant or bool({"remaining", "left", "balance"} & set(said)))


def _left(ground: Ground, draft: Draft) -> Found | None:
    relation = draft.relation
    numbers = {plain(one.name): one.name for one in relation.fields if one.kind in NUMBERS}
    used = next((numbers[plain(one)] for one in _USED if plain(one) in numbers), None)
    whole = next((numbers[plain(one)] for one in _WHOLE if plain(one) in numbers), None)
    found = exact_number(draft, simple(ground, draft, "balance"))
    says_left = (
        found is not None
        and found.shown is not None
        and bool({"balance", "remaining", "left", "available"} & set(words(found.shown[1])))
    )
    if used and whole and not says_left and not ground.answers.has("columns", "credit_balance", "balance"):
        sql = f"{column_sql(whole)} - {column_sql(used)}"
        return Found(
            sql, f'what there was ("{whole}") less what was used ("{used}")', "medium", shown=(relation, whole)
        )
    return found


def _summed(draft: Draft) -> None:
    """Several rows of a tenant are one balance."""
    tenant, left = draft.columns["tenant_id"], draft.columns["balance"]
    _of_newest_period(draft)
    kind = draft.relation.by_name[left.column].kind if left.column is not None else "numeric"
    sql = f"sum({left.sql})::{'bigint' if kind == 'integer' else 'numeric'}"
    reason = f"{left.reason}; the rows of a tenant are added, since nothing says that there is only one"
    draft.columns["balance"] = Found(sql, reason, left.confidence, shown=left.shown)
    for column, function in (("reset_at", "min"), ("updated_at", "max")):
        if (found := draft.columns.get(column)) is not None:
            draft.columns[column] = Found(f"{function}({found.sql})", found.reason, found.confidence, shown=found.shown)
    if draft.pattern is None:
        draft.where.append(f"{tenant.sql} IS NOT NULL")
        draft.group = tenant.sql


def _of_newest_period(draft: Draft) -> None:
    """Where each period has rows of its own, those of the last one are what is left."""
    tenant, reset = draft.columns["tenant_id"].column, draft.columns.get("reset_at")
    if tenant is None or reset is None or reset.column is None or "reset" not in words(reset.column):
        return
    newest = (
        f"(SELECT max(o.{quoted(reset.column)}) FROM {draft.place} AS o"  # noqa: S608 - quoted names
        f" WHERE o.{quoted(tenant)} = {column_sql(tenant)})"
    )
    draft.where.append(f"{column_sql(reset.column)} = {newest}")


def subscription(ground: Ground, taken: list[Relation], *, as_of: str) -> tuple[Draft, Meanings] | None:
    """The newest subscription of each tenant, from a table of them or from columns of the tenant itself. `as_of` is the
    present of these rows, as SQL."""
    named = ground.answers.get("tables", "subscription")
    if named == "":
        return None
    found = best_for(ground.shape, "subscription", (), taken, extra={"period_end": 3.0, "plan": 2.0, "status": 1.0})
    own = [found.relation] if found is not None else []
    others = [one for one in (ground.tenancy.relation, ground.tenancy.user) if one is not None]
    for relation in [the_named(ground.shape, named)] if named else [*own, *others]:
        draft = ground.draft("subscription", relation, f"{relation.label} has a plan or a period")
        made = _subscription(ground, draft)
        if made is not None:
            explain_periods(ground, draft, made.values.get("renewing", ()), as_of)
            return draft, made
    return None


def _subscription(ground: Ground, draft: Draft) -> Meanings | None:
    relation = draft.relation
    tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    if tenant is None:
        return None
    is_one_each = not draft.joins and tenant.column is not None and relation.is_unique(tenant.column)
    put(draft, "tenant_id", tenant)
    plan = _plan(ground, draft)
    end = moment(ground, draft, "period_end")
    if plan is None and end is None:
        return None
    put(draft, "plan", plan)
    put(draft, "period_end", end)
    put(draft, "period_start", moment(ground, draft, "period_start"))
    is_tenant = relation in (ground.tenancy.relation, ground.tenancy.user)
    name = best_field(relation, "subscription", "status")
    # The status of a user is not that of what they pay for.
    if not is_tenant or (name is not None and {"subscription", "stripe", "billing"} & set(words(name))):
        put(draft, "status", simple(ground, draft, "status"))
    put(draft, "credits_per_period", _included(ground, draft, is_tenant=is_tenant))
    made = _renewing(ground, draft)
    if not is_one_each:
        _newest(draft, made)
    return made


def _included(ground: Ground, draft: Draft, *, is_tenant: bool) -> Found | None:
    """Credits of a period, of the subscription or of its plan."""
    own = None if is_tenant else exact_number(draft, simple(ground, draft, "credits_per_period"))
    if own is not None:
        return own
    for way in _ways_to_plans(ground, draft.relation, (*_PLANS, "product", "price")):
        plan = way.target
        name = best_field(plan, "subscription", "credits_per_period")
        if name is not None:
            alias, _ = along(draft, way.hops)
            field = plan.by_name[name]
            exact = "::numeric" if field.kind == "float" else ""
            return Found(f"{column_sql(name, alias)}{exact}", f"{described(field)} of {plan.label}", shown=(plan, name))
    return None


def _plan(ground: Ground, draft: Draft) -> Found | None:
    """The plan by a column of its own, else the name of one that it leads to through something else."""
    found = worded(ground, draft, "plan")
    if found is not None or ground.answers.has("columns", "subscription", "plan"):
        return found
    for way in _ways_to_plans(ground, draft.relation, _PLANS):
        name = called(way.target)
        if name is not None:
            alias, _ = along(draft, way.hops)
            reason = f"{way.words} leads to {way.target.label}, whose {name} it is"
            return Found(f"{column_sql(name, alias)}::text", reason, "medium", shown=(way.target, name))
    return None


def _ways_to_plans(ground: Ground, relation: Relation, called_so: Iterable[str]) -> list[Route]:
    """To what is called a plan, the nearest first."""
    shape, known = ground.shape, set(called_so)
    ways = [way for plan in shape.relations if known & set(plan.words) for way in routes(shape, relation, plan)[:1]]
    near = [one for one in ways if len(one.hops) <= MOST_HOPS_TO_PLAN]
    return sorted(near, key=lambda one: (len(one.hops), relation.references.index(one.hops[0].reference)))


def _renewing(ground: Ground, draft: Draft) -> Meanings:
    status = draft.columns.get("status")
    if status is None or status.column is None:
        return Meanings({}, "there is no status", "low")
    field = draft.relation.by_name[status.column]
    counts = dict(ground.peek.common(draft.relation, field.name))
    values = list(field.labels) or list(counts)
    if field.kind == "boolean":
        values = ["true"]
    made = meanings(RENEWING, values, ground.answers, what="status of a subscription", counts=counts)
    # Whether a subscription goes on is worth no question: who is unknown does not renew.
    made.questions = []
    return made


def _newest(draft: Draft, made: Meanings) -> None:
    """Of several subscriptions of a tenant the one that goes on, else the one that ends last."""
    tenant, status, end = (draft.columns.get(one) for one in ("tenant_id", "status", "period_end"))
    assert tenant is not None, "put before"
    # A schema's name is a constant, by which nothing can be ordered; it is the first of the columns.
    each = tenant.sql if draft.pattern is None else "1"
    order = [each]
    going_on = made.values.get("renewing", ())
    if status is not None and going_on:
        order.append(f"(({status.sql})::text IN ({', '.join(map(text_literal, going_on))})) DESC NULLS LAST")
    if end is not None:
        order.append(f"{end.sql} DESC NULLS LAST")
    if draft.relation.key:
        order.append(f"{column_sql(draft.relation.key[0])} DESC")
    draft.distinct_on, draft.order = each, ", ".join(order)
    if draft.pattern is None:
        draft.where.append(f"{tenant.sql} IS NOT NULL")
