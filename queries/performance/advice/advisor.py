"""The advisor: statements in, verdicts out. The same input gives the same answer, in whatever order it comes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from queries.performance.advice.candidates import Option, options
from queries.performance.advice.cases import Case, Costs, again_ms, opened, popularity, read_scans, times_ms
from queries.performance.advice.catalog import (
    Relation,
    Table,
    hypopg_schema,
    names_taken,
    random_page_cost,
    read_tables,
)
from queries.performance.advice.choice import choose
from queries.performance.advice.estimates import estimate_candidates
from queries.performance.advice.findings import Findings
from queries.performance.advice.index import Index
from queries.performance.advice.merging import merged
from queries.performance.advice.model import SEVERITIES, Advice, Statement
from queries.performance.advice.no_index import SMALLEST_TABLE_ROWS
from queries.performance.advice.parsing import Parsed, UnreadableError, UnusableError, parsed
from queries.performance.advice.planner import Planner, looking
from queries.performance.advice.rewrites import Rewritten, rewritten, unpaged
from queries.performance.advice.running import may_run
from queries.performance.advice.scans import relations
from queries.performance.advice.trials import (
    AS_GOOD,
    good_options,
    is_worth_more,
    passes,
    plans_with,
    try_built,
    try_candidates,
    try_shared,
    weight,
)
from queries.performance.advice.verdicts import refused, verdicts
from queries.performance.advice.views import readable
from queries.performance.advice.what_if import Built, HypoPG, WhatIf

# Scans of one statement that candidates are made for, the costliest first: sixty joins are bounded work too.
MOST_SCANS = 8
# Indexes that are really built for one answer: seconds of a busy server each.
MOST_BUILT, MOST_BUILT_PER_STATEMENT = 16, 2


def advise(
    connection: psycopg.Connection[Any],
    statements: Sequence[Statement],
    *,
    build_on: psycopg.Connection[Any] | None = None,
    measure: bool = False,
) -> list[Advice]:
    """Advice for the workload, most urgent first, the same for the same input in whatever order.

    `connection` needs to read only; nothing that is set or made stays in its session. `build_on` is a connection of the
    tables' owner: where the server has no HypoPG, candidates are built there in a transaction, looked at and rolled
    back. With `measure`, statements are also run (read only, bounded in time) so that planner cost becomes milliseconds
    of this server.
    """
    ordered = sorted(statements, key=lambda one: (one.name, one.sql, repr(sorted(one.parameters.items()))))
    found: list[Advice] = []
    usable: list[tuple[Statement, Parsed]] = []
    for statement in ordered:
        try:
            usable.append((statement, parsed(statement)))
        except UnusableError as error:
            found.append(refused(statement, str(error)))
    if usable:
        with looking(connection):
            schema = hypopg_schema(connection)
            if schema is not None:
                with _nothing_left(HypoPG(connection, schema)) as what_if:
                    found += _advice(_Session(Planner(connection), what_if), usable, measure=measure)
                usable = []
        if usable and build_on is not None:
            with looking(build_on, building=True):
                session = _Session(Planner(build_on), Built(build_on), is_building=True)
                found += _advice(session, usable, measure=measure)
            usable = session.unreadable
        if usable:
            with looking(connection):
                found += _advice(_Session(Planner(connection), None), usable, measure=measure)
    return sorted(found, key=_urgency)


@dataclass(slots=True)
class _Session:
    """Where plans are asked for, and how indexes that are not there are shown to the planner, if at all. What the
    tables' owner may not read, or what may not be run, is left for the role that asked."""

    planner: Planner
    what_if: WhatIf | None
    is_building: bool = False
    random_page_cost: float = 4.0
    tables: dict[Relation, Table] = field(default_factory=dict)
    unreadable: list[tuple[Statement, Parsed]] = field(default_factory=list)


@contextmanager
def _nothing_left(what_if: HypoPG) -> Iterator[HypoPG]:
    what_if.reset()
    try:
        yield what_if
    finally:
        what_if.reset()


