"""Applications that bill an organization, a team, a company or a workspace."""

from tests.queries.connect.recount import Expected
from tests.queries.connect.schemas.making import Connection, Schema, cuid, fill, naive, run, sign_in_tables, uid
from tests.queries.connect.world import NOW, World


def prisma_mapped(connection: Connection, world: World) -> Expected:
    """Prisma with @@map and @map: snake_case tables, quoted enums, cuids, a ledger and balances."""
    sign_in_tables(connection)
    run(
        connection,
        """CREATE TYPE "GenerationStatus" AS ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELED');
        CREATE TYPE "TxType" AS ENUM ('GRANT', 'PURCHASE', 'USAGE', 'REFUND', 'EXPIRATION');
        CREATE TABLE organizations (id text PRIMARY KEY, name text NOT NULL, slug text UNIQUE,
          created_at timestamp(3) NOT NULL, updated_at timestamp(3));
        CREATE TABLE users (id text PRIMARY KEY, email text UNIQUE NOT NULL, name text,
          organization_id text REFERENCES organizations, created_at timestamp(3) NOT NULL);
        CREATE TABLE organization_members (id text PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations,
          user_id text NOT NULL REFERENCES users, role text NOT NULL, created_at timestamp(3) NOT NULL);
        CREATE TABLE subscriptions (id text PRIMARY KEY, organization_id text UNIQUE NOT NULL REFERENCES organizations,
          plan text NOT NULL, status text NOT NULL, current_period_start timestamp(3),
          current_period_end timestamp(3), credits_per_period integer);
        CREATE TABLE credit_balances (id text PRIMARY KEY,
          organization_id text UNIQUE NOT NULL REFERENCES organizations,
          balance integer NOT NULL, reset_date timestamp(3), updated_at timestamp(3));
        CREATE TABLE generations (id text PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations,
          user_id text NOT NULL REFERENCES users, generation_type text NOT NULL, model text NOT NULL,
          status "GenerationStatus" NOT NULL, credits_used integer NOT NULL, duration_ms integer, prompt text NOT NULL,
          error_message text, created_at timestamp(3) NOT NULL, completed_at timestamp(3));
        CREATE TABLE images (id text PRIMARY KEY, generation_id text NOT NULL REFERENCES generations,
          organization_id text NOT NULL REFERENCES organizations, url text, size_bytes integer,
          created_at timestamp(3));
        CREATE TABLE credit_transactions (id text PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations,
          user_id text REFERENCES users, generation_id text REFERENCES generations, type "TxType" NOT NULL,
          amount integer NOT NULL, price_paid numeric(12, 2), currency text, created_at timestamp(3) NOT NULL);
        CREATE TABLE usage_limits (id text PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations,
          type text NOT NULL, date date NOT NULL, count integer NOT NULL, "limit" integer NOT NULL);
        CREATE TABLE audit_logs (id text PRIMARY KEY, organization_id text, action text, created_at timestamp(3));
        CREATE TABLE api_keys (id text PRIMARY KEY, organization_id text, name text, created_at timestamp(3))""",
    )
    fill(
        connection,
        "organizations",
        ("id", "name", "slug", "created_at"),
        [(cuid("org", one.number), one.name, f"slug-{one.number}", naive(one.created_at)) for one in world.tenants],
    )
    fill(
        connection,
        "users",
        ("id", "email", "name", "organization_id", "created_at"),
        [(cuid("usr", p.number), p.email, p.name, cuid("org", p.tenant), naive(p.created_at)) for p in world.people],
    )
    fill(
        connection,
        "organization_members",
        ("id", "organization_id", "user_id", "role", "created_at"),
        [
            (cuid("mem", p.number), cuid("org", p.tenant), cuid("usr", p.number), "member", naive(p.created_at))
            for p in world.people
        ],
    )
    fill(
        connection,
        "subscriptions",
        ("id", "organization_id", "plan", "status", "current_period_start", "current_period_end", "credits_per_period"),
        [
            (cuid("sub", t.number), cuid("org", t.number), "pro", "active", "2026-06-01", "2026-07-01", 500)
            for t in world.tenants
        ],
    )
    fill(
        connection,
        "credit_balances",
        ("id", "organization_id", "balance", "reset_date", "updated_at"),
        [
            (cuid("bal", t.number), cuid("org", t.number), world.balance(t.number), "2026-07-01", naive(NOW))
            for t in world.tenants
        ],
    )
    status = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELED", "unfinished": "PROCESSING"}
    fill(
        connection,
        "generations",
        (
            *("id", "organization_id", "user_id", "generation_type", "model", "status", "credits_used", "duration_ms"),
            *("prompt", "error_message", "created_at", "completed_at"),
        ),
        [
            (
                *(cuid("gen", g.number), cuid("org", g.tenant), cuid("usr", g.person), g.kind.upper(), g.model),
                *(status[g.status], g.credits, g.duration_ms, g.prompt, g.error),
                *(naive(g.created_at), naive(g.completed_at)),
            )
            for g in world.generations
        ],
    )
    fill(
        connection,
        "images",
        ("id", "generation_id", "organization_id", "url", "size_bytes", "created_at"),
        [
            (
                cuid("img", g.number),
                cuid("gen", g.number),
                cuid("org", g.tenant),
                f"https://x.example/{g.number}",
                9,
                naive(g.created_at),
            )
            for g in world.generations
            if g.status == "succeeded"
        ],
    )
    types = {"granted": "GRANT", "purchased": "PURCHASE", "burned": "USAGE", "refunded": "REFUND"}
    fill(
        connection,
        "credit_transactions",
        (
            *("id", "organization_id", "user_id", "generation_id", "type", "amount", "price_paid", "currency"),
            "created_at",
        ),
        [
            (
                *(cuid("txn", m.number), cuid("org", m.tenant), cuid("usr", m.person), cuid("gen", m.generation)),
                *(types[m.kind], m.amount, m.price, "EUR" if m.price else None, naive(m.at)),
            )
            for m in world.movements
        ],
    )
    fill(
        connection,
        "usage_limits",
        ("id", "organization_id", "type", "date", "count", "limit"),
        [
            (f"{q.tenant}-{q.kind}-{q.day}", cuid("org", q.tenant), q.kind, q.day, q.count, q.limit)
            for q in world.quotas
        ],
    )
    return Expected(
        world,
        key=lambda number: str(cuid("org", number)),
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances={one.number: world.balance(one.number) for one in world.tenants},
        quotas=True,
        pictures=True,
    )


