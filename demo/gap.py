"""What happened while nobody ran the demo: the rows between its last change and now.

The same tenants go on as they ended: what stopped stays stopped, what grew stays where it is. The last change is the
newest "updatedAt" of a credit balance (every operation and every filled gap moves it), so that filling twice up to the
same moment adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import psycopg
import pyarrow as pa
from psycopg.rows import dict_row, tuple_row

from demo.accepted import aware, one, stored_time
from demo.activity import (
    ERRORS,
    FAILED,
    MS_PER_DAY,
    STATUSES,
    SUCCEEDED,
    TYPES,
    Arrivals,
    Drawn,
    IntArray,
    arrivals,
    draw,
    rank_in_day,
    slots,
)
from demo.calibration import FloatArray
from demo.columns import (
    PRICE,
    TIME,
    generation_table,
    image_table,
    named,
    time_ids,
    times,
    transaction_table,
    usage_limit_table,
)
from demo.history import epoch_ms, moment_of, movements
from demo.ledger import Account, Posting, add_months, settle
from demo.operations import DEFAULT_QUOTAS
from demo.tenants import PERSONAS
from demo.traffic import MS_PER_HOUR

Progress = Callable[[str, int, int], None]

RATE_DAYS: Final = 28
STUCK_GIVEN_UP_MS: Final = 24 * MS_PER_HOUR
NEW_STUCK_AFTER_MS: Final = 6 * MS_PER_HOUR
LEFTOVER_ERROR: Final = ERRORS[2]

FINISH_GENERATIONS: Final = """
    UPDATE public."Generation" g SET "status" = c."status", "error" = c."error", "durationMs" = c."durationMs",
        "completedAt" = c."completedAt", "updatedAt" = c."completedAt"
    FROM changed_generation c WHERE g."id" = c."id" """
COUNT_QUOTAS: Final = """
    INSERT INTO public."UsageLimit" AS l ("id", "organizationId", "type", "date", "count", "limit")
    SELECT "id", "organizationId", "type", "date", "count", "limit" FROM changed_limit
    ON CONFLICT ("organizationId", "type", "date") DO UPDATE SET "count" = l."count" + EXCLUDED."count" """
CHANGE_BALANCES: Final = """
    UPDATE public."CreditBalance" b SET "balance" = c."balance", "resetDate" = c."resetDate",
        "updatedAt" = c."updatedAt"
    FROM changed_balance c WHERE b."id" = c."id" """
RENEW_SUBSCRIPTIONS: Final = """
    UPDATE public."Subscription" s SET "currentPeriodStart" = c."currentPeriodStart", "status" = c."status",
        "currentPeriodEnd" = c."currentPeriodEnd", "updatedAt" = c."currentPeriodStart"
    FROM changed_subscription c WHERE s."id" = c."id" """


@dataclass(frozen=True, slots=True)
class GapRows:
    """New rows by table, and changes as temporary table -> (rows, table changed, statement that changes it)."""

    added: dict[str, pa.Table]
    changed: dict[str, tuple[pa.Table, str, str]]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's credits and subscription as the database has them; `position` is its place in `PERSONAS`."""

    position: int
    balance_id: str
    balance: int
    subscription_id: str
    status: str
    period_start: datetime
    period_end: datetime
    allowance: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """A generation that was in flight when the demo stopped, and when it ended."""

    id: str
    tenant: int
    user_id: str
    credits: int
    created_ms: int
    completed_ms: int
    failed: bool