def _advice(session: _Session, usable: Sequence[tuple[Statement, Parsed]], *, measure: bool) -> list[Advice]:
    found: list[Advice] = []
    cases: list[Case] = []
    for statement, one in usable:
        try:
            cases.append(_opened(session, statement, one, measure=measure))
        except UnusableError as error:
            if session.is_building and isinstance(error, UnreadableError):
                session.unreadable.append((statement, one))
            else:
                found.append(refused(statement, str(error)))
    read = {one for case in cases for plan in case.plans.values() for one in relations(plan)}
    session.tables = read_tables(session.planner.connection, read)
    session.random_page_cost = random_page_cost(session.planner.connection)
    for case in cases:
        read_scans(case, session.tables)
        case.trifle = _trifle(session)
    rewritings = _rewritings(session, cases)
    shared = popularity(cases)
    for case in [*cases, *(case for case, _ in rewritings.values())]:
        _try(session, case, shared)
    if isinstance(session.what_if, Built):
        _build(session, session.what_if, [*cases, *(case for case, _ in rewritings.values())])
    asked = [_better(case, rewritings[place][0]) if place in rewritings else case for place, case in enumerate(cases)]
    texts = {place: text for place, (case, text) in rewritings.items() if asked[place] is case}
    return [*found, *verdicts(_findings(session, cases, asked, texts))]


def _opened(session: _Session, statement: Statement, one: Parsed, *, measure: bool) -> Case:
    connection = session.planner.connection
    if (session.is_building or measure) and not may_run(connection, one):
        if session.is_building:
            raise UnreadableError("it does more than read, and is not run to be measured")
        measure = False
    text = readable(connection, [one])[0] if session.is_building else one.text
    return opened(session.planner, statement, one, text, measure=measure)


def _rewritings(session: _Session, cases: Sequence[Case]) -> dict[int, tuple[Case, Rewritten]]:
    """By the case's place: the statement asked in another way, where PostgreSQL accepts it. Its costs are held against
    the original's, and its own plan without any new index counts too."""
    found = {}
    for place, original in enumerate(cases):
        read = {relation for plan in original.plans.values() for relation in relations(plan)}
        new = rewritten(
            original.parsed.text, _types({one: session.tables[one] for one in read if one in session.tables})
        )
        if new is None:
            continue
        try:
            case = _opened(
                session, original.statement, parsed(replace(original.statement, sql=new.text)), measure=False
            )
        except UnusableError:
            continue
        read_scans(case, session.tables)
        case.trifle = _trifle(session)
        case.outcomes[()] = dict(case.before)
        case.before, case.ms_per_cost = dict(original.before), dict(original.ms_per_cost)
        found[place] = (case, new)
    return found


def _trifle(session: _Session) -> float:
    """Three pages out of order and the work on them."""
    return 3 * session.random_page_cost + 4


def _types(tables: Mapping[Relation, Table]) -> dict[str, str]:
    """Types by column name, of names that mean one type in all of these tables."""
    types: dict[str, set[str]] = {}
    for table in tables.values():
        for column in table.columns.values():
            types.setdefault(column.name, set()).add(column.type)
    return {name: next(iter(found)) for name, found in types.items() if len(found) == 1}


def _try(session: _Session, case: Case, shared: Mapping[tuple[str, str], int]) -> None:
    """Candidates for the costliest scans, and what each of them would cost."""
    scans = sorted(case.scans, key=lambda one: (-one.cost, one.relation, one.alias))[:MOST_SCANS]
    found = [
        option
        for scan in scans
        if (table := session.tables[scan.relation]).is_indexable and table.rows >= SMALLEST_TABLE_ROWS
        for option in options(scan, table, case.parsed, shared)
    ]
    case.options = list(dict.fromkeys(found))
    if isinstance(session.what_if, HypoPG):
        try_candidates(session.planner, session.what_if, case)
    else:
        case.is_clocked = session.what_if is not None
        most = MOST_BUILT_PER_STATEMENT if session.what_if is not None else None
        estimate_candidates(case, session.tables, session.random_page_cost, most=most)


