"""The SQL for roles that can do what the dashboard needs and nothing else, for an administrator to read and to run.

With the walls the reader may select from our views and from our own tables without tenants; the views read the
application's tables with the rights of the role that owns them (DIRECT_URL). Without the walls the reader may select
the mapped columns themselves. Nothing of it lets anybody write to a table of the application.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from queries import aggregates
from queries.derived import quoted
from queries.errors import ArgumentError
from queries.mapping import Mapping as NameMapping
from queries.migrations.walls import readable_names
from queries.tables import OUR_SCHEMA, our_wall_name

# PostgreSQL cuts longer names off without a word.
_LONGEST_NAME_BYTES = 63

# What is read: schema and table, and the columns, or None for every column.
Readable = Mapping[tuple[str, str], Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """For which roles: `owner` is the one of DIRECT_URL, None when there is no such address and so no walls.
    `statistics`: the reader shall see what every role's statements cost."""

    reader: str
    owner: str | None
    statistics: bool = False


def grants(wish: Wish, mapping: NameMapping, readable: Readable) -> str:
    """The statements with their reasons, ready for psql; all of them count or none, and running them twice changes
    nothing. `readable` is what the mapping reads. ArgumentError for a name that no role can have."""
    for role in (wish.reader, wish.owner):
        _check_name(role)
    parts = [
        _HEAD,
        *_right_place(readable),
        *_role_part(wish.reader, "DATABASE_URL: pages read as this role."),
        *_connecting(wish.reader),
    ]
    if wish.owner is None:
        parts += [_UNWALLED, *_selecting(wish.reader, readable)]
    else:
        parts += [*_owner_part(wish.owner, wish.reader, readable), _WALLED, _our_part(wish.reader, mapping)]
        parts += [_BEHIND_WALLS, _taking_back(wish.reader, readable)]
    parts += [_statistics(wish), "COMMIT;\n"]
    if wish.owner is not None:
        parts += [_audit_part(wish.owner)]
    return "\n".join(parts) + "\n"


_HEAD = """\
-- Rights for the usage dashboard. Run this in the application's database as a superuser, or as the role that owns the
-- database and its tables and may create roles:
--     psql 'postgresql://...' -v ON_ERROR_STOP=1 -f grants.sql
-- All of it counts or none, and running it twice changes nothing.
-- Nothing here lets anybody write to a table of the application.

BEGIN;
"""
_UNWALLED = """\
-- Without DIRECT_URL there are no views of ours: the role reads the mapped columns themselves, and nothing else. One
-- wall between tenants is missing then.
"""
_WALLED = f"""\
-- What the role reads: views and tables in the schema {OUR_SCHEMA}, and nothing of the application's. `python -m
-- dashboard migrate` makes them, and gives them to the role that is in DATABASE_URL then; this gives those that are
-- there already, and has to be run after it only where DATABASE_URL named another role.
"""
_BEHIND_WALLS = """\
-- What this role was given on the mapped tables themselves, by an earlier run without DIRECT_URL, say, leads past the
-- walls. It is taken back, but from tables that it owns.
"""


def _right_place(readable: Readable) -> Iterator[str]:
    """Stops at once in a database that is not the application's."""
    if not readable:
        return
    listed = ", ".join(_literal(f"{quoted(schema)}.{quoted(table)}") for schema, table in sorted(readable))
    body = f"""
    FOREACH one IN ARRAY ARRAY[{listed}] LOOP
        IF to_regclass(one) IS NULL THEN
            RAISE EXCEPTION 'the database % has no table %', current_database(), one
                USING HINT = 'Run this in the application''s database. If that is this one, make this file again by'
                    ' grant-sql in the folder of usage-dashboard.toml, or with MAPPING_FILE.';
        END IF;
    END LOOP;
"""
    yield _do(body, declare="DECLARE one text; ") + "\n"


def _role_part(role: str, what_for: str) -> Iterator[str]:
    yield f"-- {what_for} Give it a password with \\password in psql, so that none stands in a log."
    create = f"CREATE ROLE {quoted(role)} LOGIN"
    yield _do(f"IF to_regrole({_literal(quoted(role))}) IS NULL THEN {create}; END IF;")


def _connecting(role: str) -> Iterator[str]:
    grant = f"format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {_literal(role)})"
    yield _do(f"EXECUTE {grant};")
    yield f"ALTER ROLE {quoted(role)} SET default_transaction_read_only = on;\n"


