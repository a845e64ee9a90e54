"""The rows of a world's plain tables laid out as other applications have them, made of them by SQL, and their mappings.

`far`: the tenant is one or two joins away, states are integers, durations are seconds as double, rows are deleted
softly, the balance is a column of the team. `schemas`: each tenant has a schema of its own, with enums of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import sqlalchemy as sa

from queries.database import TENANTS_SETTING, tenants_setting, walls_stand
from queries.mapping import Mapping, TableMapping
from queries.migrations import READER_ROLE
from queries.migrations.walls import raise_walls
from queries.scope import Scope
from queries.tables import Tables, reflected_tables
from tests.queries.catalog.world import STATUSES, Shape, World, insert, mapping_of

Layout = Literal["far", "schemas"]
LAYOUTS: tuple[Layout, ...] = ("far", "schemas")
# In the order of their names, so that what is ordered by a status is ordered by its number too.
CODES = {name: 7001 + place for place, name in enumerate(sorted(set(STATUSES)))}
_STATE = " ".join(f"WHEN '{name}' THEN {code}" for name, code in CODES.items())

PLAIN: dict[Layout, Shape] = {"far": "numbered", "schemas": "aware"}
SCHEMA_PATTERN = "????????-????-4???-*"
# Of a tenant that is just signing up.
HALF_MADE = "00000000-0000-4000-8000-000000000000"

_FAR = """
CREATE SCHEMA far;
CREATE TABLE far.team AS
    SELECT o.id AS team, o.name AS title, o."createdAt" AS made, b.balance AS credits, b."updatedAt" AS touched
    FROM numbered."t organization" AS o LEFT JOIN numbered."t credit_balance" AS b ON b."organizationId" = o.id;
CREATE TABLE far.project AS SELECT t.team * 10 + n AS id, t.team FROM far.team AS t, generate_series(0, 1) AS n;
CREATE TABLE far.sitting AS
    SELECT p.id * 10 + n AS id, p.id AS project FROM far.project AS p, generate_series(0, 2) AS n;
CREATE TABLE far.person AS
    SELECT u.id, u."organizationId" * 10 + u.id % 2 AS project, u.name, u.email, u."createdAt" AS made
    FROM numbered."t user" AS u;
CREATE TABLE far."order" AS
    SELECT g.id, (g."organizationId" * 10 + g.id % 2) * 10 + g.id % 3 AS sitting, g."userId" AS person, g.type AS kind,
           g.model AS "user", (CASE g.status @STATE@ END)::smallint AS state, g."creditsUsed" AS cost, g.prompt,
           g.error AS "100% error", g."durationMs" / 1000.0::double precision AS seconds,
           g."createdAt" AT TIME ZONE 'UTC' AS made_at, g."completedAt" AT TIME ZONE 'UTC' AS done_at,
           g."updatedAt" AT TIME ZONE 'UTC' AS touched_at, NULL::timestamptz AS deleted_at
    FROM numbered."t generation" AS g;
INSERT INTO far."order" SELECT id + 1000000, sitting, person, kind, "user", state, cost + 7, prompt, "100% error",
    seconds, made_at, done_at, touched_at, made_at FROM far."order";
CREATE TABLE far.movement AS
    SELECT t.id, t."organizationId" * 10 AS project, t."userId" AS person, t."generationId" AS job, t.type,
           t.amount, t."pricePaid" * 100 AS cents, t.currency, t."createdAt" AS posted
    FROM numbered."t credit_transaction" AS t;
CREATE TABLE far.picture AS
    SELECT i.id, i."generationId" AS job, i.url, i.data, i."sizeBytes" AS size, i."createdAt" AS made
    FROM numbered."t image" AS i;
""".replace("@STATE@", _STATE)

_SELECTS_FAR = {
    "organization": "SELECT team AS tenant_id, title AS name, made AS created_at FROM far.team",
    "user": "SELECT u.id, p.team AS tenant_id, u.name, u.email, u.made AS created_at"
    " FROM far.person AS u JOIN far.project AS p ON p.id = u.project",
    "credit_balance": "SELECT team AS tenant_id, credits AS balance, made AS reset_at, touched AS updated_at"
    " FROM far.team WHERE credits IS NOT NULL",
    "credit_transaction": "SELECT m.id, p.team AS tenant_id, m.person AS user_id, m.job AS generation_id, m.type,"
    " m.amount, (m.cents / 100)::numeric(12, 2) AS price_paid, m.currency, m.posted AS created_at"
    " FROM far.movement AS m JOIN far.project AS p ON p.id = m.project",
    "generation": """
SELECT o.id, p.team AS tenant_id, o.person AS user_id, o.kind AS type, o."user" AS model, o.state AS status,
       o.cost AS credits_used, o.seconds * 1000 AS duration_ms, o.prompt, o."100% error" AS error,
       o.made_at AS created_at, o.done_at AS completed_at, o.touched_at AS updated_at
