"""Aggregates that an index can carry alone, and predicates that must be written otherwise first."""

from __future__ import annotations

from datetime import UTC, date, timedelta

from benchmarks.truth.case import Candidate, Case, Values, always, nothing, of_tenant, one_of
from benchmarks.truth.ground import END, START
from benchmarks.truth.lookups import BY_TENANT_AND_TIME

MIDDLE = START + timedelta(days=50)
MIDDLE_AWARE = MIDDLE.replace(tzinfo=UTC)
DAY = timedelta(days=1)


def _day_after_last(values: Values) -> Values:
    return (*values, values[-1] + DAY)


CASES = (
    Case(
        "credits of a tenant's month",
        "INCLUDE",
        'SELECT sum("creditsUsed") FROM "Generation"'
        ' WHERE "organizationId" = $1 AND "createdAt" >= $2 AND "createdAt" < $3',
        of_tenant(MIDDLE, MIDDLE + timedelta(days=30)),
        one_of('"Generation" ("organizationId", "createdAt") INCLUDE ("creditsUsed")', BY_TENANT_AND_TIME),
    ),
    Case(
        "failures of a tenant counted",
        "count",
        'SELECT count(*) FROM "Generation" WHERE "organizationId" = $1 AND status = \'FAILED\'',
        of_tenant(),
        one_of(
            '"Generation" ("organizationId", status)',
            '"Generation" ("organizationId") WHERE status = \'FAILED\'',
            '"Generation" ("organizationId")',
        ),
    ),
    Case(
        "failed of all in a week",
        "count with filter",
        "SELECT count(*) FILTER (WHERE status = 'FAILED'), count(*) FROM \"Generation\""
        ' WHERE "organizationId" = $1 AND "createdAt" >= $2',
        of_tenant(END - timedelta(days=7)),
        one_of('"Generation" ("organizationId", "createdAt") INCLUDE (status)', BY_TENANT_AND_TIME),
    ),
    Case(
        "users of a tenant's month",
        "INCLUDE",
        'SELECT "userId", count(*) FROM "Generation" WHERE "organizationId" = $1 AND "createdAt" >= $2'
        ' GROUP BY "userId"',
        of_tenant(END - timedelta(days=30)),
        one_of('"Generation" ("organizationId", "createdAt") INCLUDE ("userId")', BY_TENANT_AND_TIME),
    ),
    Case(
        "days of a tenant",
        "date function",
        'SELECT date_trunc(\'day\', "createdAt") AS day, count(*) FROM "Generation"'
        ' WHERE "organizationId" = $1 AND "createdAt" >= $2 GROUP BY 1 ORDER BY 1',
        of_tenant(END - timedelta(days=30)),
        one_of(BY_TENANT_AND_TIME),
    ),
    Case(
        "models of a tenant",
        "skew",
        'SELECT model, avg("durationMs") FROM "Generation" WHERE "organizationId" = $1 GROUP BY model',
        of_tenant(),
        one_of('"Generation" ("organizationId") INCLUDE (model, "durationMs")', '"Generation" ("organizationId")'),
    ),
    Case(
        "long prompts of a tenant",
        "skew",
        'SELECT count(*) FROM "Generation" WHERE "organizationId" = $1 AND length(prompt) > 150',
        of_tenant(),
        one_of('"Generation" ("organizationId")'),
    ),
    Case(
        "address whatever its case",
        "expression",
        'SELECT id, name FROM "User" WHERE lower(email) = $1',
        always("user.4711@example.com"),
        one_of('"User" (lower(email))'),
        verdicts=frozenset({"create_index", "rewrite"}),
    ),
    Case(
        "a day, truncated",
        "rewrite",
        'SELECT id, model FROM "Generation" WHERE date_trunc(\'day\', "createdAt") = $1',
        always(MIDDLE),
        (
            Candidate(
                ('"Generation" ("createdAt")',),
                'SELECT id, model FROM "Generation" WHERE "createdAt" >= $1 AND "createdAt" < $2',
                _day_after_last,
            ),
            Candidate(('"Generation" (date_trunc(\'day\', "createdAt"))',)),
        ),
        verdicts=frozenset({"rewrite", "create_index"}),
    ),
    Case(
        "a tenant's day, cast",
        "rewrite",
        'SELECT id, amount FROM "CreditTransaction" WHERE "organizationId" = $1 AND "createdAt"::date = $2',
        of_tenant(date(2026, 2, 20)),
        (
            Candidate(
                (),
                'SELECT id, amount FROM "CreditTransaction" WHERE "organizationId" = $1 AND "createdAt" >= $2::date'
                ' AND "createdAt" < $3::date',
                _day_after_last,
            ),
        ),
        verdicts=frozenset({"rewrite"}),
    ),
    Case(
        "a month, extracted",
        "rewrite",
        'SELECT count(*) FROM "CreditTransaction" WHERE "organizationId" = $1'
        ' AND extract(year FROM "createdAt") = 2026 AND extract(month FROM "createdAt") = 2',
        of_tenant(),
        (
            Candidate(
                (),
                'SELECT count(*) FROM "CreditTransaction" WHERE "organizationId" = $1'
                " AND \"createdAt\" >= '2026-02-01 00:00+00' AND \"createdAt\" < '2026-03-01 00:00+00'",
            ),
        ),
        verdicts=frozenset({"rewrite", "none"}),
    ),
    Case(
        "seconds, divided",
        "rewrite",
        'SELECT id FROM "Generation" WHERE "durationMs" / 1000 >= 40',
        nothing,
        (
            Candidate(('"Generation" ("durationMs")',), 'SELECT id FROM "Generation" WHERE "durationMs" >= 40000'),
            Candidate(('"Generation" (("durationMs" / 1000))',)),
        ),
        verdicts=frozenset({"rewrite", "create_index"}),
    ),
    Case(
        "a week added to the column",
        "rewrite",
        'SELECT id FROM "Session" WHERE "expiresAt" + interval \'7 days\' < $1',
        always(MIDDLE_AWARE - timedelta(days=40)),
        (
            Candidate(
                ('"Session" ("expiresAt")',),
                'SELECT id FROM "Session" WHERE "expiresAt" < $1::timestamptz - interval \'7 days\'',
            ),
        ),
        verdicts=frozenset({"rewrite"}),
    ),
    Case(
        "finished or else begun",
        "expression",
        'SELECT id FROM "Generation" WHERE coalesce("completedAt", "createdAt") >= $1',
        always(END - timedelta(hours=1)),
        one_of('"Generation" (coalesce("completedAt", "createdAt"))'),
        verdicts=frozenset({"create_index", "rewrite"}),
    ),
    Case(
        "an id as text",
        "rewrite",
        'SELECT amount FROM "CreditTransaction" WHERE id::text = $1',
        always("123456"),
        (
            Candidate((), 'SELECT amount FROM "CreditTransaction" WHERE id = $1::text::bigint'),
            Candidate(('"CreditTransaction" ((id::text))',)),
        ),
        verdicts=frozenset({"rewrite"}),
    ),
)
