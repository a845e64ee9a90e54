"""What the second wall costs: the pages' own statements through the views, and the same past them.

    python -m benchmarks.walls

Every page is run once on the demo, as an administrator and as an account manager, and each question that it asked is
kept. Then each is run through the walls and on the tables behind them, in turn, on one connection: as the role that may
read both, with the predicate of the first wall in both. Rows of old days come from the aggregates or, in a second
measurement, all from the application's tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from benchmarks import ground
from benchmarks.measuring import Times, measured_in_turn
from benchmarks.report import Bound, concluded, print_table, shown
from dashboard import filters, services
from dashboard.services import Services
from demo import history
from demo.load import load_history
from demo.tenants import PERSONAS
from queries import aggregates, migrations
from queries.database import TENANTS_SETTING
from queries.embedded import EmbeddedServer, databases
from queries.query import Query
from queries.refresh import refresh
from queries.settings import ROOT
from queries.tables import Aggregates, Tables, reflected_tables

GENERATIONS = 300_000
MOST_PERCENT = 10.0
# One call each, in turn: what else the machine does falls on both sides alike.
TURNS, EACH = 11, 1
_TENANT = PERSONAS[0].organization_id
# The pages that ask the catalog, with their views.
VIEWS: Sequence[tuple[str, dict[str, str]]] = (
    ("tenants", {}),
    *(("tenant", {"tenant": _TENANT, "tab": tab}) for tab in ("Overview", "Credits", "Users", "Quotas", "Quality")),
    *(("tenant", {"tenant": _TENANT, "tab": tab}) for tab in ("Generations", "Ledger")),
    ("burn", {}),
    ("burn", {"tab": "How long they last"}),
    ("burn", {"tenant": _TENANT}),
    ("timelines", {}),
    ("timelines", {"by": "Model"}),
    ("timelines", {"measure": "Latency", "by": "Tenant"}),
    ("timelines", {"tenant": _TENANT}),
    ("statements", {}),
)
ROLES = ("admin", "account_manager")
_PAGE_S = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One question through the walls and past them."""

    query: Query
    walled: Times
    bare: Times

    @property
    def added_ms(self) -> float:
        return self.walled.median_ms - self.bare.median_ms


def main() -> int:
    bounds = []
    with _loaded_server() as server, ground.open_services(ground.settings_for(server)) as held:
        held.plan_keeper.stop()
        questions = list(_pages_questions(held))
        for said, are_used in (("with the aggregates", True), ("on the rows alone", False)):
            found = _measured(held, questions, are_used)
            walled_ms, bare_ms = (sum(getattr(one, side).median_ms for one in found) for side in ("walled", "bare"))
            percent = 100 * (walled_ms / bare_ms - 1)
            _print(said, found)
            named = f"walls {said}, {len(found)} statements, {bare_ms:,.0f} ms"
            bounds.append(Bound(named, percent, MOST_PERCENT, "%"))
    return concluded(bounds)


def _print(said: str, found: Sequence[Cost]) -> None:
    """The dearest statements, and of the others those that the walls add most to."""
    dearest = sorted(found, key=lambda one: -one.bare.median_ms)[:6]
    most_added = sorted((one for one in found if one not in dearest), key=lambda one: -one.added_ms)[:6]
    print_table(
        f"{said}: milliseconds, medians",
        ("question", "scope", "past the walls", "through them", "added", "added, %"),
        [
            (
                one.query.name,
                "all" if one.query.scope.ids is None else f"{len(one.query.scope.ids)} tenants",
                *(shown(value) for value in (one.bare.median_ms, one.walled.median_ms)),
                f"{one.added_ms:+.2f}",
                f"{100 * one.added_ms / one.bare.median_ms:+.0f}",
            )
            for one in (*dearest, *most_added)
        ],
    )


@contextmanager
def _loaded_server() -> Iterator[EmbeddedServer]:
    """The demo's 64 tenants and 180 days up to a fixed moment, with aggregates."""
    with ground.embedded_server() as server:
        server.ensure_database(ground.DATABASE)
        made = history.generate(7, ground.NOW, generations=GENERATIONS)
        with psycopg.connect(server.url(ground.DATABASE, databases.APP)) as connection:
            load_history(connection, made, lambda *_: None)
        migrations.upgrade(server.url(ground.DATABASE, databases.OWNER))
        with psycopg.connect(ground.superuser_url(server), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        yield server


def _pages_questions(held: Services) -> Iterator[Query]:
    """Each question that the pages ask, once."""
    assert held.database.owner is not None, "the ground has one"
    refresh(held.database.owner, held.database.mapping, ground.NOW)
    held.database.look_again()
    asked: dict[str, Query] = {}
    run_all, run = held.runner.run_all, held.runner.run
    kept: Any = held.runner
    kept.run_all = lambda queries, context: (
        asked.update({q.key: q for q in queries.values()}),
        run_all(queries, context),
    )[1]
    kept.run = lambda query, context: (asked.update({query.key: query}), run(query, context))[1]
    services.install(held)
    filters.utc_now = lambda: ground.NOW
    for role in ROLES:
        for page, parameters in VIEWS:
            _open(page, parameters, role)
    yield from asked.values()


def _open(page: str, parameters: dict[str, str], role: str) -> None:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=_PAGE_S)
    app.session_state["viewer_role"] = role
    if page != "tenants":
        app.run().switch_page(f"../pages/{page}.py")
    app.query_params.update(parameters)
    app.run()
    if app.exception:
        raise SystemExit(f"the page {page} could not be opened as {role}: {app.exception[0].message}")


def _measured(held: Services, questions: Sequence[Query], are_used: bool) -> list[Cost]:
    owner = held.database.owner
    assert owner is not None, "the ground has one"
    with owner.connect() as connection:
        walled = held.database.tables()
        bare = replace(reflected_tables(connection, held.database.mapping, walled=False), history=walled.history)
        connection.rollback()
        if not are_used:
            walled = replace(walled, aggregates=None)
        elif walled.aggregates is not None:
            bare = replace(bare, aggregates=_unwalled(bare, walled.aggregates))
        found = []
        for query in questions:
            sides = [partial(_run, held, connection, query, query.statement(tables)) for tables in (walled, bare)]
            through, past = measured_in_turn(sides, turns=TURNS, each=EACH)
            found.append(Cost(query, through, past))
    return found


def _unwalled(bare: Tables, walled: Aggregates) -> Aggregates:
    tables = {one.name: one.table() for one in aggregates.aggregates(bare)}
    return Aggregates(until=walled.until, refreshed_at=walled.refreshed_at, **tables)


def _run(held: Services, connection: sa.Connection, query: Query, statement: Any) -> None:
    """As `Database.reading` does it, but on this connection."""
    tenants = held.database.tenants_setting(query.scope)
    connection.execute(
        sa.text(f"SELECT set_config('{TENANTS_SETTING}', :tenants, true), set_config('TimeZone', 'UTC', true)"),
        {"tenants": tenants},
    )
    connection.execute(statement).cursor.fetchall()  # type: ignore[union-attr]  # a SELECT has one
    connection.rollback()


if __name__ == "__main__":
    sys.exit(main())
