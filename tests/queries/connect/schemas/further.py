"""Ways of today's hosted databases and of home-grown ones."""

from tests.queries.connect.recount import Expected
from tests.queries.connect.schemas.making import Connection, Schema, fill, run, uid
from tests.queries.connect.world import NOW, World


def hosted_sign_in(connection: Connection, world: World) -> Expected:
    """A hosted sign-in keeps people in a schema of its own; credits stand on a profile of each; a status that no word
    tells; the ledger knows only what was used."""
    world = world.by_person()
    run(
        connection,
        """CREATE SCHEMA auth;
        CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, encrypted_password text, raw_user_meta_data jsonb,
          created_at timestamptz NOT NULL, last_sign_in_at timestamptz);
        CREATE TABLE auth.sessions (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users,
          created_at timestamptz, user_agent text);
        CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users, username text, avatar_url text,
          credits_remaining integer NOT NULL, updated_at timestamptz);
        CREATE TABLE public.generations (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users,
          model text NOT NULL, prompt text NOT NULL, status text NOT NULL, error text, seed bigint, image_urls text[],
          created_at timestamptz NOT NULL, completed_at timestamptz, processing_time_s numeric(10, 3));
        CREATE TABLE public.credit_usage (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users,
          generation_id uuid NOT NULL REFERENCES public.generations, credits integer NOT NULL,
          created_at timestamptz NOT NULL)""",
    )
    fill(
        connection,
        "auth.users",
        ("id", "email", "encrypted_password", "created_at"),
        [(uid("user", p.number), p.email, "$2a$10$abcdefghijk", p.created_at) for p in world.people],
    )
    fill(
        connection,
        "public.profiles",
        ("id", "username", "credits_remaining", "updated_at"),
        [(uid("user", p.number), p.name, 40 + p.number, NOW) for p in world.people],
    )
    status = {"succeeded": "succeeded", "failed": "kaputt", "cancelled": "canceled", "unfinished": "starting"}
    fill(
        connection,
        "public.generations",
        (
            *("id", "user_id", "model", "prompt", "status", "error", "image_urls", "created_at", "completed_at"),
            "processing_time_s",
        ),
        [
            (
                *(uid("gen", g.number), uid("user", g.person), g.model, g.prompt, status[g.status], g.error),
                [f"https://x.example/{g.number}"] if g.status == "succeeded" else None,
                *(g.created_at, g.completed_at),
                g.duration_ms / 1000 if g.duration_ms is not None else None,
            )
            for g in world.generations
        ],
    )
    charges = tuple(one for one in world.movements if one.kind == "burned")
    fill(
        connection,
        "public.credit_usage",
        ("id", "user_id", "generation_id", "credits", "created_at"),
        [(uid("tx", m.number), uid("user", m.person), uid("gen", m.generation), -m.amount, m.at) for m in charges],
    )
    return Expected(
        world,
        key=lambda number: str(uid("user", number)),
        names={one.number: one.email.partition("@")[0] for one in world.people},
        credits_of=lambda _: None,
        movements=charges,
        balances={one.number: 40 + one.number for one in world.people},
        explains_balances=False,
        pictures=True,
        has_people_names=False,
    )


def chat_sessions(connection: Connection, world: World) -> Expected:
    """A generation belongs to a session, and that to a user; times are milliseconds since 1970, and all that is said of
    the outcome is whether it was one."""
    world = world.by_person()
    run(
        connection,
        """CREATE TABLE members (id integer PRIMARY KEY, nickname text NOT NULL, email text, credits bigint NOT NULL,
          registered_at timestamptz);
        CREATE TABLE chat_sessions (id integer PRIMARY KEY, member_id integer NOT NULL, title text,
          started_at timestamptz);
        CREATE TABLE generation_requests (id integer PRIMARY KEY, session_id integer NOT NULL REFERENCES chat_sessions,
          prompt text, ai_model text, success boolean, credits_charged integer, created_at bigint NOT NULL,
          latency_us bigint)""",
    )
    fill(
        connection,
        "members",
        ("id", "nickname", "email", "credits", "registered_at"),
        [(p.number, p.name, p.email, 5 * p.number, p.created_at) for p in world.people],
    )
    fill(
        connection,
        "chat_sessions",
        ("id", "member_id", "title", "started_at"),
        [(100 + p.number, p.number, "a chat", p.created_at) for p in world.people],
    )
    ended = tuple(one for one in world.generations if one.status in ("succeeded", "failed"))
    fill(
        connection,
        "generation_requests",
        ("id", "session_id", "prompt", "ai_model", "success", "credits_charged", "created_at", "latency_us"),
        [
            (
                *(g.number, 100 + g.person, g.prompt, g.model, g.status == "succeeded", g.credits),
                *(round(g.created_at.timestamp() * 1000), (g.duration_ms or 0) * 1000),
            )
            for g in ended
        ],
    )
    only = World(world.tenants, world.people, ended, (), ())
    return Expected(
        only,
        key=str,
        names={one.number: one.name for one in world.tenants},
        balances={one.number: 5 * one.number for one in world.people},
    )


