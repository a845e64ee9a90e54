"""Applications without organizations: every user pays for themselves."""

from decimal import Decimal

from tests.queries.connect.recount import Expected
from tests.queries.connect.schemas.making import Connection, Schema, cuid, fill, naive, run, sign_in_tables, uid
from tests.queries.connect.world import NOW, World


def sessions(connection: Connection, world: World) -> Expected:
    """Prisma's defaults in camelCase: "User", "GenerationSession", and a "Credit" for each resetDate; no ledger."""
    world = world.by_person()
    sign_in_tables(connection)
    run(
        connection,
        """CREATE TYPE "SessionStatus" AS ENUM ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED');
        CREATE TABLE "User" (id text PRIMARY KEY, name text, email text UNIQUE, image text,
          "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3));
        CREATE TABLE "Credit" (id text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User", count integer NOT NULL,
          "resetDate" timestamp(3) NOT NULL, "updatedAt" timestamp(3));
        CREATE INDEX ON "Credit" ("userId", "resetDate");
        CREATE TABLE "GenerationSession" (id text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User",
          prompt text NOT NULL, model text NOT NULL, status "SessionStatus" NOT NULL, "creditsUsed" integer NOT NULL,
          "durationMs" integer, "errorMessage" text, "createdAt" timestamp(3) NOT NULL, "completedAt" timestamp(3));
        CREATE TABLE "GeneratedImage" (id text PRIMARY KEY, "sessionId" text NOT NULL REFERENCES "GenerationSession",
          "imageUrl" text NOT NULL, "createdAt" timestamp(3) NOT NULL);
        ALTER TABLE "Account" ADD FOREIGN KEY ("userId") REFERENCES "User";
        ALTER TABLE "Session" ADD FOREIGN KEY ("userId") REFERENCES "User" """,
    )
    fill(
        connection,
        "User",
        ("id", "name", "email", "createdAt"),
        [(cuid("usr", p.number), p.name, p.email, naive(p.created_at)) for p in world.people],
    )
    fill(
        connection,
        "Credit",
        ("id", "userId", "count", "resetDate"),
        [
            (cuid(f"cr{month}", p.number), cuid("usr", p.number), 100 * (month - 6) + p.number, f"2026-0{month}-01")
            for p in world.people
            for month in (6, 7)
        ],
    )
    status = {"succeeded": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED", "unfinished": "RUNNING"}
    fill(
        connection,
        "GenerationSession",
        (
            *("id", "userId", "prompt", "model", "status", "creditsUsed", "durationMs", "errorMessage", "createdAt"),
            "completedAt",
        ),
        [
            (
                *(cuid("gen", g.number), cuid("usr", g.person), g.prompt, g.model, status[g.status], g.credits),
                *(g.duration_ms, g.error, naive(g.created_at), naive(g.completed_at)),
            )
            for g in world.generations
        ],
    )
    fill(
        connection,
        "GeneratedImage",
        ("id", "sessionId", "imageUrl", "createdAt"),
        [
            (cuid("img", g.number), cuid("gen", g.number), f"https://x.example/{g.number}.png", naive(g.created_at))
            for g in world.generations
            if g.status == "succeeded"
        ],
    )
    return Expected(
        world,
        key=lambda number: str(cuid("usr", number)),
        names={one.number: one.name for one in world.tenants},
        balances={one.number: 100 + one.number for one in world.people},
        pictures=True,
    )


def reserved_words(connection: Connection, world: World) -> Expected:
    """Quoted reserved words: "User" with "order"s of pictures, whose columns are "user", "end" and "group"; money
    instead of credits; the balance is a column of the user."""
    world = world.by_person()
    run(
        connection,
        """CREATE TABLE "User" ("id" serial PRIMARY KEY, "name" text, "email" text, "tokenBalance" numeric(14, 4),
          "createdAt" timestamptz NOT NULL);
        CREATE TABLE "group" ("id" serial PRIMARY KEY, "order" integer, "name" text);
        CREATE TABLE "order" ("id" serial PRIMARY KEY, "user" integer NOT NULL REFERENCES "User",
          "group" integer REFERENCES "group", "prompt" text NOT NULL, "model" text, "status" text NOT NULL,
          "cost" numeric(14, 4) NOT NULL, "latencyMs" bigint, "createdAt" timestamptz NOT NULL,
          "completedAt" timestamptz, "imageUrl" text)""",
    )
    fill(
        connection,
        "User",
        ("id", "name", "email", "tokenBalance", "createdAt"),
        [(p.number, p.name, p.email, Decimal("12.5") + p.number, p.created_at) for p in world.people],
    )
    status = {"succeeded": "ok", "failed": "timeout", "cancelled": "cancelled", "unfinished": "queued"}
    fill(
        connection,
        "order",
        (
            *("id", "user", "prompt", "model", "status", "cost", "latencyMs", "createdAt", "completedAt"),
            "imageUrl",
        ),
        [
            (
                *(g.number, g.person, g.prompt, g.model, status[g.status], Decimal(g.credits) * Decimal("0.0375")),
                *(g.duration_ms, g.created_at, g.completed_at),
                f"https://x.example/{g.number}" if g.status == "succeeded" else None,
            )
            for g in world.generations
        ],
    )
    return Expected(
        world,
        key=str,
        names={one.number: one.name for one in world.tenants},
        credits_of=lambda one: Decimal(one.credits) * Decimal("0.0375"),
        balances={one.number: Decimal("12.5") + one.number for one in world.people},
        pictures=True,
    )


def images_and_videos(connection: Connection, world: World) -> Expected:
    """Two tables of events, whose keys collide; a ledger of two columns, debit and credit; a balance to be summed."""
    world = world.by_person()
    run(
        connection,
        """CREATE TABLE profiles (id uuid PRIMARY KEY, email text, username text, created_at timestamptz);
        CREATE TABLE images (id integer PRIMARY KEY, user_id uuid NOT NULL REFERENCES profiles, prompt text NOT NULL,
          model text, status text NOT NULL, credits_used integer, duration_ms integer, error text,
          created_at timestamptz NOT NULL, url text);
        CREATE TABLE videos (id integer PRIMARY KEY, user_id uuid NOT NULL REFERENCES profiles, prompt text NOT NULL,
          model text, status text NOT NULL, credits_used integer, duration_ms integer, error text, fps integer,
          created_at timestamptz NOT NULL, url text);
        CREATE TABLE credit_history (id bigserial PRIMARY KEY, user_id uuid NOT NULL REFERENCES profiles,
          reason text NOT NULL, debit integer, credit integer, created_at timestamptz NOT NULL);
        CREATE TABLE user_credits (id bigserial PRIMARY KEY, user_id uuid NOT NULL REFERENCES profiles,
          remaining integer NOT NULL, expires_at timestamptz)""",
    )
    fill(
        connection,
        "profiles",
        ("id", "email", "username", "created_at"),
        [(uid("user", p.number), p.email, p.name, p.created_at) for p in world.people],
    )
    status = {"succeeded": "completed", "failed": "failed", "cancelled": "canceled", "unfinished": "processing"}
    columns = (
        *("id", "user_id", "prompt", "model", "status", "credits_used", "duration_ms", "error", "created_at"),
        "url",
    )
    for kind in ("image", "video"):
        own = [one for one in world.generations if one.kind == kind]
        fill(
            connection,
            f"{kind}s",
            columns,
            [
                (
                    *(place, uid("user", g.person), g.prompt, g.model, status[g.status], g.credits, g.duration_ms),
                    *(g.error, g.created_at),
                    f"https://x.example/{g.number}" if g.status == "succeeded" else None,
                )
                for place, g in enumerate(own, 1)
            ],
        )
    reasons = {"granted": "monthly_allowance", "purchased": "purchase", "burned": "image_usage", "refunded": "refund"}
    fill(
        connection,
        "credit_history",
        ("user_id", "reason", "debit", "credit", "created_at"),
        [
            (
                uid("user", m.tenant),
                reasons[m.kind],
                -m.amount if m.amount < 0 else None,
                m.amount if m.amount >= 0 else None,
                m.at,
            )
            for m in world.movements
        ],
    )
    fill(
        connection,
        "user_credits",
        ("user_id", "remaining", "expires_at"),
        [(uid("user", p.number), part, NOW) for p in world.people for part in (7, world.balance(p.number) - 7)],
    )
    return Expected(
        world,
        key=lambda number: str(uid("user", number)),
        names={one.number: one.name for one in world.tenants},
        movements=world.movements,
        balances={one.number: world.balance(one.number) for one in world.people},
        pictures=True,
    )


def no_status(connection: Connection, world: World) -> Expected:
    """The least there can be: who, what and when; a price for each type is the only answer."""
    world = world.by_person()
    run(
        connection,
        """CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, created_at timestamptz);
        CREATE TABLE predictions (id bigint PRIMARY KEY, user_id bigint NOT NULL, prompt text, type text NOT NULL,
          created_at timestamptz NOT NULL)""",
    )
    fill(
        connection,
        "users",
        ("id", "email", "created_at"),
        [(p.number, p.email, p.created_at) for p in world.people],
    )
    fill(
        connection,
        "predictions",
        ("id", "user_id", "prompt", "type", "created_at"),
        [(g.number, g.person, g.prompt, g.kind, g.created_at) for g in world.generations],
    )
    return Expected(
        world,
        key=str,
        names={one.number: one.email.partition("@")[0] for one in world.people},
        has_status=False,
        has_durations=False,
        credits_of=lambda one: 2 if one.kind == "image" else 15,
        has_people_names=False,
    )


SCHEMAS = (
    Schema("user as tenant, GenerationSession, Credit.resetDate", sessions),
    Schema("quoted reserved words, decimal cost, balance on the user", reserved_words),
    Schema("images and videos, debit and credit, several balances each", images_and_videos, walled=True),
    Schema("no status, no credits", no_status, {"credits": {"image": 2, "video": 15}}),
)
