"""Indexes that are in the way, broken or missing: duplicate, covered, unused, invalid, and foreign keys without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import psycopg

from queries.performance.findings import (
    DEFAULT_LIMITS,
    Finding,
    Limits,
    Severity,
    age_text,
    counted,
    listed,
    quoted,
    size_text,
)
from queries.performance.index_facts import (
    Counting,
    ForeignKeyFact,
    IndexFact,
    counting,
    foreign_keys,
    indexes,
)

RULES = ("duplicate", "covered", "unused", "invalid", "foreign_key")
_NAME_BYTES = 63


def findings(
    connection: psycopg.Connection[Any], *, limits: Limits = DEFAULT_LIMITS, made_lately: Collection[str] = ()
) -> list[Finding]:
    """What the catalog says about the indexes, the weightiest first and then by name. Indexes that were `made_lately`
    are not called unused. Reads catalogs only; a role that may only connect is enough."""
    every, since = indexes(connection), counting(connection)
    found = [
        *_redundant(every, since),
        *_invalid(every),
        *_unused(every, since, limits, made_lately),
        *_missing(foreign_keys(connection), every, limits),
    ]
    order: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2, "note": 3}
    return sorted(found, key=lambda one: (order[one.severity], RULES.index(one.rule), one.subject))


def drop_statement(index: IndexFact) -> str:
    """The statement that drops an index; that of a partitioned table cannot be dropped beside its writers."""
    how = "" if index.is_partitioned else " CONCURRENTLY"
    return f"DROP INDEX{how} {quoted(index.schema, index.name)};"


def _redundant(every: Sequence[IndexFact], since: Counting) -> Iterator[Finding]:
    """Duplicates and prefixes. Of two that cover each other the one stays that must, or comes first by name."""
    by_table: dict[int, list[IndexFact]] = {}
    for one in every:
        by_table.setdefault(one.table_oid, []).append(one)
    for together in by_table.values():
        for one in together:
            if (twin := _twin(one, together)) is not None:
                yield _duplicate(one, twin, since)
            elif (wider := _wider(one, together)) is not None:
                yield _covered(one, wider, since)


def _twin(one: IndexFact, together: Sequence[IndexFact]) -> IndexFact | None:
    """The index that has the same definition and stays."""
    rests = one.constraint is not None or one.is_replica_identity or one.serves_foreign_key or one.is_partition
    twins = [other for other in together if other.is_same_as(one)]
    if rests or not one.is_valid or not twins:
        return None
    best = min([one, *twins], key=_stays_first)
    return best if best is not one else None


def _wider(one: IndexFact, together: Sequence[IndexFact]) -> IndexFact | None:
    """The smallest index that answers all that this one does, and stays."""
    if one.is_kept:
        return None
    wider = [
        other
        for other in together
        if other.covers(one) and not (one.covers(other) and _stays_first(one) < _stays_first(other))
    ]
    staying = [other for other in wider if other.is_kept or not any(third.covers(other) for third in wider)] or wider
    return min(staying, key=lambda other: (other.size_bytes, other.name)) if staying else None


def _stays_first(one: IndexFact) -> tuple[bool, bool, bool, str]:
    rests = one.is_replica_identity or one.serves_foreign_key or one.is_partition
    return (one.constraint is None, not rests, not one.is_unique, one.name)


def _duplicate(one: IndexFact, twin: IndexFact, since: Counting) -> Finding:
    return Finding(
        rule="duplicate",
        subject=one.name,
        severity="medium",
        sentence=f"{quoted(one.name)} and {quoted(twin.name)} on {quoted(one.table)} have the same definition"
        f" ({listed(one.columns)}). {_costs(one, since)}",
        source="pg_index; PostgreSQL wiki, Index Maintenance: Duplicate indexes",
        fix=f"Drop {quoted(one.name)}; {quoted(twin.name)} stays.",
        ddl=drop_statement(one),
        prisma=_remove_line(one),
        table=one.table,
        size_bytes=one.size_bytes,
    )


def _covered(one: IndexFact, wider: IndexFact, since: Counting) -> Finding:
    backward = one.options != wider.options[: one.keys]
    return Finding(
        rule="covered",
        subject=one.name,
        severity="medium",
        sentence=f"{quoted(one.name)} on {quoted(one.table)} ({_written(one)}) is covered by {quoted(wider.name)}"
        f" ({_written(wider)}), which starts with the same columns{', read backwards,' if backward else ''} and answers"
        f" the same searches. {_costs(one, since)}",
        source="pg_index; PostgreSQL manual, Multicolumn Indexes",
        fix=f"Drop {quoted(one.name)}; {quoted(wider.name)} stays ({size_text(wider.size_bytes)}).",
        ddl=drop_statement(one),
        prisma=_remove_line(one),
        table=one.table,
        size_bytes=one.size_bytes,
    )


def _unused(
    every: Sequence[IndexFact], since: Counting, limits: Limits, made_lately: Collection[str]
) -> Iterator[Finding]:
    """Never scanned since the statistics were reset, if that is long enough ago and no other server does the reading.
    An index that rests under a rule or alone serves a foreign key stays."""
    if since.is_replica or since.now - since.since < limits.counted_for:
        return
    elsewhere = f" Scans on its {counted(since.replicas, 'replica')} are not counted here." if since.replicas else ""
    for one in every:
        if one.is_kept or one.is_partitioned or not one.is_valid or one.scans or one.name in made_lately:
            continue
        if one.size_bytes < limits.index_bytes or one.table_rows < limits.table_rows:
            continue
        yield Finding(
            rule="unused",
            subject=one.name,
            severity="low",
            sentence=f"{quoted(one.name)} on {quoted(one.table)} ({_written(one)}, {size_text(one.size_bytes)}) was not"
            f" scanned once since {_since(since)}. Each inserted row writes to it.{elsewhere}",
            source="pg_stat_user_indexes.idx_scan; PostgreSQL wiki, Index Maintenance: Unused indexes",
            fix="Drop it when no monthly or yearly work and no replica needs it.",
            ddl=drop_statement(one),
            prisma=_remove_line(one),
            table=one.table,
            size_bytes=one.size_bytes,
        )


def _invalid(every: Sequence[IndexFact]) -> Iterator[Finding]:
    """Left behind by a CREATE or REINDEX CONCURRENTLY that failed: written to by each change, read by nobody."""
    for one in every:
        if one.is_valid or one.is_building or one.is_partition:
            continue
        if one.is_partitioned:
            sentence, fix = (
                f"{quoted(one.name)} on the partitioned table {quoted(one.table)} lacks a part: not every partition"
                " has its own index attached.",
                "Make the missing index on each partition, and attach it (ALTER INDEX ... ATTACH PARTITION).",
            )
        else:
            sentence, fix = (
                f"{quoted(one.name)} on {quoted(one.table)} is invalid: a CREATE or REINDEX INDEX CONCURRENTLY did not"
                f" end. It takes {size_text(one.size_bytes)} and each change writes to it, but no statement uses it.",
                f"Drop it, then make it again: {one.definition};"
                if not one.name.endswith(("_ccnew", "_ccold"))
                else "Drop it: it is what REINDEX CONCURRENTLY left over.",
            )
        is_droppable = not one.is_partitioned and one.constraint is None
        yield Finding(
            rule="invalid",
            subject=one.name,
            severity="high",
            sentence=sentence,
            source="pg_index.indisvalid; PostgreSQL manual, CREATE INDEX: Building Indexes Concurrently",
            fix=fix,
            ddl=drop_statement(one) if is_droppable else None,
            table=one.table,
            size_bytes=one.size_bytes,
        )


def _missing(keys: Sequence[ForeignKeyFact], every: Sequence[IndexFact], limits: Limits) -> Iterator[Finding]:
    """Foreign keys that no index starts with. Two keys of the same columns are one finding."""
    told: set[tuple[str, str, tuple[str, ...]]] = set()
    names = {(one.schema, one.name) for one in every}
    for key in keys:
        place = (key.schema, key.table, tuple(key.columns))
        if key.has_index or place in told:
            continue
        told.add(place)
        is_small = key.table_rows < limits.table_rows
        what = f"{quoted(key.table)} ({listed(map(quoted, key.columns))})"
        yield Finding(
            rule="foreign_key",
            subject=key.name,
            severity="note" if is_small else "medium",
            sentence=_small_key(what, key, limits) if is_small else _large_key(what, key),
            source="pg_constraint; PostgreSQL manual, Constraints: Foreign Keys",
            fix="No index is needed at this size." if is_small else "Make an index that starts with these columns.",
            ddl=None if is_small else _create_statement(key, names),
            prisma=None if is_small else f"@@index([{', '.join(key.columns)}])",
            table=key.table,
            columns=tuple(key.columns),
            schema=key.schema,
        )


def _small_key(what: str, key: ForeignKeyFact, limits: Limits) -> str:
    return (
        f"The foreign key {what} to {quoted(key.referenced)} has no index, and needs none while the table is small:"
        f" {counted(key.table_rows, 'row')}, under {limits.table_rows:,}."
    )


def _large_key(what: str, key: ForeignKeyFact) -> str:
    return (
        f"The foreign key {what} to {quoted(key.referenced)} has no index that starts with it: each delete of, or"
        f" change of the key in, {quoted(key.referenced)} reads all {counted(key.table_rows, 'row')}"
        f" ({size_text(key.table_bytes)}) of {quoted(key.table)}, and so does a search by it."
        f" {quoted(key.referenced)} has seen {key.deleted_or_changed:,} deletes and updates since they are counted."
    )


def _create_statement(key: ForeignKeyFact, taken: Collection[tuple[str, str]]) -> str:
    columns = ", ".join(map(quoted, key.columns))
    name = _free_name(key.schema, "_".join((key.table, *key.columns, "idx")), taken)
    return f"CREATE INDEX CONCURRENTLY {quoted(name)} ON {quoted(key.schema, key.table)} ({columns});"


def _free_name(schema: str, wanted: str, taken: Collection[tuple[str, str]]) -> str:
    """Prisma's name, cut to what PostgreSQL keeps of it, and numbered when something else has it."""
    for number in range(1, len(taken) + 2):
        end = "" if number == 1 else f"_{number}"
        name = wanted.encode()[: _NAME_BYTES - len(end)].decode(errors="ignore") + end
        if (schema, name) not in taken:
            return name
    raise AssertionError("one of more names than there are indexes is free")


