"""What makes a difference, against the same found over plain generations and movements."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import differences
from queries.errors import ArgumentError
from queries.guard import refuse_unscoped
from queries.scope import Scope
from queries.tables import default_history, default_tables
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.ledgers import Book, Seen, following, start_of, write_down
from tests.queries.catalog.world import (
    HOSTILE_ZONES,
    SHAPES,
    ZONES,
    Generation,
    Movement,
    Shape,
    ask,
    made_world,
    rows_of,
)

SEEDS = st.integers(0, 10**6)
MONTH = date(2025, 3, 1)


def flawed(chance: random.Random, generations: Sequence[Generation]) -> list[Movement]:
    """The movements of these generations, some lost, some twice, some of another amount, some refunds left out."""
    found = []
    for one in generations:
        amounts = chance.choice(([one.credits], [one.credits], [one.credits], [], [one.credits] * 2, [one.credits + 1]))
        refunds = [sum(amounts)] if one.status == "FAILED" and amounts else []
        refunds = chance.choice((refunds, refunds, [], refunds * 2))
        for kind, sign, each in (("CHARGE", -1, amounts), ("REFUND", 1, refunds)):
            found += [Movement(one.tenant, kind, sign * amount, one.created_at, one.user, one.id) for amount in each]
    return found


def expected_findings(
    generations: Sequence[Generation], movements: Sequence[Movement], start: datetime, end: datetime
) -> dict[tuple[str, str | None, Any], int]:
    """How often each finding is there, with its generation and what it explains."""
    found: dict[tuple[str, str | None, Any], int] = {}
    known = {one.id for one in generations}
    for one in generations:
        if not start <= one.created_at < end:
            continue
        of = [each for each in movements if each.generation == one.id]
        charges = [-each.amount for each in of if each.type == "CHARGE"]
        charged, refunded = sum(charges), sum(each.amount for each in of if each.type == "REFUND")
        due = charged if one.status == "FAILED" else min(refunded, charged)
        finding = None
        if not charges and one.credits:
            finding = "missing_charge"
        elif charged != one.credits:
            finding = "charged_twice" if len(charges) > 1 else "other_amount"
        elif refunded != due:
            finding = "missing_refund" if refunded < due else "refunded_twice"
        if finding is not None:
            key = (finding, str(one.id), charged - one.credits + due - refunded)
            found[key] = found.get(key, 0) + 1
    for each in movements:
        if each.type == "CHARGE" and start <= each.posted_at < end and each.generation not in known:
            key = ("no_generation", None if each.generation is None else str(each.generation), -each.amount)
            found[key] = found.get(key, 0) + 1
    return found


@settings(max_examples=15)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_what_does_not_fit_together_is_found_and_nothing_else(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str
) -> None:
    chance = random.Random(seed)
    start = start_of(zone, MONTH)
    world = made_world(seed, shape, start + timedelta(days=15), days=20)
    world.movements = chance.sample(world.movements, 20) + flawed(chance, world.generations)
    tenant = world.tenants[seed % 3]
    now = chance.choice((start + timedelta(days=15), start + timedelta(days=60)))
    end = min(start_of(zone, following(MONTH)), now)
    asked: dict[str, Any] = {"month": MONTH, "zone": zone, "now": now}
    scope = Scope.of([str(tenant.id)])
    own = [one for one in world.generations if one.tenant == tenant.id]
    # What is posted at `now` and later is not part of any figure.
    posted = [one for one in world.movements if one.tenant == tenant.id]
    known = [one for one in posted if one.posted_at < max(now, end)]
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        about = rows_of(ask(connection, tables, differences.difference(scope, **asked)))
        first = rows_of(ask(connection, tables, differences.suspects(scope, **asked, offset=0, limit=7)))
        rest = rows_of(ask(connection, tables, differences.suspects(scope, **asked, offset=7, limit=1_000)))
    expected = expected_findings(own, known, start, end)
    found: dict[tuple[str, str | None, Any], int] = {}
    for one in [*first, *rest]:
        key = (one["finding"], one["generation_id"], one["credits"])
        found[key] = found.get(key, 0) + 1
    assert found == expected
    sizes = [abs(one["credits"]) for one in [*first, *rest]]
    assert sizes == sorted(sizes, reverse=True)
    assert {one["total_rows"] for one in first} == ({sum(expected.values())} if expected else set())
    (row,) = about
    whole = sum(one.amount for one in posted)
    assert row["credits_left"] == tenant.balance
    assert row["ledger_credits"] == whole
    assert row["difference_credits"] == (None if tenant.balance is None else tenant.balance - whole)
    assert row["movements"] == sum(1 for one in posted if start <= one.posted_at < end)
    assert (row["unknown_movements"], row["unknown_credits"]) == (0, 0)
    assert row["checked_generations"] == sum(1 for one in own if start <= one.created_at < end)
    assert row["suspects"] == sum(expected.values())
    assert row["suspect_credits"] == sum(key[2] * often for key, often in expected.items())
    assert row["last_posted_at"] == max((one.posted_at for one in posted), default=None)


def test_days_on_which_balances_were_written_down(open_world: OpenWorld) -> None:
    start = start_of("Europe/Berlin", MONTH)
    world = made_world(3, "aware", start, days=5)
    mine, other = (str(one.id) for one in world.tenants[:2])
    hours = (-40, -2, 0, 24, 200, 744, 744 + 34, 744 + 36)
    seen = [Seen(mine, start + timedelta(hours=each), number, 0) for number, each in enumerate(hours)]
    seen.append(Seen(other, start + timedelta(hours=30), None, 0))
    book = Book(world.tenants, world.movements, "Europe/Berlin", start + timedelta(days=90), seen)
    asked: dict[str, Any] = {"month": MONTH, "zone": "Europe/Berlin", "now": book.now}
    with open_world("aware", world) as (connection, tables):
        write_down(connection, book)
        kept = replace(tables, history=default_history())
        found = rows_of(ask(connection, kept, differences.balances_seen(Scope.of([mine]), **asked)))
        others = rows_of(ask(connection, kept, differences.balances_seen(Scope.of([other]), **asked)))
        without = rows_of(ask(connection, tables, differences.balances_seen(Scope.of([mine]), **asked)))
    # March 2025 has 743 hours in Berlin; 36 more hours belong to its end.
    assert [one["difference_credits"] for one in found] == [2, 3, 4, 5, 6]
    assert {one["known_since"] for one in found} == {start - timedelta(hours=40)}
    assert [(one["credits_left"], one["difference_credits"]) for one in others] == [(None, None)]
    assert without == []


def test_a_difference_is_of_one_tenant_and_a_month_that_has_begun() -> None:
    now = start_of("UTC", MONTH)
    of_one: dict[str, Any] = {"zone": "UTC", "now": now}
    tables = replace(default_tables(), history=default_history())
    for ask_for in (differences.difference, differences.balances_seen):
        refuse_unscoped(ask_for(Scope.of(["a"]), month=MONTH, **of_one).statement(tables), Scope.of(["a"]))
        for scope in (Scope.all_tenants(), Scope.of(["a", "b"]), Scope.of([])):
            with pytest.raises(ArgumentError, match="exactly one tenant"):
                ask_for(scope, month=MONTH, **of_one).statement()
        with pytest.raises(ArgumentError, match="April 2025 has not begun"):
            ask_for(Scope.of(["a"]), month=following(MONTH), **of_one).statement()