def uuid_teams(connection: Connection, world: World) -> Expected:
    """Drizzle: uuid keys, timestamptz, text statuses of its own words, a wallet, seconds as double precision, and no
    foreign key from the ledger to people."""
    run(
        connection,
        """CREATE TABLE teams (id uuid PRIMARY KEY, display_name varchar(200) NOT NULL,
          created_at timestamp with time zone NOT NULL);
        CREATE TABLE users (id uuid PRIMARY KEY, email text NOT NULL, full_name text, created_at timestamptz);
        CREATE TABLE team_members (team_id uuid NOT NULL REFERENCES teams, user_id uuid NOT NULL REFERENCES users,
          role text NOT NULL, joined_at timestamptz, PRIMARY KEY (team_id, user_id));
        CREATE TABLE wallets (team_id uuid PRIMARY KEY REFERENCES teams, balance bigint NOT NULL,
          updated_at timestamptz);
        CREATE TABLE generation_jobs (id uuid PRIMARY KEY, team_id uuid NOT NULL REFERENCES teams,
          created_by uuid REFERENCES users, kind text, model_name text, state text NOT NULL, cost_credits integer,
          duration double precision, prompt_text text, failure_reason text, created_at timestamptz NOT NULL,
          finished_at timestamptz);
        CREATE TABLE wallet_transactions (id uuid PRIMARY KEY, team_id uuid NOT NULL REFERENCES teams, user_id uuid,
          generation_job_id uuid REFERENCES generation_jobs, reason text NOT NULL, delta bigint NOT NULL,
          created_at timestamptz NOT NULL);
        CREATE TABLE webhooks (id uuid PRIMARY KEY, team_id uuid REFERENCES teams, url text, created_at timestamptz)""",
    )
    fill(
        connection,
        "teams",
        ("id", "display_name", "created_at"),
        [(uid("team", t.number), t.name, t.created_at) for t in world.tenants],
    )
    fill(
        connection,
        "users",
        ("id", "email", "full_name", "created_at"),
        [(uid("user", p.number), p.email, p.name, p.created_at) for p in world.people],
    )
    fill(
        connection,
        "team_members",
        ("team_id", "user_id", "role", "joined_at"),
        [(uid("team", p.tenant), uid("user", p.number), "editor", p.created_at) for p in world.people],
    )
    fill(
        connection,
        "wallets",
        ("team_id", "balance", "updated_at"),
        [(uid("team", t.number), world.balance(t.number), NOW) for t in world.tenants],
    )
    states = {"succeeded": "COMPLETE", "failed": "ERRORED", "cancelled": "ABORTED", "unfinished": "IN_QUEUE"}
    fill(
        connection,
        "generation_jobs",
        (
            *("id", "team_id", "created_by", "kind", "model_name", "state", "cost_credits", "duration", "prompt_text"),
            *("failure_reason", "created_at", "finished_at"),
        ),
        [
            (
                *(uid("job", g.number), uid("team", g.tenant), uid("user", g.person), g.kind, g.model),
                *(states[g.status], g.credits, g.duration_ms / 1000 if g.duration_ms else None, g.prompt, g.error),
                *(g.created_at, g.completed_at),
            )
            for g in world.generations
        ],
    )
    reasons = {"granted": "signup_bonus", "purchased": "top_up", "burned": "generation", "refunded": "refund"}
    fill(
        connection,
        "wallet_transactions",
        ("id", "team_id", "user_id", "generation_job_id", "reason", "delta", "created_at"),
        [
            (
                *(uid("tx", m.number), uid("team", m.tenant), uid("user", m.person), uid("job", m.generation)),
                *(reasons[m.kind], m.amount, m.at),
            )
            for m in world.movements
        ],
    )
    return Expected(
        world,
        key=lambda number: str(uid("team", number)),
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances={one.number: world.balance(one.number) for one in world.tenants},
    )


