"""What is rarer: a schema for each tenant, lists of words in other tables, counters without a date."""

from datetime import timedelta
from typing import LiteralString

from psycopg import sql

from tests.queries.connect.recount import Expected
from tests.queries.connect.schemas.making import Connection, Schema, fill, naive, run, uid
from tests.queries.connect.world import KINDS, NOW, World

_OF_A_TENANT: LiteralString = """CREATE SCHEMA {schema};
CREATE TYPE {schema}.state AS ENUM ('waiting', 'working', 'ready', 'failed', 'cancelled');
CREATE TABLE {schema}.members (id integer PRIMARY KEY, email text, name text, role text, created_at timestamptz);
CREATE TABLE {schema}.generations (id integer PRIMARY KEY, member_id integer REFERENCES {schema}.members, type text,
  model text, state {schema}.state NOT NULL, credits integer, elapsed interval, prompt text, error text,
  created_at timestamptz NOT NULL, finished_at timestamptz);
CREATE TABLE {schema}.credit_transactions (id integer PRIMARY KEY, generation_id integer
  REFERENCES {schema}.generations, member_id integer, type text NOT NULL, amount integer NOT NULL,
  created_at timestamptz NOT NULL);
CREATE TABLE {schema}.credit_balance (id integer PRIMARY KEY, balance integer NOT NULL, updated_at timestamptz)"""


def schema_per_tenant(connection: Connection, world: World) -> Expected:
    """The same tables in a schema for each tenant, with keys that come again in each, and a list of them in public."""
    run(
        connection,
        """CREATE TABLE public.tenants (id integer PRIMARY KEY, schema_name text UNIQUE, name text,
          created_at timestamptz)""",
    )
    fill(
        connection,
        "public.tenants",
        ("id", "schema_name", "name", "created_at"),
        [(t.number, f"tenant_{t.number}", t.name, t.created_at) for t in world.tenants],
    )
    for tenant in world.tenants:
        _one_schema(connection, world, tenant.number)
    return Expected(
        world,
        key=lambda number: f"tenant_{number}",
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances={one.number: world.balance(one.number) for one in world.tenants},
    )


def _one_schema(connection: Connection, world: World, tenant: int) -> None:
    schema = f"tenant_{tenant}"
    connection.execute(sql.SQL(_OF_A_TENANT).format(schema=sql.Identifier(schema)))
    people = {p.number: place for place, p in enumerate((p for p in world.people if p.tenant == tenant), 1)}
    made = {g.number: place for place, g in enumerate((g for g in world.generations if g.tenant == tenant), 1)}
    fill(
        connection,
        f"{schema}.members",
        ("id", "email", "name", "role", "created_at"),
        [(people[p.number], p.email, p.name, "member", p.created_at) for p in world.people if p.tenant == tenant],
    )
    states = {"succeeded": "ready", "failed": "failed", "cancelled": "cancelled", "unfinished": "working"}
    fill(
        connection,
        f"{schema}.generations",
        (
            *("id", "member_id", "type", "model", "state", "credits", "elapsed", "prompt", "error", "created_at"),
            "finished_at",
        ),
        [
            (
                *(made[g.number], people[g.person], g.kind, g.model, states[g.status], g.credits),
                timedelta(milliseconds=g.duration_ms) if g.duration_ms is not None else None,
                *(g.prompt, g.error, g.created_at, g.completed_at),
            )
            for g in world.generations
            if g.tenant == tenant
        ],
    )
    types = {"granted": "grant", "purchased": "purchase", "burned": "charge", "refunded": "refund"}
    fill(
        connection,
        f"{schema}.credit_transactions",
        ("id", "generation_id", "member_id", "type", "amount", "created_at"),
        [
            (
                *(m.number, made[m.generation] if m.generation else None, people[m.person] if m.person else None),
                *(types[m.kind], m.amount, m.at),
            )
            for m in world.movements
            if m.tenant == tenant
        ],
    )
    fill(
        connection,
        f"{schema}.credit_balance",
        ("id", "balance", "updated_at"),
        [(1, world.balance(tenant), NOW)],
    )


