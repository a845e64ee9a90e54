"""The credit statement against the same statement reckoned over plain movements."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.catalog import corrections, prices, statements
from queries.catalog.rollforward import MOST_MONTHS, Months, month_before, next_month
from queries.errors import ArgumentError, PeriodError
from queries.guard import refuse_unscoped
from queries.refresh import refresh_within
from queries.scope import Scope
from queries.tables import STATEMENT_KINDS, Tables, default_history, default_tables, instant
from tests.queries.catalog.conftest import OpenWorld
from tests.queries.catalog.ledgers import FIGURES, SHOWN_SIGN, Book, Seen, following, preceding, start_of, write_down
from tests.queries.catalog.test_aggregates import seeing
from tests.queries.catalog.world import HOSTILE_ZONES, SHAPES, ZONES, Movement, Shape, World, ask, made_world, rows_of

SEEDS = st.integers(0, 10**6)
ALL = Scope.all_tenants()
# The clocks change in the month before, in it, or in the one after.
MIDDLES = (date(2025, 3, 1), date(2025, 4, 1), date(2025, 10, 1), date(2025, 11, 1))
# The midnight that begins this month in Havana comes twice.
TWICE = date(2026, 11, 1)


def book_of(world: World, zone: str, middle: date, now: datetime, *, chance: random.Random | None = None) -> Book:
    """The world as a book; with `chance` also balances that were seen on some of the first days of its months."""
    book = Book(world.tenants, world.movements, zone, now)
    if chance is not None:
        bounds = [book.start(one) for one in around(middle)]
        moments = {at + timedelta(hours=chance.randint(-30, 50), seconds=chance.randint(0, 59)) for at in bounds * 3}
        moments |= {at for at in bounds if chance.random() < 0.4}
        book.seen = [
            Seen(str(one.id), moment, chance.choice((None, 7, 12)), chance.choice((0, 5, 7)))
            for one in world.tenants
            for moment in sorted(moments)
            if moment < now and chance.random() < 0.7
        ]
    return book


def around(middle: date) -> list[date]:
    """The month, two before and two after."""
    before = preceding(middle)
    return [preceding(before), before, middle, following(middle), following(following(middle))]


def begun(book: Book, months: Sequence[date]) -> tuple[date, ...]:
    return tuple(one for one in months if book.start(one) <= book.now)


def agree_some(world: World, chance: random.Random) -> None:
    """The balances of some tenants are what their ledger comes to, as far as a balance can be it."""
    for tenant in world.tenants:
        whole = sum(one.amount for one in world.movements if one.tenant == tenant.id)
        if whole == int(whole) and chance.random() < 0.7:
            tenant.balance = int(whole)


@contextmanager
def opened(
    open_world: OpenWorld, shape: Shape, world: World, book: Book, seed: int
) -> Iterator[tuple[sa.Connection, Tables]]:
    with open_world(shape, world, HOSTILE_ZONES[seed % 3]) as (connection, tables):
        write_down(connection, book)
        yield connection, replace(tables, history=default_history())


def answered(connection: sa.Connection, tables: Tables, scope: Scope, book: Book, months: Sequence[date]) -> Any:
    """The statement by tenant and month, and its rows as they came."""
    statement = statements.statement_rows(tables, scope, months=tuple(months), zone=book.zone, now=book.now)
    refuse_unscoped(statement, scope)
    rows = [dict(one) for one in connection.execute(statement).mappings()]
    assert len({(one["tenant_id"], one["month"]) for one in rows}) == len(rows)
    assert [(one["tenant_id"].encode(), one["month"]) for one in rows] == sorted(
        (one["tenant_id"].encode(), one["month"]) for one in rows
    )
    return {(one["tenant_id"], one["month"]): {name: one[name] for name in (*FIGURES, "status")} for one in rows}


def assert_chained(rows: dict[tuple[str, date], dict[str, Any]]) -> None:
    for (tenant, month), row in rows.items():
        explained = sum(SHOWN_SIGN[one] * row[one] for one in STATEMENT_KINDS)
        assert row["opening"] + explained + row["unexplained"] == row["closing"], (tenant, month)
        after = rows.get((tenant, following(month)))
        assert after is None or after["opening"] == row["closing"], (tenant, month)
        assert all(isinstance(row[one], int | Decimal) for one in FIGURES)


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(MIDDLES), st.data())
def test_every_row_is_what_the_movements_come_to(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, middle: date, data: st.DataObject
) -> None:
    check_every_row(open_world, seed, shape, zone, middle, data)


@settings(max_examples=8)
@given(SEEDS, st.sampled_from(SHAPES), st.data())
def test_a_month_begins_once_where_its_midnight_comes_twice(
    open_world: OpenWorld, seed: int, shape: Shape, data: st.DataObject
) -> None:
    check_every_row(open_world, seed, shape, "America/Havana", TWICE, data)


def check_every_row(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, middle: date, data: st.DataObject
) -> None:
    chance = random.Random(seed)
    centre = start_of(zone, data.draw(st.sampled_from((middle, following(middle)))))
    now = centre + timedelta(hours=data.draw(st.integers(-24 * 20, 24 * 50)))
    world = made_world(seed, shape, centre, days=45)
    agree_some(world, chance)
    book = book_of(world, zone, middle, now, chance=chance)
    months = begun(book, around(middle))
    asked = data.draw(st.sampled_from((months, months[-1:], months[:1], months[::2])))
    scope = data.draw(st.sampled_from((ALL, Scope.of([str(world.tenants[0].id)]), Scope.of([]))))
    with opened(open_world, shape, world, book, seed) as (connection, tables):
        refresh_within(connection, tables, now)
        found = answered(connection, tables, scope, book, asked)
        with seeing(connection, tables) as summed:
            assert summed.aggregates is not None
            assert answered(connection, summed, scope, book, asked) == found
        alone = answered(connection, replace(tables, history=None), scope, book, asked)
    expected = book.rows(asked)
    of_scope = {key: row for key, row in expected.items() if scope.ids is None or key[0] in scope.ids}
    assert found == of_scope
    assert_chained(found)
    # Without what was written down, the difference of now is all that is known.
    book.seen = ()
    expected = book.rows(asked)
    assert alone == {key: row for key, row in expected.items() if scope.ids is None or key[0] in scope.ids}


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.sampled_from(MIDDLES), st.integers(1, 3))
def test_closed_months_stay_and_the_first_open_one_takes_what_came_late(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, middle: date, closings: int
) -> None:
    world, book = late_book(seed, shape, zone, middle, closings)
    months = around(middle)
    frozen = {(tenant, one.month): row for one in book.closed for tenant, row in one.rows.items()}
    with opened(open_world, shape, world, book, seed) as (connection, tables):
        found = answered(connection, tables, ALL, book, months)
        each = {key: row for one in months for key, row in answered(connection, tables, ALL, book, [one]).items()}
        one = str(world.tenants[0].id)
        alone = answered(connection, tables, Scope.of([one]), book, months)
        other_zone = "Asia/Tokyo"
        elsewhere = answered(connection, tables, ALL, replace(book, zone=other_zone, closed=[]), months[:-1])
    assert found == each == book.rows(months)
    assert {key: row for key, row in found.items() if row["status"] == "closed"} == frozen
    assert alone == {key: row for key, row in found.items() if key[0] == one}
    assert_chained(found)
    assert all(row["status"] == "provisional" for row in elsewhere.values())
    # Whatever came late, all months together hold each movement once.
    for tenant in {key[0] for key in found}:
        for kind in STATEMENT_KINDS:
            whole = book.ledger(tenant, book.end(months[-1]), kind) - book.ledger(tenant, book.start(months[0]), kind)
            assert sum(row[kind] for key, row in found.items() if key[0] == tenant) == whole


def late_book(seed: int, shape: Shape, zone: str, middle: date, closings: int) -> tuple[World, Book]:
    """Months around this one, the second and what follows it closed, with movements that came after a closing."""
    chance = random.Random(seed)
    world = made_world(seed, shape, start_of(zone, middle), days=60)
    months = around(middle)
    now = start_of(zone, following(months[-1])) + timedelta(hours=5)
    # Each movement is posted for real after some of the closings, whatever its date.
    arrivals = [(one, chance.randint(0, closings)) for one in world.movements]
    book = book_of(world, zone, middle, now, chance=chance)
    for number, month in enumerate(months[1:][:closings]):
        known = [one for one, arrival in arrivals if arrival <= number]
        then = Book(
            world.tenants, known, zone, book.start(following(month)) + timedelta(days=2), book.seen, book.closed
        )
        then.seen = [one for one in book.seen if one.taken_at < then.now]
        book.closed = [*book.closed, then.freeze(month)]
    return world, book


@pytest.mark.parametrize("months", [MIDDLES[:1], MIDDLES[:2]])
@pytest.mark.parametrize("search", ["before", "AFTER"])
def test_a_tenant_is_found_with_all_its_months_by_the_name_it_has_and_the_one_it_had(
    open_world: OpenWorld, search: str, months: tuple[date, ...]
) -> None:
    world = made_world(3, "numbered", start_of("UTC", MIDDLES[0]), days=20)
    tenant = world.tenants[0]
    tenant.balance = None
    world.movements.append(Movement(tenant.id, "GRANT", 100, start_of("UTC", MIDDLES[0])))
    book = Book(world.tenants, world.movements, "UTC", start_of("UTC", MIDDLES[1]) + timedelta(days=9))
    tenant.name = "Before Ltd"
    book.closed = [book.freeze(MIDDLES[0])]
    asked: dict[str, Any] = {"months": months, "zone": "UTC", "now": book.now, "search": search}
    paged: dict[str, Any] = {"sort": "month", "descending": False, "differing": False, "offset": 0, "limit": 99}
    with opened(open_world, "numbered", world, book, 0) as (connection, tables):
        names = tables.organization
        renamed = sa.update(names).where(names.c.tenant_id == tenant.id).values(name="After Ltd")
        connection.execute(renamed)
        found = rows_of(ask(connection, tables, statements.monthly(ALL, **asked, **paged)))
        totals = rows_of(ask(connection, tables, statements.totals(ALL, **asked)))
        worth = rows_of(ask(connection, tables, prices.prices(ALL, **asked)))
    rows = book.rows(months)
    assert [one["month"] for one in found] == list(months)
    assert {one["tenant_id"] for one in found} == {str(tenant.id)}
    assert {one["all_opening"] for one in found} == {rows[str(tenant.id), months[0]]["opening"]}
    assert {one["all_closing"] for one in found} == {rows[str(tenant.id), months[-1]]["closing"]}
    assert [one["tenants"] for one in totals] == [1] * len(months)
    assert sum(one["tenants"] for one in worth) == 1


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES), st.data())
def test_a_page_is_part_of_the_statement_and_its_totals_are_those_of_all_of_it(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str, data: st.DataObject
) -> None:
    middle = MIDDLES[seed % 4]
    centre = start_of(zone, middle)
    world = made_world(seed, shape, centre, days=45)
    book = book_of(world, zone, middle, centre + timedelta(days=20))
    months = begun(book, around(middle))
    sort, descending = data.draw(st.sampled_from(statements.SORTS)), data.draw(st.booleans())
    search, differing = data.draw(st.sampled_from(("", "a", "100%", "_"))), data.draw(st.booleans())
    names = {str(one.id): one.name for one in world.tenants}
    rows = {key: row for key, row in book.rows(months).items() if search.lower() in names[key[0]].lower()}
    if differing:
        off = {key[0] for key, row in rows.items() if row["unexplained"]}
        rows = {key: row for key, row in rows.items() if key[0] in off}
    asked: dict[str, Any] = {"months": months, "zone": zone, "now": book.now, "search": search}
    paged: dict[str, Any] = {**asked, "differing": differing, "sort": sort, "descending": descending, "limit": 3}
    with open_world(shape, world) as (connection, tables):
        pages = [
            rows_of(ask(connection, tables, statements.monthly(ALL, **paged, offset=offset)))
            for offset in range(0, len(rows) + 3, 3)
        ]
        by_month = rows_of(ask(connection, tables, statements.totals(ALL, **asked)))
    shown = [one for page in pages for one in page]
    assert {
        (one["tenant_id"], one["month"]): {name: one[name] for name in (*FIGURES, "status")} for one in shown
    } == rows
    assert len(shown) == len(rows)
    keys = [abs(one[sort]) if sort == "unexplained" else one[sort] for one in shown if sort not in ("tenant", "month")]
    assert keys == sorted(keys, reverse=descending)
    for one in shown:
        assert one["total_rows"] == len(rows)
        for name in FIGURES:
            edge = {"opening": months[0], "closing": months[-1]}.get(name)
            assert one[f"all_{name}"] == sum(row[name] for key, row in rows.items() if edge in (None, key[1]))
    every = {key: row for key, row in book.rows(months).items() if search.lower() in names[key[0]].lower()}
    expected: defaultdict[date, list[dict[str, Any]]] = defaultdict(list)
    for (_, month), row in every.items():
        expected[month].append(row)
    assert [one["month"] for one in by_month] == sorted(expected, reverse=True)
    for one in by_month:
        own = expected[one["month"]]
        assert one["tenants"] == len(own)
        assert {name: one[name] for name in FIGURES} == {name: sum(row[name] for row in own) for name in FIGURES}
        assert one["differing_tenants"] == sum(1 for row in own if row["unexplained"])
        assert one["differing_credits"] == sum(abs(row["unexplained"]) for row in own)
        assert one["status"] == "provisional"


@settings(max_examples=12)
@given(SEEDS, st.sampled_from(SHAPES), st.sampled_from(ZONES))
def test_what_is_left_and_what_expired_is_worth_what_was_paid(
    open_world: OpenWorld, seed: int, shape: Shape, zone: str
) -> None:
    middle, chance = MIDDLES[seed % 4], random.Random(seed)
    centre = start_of(zone, middle)
    world = made_world(seed, shape, centre, days=45)
    for one in world.movements:
        if one.type == "PURCHASE":
            one.currency = chance.choice(("EUR", "EUR", "USD", None))
    book = book_of(world, zone, middle, centre + timedelta(days=20))
    months = begun(book, around(middle))
    with open_world(shape, world) as (connection, tables):
        found = rows_of(ask(connection, tables, prices.prices(ALL, months=months, zone=zone, now=book.now, search="")))
    rows, expected = book.rows(months), defaultdict(lambda: [0, 0, 0, 0, 0, 0, 0])
    for tenant in {key[0] for key in rows}:
        left = max(0, rows[tenant, months[-1]]["closing"]) if (tenant, months[-1]) in rows else 0
        expired = sum(max(0, row["expired"]) for key, row in rows.items() if key[0] == tenant)
        bought = paid_by_currency(book, tenant, months[-1])
        all_credits = sum(credits for credits, _ in bought.values())
        for currency, (credits, paid) in (bought or {None: (0, 0)}).items():
            parts = [left, Decimal(0), expired, Decimal(0)]
            if bought:
                parts = [Decimal(of) * by / all_credits for of in (left, expired) for by in (credits, paid)]
            rounded = [Decimal(one).quantize(Decimal("0.01"), ROUND_HALF_UP) for one in parts]
            for place, value in enumerate((1, credits, paid, *rounded)):
                expected[currency][place] += value
    names = ("tenants", "purchased_credits", "paid", "closing_credits", "deferred", "expired_credits", "breakage")
    said = {one["currency"]: [one[name] or 0 for name in names] for one in found}
    assert said == dict(expected)
    assert [one["deferred"] for one in found if one["currency"] is None] in ([], [None])


def paid_by_currency(book: Book, tenant: str, month: date) -> dict[str, tuple[Any, Any]]:
    bought: defaultdict[str, list[Movement]] = defaultdict(list)
    for one in book.movements:
        is_priced = one.type == "PURCHASE" and one.currency is not None
        if is_priced and str(one.tenant) == tenant and one.posted_at < book.end(month):
            bought[str(one.currency)].append(one)
    return {
        key: (sum(one.amount for one in own), sum(one.price_paid or 0 for one in own)) for key, own in bought.items()
    }


def test_a_movement_with_an_old_date_that_aggregates_do_not_know_yet_is_no_difference(open_world: OpenWorld) -> None:
    world = made_world(4, "numbered", datetime(2025, 5, 10, tzinfo=UTC), days=3)
    old = datetime(2025, 3, 2, tzinfo=UTC)
    for tenant in world.tenants:
        tenant.balance = sum(one.amount for one in world.movements if one.tenant == tenant.id)
    book = Book(world.tenants, world.movements, "UTC", datetime(2025, 6, 5, tzinfo=UTC))
    months = [date(2025, month, 1) for month in (2, 3, 4, 5, 6)]
    with open_world("numbered", world) as (connection, tables):
        refresh_within(connection, tables, book.now)
        tenant = world.tenants[0]
        late = Movement(tenant.id, "PURCHASE", 40, old)
        ledger, balance = tables.credit_transaction, tables.credit_balance
        row = {"id": 10**6, "tenant_id": late.tenant, "type": late.type, "amount": 40}
        connection.execute(sa.insert(ledger).values(**row, created_at=instant(ledger.c.created_at, old)))
        connection.execute(
            sa.update(balance).where(balance.c.tenant_id == tenant.id).values(balance=balance.c.balance + 40)
        )
        world.movements.append(late)
        assert tenant.balance is not None
        tenant.balance += 40
        with seeing(connection, tables) as summed:
            found = answered(connection, summed, ALL, book, months)
    assert found == book.rows(months)
    assert found[str(tenant.id), date(2025, 3, 1)]["purchased"] == 40
    assert not any(row["unexplained"] for row in found.values())


def test_movements_of_a_type_that_nobody_mapped_are_unexplained(open_world: OpenWorld) -> None:
    world = made_world(4, "numbered", datetime(2025, 5, 10, tzinfo=UTC), days=3)
    tenant = world.tenants[0]
    tenant.balance = None
    world.movements = [
        Movement(tenant.id, "GRANT", 100, datetime(2025, 5, 2, tzinfo=UTC)),
        Movement(tenant.id, "GIFT", 30, datetime(2025, 5, 3, tzinfo=UTC)),
    ]
    book = Book([tenant], world.movements, "UTC", datetime(2025, 6, 5, tzinfo=UTC))
    with open_world("numbered", world) as (connection, tables):
        found = answered(connection, tables, Scope.of([str(tenant.id)]), book, [date(2025, 5, 1), date(2025, 6, 1)])
    may, june = (found[str(tenant.id), date(2025, month, 1)] for month in (5, 6))
    assert (may["opening"], may["granted"], may["unexplained"], may["closing"]) == (0, 100, 30, 130)
    assert (june["opening"], june["unexplained"], june["closing"]) == (130, 0, 130)


def test_closed_months_of_all_scopes_pass_the_guard() -> None:
    tables = replace(default_tables(), history=default_history())
    for scope in (ALL, Scope.of(["a", "b"]), Scope.of([])):
        asked: dict[str, Any] = {"months": (date(2025, 5, 1),), "zone": "UTC", "now": datetime(2025, 6, 1, tzinfo=UTC)}
        refuse_unscoped(statements.statement_rows(tables, scope, **asked), scope)
        refuse_unscoped(corrections.corrections(scope, **asked, offset=0, limit=1).statement(tables), scope)
        refuse_unscoped(corrections.taken_off(scope, **asked).statement(tables), scope)
        searched: dict[str, Any] = {**asked, "search": "a"}
        refuse_unscoped(statements.totals(scope, **searched).statement(tables), scope)
        refuse_unscoped(prices.prices(scope, **searched).statement(tables), scope)


@pytest.mark.parametrize(
    ("months", "zone", "said"),
    [
        ((), "UTC", "0 months"),
        (
            tuple(date(2000 + number // 12, number % 12 + 1, 1) for number in range(MOST_MONTHS + 1)),
            "UTC",
            "241 months",
        ),
        ((date(2025, 5, 2),), "UTC", "2025-05-02 is not the first day of a month"),
        ((date(1999, 5, 1),), "UTC", "1999-05-01 is not the first day"),
        ((date(2025, 7, 1),), "UTC", "July 2025 has not begun in UTC; choose a month up to June 2025"),
        ((date(2025, 7, 1),), "America/New_York", "has not begun in America/New_York"),
    ],
)
def test_months_that_cannot_be_are_refused(months: tuple[date, ...], zone: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Months(months, zone, datetime(2025, 6, 30, 23, tzinfo=UTC))


def test_a_month_begins_with_its_zone_and_ends_with_it_or_now() -> None:
    now = datetime(2025, 6, 30, 23, tzinfo=UTC)
    tokyo = Months((date(2025, 7, 1), date(2025, 6, 1)), "Asia/Tokyo", now)
    assert tokyo.ordered == (date(2025, 6, 1), date(2025, 7, 1))
    assert tokyo.running == date(2025, 7, 1)
    assert tokyo.start(date(2025, 7, 1)) == datetime(2025, 6, 30, 15, tzinfo=UTC) == tokyo.end(date(2025, 6, 1))
    assert tokyo.end(date(2025, 7, 1)) == now
    assert (next_month(date(2025, 12, 1)), month_before(date(2025, 1, 1))) == (date(2026, 1, 1), date(2024, 12, 1))
    with pytest.raises(PeriodError, match="time zone is not known"):
        Months((date(2025, 5, 1),), "Mars/Olympus", now)
