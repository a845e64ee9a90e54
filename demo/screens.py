"""The application's two busiest screens: credits with their renewal, and the grid of a user's pictures.

Both run a fixed number of statements, whatever they return.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from demo.accepted import aware, one, require_whole
from demo.errors import UserNotFound

MAX_IMAGES_PAGE_ROWS: Final = 100
MAX_PAGE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class UserCredits:
    """What the progress bar and the renewal line need; times are aware UTC."""

    organization_id: str
    balance_credits: int
    allowance_credits: int
    plan: str
    status: str
    renews_at: datetime
    reset_date: datetime


@dataclass(frozen=True, slots=True)
class StoredImage:
    id: str
    url: str | None
    data: bytes | None
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Session:
    """One generation with its pictures; times are aware UTC."""

    id: str
    organization_id: str
    type: str
    model: str
    status: str
    prompt: str
    credits_used: int
    duration_ms: int | None
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    images: tuple[StoredImage, ...]


@dataclass(frozen=True, slots=True)
class ImagesPage:
    """Sessions of one page, newest first; `page` counts from 0, `total` counts all sessions of the user."""

    sessions: tuple[Session, ...]
    page: int
    limit: int
    total: int


def get_user_credits(connection: psycopg.Connection, user_id: str, organization_id: str | None = None) -> UserCredits:
    """Balance, allowance and renewal for a user's own organization, or another where they are a member; one statement.

    Raises UserNotFound.
    """
    with connection.transaction():
        row = one(
            connection,
            """SELECT m."organizationId", b."balance", s."creditsPerPeriod", s."plan"::text, s."status"::text,
                      s."currentPeriodEnd", b."resetDate"
               FROM "User" u
               JOIN "Membership" m ON m."userId" = u."id"
                                  AND m."organizationId" = coalesce(%s::text, u."organizationId")
               JOIN "CreditBalance" b ON b."organizationId" = m."organizationId"
               JOIN "Subscription" s ON s."organizationId" = m."organizationId"
               WHERE u."id" = %s""",
            (organization_id, user_id),
        )
    if row is None:
        raise UserNotFound(user_id)
    organization, balance, allowance, plan, status, renews_at, reset_date = row
    return UserCredits(organization, balance, allowance, plan, status, aware(renews_at), aware(reset_date))


def get_user_images(connection: psycopg.Connection, user_id: str, page: int = 0, limit: int = 10) -> ImagesPage:
    """A page of a user's sessions with their pictures, newest first; two statements whatever the page holds.

    `page` counts from 0, `limit` is 1 to 100 sessions. Raises InvalidRequest or UserNotFound.
    """
    require_whole("page", page, 0, MAX_PAGE)
    require_whole("limit", limit, 1, MAX_IMAGES_PAGE_ROWS)
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        # Total and page come from one statement, so that they are of one moment.
        rows = cursor.execute(
            """SELECT t.total, g."id", g."organizationId", g."type"::text, g."model", g."status"::text, g."prompt",
                      g."creditsUsed", g."durationMs", g."error", g."createdAt", g."completedAt"
               FROM "User" u
               CROSS JOIN LATERAL (SELECT count(*) AS total FROM "Generation" WHERE "userId" = u."id") t
               LEFT JOIN LATERAL (
                   SELECT * FROM "Generation" WHERE "userId" = u."id"
                   ORDER BY "createdAt" DESC, "id" DESC LIMIT %s OFFSET %s
               ) g ON true
               WHERE u."id" = %s
               ORDER BY g."createdAt" DESC, g."id" DESC""",
            (limit, page * limit, user_id),
        ).fetchall()
        if not rows:
            raise UserNotFound(user_id)
        found = [row for row in rows if row[1] is not None]
        images = _images_of(cursor, [row[1] for row in found])
    sessions = tuple(_session(row[1:], tuple(images.get(row[1], ()))) for row in found)
    return ImagesPage(sessions, page, limit, total=rows[0][0])


def _session(row: tuple[Any, ...], images: tuple[StoredImage, ...]) -> Session:
    id, organization_id, type, model, status, prompt, credits, duration_ms, error, created_at, completed_at = row
    finished = None if completed_at is None else aware(completed_at)
    return Session(
        id,
        organization_id,
        type,
        model,
        status,
        prompt,
        credits,
        duration_ms,
        error,
        aware(created_at),
        finished,
        images,
    )


def _images_of(cursor: psycopg.Cursor[Any], generation_ids: list[str]) -> dict[str, list[StoredImage]]:
    cursor.execute(
        """SELECT "generationId", "id", "url", "data", "sizeBytes", "width", "height" FROM "Image"
           WHERE "generationId" = ANY(%s) ORDER BY "id" """,
        (generation_ids,),
    )
    images: dict[str, list[StoredImage]] = {}
    for generation_id, *fields in cursor:
        images.setdefault(generation_id, []).append(StoredImage(*fields))
    return images
