"""One statement as the advisor works on it: its plans of today, by kind of tenant, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import psycopg

from queries.performance.advice.candidates import Option
from queries.performance.advice.catalog import Relation, Table
from queries.performance.advice.corrections import corrected_cost
from queries.performance.advice.index import Index
from queries.performance.advice.model import TENANT_KINDS, Statement, TenantKind
from queries.performance.advice.parsing import Parsed, UnreadableError, UnusableError, with_types
from queries.performance.advice.planner import Node, Planner, Prepared, careful_cost
from queries.performance.advice.scans import Scan, scans

# Milliseconds of one unit of planner cost on a machine whose tables are in memory, where nothing was measured.
MS_PER_COST = 0.004
_RUNS = 3

Costs = Mapping[TenantKind, float]


@dataclass(slots=True)
class Case:
    """A statement, its prepared texts by kind (kinds with the same values share one) and its plans of today. `trifle`
    is a cost that nobody notices, some pages out of order: differences below it are none. `is_clocked` says that the
    clock decides, not the cost. `tried` counts the indexes that the planner was shown; `held_up` says what kept others
    from it."""

    statement: Statement
    parsed: Parsed
    prepared: dict[TenantKind, Prepared]
    plans: dict[TenantKind, Node]
    before: dict[TenantKind, float]
    ms_per_cost: dict[TenantKind, float]
    is_measured: bool = False
    is_clocked: bool = False
    trifle: float = 16.0
    tables: Mapping[Relation, Table] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    outcomes: dict[Option, dict[TenantKind, float]] = field(default_factory=dict)
    least: dict[TenantKind, float] = field(default_factory=dict)
    tried: int = 0
    held_up: str = ""

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def pilot(self) -> TenantKind:
        """The kind that costs most today; the first of equals."""
        return max(self.before, key=lambda kind: (self.before[kind], -TENANT_KINDS.index(kind)))

    def cost(self, plan: Node, indexes: Mapping[str, Index] = MappingProxyType({})) -> float:
        """A plan's cost as far as it is to be trusted; `indexes` are those that are not there, by the plan's names."""
        return corrected_cost(plan, self.tables, indexes)

    def ms(self, costs: Costs) -> dict[TenantKind, float]:
        return {kind: costs[kind] * self.ms_per_cost[kind] for kind in TENANT_KINDS if kind in costs}

    def gain_ms_per_call(self, costs: Costs) -> float:
        """What a call saves, the kinds weighing the same."""
        saved = [(self.before[kind] - costs[kind]) * self.ms_per_cost[kind] for kind in costs]
        return sum(saved) / len(saved) if saved else 0.0

    def gain_ms_per_day(self, costs: Costs) -> float:
        return self.gain_ms_per_call(costs) * self.statement.calls_per_day


def opened(planner: Planner, statement: Statement, parsed: Parsed, text: str, *, measure: bool) -> Case:
    """UnusableError with PostgreSQL's own words when it refuses the statement or its parameters."""
    prepared = _prepared(statement, parsed, text)
    plans: dict[TenantKind, Node] = {}
    times: dict[TenantKind, float] = {}
    try:
        with planner.connection.transaction():
            for kind, one in prepared.items():
                twin = next((done for done in plans if prepared[done] == one), None)
                plans[kind] = plans[twin] if twin is not None else planner.plan(one)
        if measure:
            times = times_ms(planner, prepared)
    except psycopg.Error as error:
        is_forbidden = isinstance(error, psycopg.errors.InsufficientPrivilege)
        raise (UnreadableError if is_forbidden else UnusableError)(_refusal(error)) from None
    before = {kind: careful_cost(plan) for kind, plan in plans.items()}
    rates = {kind: _rate(statement, before, kind, times) for kind in plans}
    is_measured = bool(times) or bool(statement.mean_ms)
    return Case(statement, parsed, prepared, plans, before, rates, is_measured)


