"""Our names for the application's tables and columns, and theirs. Names come from here, types from the live catalog.

The default is Prisma's: model names as table names, camelCase columns. A TOML file (setting MAPPING_FILE) may say
otherwise, table by table:

    [tables.generation]
    schema = "public"
    name = "Generation"
    columns = { tenant_id = "organizationId", created_at = "createdAt" }

    [values.generation_status]
    succeeded = ["SUCCEEDED", "COMPLETED"]
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from queries.errors import MappingError

# Logical table -> (physical table, logical column -> physical column). The tenant column of each is `tenant_id`.
_PRISMA: dict[str, tuple[str, dict[str, str]]] = {
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
_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
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


@dataclass(frozen=True)
class TableMapping:
    """Where one logical table is: its schema, its name, and logical to physical column names."""

    schema: str
    name: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Mapping:
    """All names and values; `digest` tells two mappings apart in cache keys."""

    tables: dict[str, TableMapping]
    values: dict[str, dict[str, tuple[str, ...]]]

    @cached_property
    def digest(self) -> str:
        plain = {
            "tables": {k: [v.schema, v.name, v.columns] for k, v in self.tables.items()},
            "values": self.values,
        }
        return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=6).hexdigest()


def prisma_mapping() -> Mapping:
    """The default: Prisma's names in the schema public."""
    return Mapping({k: TableMapping("public", name, dict(c)) for k, (name, c) in _PRISMA.items()}, dict(_VALUES))


def load_mapping(path: Path | None) -> Mapping:
    """The default with what the TOML file says instead; MappingError names what it does not know."""
    if path is None:
        return prisma_mapping()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise MappingError(
            f"the mapping file {path.name} cannot be read: {error}; correct it or MAPPING_FILE"
        ) from error
    base = prisma_mapping()
    tables = {name: _table(name, base.tables, given) for name, given in _section(document, "tables").items()}
    values = {name: _value_map(name, base.values, given) for name, given in _section(document, "values").items()}
    return Mapping({**base.tables, **tables}, {**base.values, **values})


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict) or not all(isinstance(one, dict) for one in section.values()):
        raise MappingError(f"[{name}] in the mapping file is not a table of tables; write [{name}.generation]")
    return section


def _table(logical: str, known: dict[str, TableMapping], given: dict[str, Any]) -> TableMapping:
    if logical not in known:
        raise MappingError(f"the mapping file names a table {logical!r}; known are {', '.join(sorted(known))}")
    base = known[logical]
    columns = dict(given.get("columns", {}))
    unknown = set(columns) - set(base.columns)
    if unknown:
        raise MappingError(
            f"the mapping file names columns of {logical} that are not known: {', '.join(sorted(unknown))};"
            f" known are {', '.join(sorted(base.columns))}"
        )
    schema, name = str(given.get("schema", base.schema)), str(given.get("name", base.name))
    merged = {**base.columns, **{k: str(v) for k, v in columns.items()}}
    twice = sorted({one for one in merged.values() if list(merged.values()).count(one) > 1})
    if twice:
        raise MappingError(f"the mapping file maps two columns of {logical} to {twice[0]!r}; give each one of its own")
    return TableMapping(schema, name, merged)


def _value_map(
    kind: str, known: dict[str, dict[str, tuple[str, ...]]], given: dict[str, Any]
) -> dict[str, tuple[str, ...]]:
    if kind not in known or set(given) - set(known[kind]):
        raise MappingError(f"the mapping file names values {kind!r} that are not known; known are {known}")
    return {**known[kind], **{k: tuple(str(one) for one in v) for k, v in given.items()}}
