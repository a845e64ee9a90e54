"""Plans of the catalog's own questions, from the real planner."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from dashboard import services
from queries.errors import ArgumentError, MappingError, PermissionDeniedError, StatementTimeoutError
from queries.performance.monitor import fingerprint
from queries.performance.plan_shape import plan_hash
from queries.performance.plan_tree import plan_tree
from queries.performance.plans import explain, explain_sql
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import DEMO_END, OWNER, READER
from tests.queries.asking import plain_query
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


