"""Factories for the demo's tests."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

Account = tuple[str, str]
"""Ids of an organization and of its one user."""

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon() -> datetime:
    """A moment after the small demo's end."""
    return NOON


@pytest.fixture
def make_account(app_connection: psycopg.Connection[Any]) -> Callable[..., Account]:
    """Make a committed organization with one member, a balance that its ledger explains, and quotas if given."""

    def make(credits: int = 0, limits: dict[str, int] | None = None, plan: str = "FREE") -> Account:
        word = secrets.token_hex(6)
        org, user = f"org_test_{word}", f"usr_test_{word}"
        at = NOON.replace(tzinfo=None)
        with app_connection.transaction():
            execute = app_connection.execute
            execute('INSERT INTO "Organization" VALUES (%s, %s, %s, %s, %s)', (org, word, word, at, at))
            execute('INSERT INTO "User" VALUES (%s, %s, %s, %s, %s, %s)', (user, org, word, word, at, at))
            execute("INSERT INTO \"Membership\" VALUES (%s, %s, %s, 'OWNER', %s)", (f"mem_{word}", user, org, at))
            execute(
                "INSERT INTO \"Subscription\" VALUES (%s, %s, %s, 'ACTIVE', %s, %s, 100, %s, %s)",
                (f"sub_{word}", org, plan, at, at.replace(month=7), at, at),
            )
            execute('INSERT INTO "CreditBalance" VALUES (%s, %s, %s, %s, %s)', (f"bal_{word}", org, credits, at, at))
            if credits:
                execute(
                    'INSERT INTO "CreditTransaction" ("id", "organizationId", "type", "amount", "createdAt") '
                    "VALUES (%s, %s, 'GRANT', %s, %s)",
                    (f"txn_{word}", org, credits, at),
                )
            for type, limit in (limits or {}).items():
                execute(
                    'INSERT INTO "UsageLimit" VALUES (%s, %s, %s, %s, 0, %s)',
                    (f"lim_{word}_{type}", org, type, at.date(), limit),
                )
        return org, user

    return make
