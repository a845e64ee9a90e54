"""Notes: who may pin and take away, what is kept, and who sees it through both walls."""

import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services import Services
from queries.catalog import notes
from queries.database import ALL_TENANTS, TENANTS_SETTING, driver_url, tenants_setting
from queries.errors import ArgumentError, MappingError, NotFoundError, UnscopedStatementError
from queries.guard import refuse_unscoped
from queries.notes import Author, Notebook, checked_text
from queries.period import Period
from queries.runner import Context
from queries.scope import Scope
from queries.tables import default_tables
from tests.conftest import OWNER, READER, Server, _clone
from tests.queries.asking import MakeServices

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
ADA, EMIL = Author("Ada", "account_manager"), Author("Emil", "engineer")
ADMIN = Author("Root", "admin", may_remove_any=True)
EVERYBODY = Scope.all_tenants()
DAYS = st.dates(date(2026, 5, 1), date(2026, 7, 31))


@pytest.fixture
def held(make_services: MakeServices) -> Services:
    return make_services()


@pytest.fixture
def notebook(held: Services) -> Notebook:
    assert held.notebook is not None
    return held.notebook


def pinned(held: Services, scope: Scope, period: Period | None = None, *, within: Scope = EVERYBODY) -> list[Any]:
    period = period or Period.last_days(28, zone="UTC", now=NOW)
    version = held.notebook.version if held.notebook is not None else ""
    frame = held.runner.run(notes.pinned(scope, period=period, version=version), Context(within)).frame
    return list(frame.to_dict("records"))


def test_a_note_is_seen_at_once_and_gone_at_once(held: Services, notebook: Notebook) -> None:
    assert pinned(held, Scope.of(["one"])) == []
    note_id = notebook.add(EVERYBODY, tenant_id="one", day=date(2026, 6, 1), text="  price\n change ", author=ADA)
    seen = pinned(held, Scope.of(["one"]))
    assert seen == [
        {"note_id": note_id, "tenant_id": "one", "tenant": None, "day": date(2026, 6, 1), "author": "Ada"}
        | {"text": "price\n change"}
    ]
    assert pinned(held, Scope.of(["two"])) == []
    notebook.remove(EVERYBODY, note_id=note_id, by=ADA)
    assert pinned(held, Scope.of(["one"])) == []


def test_only_the_author_and_administrators_take_a_note_away(
    held: Services, notebook: Notebook, owner_url: str
) -> None:
    note_id = notebook.add(EVERYBODY, tenant_id="one", day=date(2026, 6, 1), text="hers", author=ADA)
    for by, scope in ((EMIL, EVERYBODY), (ADA, Scope.of(["two"])), (ADMIN, Scope.of([]))):
        with pytest.raises(NotFoundError) as refused:
            notebook.remove(scope, note_id=note_id, by=by)
        with pytest.raises(NotFoundError) as unknown:
            notebook.remove(EVERYBODY, note_id=10**9, by=ADMIN)
        assert refused.value.message == unknown.value.message
    assert len(pinned(held, EVERYBODY)) == 1
    notebook.remove(Scope.of(["one"]), note_id=note_id, by=ADMIN)
    assert pinned(held, EVERYBODY) == []
    with psycopg.connect(owner_url) as connection:
        kept = connection.execute(
            "SELECT author, author_role, removed_by, removed_at IS NOT NULL FROM usage_dashboard.note"
        ).fetchall()
    assert kept == [("Ada", "account_manager", "Root", True)], "who wrote it and who removed it stays known"
    with pytest.raises(NotFoundError):
        notebook.remove(EVERYBODY, note_id=note_id, by=ADMIN)


def test_beyond_the_scope_nothing_is_written(held: Services, notebook: Notebook) -> None:
    with pytest.raises(NotFoundError):
        notebook.add(Scope.of(["one"]), tenant_id="two", day=date(2026, 6, 1), text="x", author=ADA)
    assert pinned(held, EVERYBODY) == []
    notebook.add(EVERYBODY, tenant_id="two", day=date(2026, 6, 1), text="x", author=ADA)
    with pytest.raises(NotFoundError):
        pinned(held, Scope.of(["two"]), within=Scope.of(["one"]))


@pytest.mark.parametrize("text", ["", "   \n", "x" * 201, "a\x00b", "\ud800"])
def test_what_cannot_be_kept_is_refused_in_words(notebook: Notebook, text: str) -> None:
    with pytest.raises(ArgumentError):
        notebook.add(EVERYBODY, tenant_id="one", day=date(2026, 6, 1), text=text, author=ADA)


@pytest.mark.parametrize("day", [date(1999, 12, 31), date(2100, 1, 1), None])
def test_a_day_out_of_range_is_refused(notebook: Notebook, day: Any) -> None:
    with pytest.raises(ArgumentError):
        notebook.add(EVERYBODY, tenant_id="one", day=day, text="x", author=ADA)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=220))
