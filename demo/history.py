"""The past of the demo: everything that would be in its database had it run for half a year.

`generate` depends on nothing but its arguments: the same seed and end give the same bytes. The shapes come from
`calibration` (statistics of a real trace) and from the stories in `tenants`.

Credits: every generation has its CHARGE at createdAt and every FAILED one its REFUND at completedAt; a CANCELLED one
was stopped by its user and is not refunded.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from demo.activity import FAILED, MS_PER_DAY, TYPES, Arrivals, Drawn, IntArray, arrivals, draw, rank_in_day, slots
from demo.calibration import FloatArray
from demo.columns import TIME, generation_table, image_table, transaction_table, usage_limit_table
from demo.errors import InvalidRequest
from demo.ledger import (
    Account,
    Posting,
    add_months,
    correct_account,
    end_account,
    monthly_allowance,
    open_account,
    round_credits,
    settle,
)
from demo.operations import DEFAULT_QUOTAS
from demo.people import Person, members, users
from demo.tenants import NEW_SINCE_DAYS, PERSONAS, UNRECONCILED_CREDITS, UNRECONCILED_SLUG, Persona, stable_id

DAYS: Final = 180
GENERATIONS: Final = 300_000
SMALL_DAYS: Final = 60
SMALL_GENERATIONS: Final = 12_000
SMALL_SEED: Final = 7
RENEWAL_SPREAD_DAYS: Final = 30
# More is drawn than asked for, since tenants at their quota are turned away.
SURPLUS: Final = 1.03
MIN_DAYS: Final = 45
NEWEST_AGES_MS: Final = (8_000, 5_000, 3_000, 1_000)

SUBSCRIPTION_STATUSES: Final = {"dry": "TRIALING", "negative": "PAST_DUE", "stop": "CANCELED"}
RENEWAL_DAYS_AHEAD: Final = {"dry": 9, "negative": 12}


@dataclass(frozen=True, slots=True)
class History:
    """Arrow tables by table name, in the order of loading; columns are the database's."""

    seed: int
    start: datetime
    end: datetime
    tables: dict[str, pa.Table]

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


def small(end: datetime) -> History:
    """The same tenants with 60 days and 12,000 generations, for tests."""
    return generate(SMALL_SEED, end, SMALL_DAYS, SMALL_GENERATIONS)


def generate(seed: int, end: datetime, days: int = DAYS, generations: int = GENERATIONS) -> History:
    """History of `[end - days, end)` with that many generations; `end` is aware. Raises InvalidRequest."""
    if end.tzinfo is None:
        raise InvalidRequest("end has no time zone; pass an aware datetime such as datetime.now(UTC)")
    if days < MIN_DAYS or generations < len(PERSONAS):
        raise InvalidRequest(
            f"{days} days with {generations} generations is too little; use {MIN_DAYS} days and {len(PERSONAS)} or more"
        )
    end = end.astimezone(UTC)
    end_ms, start_ms = epoch_ms(end), epoch_ms(end) - days * MS_PER_DAY
    rng = np.random.default_rng(seed)

    def age_days(moments_ms: FloatArray) -> FloatArray:
        return (end_ms - moments_ms) / MS_PER_DAY

    window = slots(start_ms, end_ms, seed, age_days)
    share = window.weights / window.weights.sum()
    counts = rng.multinomial(int(generations * SURPLUS) + 50, share.ravel()).reshape(share.shape)
    asked = arrivals(rng, window, counts)
    # Somebody is always waiting for a picture, even at night.
    asked.created_ms[-len(NEWEST_AGES_MS) :] = end_ms - np.array(NEWEST_AGES_MS)
    asked, limits = _within_quotas(rng, asked, generations)
    drawn = draw(rng, asked, end_ms, age_days, with_stuck=True)
    tables = _tenant_tables(rng, drawn, start_ms, end_ms)
    keys, used = np.unique(asked.quota_keys(), return_counts=True)
    tables["UsageLimit"] = usage_limit_table(keys, used, limits)
    tables["Generation"] = generation_table(drawn)
    tables["CreditTransaction"] = tables.pop("CreditTransaction")
    tables["Image"] = image_table(drawn, rng)
    return History(seed, end - timedelta(days=days), end, tables)


