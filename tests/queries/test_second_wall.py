# ruff: noqa: S608 - random SQL over the views is what is tried here
"""The second wall alone: the predicate is taken out of every statement and the runner's check with it, and still no
row of another tenant is read, by 1,000 random questions over 50 tenants.

A fifth of them are the catalog's own questions; what they answer must be what they answer with both walls. The others
are random SQL over the views. Every text of a tenant's rows names its tenant, and where a condition would fail on a row
of another's, it must not fail: a row that is met before the wall could be told by an error or by the time it takes.
"""

import random
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import queries.catalog  # noqa: F401 - makes the questions known
from dashboard import services
from demo.schema import create_schema
from queries import execution, migrations
from queries.database import driver_url
from queries.embedded import databases
from queries.mapping import prisma_mapping
from queries.query import CATALOG
from queries.refresh import refresh
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.conftest import APP, OWNER, READER, Server
from tests.queries.catalog.samples import OF_ONE_TENANT, sample_arguments
from tests.queries.test_leaks import rows_of

TENANTS, CATALOG_CALLS, RANDOM_CALLS, SHARDS = 50, 200, 800, 2
NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
ZONES = ("UTC", "Asia/Kathmandu")
IDS = [f"org_{number:02}" for number in range(TENANTS)]

# Each row's texts name its tenant. A prompt is a number only in the even tenants.
_FILL = """
INSERT INTO "Organization" SELECT id, 'Tenant ' || id, id, at, at FROM tenant;
INSERT INTO "User" SELECT 'user_' || n || '_' || id, id, n || '@' || id, 'User of ' || id, at, at
  FROM tenant, generate_series(1, 3) n;
INSERT INTO "Membership" SELECT 'member_' || n || '_' || id, 'user_' || n || '_' || id, id, 'MEMBER', at
  FROM tenant, generate_series(1, 3) n;
INSERT INTO "Subscription" SELECT 'sub_' || id, id, 'PRO', 'ACTIVE', at, at + interval '90 days', 1000, at, at
  FROM tenant;
INSERT INTO "CreditBalance" SELECT 'bal_' || id, id, 500 + no, at + interval '90 days', at FROM tenant;
INSERT INTO "UsageLimit" SELECT 'limit_' || n || '_' || id, id, 'UPSCALE', at::date + n, n, 5
  FROM tenant, generate_series(1, 30) n;
INSERT INTO "Generation" SELECT 'gen_' || n || '_' || id, 'user_' || 1 + n % 3 || '_' || id, id,
    (enum_range(NULL::"GenerationType"))[1 + n % 4], 'model of ' || id,
    (enum_range(NULL::"GenerationStatus"))[1 + n % 5], 1 + n % 7, 900 + n * 13,
    CASE WHEN no % 2 = 0 THEN n::text ELSE 'a prompt of ' || id END, 'error of ' || id,
    at + n * interval '27 hours', at + n * interval '27 hours' + interval '9 s', at
  FROM tenant, generate_series(1, 50) n;
INSERT INTO "CreditTransaction" SELECT 'move_' || n || '_' || id, id, 'user_1_' || id, 'gen_' || n || '_' || id,
    CASE WHEN n % 10 = 0 THEN 'PURCHASE' ELSE 'CHARGE' END::"CreditTransactionType",
    CASE WHEN n % 10 = 0 THEN 100 ELSE -(1 + n % 7) END, CASE WHEN n % 10 = 0 THEN 9.90 END, 'EUR', 'of ' || id,
    at + n * interval '27 hours'
  FROM tenant, generate_series(1, 50) n;
INSERT INTO "Image" SELECT 'image_' || n || '_' || id, 'gen_' || n || '_' || id, id, 'https://' || id, NULL, 1000 + n,
    512, 512, at + n * interval '27 hours'
  FROM tenant, generate_series(1, 40) n;
"""


@pytest.fixture(scope="module")
def crowd(server: Server) -> Iterator[str]:
    """The name of a database of 50 tenants with rows in every table, aggregates and notes."""
    name = f"crowd_{server.run}_{secrets.token_hex(4)}"
    with server.superuser() as connection:
        databases.create_database(connection, name)
    with server.superuser(name) as connection:
        databases.grant_privileges(connection, name)
    with psycopg.connect(server.url(name, APP)) as connection:
        create_schema(connection)
        connection.execute(
            "CREATE TEMP TABLE tenant AS SELECT 'org_' || lpad(no::text, 2, '0') AS id, no,"
            " timestamp '2026-04-18 00:00' + no * interval '1 minute' AS at FROM generate_series(0, %s) no",
            [TENANTS - 1],
        )
        connection.execute(_FILL.encode())
    migrations.upgrade(server.url(name, OWNER))
    with psycopg.connect(server.url(name, OWNER)) as connection:
        connection.execute(
            "INSERT INTO usage_dashboard.note (tenant_id, day, text, author, author_role)"
            " SELECT 'org_' || lpad(no::text, 2, '0'), '2026-06-01', 'note of org_' || lpad(no::text, 2, '0'), 'Ada',"
            " 'admin' FROM generate_series(0, %s) no",
            [TENANTS - 1],
        )
    engine = sa.create_engine(driver_url(server.url(name, OWNER)), poolclass=sa.NullPool)
    refresh(engine, prisma_mapping(), NOW)
    yield name
    with server.superuser() as connection:
        databases.drop_database(connection, name)


