"""What is unsafe about the way in: a role that can do more than read, and an address by which others may listen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from queries.settings import LOCAL_HOSTS, Settings
from queries.tables import OUR_SCHEMA

_GRANT_SQL = "python -m dashboard grant-sql prints the SQL for a role that may only read"
# libpq's modes by which nobody on the way can read along.
_SAFE_MODES = ("require", "verify-ca", "verify-full")
_VERIFYING_MODES = ("verify-ca", "verify-full")

_ROLE = sa.text(
    """
    SELECT me.rolname AS role, me.rolsuper AS is_superuser, me.rolbypassrls AS bypasses_rls,
           (SELECT min(other.rolname::text) FROM pg_roles AS other
            WHERE other.rolsuper AND NOT me.rolsuper AND pg_has_role(me.oid, other.oid, 'MEMBER')) AS may_become
    FROM pg_roles AS me WHERE me.rolname = current_user
    """
)
# Tables of an extension are not the application's. Of foreign tables and views a right to write is one too.
_TABLES = sa.text(
    """
    SELECT format('%I.%I', space.nspname, one.relname) AS name, pg_has_role(one.relowner, 'USAGE') AS owns,
           has_table_privilege(one.oid, 'DELETE') OR has_table_privilege(one.oid, 'TRUNCATE')
           OR has_any_column_privilege(one.oid, 'INSERT') OR has_any_column_privilege(one.oid, 'UPDATE') AS writes,
           has_any_column_privilege(one.oid, 'SELECT') AS reads
    FROM pg_class AS one JOIN pg_namespace AS space ON space.oid = one.relnamespace
    WHERE one.relkind IN ('r', 'p', 'f') AND space.nspname NOT IN (:ours, 'information_schema')
      AND space.nspname !~ '^pg_' AND has_schema_privilege(space.oid, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_depend AS of
                      WHERE of.classid = 'pg_class'::regclass AND of.objid = one.oid AND of.deptype = 'e')
    ORDER BY 1
    """
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a role is and may do: names of tables as SQL writes them, all outside our own schema."""

    role: str
    is_superuser: bool
    bypasses_rls: bool
    may_become: str | None
    owned: Sequence[str]
    written: Sequence[str]
    readable: Sequence[str]


def rights_of(connection: sa.Connection) -> Rights:
    """The rights of the connection's own role in its database."""
    me = connection.execute(_ROLE).mappings().one()
    tables = connection.execute(_TABLES, {"ours": OUR_SCHEMA}).mappings().all()
    return Rights(
        **me,
        owned=[one["name"] for one in tables if one["owns"]],
        written=[one["name"] for one in tables if one["writes"]],
        readable=[one["name"] for one in tables if one["reads"]],
    )


def role_notices(connection: sa.Connection, *, walled: bool) -> tuple[str, ...]:
    """What this role, the one that pages read as, can do beyond that. `walled`: it is to read through our views."""
    told = complaint(rights_of(connection), walled=walled)
    return (told,) if told else ()


def complaint(rights: Rights, *, walled: bool) -> str:
    """A sentence on a role that can do more than read what it is meant to; empty for one that cannot."""
    can = _worst(rights, walled=walled)
    return f"The role of DATABASE_URL {can}. Use one that may only read: {_GRANT_SQL}." if can else ""


def _worst(rights: Rights, *, walled: bool) -> str:
    if rights.is_superuser:
        return "is a superuser, whom nothing in the database stops"
    if rights.may_become is not None:
        return "may become a superuser"
    if rights.bypasses_rls:
        return "may go past row-level security (BYPASSRLS)"
    for names, can in ((rights.owned, "owns"), (rights.written, "may write")):
        if names:
            return f"{can} {_counted(names)}"
    if walled and rights.readable:
        return f"may read {_counted(rights.readable)} past the wall between tenants"
    return ""


def _counted(names: Sequence[str]) -> str:
    """One table by its name, or the first of them and how many there are."""
    first = " ".join(names[0].split())[:80]
    return first if len(names) == 1 else f"{len(names):,} tables, such as {first}"


def address_notices(settings: Settings, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What is unsafe about the addresses themselves; nothing of them is repeated but their options."""
    given = {"DATABASE_URL": settings.database_url, "DIRECT_URL": settings.direct_url}
    told = (
        _address_notice(name, make_url(one.get_secret_value()), environment)
        for name, one in given.items()
        if one is not None
    )
    return tuple(one for one in told if one)


def _address_notice(name: str, url: URL, environment: Mapping[str, str]) -> str:
    mode = _option(url, "sslmode") or environment.get("PGSSLMODE") or "prefer"
    if "service" in url.query or environment.get("PGSERVICE") or all(map(_is_local, _hosts(url, environment))):
        return ""
    if mode not in _SAFE_MODES:
        return (
            f"{name} has sslmode={mode} and leads to another machine: what passes may be read, or changed, on the way."
            " Add sslmode=require, or verify-full with sslrootcert=system."
        )
    if _option(url, "sslaccept") == "strict" and mode not in _VERIFYING_MODES:
        return (
            f"{name} has Prisma's sslaccept=strict, which PostgreSQL's own library does not know: the server's"
            " certificate is not verified. Write sslmode=verify-full and sslrootcert=system."
        )
    return ""


def _hosts(url: URL, environment: Mapping[str, str]) -> list[str]:
    """Every host that the address names; a socket's folder is one too."""
    named: Any = url.query.get("hostaddr") or url.host or url.query.get("host") or environment.get("PGHOST") or ""
    return [one for part in ([named] if isinstance(named, str) else named) for one in part.split(",")]


def _option(url: URL, name: str) -> str:
    """The last one counts, as libpq has it."""
    value = url.query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _is_local(host: str) -> bool:
    return not host or host.startswith(("/", "@", "127.")) or host in LOCAL_HOSTS
