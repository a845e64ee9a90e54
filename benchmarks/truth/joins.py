"""Joins, existence and its opposite, the newest of each by a subquery or LATERAL."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.truth.case import Candidate, Case, always, of_tenant, one_of
from benchmarks.truth.ground import END, START
from benchmarks.truth.lookups import BY_TENANT_AND_TIME

LAST_DAY = END - timedelta(days=1)
BY_GENERATION = '"Image" ("generationId")'

CASES = (
    Case(
        "images of a tenant's day",
        "join",
        'SELECT g.id, i.url FROM "Generation" g JOIN "Image" i ON i."generationId" = g.id'
        ' WHERE g."organizationId" = $1 AND g."createdAt" >= $2 AND g."createdAt" < $3',
        of_tenant(START + timedelta(days=40), START + timedelta(days=41)),
        (Candidate((BY_TENANT_AND_TIME, BY_GENERATION)), *one_of(BY_TENANT_AND_TIME, BY_GENERATION)),
    ),
    Case(
        "generations without an image",
        "anti-join",
        'SELECT g.id FROM "Generation" g WHERE g."organizationId" = $1 AND g."createdAt" >= $2'
        ' AND NOT EXISTS (SELECT 1 FROM "Image" i WHERE i."generationId" = g.id)',
        of_tenant(LAST_DAY),
        (Candidate((BY_TENANT_AND_TIME, BY_GENERATION)), *one_of(BY_TENANT_AND_TIME, BY_GENERATION)),
    ),
    Case(
        "wide images of a user",
        "join",
        'SELECT count(*) FROM "User" u JOIN "Generation" g ON g."userId" = u.id'
        ' JOIN "Image" i ON i."generationId" = g.id'
        " WHERE u.email = $1 AND i.height > 1024",
        always("User.777@Example.com"),
        (
            Candidate(('"Generation" ("userId")', BY_GENERATION)),
            *one_of('"Generation" ("userId")', BY_GENERATION),
        ),
    ),
    Case(
        "users of a tenant with what they made in two days",
        "join",
        'SELECT u.email, count(g.id) FROM "User" AS u LEFT JOIN "Generation" AS g ON g."userId" = u.id'
        ' AND g."createdAt" >= $2 WHERE u."organizationId" = $1 GROUP BY u.email',
        of_tenant(END - timedelta(days=2)),
        one_of('"Generation" ("userId", "createdAt")', '"Generation" ("createdAt")', '"Generation" ("userId")'),
    ),
    Case(
        "last activity of some users",
        "subquery",
        'SELECT u.id, (SELECT max(g."createdAt") FROM "Generation" g WHERE g."userId" = u.id) FROM "User" u'
        " WHERE u.id IN ('user_000100', 'user_000200', 'user_000300')",
        lambda _: (),
        one_of('"Generation" ("userId", "createdAt")', '"Generation" ("userId")'),
    ),
    Case(
        "three newest of each of some users",
        "LATERAL",
        'SELECT u.id, g.id, g."createdAt" FROM "User" u CROSS JOIN LATERAL (SELECT id, "createdAt" FROM "Generation"'
        ' WHERE "userId" = u.id ORDER BY "createdAt" DESC LIMIT 3) g WHERE u.email = $1',
        always("User.777@Example.com"),
        one_of('"Generation" ("userId", "createdAt")', '"Generation" ("userId")'),
    ),
    Case(
        "users who failed",
        "semi-join",
        'SELECT u.id FROM "User" u WHERE u."organizationId" = $1 AND EXISTS (SELECT FROM "Generation" g'
        ' WHERE g."userId" = u.id AND g.status = \'FAILED\' AND g."createdAt" >= $2)',
        of_tenant(END - timedelta(days=30)),
        one_of(
            '"Generation" ("userId", "createdAt") WHERE status = \'FAILED\'',
            '"Generation" ("userId", status, "createdAt")',
            '"Generation" ("createdAt") INCLUDE ("userId") WHERE status = \'FAILED\'',
            '"Generation" (status, "createdAt")',
            '"Generation" (status, "createdAt") INCLUDE ("userId")',
        ),
    ),
    Case(
        "a day's charges with their models",
        "join",
        'WITH charged AS (SELECT "generationId", amount FROM "CreditTransaction"'
        ' WHERE "createdAt" >= $1 AND "createdAt" < $2'
        " AND type = 'CHARGE') SELECT g.model, sum(charged.amount) FROM charged JOIN \"Generation\" g"
        ' ON g.id = charged."generationId" GROUP BY g.model',
        always("2026-03-01 00:00+00", "2026-03-01 06:00+00"),
        one_of(
            '"CreditTransaction" ("createdAt")',
            '"CreditTransaction" (type, "createdAt")',
            '"CreditTransaction" USING brin ("createdAt")',
        ),
    ),
)