def integer_companies(connection: Connection, world: World) -> Expected:
    """Rails-like: bigint keys, integer statuses that nothing names, a ledger that keeps charges as positive numbers,
    no balance anywhere, two times in place of a duration, no foreign keys at all."""
    run(
        connection,
        """CREATE TABLE companies (id bigint PRIMARY KEY, name text, created_at timestamp NOT NULL);
        CREATE TABLE users (id bigint PRIMARY KEY, company_id bigint, email text, name text, created_at timestamp);
        CREATE TABLE jobs (id bigint PRIMARY KEY, company_id bigint NOT NULL, user_id bigint, job_type text,
          engine text, status smallint NOT NULL, credits integer, prompt text, error text,
          created_at timestamp NOT NULL, started_at timestamp, completed_at timestamp, updated_at timestamp);
        CREATE TABLE credit_ledger_entries (id bigint PRIMARY KEY, company_id bigint NOT NULL, user_id bigint,
          job_id bigint, kind text NOT NULL, amount integer NOT NULL, price_cents integer, currency char(3),
          created_at timestamp NOT NULL);
        CREATE TABLE schema_migrations (version text PRIMARY KEY)""",
    )
    fill(
        connection,
        "companies",
        ("id", "name", "created_at"),
        [(t.number, t.name, naive(t.created_at)) for t in world.tenants],
    )
    fill(
        connection,
        "users",
        ("id", "company_id", "email", "name", "created_at"),
        [(p.number, p.tenant, p.email, p.name, naive(p.created_at)) for p in world.people],
    )
    codes = {"unfinished": 0, "succeeded": 2, "failed": 3, "cancelled": 4}
    fill(
        connection,
        "jobs",
        (
            *("id", "company_id", "user_id", "job_type", "engine", "status", "credits", "prompt", "error"),
            *("created_at", "started_at", "completed_at"),
        ),
        [
            (
                *(g.number, g.tenant, g.person, g.kind, g.model, codes[g.status], g.credits, g.prompt, g.error),
                *(naive(g.created_at), naive(g.created_at), naive(g.completed_at)),
            )
            for g in world.generations
        ],
    )
    kinds = {"granted": "grant", "purchased": "purchase", "burned": "usage", "refunded": "refund"}
    fill(
        connection,
        "credit_ledger_entries",
        ("id", "company_id", "user_id", "job_id", "kind", "amount", "price_cents", "currency", "created_at"),
        [
            (
                *(m.number, m.tenant, m.person, m.generation, kinds[m.kind], abs(m.amount)),
                *(int(m.price * 100) if m.price else None, "EUR" if m.price else None, naive(m.at)),
            )
            for m in world.movements
        ],
    )
    return Expected(
        world,
        key=str,
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances=None,
    )


