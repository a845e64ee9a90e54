"""How the database is: its tables, its cache, who is connected and who waits for whom, and what runs out one day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from queries.performance.findings import DEFAULT_LIMITS, Finding, Limits, age_text, counted, quoted
from queries.performance.health_facts import Counters, Health, SequenceFact, Session, TableFact, read

__all__ = ["Health", "TableFact", "findings", "read"]

_WRAPAROUND = 2_147_483_647
_READ_STATS = "pg_read_all_stats"


def findings(health: Health, limits: Limits = DEFAULT_LIMITS) -> list[Finding]:
    """What in it asks for something to be done, the weightiest first."""
    found = [
        *_ages(health.counters, limits),
        *_blocked(health.sessions),
        *_long_transactions(health.sessions, limits),
        *_sequences(health.sequences, limits),
        *_connections(health, limits),
        *_upkeep(health.tables, limits),
        *_cache(health.counters, limits),
        *_rights(health.counters),
    ]
    order = {"high": 0, "medium": 1, "low": 2, "note": 3}
    return sorted(found, key=lambda one: order[one.severity])  # stable: the order above within a severity


def _ages(counters: Counters, limits: Limits) -> Iterator[Finding]:
    for what, age in (("transaction", counters.transaction_age), ("multixact", counters.multixact_age)):
        if age < limits.age:
            continue
        yield Finding(
            rule="transaction_ids",
            subject=f"{what} ids",
            severity="high" if age >= limits.age_high else "medium",
            sentence=f"The oldest row of this database is {age:,} {what} ids old; {_WRAPAROUND - age:,} are left until"
            " the server refuses to write. Autovacuum has not frozen old rows for long.",
            source="pg_database.datfrozenxid, datminmxid; PostgreSQL manual, Preventing Transaction ID Wraparound"
            " Failures",
            fix="Look for long transactions, prepared transactions and unused replication slots, end them, and run"
            " VACUUM (FREEZE) on the oldest tables.",
        )


def _blocked(sessions: Sequence[Session]) -> Iterator[Finding]:
    by_pid = {one.pid: one for one in sessions}
    for one in sessions:
        if not one.blocked_by:
            continue
        blockers = "; ".join(_blocker(pid, by_pid.get(pid)) for pid in one.blocked_by)
        yield Finding(
            rule="blocked",
            subject=f"session {one.pid}",
            severity="high",
            sentence=f"Session {one.pid} ({one.role or 'role not to be seen'}) has waited"
            f" {_age(one.state_s)} for a lock: {one.statement or 'statement not to be seen'}. It is blocked by"
            f" {blockers}.",
            source="pg_blocking_pids(), pg_stat_activity",
            fix=f"Let that transaction end; if it never will: SELECT pg_terminate_backend({one.blocked_by[0]}); as a"
            " role that may.",
        )


def _blocker(pid: int, session: Session | None) -> str:
    if session is None:
        return f"session {pid}"
    return (
        f"session {pid} ({session.role or 'role not to be seen'}, {session.state or 'state not to be seen'},"
        f" transaction {_age(session.transaction_s)} old)"
    )


def _long_transactions(sessions: Sequence[Session], limits: Limits) -> Iterator[Finding]:
    for one in sessions:
        is_idle = (one.state or "").startswith("idle in transaction")
        for_s = (one.state_s if is_idle else one.transaction_s) or 0.0
        if one.transaction_s is None or for_s < (limits.idle_in_transaction if is_idle else limits.transaction).seconds:
            continue
        does = "is idle in a transaction since" if is_idle else "runs a transaction since"
        yield Finding(
            rule="idle_in_transaction" if is_idle else "long_transaction",
            subject=f"session {one.pid}",
            severity="medium",
            sentence=f"Session {one.pid} ({one.role or 'role not to be seen'}, {one.application or 'no name'}) {does}"
            f" {_age(for_s)}: {one.statement or 'statement not to be seen'}. It keeps its locks, and VACUUM from"
            " removing rows that died since.",
            source="pg_stat_activity.xact_start, state_change; PostgreSQL manual, Routine Vacuuming",
            fix="End the transaction in the application."
            + (" idle_in_transaction_session_timeout ends such sessions by itself." if is_idle else ""),
        )


def _sequences(sequences: Sequence[SequenceFact], limits: Limits) -> Iterator[Finding]:
    for one in sequences:
        share = (one.last_value or 0) / one.ends_at
        if share < limits.sequence_share:
            continue
        feeds = f", which feeds {one.fed}," if one.fed else ""
        yield Finding(
            rule="sequence",
            subject=one.name,
            severity="high" if share >= limits.sequence_share_high else "medium",
            sentence=f"The sequence {quoted(one.name)}{feeds} is at {one.last_value:,} of {one.ends_at:,}"
            f" ({share:.1%}); after {one.ends_at - (one.last_value or 0):,} more each INSERT fails.",
            source="pg_sequences; PostgreSQL manual, Numeric Types",
            fix="Make the column, and the sequence, a bigint before that (ALTER TABLE ... TYPE bigint rewrites the"
            " table).",
        )
    hidden = sum(not one.is_readable for one in sequences)
    if hidden:
        yield Finding(
            rule="rights",
            subject="sequences",
            severity="note",
            sentence=f"{counted(hidden, 'sequence')} cannot be read by this role; how far they are is not known.",
            source="pg_sequences",
            fix="GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO the reader role.",
        )


def _connections(health: Health, limits: Limits) -> Iterator[Finding]:
    counters = health.counters
    room = counters.max_connections - counters.reserved_connections
    used = len(health.sessions)
    if used < limits.connections_share * room:
        return
    states = ", ".join(f"{number} {state}" for state, number in health.connections.items())
    yield Finding(
        rule="connections",
        subject="connections",
        severity="high",
        sentence=f"{used} of {room} connections are taken ({states}); when all are, the server turns clients away.",
        source="pg_stat_activity, max_connections",
        fix="Put a pooler such as PgBouncer in between, or make the clients' pools smaller, before raising"
        " max_connections.",
    )


def _upkeep(tables: Sequence[TableFact], limits: Limits) -> Iterator[Finding]:
    """Of the application's tables; ours are looked after by whoever refills them."""
    for one in (one for one in tables if one.schema != "usage_dashboard"):
        share = one.dead_rows / (one.live_rows + one.dead_rows) if one.dead_rows else 0.0
        if one.dead_rows >= limits.dead_rows and share > limits.dead_share:
            yield Finding(
                rule="dead_rows",
                subject=one.table,
                severity="medium",
                sentence=f"{share:.0%} of {quoted(one.table)} is dead: {one.dead_rows:,} dead beside {one.live_rows:,}"
                f" live rows. It was last vacuumed {_when(one.vacuumed_at)}; scans read the dead rows too.",
                source="pg_stat_user_tables.n_dead_tup; PostgreSQL manual, Routine Vacuuming",
                fix=f"VACUUM (ANALYZE) {quoted(one.schema, one.table)}; and, if it comes again, a smaller"
                " autovacuum_vacuum_scale_factor for this table.",
                table=one.table,
            )
        if not one.is_analyzed and one.rows >= limits.table_rows:
            yield _analyze(one, "was never analyzed: the planner guesses how many rows a condition meets")
        elif one.changed_rows >= max(limits.table_rows, limits.changed_share * one.rows):
            yield _analyze(one, f"has {one.changed_rows:,} changed rows since it was analyzed {_when(one.analyzed_at)}")


