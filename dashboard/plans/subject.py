"""What is known of one statement: its plans, its newest call, and the plan that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import words
from dashboard.plans.choices import Chosen
from dashboard.services import current
from queries.errors import NotFoundError
from queries.performance.monitor import Monitor, utc_now
from queries.performance.plan_history import Call, kept_plans, newest_call
from queries.performance.plan_keeping import KeptPlan
from queries.performance.plan_tree import PlanTree, plan_tree
from queries.performance.plans import Plan, explain_sql
from queries.performance.recorded import Window, source_of
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope

LOOKED_BACK = timedelta(days=7)
_FRESH = "fresh_plan"


@dataclass(frozen=True, slots=True)
class Shown:
    """The plan that the page shows, and where it is from, in words."""

    document: Mapping[str, Any]
    sql: str
    parameters: Mapping[str, Any]
    plan_hash: str
    tree: PlanTree
    origin: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One statement. `query` is the true question behind the call, where this process still has it."""

    chosen: Chosen
    window: Window
    plans: tuple[KeptPlan, ...]
    call: Call | None
    query: Query | None

    @property
    def name(self) -> str:
        """What the catalog calls the statement's question."""
        if self.query is not None:
            return self.query.name
        return self.call.query if self.call is not None else self.plans[0].query if self.plans else ""

    @property
    def sql(self) -> str:
        return self.plans[0].sql if self.plans else ""

    @property
    def is_known(self) -> bool:
        return bool(self.plans) or self.call is not None or self.query is not None

    def kept(self, plan_hash: str | None) -> KeptPlan | None:
        return next((one for one in self.plans if one.plan_hash == plan_hash), None)


def window_of(days: timedelta = LOOKED_BACK) -> Window:
    """The last days up to now, in the log or, without DIRECT_URL, in this process's memory."""
    now = utc_now()
    return Window(now - days, now + timedelta(seconds=1), source=source_of(current().database))


def subject_of(chosen: Chosen) -> Subject:
    """All that is known of the statement in the URL. A fixed number of statements, whatever there is."""
    services, window = current(), window_of()
    plans = kept_plans(services.database, services.plan_keeper, chosen.statement)
    call = newest_call(services.database, window, services.monitor, chosen.statement, chosen.call)
    return Subject(chosen, window, tuple(plans), call, _question(services.monitor, chosen, call))


def _question(monitor: Monitor, chosen: Chosen, call: Call | None) -> Query | None:
    """The true question of the call; where the URL names none and the newest call was another process's, the newest
    one of this process."""
    if chosen.call is not None:
        return monitor.questions.of(chosen.call)
    if call is None:
        return None
    return monitor.questions.of(call.parameters_hash) or _same_statement(monitor, chosen.statement)


def _same_statement(monitor: Monitor, fingerprint: str) -> Query | None:
    for one in reversed(monitor.recent()):
        if one.fingerprint == fingerprint and (found := monitor.questions.of(one.parameters_hash)) is not None:
            return found
    return None


def ask(subject: Subject, *, analyze: bool) -> Plan:
    """The plan of the statement with the parameters of its call, estimated or measured, and kept. Only errors of
    queries.errors are raised."""
    services, viewer = current(), subject.chosen.board.viewer
    call, query = subject.call, subject.query
    if query is not None:
        plan = services.runner.explain(query, Context(viewer.scope, role=viewer.role), analyze=analyze)
    elif call is None or not subject.sql:
        raise NotFoundError("no call of this statement is kept; open the page that asks it, then come back")
    elif not viewer.scope.covers(Scope.all_tenants()):
        raise NotFoundError("this call may be of tenants that are not yours; choose another statement")
    else:
        plan = explain_sql(services.database, subject.sql, call.parameters, analyze=analyze)
    services.plan_keeper.keep(plan, subject.name, None)
    st.session_state[_FRESH] = (subject.chosen.statement, subject.chosen.call, plan, utc_now())
    return plan


def shown_plan(subject: Subject, zone: str) -> Shown | None:
    """The plan that the URL names, else the one that was just asked for, else the newest that is kept."""
    chosen = subject.chosen
    named = subject.kept(chosen.plan)
    fresh: tuple[str, str | None, Plan, datetime] | None = st.session_state.get(_FRESH)
    is_fresh = fresh is not None and fresh[:2] == (chosen.statement, chosen.call)
    if is_fresh and fresh is not None and chosen.plan in (None, fresh[2].plan_hash):
        _, _, plan, at = fresh
        tree = plan_tree(plan.document)
        how = "Measured" if plan.is_measured else "Estimated"
        return Shown(
            plan.document, plan.sql, plan.parameters, plan.plan_hash, tree, f"{how} at {words.clock(at, zone)}"
        )
    one = named or (subject.plans[0] if subject.plans else None)
    return None if one is None else of_kept(one, zone)


def of_kept(one: KeptPlan, zone: str) -> Shown:
    """A kept plan to show."""
    tree = plan_tree(one.document)
    how = "Measured" if tree.is_measured else "Estimated"
    took = f"; that call took {words.small_ms(one.database_ms)}" if one.database_ms is not None else ""
    origin = f"{how} {words.moment(one.last_seen_at, zone)}{took}"
    return Shown(one.document, one.sql, one.parameters, one.plan_hash, tree, origin)
