"""What the demo application does to its database; each operation is one transaction.

Locks are taken in one order everywhere: the "Generation" that is finished, then the organization's "CreditBalance",
then "UsageLimit"; new rows come last. Callers of one organization therefore queue at its balance row and never
deadlock. Every operation takes the clock as `now` (aware; the current time when left out) and raises `DemoError`s,
after which nothing of it is written. The two readers, re-exported here, live in `screens`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import psycopg

from demo.accepted import new_id, one, require_credits, require_movement, require_type, stored_time
from demo.errors import (
    AlreadyFinished,
    CreditsExhausted,
    GenerationNotFound,
    NotAMember,
    NotDue,
    OrganizationNotFound,
    QuotaReached,
)
from demo.screens import ImagesPage, Session, StoredImage, UserCredits, get_user_credits, get_user_images

__all__ = [
    "DEFAULT_QUOTAS",
    "ImagesPage",
    "NewImage",
    "Session",
    "StoredImage",
    "UserCredits",
    "add_credits",
    "complete_generation",
    "create_generation",
    "deduct_credits",
    "fail_generation",
    "get_user_credits",
    "get_user_images",
    "renew_subscription",
    "start_generation",
]

DEFAULT_QUOTAS: Final[dict[str, int]] = {"FREE": 25, "STARTER": 100, "PRO": 400, "BUSINESS": 2000}
"""Generations per type and UTC day of an organization that has no "UsageLimit" row of that type yet, by plan."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """A picture to store: either where it lies, or its bytes."""

    url: str | None
    data: bytes | None
    size_bytes: int
    width: int
    height: int


def create_generation(
    connection: psycopg.Connection,
    organization_id: str,
    user_id: str,
    type: str,
    model: str,
    prompt: str,
    credits: int,
    *,
    now: datetime | None = None,
) -> str:
    """Id of a new PENDING generation, after taking its credits and counting it against the day's quota.

    Raises NotAMember, OrganizationNotFound, CreditsExhausted, QuotaReached or InvalidRequest.
    """
    created_at = stored_time(now)
    require_credits(credits)
    require_type(type)
    generation_id = new_id("gen", created_at)
    with connection.transaction():
        _require_member(connection, user_id, organization_id)
        _take_credits(connection, organization_id, credits, created_at)
        _count_against_quota(connection, organization_id, type, created_at)
        connection.execute(
            """INSERT INTO "Generation" ("id", "userId", "organizationId", "type", "model", "status", "creditsUsed",
                   "prompt", "createdAt", "updatedAt")
               VALUES (%s, %s, %s, %s::"GenerationType", %s, 'PENDING', %s, %s, %s, %s)""",
            (generation_id, user_id, organization_id, type, model, credits, prompt, created_at, created_at),
        )
        _post(connection, organization_id, user_id, generation_id, "CHARGE", -credits, created_at, "generation")
    return generation_id


def start_generation(connection: psycopg.Connection, generation_id: str, *, now: datetime | None = None) -> None:
    """Move a PENDING generation to PROCESSING; raises GenerationNotFound or AlreadyFinished."""
    with connection.transaction():
        row = one(
            connection,
            """UPDATE "Generation" SET "status" = 'PROCESSING', "updatedAt" = %s
               WHERE "id" = %s AND "status" IN ('PENDING', 'PROCESSING') RETURNING 1""",
            (stored_time(now), generation_id),
        )
        if row is None:
            raise _why_not_finishable(connection, generation_id)


def complete_generation(
    connection: psycopg.Connection,
    generation_id: str,
    images: Sequence[NewImage],
    *,
    duration_ms: int | None = None,
    now: datetime | None = None,
) -> None:
    """Mark a generation SUCCEEDED and store its pictures; the duration is measured from createdAt when left out.

    What hung for longer than "durationMs" can say (24.8 days) gets its largest value.
    Raises GenerationNotFound or AlreadyFinished.
    """
    completed_at = stored_time(now)
    with connection.transaction():
        row = one(
            connection,
            """UPDATE "Generation" SET "status" = 'SUCCEEDED', "completedAt" = %(at)s, "updatedAt" = %(at)s,
                   "durationMs" = coalesce(%(ms)s::integer,
                       least(2147483647, greatest(0, round(1000 * extract(epoch FROM %(at)s - "createdAt"))))::integer)
               WHERE "id" = %(id)s AND "status" IN ('PENDING', 'PROCESSING') RETURNING "organizationId" """,
            {"at": completed_at, "ms": duration_ms, "id": generation_id},
        )
        if row is None:
            raise _why_not_finishable(connection, generation_id)
        with connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO "Image" ("id", "generationId", "organizationId", "url", "data", "sizeBytes", "width",
                       "height", "createdAt") VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    (
                        new_id("img", completed_at),
                        generation_id,
                        row[0],
                        image.url,
                        image.data,
                        image.size_bytes,
                        image.width,
                        image.height,
                        completed_at,
                    )
                    for image in images
                ],
            )


def fail_generation(
    connection: psycopg.Connection, generation_id: str, error: str, *, now: datetime | None = None
) -> int:
    """Mark a generation FAILED and give its credits back once; returns the balance in credits.

    Raises GenerationNotFound or AlreadyFinished, so that nobody is refunded twice.
    """
    completed_at = stored_time(now)
    with connection.transaction():
        row = one(
            connection,
            """UPDATE "Generation" SET "status" = 'FAILED', "error" = %(error)s, "completedAt" = %(at)s,
                   "updatedAt" = %(at)s,
                   "durationMs" = least(2147483647,
                       greatest(0, round(1000 * extract(epoch FROM %(at)s - "createdAt"))))::integer
               WHERE "id" = %(id)s AND "status" IN ('PENDING', 'PROCESSING')
               RETURNING "organizationId", "userId", "creditsUsed" """,
            {"error": error, "at": completed_at, "id": generation_id},
        )
        if row is None:
            raise _why_not_finishable(connection, generation_id)
        organization_id, user_id, credits = row
        _post(connection, organization_id, user_id, generation_id, "REFUND", credits, completed_at, "failed generation")
        return _change_balance(connection, organization_id, credits, completed_at)


def deduct_credits(
    connection: psycopg.Connection,
    organization_id: str,
    user_id: str | None,
    credits: int,
    description: str,
    *,
    now: datetime | None = None,
) -> int:
    """Take credits that belong to no generation, posted as an ADJUSTMENT; returns the balance left.

    It is no CHARGE, since burn is what generations cost. Raises OrganizationNotFound, CreditsExhausted, InvalidRequest.
    """
    posted_at = stored_time(now)
    require_credits(credits)
    with connection.transaction():
        balance = _take_credits(connection, organization_id, credits, posted_at)
        _post(connection, organization_id, user_id, None, "ADJUSTMENT", -credits, posted_at, description)
    return balance


def add_credits(
    connection: psycopg.Connection,
    organization_id: str,
    type: str,
    amount: int,
    *,
    user_id: str | None = None,
    price_paid: Decimal | None = None,
    currency: str | None = None,
    description: str | None = None,
    now: datetime | None = None,
) -> int:
    """Post a GRANT, PURCHASE (with price and currency), ADJUSTMENT or EXPIRY; returns the balance.

    `amount` is signed as in the ledger: grants and purchases positive, expiries negative, adjustments either. An expiry
    cannot take more than is there; a negative adjustment (a chargeback) can. Raises OrganizationNotFound,
    CreditsExhausted or InvalidRequest.
    """
    posted_at = stored_time(now)
    require_movement(type, amount, price_paid, currency)
    with connection.transaction():
        if type == "EXPIRY":
            balance = _take_credits(connection, organization_id, -amount, posted_at)
        else:
            balance = _change_balance(connection, organization_id, amount, posted_at)
        _post(connection, organization_id, user_id, None, type, amount, posted_at, description, (price_paid, currency))
    return balance


def renew_subscription(connection: psycopg.Connection, organization_id: str, *, now: datetime | None = None) -> int:
    """Begin the next monthly period of a TRIALING or ACTIVE subscription that has ended; returns the balance.

    Grants the period's credits. Raises OrganizationNotFound, or NotDue when the period runs still.
    """
    posted_at = stored_time(now)
    with connection.transaction():
        # The balance row first: the same order as every other operation.
        _change_balance(connection, organization_id, 0, posted_at)
        row = one(
            connection,
            """UPDATE "Subscription" SET "currentPeriodStart" = "currentPeriodEnd", "status" = 'ACTIVE',
                   "currentPeriodEnd" = "currentPeriodEnd" + interval '1 month', "updatedAt" = %(at)s
               WHERE "organizationId" = %(id)s AND "currentPeriodEnd" <= %(at)s AND "status" IN ('TRIALING', 'ACTIVE')
               RETURNING "creditsPerPeriod", "currentPeriodEnd" """,
            {"at": posted_at, "id": organization_id},
        )
        if row is None:
            end = one(
                connection,
                'SELECT "currentPeriodEnd" FROM "Subscription" WHERE "organizationId" = %s',
                (organization_id,),
            )
            raise NotDue(organization_id, end[0] if end else None)
        _post(connection, organization_id, None, None, "GRANT", row[0], posted_at, "monthly credits")
        connection.execute(
            'UPDATE "CreditBalance" SET "resetDate" = %s WHERE "organizationId" = %s', (row[1], organization_id)
        )
        return _change_balance(connection, organization_id, row[0], posted_at)


def _take_credits(connection: psycopg.Connection, organization_id: str, credits: int, at: datetime) -> int:
    """Balance after a decrement that happens only when the credits are there: check and take are one statement."""
    row = one(
        connection,
        """UPDATE "CreditBalance" SET "balance" = "balance" - %s, "updatedAt" = greatest("updatedAt", %s)
           WHERE "organizationId" = %s AND "balance" >= %s RETURNING "balance" """,
        (credits, at, organization_id, credits),
    )
    if row is not None:
        return int(row[0])
    left = one(connection, 'SELECT "balance" FROM "CreditBalance" WHERE "organizationId" = %s', (organization_id,))
    if left is None:
        raise OrganizationNotFound(organization_id)
    raise CreditsExhausted(left[0], credits)


def _change_balance(connection: psycopg.Connection, organization_id: str, amount: int, at: datetime) -> int:
    row = one(
        connection,
        """UPDATE "CreditBalance" SET "balance" = "balance" + %s, "updatedAt" = greatest("updatedAt", %s)
           WHERE "organizationId" = %s RETURNING "balance" """,
        (amount, at, organization_id),
    )
    if row is None:
        raise OrganizationNotFound(organization_id)
    return int(row[0])


def _count_against_quota(connection: psycopg.Connection, organization_id: str, type: str, at: datetime) -> None:
    """Count one generation; the first of a day brings the organization's latest limit of that type along."""
    limit = _usual_limit(connection, organization_id, type)
    row = one(
        connection,
        """INSERT INTO "UsageLimit" AS l ("id", "organizationId", "type", "date", "count", "limit")
           SELECT %(id)s, %(org)s, %(type)s::"GenerationType", %(day)s, 1, %(limit)s::integer WHERE %(limit)s > 0
           ON CONFLICT ("organizationId", "type", "date") DO UPDATE SET "count" = l."count" + 1
           WHERE l."count" < l."limit" RETURNING l."count" """,
        {"id": new_id("lim", at), "org": organization_id, "type": type, "day": at.date(), "limit": limit},
    )
    if row is None:
        raise QuotaReached(type, at.date(), limit)