def rows_since(connection: psycopg.Connection, now: datetime, seed: int) -> GapRows | None:
    """Rows to add and to change so that the demo has gone on until `now`; None when there is no gap.

    Locks the balances, in the caller's transaction.
    """
    tenants = _locked_tenants(connection)
    last = one(connection, 'SELECT max("updatedAt") FROM "CreditBalance"', ())
    if last is None or last[0] is None or stored_time(now) <= last[0]:
        return None
    start_ms, end_ms = epoch_ms(aware(last[0])), epoch_ms(now.astimezone(UTC))
    rng = np.random.default_rng([seed, start_ms, end_ms])
    limits, used = _quotas(connection, moment_of(start_ms).date())
    asked = _arrivals(connection, rng, start_ms, end_ms, seed)
    asked = asked.taken(_fits(asked, limits, used) & _known(asked, tenants))
    drawn = draw(rng, asked, end_ms, _no_age, with_stuck=end_ms - start_ms >= NEW_STUCK_AFTER_MS)
    leftovers = _leftovers(connection, rng, start_ms, end_ms)
    return _rows(rng, drawn, leftovers, tenants, limits, start_ms, end_ms)


def _no_age(moments_ms: FloatArray) -> FloatArray:
    return np.zeros_like(moments_ms)


def _locked_tenants(connection: psycopg.Connection) -> list[Tenant]:
    positions = {persona.organization_id: position for position, persona in enumerate(PERSONAS)}
    # Generations before balances: the order in which operations lock. Operations in flight finish first.
    connection.execute('LOCK TABLE public."Generation" IN SHARE ROW EXCLUSIVE MODE')
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            """SELECT b."organizationId", b."id", b."balance", s."id" AS subscription, s."status"::text,
                      s."currentPeriodStart", s."currentPeriodEnd", s."creditsPerPeriod"
               FROM "CreditBalance" b JOIN "Subscription" s ON s."organizationId" = b."organizationId"
               ORDER BY b."organizationId" FOR UPDATE OF b"""
        )
        rows: list[dict[str, Any]] = cursor.fetchall()
    return [
        Tenant(
            positions[row["organizationId"]],
            row["id"],
            row["balance"],
            row["subscription"],
            row["status"],
            aware(row["currentPeriodStart"]),
            aware(row["currentPeriodEnd"]),
            row["creditsPerPeriod"],
        )
        for row in rows
        if row["organizationId"] in positions
    ]


def _arrivals(
    connection: psycopg.Connection, rng: np.random.Generator, start_ms: int, end_ms: int, seed: int
) -> Arrivals:
    """As many as the last weeks would make expect, tenants and hours as their personas say."""
    before = slots(start_ms - RATE_DAYS * MS_PER_DAY, start_ms, seed, _no_age)
    row = one(
        connection,
        """SELECT count(*) FROM "Generation" WHERE "createdAt" >= %s AND "createdAt" < %s""",
        (_naive(start_ms - RATE_DAYS * MS_PER_DAY), _naive(start_ms)),
    )
    assert row is not None, "an aggregate returns one row"
    window = slots(start_ms, end_ms, seed, _no_age)
    return arrivals(rng, window, rng.poisson(window.weights * (row[0] / before.weights.sum())))


def _quotas(connection: psycopg.Connection, day: date) -> tuple[IntArray, dict[int, int]]:
    """Latest limit by tenant and type, and what is used up of each quota key of the gap's first day."""
    positions = {persona.organization_id: position for position, persona in enumerate(PERSONAS)}
    limits = np.array([[DEFAULT_QUOTAS[persona.plan]] * len(TYPES) for persona in PERSONAS], np.int64)
    used: dict[int, int] = {}
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            """SELECT DISTINCT ON ("organizationId", "type") "organizationId", "type"::text, "date", "count", "limit"
               FROM "UsageLimit" ORDER BY "organizationId", "type", "date" DESC"""
        )
        for organization_id, type, latest, count, limit in cursor:
            if organization_id not in positions:
                continue
            tenant, kind = positions[organization_id], TYPES.index(type)
            limits[tenant, kind] = limit
            if latest >= day:
                used[(((latest - date(1970, 1, 1)).days) * len(PERSONAS) + tenant) * len(TYPES) + kind] = count
    return limits, used


