"""What stands beside generations: their pictures, and quotas with their counters."""

from __future__ import annotations

from dataclasses import replace

from queries.connect.found import BASE, Draft, Found, bare, column_sql
from queries.connect.ground import Ground, moment, put, simple, worded
from queries.connect.matching import best_field, described
from queries.connect.names import plain, words
from queries.connect.roles import best_for, the_named
from queries.connect.routes import MOST_HOPS_TO_PLAN, follow, joined, routes
from queries.connect.shape import NUMBERS, TIMES, Relation, quoted
from queries.connect.tenancy import tenant_column
from queries.connect.vocabulary import AMOUNTS

_URLS = (
    "image url",
    "output url",
    "result url",
    "url",
    "secure url",
    "video url",
    "image",
    "output",
    "file url",
    "thumbnail url",
    "storage key",
    "object key",
    "storage path",
    "image path",
    "image key",
    "output path",
    "output key",
)
_LIST_URLS = ("image urls", "output urls", "outputs", "images", "urls", "result urls")
# A counter without a date counts now.
_TODAY = "(now() AT TIME ZONE 'UTC')::date"
_PER_DAY = ("limit", "max", "quota", "allowed", "cap", "per")


def images(ground: Ground, generation: Draft, taken: list[Relation]) -> Draft | None:
    """Pictures: a table whose rows belong to generations, else an address on the generation itself."""
    named = ground.answers.get("tables", "image")
    if named == "":
        return None
    if generation.united:
        return _of_each(ground, [generation, *generation.united])
    made = _of_table(ground, generation, the_named(ground.shape, named) if named else None, taken)
    return made or _of_generation(ground, generation)


def _of_table(ground: Ground, generation: Draft, named: Relation | None, taken: list[Relation]) -> Draft | None:
    found = [named] if named is not None else []
    best = best_for(ground.shape, "image", (), taken, extra={"url": 3.0, "data": 3.0, "size_bytes": 1.0})
    found += [best.relation] if best is not None and not found else []
    for relation in found:
        ways = [one for one in routes(ground.shape, relation, generation.relation) if len(one.hops) == 1]
        if not ways or not relation.key:
            continue
        draft = ground.draft("image", relation, f"{relation.label} has pictures, each of a generation")
        put(draft, "id", ground.keyed(draft, bare(relation, relation.by_name[relation.key[0]], "its primary key")))
        put(draft, "generation_id", ground.keyed(draft, follow(draft, ways[0])))
        tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
        put(draft, "tenant_id", tenant)
        for column in ("url", "data", "size_bytes"):
            put(draft, column, simple(ground, draft, column))
        _say_what_is_no_address(ground, draft)
        put(draft, "created_at", moment(ground, draft, "created_at"))
        if "created_at" not in draft.columns:
            alias = joined(draft, ways[0].hops[0].reference, is_outer=False)
            begun = generation.columns["created_at"]
            if begun.column is not None:
                draft.columns["created_at"] = Found(
                    column_sql(begun.column, alias), "when its generation was made", "medium"
                )
        if tenant is not None and ("url" in draft.columns or "data" in draft.columns):
            return draft
    return None


def _of_each(ground: Ground, generations: list[Draft]) -> Draft | None:
    """The pictures of generations that stand in several tables."""
    found = [made for one in generations if (made := _of_generation(ground, one)) is not None]
    if found:
        found[0].united = found[1:]
    return found[0] if found else None


def _of_generation(ground: Ground, generation: Draft) -> Draft | None:
    """A generation's own address of its picture."""
    relation = generation.relation
    names = {plain(one.name): one for one in relation.fields if one.kind in ("text", "array")}
    field = next((names[plain(one)] for one in (*_URLS, *_LIST_URLS) if plain(one) in names), None)
    if field is None:
        return None
    draft = ground.draft("image", relation, f'{relation.label} has the address of its picture ("{field.name}")')
    draft.joins, draft.where = list(generation.joins), list(generation.where)
    for column in ("id", "tenant_id", "created_at"):
        put(draft, column, generation.columns.get(column))
    put(draft, "generation_id", generation.columns["id"])
    sql = column_sql(field.name) if field.kind == "text" else f"({column_sql(field.name)})[1]::text"
    put(draft, "url", Found(sql, described(field), "medium", shown=(relation, field.name)))
    _say_what_is_no_address(ground, draft)
    draft.where.append(f"{column_sql(field.name)} IS NOT NULL")
    return draft


def _say_what_is_no_address(ground: Ground, draft: Draft) -> None:
    """A key or path within a storage is shown as it is; whoever looks for a link shall not wonder."""
    url = draft.columns.get("url")
    seen = ground.peek.first(*url.shown) if url is not None and url.shown is not None else ""
    if url is not None and seen and "://" not in seen and not seen.startswith("data:"):
        draft.notes.append("an image's place is a key within a storage and no address: pages show it as a text")
        draft.columns["url"] = replace(url, reason=f"{url.reason}; its values are keys or paths, no addresses")


