"""Plans of the catalog's own questions, from the real planner."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from dashboard import services
from queries.catalog import tenants, usage
from queries.errors import ArgumentError, MappingError, PermissionDeniedError, StatementTimeoutError
from queries.performance.monitor import fingerprint
from queries.performance.plan_shape import plan_hash
from queries.performance.plan_tree import PlanTree, plan_tree
from queries.performance.plans import explain, explain_sql
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import DEMO_END, OWNER, READER
from tests.queries.asking import MakeServices, plain_query
from tests.queries.catalog.samples import samples

ALL = Scope.all_tenants()


@pytest.fixture(scope="module")
def held(server: Any, shared_database: str) -> Iterator[services.Services]:
    settings = Settings(
        database_url=server.url(shared_database, READER),
        direct_url=server.url(shared_database, OWNER),
        pool_size=4,
        statement_timeout_s=20,
    )
    built = services.build(settings, is_demo=True)
    yield built
    built.close()


def tenants_of(held: services.Services) -> list[str]:
    with held.database.reading(ALL, 20) as connection:
        tables = held.database.tables()
        return sorted(connection.execute(sa.select(tables.organization.c.tenant_id)).scalars())


def test_every_question_has_a_plan_whose_own_parts_add_up(held: services.Services) -> None:
    one = tenants_of(held)[0]
    for query in (one for scope in (ALL, Scope.of([one])) for one in samples(scope, DEMO_END, "Asia/Kathmandu")):
        plan = explain(held.database, query)
        tree = plan_tree(plan.document)
        assert not tree.is_measured
        assert sum(node.cost_share for node in tree.nodes) == pytest.approx(1), query.name
        assert sum(node.own_cost for node in tree.nodes) == pytest.approx(tree.total_cost), query.name
        assert plan.fingerprint == fingerprint(plan.sql) is not None
        assert json.loads(json.dumps(plan.document)) == plan.document


def test_every_question_measured_has_parts_that_add_up_to_its_time(held: services.Services) -> None:
    for query in samples(ALL, DEMO_END, "UTC"):
        tree = plan_tree(explain(held.database, query, analyze=True).document)
        assert tree.is_measured
        assert sum(node.time_share or 0 for node in tree.nodes) == pytest.approx(1), query.name
        assert sum(node.own_ms or 0 for node in tree.nodes) == pytest.approx(tree.total_ms), query.name
        assert tree.nodes[0].buffers is not None


def by_size(held: services.Services) -> list[str]:
    """Tenants that have generated something, the largest first."""
    with held.database.reading(ALL, 20) as connection:
        key = held.database.tables().generation.c.tenant_id
        largest = sa.select(key).group_by(key).order_by(sa.func.count().desc(), key)
        return list(connection.execute(largest).scalars())


def kinds_of(tree: PlanTree) -> list[tuple[int, str, str]]:
    return [(one.depth, one.kind, one.about) for one in tree.nodes]


def test_a_plan_is_the_same_for_other_tenants_and_another_with_another_shape(held: services.Services) -> None:
    one, *_, other = by_size(held)
    moved = 0
    for a, b in zip(
        samples(Scope.of([one]), DEMO_END, "UTC"), samples(Scope.of([other]), DEMO_END, "UTC"), strict=True
    ):
        first, second = explain(held.database, a), explain(held.database, b)
        assert first.fingerprint == second.fingerprint, a.name
        # Other values may bring another plan; the same one has the same digest.
        kinds = [
            [(node.depth, node.kind, node.about) for node in plan_tree(each.document).nodes] for each in (first, second)
        ]
        assert (first.plan_hash == second.plan_hash) == (kinds[0] == kinds[1]), a.name
        moved += first.document["Plan"]["Total Cost"] != second.document["Plan"]["Total Cost"]
    assert moved, "every estimate is the same: nothing was compared"


def test_a_dropped_index_changes_the_digest(app_connection: psycopg.Connection[Any]) -> None:
    sql = 'EXPLAIN (FORMAT JSON, VERBOSE) SELECT * FROM "Generation" WHERE id = %s'

    def digest(value: str) -> str:
        row = app_connection.execute(sql, [value]).fetchone()
        assert row is not None
        return plan_hash(row[0][0])

    app_connection.execute("SET LOCAL enable_seqscan = off")
    before = digest("a")
    assert before == digest('it\'s "another"')
    app_connection.execute('ALTER TABLE "Generation" DROP CONSTRAINT "Generation_pkey" CASCADE')
    assert digest("a") != before
    app_connection.rollback()
    app_connection.execute("SET LOCAL enable_seqscan = off")
    assert digest("a") == before


def test_an_estimate_runs_nothing_and_a_measurement_stops_at_the_timeout(make_services: MakeServices) -> None:
    made = make_services(statement_timeout_s=0.5)
    slow = plain_query("slow", sa.select(sa.func.pg_sleep(30).label("slept")))
    assert not explain(made.database, slow).is_measured
    with pytest.raises(StatementTimeoutError):
        explain(made.database, slow, analyze=True)
    quick = plain_query("quick", sa.select(sa.func.pg_sleep(0).label("slept")))
    assert explain(made.database, quick, analyze=True).is_measured
    assert made.database.pool_use().in_use == 0


def test_a_measurement_refuses_what_does_more_than_read(held: services.Services) -> None:
    for function in (
        sa.func.pg_advisory_lock(1),
        sa.func.pg_terminate_backend(0),
        sa.func.nextval("s"),
        sa.func.pg_logical_emit_message(True, "a", "b"),
    ):
        query = plain_query(function.name, sa.select(function.label("x")))
        with pytest.raises(ArgumentError, match=f"calls {function.name}"):
            explain(held.database, query, analyze=True)
    with pytest.raises(ArgumentError, match="does more than read"):
        explain_sql(held.database, "DELETE FROM usage_dashboard.note", {}, analyze=True)


def test_a_logged_statement_is_explained_with_its_logged_parameters(held: services.Services) -> None:
    for query in samples(ALL, DEMO_END, "UTC"):
        plan = explain(held.database, query)
        logged = json.loads(json.dumps(plan.parameters))
        if "(" in json.dumps(logged):
            continue  # something is hidden or counted
        again = explain_sql(held.database, plan.sql, logged)
        assert (again.plan_hash, again.fingerprint) == (plan.plan_hash, plan.fingerprint), query.name
    with pytest.raises(ArgumentError, match="does not keep the value of search"):
        explain_sql(held.database, "SELECT %(search)s::text", {"search": "(hidden)"})


def test_what_a_person_typed_is_in_no_plan(held: services.Services) -> None:
    secret = "Zebra'fish"
    query = tenants.tenant_choices(ALL, search=secret, limit=3)
    plan = explain(held.database, query)
    assert "ebra" not in json.dumps(plan.document)
    assert "ebra" not in json.dumps(plan.parameters)
    assert "(hidden)" in json.dumps(plan.document)


@pytest.mark.parametrize(
    ("command", "error", "said"),
    [
        ("DROP VIEW usage_dashboard.app_generation", MappingError, "app_generation"),
        ("REVOKE SELECT ON usage_dashboard.app_generation FROM usage_dashboard_reader", PermissionDeniedError, "grant"),
    ],
)
def test_what_is_gone_or_closed_is_said_in_our_words(
    make_services: MakeServices, superuser_url: str, command: str, error: type[Exception], said: str
) -> None:
    made = make_services()
    query = usage.newest(ALL)
    plan = explain(made.database, query)
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute(command)
    for again in (lambda: explain(made.database, query), lambda: explain_sql(made.database, plan.sql, plan.parameters)):
        with pytest.raises(error, match=said):
            again()