def _analyze(one: TableFact, what: str) -> Finding:
    return Finding(
        rule="analyze",
        subject=one.table,
        severity="medium",
        sentence=f"{quoted(one.table)} ({counted(one.rows, 'row')}) {what}.",
        source="pg_stat_user_tables.last_analyze, n_mod_since_analyze; PostgreSQL manual, Updating Planner Statistics",
        fix=f"ANALYZE {quoted(one.schema, one.table)};",
        table=one.table,
    )


def _cache(counters: Counters, limits: Limits) -> Iterator[Finding]:
    rate = counters.hit_rate
    is_warm = counters.counted_s >= limits.warm_after.total_seconds() and counters.blocks_read >= limits.blocks_read
    if rate is None or rate >= limits.hit_rate or not is_warm:
        return
    yield Finding(
        rule="cache_hit_rate",
        subject="cache",
        severity="low",
        sentence=f"{rate:.1%} of the blocks that were looked at were in shared_buffers; {counters.blocks_read:,} were"
        f" read from the system. {limits.hit_rate:.0%} is usual where the working set fits.",
        source="pg_stat_database.blks_hit, blks_read; PgHero, cache hit rate",
        fix="Look for statements that read whole tables first; then raise shared_buffers, or add memory.",
    )


def _rights(counters: Counters) -> Iterator[Finding]:
    if not counters.reads_all_stats:
        yield Finding(
            rule="rights",
            subject=counters.role,
            severity="note",
            sentence=f"The role {quoted(counters.role)} does not see what other roles do: their statements, states and"
            " transactions are missing above.",
            source="PostgreSQL manual, Predefined Roles",
            fix=f"As a superuser: GRANT {_READ_STATS} TO {quoted(counters.role)};",
        )
    if not counters.has_server_statements:
        yield Finding(
            rule="server_statements",
            subject="pg_stat_statements",
            severity="note",
            sentence="The extension pg_stat_statements is not in this database: the application's own statements are"
            " not seen, and advice is for the dashboard's only.",
            source="PostgreSQL manual, pg_stat_statements",
            fix="Add pg_stat_statements to shared_preload_libraries, restart the server, and run CREATE EXTENSION"
            " pg_stat_statements; as a superuser. Managed services have a switch for it.",
        )


def _age(seconds: float | None) -> str:
    return age_text(timedelta(seconds=seconds)) if seconds is not None else "not known how long"


def _when(instant: datetime | None) -> str:
    return f"on {instant:%Y-%m-%d %H:%M} UTC" if instant is not None else "never"
