"""What was found about an index or the database: the rule, why with its numbers, where that is known from, the fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from psycopg import sql

Severity = Literal["high", "medium", "low", "note"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "note")
"""A note asks for nothing: it says what was looked at, or what could not be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `source` is the catalog view, the chapter or the tool that the rule rests on; `ddl`, where an index
    is to be made or dropped, is one statement that applies as it is. `columns` are those of a foreign key."""

    rule: str
    subject: str
    severity: Severity
    sentence: str
    source: str
    fix: str
    ddl: str | None = None
    prisma: str | None = None
    table: str | None = None
    size_bytes: int | None = None
    columns: tuple[str, ...] = ()
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is said, all in one place. The sources of the less obvious ones stand beside them."""

    table_rows: int = 10_000  # under that an index is not worth its upkeep
    index_bytes: int = 1_000_000  # a smaller unused index costs nothing worth a word
    counted_for: timedelta = field(default=timedelta(days=7))  # a week has seen each weekday's work
    dead_rows: int = 10_000
    dead_share: float = 0.2  # autovacuum_vacuum_scale_factor, by default
    changed_share: float = 0.2  # twice autovacuum_analyze_scale_factor
    hit_rate: float = 0.99  # PgHero: cache hit rate
    blocks_read: int = 100_000  # few reads say nothing
    warm_after: timedelta = field(default=timedelta(days=1))  # until then it is the start that shows
    connections_share: float = 0.8
    transaction: timedelta = field(default=timedelta(minutes=5))
    idle_in_transaction: timedelta = field(default=timedelta(minutes=1))
    sequence_share: float = 0.7
    sequence_share_high: float = 0.9
    age: int = 1_000_000_000  # of 2,147,483,647 transactions; autovacuum_freeze_max_age is 200,000,000 by default
    age_high: int = 1_600_000_000  # vacuum_failsafe_age


DEFAULT_LIMITS = Limits()


def quoted(*names: str) -> str:
    """The names as an SQL identifier, always with its quotes: camelCase does not survive without."""
    return sql.Identifier(*names).as_string(None)


def listed(columns: Iterable[str]) -> str:
    """Columns as they stand in a sentence."""
    return ", ".join(columns)


def size_text(size_bytes: int | float) -> str:
    """8 kB, 2.4 MB, 1.3 GB."""
    for unit, power in (("GB", 3), ("MB", 2)):
        if size_bytes >= 1000**power:
            return f"{size_bytes / 1000**power:,.1f} {unit}"
    return f"{size_bytes / 1000:,.0f} kB"


def age_text(age: timedelta) -> str:
    """40 s, 12 min, 5 h, 9 days."""
    seconds = age.total_seconds()
    for unit, length, up_to in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < up_to:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"


def counted(number: int, noun: str) -> str:
    """1 row, 2,345 rows."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def same_statement(ddl: str | None, other: str | None) -> bool:
    """Whether two statements of ours are the same but for what ends them."""
    return ddl is not None and other is not None and ddl.rstrip("; ") == other.rstrip("; ")