def epoch_ms(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def moment_of(milliseconds: int) -> datetime:
    """Aware UTC time of milliseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def movements(drawn: Drawn, position: int) -> tuple[IntArray, IntArray]:
    """Times in milliseconds and signed credits of a tenant's charges and refunds, in time order."""
    mine = drawn.tenant == position
    failed = mine & (drawn.status == FAILED)
    moments = np.concatenate([drawn.created_ms[mine], drawn.completed_ms[failed]])
    amounts = np.concatenate([-drawn.credits[mine], drawn.credits[failed]])
    order = np.argsort(moments, kind="stable")
    return moments[order], amounts[order]


def _within_quotas(rng: np.random.Generator, asked: Arrivals, generations: int) -> tuple[Arrivals, IntArray]:
    """Exactly the generations asked for, none beyond a quota, and the limits by tenant and type.

    Tenants near their limit get one that their busiest days reach; all others get room to spare.
    """
    keys, counts = np.unique(asked.quota_keys(), return_counts=True)
    owner = keys % (len(PERSONAS) * len(TYPES))
    limits = np.empty((len(PERSONAS), len(TYPES)), np.int64)
    for position, persona in enumerate(PERSONAS):
        for type in range(len(TYPES)):
            daily = counts[owner == position * len(TYPES) + type]
            limits[position, type] = _limit(persona, daily)
    fits = rank_in_day(asked) < limits[asked.tenant, asked.type]
    asked = asked.taken(fits)
    near = np.array([persona.story == "near_limit" for persona in PERSONAS])[asked.tenant]
    spare = max(0, len(asked.tenant) - generations)
    dropped = rng.choice(np.flatnonzero(~near), spare, replace=False)
    kept = np.ones(len(asked.tenant), bool)
    kept[dropped] = False
    return asked.taken(kept), limits


def _limit(persona: Persona, daily: IntArray) -> int:
    if not len(daily):
        return DEFAULT_QUOTAS[persona.plan]
    if persona.story == "near_limit":
        return max(3, int(np.quantile(daily, 0.7)))
    return max(DEFAULT_QUOTAS[persona.plan], round_credits(int(daily.max()) * 1.3))


def _tenant_tables(rng: np.random.Generator, drawn: Drawn, start_ms: int, end_ms: int) -> dict[str, pa.Table]:
    """Everything that is one row or a few per tenant, and the ledger."""
    created_ms = [_joined_ms(position, persona, start_ms, end_ms) for position, persona in enumerate(PERSONAS)]
    subscriptions, balances = [], []
    postings: list[tuple[int, Posting]] = []
    days = (end_ms - start_ms) / MS_PER_DAY
    for position, persona in enumerate(PERSONAS):
        moments, amounts = movements(drawn, position)
        lived = min(days, (end_ms - created_ms[position]) / MS_PER_DAY)
        allowance = monthly_allowance(persona, -int(amounts.sum()), lived)
        opened_ms = max(start_ms, created_ms[position])
        account = Account(persona, allowance, opened_ms, 0, moments, amounts)
        renewals = _renewals(position, persona, end_ms, opened_ms)
        past_ms = [epoch_ms(moment) for moment in renewals[:-1] if epoch_ms(moment) > opened_ms]
        open_account(account, rng)
        settle(account, past_ms, rng)
        correct_account(account, past_ms, end_ms, rng)
        end_account(account, end_ms)
        postings += [(position, entry) for entry in account.postings]
        subscriptions.append(_subscription(persona, allowance, renewals, created_ms[position]))
        balances.append(_balance(persona, account.closing, renewals[-1], end_ms))
    return {
        "Organization": pa.Table.from_pylist(
            [_organization(persona, ms) for persona, ms in zip(PERSONAS, created_ms, strict=True)],
            _schema("id name slug", "createdAt updatedAt"),
        ),
        "User": pa.Table.from_pylist(
            [_user(person, created_ms[person.home]) for person in users()],
            _schema("id organizationId email name", "createdAt updatedAt"),
        ),
        "Membership": pa.Table.from_pylist(
            _memberships(created_ms), _schema("id userId organizationId role", "createdAt")
        ),
        "Subscription": pa.Table.from_pylist(subscriptions),
        "CreditBalance": pa.Table.from_pylist(balances),
        "CreditTransaction": transaction_table(drawn, postings),
    }


def _joined_ms(position: int, persona: Persona, start_ms: int, end_ms: int) -> int:
    if persona.story == "new":
        return end_ms - NEW_SINCE_DAYS * MS_PER_DAY - 2 * MS_PER_DAY // 24
    return start_ms - (1 + position * 37 % 400) * MS_PER_DAY - position * 1_234_567


def _renewals(position: int, persona: Persona, end_ms: int, opened_ms: int) -> list[datetime]:
    """Ends of the subscription periods, oldest first; the last is the coming renewal within 30 days."""
    ahead = RENEWAL_DAYS_AHEAD.get(persona.story, position * 7 % RENEWAL_SPREAD_DAYS)
    coming = moment_of(end_ms + ahead * MS_PER_DAY + (1 + position % 20) * MS_PER_DAY // 24).replace(
        second=0, microsecond=0
    )
    # Days up to the 28th exist in every month.
    coming -= timedelta(days=max(0, coming.day - 28))
    if epoch_ms(coming) <= end_ms:
        coming = add_months(coming, 1) - timedelta(days=2)
    renewals = [coming]
    while epoch_ms(renewals[0]) > opened_ms:
        renewals.insert(0, add_months(renewals[0], -1))
    return renewals


def _organization(persona: Persona, created_ms: int) -> dict[str, object]:
    created = _naive(created_ms)
    return {
        "id": persona.organization_id,
        "name": persona.name,
        "slug": persona.slug,
        "createdAt": created,
        "updatedAt": created,
    }


def _user(person: Person, created_ms: int) -> dict[str, object]:
    created = _naive(created_ms + person.number * 60_000)
    return {
        "id": person.id,
        "organizationId": PERSONAS[person.home].organization_id,
        "email": person.email,
        "name": person.name,
        "createdAt": created,
        "updatedAt": created,
    }


def _memberships(created_ms: list[int]) -> list[dict[str, object]]:
    return [
        {
            "id": stable_id("mem", person.id, persona.slug),
            "userId": person.id,
            "organizationId": persona.organization_id,
            "role": person.role if person.home == position else "MEMBER",
            "createdAt": _naive(max(created_ms[position], created_ms[person.home]) + person.number * 60_000),
        }
        for position, persona in enumerate(PERSONAS)
        for person in members()[position]
    ]


def _subscription(persona: Persona, allowance: int, renewals: list[datetime], created_ms: int) -> dict[str, object]:
    started = renewals[-2].replace(tzinfo=None)
    return {
        "id": stable_id("sub", persona.slug),
        "organizationId": persona.organization_id,
        "plan": persona.plan,
        "status": SUBSCRIPTION_STATUSES.get(persona.story, "ACTIVE"),
        "currentPeriodStart": started,
        "currentPeriodEnd": renewals[-1].replace(tzinfo=None),
        "creditsPerPeriod": allowance,
        "createdAt": _naive(created_ms),
        "updatedAt": started,
    }


def _balance(persona: Persona, credits: int, renewal: datetime, end_ms: int) -> dict[str, object]:
    # Edited by hand once, without a ledger row: the one balance that does not reconcile.
    edited = UNRECONCILED_CREDITS if persona.slug == UNRECONCILED_SLUG else 0
    return {
        "id": stable_id("bal", persona.slug),
        "organizationId": persona.organization_id,
        "balance": credits + edited,
        "resetDate": renewal.replace(tzinfo=None),
        "updatedAt": _naive(end_ms),
    }


def _naive(milliseconds: int) -> datetime:
    return moment_of(milliseconds).replace(tzinfo=None)


def _schema(texts: str, moments: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in texts.split()] + [(name, TIME) for name in moments.split()])
