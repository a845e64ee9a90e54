"""Finding rows: equality, ranges, lists, prefixes, OR, rare constants, documents, times in order."""

from __future__ import annotations

from datetime import UTC, timedelta

from benchmarks.truth.case import Candidate, Case, always, nothing, of_tenant, of_user, one_of
from benchmarks.truth.ground import END, START

LATE = END - timedelta(days=7)
MIDDLE = START + timedelta(days=50)
LATE_AWARE, MIDDLE_AWARE = LATE.replace(tzinfo=UTC), MIDDLE.replace(tzinfo=UTC)

BY_TENANT_AND_TIME = '"Generation" ("organizationId", "createdAt")'

CASES = (
    Case(
        "week of a tenant",
        "composite",
        'SELECT id, type, "creditsUsed" FROM "Generation"'
        ' WHERE "organizationId" = $1 AND "createdAt" >= $2 AND "createdAt" < $3',
        of_tenant(LATE, END),
        one_of(BY_TENANT_AND_TIME, '"Generation" ("createdAt", "organizationId")', '"Generation" ("organizationId")'),
    ),
    Case(
        "failures of a tenant in a month",
        "composite",
        'SELECT id, "userId", model FROM "Generation" WHERE "organizationId" = $1 AND status = \'FAILED\''
        ' AND "createdAt" >= $2',
        of_tenant(END - timedelta(days=30)),
        one_of(
            '"Generation" ("organizationId", status, "createdAt")',
            '"Generation" ("organizationId", "createdAt") WHERE status = \'FAILED\'',
            BY_TENANT_AND_TIME,
        ),
    ),
    Case(
        "a tenant's upscales by a user",
        "composite",
        'SELECT id, prompt FROM "Generation" WHERE "userId" = $1 AND type = \'UPSCALE\'',
        of_user(),
        one_of('"Generation" ("userId", type)', '"Generation" ("userId")'),
    ),
    Case(
        "between two moments, two equalities",
        "composite",
        'SELECT g.id, g."durationMs" FROM "Generation" AS g WHERE g."createdAt" BETWEEN $2 AND $3'
        ' AND g.model = $4 AND g."organizationId" = $1',
        of_tenant(MIDDLE, MIDDLE + timedelta(days=20), "model-3"),
        one_of('"Generation" ("organizationId", model, "createdAt")', BY_TENANT_AND_TIME),
    ),
    Case(
        "by seed",
        "equality",
        'SELECT * FROM "Generation" WHERE seed = $1',
        always(2654435761),
        one_of('"Generation" (seed)'),
    ),
    Case(
        "session of a token",
        "equality",
        'SELECT s.id, s."userId" FROM public."Session" s WHERE s.token = \'81dc9bdb-52d0-4dc2-0036-dbd8313ed055\'',
        nothing,
        one_of('"Session" (token)'),
    ),
    Case(
        "a batch, mostly null",
        "nullable",
        'SELECT id, status FROM "Generation" WHERE "batchId" = $1',
        always("batch_5000"),
        one_of('"Generation" ("batchId")', '"Generation" ("batchId") WHERE "batchId" IS NOT NULL'),
    ),
    Case(
        "sessions revoked since",
        "nullable",
        'SELECT id, "userId" FROM "Session" WHERE "revokedAt" >= $1',
        always(LATE_AWARE),
        one_of('"Session" ("revokedAt")', '"Session" ("revokedAt") WHERE "revokedAt" IS NOT NULL'),
    ),
    Case(
        "never finished, of a tenant",
        "nullable",
        'SELECT id, "createdAt" FROM "Generation" WHERE "organizationId" = $1 AND "completedAt" IS NULL'
        ' AND "createdAt" >= $2',
        of_tenant(END - timedelta(days=20)),
        one_of(
            '"Generation" ("organizationId", "createdAt") WHERE "completedAt" IS NULL',
            '"Generation" ("organizationId", "completedAt", "createdAt")',
            BY_TENANT_AND_TIME,
        ),
    ),
    Case(
        "images of a generation",
        "foreign key",
        'SELECT id, url FROM "Image" WHERE "generationId" = $1',
        always("gen_00123456"),
        one_of('"Image" ("generationId")'),
    ),
    Case(
        "charges of a generation",
        "foreign key",
        'SELECT amount, "createdAt" FROM "CreditTransaction" WHERE "generationId" = $1',
        always("gen_00200002"),
        one_of(
            '"CreditTransaction" ("generationId")',
            '"CreditTransaction" ("generationId") WHERE "generationId" IS NOT NULL',
        ),
    ),
    Case(
        "some users since",
        "IN list",
        'SELECT id, "userId", "createdAt" FROM "Generation" WHERE "userId" IN ($1, \'user_000777\', \'user_004242\')'
        ' AND "createdAt" >= $2',
        of_user(MIDDLE),
        one_of('"Generation" ("userId", "createdAt")', '"Generation" ("userId")', '"Generation" ("createdAt")'),
    ),
    Case(
        "under way, of a tenant",
        "IN list",
        'SELECT id, "createdAt" FROM "Generation"'
        " WHERE \"organizationId\" = $1 AND status IN ('PENDING', 'PROCESSING')",
        of_tenant(),
        one_of(
            '"Generation" ("organizationId", status)',
            "\"Generation\" (\"organizationId\") WHERE status IN ('PENDING', 'PROCESSING')",
            '"Generation" (status)',
        ),
    ),
    Case(
        "any of an array",
        "IN list",
        'SELECT "userId", count(*) FROM "Generation" WHERE "userId" = ANY($1) GROUP BY "userId"',
        lambda tenant: ([tenant.user_id, "user_000777", "user_004242"],),
        one_of('"Generation" ("userId")'),
    ),
    Case(
        "stuck",
        "partial",
        'SELECT id, "userId", "createdAt" FROM "Generation" WHERE status = \'PROCESSING\' AND "createdAt" < $1',
        always(MIDDLE),
        one_of(
            '"Generation" ("createdAt") WHERE status = \'PROCESSING\'',
            '"Generation" (status, "createdAt")',
            '"Generation" (status)',
        ),
    ),
    Case(
        "stuck, the status as a parameter of the code's",
        "partial",
        'SELECT id, "userId", "createdAt" FROM "Generation" WHERE status = $1 AND "createdAt" < $2',
        always("PROCESSING", MIDDLE),
        one_of(
            '"Generation" ("createdAt") WHERE status = \'PROCESSING\'',
            '"Generation" (status, "createdAt")',
            '"Generation" (status)',
        ),
        constants=frozenset({1}),
    ),
    Case(
        "refunds",
        "partial",
        'SELECT sum(amount) FROM "CreditTransaction" WHERE type = \'REFUND\' AND "createdAt" >= $1',
        always(MIDDLE_AWARE),
        one_of(
            '"CreditTransaction" ("createdAt") WHERE type = \'REFUND\'',
            '"CreditTransaction" (type, "createdAt")',
            '"CreditTransaction" (type, "createdAt") INCLUDE (amount)',
        ),
    ),
    Case(
        "names that begin so",
        "prefix LIKE",
        "SELECT id, email FROM \"User\" WHERE name LIKE 'Grace 1%'",
        nothing,
        one_of('"User" (name text_pattern_ops)', '"User" (name)'),
    ),
    Case(
        "prompts that begin so, by parameter",
        "prefix LIKE",
        'SELECT id, model FROM "Generation" WHERE prompt LIKE $1',
        always("a prompt about 3c59dc%"),
        one_of('"Generation" (prompt text_pattern_ops)', '"Generation" (prompt)'),
    ),
    Case(
        "a batch or a seed",
        "OR",
        'SELECT id FROM "Generation" WHERE "batchId" = $1 OR seed = $2',
        always("batch_5000", 2654435761),
        (
            Candidate(('"Generation" ("batchId")', '"Generation" (seed)')),
            Candidate(('"Generation" ("batchId")',)),
        ),
    ),
    Case(
        "one user or another",
        "OR",
        'SELECT id, status FROM "Generation"'
        " WHERE (\"userId\" = $1 OR \"userId\" = 'user_004242') AND status = 'FAILED'",
        of_user(),
        one_of('"Generation" ("userId", status)', '"Generation" ("userId")', '"Generation" (status)'),
    ),
    Case(
        "a key of a document",
        "expression",
        "SELECT id, params FROM \"Generation\" WHERE params->>'workflow' = $1",
        always("wf-17"),
        one_of("\"Generation\" ((params->>'workflow'))", '"Generation" USING gin (params jsonb_path_ops)'),
    ),
    Case(
        "an hour of all tenants",
        "range",
        'SELECT id, "organizationId" FROM "Generation" WHERE "createdAt" >= $1 AND "createdAt" < $2',
        always(MIDDLE, MIDDLE + timedelta(hours=1)),
        one_of('"Generation" ("createdAt")', '"Generation" USING brin ("createdAt")'),
    ),
    Case(
        "five days of audit events",
        "BRIN",
        'SELECT kind, count(*), sum(value), max(actor) FROM "AuditEvent" WHERE at >= $1 AND at < $2 GROUP BY kind',
        always(MIDDLE_AWARE, MIDDLE_AWARE + timedelta(days=5)),
        one_of('"AuditEvent" USING brin (at)', '"AuditEvent" (at)'),
        calls_per_day=500,
    ),
    Case(
        "a day of audit events of one kind",
        "BRIN",
        'SELECT at, actor, value FROM "AuditEvent" WHERE at >= $1 AND at < $2 AND kind = 3',
        always(MIDDLE_AWARE, MIDDLE_AWARE + timedelta(days=1)),
        one_of('"AuditEvent" USING brin (at)', '"AuditEvent" (at)', '"AuditEvent" (kind, at)'),
    ),
)
