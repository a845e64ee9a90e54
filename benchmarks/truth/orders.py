"""Orders and limits: directions, NULLS, keysets, the newest of each, the greatest."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.truth.case import Case, always, nothing, of_tenant, of_user, one_of
from benchmarks.truth.ground import END, START
from benchmarks.truth.lookups import BY_TENANT_AND_TIME

MIDDLE = START + timedelta(days=50)

CASES = (
    Case(
        "newest of a tenant",
        "sort and limit",
        'SELECT id, prompt FROM "Generation" WHERE "organizationId" = $1 ORDER BY "createdAt" DESC LIMIT 20',
        of_tenant(),
        one_of(BY_TENANT_AND_TIME, '"Generation" ("organizationId", "createdAt" DESC)', '"Generation" ("createdAt")'),
    ),
    Case(
        "last finished, nulls at the end",
        "NULLS",
        'SELECT id, "completedAt" FROM "Generation" WHERE "organizationId" = $1'
        ' ORDER BY "completedAt" DESC NULLS LAST LIMIT 20',
        of_tenant(),
        one_of(
            '"Generation" ("organizationId", "completedAt" DESC NULLS LAST)',
            '"Generation" ("organizationId", "completedAt")',
        ),
    ),
    Case(
        "first to finish, nulls first",
        "NULLS",
        'SELECT id, "lastSeenAt" FROM "User" ORDER BY "lastSeenAt" ASC NULLS FIRST, id LIMIT 30',
        nothing,
        one_of('"User" ("lastSeenAt" NULLS FIRST, id)', '"User" ("lastSeenAt")', '"User" ("lastSeenAt", id)'),
    ),
    Case(
        "dearest, the oldest of them first",
        "sort direction",
        'SELECT id, "creditsUsed" FROM "Generation" WHERE "organizationId" = $1'
        ' ORDER BY "creditsUsed" DESC, "createdAt" LIMIT 20',
        of_tenant(),
        one_of(
            '"Generation" ("organizationId", "creditsUsed" DESC, "createdAt")',
            '"Generation" ("organizationId", "creditsUsed", "createdAt")',
            '"Generation" ("organizationId", "creditsUsed")',
        ),
    ),
    Case(
        "next page",
        "keyset",
        'SELECT id, "createdAt" FROM "Generation" WHERE "organizationId" = $1 AND ("createdAt", id) < ($2, $3)'
        ' ORDER BY "createdAt" DESC, id DESC LIMIT 50',
        of_tenant(MIDDLE, "gen_00200000"),
        one_of(
            '"Generation" ("organizationId", "createdAt", id)', BY_TENANT_AND_TIME, '"Generation" ("createdAt", id)'
        ),
    ),
    Case(
        "next page, written out",
        "keyset",
        'SELECT id, "createdAt" FROM "Generation" WHERE "userId" = $1 AND "createdAt" < $2'
        ' ORDER BY "createdAt" DESC LIMIT 50',
        of_user(MIDDLE),
        one_of('"Generation" ("userId", "createdAt")', '"Generation" ("userId")'),
    ),
    Case(
        "deep page",
        "sort and limit",
        'SELECT id, model FROM "Generation" WHERE "organizationId" = $1 ORDER BY "createdAt" DESC LIMIT 20 OFFSET 200',
        of_tenant(),
        one_of(BY_TENANT_AND_TIME, '"Generation" ("organizationId")'),
    ),
    Case(
        "newest of all",
        "sort and limit",
        'SELECT id, "organizationId" FROM "Generation" ORDER BY "createdAt" DESC LIMIT 50',
        nothing,
        one_of('"Generation" ("createdAt")', '"Generation" USING brin ("createdAt")'),
    ),
    Case(
        "newest failures of all",
        "partial",
        'SELECT id, "organizationId", "createdAt" FROM "Generation" WHERE status = \'FAILED\''
        ' ORDER BY "createdAt" DESC LIMIT 50',
        nothing,
        one_of(
            '"Generation" ("createdAt") WHERE status = \'FAILED\'',
            '"Generation" (status, "createdAt")',
            '"Generation" ("createdAt")',
        ),
    ),
    Case(
        "a range, then by its time",
        "sort and limit",
        'SELECT id, "createdAt" FROM "Generation" WHERE "organizationId" = $1 AND "createdAt" >= $2'
        ' ORDER BY "createdAt", id LIMIT 100',
        of_tenant(MIDDLE),
        one_of('"Generation" ("organizationId", "createdAt", id)', BY_TENANT_AND_TIME),
    ),
    Case(
        "slowest of a tenant since",
        "sort and limit",
        'SELECT id, "durationMs" FROM "Generation" WHERE "organizationId" = $1 AND "createdAt" >= $2'
        ' AND "durationMs" IS NOT NULL ORDER BY "durationMs" DESC LIMIT 10',
        of_tenant(END - timedelta(days=3)),
        one_of(BY_TENANT_AND_TIME, '"Generation" ("organizationId", "durationMs")'),
    ),
    Case(
        "newest of each user",
        "DISTINCT ON",
        'SELECT DISTINCT ON ("userId") "userId", "createdAt" FROM "Generation"'
        ' WHERE "organizationId" = $1 ORDER BY "userId", "createdAt" DESC',
        of_tenant(),
        one_of(
            '"Generation" ("organizationId", "userId", "createdAt" DESC)',
            '"Generation" ("organizationId") INCLUDE ("userId", "createdAt")',
            '"Generation" ("organizationId")',
        ),
    ),
    Case(
        "last activity of a tenant",
        "greatest",
        'SELECT max("createdAt") FROM "Generation" WHERE "organizationId" = $1',
        of_tenant(),
        one_of(BY_TENANT_AND_TIME, '"Generation" ("organizationId")'),
    ),
    Case(
        "last activity of all",
        "greatest",
        'SELECT max("expiresAt") FROM "Session"',
        nothing,
        one_of('"Session" ("expiresAt")'),
    ),
    Case(
        "sessions to clean up",
        "sort and limit",
        'SELECT id FROM "Session" WHERE "expiresAt" < $1 ORDER BY "expiresAt" LIMIT 500',
        always(END),
        one_of('"Session" ("expiresAt")', '"Session" ("expiresAt") INCLUDE (id)'),
    ),
)