def _usual_limit(connection: psycopg.Connection, organization_id: str, type: str) -> int:
    row = one(
        connection,
        """SELECT (SELECT "limit" FROM "UsageLimit"
                   WHERE "organizationId" = %(org)s AND "type" = %(type)s::"GenerationType"
                   ORDER BY "date" DESC LIMIT 1),
                  (SELECT "plan"::text FROM "Subscription" WHERE "organizationId" = %(org)s)""",
        {"org": organization_id, "type": type},
    )
    assert row is not None, "a SELECT without FROM returns one row"
    limit, plan = row
    return int(limit) if limit is not None else DEFAULT_QUOTAS[plan or "FREE"]


def _post(
    connection: psycopg.Connection,
    organization_id: str,
    user_id: str | None,
    generation_id: str | None,
    type: str,
    amount: int,
    at: datetime,
    description: str | None,
    price: tuple[Decimal | None, str | None] = (None, None),
) -> None:
    """Write one row of the ledger."""
    connection.execute(
        """INSERT INTO "CreditTransaction" ("id", "organizationId", "userId", "generationId", "type", "amount",
               "pricePaid", "currency", "description", "createdAt")
           VALUES (%s, %s, %s, %s, %s::"CreditTransactionType", %s, %s, %s, %s, %s)""",
        (new_id("txn", at), organization_id, user_id, generation_id, type, amount, *price, description, at),
    )


def _require_member(connection: psycopg.Connection, user_id: str, organization_id: str) -> None:
    member = one(
        connection,
        'SELECT 1 FROM "Membership" WHERE "userId" = %s AND "organizationId" = %s',
        (user_id, organization_id),
    )
    if member is None:
        raise NotAMember(user_id, organization_id)


def _why_not_finishable(connection: psycopg.Connection, generation_id: str) -> GenerationNotFound | AlreadyFinished:
    row = one(connection, 'SELECT "status"::text FROM "Generation" WHERE "id" = %s', (generation_id,))
    return GenerationNotFound(generation_id) if row is None else AlreadyFinished(generation_id, row[0])
