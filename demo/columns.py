"""Turns drawn columns into Arrow tables with the columns of the database, in its order.

Times are `timestamp[ms]` without zone holding UTC; credits are int64, prices decimal128(12, 2).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.activity import ERRORS, FAILED, MODELS, PENDING, STATUSES, SUCCEEDED, TYPES, Drawn, IntArray
from demo.ledger import Posting
from demo.people import users
from demo.pictures import PICTURE_SIDE, png
from demo.prompts import prompts
from demo.tenants import PERSONAS, stable_id

TIME: Final = pa.timestamp("ms")
PRICE: Final = pa.decimal128(12, 2)
INLINE_PICTURES: Final = 200
PICTURE_SIDES: Final = (1024, 768, 1024, 1536, 1024, 2048)  # by model


def times(milliseconds: IntArray) -> pa.Array:
    """UTC milliseconds as timestamps, -1 as null."""
    return pa.array(milliseconds, mask=milliseconds < 0).cast(TIME)


def named(labels: Sequence[str], positions: IntArray) -> pa.Array:
    """The label at each position, -1 as null."""
    return pa.array(labels, pa.string()).take(pa.array(positions, mask=positions < 0))


def time_ids(prefix: str, milliseconds: IntArray, numbers: IntArray) -> pa.Array:
    """Ids that sort by time, then by number; unique when the numbers are."""

    def digits(values: IntArray, width: int) -> pa.Array:
        return pc.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")

    return pc.binary_join_element_wise(f"{prefix}_", digits(milliseconds, 13), digits(numbers, 12), "")


def organization_ids(tenant: IntArray) -> pa.Array:
    return named([persona.organization_id for persona in PERSONAS], tenant)


def user_ids(user: IntArray) -> pa.Array:
    return named([person.id for person in users()], user)


def generation_ids(drawn: Drawn) -> pa.Array:
    return time_ids("gen", drawn.created_ms, np.arange(len(drawn)))


def generation_table(drawn: Drawn) -> pa.Table:
    """Rows of "Generation", oldest first."""
    finished = drawn.completed_ms >= 0
    duration = drawn.completed_ms - drawn.created_ms
    updated = np.where(finished, drawn.completed_ms, drawn.created_ms + np.where(drawn.status == PENDING, 0, 400))
    return pa.table(
        {
            "id": generation_ids(drawn),
            "userId": user_ids(drawn.user),
            "organizationId": organization_ids(drawn.tenant),
            "type": named(TYPES, drawn.type),
            "model": named(MODELS, drawn.model),
            "status": named(STATUSES, drawn.status),
            "creditsUsed": drawn.credits,
            "durationMs": pa.array(duration, mask=~finished),
            "prompt": named(prompts(), drawn.prompt),
            "error": named(ERRORS, drawn.error),
            "createdAt": times(drawn.created_ms),
            "completedAt": times(drawn.completed_ms),
            "updatedAt": times(updated),
        }
    )


def image_table(drawn: Drawn, rng: np.random.Generator) -> pa.Table:
    """Rows of "Image" for what succeeded; the latest carry their bytes, all others a url."""
    done = np.flatnonzero(drawn.status == SUCCEEDED)
    done = done[np.argsort(drawn.completed_ms[done], kind="stable")]
    owner = np.repeat(done, drawn.images[done])
    count, inline = len(owner), min(INLINE_PICTURES, len(owner))
    side = np.array(PICTURE_SIDES)[drawn.model[owner]]
    size = (side * side * rng.lognormal(-0.4, 0.35, count)).astype(np.int64)
    pictures = [png(number) for number in range(inline)]
    side[count - inline :] = PICTURE_SIDE
    size[count - inline :] = [len(picture) for picture in pictures]
    id = time_ids("img", drawn.completed_ms[owner], np.arange(count))
    has_url = pa.array(np.arange(count) < count - inline)
    url = pc.binary_join_element_wise("https://images.demo.invalid/", id, ".png", "")
    return pa.table(
        {
            "id": id,
            "generationId": generation_ids(drawn).take(pa.array(owner)),
            "organizationId": organization_ids(drawn.tenant[owner]),
            "url": pc.if_else(has_url, url, pa.scalar(None, pa.string())),
            "data": pa.array([None] * (count - inline) + pictures, pa.binary()),
            "sizeBytes": size,
            "width": side,
            "height": side,
            "createdAt": times(drawn.completed_ms[owner]),
        }
    )


def transaction_table(drawn: Drawn, postings: Sequence[tuple[int, Posting]]) -> pa.Table:
    """Rows of "CreditTransaction" in the order of posting: postings by tenant, every charge, every refund."""
    everyone = np.arange(len(drawn))
    failed = np.flatnonzero(drawn.status == FAILED)
    generation = np.concatenate([np.full(len(postings), -1), everyone, failed])
    tenant = np.concatenate([[position for position, _ in postings], drawn.tenant, drawn.tenant[failed]])
    user = np.concatenate([np.full(len(postings), -1), drawn.user, drawn.user[failed]])
    posted = [entry for _, entry in postings]
    moments = np.concatenate([[p.posted_ms for p in posted], drawn.created_ms, drawn.completed_ms[failed]])
    amount = np.concatenate([[p.amount for p in posted], -drawn.credits, drawn.credits[failed]])
    order = np.argsort(moments.astype(np.int64), kind="stable")
    repeats = (len(drawn), len(failed))
    table = pa.table(
        {
            "organizationId": organization_ids(tenant.astype(np.int64)),
            "userId": user_ids(user),
            "generationId": generation_ids(drawn).take(pa.array(generation, mask=generation < 0)),
            "type": _spread([p.type for p in posted], ("CHARGE", "REFUND"), repeats, pa.string()),
            "amount": amount.astype(np.int64),
            "pricePaid": _spread([p.price for p in posted], (None, None), repeats, PRICE),
            "currency": _spread([_currency(*entry) for entry in postings], (None, None), repeats, pa.string()),
            "description": _spread(
                [p.description for p in posted], ("generation", "failed generation"), repeats, pa.string()
            ),
            "createdAt": times(moments.astype(np.int64)),
        }
    ).take(pa.array(order))
    return table.add_column(0, "id", time_ids("txn", moments[order].astype(np.int64), np.arange(len(order))))


def usage_limit_table(keys: IntArray, counts: IntArray, limits: IntArray) -> pa.Table:
    """Rows of "UsageLimit" for quota keys as `Arrivals.quota_keys` makes them; `limits` is per tenant and type."""
    rest, type = np.divmod(keys, len(TYPES))
    day, tenant = np.divmod(rest, len(PERSONAS))
    ids = [
        stable_id("lim", PERSONAS[t].slug, TYPES[k], d)
        for t, k, d in zip(tenant.tolist(), type.tolist(), day.tolist(), strict=True)
    ]
    return pa.table(
        {
            "id": ids,
            "organizationId": organization_ids(tenant),
            "type": named(TYPES, type),
            "date": pa.array(day.astype(np.int32)).cast(pa.date32()),
            "count": counts,
            "limit": limits[tenant, type],
        }
    )


def _currency(tenant: int, posting: Posting) -> str | None:
    return PERSONAS[tenant].currency if posting.price is not None else None


def _spread(
    posted: Sequence[str | Decimal | None],
    constants: tuple[str | None, str | None],
    repeats: tuple[int, int],
    type: pa.DataType,
) -> pa.Array:
    """Values of the postings, then one constant for all charges and one for all refunds."""
    rest = [pa.repeat(pa.scalar(value, type), count) for value, count in zip(constants, repeats, strict=True)]
    return pa.concat_arrays([pa.array(posted, type), *rest])