FROM far."order" AS o JOIN far.sitting AS s ON s.id = o.sitting JOIN far.project AS p ON p.id = s.project
WHERE o.deleted_at IS NULL AND o."user" NOT LIKE '100%' -- and not those of another time
""".strip(),
    "image": "SELECT i.id, i.job AS generation_id, p.team AS tenant_id, i.url, i.data, i.size AS size_bytes,"
    ' i.made AS created_at FROM far.picture AS i JOIN far."order" AS o ON o.id = i.job'
    " JOIN far.sitting AS s ON s.id = o.sitting JOIN far.project AS p ON p.id = s.project",
}

_OF_ONE_TENANT = """
CREATE SCHEMA {schema};
CREATE TYPE {schema}.state AS ENUM ('CANCELLED', 'FAILED', 'PENDING', 'PROCESSING', 'SUCCEEDED');
CREATE TABLE {schema}.generation AS
    SELECT id, "userId", type, model, status::{schema}.state AS status, "creditsUsed", "durationMs", prompt, error,
           "createdAt", "completedAt", "updatedAt"
    FROM aware."t generation" WHERE "organizationId" = {text}::uuid;
CREATE TABLE {schema}.ledger AS SELECT id, "userId", "generationId", type, amount, "pricePaid", currency, "createdAt"
    FROM aware."t credit_transaction" WHERE "organizationId" = {text}::uuid;
CREATE TABLE {schema}.users AS SELECT id, email, name, "createdAt"
    FROM aware."t user" WHERE "organizationId" = {text}::uuid;
"""

_SELECTS_SCHEMAS = {
    "generation": 'SELECT id, {schema_text}::uuid AS tenant_id, "userId" AS user_id, type, model, status,'
    ' "creditsUsed" AS credits_used, "durationMs" AS duration_ms, prompt, error, "createdAt" AS created_at,'
    ' "completedAt" AS completed_at, "updatedAt" AS updated_at FROM {schema}.generation',
    "credit_transaction": 'SELECT id, {schema_text}::uuid AS tenant_id, "userId" AS user_id,'
    ' "generationId" AS generation_id, type, amount, "pricePaid" AS price_paid, currency, "createdAt" AS created_at'
    " FROM {schema}.ledger",
    "user": 'SELECT id, {schema_text}::uuid AS tenant_id, email, name, "createdAt" AS created_at FROM {schema}.users',
}


def layout_mapping(layout: Layout) -> Mapping:
    """The mapping of this layout; what is laid out as before is read from the plain shape's tables."""
    plain = mapping_of(PLAIN[layout])
    selects, schemas = (_SELECTS_FAR, None) if layout == "far" else (_SELECTS_SCHEMAS, SCHEMA_PATTERN)
    tables = {
        logical: TableMapping.of_select(logical, select, tuple(plain.tables[logical].columns), schemas=schemas)
        for logical, select in selects.items()
    }
    values = plain.values
    if layout == "far":
        known = values["generation_status"]
        values = {
            **values,
            "generation_status": {key: tuple(str(CODES[one]) for one in them) for key, them in known.items()},
        }
    return replace(plain, tables={**plain.tables, **tables}, values=values)


def lay_out(connection: sa.Connection, layout: Layout) -> None:
    """Copy the plain shape's rows into the layout's own tables, within the transaction."""
    if layout == "far":
        _run(connection, _FAR)
        return
    quote = connection.dialect.identifier_preparer
    for tenant in connection.scalars(sa.text('SELECT id::text FROM aware."t organization" ORDER BY id')).all():
        _run(connection, _OF_ONE_TENANT.format(schema=quote.quote(tenant), text=f"'{tenant}'"))
    _run(connection, f'CREATE SCHEMA "{HALF_MADE}"')


def _run(connection: sa.Connection, script: str) -> None:
    connection.exec_driver_sql(script.replace("%", "%%"))


@contextmanager
def rows_in(engine: sa.Engine, shape: Shape, world: World) -> Iterator[tuple[sa.Connection, Tables]]:
    """The world in the plain tables of the shape, in a transaction that is taken back."""
    with engine.connect() as connection:
        plain = reflected_tables(connection, mapping_of(shape), walled=False)
        connection.execute(sa.select(sa.func.set_config("TimeZone", "Pacific/Kiritimati", True)))
        insert(connection, plain, world)
        yield connection, plain
        connection.rollback()


@contextmanager
def seen_by(connection: sa.Connection, mapping: Mapping, scope: Scope, *, walled: bool) -> Iterator[Tables]:
    """The mapping's tables: through walls as the reader role sees them when it names the scope, or as they are."""
    if not walled:
        yield reflected_tables(connection, mapping, walled=False)
        return
    raise_walls(connection, mapping, READER_ROLE)
    connection.exec_driver_sql(f"SET LOCAL ROLE {READER_ROLE}")
    assert walls_stand(connection, mapping)
    tables = reflected_tables(connection, mapping, walled=True)
    setting = tenants_setting(scope, [one.c.tenant_id.type for one in tables.all().values()])
    connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, setting, True)))
    yield tables
    if connection.in_transaction():
        connection.exec_driver_sql("RESET ROLE")