def test_a_text_is_kept_as_it_is_or_refused(text: str) -> None:
    if 1 <= len(text.strip()) <= 200:
        assert checked_text(text) == text.strip()
    else:
        with pytest.raises(ArgumentError):
            checked_text(text)


@pytest.fixture(scope="module")
def written(server: Server, template: str) -> Iterator[str]:
    """A database of this module's own, whose notes are made anew by each example."""
    with _clone(server, template) as name:
        yield name


@given(
    rows=st.lists(st.tuples(st.sampled_from(["one", "two", 'th"ree', "b\\ack"]), DAYS), max_size=12),
    first=DAYS,
    length=st.integers(0, 40),
    zone=st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Havana"]),
    tenants=st.sets(st.sampled_from(["one", "two", 'th"ree', "b\\ack", "none"])) | st.none(),
)
def test_the_notes_of_a_period_are_those_of_its_local_days(
    server: Server, written: str, rows: Any, first: date, length: int, zone: str, tenants: set[str] | None
) -> None:
    """Against plain Python over the rows; through the walls, as the reader role reads them."""
    scope = EVERYBODY if tenants is None else Scope.of(tenants)
    period = Period.of_dates(first, first + timedelta(days=length), zone=zone, now=NOW, grain="day")
    with psycopg.connect(server.url(written, OWNER)) as owner:
        owner.execute("DELETE FROM usage_dashboard.note")
        for number, (tenant, day) in enumerate(rows):
            owner.execute(
                "INSERT INTO usage_dashboard.note (tenant_id, day, text, author, author_role)"
                " VALUES (%s, %s, %s, 'Ada', 'admin')",
                [tenant, day, str(number)],
            )
    shown = read_through_walls(server.url(written, READER), scope, period)
    expected = [
        (tenant, day, str(number))
        for number, (tenant, day) in enumerate(rows)
        if (tenants is None or tenant in tenants) and first <= day <= first + timedelta(days=length)
    ]
    assert shown == sorted(expected, key=lambda one: (one[1], int(one[2])), reverse=True)


def read_through_walls(url: str, scope: Scope, period: Period) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(driver_url(url), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.set_config(TENANTS_SETTING, tenants_setting(scope), True)))
            rows = connection.execute(notes.pinned(scope, period=period).statement(default_tables(walled=True))).all()
    finally:
        engine.dispose()
    return [(one.tenant_id, one.day, one.text) for one in rows]


def test_the_guard_holds_notes_to_their_tenants() -> None:
    note = default_tables().note
    with pytest.raises(UnscopedStatementError, match="our_note"):
        refuse_unscoped(sa.select(note.c.text), Scope.of(["one"]))
    assert (
        refuse_unscoped(sa.select(note.c.text).where(Scope.of(["one"]).predicate(note.c.tenant_id)), Scope.of(["one"]))
        is None
    )


def test_the_wall_shows_a_reader_the_named_tenants_only(notebook: Notebook, reader_url: str) -> None:
    for tenant in ("one", "two"):
        notebook.add(EVERYBODY, tenant_id=tenant, day=date(2026, 6, 1), text=tenant, author=ADA)
    with psycopg.connect(reader_url) as connection:

        def seen(setting: str) -> set[str]:
            connection.execute("SELECT set_config(%s, %s, true)", [TENANTS_SETTING, setting])
            return {text for (text,) in connection.execute("SELECT text FROM usage_dashboard.our_note")}

        assert seen("{one}") == {"one"}
        assert seen(ALL_TENANTS) == {"one", "two"}
        assert seen("{}") == set()
    with psycopg.connect(reader_url) as connection:
        assert connection.execute("SELECT count(*) FROM usage_dashboard.our_note").fetchone() == (0,)
    with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM usage_dashboard.note")
    with psycopg.connect(reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM usage_dashboard.our_note")


def test_a_database_without_our_schema_says_what_to_run(make_services: MakeServices, superuser_url: str) -> None:
    with psycopg.connect(superuser_url) as connection:
        connection.execute("DROP SCHEMA usage_dashboard CASCADE")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO usage_dashboard_reader")
    held = make_services()
    with pytest.raises(MappingError, match="python -m dashboard migrate"):
        pinned(held, EVERYBODY)
    assert held.notebook is not None
    with pytest.raises(MappingError):
        held.notebook.add(EVERYBODY, tenant_id="one", day=date(2026, 6, 1), text="x", author=ADA)


def test_without_a_direct_url_there_is_no_notebook(make_services: MakeServices) -> None:
    assert make_services(direct_url=None).notebook is None


def test_writes_of_one_process_are_never_taken_for_those_of_another(held: Services, notebook: Notebook) -> None:
    assert held.database.owner is not None
    other = Notebook(held.database.owner)
    before = notebook.version
    assert before != other.version
    notebook.add(EVERYBODY, tenant_id=secrets.token_hex(4), day=date(2026, 6, 1), text="x", author=ADA)
    assert notebook.version not in (before, other.version)