def _written(one: IndexFact) -> str:
    """Its columns with their directions, and what it includes."""
    words = {0: "", 1: " DESC NULLS LAST", 2: " NULLS FIRST", 3: " DESC"}
    keys = [f"{column}{words[option]}" for column, option in zip(one.key_columns, one.options, strict=False)]
    included = f" INCLUDE ({listed(one.included)})" if one.included else ""
    where = f" WHERE {one.predicate}" if one.predicate else ""
    return f"{listed(keys)}{included}{where}"


def _costs(one: IndexFact, since: Counting) -> str:
    return (
        f"It takes {size_text(one.size_bytes)}, each inserted row writes to it, and it was scanned"
        f" {counted(one.scans, 'time')} since {_since(since)}."
    )


def _since(since: Counting) -> str:
    if since.reset_at is not None:
        return f"the statistics were reset on {since.reset_at:%Y-%m-%d} ({age_text(since.now - since.reset_at)} ago)"
    return f"the server was started on {since.started_at:%Y-%m-%d} or before (its statistics were never reset)"


def _remove_line(one: IndexFact) -> str | None:
    """What to take out of Prisma's schema, where that can say it."""
    plain = one.predicate is None and all(attribute > 0 for attribute in one.attributes)
    names = ", ".join(column.strip('"') for column in one.key_columns)
    return f"remove @@index([{names}])" if plain and not one.is_unique else None
