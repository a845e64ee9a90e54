"""The types of columns as statements see them: times that know whether they have a zone, and Prisma's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect


# `dialect` below is not used: the signatures are SQLAlchemy's.
class NaiveUtc(sa.types.TypeDecorator[datetime]):
    """`timestamp` without zone that holds UTC, as Prisma writes it. An aware parameter is refused:
    PostgreSQL would compare it through the connection's zone without a word."""

    impl = sa.TIMESTAMP
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is not None:
            raise ValueError("an aware time for a column without zone; convert it to naive UTC first")
        return value


class AwareTime(sa.types.TypeDecorator[datetime]):
    """`timestamptz`. A naive parameter is refused, for the same reason."""

    impl = sa.TIMESTAMP(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive time for a column with zone; make it aware first")
        return value


def ours(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The live catalog's type with times made strict: the same whether a table, its SELECT or the view of it was
    asked."""
    if isinstance(type_, postgresql.DOMAIN):
        return ours(type_.data_type)
    if isinstance(type_, sa.TIMESTAMP):
        return AwareTime() if type_.timezone else NaiveUtc()
    if isinstance(type_, sa.Float):
        return sa.Double()
    return sa.Text() if isinstance(type_, sa.VARCHAR) else type_


def cast_to(key: str, type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any] | None:
    """What a column of this type has to be cast to before a statement can do with it what it does with this logical
    column: credits are exact, and names are texts. None where it can stay as it is."""
    if key in _EXACT and isinstance(type_, sa.Float | postgresql.MONEY):
        return sa.Numeric()
    is_text = isinstance(type_, sa.String | sa.Enum)
    is_code = key in _CODES and isinstance(type_, sa.Integer | sa.Numeric | sa.Boolean)
    return sa.Text() if (key in _TEXTS or key in _CODES) and not is_text and not is_code else None


_EXACT = ("credits_used", "amount", "balance", "price_paid", "credits_per_period")
_TEXTS = ("name", "email", "role", "plan", "model", "prompt", "error", "url", "currency")
# These may be numbers too, which a mapping gives their meaning.
_CODES = ("type", "status")
TIMES = ("created_at", "updated_at", "completed_at", "period_start", "period_end", "reset_at")
_INTEGERS = ("credits_per_period", "balance", "amount", "count", "limit", "credits_used", "duration_ms", "size_bytes")
_ENUMS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("generation", "type"): ("GenerationType", ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE")),
    ("usage_limit", "type"): ("GenerationType", ("TEXT_TO_IMAGE", "IMAGE_TO_IMAGE", "INPAINTING", "UPSCALE")),
    ("generation", "status"): ("GenerationStatus", ("PENDING", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELLED")),
    ("subscription", "plan"): ("Plan", ("FREE", "STARTER", "PRO", "BUSINESS")),
    ("subscription", "status"): ("SubscriptionStatus", ("TRIALING", "ACTIVE", "PAST_DUE", "CANCELED")),
    ("membership", "role"): ("MembershipRole", ("OWNER", "ADMIN", "MEMBER")),
    ("credit_transaction", "type"): (
        "CreditTransactionType",
        ("GRANT", "PURCHASE", "CHARGE", "REFUND", "ADJUSTMENT", "EXPIRY"),
    ),
}


def default_type(table: str, column: str) -> sa.types.TypeEngine[Any]:
    """The type that Prisma gives this logical column."""
    if (table, column) in _ENUMS:
        name, labels = _ENUMS[table, column]
        return postgresql.ENUM(*labels, name=name, create_type=False)
    if column in TIMES:
        return NaiveUtc()
    if column in _INTEGERS:
        return sa.Integer()
    special: dict[str, sa.types.TypeEngine[Any]] = {
        "date": sa.Date(),
        "data": sa.LargeBinary(),
        "price_paid": sa.Numeric(12, 2),
    }
    return special.get(column, sa.Text())
