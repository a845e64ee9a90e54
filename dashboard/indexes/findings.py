"""Findings: what is wrong, by which rule and source, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import places, words
from dashboard.indexes import Indexes, applying, panel
from dashboard.indexes.advice import SEVERITY_COLOURS
from dashboard.services import current
from queries.performance import index_names
from queries.performance.findings import Finding
from queries.performance.index_offers import Lookup
from queries.performance.workload import Origin

RULES = {
    "duplicate": "Duplicate index",
    "covered": "Covered index",
    "unused": "Unused index",
    "invalid": "Invalid index",
    "foreign_key": "Foreign key without an index",
    "transaction_ids": "Transaction ids",
    "blocked": "Blocked",
    "long_transaction": "Long transaction",
    "idle_in_transaction": "Idle in transaction",
    "sequence": "Sequence near its end",
    "connections": "Connections",
    "dead_rows": "Dead rows",
    "analyze": "Statistics",
    "cache_hit_rate": "Cache hit rate",
    "rights": "Rights",
    "server_statements": "Statements of the application",
}


def of_indexes(shown: Indexes) -> None:
    """Duplicate, covered, unused and invalid indexes, and foreign keys without one."""
    with panel("Index health"):
        found = [one for one in shown.index_findings if shown.is_shown(one.table)]
        asking = [one for one in found if one.severity != "note"]
        st.caption(
            f"{len(shown.facts):,} indexes looked at: duplicate, covered by"
            " another, unused, invalid, and foreign keys that no index starts with."
        )
        if not asking:
            st.success(
                "No index is in the way, and no foreign key of a large table lacks one.", icon=":material/check:"
            )
        for number, one in enumerate(asking):
            _entry(shown, one, key=f"index-{number}")
        _notes([one for one in found if one.severity == "note"], "Nothing to do")


def of_database(shown: Indexes) -> None:
    """Who waits, what runs out, and what needs upkeep."""
    with panel("Database health"):
        found = [one for one in shown.health_findings if shown.is_shown(one.table)]
        asking = [one for one in found if one.severity != "note"]
        counters = shown.health.counters
        st.caption(
            words.plain(
                f"Looked at: blocked and long transactions, connections, dead rows, statistics, cache, sequences,"
                f" transaction ids (the oldest is {counters.transaction_age:,} of 2,147,483,647 old)."
            )
        )
        if not asking:
            st.success("Nothing asks for something to be done.", icon=":material/check:")
        for number, one in enumerate(asking):
            _entry(shown, one, key=f"database-{number}")
        _notes([one for one in found if one.severity == "note"], "What could not be looked at")


def _entry(shown: Indexes, one: Finding, *, key: str) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader(words.plain(f"{RULES[one.rule]}: {one.subject}"), anchor=False, width="content")
            st.badge(one.severity, color=SEVERITY_COLOURS[one.severity])  # type: ignore[arg-type]  # a colour's name
        st.markdown(words.plain(one.sentence))
        st.markdown(words.plain(one.fix))
        lookup = applying.lookup_of(one)
        touching = _touching(shown, one, lookup)
        if lookup is not None and touching:
            _searched_by(touching)
        applying.statements(one.ddl, one.prisma)
        if one.ddl:
            applying.offer(shown, one.ddl, origins=touching, lookup=lookup, key=key)
        st.caption(words.plain(f"Source: {one.source}."))


def _searched_by(touching: Sequence[Origin]) -> None:
    """The questions that search by the columns, each with the way to its figures."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Searched by in", width="content")
        for query in dict.fromkeys(one.query for one in touching):
            places.link("performance", words.plain(query), {"question": query})


def _notes(notes: Sequence[Finding], title: str) -> None:
    if not notes:
        return
    with st.expander(f"{title} ({len(notes)})"):
        for one in notes:
            st.markdown(words.plain(f"{one.sentence} {one.fix}"))
            st.caption(words.plain(f"Source: {one.source}."))


def _touching(shown: Indexes, one: Finding, lookup: Lookup | None) -> list[Origin]:
    """Our statements that read the table and, of an index to be made, search by its columns."""
    if shown.advised is None or one.table is None:
        return []
    mapping, columns = current().database.mapping, lookup.columns if lookup is not None else ()
    return [
        origin
        for origin in shown.advised.workload.origins.values()
        if origin.is_ours and index_names.searches(origin.sql, mapping, one.table, columns)
    ]