@pytest.fixture(scope="module")
def held(server: Server, crowd: str) -> Iterator[services.Services]:
    settings = Settings(
        database_url=server.url(crowd, READER),
        direct_url=server.url(crowd, OWNER),
        pool_size=4,
    )
    built = services.build(settings, is_demo=True)
    built.plan_keeper.stop()  # it would ask for the plan of each of them
    tables = built.database.tables()
    assert tables.walled
    assert tables.aggregates is not None
    yield built
    built.close()


def random_question(chance: random.Random) -> tuple[str, Scope, dict[str, Any]]:
    arguments = sample_arguments(NOW, chance.choice(ZONES))
    name = chance.choice(sorted(arguments))
    scope = Scope.of(chance.sample(IDS, 1 if name in OF_ONE_TENANT else chance.randint(1, 5)))
    return name, scope, chance.choice(arguments[name])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_catalogs_questions_answer_the_same_without_the_first_wall(
    shard: int, held: services.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(f"catalog {shard}")
    questions = [random_question(chance) for _ in range(CATALOG_CALLS // SHARDS)]

    def answered(question: tuple[str, Scope, dict[str, Any]]) -> list[str]:
        name, scope, arguments = question
        query = CATALOG[name].function(scope, **arguments)
        return rows_of(held.runner.run(query, Context(scope, page="fuzz", refresh=True)).frame)

    with ThreadPoolExecutor(4) as threads:
        with_both = list(threads.map(answered, questions))
        monkeypatch.setattr(Scope, "predicate", lambda self, column: sa.true())  # noqa: ARG005 - the wall is gone
        monkeypatch.setattr(execution, "refuse_unscoped", lambda statement, scope: None)  # noqa: ARG005
        with_one = list(threads.map(answered, questions))
    for question, both, one in zip(questions, with_both, with_one, strict=True):
        assert one == both, question
    assert sum(map(bool, with_one)) > len(questions) / 2, "most questions have an answer"


def test_without_the_second_wall_the_same_would_leak(
    held: services.Services, server: Server, crowd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would say if there were no wall at all: they can fail."""
    bare = services.build(Settings(database_url=server.url(crowd, APP)), is_demo=True)  # type: ignore[arg-type]
    try:
        assert not bare.database.tables().walled
        monkeypatch.setattr(Scope, "predicate", lambda self, column: sa.true())  # noqa: ARG005
        monkeypatch.setattr(execution, "refuse_unscoped", lambda statement, scope: None)  # noqa: ARG005
        scope = Scope.of(IDS[:1])
        query = CATALOG["tenants.tenant_choices"].function(scope, search="", limit=100)
        assert bare.runner.run(query, Context(scope)).rows == TENANTS
        assert held.runner.run(query, Context(scope, refresh=True)).rows == 1
    finally:
        bare.close()


VIEWS = {
    "app_organization": ("id", ["id", "name"]),
    "app_user": ("organizationId", ["id", "organizationId", "email", "name"]),
    "app_membership": ("organizationId", ["userId", "organizationId"]),
    "app_subscription": ("organizationId", ["organizationId"]),
    "app_credit_balance": ("organizationId", ["organizationId"]),
    "app_credit_transaction": ("organizationId", ["id", "organizationId", "userId", "generationId"]),
    "app_usage_limit": ("organizationId", ["organizationId"]),
    "app_generation": ("organizationId", ["id", "userId", "organizationId", "model", "error"]),
    "app_image": ("organizationId", ["id", "generationId", "organizationId", "url"]),
    "our_note": ("tenant_id", ["tenant_id", "text"]),
    "our_usage_hour": ("tenant_id", ["tenant_id"]),
    "our_usage_day": ("tenant_id", ["tenant_id", "user_id"]),
    "our_ledger_hour": ("tenant_id", ["tenant_id"]),
    "our_latency_day": ("tenant_id", ["tenant_id"]),
}
# On a row of an odd tenant, or of any tenant but an even one, the first two fail; the third takes no row away.
TRAPS = (
    """(a."prompt" ~ '^a' OR a."prompt"::int > 0)""",
    """a."prompt"::int > 0""",
    """1 / (CASE WHEN a."prompt" LIKE 'a prompt%' THEN 0 ELSE 1 END) = 1""",
)


def random_sql(chance: random.Random) -> str:
    """A SELECT of texts: joins, subqueries, unions, aggregates, windows and conditions on others' tenants."""
    kind, stranger = chance.randrange(7), chance.choice(IDS)
    view, (key, columns) = chance.choice(sorted(VIEWS.items()))
    other, (other_key, other_columns) = chance.choice(sorted(VIEWS.items()))
    shown = ", ".join(f'a."{one}"' for one in chance.sample(columns, chance.randint(1, len(columns))))
    its = f'b."{chance.choice(other_columns)}"'
    a, b = f"usage_dashboard.{view} AS a", f"usage_dashboard.{other} AS b"
    return (
        f"SELECT {shown} FROM {a} LIMIT 400",
        f"""SELECT {shown} FROM {a} WHERE a."{key}" >= '{stranger}' OR a."{key}" <> '' LIMIT 400""",
        f"""SELECT {shown}, {its} FROM {a} CROSS JOIN {b} WHERE a."{key}" <> b."{other_key}" LIMIT 400""",
        f"""SELECT {shown} FROM {a} WHERE EXISTS (SELECT FROM {b} WHERE b."{other_key}" = '{stranger}') LIMIT 400""",
        f"""SELECT string_agg(DISTINCT a."{key}", ' '), (SELECT string_agg(DISTINCT {its}, ' ') FROM {b}) FROM {a}""",
        f"""SELECT x FROM (SELECT a."{key}" AS x, row_number() OVER (ORDER BY a."{key}" DESC) AS n FROM {a}) AS s
            UNION SELECT min({its}) FROM {b} UNION SELECT max({its}) FROM {b}""",
        f"""SELECT a.id, a."organizationId" FROM usage_dashboard.app_generation AS a WHERE {chance.choice(TRAPS)}
            LIMIT 400""",
    )[kind]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_row_of_another_tenant_comes_through_the_views(shard: int, server: Server, crowd: str) -> None:
    chance, seen = random.Random(f"sql {shard}"), 0
    with psycopg.connect(server.url(crowd, READER)) as connection:
        for _ in range(RANDOM_CALLS // SHARDS):
            # Of even tenants: their prompts are numbers, others' are not.
            mine = chance.sample(IDS[::2], chance.randint(1, 4))
            statement = random_sql(chance)
            with connection.transaction():
                connection.execute(
                    "SELECT set_config('usage_dashboard.tenants', %s, true)", ["{" + ",".join(mine) + "}"]
                )
                rows = connection.execute(statement.encode()).fetchall()
            said = " ".join(str(cell) for row in rows for cell in row)
            assert not [one for one in IDS if one not in mine and one in said], statement
            seen += len(rows)
    assert seen > 20_000, "there was much to see"


def test_each_trap_is_one(server: Server, crowd: str) -> None:
    """Over all tenants each of them fails on some row, so that not failing above means something."""
    for trap in TRAPS[1:]:
        with psycopg.connect(server.url(crowd, READER)) as connection:
            connection.execute("SELECT set_config('usage_dashboard.tenants', 'all', true)")
            with pytest.raises((psycopg.errors.InvalidTextRepresentation, psycopg.errors.DivisionByZero)):
                connection.execute(f"SELECT count(*) FROM usage_dashboard.app_generation AS a WHERE {trap}".encode())


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_a_plan_kept_for_other_tenants_shows_nothing(server: Server, crowd: str, mode: str) -> None:
    """The tenants are constants of the plan. A prepared statement is planned anew or not as the server likes: either
    way nobody's rows but those of the transaction's tenants are shown."""
    with psycopg.connect(server.url(crowd, READER), prepare_threshold=None) as connection:
        connection.execute(f"SET plan_cache_mode = {mode}".encode())

        def name(tenants: str) -> None:
            connection.execute("SELECT set_config('usage_dashboard.tenants', %s, true)", [tenants])

        def seen() -> set[str]:
            return {one for (one,) in connection.execute("EXECUTE kept (1000)").fetchall()}

        name("{" + IDS[0] + "}")
        connection.execute(
            'PREPARE kept (int) AS SELECT DISTINCT "organizationId" FROM usage_dashboard.app_generation LIMIT $1'
        )
        assert seen() == {IDS[0]}
        kept = mode == "force_generic_plan"
        for tenants, mine in (("{" + IDS[1] + "}", {IDS[1]}), ("all", set(IDS)), ("", set())):
            name(tenants)
            assert seen() == (set() if kept else mine)
        name("{" + IDS[0] + "}")
        assert seen() == {IDS[0]}
