"""Corrections of closed months: each as it was found, what is found now, and what the month before them takes off."""

import random
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import corrections
from queries.tables import STATEMENT_KINDS
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.ledgers import Book, following, preceding
from tests.queries.catalog.test_statements import ALL, MIDDLES, SEEDS, around, late_book, opened
from tests.queries.catalog.world import SHAPES, ZONES, Shape, ask, rows_of


@settings(max_examples=20)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(MIDDLES), st.integers(1, 3))
def test_corrections_are_listed_as_they_were_found_and_what_is_left_as_found_now(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, middle: date, closings: int
) -> None:
    chance = random.Random(seed)
    world, book = late_book(seed, shape, zone, middle, closings)
    months, last = around(middle), book.closed[-1].month
    found_at = [book.now - timedelta(days=number) for number in range(1, 4)]
    book.corrections = [
        (str(tenant.id), closed.month, kind, chance.choice((-5, -1, 2, 7)), at)
        for tenant in world.tenants
        for closed in book.closed
        for kind in STATEMENT_KINDS
        for at in found_at
        if chance.random() < 0.2
    ]
    with opened(open_world, shape, world, book, seed) as (connection, tables):
        asked: dict[str, Any] = {"zone": zone, "now": book.now}
        paged: dict[str, Any] = {"offset": 0, "limit": 1_000}
        late = rows_of(ask(connection, tables, corrections.corrections(ALL, months=tuple(months), **asked, **paged)))
        before = rows_of(ask(connection, tables, corrections.corrections(ALL, months=(months[0],), **asked, **paged)))
        off = rows_of(ask(connection, tables, corrections.taken_off(ALL, months=tuple(months), **asked)))
        nothing = rows_of(ask(connection, tables, corrections.taken_off(ALL, months=tuple(months[1:]), **asked)))
    assert not before, "no month of these was closed"
    assert all(one["total_rows"] == len(late) for one in late)
    assert [one["month"] for one in late] == sorted((one["month"] for one in late), reverse=True)
    keys = ("tenant_id", "month", "kind", "credits", "found_at")
    rows = {tuple(one[name] for name in keys) for one in late}
    left = {
        (str(tenant.id), last, kind, rest, None)
        for tenant in world.tenants
        for kind in STATEMENT_KINDS
        if (rest := book.late(str(tenant.id), following(last), kind) - written(book, str(tenant.id), kind))
    }
    assert len(rows) == len(late)
    assert rows == left | set(book.corrections)
    for one in late:
        assert one["counted_in"] == following(one["month"])
        assert one["counted_status"] == ("provisional" if one["month"] == last else "closed")
        assert one["closed_at"] == book.start(following(one["month"])) + timedelta(days=2)
    # What was posted into the months before the first closed one is taken off just before that.
    assert not nothing
    first = book.closed[0].month
    expected = {}
    for kind in STATEMENT_KINDS:
        amounts = [book.late(str(one.id), first, kind) for one in world.tenants]
        if any(amounts):
            expected[kind] = (sum(amounts), sum(1 for one in amounts if one))
    assert {one["kind"]: (one["credits"], one["tenants"]) for one in off} == expected
    assert [one["kind"] for one in off] == [one for one in STATEMENT_KINDS if one in expected]
    said = (preceding(first), first, following(first) if closings == 1 else None)
    assert {(one["month"], one["closed_month"], one["counted_in"]) for one in off} <= {said}


def written(book: Book, tenant: str, kind: str) -> Any:
    """What was written down of corrections of the last closed month."""
    key = (tenant, book.closed[-1].month, kind)
    return sum(one[3] for one in book.corrections if one[:3] == key)