def _selecting(role: str, readable: Readable) -> Iterator[str]:
    for schema in sorted({schema for schema, _ in readable}):
        yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)};"
    for (schema, table), columns in sorted(readable.items(), key=lambda one: one[0]):
        named = "" if columns is None else f" ({', '.join(map(quoted, columns))})"
        yield f"GRANT SELECT{named} ON {quoted(schema)}.{quoted(table)} TO {quoted(role)};"
    yield ""


def _owner_part(owner: str, reader: str, readable: Readable) -> Iterator[str]:
    if owner == reader:
        raise ArgumentError(
            "the reader is the role of DIRECT_URL too, which may write our schema; name another one by --role"
        )
    yield from _role_part(
        owner, f"DIRECT_URL: makes the schema {OUR_SCHEMA}, and its views read with this role's rights."
    )
    grant = f"format('GRANT CONNECT, CREATE ON DATABASE %I TO %I', current_database(), {_literal(owner)})"
    yield _do(f"EXECUTE {grant};")
    yield from _selecting(owner, readable)


def _our_part(reader: str, mapping: NameMapping) -> str:
    names = [*readable_names(mapping), *(our_wall_name(one) for one in aggregates.NAMES)]
    listed = ",\n        ".join(map(_literal, names))
    body = f"""
    IF to_regnamespace('{OUR_SCHEMA}') IS NULL THEN RETURN; END IF;
    GRANT USAGE ON SCHEMA {OUR_SCHEMA} TO {quoted(reader)};
    FOREACH one IN ARRAY ARRAY[
        {listed}
    ] LOOP
        IF to_regclass(format('{OUR_SCHEMA}.%I', one)) IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON {OUR_SCHEMA}.%I TO %I', one, {_literal(reader)});
        END IF;
    END LOOP;
"""
    return _do(body, declare="DECLARE one text; ") + "\n"


def _taking_back(reader: str, readable: Readable) -> str:
    listed = ",\n        ".join(_literal(f"{quoted(schema)}.{quoted(table)}") for schema, table in sorted(readable))
    body = f"""
    FOREACH one IN ARRAY ARRAY[
        {listed}
    ] LOOP
        its_owner := NULL;
        SELECT relowner INTO its_owner FROM pg_class WHERE oid = to_regclass(one);
        IF NOT pg_has_role({_literal(reader)}, its_owner, 'USAGE') THEN
            EXECUTE format('REVOKE ALL ON %s FROM %I', to_regclass(one), {_literal(reader)});
        END IF;
    END LOOP;
"""  # noqa: S608 - names are quoted, and nothing is run here
    schemas = "".join(
        f"\nREVOKE USAGE ON SCHEMA {quoted(one)} FROM {quoted(reader)};" for one in sorted({one for one, _ in readable})
    )
    return _do(body, declare="DECLARE one text; its_owner oid; ") + schemas + "\n"


def _statistics(wish: Wish) -> str:
    grant = f"GRANT pg_read_all_stats TO {quoted(wish.reader)};"
    return (
        "-- Optional. Query performance and Indexes then show what the application's own statements cost\n"
        "-- (pg_stat_statements), how often each index is read and who waits for whom. It also lets this role read\n"
        "-- everybody's statements, which may hold values that they were written with.\n"
        f"{'' if wish.statistics else '-- '}{grant}\n"
    )


def _audit_part(owner: str) -> str:
    return (
        "-- Optional. The role of DIRECT_URL can neither change nor empty the audit, but as its owner it could take\n"
        "-- that lock off, or drop the table. To rule that out, hand the table to a role that nobody signs in as\n"
        "-- (a superuser can always do everything):\n"
        "-- CREATE ROLE usage_dashboard_audit NOLOGIN;\n"
        f"-- ALTER TABLE {OUR_SCHEMA}.audit OWNER TO usage_dashboard_audit;\n"
        f"-- GRANT SELECT, INSERT ON {OUR_SCHEMA}.audit TO {quoted(owner)};\n"
    )


def _do(body: str, *, declare: str = "") -> str:
    """A block of statements; its quotes are none that a name in it holds."""
    number, tag = 0, "$grants$"
    while tag in body:
        number += 1
        tag = f"$grants{number}$"
    return f"DO {tag} {declare}BEGIN {body} END {tag};"


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _check_name(role: str | None) -> None:
    if role is None:
        return
    fits = 0 < len(role.encode("utf-8", "replace")) <= _LONGEST_NAME_BYTES
    # A backslash within quotes means one thing or another by a setting of the session.
    if not fits or not role.isprintable() or "\\" in role:
        raise ArgumentError(
            f"a role's name here is 1 to {_LONGEST_NAME_BYTES} bytes of printable characters, none of them a backslash;"
            " name another one by --role"
        )
