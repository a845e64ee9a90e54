"""One session's planner: EXPLAIN with true parameters inside a transaction that is always rolled back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

TENANTS_SETTING = "usage_dashboard.tenants"
_STATEMENT_TIMEOUT_MS, _BUILDING_TIMEOUT_MS, _LOCK_TIMEOUT_MS = 10_000, 120_000, 2_000

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as it is sent: its text, with casts where types are known, and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()
    tenants: str = "all"


@dataclass(slots=True)
class Planner:
    """EXPLAIN on one connection, which is inside `looking`."""

    connection: psycopg.Connection[Any]
    explained: int = field(default=0, init=False)

    def plan(self, prepared: Prepared, *, analyze: bool = False) -> Node:
        """The plan's top node. With `analyze` the statement runs: its times are measured."""
        self.explained += 1
        options = "ANALYZE, TIMING OFF, FORMAT JSON, VERBOSE" if analyze else "FORMAT JSON, VERBOSE"
        # The wire's own parameters, so that no value is ever part of the text; nothing is prepared by name.
        with psycopg.RawCursor(self.connection) as cursor:
            text = f"EXPLAIN ({options}) {prepared.sql}"
            cursor.execute(text.encode(), prepared.parameters or None, prepare=False)
            row = cursor.fetchone()
        assert row is not None, "EXPLAIN returns one row"
        document = row[0] if not isinstance(row[0], str) else json.loads(row[0])
        top: dict[str, Any] = document[0]["Plan"]
        if analyze:
            top = {**top, "Execution Time": document[0]["Execution Time"]}
        return top


@contextmanager
def looking(connection: psycopg.Connection[Any], *, building: bool = False) -> Iterator[None]:
    """A transaction, or a savepoint in the caller's, that ends as if it had never been: settings are its own."""
    with connection.transaction(force_rollback=True):
        timeout = _BUILDING_TIMEOUT_MS if building else _STATEMENT_TIMEOUT_MS
        settings = {
            "statement_timeout": str(timeout),
            "lock_timeout": str(_LOCK_TIMEOUT_MS),
            "TimeZone": "UTC",
            TENANTS_SETTING: "all",
        }
        if not building:
            settings["transaction_read_only"] = "on"
        for name, value in settings.items():
            run(connection, "SELECT set_config(%s, %s, true)", (name, value))
        yield


def run(
    connection: psycopg.Connection[Any], statement: LiteralString | sql.SQL | sql.Composed, values: Sequence[Any] = ()
) -> None:
    """Run one statement of ours; no prepared statement is left behind."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None, prepare=False)


def nodes(top: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield top
    for child in top.get("Plans", ()):
        yield from nodes(child)


def indexes_read(top: Node) -> set[str]:
    """Names of the indexes that a plan reads."""
    return {str(node["Index Name"]) for node in nodes(top) if "Index Name" in node}


# A row limit over a filter trusts that matches are spread evenly. They may lie ten times further.
_UNEVEN = 10.0


def careful_cost(top: Node) -> float:
    """The planner's cost, but where a LIMIT stops a filtered scan in an index's order, as if matches lay ten times
    further than if they were spread evenly. Such plans are the ones that turn out a thousand times slower."""
    return float(top["Total Cost"]) + sum(_hidden_cost(node) for node in nodes(top))


def _hidden_cost(node: Node) -> float:
    if node["Node Type"] != "Limit":
        return 0.0
    child = node["Plans"][0]
    rows, taken = float(child["Plan Rows"]), float(node["Plan Rows"])
    scan = stopped_scan(node)
    if scan is None or scan["Node Type"] not in ("Index Scan", "Index Only Scan") or "Filter" not in scan:
        return 0.0
    total, start = float(child["Total Cost"]), float(child["Startup Cost"])
    fraction = min(1.0, taken / max(rows, 1.0))
    return (total - start) * (min(1.0, fraction * _UNEVEN) - fraction)


def stopped_scan(limit: Node) -> Node | None:
    """The scan that a LIMIT stops; None where all must be read first, to be sorted or added up."""
    below = list(_down_to_scan(limit["Plans"][0]))
    return None if any(one["Node Type"] in ("Sort", "Aggregate", "Hash") for one in below) else below[-1]


def _down_to_scan(node: Node) -> Iterator[Node]:
    """The chain of outer children."""
    yield node
    children = [one for one in node.get("Plans", ()) if one.get("Parent Relationship") in ("Outer", "Subquery", None)]
    if children:
        yield from _down_to_scan(children[0])
