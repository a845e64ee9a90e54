"""Many callers at once: credits, quotas and refunds are exact whoever comes first."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg
import pytest

from demo.errors import AlreadyFinished, CreditsExhausted, DemoError, QuotaReached
from demo.operations import NewImage, complete_generation, create_generation, deduct_credits, fail_generation

CALLERS = 64
MakeAccount = Callable[..., tuple[str, str]]
Action = Callable[[psycopg.Connection[Any]], object]


@pytest.fixture(autouse=True)
def _one_crowd_at_a_time(server: Any) -> Iterator[None]:
    """The server has room for one crowd of 64 connections beside the other tests, not for one per worker."""
    with server.superuser() as connection:
        connection.execute("SELECT pg_advisory_lock(64)")  # given back with the connection
        yield


def outcomes(url: str, actions: list[Action]) -> Counter[str]:
    """Run each action on a connection and in a thread of its own, all at once; counts "done" or the error's name."""
    barrier = threading.Barrier(len(actions))

    def call(action: Action) -> str:
        try:
            connection = psycopg.connect(url)
        except psycopg.Error:
            barrier.abort()
            raise
        with connection:
            barrier.wait(timeout=60)
            try:
                action(connection)
            except DemoError as error:
                return type(error).__name__
        return "done"

    with ThreadPoolExecutor(len(actions)) as pool:
        return Counter(pool.map(call, actions))


def facts(connection: psycopg.Connection[Any], org: str) -> dict[str, int]:
    """Balance, ledger sum, generations, charges, refunds and the quota count of an organization."""
    row = connection.execute(
        """SELECT (SELECT "balance" FROM "CreditBalance" WHERE "organizationId" = %(o)s),
                  (SELECT coalesce(sum("amount"), 0) FROM "CreditTransaction" WHERE "organizationId" = %(o)s),
                  (SELECT count(*) FROM "Generation" WHERE "organizationId" = %(o)s),
                  (SELECT count(*) FROM "CreditTransaction" WHERE "organizationId" = %(o)s AND "type" = 'CHARGE'),
                  (SELECT count(*) FROM "CreditTransaction" WHERE "organizationId" = %(o)s AND "type" = 'REFUND'),
                  (SELECT coalesce(sum("count"), 0) FROM "UsageLimit" WHERE "organizationId" = %(o)s)""",
        {"o": org},
    ).fetchone()
    assert row is not None
    return dict(zip(("balance", "ledger", "generations", "charges", "refunds", "counted"), map(int, row), strict=True))


def creating(org: str, user: str, credits: int, now: datetime) -> Action:
    return lambda connection: create_generation(
        connection, org, user, "TEXT_TO_IMAGE", "lumen-3", "a boat", credits, now=now
    )


def test_64_callers_fight_for_the_last_credits(
    app_connection: psycopg.Connection[Any], app_url: str, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=50, limits={"TEXT_TO_IMAGE": 1000})
    result = outcomes(app_url, [creating(org, user, 3, noon)] * CALLERS)
    assert result == {"done": 16, "CreditsExhausted": CALLERS - 16}
    assert facts(app_connection, org) == {
        "balance": 2,
        "ledger": 2,
        "generations": 16,
        "charges": 16,
        "refunds": 0,
        "counted": 16,
    }


@pytest.mark.parametrize("row_exists", [True, False], ids=["row of the day", "first of the day"])
def test_64_callers_fight_for_the_last_quota(
    app_connection: psycopg.Connection[Any], app_url: str, make_account: MakeAccount, noon: datetime, row_exists: bool
) -> None:
    org, user = make_account(credits=1000, limits={"TEXT_TO_IMAGE": 20} if row_exists else None)
    allowed = 20 if row_exists else 25  # the FREE plan's default
    result = outcomes(app_url, [creating(org, user, 1, noon)] * CALLERS)
    assert result == {"done": allowed, "QuotaReached": CALLERS - allowed}
    seen = facts(app_connection, org)
    assert seen["balance"] == seen["ledger"] == 1000 - allowed
    assert seen["generations"] == seen["charges"] == seen["counted"] == allowed


def test_a_generation_is_refunded_once_however_many_try(
    app_connection: psycopg.Connection[Any], app_url: str, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=10)
    generation_id = create_generation(app_connection, org, user, "UPSCALE", "magnify-4x", "a boat", 4, now=noon)
    fail: Action = lambda connection: fail_generation(connection, generation_id, "worker timed out", now=noon)  # noqa: E731
    result = outcomes(app_url, [fail] * CALLERS)
    assert result == {"done": 1, "AlreadyFinished": CALLERS - 1}
    assert facts(app_connection, org)["balance"] == facts(app_connection, org)["ledger"] == 10
    assert facts(app_connection, org)["refunds"] == 1


def test_a_mixed_crowd_never_deadlocks_and_adds_up(
    app_connection: psycopg.Connection[Any], app_url: str, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=200, limits={"TEXT_TO_IMAGE": 1000})
    ids = [
        create_generation(app_connection, org, user, "TEXT_TO_IMAGE", "lumen-3", "a boat", 2, now=noon)
        for _ in range(16)
    ]
    picture = NewImage("https://images.demo.invalid/x.png", None, 10, 1, 1)
    actions: list[Action] = []
    for id in ids:
        actions.append(lambda connection, id=id: fail_generation(connection, id, "worker timed out", now=noon))
        actions.append(lambda connection, id=id: complete_generation(connection, id, [picture], now=noon))
        actions.append(creating(org, user, 3, noon))
        actions.append(lambda connection: deduct_credits(connection, org, user, 1, "sticker sheet", now=noon))
    result = outcomes(app_url, actions)
    seen = facts(app_connection, org)
    assert result == {"done": 48, "AlreadyFinished": 16}
    assert seen["balance"] == seen["ledger"] == 200 - 16 * 2 + seen["refunds"] * 2 - 16 * 3 - 16
    assert seen["generations"] == seen["counted"] == 32


def test_refused_calls_write_nothing(
    app_connection: psycopg.Connection[Any], make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=5, limits={"INPAINTING": 0})
    before = facts(app_connection, org)
    for type, credits, error in (("UPSCALE", 6, CreditsExhausted), ("INPAINTING", 1, QuotaReached)):
        with pytest.raises(error):
            create_generation(app_connection, org, user, type, "m", "p", credits, now=noon)
    with pytest.raises(CreditsExhausted, match="5 credits left but 6 needed; buy a top-up"):
        deduct_credits(app_connection, org, user, 6, "sticker sheet", now=noon)
    assert facts(app_connection, org) == before
    id = create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=noon)
    complete_generation(app_connection, id, [], now=noon)
    with pytest.raises(AlreadyFinished, match="already SUCCEEDED"):
        fail_generation(app_connection, id, "late", now=noon)
    assert facts(app_connection, org)["balance"] == 4
