"""A fuzz against leaks between tenants: random viewers, scopes and questions on shared caches, 1,000 in all.

The truth comes by another way than the predicates under test: the same question of *all* tenants, without a cache,
asked in a transaction that the walls in the database hold to the tenants of the scope.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

import queries.catalog  # noqa: F401 - makes the questions known
from dashboard import services
from queries.arrow import frame_of
from queries.errors import NotFoundError
from queries.query import CATALOG, Query
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import DEMO_END, OWNER, READER
from tests.queries.catalog.samples import OF_ONE_TENANT, sample_arguments

CALLS = 1_000
SHARDS = 4
ZONES = ("UTC", "Asia/Kathmandu")


@pytest.fixture
def shared_services(server: Any, shared_database: str, redis_server: str) -> Any:
    """Both levels of the cache; the one in the process so small that many answers come from Redis."""
    settings = Settings(
        database_url=server.url(shared_database, READER),
        direct_url=server.url(shared_database, OWNER),
        redis_url=redis_server,
        pool_size=4,
        cache_bytes=2**20,
    )
    built = services.build(settings, is_demo=True)
    yield built
    built.close()


def rows_of(frame: Any) -> list[str]:
    return sorted(repr(tuple(row)) for row in frame.itertuples(index=False, name=None))


def truth(built: services.Services, name: str, arguments: dict[str, Any], scope: Scope) -> list[str]:
    """The answer that the walls alone give for the scope."""
    unheld = scope if name in OF_ONE_TENANT else Scope.all_tenants()
    query = CATALOG[name].function(unheld, **arguments)
    tables = built.database.tables()
    assert tables.walled
    with built.database.reading(scope, 30) as connection:
        answered = connection.execute(query.statement(tables))
        described: Any = answered.cursor.description  # type: ignore[union-attr]
        rows = answered.fetchall()
    frame = frame_of(rows, [one[0] for one in described], [one[1] for one in described])
    return rows_of(query.finish(frame) if query.finish is not None else frame)


def random_call(chance: random.Random, ids: list[str]) -> tuple[Scope, Scope, str, dict[str, Any]]:
    """A viewer's scope, a question's scope (now and then beyond it), and a question."""
    arguments = sample_arguments(DEMO_END, chance.choice(ZONES))
    name = chance.choice(sorted(arguments))
    viewer = Scope.of(chance.sample(ids, chance.randint(1, len(ids))))
    inside = chance.random() < 0.8
    pool = list(viewer.ordered_ids) if inside else ids
    count = 1 if name in OF_ONE_TENANT else chance.randint(1, min(len(pool), 3))
    return viewer, Scope.of(chance.sample(pool, count)), name, chance.choice(arguments[name])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_row_and_no_cached_frame_of_another_tenant(
    shard: int, shared_services: services.Services, server: Any
) -> None:
    chance = random.Random(shard)
    database = shared_services.settings.database_url
    assert database is not None
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
        found = connection.execute("SELECT id FROM usage_dashboard.app_organization ORDER BY id").fetchall()
    # Few tenants, so that scopes, keys and neighbours meet often.
    ids = chance.sample([one for (one,) in found], 4)

    truths: dict[str, list[str]] = {}

    def call(_: int) -> str:
        viewer, scope, name, arguments = random_call(chance, ids)
        query: Query = CATALOG[name].function(scope, **arguments)
        context = Context(viewer, page="fuzz", refresh=chance.random() < 0.05)
        if not viewer.covers(scope):
            with pytest.raises(NotFoundError):
                shared_services.runner.run(query, context)
            return "refused"
        result = shared_services.runner.run(query, context)
        if query.key not in truths:
            truths[query.key] = truth(shared_services, name, arguments, scope)
        assert rows_of(result.frame) == truths[query.key], (name, scope, result.outcome)
        return result.outcome

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(call, range(CALLS // SHARDS)))
    # The fuzz has gone where leaks would be: answers from the caches, and refusals.
    assert outcomes.count("hit") > 20
    assert outcomes.count("miss") > 20
    assert outcomes.count("refused") > 5


def test_every_question_of_the_catalog_is_fuzzed() -> None:
    assert set(sample_arguments(DEMO_END, "UTC")) == set(CATALOG)
