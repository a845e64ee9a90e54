"""Operations against a model in plain Python, and the two screens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo import errors
from demo.operations import (
    NewImage,
    add_credits,
    complete_generation,
    create_generation,
    deduct_credits,
    fail_generation,
    get_user_credits,
    get_user_images,
    renew_subscription,
    start_generation,
)

MakeAccount = Callable[..., tuple[str, str]]
Connection = psycopg.Connection[Any]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(["TEXT_TO_IMAGE", "UPSCALE"]), st.integers(1, 12)),
        st.tuples(st.sampled_from(["complete", "fail", "start"]), st.just(""), st.integers(0, 5)),
        st.tuples(st.just("deduct"), st.just(""), st.integers(1, 30)),
        st.tuples(st.just("add"), st.sampled_from(["GRANT", "PURCHASE"]), st.integers(1, 20)),
        st.tuples(st.just("add"), st.sampled_from(["ADJUSTMENT", "EXPIRY"]), st.integers(-20, -1)),
        st.tuples(st.just("tomorrow"), st.just(""), st.just(0)),
    ),
    max_size=30,
)


class Model:
    """What the database should hold, and whether an operation is refused."""

    def __init__(self, balance: int, limits: dict[str, int]) -> None:
        self.balance, self.limits = balance, limits
        self.counts: dict[tuple[str, object], int] = {}
        self.status: list[str] = []
        self.credits: list[int] = []

    def create(self, type: str, credits: int, day: object) -> type[errors.DemoError] | None:
        if self.balance < credits:
            return errors.CreditsExhausted
        if self.counts.get((type, day), 0) >= self.limits[type]:
            return errors.QuotaReached
        self.balance -= credits
        self.counts[type, day] = self.counts.get((type, day), 0) + 1
        self.status.append("PENDING")
        self.credits.append(credits)
        return None

    def finish(self, index: int, step: str) -> type[errors.DemoError] | None:
        if index >= len(self.status):
            return errors.GenerationNotFound
        if self.status[index] not in ("PENDING", "PROCESSING"):
            return errors.AlreadyFinished
        self.status[index] = {"complete": "SUCCEEDED", "fail": "FAILED", "start": "PROCESSING"}[step]
        self.balance += self.credits[index] if step == "fail" else 0
        return None

    def change(self, amount: int, *, may_go_negative: bool) -> type[errors.DemoError] | None:
        if self.balance + amount < 0 and not may_go_negative:
            return errors.CreditsExhausted
        self.balance += amount
        return None


@contextmanager
def refused_as(expected: type[errors.DemoError] | None) -> Iterator[None]:
    """The block raises exactly that, or nothing."""
    if expected is None:
        yield
    else:
        with pytest.raises(expected):
            yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, start=st.integers(0, 40))
def test_any_sequence_of_operations_matches_the_model(
    app_connection: Connection, make_account: MakeAccount, noon: datetime, steps: list[Any], start: int
) -> None:
    limits = {"TEXT_TO_IMAGE": 3, "UPSCALE": 2}
    org, user = make_account(credits=start, limits=limits)
    model, ids, now = Model(start, limits), [], noon
    for step, type, number in steps:
        if step == "tomorrow":
            now += timedelta(days=1)
        elif step == "create":
            with refused_as(model.create(type, number, now.date())):
                ids.append(create_generation(app_connection, org, user, type, "lumen-3", "a boat", number, now=now))
        elif step == "deduct":
            with refused_as(model.change(-number, may_go_negative=False)):
                deduct_credits(app_connection, org, user, number, "sticker sheet", now=now)
        elif step == "add":
            price = {"price_paid": Decimal("1.50"), "currency": "EUR"} if type == "PURCHASE" else {}
            with refused_as(model.change(number, may_go_negative=type != "EXPIRY")):
                add_credits(app_connection, org, type, number, now=now, **price)
        else:
            id = ids[number] if number < len(ids) else "gen_unknown"
            with refused_as(model.finish(number, step)):
                finish = {
                    "complete": lambda id: complete_generation(app_connection, id, [], now=now),  # noqa: B023
                    "fail": lambda id: fail_generation(app_connection, id, "worker timed out", now=now),  # noqa: B023
                    "start": lambda id: start_generation(app_connection, id, now=now),  # noqa: B023
                }[step]
                finish(id)
    assert_matches(app_connection, org, user, model, ids)


def assert_matches(connection: Connection, org: str, user: str, model: Model, ids: list[str]) -> None:
    assert get_user_credits(connection, user).balance_credits == model.balance
    ledger = connection.execute(
        'SELECT coalesce(sum("amount"), 0) FROM "CreditTransaction" WHERE "organizationId" = %s', (org,)
    ).fetchone()
    assert ledger == (model.balance,)
    rows = connection.execute('SELECT "id", "status"::text FROM "Generation" WHERE "organizationId" = %s', (org,))
    assert dict(rows.fetchall()) == dict(zip(ids, model.status, strict=True))
    counts = connection.execute(
        'SELECT "type"::text, "date", "count" FROM "UsageLimit" WHERE "organizationId" = %s AND "count" > 0', (org,)
    )
    assert {(type, day): count for type, day, count in counts} == model.counts
    connection.rollback()


def test_a_completed_generation_shows_its_duration_and_pictures(
    app_connection: Connection, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=5)
    id = create_generation(app_connection, org, user, "TEXT_TO_IMAGE", "lumen-3", "a boat", 2, now=noon)
    pictures = [NewImage(None, b"\x89PNG", 4, 64, 64), NewImage("https://images.demo.invalid/1.png", None, 9, 8, 8)]
    complete_generation(app_connection, id, pictures, now=noon + timedelta(milliseconds=1234))
    (session,) = get_user_images(app_connection, user).sessions
    assert (session.id, session.status, session.duration_ms) == (id, "SUCCEEDED", 1234)
    assert session.created_at == noon
    assert session.completed_at == noon + timedelta(milliseconds=1234)
    assert {(image.data, image.url) for image in session.images} == {(p.data, p.url) for p in pictures}


def test_what_hung_for_months_can_still_be_finished(
    app_connection: Connection, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=5)
    ids = [create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=noon) for _ in range(2)]
    complete_generation(app_connection, ids[0], [], now=noon + timedelta(days=100))
    fail_generation(app_connection, ids[1], "worker timed out", now=noon + timedelta(days=100))
    durations = [session.duration_ms for session in get_user_images(app_connection, user).sessions]
    assert durations == [2**31 - 1] * 2


def test_pages_of_images_join_to_the_whole_newest_first(app_connection: Connection) -> None:
    row = app_connection.execute(
        'SELECT "userId" FROM "Generation" GROUP BY 1 ORDER BY abs(count(*) - 120), 1 LIMIT 1'
    ).fetchone()
    assert row is not None
    everything = app_connection.execute(
        'SELECT "id" FROM "Generation" WHERE "userId" = %s ORDER BY "createdAt" DESC, "id" DESC', row
    ).fetchall()
    pages = [get_user_images(app_connection, row[0], page, 17) for page in range(len(everything) // 17 + 2)]
    assert [(session.id,) for page in pages for session in page.sessions] == everything
    assert {page.total for page in pages} == {len(everything)}
    assert pages[-1].sessions == ()
    assert (pages[3].page, pages[3].limit) == (3, 17)
    images = app_connection.execute(
        'SELECT count(*) FROM "Image" i JOIN "Generation" g ON g."id" = i."generationId" WHERE g."userId" = %s', row
    ).fetchone()
    assert images == (sum(len(session.images) for page in pages for session in page.sessions),)


class CountingCursor(psycopg.Cursor[Any]):
    """Counts the statements of all its kind."""

    statements = 0

    def execute(self, *arguments: Any, **options: Any) -> "CountingCursor":
        CountingCursor.statements += 1
        return super().execute(*arguments, **options)


def test_the_screens_run_a_fixed_number_of_statements(app_url: str) -> None:
    with psycopg.connect(app_url, cursor_factory=CountingCursor) as connection:
        row = connection.execute(
            'SELECT "userId" FROM "Generation" GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1'
        ).fetchone()
        assert row is not None

        def statements(action: Callable[[], object]) -> int:
            before = CountingCursor.statements
            action()
            return CountingCursor.statements - before

        assert len(get_user_images(connection, row[0], 0, 50).sessions) == 50
        assert {statements(lambda n=n: get_user_images(connection, row[0], 0, n)) for n in (1, 10, 50, 100)} == {2}
        assert statements(lambda: get_user_credits(connection, row[0])) == 1


@pytest.mark.parametrize(
    ("page", "limit"), [(-1, 10), (0, 0), (0, 101), (True, 10), (0, False), ("1", 10), (0, 2.5), (10**7, 1)]
)
def test_a_page_that_cannot_be_is_refused(app_connection: Connection, page: Any, limit: Any) -> None:
    with pytest.raises(errors.InvalidRequest, match=r"(page|limit) is .*; use a whole number from \d+ to \d+"):
        get_user_images(app_connection, "anyone", page, limit)


def test_a_member_of_two_organizations_sees_the_credits_of_both(app_connection: Connection) -> None:
    row = app_connection.execute(
        """SELECT u."id", u."organizationId", m."organizationId"
           FROM "User" u JOIN "Membership" m ON m."userId" = u."id"
           WHERE m."organizationId" <> u."organizationId" ORDER BY 1 LIMIT 1"""
    ).fetchone()
    assert row is not None
    user, home, guest_of = row
    assert get_user_credits(app_connection, user).organization_id == home
    assert get_user_credits(app_connection, user, guest_of).organization_id == guest_of
    with pytest.raises(errors.UserNotFound):
        get_user_credits(app_connection, user, "org_unknown")


def test_what_does_not_exist_is_named(app_connection: Connection, make_account: MakeAccount) -> None:
    _, user = make_account(credits=5)
    with pytest.raises(errors.NotAMember, match="no member of 'org_x'"):
        create_generation(app_connection, "org_x", user, "UPSCALE", "m", "p", 1)
    with pytest.raises(errors.OrganizationNotFound, match="'org_x'"):
        add_credits(app_connection, "org_x", "GRANT", 5)
    for read in (get_user_images, get_user_credits):
        with pytest.raises(errors.UserNotFound, match="'usr_x'"):
            read(app_connection, "usr_x")
    with pytest.raises(errors.GenerationNotFound, match="'gen_x'"):
        complete_generation(app_connection, "gen_x", [])
    assert get_user_credits(app_connection, user).balance_credits == 5


@pytest.mark.parametrize(
    ("type", "amount", "price", "currency"),
    [
        ("GRANT", -1, None, None),
        ("EXPIRY", 1, None, None),
        ("ADJUSTMENT", 0, None, None),
        ("CHARGE", -1, None, None),
        ("PURCHASE", 5, None, None),
        ("PURCHASE", 5, Decimal(1), "XXX"),
        ("GRANT", 5, Decimal(1), "EUR"),
        ("GRANT", 10**9, None, None),
    ],
)
def test_movements_that_make_no_sense_are_refused(
    app_connection: Connection, make_account: MakeAccount, type: str, amount: int, price: Any, currency: Any
) -> None:
    org, user = make_account(credits=5)
    with pytest.raises(errors.InvalidRequest):
        add_credits(app_connection, org, type, amount, price_paid=price, currency=currency)
    assert get_user_credits(app_connection, user).balance_credits == 5


def test_a_clock_without_zone_is_refused(app_connection: Connection, make_account: MakeAccount) -> None:
    org, user = make_account(credits=5)
    with pytest.raises(errors.InvalidRequest, match="time zone"):
        create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=datetime(2026, 6, 15))  # noqa: DTZ001


def test_a_day_begins_at_midnight_utc(app_connection: Connection, make_account: MakeAccount, noon: datetime) -> None:
    org, user = make_account(credits=5, limits={"UPSCALE": 1})
    last = datetime(2026, 6, 15, 23, 59, 59, 999_000, tzinfo=UTC)
    create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=last)
    with pytest.raises(errors.QuotaReached, match="quota of 1 UPSCALE generations on 2026-06-15"):
        create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=noon)
    create_generation(app_connection, org, user, "UPSCALE", "m", "p", 1, now=last + timedelta(milliseconds=1))


def test_a_subscription_renews_once_and_only_when_due(
    app_connection: Connection, make_account: MakeAccount, noon: datetime
) -> None:
    org, user = make_account(credits=5)
    with pytest.raises(errors.NotDue):
        renew_subscription(app_connection, org, now=noon)
    due = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
    assert renew_subscription(app_connection, org, now=due) == 105
    with pytest.raises(errors.NotDue):
        renew_subscription(app_connection, org, now=due)
    credits = get_user_credits(app_connection, user)
    assert (credits.balance_credits, credits.allowance_credits) == (105, 100)
    assert credits.renews_at == credits.reset_date == datetime(2026, 8, 15, 12, 0, tzinfo=UTC)
