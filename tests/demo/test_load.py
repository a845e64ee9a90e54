"""Loading, killing a load, filling a gap, starting over; and the tables themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.errors import AlreadyLoaded
from demo.history import History, generate, small
from demo.load import fill_gap, is_loaded, load_history, reset
from demo.operations import create_generation, deduct_credits
from demo.schema import TABLES, create_schema, create_tables
from demo.tenants import NEGATIVE_CREDITS, PERSONAS, UNRECONCILED_CREDITS, UNRECONCILED_SLUG

Connection = psycopg.Connection[Any]
END = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)


def quiet(_what: str, _done: int, _total: int) -> None:
    """No progress wanted."""


@pytest.fixture(scope="module")
def tiny() -> History:
    return generate(5, END, days=45, generations=1500)


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_database_url) as connection:
        yield connection


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    with connection.transaction():
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def contents(connection: Connection) -> dict[str, tuple[Any, ...]]:
    """A digest of every table's rows."""
    return {
        name: rows(connection, f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t."id")) FROM "{name}" t')[0]  # noqa: S608
        for name in TABLES
    }


def structure(connection: Connection) -> list[tuple[Any, ...]]:
    """Every index and constraint by name and definition."""
    return rows(
        connection,
        """SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
           UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
           WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    )


def assert_true_books(connection: Connection) -> None:
    """Ledger = balance but for one tenant, quota counts = generations, charges = generations, refunds = failures."""
    off = rows(
        connection,
        """SELECT o."slug", b."balance" - sum(t."amount") FROM "CreditBalance" b
           JOIN "Organization" o ON o."id" = b."organizationId"
           JOIN "CreditTransaction" t ON t."organizationId" = o."id"
           GROUP BY o."slug", b."balance" HAVING b."balance" <> sum(t."amount")""",
    )
    assert off == [(UNRECONCILED_SLUG, UNRECONCILED_CREDITS)]
    assert not rows(
        connection,
        """SELECT * FROM (SELECT "organizationId", "type", "createdAt"::date AS "date", count(*) FROM "Generation"
                          GROUP BY 1, 2, 3) g
           FULL JOIN "UsageLimit" l USING ("organizationId", "type", "date")
           WHERE g.count IS DISTINCT FROM l."count" OR l."count" > l."limit" """,
    )
    for type, condition in (("CHARGE", "true"), ("REFUND", "g.\"status\" = 'FAILED'")):
        assert not rows(
            connection,
            f"""SELECT 1 FROM (SELECT * FROM "CreditTransaction" WHERE "type" = '{type}') t
                FULL JOIN (SELECT * FROM "Generation" g WHERE {condition}) g ON g."id" = t."generationId"
                WHERE abs(t."amount") IS DISTINCT FROM g."creditsUsed"
                   OR t."createdAt" IS DISTINCT FROM
                      CASE t."type" WHEN 'CHARGE' THEN g."createdAt" ELSE g."completedAt" END""",  # noqa: S608
        )
    (lowest,) = rows(
        connection,
        """SELECT min(running) FROM (
               SELECT sum("amount") OVER (PARTITION BY "organizationId" ORDER BY "createdAt", "id") AS running
               FROM "CreditTransaction") r""",
    )
    assert lowest == (NEGATIVE_CREDITS,)


def test_the_loaded_demo_has_true_books(app_connection: Connection) -> None:
    assert is_loaded(app_connection)
    assert_true_books(app_connection)
    assert rows(app_connection, 'SELECT count(*) FROM "Organization"') == [(len(PERSONAS),)]
    assert rows(app_connection, 'SELECT count(*) FROM "CreditBalance" WHERE "balance" < 0') == [(1,)]
    # Succeeded generations, and only those, have pictures.
    assert rows(
        app_connection,
        """SELECT DISTINCT g."status" = 'SUCCEEDED', i."id" IS NOT NULL FROM "Generation" g
           LEFT JOIN "Image" i ON i."generationId" = g."id" ORDER BY 1""",
    ) == [(False, False), (True, True)]


def test_a_load_gives_what_was_generated_and_tells_its_progress(empty: Connection, tiny: History) -> None:
    told: list[tuple[str, int, int]] = []
    counts = load_history(empty, tiny, lambda *step: told.append(step))
    assert counts == {name: table.num_rows for name, table in tiny.tables.items()}
    assert {name: found[0] for name, found in contents(empty).items()} == counts
    assert {(what, total) for what, done, total in told if done == total} >= set(counts.items())
    first = rows(empty, 'SELECT * FROM "Generation" ORDER BY "id" LIMIT 1')[0]
    assert first == tuple(tiny.tables["Generation"].slice(0, 1).to_pylist()[0].values())
    stored = rows(empty, 'SELECT "data" FROM "Image" WHERE "data" IS NOT NULL ORDER BY "id"')
    assert [data for (data,) in stored] == [d for d in tiny.tables["Image"]["data"].to_pylist() if d]
    assert rows(empty, 'SELECT "name" FROM "Organization" ORDER BY 1') == sorted((p.name,) for p in PERSONAS)
    with pytest.raises(AlreadyLoaded, match=r"call reset\(\)"):
        load_history(empty, tiny, quiet)


@pytest.mark.parametrize("step", ["Organization", "Image", "indexes and keys"])
@pytest.mark.parametrize("prepared", [False, True], ids=["no tables", "empty tables"])
def test_a_killed_load_leaves_nothing(
    empty_database_url: str, superuser_of_empty: Connection, tiny: History, step: str, prepared: bool
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        if prepared:
            create_schema(connection)
        before = structure(connection)
    loading = psycopg.connect(empty_database_url)

    def kill(what: str, _done: int, _total: int) -> None:
        if what == step:
            superuser_of_empty.execute("SELECT pg_terminate_backend(%s, 5000)", (loading.info.backend_pid,))

    with pytest.raises(psycopg.OperationalError):
        load_history(loading, tiny, kill)
    loading.close()
    with psycopg.connect(empty_database_url) as connection:
        assert not is_loaded(connection)
        assert structure(connection) == before
        assert load_history(connection, tiny, quiet)["Generation"] == 1500


@pytest.fixture
def superuser_of_empty(server: Any) -> Iterator[Connection]:
    with server.superuser() as connection:
        yield connection


def test_reset_and_load_again_is_the_same_demo_under_living_views(empty: Connection, tiny: History) -> None:
    create_schema(empty)
    built = structure(empty)
    with empty.transaction():
        empty.execute('CREATE VIEW busy AS SELECT "organizationId", count(*) FROM "Generation" GROUP BY 1')
    load_history(empty, tiny, quiet)
    first = contents(empty)
    assert structure(empty) == built
    reset(empty)
    assert not is_loaded(empty)
    assert rows(empty, "SELECT * FROM busy") == []
    load_history(empty, tiny, quiet)
    assert contents(empty) == first
    assert structure(empty) == built
    assert rows(empty, "SELECT sum(count) FROM busy") == [(1500,)]


def test_an_empty_database_is_not_loaded_and_reset_is_harmless(empty: Connection) -> None:
    assert not is_loaded(empty)
    reset(empty)
    assert fill_gap_is_nothing_without_schema(empty)


def fill_gap_is_nothing_without_schema(connection: Connection) -> bool:
    create_schema(connection)
    return fill_gap(connection, END, 1, quiet) == {}


def test_create_schema_twice_changes_nothing(empty: Connection) -> None:
    create_schema(empty)
    before = structure(empty)
    create_schema(empty)
    assert structure(empty) == before


def test_the_two_flaws_are_there_and_no_other(app_connection: Connection) -> None:
    bare = rows(
        app_connection,
        """SELECT conname FROM pg_constraint c WHERE contype = 'f' AND connamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])""",
    )
    assert bare == [("Image_generationId_fkey",)]
    redundant = rows(
        app_connection,
        """SELECT a.indexrelid::regclass::text FROM pg_index a JOIN pg_index b
             ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid AND NOT a.indisunique
            AND b.indkey::text LIKE a.indkey::text || '%'
           JOIN pg_class t ON t.oid = a.indrelid WHERE t.relnamespace = 'public'::regnamespace""",
    )
    assert redundant == [('"Generation_organizationId_idx"',)]


def test_half_a_schema_can_be_finished(empty: Connection) -> None:
    create_tables(empty)
    assert not is_loaded(empty)
    assert rows(empty, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == [(0,)]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps_minutes=st.lists(st.integers(1, 12 * 24 * 60), min_size=1, max_size=2))
def test_a_filled_gap_keeps_the_books_true(app_connection: Connection, gaps_minutes: list[int]) -> None:
    # Each example goes on where the one before ended: yet more gaps, one after the other.
    now = last_change(app_connection)
    for minutes in gaps_minutes:
        before = contents(app_connection)
        newest = rows(app_connection, 'SELECT max("id"), max("createdAt") FROM "Generation"')[0]
        start, now = now, now + timedelta(minutes=minutes)
        added = fill_gap(app_connection, now, 1, quiet)
        after = contents(app_connection)
        assert {name: after[name][0] - before[name][0] for name in added} == added
        assert fill_gap(app_connection, now, 1, quiet) == {}
        assert contents(app_connection) == after
        late = rows(
            app_connection,
            f"""SELECT min("createdAt"), max("createdAt"), min("id") > '{newest[0]}' FROM "Generation"
                WHERE "id" > '{newest[0]}'""",  # noqa: S608
        )[0]
        if added["Generation"]:
            assert start.replace(tzinfo=None) <= late[0] <= late[1] < now.replace(tzinfo=None)
    assert_true_books(app_connection)
    overdue = rows(
        app_connection,
        """SELECT 1 FROM "Subscription" WHERE "status" <> 'CANCELED'
           AND "currentPeriodEnd" < (SELECT max("updatedAt") FROM "CreditBalance")""",
    )
    assert overdue == []


def last_change(connection: Connection) -> datetime:
    (moment,) = rows(connection, 'SELECT max("updatedAt") FROM "CreditBalance"')[0]
    assert isinstance(moment, datetime)
    return moment.replace(tzinfo=UTC)


def test_a_gap_is_about_as_busy_as_the_weeks_before(app_connection: Connection) -> None:
    before = rows(
        app_connection,
        """SELECT count(*) FROM "Generation"
           WHERE "createdAt" >= (SELECT max("updatedAt") FROM "CreditBalance") - interval '14 days' """,
    )[0][0]
    added = fill_gap(app_connection, last_change(app_connection) + timedelta(days=14), 1, quiet)
    assert added["Generation"] == pytest.approx(before, rel=0.3)
    assert added["CreditTransaction"] > added["Generation"]


def test_a_gap_finishes_what_was_in_flight_and_gives_up_on_what_is_stuck(app_connection: Connection) -> None:
    unfinished = 'SELECT "id" FROM "Generation" WHERE "status" IN (\'PENDING\', \'PROCESSING\') ORDER BY 1'
    left = {id for (id,) in rows(app_connection, unfinished)}
    assert left
    fill_gap(app_connection, last_change(app_connection) + timedelta(days=2), 1, quiet)
    assert not left & {id for (id,) in rows(app_connection, unfinished)}
    ends = dict(rows(app_connection, 'SELECT "id", "status"::text FROM "Generation"'))
    assert {ends[id] for id in left} == {"SUCCEEDED", "FAILED"}
    assert_true_books(app_connection)


def test_operations_after_the_end_move_the_gap(app_connection: Connection) -> None:
    org, user = rows(
        app_connection,
        """SELECT m."organizationId", m."userId" FROM "Membership" m JOIN "CreditBalance" b USING ("organizationId")
           WHERE b."balance" > 100 ORDER BY 1, 2 LIMIT 1""",
    )[0]
    later = last_change(app_connection) + timedelta(days=3)
    id = create_generation(app_connection, org, user, "UPSCALE", "magnify-4x", "a boat", 2, now=later)
    deduct_credits(app_connection, org, user, 1, "sticker sheet", now=later)
    assert fill_gap(app_connection, later - timedelta(hours=1), 1, quiet) == {}
    fill_gap(app_connection, later + timedelta(hours=1), 1, quiet)
    early = END.replace(tzinfo=None), later.replace(tzinfo=None)
    between = rows(
        app_connection,
        f"""SELECT count(*) FROM "Generation" WHERE "createdAt" >= '{early[0]}' AND "createdAt" < '{early[1]}'""",  # noqa: S608
    )
    assert between == [(0,)]
    assert rows(app_connection, f"""SELECT "status"::text FROM "Generation" WHERE "id" = '{id}'""") == [  # noqa: S608
        ("SUCCEEDED",)
    ]
    assert_true_books(app_connection)


def test_a_failed_gap_leaves_everything_as_it_was(app_connection: Connection) -> None:
    before = contents(app_connection)

    def fail(what: str, _done: int, _total: int) -> None:
        if what == "UsageLimit":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_gap(app_connection, last_change(app_connection) + timedelta(days=1), 1, fail)
    assert contents(app_connection) == before


def test_the_small_history_is_the_one_in_the_template(app_connection: Connection) -> None:
    made = small(last_change(app_connection))
    assert {name: table.num_rows for name, table in made.tables.items()} == {
        name: found[0] for name, found in contents(app_connection).items()
    }