def _fits(asked: Arrivals, limits: IntArray, used: dict[int, int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    before = np.array([used.get(key, 0) for key in asked.quota_keys().tolist()], np.int64)
    return np.asarray(rank_in_day(asked) + before < limits[asked.tenant, asked.type])


def _known(asked: Arrivals, tenants: list[Tenant]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether the tenant has an account still, and credits to begin with: who owes does not generate."""
    solvent = [tenant.position for tenant in tenants if tenant.balance >= 0]
    return np.isin(asked.tenant, solvent)


def _leftovers(connection: psycopg.Connection, rng: np.random.Generator, start_ms: int, end_ms: int) -> list[Leftover]:
    """What was in flight has ended; what is stuck stays so for a day, then fails and is refunded."""
    positions = {persona.organization_id: position for position, persona in enumerate(PERSONAS)}
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(
            """SELECT "id", "organizationId", "userId", "creditsUsed", "createdAt" FROM "Generation"
               WHERE "status" IN ('PENDING', 'PROCESSING') ORDER BY "id" """
        ).fetchall()
    leftovers = []
    for id, organization_id, user_id, credits, created_at in rows:
        tenant, created_ms = positions.get(organization_id), epoch_ms(aware(created_at))
        completed_ms = start_ms + int(rng.integers(0, min(60_000, end_ms - start_ms)))
        if tenant is None:
            continue
        hangs = PERSONAS[tenant].story == "stuck"
        if hangs and end_ms - created_ms < STUCK_GIVEN_UP_MS:
            continue
        leftovers.append(Leftover(id, tenant, user_id, credits, created_ms, completed_ms, failed=hangs))
    return leftovers


def _rows(
    rng: np.random.Generator,
    drawn: Drawn,
    leftovers: list[Leftover],
    tenants: list[Tenant],
    limits: IntArray,
    start_ms: int,
    end_ms: int,
) -> GapRows:
    postings: list[tuple[int, Posting]] = []
    balances, subscriptions = [], []
    for tenant in tenants:
        account, renewals = _settled(rng, tenant, drawn, leftovers, start_ms, end_ms)
        postings += [(tenant.position, entry) for entry in account.postings]
        balances.append((tenant.balance_id, account.closing, renewals[-1]))
        if len(renewals) > 1:
            status = "ACTIVE" if tenant.status == "TRIALING" else tenant.status
            subscriptions.append((tenant.subscription_id, status, renewals[-2], renewals[-1]))
    transactions = [transaction_table(drawn, postings), _refund_table(leftovers, len(drawn) * 2 + len(postings))]
    asked = Arrivals(drawn.created_ms, drawn.tenant, drawn.type)
    keys, counts = np.unique(asked.quota_keys(), return_counts=True)
    quotas = usage_limit_table(keys, counts, limits)
    images = [image_table(drawn, rng), _leftover_images(leftovers, drawn)]
    return GapRows(
        added={
            "Generation": generation_table(drawn),
            "CreditTransaction": pa.concat_tables(transactions),
            "Image": pa.concat_tables(images),
        },
        changed={
            "changed_generation": (_finished_table(leftovers), "Generation", FINISH_GENERATIONS),
            "changed_limit": (quotas, "UsageLimit", COUNT_QUOTAS),
            "changed_balance": (_balance_table(balances, end_ms), "CreditBalance", CHANGE_BALANCES),
            "changed_subscription": (_subscription_table(subscriptions), "Subscription", RENEW_SUBSCRIPTIONS),
        },
    )


def _settled(
    rng: np.random.Generator, tenant: Tenant, drawn: Drawn, leftovers: list[Leftover], start_ms: int, end_ms: int
) -> tuple[Account, list[datetime]]:
    """The tenant's account at the end of the gap, and the ends of its periods from the running one on."""
    moments, amounts = movements(drawn, tenant.position)
    refunds = [left for left in leftovers if left.tenant == tenant.position and left.failed]
    moments = np.concatenate([moments, np.array([left.completed_ms for left in refunds], np.int64)])
    amounts = np.concatenate([amounts, np.array([left.credits for left in refunds], np.int64)])
    order = np.argsort(moments, kind="stable")
    account = Account(
        PERSONAS[tenant.position], tenant.allowance, start_ms, tenant.balance, moments[order], amounts[order]
    )
    renewals = [tenant.period_end]
    while tenant.status != "CANCELED" and epoch_ms(renewals[-1]) < end_ms:
        renewals.append(add_months(renewals[-1], 1))
    # A period that ended before the last change is granted at the beginning of the gap; who is past due gets nothing.
    granted = [max(start_ms, epoch_ms(moment)) for moment in renewals[:-1] if tenant.status != "PAST_DUE"]
    settle(account, granted, rng)
    return account, renewals


def _finished_table(leftovers: list[Leftover]) -> pa.Table:
    completed = np.array([left.completed_ms for left in leftovers], np.int64)
    created = np.array([left.created_ms for left in leftovers], np.int64)
    outcome = np.array([FAILED if left.failed else SUCCEEDED for left in leftovers], np.int64)
    return pa.table(
        {
            "id": pa.array([left.id for left in leftovers], pa.string()),
            "status": named(STATUSES, outcome),
            "error": pa.array([LEFTOVER_ERROR if left.failed else None for left in leftovers], pa.string()),
            # As long as "durationMs" can say, should the demo have slept for a month.
            "durationMs": np.minimum(completed - created, np.iinfo(np.int32).max),
            "completedAt": times(completed),
        }
    )


def _refund_table(leftovers: list[Leftover], first_number: int) -> pa.Table:
    failed = [left for left in leftovers if left.failed]
    moments = np.array([left.completed_ms for left in failed], np.int64)
    return pa.table(
        {
            "id": time_ids("txn", moments, first_number + np.arange(len(failed))),
            "organizationId": pa.array([PERSONAS[left.tenant].organization_id for left in failed], pa.string()),
            "userId": pa.array([left.user_id for left in failed], pa.string()),
            "generationId": pa.array([left.id for left in failed], pa.string()),
            "type": pa.array(["REFUND"] * len(failed), pa.string()),
            "amount": pa.array([left.credits for left in failed], pa.int64()),
            "pricePaid": pa.nulls(len(failed), PRICE),
            "currency": pa.nulls(len(failed), pa.string()),
            "description": pa.array(["failed generation"] * len(failed), pa.string()),
            "createdAt": times(moments),
        }
    )


def _leftover_images(leftovers: list[Leftover], drawn: Drawn) -> pa.Table:
    """One picture for each that was in flight and succeeded after all."""
    done = [left for left in leftovers if not left.failed]
    moments = np.array([left.completed_ms for left in done], np.int64)
    ids = time_ids("img", moments, int(drawn.images.sum()) + np.arange(len(done)))
    sides = np.full(len(done), 1024)
    return pa.table(
        {
            "id": ids,
            "generationId": pa.array([left.id for left in done], pa.string()),
            "organizationId": pa.array([PERSONAS[left.tenant].organization_id for left in done], pa.string()),
            "url": pa.array([f"https://images.demo.invalid/{id}.png" for id in ids.to_pylist()], pa.string()),
            "data": pa.nulls(len(done), pa.binary()),
            "sizeBytes": sides * 700,
            "width": sides,
            "height": sides,
            "createdAt": times(moments),
        }
    )


def _balance_table(balances: list[tuple[str, int, datetime]], end_ms: int) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([id for id, _, _ in balances], pa.string()),
            "balance": pa.array([credits for _, credits, _ in balances], pa.int64()),
            "resetDate": pa.array([moment.replace(tzinfo=None) for _, _, moment in balances], TIME),
            "updatedAt": times(np.full(len(balances), end_ms)),
        }
    )


def _subscription_table(subscriptions: list[tuple[str, str, datetime, datetime]]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([id for id, _, _, _ in subscriptions], pa.string()),
            "status": pa.array([status for _, status, _, _ in subscriptions], pa.string()),
            "currentPeriodStart": pa.array([start.replace(tzinfo=None) for _, _, start, _ in subscriptions], TIME),
            "currentPeriodEnd": pa.array([end.replace(tzinfo=None) for _, _, _, end in subscriptions], TIME),
        }
    )


def _naive(milliseconds: int) -> datetime:
    return moment_of(milliseconds).replace(tzinfo=None)