def billed_organization(connection: Connection, world: World) -> Expected:
    """Organizations with workspaces: generations know both, and the organization pays. Text keys, a view beside the
    table, an archive of it, and quotas by day."""
    run(
        connection,
        """CREATE TABLE "Organization" (id text PRIMARY KEY, "displayName" text NOT NULL, "createdAt" timestamptz);
        CREATE TABLE "Workspace" (id text PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization",
          name text NOT NULL);
        CREATE TABLE "Member" (id text PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization",
          "fullName" text, "emailAddress" text, role text, "createdAt" timestamptz);
        CREATE TABLE "ImageJob" (id text PRIMARY KEY, "orgId" text NOT NULL REFERENCES "Organization",
          "workspaceId" text NOT NULL REFERENCES "Workspace", "memberId" text REFERENCES "Member", task text,
          "modelVersion" text, state text, "creditCost" smallint, "runtimeSecs" real, "promptText" text,
          "failReason" text, "queuedAt" timestamptz NOT NULL, "endedAt" timestamptz);
        CREATE TABLE "ImageJobArchive" (LIKE "ImageJob" INCLUDING ALL);
        CREATE VIEW "RecentImageJob" AS SELECT * FROM "ImageJob" WHERE "queuedAt" > now();
        CREATE TABLE "CreditLedger" (id text PRIMARY KEY, "orgId" text NOT NULL REFERENCES "Organization",
          "jobId" text, "entryType" text NOT NULL, credits integer NOT NULL, "postedAt" timestamptz NOT NULL);
        CREATE TABLE "CreditBalance" ("orgId" text PRIMARY KEY REFERENCES "Organization", available integer NOT NULL,
          "nextResetAt" timestamptz);
        CREATE TABLE "DailyUsage" ("orgId" text NOT NULL REFERENCES "Organization", feature text NOT NULL,
          day date NOT NULL, used integer NOT NULL, max integer NOT NULL, PRIMARY KEY ("orgId", feature, day))""",
    )
    fill(
        connection,
        "Organization",
        ("id", "displayName", "createdAt"),
        [(f"o{t.number}", t.name, t.created_at) for t in world.tenants],
    )
    fill(
        connection,
        "Workspace",
        ("id", "organizationId", "name"),
        [(f"w{t.number}", f"o{t.number}", "Main") for t in world.tenants],
    )
    fill(
        connection,
        "Member",
        ("id", "organizationId", "fullName", "emailAddress", "role", "createdAt"),
        [(f"m{p.number}", f"o{p.tenant}", p.name, p.email, "owner", p.created_at) for p in world.people],
    )
    states = {"succeeded": "finished", "failed": "timed_out", "cancelled": "stopped", "unfinished": "in_progress"}
    fill(
        connection,
        "ImageJob",
        (
            *("id", "orgId", "workspaceId", "memberId", "task", "modelVersion", "state", "creditCost", "runtimeSecs"),
            *("promptText", "failReason", "queuedAt", "endedAt"),
        ),
        [
            (
                *(f"j{g.number}", f"o{g.tenant}", f"w{g.tenant}", f"m{g.person}", g.kind, g.model, states[g.status]),
                *(g.credits, g.duration_ms / 1000 if g.duration_ms is not None else None, g.prompt, g.error),
                *(g.created_at, g.completed_at),
            )
            for g in world.generations
        ],
    )
    kinds = {"granted": "monthly_grant", "purchased": "credit_purchase", "burned": "debit", "refunded": "job_refund"}
    fill(
        connection,
        "CreditLedger",
        ("id", "orgId", "jobId", "entryType", "credits", "postedAt"),
        [
            (
                f"l{m.number}",
                f"o{m.tenant}",
                f"j{m.generation}" if m.generation else None,
                kinds[m.kind],
                m.amount,
                m.at,
            )
            for m in world.movements
        ],
    )
    fill(
        connection,
        "CreditBalance",
        ("orgId", "available", "nextResetAt"),
        [(f"o{t.number}", world.balance(t.number), NOW) for t in world.tenants],
    )
    fill(
        connection,
        "DailyUsage",
        ("orgId", "feature", "day", "used", "max"),
        [(f"o{q.tenant}", q.kind, q.day, q.count, q.limit) for q in world.quotas],
    )
    return Expected(
        world,
        key=lambda number: f"o{number}",
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances={one.number: world.balance(one.number) for one in world.tenants},
        quotas=True,
    )


SCHEMAS = (
    Schema(
        "hosted sign-in, credits on profiles, usage only",
        hosted_sign_in,
        {"values": {"generation_status": {"kaputt": "failed"}}},
    ),
    Schema("sessions, epoch milliseconds, success as boolean", chat_sessions),
    Schema("organizations with workspaces, daily quotas", billed_organization),
)
