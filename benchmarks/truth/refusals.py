"""Statements for which nothing is to be built: served already, unselective, whole tables, small tables."""

from __future__ import annotations

from datetime import UTC, timedelta

from benchmarks.truth.case import Case, always, nothing, of_tenant, of_user, one_of
from benchmarks.truth.ground import END, START

NONE = frozenset({"none"})
NONE_OR_TOTAL = frozenset({"none", "pre_aggregate"})
TOTAL = frozenset({"pre_aggregate"})
LATE_AWARE = (END - timedelta(days=7)).replace(tzinfo=UTC)

CASES = (
    Case(
        "what succeeded",
        "low selectivity",
        "SELECT count(DISTINCT length(prompt)) FROM \"Generation\" WHERE status = 'SUCCEEDED'",
        nothing,
        one_of('"Generation" (status)'),
        NONE_OR_TOTAL,
    ),
    Case(
        "most types",
        "low selectivity",
        "SELECT id, prompt FROM \"Generation\" WHERE type <> 'INPAINT'",
        nothing,
        one_of('"Generation" (type)'),
        NONE,
    ),
    Case(
        "nearly all of the time",
        "low selectivity",
        'SELECT id, url FROM "Image" WHERE width >= 512',
        nothing,
        one_of('"Image" (width)'),
        NONE,
    ),
    Case(
        "all by model",
        "whole-table aggregate",
        'SELECT model, count(*), sum("creditsUsed"), avg("durationMs") FROM "Generation" GROUP BY model',
        nothing,
        (),
        TOTAL,
    ),
    Case(
        "all by day",
        "whole-table aggregate",
        'SELECT date_trunc(\'day\', "createdAt") AS day, status, count(*), sum("creditsUsed") FROM "Generation"'
        " GROUP BY 1, 2 ORDER BY 1, 2",
        nothing,
        (),
        TOTAL,
    ),
    Case(
        "tenants by what they spent",
        "whole-table aggregate",
        'SELECT "organizationId", sum(amount), count(*) FROM "CreditTransaction" GROUP BY "organizationId"'
        " ORDER BY 2 LIMIT 20",
        nothing,
        (),
        TOTAL,
    ),
    Case(
        "plans by credits",
        "whole-table aggregate",
        'SELECT o.plan, sum(g."creditsUsed") FROM "Generation" g JOIN "Organization" o ON o.id = g."organizationId"'
        " GROUP BY o.plan",
        nothing,
        (),
        TOTAL,
    ),
    Case(
        "a key of few",
        "small table",
        'SELECT id FROM "ApiKey" WHERE hash = $1',
        always("c4ca4238a0b923820dcc509a6f75849b"),
        one_of('"ApiKey" (hash)'),
        NONE,
    ),
    Case(
        "an organization by its name",
        "small table",
        'SELECT id FROM "Organization" WHERE lower(name) = $1',
        always("organization 77"),
        one_of('"Organization" (lower(name))'),
        NONE | {"rewrite"},
    ),
    Case(
        "a tenant's transactions of a week",
        "already served",
        'SELECT id, amount FROM "CreditTransaction" WHERE "organizationId" = $1 AND "createdAt" >= $2',
        of_tenant(LATE_AWARE),
        one_of('"CreditTransaction" ("organizationId", "createdAt") INCLUDE (id, amount)'),
        NONE,
    ),
    Case(
        "a tenant's newest transactions",
        "already served",
        'SELECT id, amount FROM "CreditTransaction" WHERE "organizationId" = $1 ORDER BY "createdAt" DESC LIMIT 20',
        of_tenant(),
        one_of('"CreditTransaction" ("organizationId", "createdAt" DESC)'),
        NONE,
    ),
    Case(
        "a generation",
        "already served",
        'SELECT * FROM "Generation" WHERE id = $1',
        always("gen_00123456"),
        one_of('"Generation" (id)'),
        NONE,
    ),
    Case(
        "an account by its address",
        "already served",
        'SELECT id FROM "User" WHERE email = $1',
        always("User.777@Example.com"),
        one_of('"User" (email) INCLUDE (id)'),
        NONE,
    ),
    Case(
        "sessions of a user",
        "redundant",
        'SELECT id, token FROM "Session" WHERE "userId" = $1',
        of_user(),
        one_of('"Session" ("userId")'),
        NONE,
    ),
    Case(
        "a word somewhere",
        "no index of a kind",
        "SELECT id FROM \"Generation\" WHERE prompt LIKE '%zebra%'",
        nothing,
        one_of('"Generation" (prompt text_pattern_ops)'),
        NONE | {"rewrite"},
    ),
    Case(
        "ten at random",
        "no index of a kind",
        'SELECT id FROM "Session" ORDER BY random() LIMIT 10',
        nothing,
        one_of('"Session" (id) INCLUDE (token)'),
        NONE | {"rewrite"},
    ),
    Case(
        "generations joined whole",
        "whole-table join",
        'SELECT g.model, avg(i.height) FROM "Generation" g JOIN "Image" i ON i."generationId" = g.id GROUP BY g.model',
        nothing,
        one_of('"Image" ("generationId")', '"Image" ("generationId") INCLUDE (height)'),
        NONE_OR_TOTAL,
    ),
    Case(
        "half of the time, whole rows",
        "low selectivity",
        'SELECT g.* FROM "Generation" g WHERE g."createdAt" >= $1',
        always(START + timedelta(days=5)),
        one_of('"Generation" ("createdAt")', '"Generation" USING brin ("createdAt")'),
        NONE,
    ),
)
