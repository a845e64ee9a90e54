"""The default mapping as plain data: Prisma's model names as table names, camelCase columns."""

from __future__ import annotations

# Logical table -> (physical table, logical column -> physical column). The tenant column of each is `tenant_id`.
PRISMA: dict[str, tuple[str, dict[str, str]]] = {
    "organization": (
        "Organization",
        {"tenant_id": "id", "name": "name", "created_at": "createdAt"},
    ),
    "user": (
        "User",
        {"id": "id", "tenant_id": "organizationId", "email": "email", "name": "name", "created_at": "createdAt"},
    ),
    "membership": (
        "Membership",
        {"user_id": "userId", "tenant_id": "organizationId", "role": "role", "created_at": "createdAt"},
    ),
    "subscription": (
        "Subscription",
        {
            "tenant_id": "organizationId",
            "plan": "plan",
            "status": "status",
            "period_start": "currentPeriodStart",
            "period_end": "currentPeriodEnd",
            "credits_per_period": "creditsPerPeriod",
        },
    ),
    "credit_balance": (
        "CreditBalance",
        {"tenant_id": "organizationId", "balance": "balance", "reset_at": "resetDate", "updated_at": "updatedAt"},
    ),
    "credit_transaction": (
        "CreditTransaction",
        {
            "id": "id",
            "tenant_id": "organizationId",
            "user_id": "userId",
            "generation_id": "generationId",
            "type": "type",
            "amount": "amount",
            "price_paid": "pricePaid",
            "currency": "currency",
            "created_at": "createdAt",
        },
    ),
    "usage_limit": (
        "UsageLimit",
        {"tenant_id": "organizationId", "type": "type", "date": "date", "count": "count", "limit": "limit"},
    ),
    "generation": (
        "Generation",
        {
            "id": "id",
            "user_id": "userId",
            "tenant_id": "organizationId",
            "type": "type",
            "model": "model",
            "status": "status",
            "credits_used": "creditsUsed",
            "duration_ms": "durationMs",
            "prompt": "prompt",
            "error": "error",
            "created_at": "createdAt",
            "completed_at": "completedAt",
            "updated_at": "updatedAt",
        },
    ),
    "image": (
        "Image",
        {
            "id": "id",
            "generation_id": "generationId",
            "tenant_id": "organizationId",
            "url": "url",
            "data": "data",
            "size_bytes": "sizeBytes",
            "created_at": "createdAt",
        },
    ),
}

# Logical value -> their values. A value that the live enum does not have is left out of statements.
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "generation_status": {
        "succeeded": ("SUCCEEDED",),
        "failed": ("FAILED",),
        "cancelled": ("CANCELLED",),
        "unfinished": ("PENDING", "PROCESSING"),
    },
    "transaction_type": {
        "granted": ("GRANT",),
        "purchased": ("PURCHASE",),
        "burned": ("CHARGE",),
        "refunded": ("REFUND",),
        "adjusted": ("ADJUSTMENT",),
        "expired": ("EXPIRY",),
    },
    # Who pays on: these subscriptions start a new period when the current one ends.
    "subscription_status": {"renewing": ("ACTIVE", "TRIALING", "PAST_DUE")},
}

# Without these a table says nothing; every other table and column may be missing.
REQUIRED_TABLES = ("generation", "organization")
REQUIRED_COLUMNS: dict[str, tuple[str, ...]] = {"generation": ("id", "tenant_id", "created_at")}
# A row that belongs to no tenant can be shown to nobody.
REQUIRED_IN_EACH = ("tenant_id",)


def required(logical: str) -> tuple[str, ...]:
    """The columns that the logical table must have, unless the whole table is missing."""
    return REQUIRED_COLUMNS.get(logical, REQUIRED_IN_EACH)
