"""The tables and rows that the suite's statements read: Prisma's manner of names, a skew between tenants, nulls.

Made by the server itself from a fixed seed, in a few seconds. Generations, transactions and audit events are appended
in order of time, as an application does. One tenant of 400 has three tenths of the generations; one has none at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import psycopg

TenantKind = Literal["median", "biggest", "smallest", "absent"]
KINDS: tuple[TenantKind, ...] = get_args(TenantKind)
# The period that all rows lie in: 100 days.
START = datetime(2026, 1, 1)  # noqa: DTZ001 - a timestamp without a zone, as Prisma keeps them
END = START + timedelta(days=100)
ABSENT = "org_absent"

_TABLES = """
CREATE TYPE "GenerationStatus" AS ENUM ('PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED');
CREATE TYPE "GenerationType" AS ENUM ('TEXT_TO_IMAGE', 'IMAGE_TO_IMAGE', 'UPSCALE', 'INPAINT');
CREATE TABLE "Organization" (id text PRIMARY KEY, name text NOT NULL, slug text NOT NULL UNIQUE,
    plan text NOT NULL, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE "User" (id text PRIMARY KEY, "organizationId" text NOT NULL, email text NOT NULL UNIQUE,
    name text NOT NULL, "lastSeenAt" timestamp(3), "createdAt" timestamp(3) NOT NULL);
CREATE INDEX "User_organizationId_idx" ON "User" ("organizationId");
CREATE TABLE "Generation" (id text PRIMARY KEY, "organizationId" text NOT NULL, "userId" text NOT NULL,
    type "GenerationType" NOT NULL, status "GenerationStatus" NOT NULL, model text NOT NULL, prompt text NOT NULL,
    params jsonb NOT NULL, "creditsUsed" integer NOT NULL, "durationMs" integer, seed bigint NOT NULL, "batchId" text,
    "createdAt" timestamp(3) NOT NULL, "completedAt" timestamp(3));
CREATE TABLE "Image" (id text PRIMARY KEY, "generationId" text NOT NULL, url text NOT NULL, width integer NOT NULL,
    height integer NOT NULL);
CREATE TABLE "CreditTransaction" (id bigint PRIMARY KEY, "organizationId" text NOT NULL, "generationId" text,
    type text NOT NULL, amount numeric(12, 2) NOT NULL, "createdAt" timestamptz(3) NOT NULL);
CREATE INDEX "CreditTransaction_organizationId_createdAt_idx" ON "CreditTransaction" ("organizationId", "createdAt");
CREATE TABLE "Session" (id text PRIMARY KEY, "userId" text NOT NULL, token uuid NOT NULL,
    "expiresAt" timestamptz NOT NULL, "revokedAt" timestamptz);
CREATE INDEX "Session_userId_expiresAt_idx" ON "Session" ("userId", "expiresAt");
CREATE TABLE "AuditEvent" (at timestamptz NOT NULL, kind smallint NOT NULL, actor integer NOT NULL,
    value integer NOT NULL);
CREATE TABLE "ApiKey" (id integer PRIMARY KEY, "organizationId" text NOT NULL, hash text NOT NULL);
"""

# `tenant(x, y)`: three in ten are org_0001, the others thin out towards org_0400.
_ROWS = """
SELECT setseed(0.42);
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION pg_temp.tenant(x float8, y float8) RETURNS text LANGUAGE sql AS $$
    SELECT 'org_' || lpad((CASE WHEN x < 0.3 THEN 1 ELSE 2 + floor(399 * (1 - power(1 - y, 0.25))) END)::text, 4, '0')
$$;
INSERT INTO "Organization" SELECT 'org_' || lpad(n::text, 4, '0'), 'Organization ' || n, 'org-' || n,
    (ARRAY['FREE', 'PRO', 'TEAM'])[1 + n % 3], timestamp '2025-01-01' + n * interval '3 hours'
    FROM generate_series(1, 2000) AS n;
INSERT INTO "User" SELECT 'user_' || lpad(n::text, 6, '0'), pg_temp.tenant(random(), random()),
    'User.' || n || '@Example.com',
    (ARRAY['Ada','Bo','Chen','Dana','Eve','Farid','Grace','Hanna','Ines','Jun'])[1 + n % 10]
    || ' ' || substr(md5(n::text), 1, 8),
    CASE WHEN n % 5 > 0 THEN timestamp '2026-01-01' + random() * interval '100 days' END,
    timestamp '2025-06-01' + n * interval '5 minutes' FROM generate_series(1, 40000) AS n;
CREATE TEMP TABLE member AS SELECT "organizationId" AS org, id, row_number() OVER tenant AS place,
    count(*) OVER (PARTITION BY "organizationId") AS places FROM "User"
    WINDOW tenant AS (PARTITION BY "organizationId" ORDER BY id);
CREATE TEMP TABLE drawn AS SELECT n, pg_temp.tenant(random(), random()) AS org, random() AS a, random() AS b,
    random() AS c, random() AS d FROM generate_series(1, 400000) AS n;
ANALYZE member, drawn;
INSERT INTO "Generation" SELECT 'gen_' || lpad(n::text, 8, '0'), drawn.org,
    coalesce(member.id, 'user_000001'),
    (CASE WHEN b < 0.7 THEN 'TEXT_TO_IMAGE' WHEN b < 0.9 THEN 'IMAGE_TO_IMAGE' WHEN b < 0.99 THEN 'UPSCALE'
        ELSE 'INPAINT' END)::"GenerationType",
    (CASE WHEN c < 0.95 THEN 'SUCCEEDED' WHEN c < 0.98 THEN 'FAILED' WHEN c < 0.998 THEN 'CANCELED'
        WHEN c < 0.999 THEN 'PENDING' ELSE 'PROCESSING' END)::"GenerationStatus",
    'model-' || floor(d * d * 8)::int, repeat('a prompt about ' || md5(n::text) || ' ', 3),
    jsonb_build_object('workflow', 'wf-' || floor(a * 5000)::int, 'steps', 20 + n % 30), 1 + floor(b * 12)::int,
    CASE WHEN c < 0.95 THEN (800 + 4000 * -ln(1 - d * 0.99999))::int END, (n * 2654435761) % 4294967296,
    CASE WHEN n % 4 = 0 THEN 'batch_' || n / 40 END,
    timestamp '2026-01-01' + n * interval '21.6 seconds',
    CASE WHEN c < 0.98 THEN timestamp '2026-01-01' + n * interval '21.6 seconds' + d * interval '40 seconds' END
    FROM drawn LEFT JOIN (SELECT org, max(places) AS places FROM member GROUP BY 1) AS size USING (org)
    LEFT JOIN member ON member.org = drawn.org AND member.place = 1 + floor(power(a, 2) * size.places) ORDER BY n;
INSERT INTO "Image" SELECT 'img_' || lpad(n::text, 8, '0'), 'gen_' || lpad((1 + floor(n * 1.25))::int::text, 8, '0'),
    'https://images.example.com/' || md5(n::text) || '.webp', 1024, 512 * (1 + n % 4)
    FROM generate_series(1, 300000) AS n;
INSERT INTO "CreditTransaction" SELECT n, pg_temp.tenant(random(), random()),
    CASE WHEN n % 10 > 0 THEN 'gen_' || lpad((n * 1.6)::int::text, 8, '0') END,
    CASE WHEN n % 10 > 0 THEN 'CHARGE' WHEN n % 100 > 0 THEN 'PURCHASE' ELSE 'REFUND' END, -1 - n % 12,
    timestamptz '2026-01-01 00:00+00' + n * interval '34.56 seconds' FROM generate_series(1, 250000) AS n;
INSERT INTO "Session" SELECT 'ses_' || lpad(n::text, 8, '0'),
    'user_' || lpad((1 + floor(random() * 40000))::int::text, 6, '0'), md5(n::text)::uuid,
    timestamptz '2026-01-01 00:00+00' + random() * interval '130 days',
    CASE WHEN n % 200 = 0 THEN timestamptz '2026-01-01 00:00+00' + random() * interval '100 days' END
    FROM generate_series(1, 150000) AS n;
INSERT INTO "AuditEvent" SELECT timestamptz '2026-01-01 00:00+00' + n * interval '8.64 seconds', n % 7,
    floor(random() * 40000)::int, floor(random() * 1000)::int FROM generate_series(1, 1000000) AS n;
INSERT INTO "ApiKey" SELECT n, 'org_' || lpad((1 + n % 400)::text, 4, '0'), md5(n::text)
    FROM generate_series(1, 3000) AS n;
DROP TABLE drawn, member;
RESET max_parallel_workers_per_gather;
"""

# Rows that a vacuum could not yet mark as visible to all would keep index-only scans away.
_HIDDEN = """
SELECT coalesce(sum(greatest(relpages - relallvisible, 0)), 0)::int FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_VACUUMS_MOST = 5

_KINDS = """
WITH counted AS (SELECT "organizationId" AS org, count(*) AS rows FROM "Generation" GROUP BY 1),
     ranked AS (SELECT org, rows, row_number() OVER (ORDER BY rows DESC, org) AS place, count(*) OVER () AS places
                FROM counted)
SELECT CASE WHEN place = 1 THEN 'biggest' WHEN place = places THEN 'smallest' ELSE 'median' END, org,
       (SELECT "userId" FROM "Generation" AS g WHERE g."organizationId" = ranked.org
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1)
FROM ranked WHERE place IN (1, places, (places + 1) / 2)
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of a kind, and the user of it who generated most."""

    id: str
    user_id: str


def make_tables(connection: psycopg.Connection[Any]) -> None:
    """The tables without rows."""
    connection.execute(_TABLES)


def fill(connection: psycopg.Connection[Any]) -> None:
    """Make the tables and their rows as their owner, vacuumed and analysed. The connection commits by itself."""
    make_tables(connection)
    connection.execute(_ROWS)
    for _ in range(_VACUUMS_MOST):
        connection.execute("VACUUM (ANALYZE)")
        if connection.execute(_HIDDEN).fetchone() == (0,):
            return
    raise RuntimeError("rows of the suite are not visible to all after vacuum; is a long transaction open?")


def tenants(connection: psycopg.Connection[Any]) -> dict[TenantKind, Tenant]:
    """The tenant of each kind."""
    found = {kind: Tenant(org, user) for kind, org, user in connection.execute(_KINDS)}
    return {kind: found.get(kind, Tenant(ABSENT, "user_absent")) for kind in KINDS}