def two_joins(connection: Connection, world: World) -> Expected:
    """A generation belongs to a project, and that to a workspace; the credits left are a column of the workspace; no
    ledger; rows are marked as deleted."""
    run(
        connection,
        """CREATE SCHEMA studio;
        CREATE TABLE studio.workspace (workspace_id integer PRIMARY KEY, title text NOT NULL, credits integer NOT NULL,
          plan text, "subscriptionStatus" text, created_on timestamptz);
        CREATE TABLE studio.app_user (user_id integer PRIMARY KEY,
          workspace_id integer REFERENCES studio.workspace, email text, username text, created_on timestamptz);
        CREATE TABLE studio.project (project_id integer PRIMARY KEY,
          workspace_id integer NOT NULL REFERENCES studio.workspace, name text);
        CREATE TABLE studio.render (render_id integer PRIMARY KEY,
          project_id integer NOT NULL REFERENCES studio.project, author_id integer REFERENCES studio.app_user,
          mode text, model text, status text NOT NULL, credit_cost integer, render_time_ms integer, prompt text,
          created_on timestamptz NOT NULL, finished_at timestamptz, deleted_at timestamptz)""",
    )
    fill(
        connection,
        "studio.workspace",
        ("workspace_id", "title", "credits", "plan", "created_on"),
        [(t.number, t.name, world.balance(t.number), "team", t.created_at) for t in world.tenants],
    )
    fill(
        connection,
        "studio.app_user",
        ("user_id", "workspace_id", "email", "username", "created_on"),
        [(p.number, p.tenant, p.email, p.name, p.created_at) for p in world.people],
    )
    projects = sorted({(g.project, g.tenant) for g in world.generations})
    fill(
        connection,
        "studio.project",
        ("project_id", "workspace_id", "name"),
        [(project, tenant, f"Project {project}") for project, tenant in projects],
    )
    status = {"succeeded": "done", "failed": "error", "cancelled": "cancelled", "unfinished": "running"}
    fill(
        connection,
        "studio.render",
        (
            *("render_id", "project_id", "author_id", "mode", "model", "status", "credit_cost", "render_time_ms"),
            *("prompt", "created_on", "finished_at", "deleted_at"),
        ),
        [
            (
                *(g.number, g.project, g.person, g.kind, g.model, status[g.status], g.credits, g.duration_ms),
                *(g.prompt, g.created_at, g.completed_at, NOW if g.is_deleted else None),
            )
            for g in world.generations
        ],
    )
    return Expected(
        world,
        key=str,
        names={one.number: one.name for one in world.tenants},
        balances={one.number: world.balance(one.number) for one in world.tenants},
        leaves_deleted_out=True,
    )


SCHEMAS = (
    Schema("prisma with @map", prisma_mapped),
    Schema("drizzle, uuid, seconds as double", uuid_teams, walled=True),
    Schema(
        "integer ids and statuses, two timestamps, unsigned ledger, no balance",
        integer_companies,
        {"values": {"generation_status": {"4": "cancelled"}}},
    ),
    Schema("tenant two joins away, no ledger, soft delete", two_joins, walled=True),
)
