"""Questions about single generations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from queries.catalog.arguments import checked_page
from queries.catalog.sums import text
from queries.period import Period
from queries.query import catalog_query
from queries.scope import Scope, native_id
from queries.tables import Tables, aware, within

PROMPT_LENGTH = 200


@catalog_query("generations.latest", freshness="live")
def latest(
    tables: Tables, scope: Scope, *, period: Period, offset: int, limit: int, user_id: str | None = None
) -> sa.Select[Any]:
    """generation_id, created_at, user_id, user, type, model, status, credits, duration_ms, prompt (its first 200
    characters), error, images, image_id, image_url (of the generation's first image), total_rows; newest first."""
    checked_page(offset, limit)
    rows = tables.generation
    where = [scope.predicate(rows.c.tenant_id), within(rows.c.created_at, period)]
    if user_id is not None:
        native = native_id(user_id, rows.c.user_id.type)
        users = sa.bindparam(
            "users", [] if native is None else [native], type_=sa.ARRAY(rows.c.user_id.type), unique=True
        )
        where.append(rows.c.user_id == sa.any_(users))
    newest_first = (rows.c.created_at.desc(), rows.c.id.desc())
    page = sa.select(rows).where(*where).order_by(*newest_first).offset(offset).limit(limit).cte("page")
    images = _images(tables, scope, page)
    user = tables.user
    of_user = sa.and_(
        user.c.id == page.c.user_id, user.c.tenant_id == page.c.tenant_id, scope.predicate(user.c.tenant_id)
    )
    of_page = sa.and_(images.c.generation_id == page.c.id, images.c.tenant_id == page.c.tenant_id)
    return (
        sa.select(
            text(page.c.id).label("generation_id"),
            aware(page.c.created_at).label("created_at"),
            text(page.c.user_id).label("user_id"),
            user.c.name.label("user"),
            text(page.c.type).label("type"),
            page.c.model.label("model"),
            text(page.c.status).label("status"),
            page.c.credits_used.label("credits"),
            page.c.duration_ms.label("duration_ms"),
            sa.func.left(page.c.prompt, PROMPT_LENGTH, type_=sa.Text()).label("prompt"),
            page.c.error.label("error"),
            sa.func.coalesce(images.c.images, 0).label("images"),
            text(images.c.image_id).label("image_id"),
            images.c.image_url.label("image_url"),
            sa.select(sa.func.count()).select_from(rows).where(*where).scalar_subquery().label("total_rows"),
        )
        .select_from(page.outerjoin(user, of_user).outerjoin(images, of_page))
        .order_by(page.c.created_at.desc(), page.c.id.desc())
    )


def _images(tables: Tables, scope: Scope, page: sa.CTE) -> sa.CTE:
    """How many images each generation of the page has, and the first of them.

    Looked up by an array and not by a join: only so can an index be used through the views of the second wall.
    """
    image = tables.image
    of_page = sa.func.array(sa.select(page.c.id).scalar_subquery(), type_=sa.ARRAY(page.c.id.type))
    groups = (image.c.tenant_id, image.c.generation_id)
    numbered = (
        sa.select(
            *groups,
            image.c.id.label("image_id"),
            image.c.url.label("image_url"),
            sa.func.count().over(partition_by=groups).label("images"),
            sa.func.row_number().over(partition_by=groups, order_by=image.c.id).label("number"),
        )
        .where(scope.predicate(image.c.tenant_id), image.c.generation_id == sa.any_(of_page))
        .subquery("numbered")
    )
    return sa.select(numbered).where(numbered.c.number == 1).cte("images")
