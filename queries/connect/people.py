"""Tenants and the people who belong to them."""

from __future__ import annotations

import re

from queries.connect.belonging import Belonging, belonging
from queries.connect.found import Draft, Found, bare, column_sql
from queries.connect.ground import Ground, moment, put, simple, worded
from queries.connect.names import words
from queries.connect.routes import follow, joined
from queries.connect.shape import Reference, Relation, quoted, text_literal
from queries.connect.tenancy import SCHEMA, tenant_column

_NAMES = Relation("pg_catalog", "pg_namespace", ())


def organization(ground: Ground) -> Draft:
    """The tenants themselves: each with a key and, where there is one, a name."""
    tenancy = ground.tenancy
    if tenancy.kind == SCHEMA:
        return _schemas(ground)
    relation = tenancy.relation
    assert relation is not None, "only schemas have no table"
    draft = ground.draft("organization", relation, tenancy.reason)
    draft.confidence = tenancy.confidence
    key = relation.key[0]
    put(draft, "tenant_id", bare(relation, relation.by_name[key], "its primary key"))
    name = _tenant_name(ground, draft)
    put(draft, "name", name)
    put(draft, "created_at", moment(ground, draft, "created_at"))
    return draft


def _tenant_name(ground: Ground, draft: Draft) -> Found | None:
    """The name; of people who gave none the part of their e-mail before the @, which is enough to know them by."""
    found = worded(ground, draft, "name")
    email = simple(ground, draft, "email") if "email" in draft.relation.by_name else None
    field = draft.relation.by_name.get("email")
    if found is None or found.column is None or field is None or ground.tenancy.kind != "user":
        return found
    if found.column == field.name:
        return Found(f"split_part({found.sql}, '@', 1)", "the e-mail up to the @", "medium", shown=found.shown)
    if not draft.relation.by_name[found.column].nullable or email is not None:
        return found
    sql = f"coalesce(nullif({found.sql}, ''), split_part({column_sql(field.name)}, '@', 1))"
    return Found(sql, f"{found.reason}; without one, the e-mail up to the @", found.confidence, shown=found.shown)


def _schemas(ground: Ground) -> Draft:
    """A tenant per schema: the list of schemas, with names from a table that knows them by their schema."""
    tenancy = ground.tenancy
    assert tenancy.pattern is not None, "a schema each has a pattern"
    named = _registry(ground)
    if named is not None:
        return named
    draft = Draft("organization", _NAMES, f"each schema {tenancy.pattern} is a tenant")
    put(draft, "tenant_id", Found("t.nspname::text", "the schema's name"))
    put(draft, "name", Found("t.nspname::text", "the schema's name", "medium"))
    draft.where.append(f"t.nspname ~ {text_literal(_pattern(tenancy.pattern))}")
    return draft


def _registry(ground: Ground) -> Draft | None:
    """A table outside the tenants' schemas of which a column holds their names."""
    schemas = set(ground.tenancy.schemas)
    for relation in ground.shape.relations:
        if relation.schema in schemas:
            continue
        for field in relation.fields:
            if field.kind != "text" or "schema" not in words(field.name):
                continue
            if schemas & {value for value, _ in ground.peek.common(relation, field.name)}:
                draft = ground.draft(
                    "organization", relation, f'{relation.label} knows each by its schema ("{field.name}")'
                )
                put(draft, "tenant_id", bare(relation, field, "holds the schemas' names"))
                put(draft, "name", worded(ground, draft, "name"))
                put(draft, "created_at", moment(ground, draft, "created_at"))
                draft.where.append(f"{column_sql(field.name)} IS NOT NULL")
                return draft
    return None


def _pattern(globs: str) -> str:
    """Patterns of names, which commas part, as a regular expression of PostgreSQL."""
    each = (".*".join(re.escape(part) for part in one.strip().split("*")) for one in globs.split(","))
    return f"^({'|'.join(each)})$"


def users(ground: Ground) -> Draft | None:
    """People, each of a tenant; where people are the tenants, each of their own."""
    relation = ground.tenancy.user
    if relation is None or ground.answers.get("tables", "user") == "":
        return None
    draft = ground.draft("user", relation, f"{relation.label} holds people")
    key = bare(relation, relation.by_name[relation.key[0]], "its primary key")
    of_schema = ground.tenancy.is_of_tenant_schema(relation)
    put(draft, "id", ground.keyed(draft, key) if of_schema else key)
    tenant, _ = (
        tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
        if _has_tenant(ground, relation)
        else (None, None)
    )
    if tenant is None:
        tenant = _through_membership(ground, draft)
    if tenant is None:
        return None
    put(draft, "tenant_id", tenant)
    put(draft, "email", simple(ground, draft, "email"))
    name = worded(ground, draft, "name")
    if name is not None and name.column is not None and "email" in words(name.column):
        # An e-mail is no name: it would stand on every page.
        name = Found(f"split_part({name.sql}, '@', 1)", "the e-mail up to the @", "medium", shown=name.shown)
    put(draft, "name", name)
    put(draft, "created_at", moment(ground, draft, "created_at"))
    return draft


def _has_tenant(ground: Ground, relation: Relation) -> bool:
    """In a schema per tenant people have one only when they are in it."""
    return ground.tenancy.kind != SCHEMA or ground.tenancy.is_of_tenant_schema(relation)


def _belonging(ground: Ground) -> Belonging | None:
    named = ground.answers.get("tables", "membership")
    return belonging(ground.shape, ground.tenancy.user, ground.tenancy.relation, named)


def _through_membership(ground: Ground, draft: Draft) -> Found | None:
    """Of people without a column for it: a row for each tenant they belong to."""
    found = _belonging(ground)
    if found is None:
        return None
    alias = _reversed(draft, found.relation, found.person_column, draft.relation.key[0])
    sql = f"{alias}.{quoted(found.tenant_column)}"
    reason = f"{found.relation.label} says to whom each belongs"
    return Found(sql, reason, "medium", shown=(found.relation, found.tenant_column))


def _reversed(draft: Draft, relation: Relation, column: str, key: str) -> str:
    """Joins the table whose column holds our key."""
    return joined(draft, Reference(key, relation.schema, relation.name, column), is_outer=False)


def membership(ground: Ground) -> Draft | None:
    """Who belongs to which tenant, in which role; None where people are the tenants."""
    named = ground.answers.get("tables", "membership")
    if named == "":
        return None
    found = _belonging(ground)
    if found is None:
        return _roles_of_users(ground)
    draft = ground.draft("membership", found.relation, f"{found.relation.label} leads to people and to tenants")
    put(draft, "user_id", follow(draft, found.to_person))
    put(draft, "tenant_id", follow(draft, found.to_tenant))
    put(draft, "role", worded(ground, draft, "role"))
    put(draft, "created_at", moment(ground, draft, "created_at"))
    return draft


def _roles_of_users(ground: Ground) -> Draft | None:
    """Roles that stand with the people themselves."""
    person = ground.tenancy.user
    if person is None or person is ground.tenancy.relation or "role" not in person.by_name:
        return None
    draft = ground.draft("membership", person, f"{person.label} has a role for each")
    if not _has_tenant(ground, person):
        return None
    tenant, _ = tenant_column(draft, ground.tenancy, ground.shape, ground.answers)
    if tenant is None:
        return None
    put(draft, "user_id", ground.keyed(draft, bare(person, person.by_name[person.key[0]], "its primary key")))
    put(draft, "tenant_id", tenant)
    put(draft, "role", worded(ground, draft, "role"))
    put(draft, "created_at", moment(ground, draft, "created_at"))
    return draft