def words_elsewhere(connection: Connection, world: World) -> Expected:
    """Models and plans in tables of their own, numbers named by a comment, keys of people kept as text beside uuids, a
    ledger told by its signs, limits on the plan, counters without a date, and the credits left on the subscription."""
    run(
        connection,
        """CREATE TABLE plans (id integer PRIMARY KEY, name text NOT NULL, monthly_credits integer,
          daily_limit integer);
        CREATE TABLE accounts (id uuid PRIMARY KEY, company_name text, created_at timestamptz NOT NULL);
        CREATE TABLE subscriptions (id integer PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts,
          plan_id integer NOT NULL REFERENCES plans, status text NOT NULL, credits_remaining integer,
          stripe_current_period_end timestamptz);
        CREATE UNIQUE INDEX ON subscriptions (account_id);
        CREATE TABLE users (id uuid PRIMARY KEY, account_id uuid REFERENCES accounts, email text, name text,
          created_at timestamptz);
        CREATE TABLE ai_models (id integer PRIMARY KEY, name text NOT NULL, slug text, provider text);
        CREATE TABLE image_generations (id bigint PRIMARY KEY, account_id text NOT NULL, user_id text NOT NULL,
          model_id integer REFERENCES ai_models, status integer NOT NULL, credits numeric(10, 2), exec_time integer,
          prompt text, error_message text, created_at timestamptz NOT NULL, completed_at timestamptz,
          is_deleted boolean NOT NULL DEFAULT false, generation_type text);
        COMMENT ON COLUMN image_generations.status IS '0 = queued, 1 = running, 2 = done, 3 = failed, 4 = cancelled';
        CREATE TABLE credit_transactions (id bigint PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts,
          image_generation_id bigint REFERENCES image_generations, amount integer NOT NULL, description text,
          created_at timestamptz NOT NULL);
        CREATE TABLE usage_counters (account_id uuid NOT NULL REFERENCES accounts, feature text NOT NULL,
          used integer NOT NULL, PRIMARY KEY (account_id, feature))""",
    )
    fill(connection, "plans", ("id", "name", "monthly_credits", "daily_limit"), [(1, "Pro", 500, 10)])
    fill(
        connection,
        "accounts",
        ("id", "company_name", "created_at"),
        [(uid("acc", t.number), t.name, t.created_at) for t in world.tenants],
    )
    fill(
        connection,
        "subscriptions",
        ("id", "account_id", "plan_id", "status", "credits_remaining", "stripe_current_period_end"),
        [
            (t.number, uid("acc", t.number), 1, "active", world.balance(t.number), NOW + timedelta(days=9))
            for t in world.tenants
        ],
    )
    fill(
        connection,
        "users",
        ("id", "account_id", "email", "name", "created_at"),
        [(uid("user", p.number), uid("acc", p.tenant), p.email, p.name, p.created_at) for p in world.people],
    )
    models = {name: number for number, name in enumerate(sorted({g.model for g in world.generations}), 1)}
    fill(
        connection, "ai_models", ("id", "name", "provider"), [(number, name, "own") for name, number in models.items()]
    )
    codes = {"unfinished": 1, "succeeded": 2, "failed": 3, "cancelled": 4}
    fill(
        connection,
        "image_generations",
        (
            *("id", "account_id", "user_id", "model_id", "status", "credits", "exec_time", "prompt", "error_message"),
            *("created_at", "completed_at", "is_deleted", "generation_type"),
        ),
        [
            (
                *(g.number, uid("acc", g.tenant), uid("user", g.person), models[g.model], codes[g.status], g.credits),
                *(g.duration_ms, g.prompt, g.error, g.created_at, g.completed_at, g.is_deleted, g.kind),
            )
            for g in world.generations
        ],
    )
    # Who refunds by a positive amount cannot be told from who grants, and so nobody refunds here.
    own = tuple(one for one in world.movements if one.kind in ("burned", "granted"))
    fill(
        connection,
        "credit_transactions",
        ("id", "account_id", "image_generation_id", "amount", "created_at"),
        [(m.number, uid("acc", m.tenant), m.generation, m.amount, m.at) for m in own],
    )
    fill(
        connection,
        "usage_counters",
        ("account_id", "feature", "used"),
        [(uid("acc", t.number), kind, 10 + t.number) for t in world.tenants for kind in ("image", "video")],
    )
    return Expected(
        world,
        key=lambda number: str(uid("acc", number)),
        names={one.number: one.name for one in world.tenants},
        movements=own,
        balances={one.number: world.balance(one.number) for one in world.tenants},
        explains_balances=False,
        counters={kind: (sum(10 + t.number for t in world.tenants), 10 * len(world.tenants)) for kind in KINDS},
    )


def errors_for_status(connection: Connection, world: World) -> Expected:
    """No status, but an error where something failed; `tenantId` without a foreign key; a list of addresses."""
    run(
        connection,
        """CREATE TABLE "tenant" ("id" text PRIMARY KEY, "name" text NOT NULL, "createdAt" timestamp(3));
        CREATE TABLE "user" ("id" text PRIMARY KEY, "tenantId" text NOT NULL, "email" text, "name" text,
          "createdAt" timestamp(3));
        CREATE TABLE "inference" ("id" text PRIMARY KEY, "tenantId" text NOT NULL, "userId" text, "model" text,
          "prompt" text, "error" text, "creditsCharged" real, "latency" real, "outputUrls" text[],
          "createdAt" timestamp(3) NOT NULL, "completedAt" timestamp(3));
        CREATE TABLE "inference_archive" (LIKE "inference")""",
    )
    fill(
        connection,
        "tenant",
        ("id", "name", "createdAt"),
        [(f"t{t.number}", t.name, naive(t.created_at)) for t in world.tenants],
    )
    fill(
        connection,
        "user",
        ("id", "tenantId", "email", "name", "createdAt"),
        [(f"u{p.number}", f"t{p.tenant}", p.email, p.name, naive(p.created_at)) for p in world.people],
    )
    ended = [one for one in world.generations if one.status in ("succeeded", "failed")]
    fill(
        connection,
        "inference",
        (
            *("id", "tenantId", "userId", "model", "prompt", "error", "creditsCharged", "latency", "outputUrls"),
            *("createdAt", "completedAt"),
        ),
        [
            (
                *(f"g{g.number}", f"t{g.tenant}", f"u{g.person}", g.model, g.prompt, g.error, g.credits),
                (g.duration_ms or 0) / 1000,
                [f"https://x.example/{g.number}"] if g.status == "succeeded" else None,
                *(naive(g.created_at), naive(g.completed_at)),
            )
            for g in ended
        ],
    )
    only = World(world.tenants, world.people, tuple(ended), world.movements, world.quotas)
    return Expected(
        only,
        key=lambda number: f"t{number}",
        names={one.number: one.name for one in world.tenants},
        pictures=True,
    )


SCHEMAS = (
    Schema("a schema per tenant, interval", schema_per_tenant, walled=True),
    Schema(
        "words in other tables, text keys beside uuids, limits on the plan",
        words_elsewhere,
        {"deleted": "count", "duration_unit": "ms"},
        walled=True,
    ),
    Schema("an error instead of a status, real numbers", errors_for_status),
)
