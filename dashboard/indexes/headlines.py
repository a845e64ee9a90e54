"""The figures above: what to make, what to drop, and how the database is."""

from __future__ import annotations

from dashboard import headline, words
from dashboard.headline import Headline
from dashboard.indexes import Indexes
from queries.performance.findings import size_text


def show(shown: Indexes) -> None:
    """Five figures; each says on hover what it counts."""
    headline.show([_to_make(shown), _to_drop(shown), _cache(shown), _connections(shown), _size(shown)])


def _to_make(shown: Indexes) -> Headline:
    advised = shown.advised
    advice = advised.advice if advised is not None else []
    wanted = {one.ddl.rstrip(";") for one in advice if one.verdict == "create_index" and one.ddl}
    missing = {one.ddl.rstrip(";") for one in shown.index_findings if one.rule == "foreign_key" and one.ddl}
    return Headline(
        "Indexes to make",
        str(len(wanted | missing)),
        "Those that the advice proposes, and foreign keys of large tables that no index starts with",
        note="still being advised" if advised is None else f"{len(wanted)} for statements, {len(missing)} for keys",
    )


def _to_drop(shown: Indexes) -> Headline:
    drops = [one for one in shown.index_findings if one.ddl and one.ddl.startswith("DROP INDEX")]
    saved = sum(one.size_bytes or 0 for one in drops)
    return Headline(
        "Indexes to drop",
        str(len(drops)),
        "Duplicate, covered, unused or invalid ones",
        note=f"{size_text(saved)} in {len(shown.facts)} indexes" if drops else f"of {len(shown.facts)} indexes",
    )


def _cache(shown: Indexes) -> Headline:
    counters = shown.health.counters
    rate = counters.hit_rate
    return Headline(
        "Cache hit rate",
        words.percent(rate),
        f"{counters.blocks_hit:,} blocks found in shared_buffers, {counters.blocks_read:,} read from the system",
        note=f"{words.amount(counters.blocks_read)} blocks read" if rate is not None else "nothing read yet",
    )


def _connections(shown: Indexes) -> Headline:
    counters, states = shown.health.counters, shown.health.connections
    return Headline(
        "Connections",
        str(len(shown.health.sessions)),
        ", ".join(f"{number} {state}" for state, number in states.items()),
        note=f"of {counters.max_connections - counters.reserved_connections}",
    )


def _size(shown: Indexes) -> Headline:
    tables = shown.health.tables
    total = (tables[0].database_bytes if tables else None) or 0
    in_indexes = sum(one.index_bytes for one in tables)
    return Headline(
        "Database",
        size_text(total),
        f"{total:,} bytes, of which {in_indexes:,} in indexes of the tables below",
        note=f"{size_text(in_indexes)} in indexes",
    )
