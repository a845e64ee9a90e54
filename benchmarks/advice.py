"""Whether the index advice is right: each statement of the suite with nothing, with our advice, with the best found.

    python -m benchmarks.advice [--embedded] [WORD ...]

On the system's PostgreSQL with HypoPG as a role that may only SELECT, or with --embedded on the PostgreSQL 18 that the
program brings, where candidates are built and rolled back. Every candidate and every advised index is really built.
With words: only statements whose name or category holds one, and no bounds. Three to six minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks import ground as bench_ground
from benchmarks.measuring import measured
from benchmarks.report import Bound, concluded, console, print_table, shown
from benchmarks.truth import cluster, ground, measuring, verdicts
from benchmarks.truth.ground import Tenant, TenantKind
from benchmarks.truth.suite import CASES
from benchmarks.truth.verdicts import Judged, judged, statement_of
from queries.embedded import databases
from queries.performance.advice import Advice, advise

DATABASE = "truth"
OUTSIDE_MOST = 0.10
TWENTY_MOST_MS = 1_000.0


def main() -> int:
    words = [one for one in sys.argv[1:] if not one.startswith("--")]
    chosen = [one for one in CASES if not words or any(word in f"{one.category} {one.name}" for word in words)]
    opened = embedded_ground() if "--embedded" in sys.argv else second_ground()
    with opened as (owner, adviser):
        tenants = ground.tenants(owner)
        started_s = time.monotonic()
        found = [judged(owner, case, tenants, adviser) for case in chosen]
        console.print(f"{len(found)} statements measured in {time.monotonic() - started_s:.0f} s")
        _print(found)
        if words:
            return 0
        statements = [statement_of(case, tenants) for case in chosen]
        together = _together(owner, found, adviser(statements), tenants)
        spread = statements[:: max(1, len(statements) // 20)][:20]
        twenty = measured(lambda: adviser(spread), within_s=20, most=5)
    _print_sums(found, together)
    return concluded(
        (
            Bound("statements whose advice is not right", _share(found), OUTSIDE_MOST, "of all"),
            Bound("false positives", sum(one.is_false_positive for one in found), 0, ""),
            Bound("DDL or rewritten statements that do not apply", sum(bool(one.failure) for one in found), 0, ""),
            Bound("advice for 20 statements", twenty.median_ms, TWENTY_MOST_MS),
        )
    )


@contextmanager
def second_ground() -> Iterator[tuple[measuring.Connection, verdicts.Advise]]:
    """The owner's connection, and advice as a role that may only read asks for it, where HypoPG is."""
    try:
        with cluster.second_server() as server:
            server.create_database(DATABASE)
            with (
                server.connected(DATABASE, cluster.OWNER) as owner,
                server.connected(DATABASE, cluster.READER) as reader,
            ):
                console.print(f"PostgreSQL {server.major} with HypoPG")
                ground.fill(owner)
                yield owner, lambda statements: advise(reader, statements)
    except LookupError as missing:
        raise SystemExit(str(missing)) from None


@contextmanager
def embedded_ground() -> Iterator[tuple[measuring.Connection, verdicts.Advise]]:
    """The same on the embedded PostgreSQL, without HypoPG: candidates are built by the owner, and rolled back."""
    with bench_ground.embedded_server() as server:
        server.ensure_database(DATABASE)
        with psycopg.connect(server.url(DATABASE, databases.APP), autocommit=True) as owner:
            console.print("PostgreSQL 18, embedded")
            owner.execute("SET max_parallel_workers_per_gather = 0")
            ground.fill(owner)
            with psycopg.connect(server.url(DATABASE, databases.APP), autocommit=True) as builder:
                builder.execute("SET max_parallel_workers_per_gather = 0")
                yield owner, lambda statements: advise(owner, statements, build_on=builder)


def _together(
    owner: measuring.Connection, found: Sequence[Judged], advice: Sequence[Advice], tenants: Mapping[TenantKind, Tenant]
) -> dict[str, Any]:
    """All indexes advised for the workload as a whole, built at once: how many, and what the statements then take."""
    definitions = list(dict.fromkeys(one.ddl for one in advice if one.ddl and one.verdict == "create_index"))
    total_ms = 0.0
    with measuring.built(owner, definitions):
        for case in (one.case for one in found):
            rewritten = verdicts.rewrite_of(case, [one for one in advice if case.name in one.statements])
            sql, values = rewritten or (case.sql, lambda given: given)
            parameters = {kind: values(given) for kind, given in case.parameters(tenants).items()}
            total_ms += sum(measuring.times_ms(owner, sql, parameters).values()) / len(parameters)
    return {"indexes": len(definitions), "total_ms": total_ms}


def _print(found: Sequence[Judged]) -> None:
    columns = ("statement", "category", "none", "ours", "best", "advice", "")
    print_table("Milliseconds, mean over the kinds of tenant", columns, [_line(one) for one in found])
    for one in found:
        if not one.holds:
            console.print(f"not right: {one.case.name}: {_why(one)}", markup=False)


def _line(one: Judged) -> tuple[str, ...]:
    times = (shown(sum(of.values()) / len(of)) for of in (one.none, one.ours, one.best))
    return (one.case.name, one.case.category, *times, ", ".join(sorted(one.kinds)), "ok" if one.holds else "NOT RIGHT")


def _why(one: Judged) -> str:
    reasons = []
    if one.failure:
        reasons.append(one.failure)
    if not one.is_right_kind:
        reasons.append(
            f"said {', '.join(sorted(one.kinds)) or 'nothing'}, right is {', '.join(sorted(one.case.verdicts))}"
        )
    if not one.is_near_best:
        reasons.append("slower than the best found")
    if one.is_false_positive:
        reasons.append("false positive")
    return "; ".join((*reasons, *one.ddl, *(said.reason for said in one.advice)))


def _share(found: Sequence[Judged]) -> float:
    return sum(not one.holds for one in found) / len(found)


def _print_sums(found: Sequence[Judged], together: dict[str, Any]) -> None:
    sums = [sum(sum(times.values()) / len(times) for times in of) for of in _columns(found)]
    print_table(
        "Sums, milliseconds",
        ("", "total"),
        (
            ("no index", shown(sums[0])),
            ("ours, each statement alone", shown(sums[1])),
            ("the best found", shown(sums[2])),
            (f"ours for the whole workload, {together['indexes']} indexes at once", shown(together["total_ms"])),
        ),
    )


def _columns(found: Sequence[Judged]) -> tuple[list[Any], list[Any], list[Any]]:
    return [one.none for one in found], [one.ours for one in found], [one.best for one in found]


if __name__ == "__main__":
    sys.exit(main())