def _build(session: _Session, what_if: Built, cases: Sequence[Case]) -> None:
    """Real indexes for what the reckoning found promising, each built once and shown to all that may gain."""
    wanted = {option: 0.0 for case in cases for option in case.outcomes if option}
    for case in cases:
        for option in case.outcomes:
            if option:
                wanted[option] += case.gain_ms_per_day(case.outcomes[option])
    order: dict[Option, None] = {}
    for option in sorted(wanted, key=lambda option: (-wanted[option], _option_order(option))):
        # Each of several alone first: they have to be better together.
        new = [one for one in (*((index,) for index in option), option) if one in wanted and one not in order]
        if len(order) + len(new) <= MOST_BUILT:
            order.update(dict.fromkeys(new))
    hoping = [frozenset(option for option in case.outcomes if option) for case in cases]
    for case in cases:
        case.outcomes = {option: costs for option, costs in case.outcomes.items() if not option}
        case.least = {}
    for case, hoped in zip(cases, hoping, strict=True):
        times = times_ms(session.planner, case.prepared) if hoped else {}
        if times:  # rates of this server, so that gates are passed by the clock
            case.ms_per_cost = {kind: times[kind] / max(case.before[kind], 0.01) for kind in times}
    stopped = ""
    for option in order:
        read = {(index.schema, index.table) for index in option}
        fitting = [
            case
            for case, hoped in zip(cases, hoping, strict=True)
            if hoped and read <= {scan.relation for scan in case.scans}
        ]
        held_up = stopped
        try:
            if not stopped:
                try_built(session.planner, what_if, fitting, option)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            held_up = "others were writing to its tables; ask again later"
        except psycopg.errors.InsufficientPrivilege:
            held_up = "this role may not build indexes on its tables"
        except psycopg.errors.QueryCanceled:  # it takes too long here, or the process is to end
            held_up = stopped = "building one was stopped after taking too long; ask again later"
        for case in fitting:
            case.held_up = case.held_up or held_up
    for case in cases:
        if any(case.outcomes):
            again_ms(session.planner, case)
    for case, hoped in zip(cases, hoping, strict=True):
        if hoped and not hoped.intersection(order):
            case.held_up = f"the {MOST_BUILT} indexes that promise more came first; apply those, and ask again"


def _better(case: Case, other: Case) -> Case:
    """The rewritten statement where it gets as far as the original can with any index. Where it needs no new one, the
    original's index is one index more, and has to pass the gate again, held against it."""
    plain, new = good_options(case), good_options(other)
    if not new:
        return case
    free = new.get(())
    if free is not None and not any(is_worth_more(case, free, costs) for costs in plain.values()):
        return other
    best = min((weight(costs) for costs in plain.values()), default=weight(case.before))
    return other if min(weight(costs) for costs in new.values()) <= best + math.log(AS_GOOD) else case


def _findings(
    session: _Session, cases: Sequence[Case], asked: Sequence[Case], rewritings: Mapping[int, Rewritten]
) -> Findings:
    what_if = session.what_if
    if isinstance(what_if, HypoPG):
        good = sorted({one for case in asked for one in good_options(case) if one}, key=_option_order)
        for case in asked:
            try_shared(session.planner, what_if, case, good)
    choice = choose(asked, session.tables)
    after: dict[int, tuple[Costs, frozenset[Index]]] = {
        place: (asked[place].outcomes[option], frozenset(option)) for place, option in choice.served.items()
    }
    indexes = choice.indexes
    if isinstance(what_if, HypoPG) and choice.served:
        indexes = merged(session.planner, what_if, asked, indexes, session.tables)
        after = plans_with(session.planner, what_if, asked, indexes)
        read = frozenset(one for place in after for one in after[place][1])
        if not read >= set(indexes):  # one of them does what another was chosen for
            indexes = tuple(one for one in indexes if one in read)
            after = plans_with(session.planner, what_if, asked, indexes)
    improved = frozenset(place for place, (costs, _) in after.items() if passes(asked[place], costs))
    return Findings(
        cases=cases,
        asked=asked,
        rewritings=rewritings,
        indexes=indexes,
        after={place: costs for place, (costs, _) in after.items()},
        reads={place: read for place, (_, read) in after.items()},
        improved=frozenset(place for place in improved if after[place][1] or place in rewritings),
        too_costly_to_write=choice.too_costly_to_write,
        unpaged=_unpaged(session, cases),
        tables=session.tables,
        taken=names_taken(session.planner.connection, session.tables.values()),
        evidence=what_if.evidence if what_if is not None else "estimated",
    )


def _option_order(option: Option) -> tuple[str, ...]:
    return tuple(index.body for index in option)


def _unpaged(session: _Session, cases: Sequence[Case]) -> dict[int, Costs]:
    """What the first page costs, of statements that skip rows."""
    found: dict[int, Costs] = {}
    for place, case in enumerate(cases):
        text = unpaged(case.parsed.text)
        if text is None:
            continue
        try:
            first = _opened(session, case.statement, parsed(replace(case.statement, sql=text)), measure=False)
        except UnusableError:
            continue
        found[place] = first.before
    return found


def _urgency(one: Advice) -> tuple[object, ...]:
    return (SEVERITIES.index(one.severity), one.statements, one.verdict, one.ddl or "", one.reason)