def read_scans(case: Case, tables: Mapping[Relation, Table]) -> None:
    """What the plans of all kinds look for, the same scan of two kinds once; and what they cost, as far as the tables
    tell."""
    case.tables = tables
    known_ms = case.ms(case.before) if case.is_measured else {}
    case.before = {kind: case.cost(plan) for kind, plan in case.plans.items()}
    if known_ms:
        case.ms_per_cost = {kind: known_ms[kind] / max(case.before[kind], 0.01) for kind in known_ms}
    seen: set[tuple[object, ...]] = set()
    for kind in case.plans:
        for scan in scans(case.plans[kind], tables):
            terms = tuple(sorted((one.kind, one.column, one.expression) for one in (*scan.terms, *scan.joins)))
            key = (scan.relation, scan.alias, terms, tuple(scan.orders), tuple(sorted(scan.needed)), scan.has_limit)
            if key not in seen:
                seen.add(key)
                case.scans.append(scan)


def _prepared(statement: Statement, parsed: Parsed, text: str) -> dict[TenantKind, Prepared]:
    given = {kind: tuple(statement.parameters[kind]) for kind in TENANT_KINDS if kind in statement.parameters}
    if not given and parsed.parameter_count == 0:
        given = {"median": ()}
    if not given:
        raise UnusableError(
            f"it has {parsed.parameter_count} parameters and no values for them; give values (a plan for unknown ones"
            " misleads)"
        )
    for kind, values in given.items():
        if len(values) < parsed.parameter_count:
            raise UnusableError(
                f"it has {parsed.parameter_count} parameters, and {len(values)} values for the {kind} tenant;"
                " give one for each"
            )
    typed = with_types(text, statement.types) if parsed.parameter_count else text
    return {kind: Prepared(typed, values[: parsed.parameter_count]) for kind, values in given.items()}


def times_ms(planner: Planner, prepared: Mapping[TenantKind, Prepared]) -> dict[TenantKind, float]:
    """Measured milliseconds, the best of three runs, so that what the first had to fetch is in memory; nothing when a
    run was stopped for taking too long."""
    times: dict[TenantKind, float] = {}
    try:
        with planner.connection.transaction():
            for kind, one in prepared.items():
                twin = next((done for done in times if prepared[done] == one), None)
                runs = [times[twin]] if twin is not None else [_run_ms(planner, one) for _ in range(_RUNS)]
                times[kind] = min(runs)
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return {}
    return times


def again_ms(planner: Planner, case: Case) -> None:
    """Measure the case as it is once more: if the machine was busy before and not later, no index made it faster."""
    times = times_ms(planner, case.prepared)
    for kind, took_ms in times.items():
        was = case.ms_per_cost[kind]
        case.ms_per_cost[kind] = min(was, took_ms / max(case.before[kind], 0.01))
        for option, costs in case.outcomes.items():
            if option:
                costs[kind] *= was / case.ms_per_cost[kind]


def _run_ms(planner: Planner, prepared: Prepared) -> float:
    return float(planner.plan(prepared, analyze=True)["Execution Time"])


def _rate(statement: Statement, before: Costs, kind: TenantKind, times: Mapping[TenantKind, float]) -> float:
    if kind in times:
        return times[kind] / max(before[kind], 0.01)
    if statement.mean_ms:
        usual = before.get("median", next(iter(before.values())))
        return statement.mean_ms / max(usual, 0.01)
    return MS_PER_COST


def _refusal(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the role may not read it ({_first_line(error)}); grant SELECT on the table to this role"
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return f"what it reads is not there, or not any more ({_first_line(error)}); correct or drop the statement"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "PostgreSQL did not plan it in time; simplify it"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "a table of it is locked by another session; ask again later"
    return f"PostgreSQL refuses it ({_first_line(error)}); correct the statement or its values"


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def popularity(cases: Iterable[Case]) -> dict[tuple[str, str], int]:
    """How many statements hold a table's column equal: what more of them share comes first in an index."""
    counts: dict[tuple[str, str], int] = {}
    for case in cases:
        names = {
            (scan.relation[1], term.column)
            for scan in case.scans
            for term in (*scan.terms, *scan.joins)
            if term.column and term.kind in ("eq", "null")
        }
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts
