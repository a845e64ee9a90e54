"""What is asked of the advisor (Statement), and what it answers (Advice)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TenantKind = Literal["median", "biggest", "smallest", "absent"]
Verdict = Literal["create_index", "drop_index", "rewrite", "pre_aggregate", "analyze", "none"]
Severity = Literal["high", "medium", "low"]
Evidence = Literal["hypopg", "built", "estimated"]

TENANT_KINDS: tuple[TenantKind, ...] = ("median", "biggest", "smallest", "absent")
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a workload.

    `sql` holds `$1`, `$2`, ... or literals. `parameters` are the values for one kind of tenant or more; nothing, or
    empty tuples, where the statement holds literals. `types` are SQL type names of the parameters, where known.
    `constants` are the numbers of the parameters that are constants in the code: only these may become a partial
    index's condition. `mean_ms` is the known time of a call, by which planner cost is turned into milliseconds.
    """

    name: str
    sql: str
    parameters: Mapping[TenantKind, tuple[Any, ...]] = field(default_factory=dict)
    types: tuple[str, ...] | None = None
    calls_per_day: float = 1_000.0
    constants: frozenset[int] = frozenset()
    mean_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """One verdict with its reason and numbers. `ddl` is to be run as it stands; `prisma` is the line for the schema, or
    the raw SQL migration where Prisma cannot say it. Times are the mean of the statements'; `by_statement` has the gain
    of each. `evidence` says how sure they are."""

    statements: tuple[str, ...]
    verdict: Verdict
    severity: Severity
    reason: str
    table: str | None = None
    ddl: str | None = None
    prisma: str | None = None
    before_ms: Mapping[TenantKind, float] = field(default_factory=dict)
    after_ms: Mapping[TenantKind, float] = field(default_factory=dict)
    gain_ms: Mapping[TenantKind, float] = field(default_factory=dict)
    size_bytes: int | None = None
    write_cost_bytes_per_row: int | None = None
    evidence: Evidence = "estimated"
    by_statement: Mapping[str, Mapping[TenantKind, float]] = field(default_factory=dict)
    index_name: str | None = None
    rewritten: str | None = None


def as_json(advice: Sequence[Advice]) -> list[dict[str, Any]]:
    """One object per statement and verdict, sorted; nothing in it depends on the clock."""
    rows = [
        {
            "statement": name,
            "verdict": one.verdict,
            "severity": one.severity,
            "ddl": one.ddl,
            "prisma": one.prisma,
            "reason": one.reason,
            "gain_ms": _rounded(one.by_statement.get(name, one.gain_ms)),
            "size_bytes": one.size_bytes,
            "evidence": one.evidence,
        }
        for one in advice
        for name in one.statements
    ]
    return sorted(rows, key=lambda row: (row["statement"], row["verdict"], row["ddl"] or "", row["reason"]))


def _rounded(gain_ms: Mapping[TenantKind, float]) -> dict[str, float]:
    return {kind: round(gain_ms[kind], 3) for kind in TENANT_KINDS if kind in gain_ms}