def usage_limits(ground: Ground, taken: list[Relation], subscription: Draft | None) -> Draft | None:
    """Counters of a quota: by day where they have one, with the limit of their own or of the tenant's plan."""
    named = ground.answers.get("tables", "usage_limit")
    if named == "":
        return None
    found = best_for(ground.shape, "usage_limit", ("count",), taken, extra={"limit": 4.0, "date": 3.0, "type": 1.0})
    relation = the_named(ground.shape, named) if named else found.relation if found and found.points >= 6 else None
    if relation is None:
        return None
    draft = ground.draft("usage_limit", relation, f"{relation.label} counts what was used")
    tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    if tenant is None:
        return None
    put(draft, "tenant_id", tenant)
    put(draft, "count", simple(ground, draft, "count"))
    put(draft, "type", worded(ground, draft, "type") or Found("'all'", "there is one counter for all types", "medium"))
    put(draft, "date", _date(ground, draft))
    put(draft, "limit", simple(ground, draft, "limit") or _of_plan(ground, draft, subscription))
    return draft if "count" in draft.columns else None


def _date(ground: Ground, draft: Draft) -> Found:
    found = simple(ground, draft, "date")
    if found is None or found.column is None:
        draft.notes.append("quota counters have no date, and stand on today")
        return Found(_TODAY, "there is no date: a counter counts now", "medium")
    field = draft.relation.by_name[found.column]
    if field.kind in TIMES:
        zone = " AT TIME ZONE 'UTC'" if field.kind == "timestamptz" else ""
        return Found(
            f"({found.sql}{zone})::date", f"{found.reason}, its day of UTC", found.confidence, shown=found.shown
        )
    return found


def _of_plan(ground: Ground, draft: Draft, subscription: Draft | None) -> Found | None:
    """The limit of a plan that the counter leads to, or the subscription of its tenant."""
    for plan in ground.shape.relations:
        name = _limit_of(plan)
        if name is None:
            continue
        found = _by_route(ground, draft, plan, name) or _by_subscription(ground, draft, plan, name, subscription)
        if found is not None:
            draft.notes.append(f"limits are those of the plan ({plan.label}.{name}) as it is now")
            return found
    return None


def _limit_of(plan: Relation) -> str | None:
    """The column of a plan that limits something; None where it is no plan."""
    if not {"plan", "tier", "package"} & set(plan.words):
        return None
    numbers = [one.name for one in plan.fields if one.kind in NUMBERS]
    named = (one for one in numbers if "limit" in words(one) or plain(one).startswith(_PER_DAY) or _is_a_rate(one))
    return best_field(plan, "usage_limit", "limit") or next(named, None)


def _is_a_rate(name: str) -> bool:
    """Such as renders_per_day; what money or credits come to in a month limits no counter."""
    return "per" in words(name) and not set(AMOUNTS) & set(words(name))


def _by_route(ground: Ground, draft: Draft, plan: Relation, name: str) -> Found | None:
    ways = routes(ground.shape, draft.relation, plan)
    if not ways:
        return None
    alias = BASE
    for hop in ways[0].hops:
        alias = joined(draft, hop.reference, alias=alias, is_outer=True)
    reason = f"{described(plan.by_name[name])} of {plan.label}, by {ways[0].words}"
    return Found(column_sql(name, alias), reason, "medium", shown=(plan, name))


def _by_subscription(
    ground: Ground, draft: Draft, plan: Relation, name: str, subscription: Draft | None
) -> Found | None:
    tenant = draft.columns["tenant_id"].sql
    if subscription is None or subscription.pattern is not None:
        return None
    ways = routes(ground.shape, subscription.relation, plan)
    theirs = subscription.columns["tenant_id"].column
    if not ways or len(ways[0].hops) > MOST_HOPS_TO_PLAN or theirs is None:
        return None
    # The alias of the counters is ours as well: the inner tables have others.
    alias, joins = "s", ""
    for number, hop in enumerate(ways[0].hops, 1):
        to, left = hop.reference, alias
        alias = f"p{number}"
        joins += f" JOIN {quoted(to.schema)}.{quoted(to.table)} AS {alias} ON "
        joins += f"{alias}.{quoted(to.target)} = {left}.{quoted(to.column)}"
    sql = (
        f"(SELECT max({alias}.{quoted(name)}) FROM {subscription.relation.sql} AS s{joins}"  # noqa: S608 - quoted
        f" WHERE s.{quoted(theirs)} = {tenant})"
    )
    reason = f"{described(plan.by_name[name])} of {plan.label}, by the tenant's {subscription.relation.label}"
    return Found(sql, reason, "medium", shown=(plan, name))
