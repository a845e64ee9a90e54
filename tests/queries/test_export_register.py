"""The register of exports: kept in the database, or in this process's memory; the same to whoever uses it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from queries import export_register
from queries.errors import DatabaseError, MappingError, NotFoundError
from queries.export_register import ExportRegister, MemoryRegister, Register
from queries.exports.manifest import Manifest
from queries.exports.reports import Order
from queries.scope import Scope
from tests.queries.asking import MakeServices

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
MakeRegister = Callable[[], Register]


def order(report: str = "ledger", scope: Scope | None = None) -> Order:
    may = date(2026, 5, 1)
    return Order.of_month(report, may, scope=scope or Scope.all_tenants(), zone="Asia/Kathmandu", now=NOW, format="csv")


def manifest(export_id: str, **changed: object) -> Manifest:
    return Manifest(
        **{
            "id": export_id,
            "report": "ledger",
            "title": "Ledger",
            "schema_version": 1,
            "file": "ledger.csv",
            "columns": ("amount",),
            "filters": {},
            "as_of": NOW,
            "rows": 3,
            "sums": {"amount": "-12345678901234567890.05"},
            "sha256": "ab" * 32,
            "bytes": 99,
            "status": "closed",
            "closed_at": NOW,
            **changed,
        }
    )


@pytest.fixture(params=["database", "memory"])
def make_register(request: pytest.FixtureRequest, make_services: MakeServices) -> MakeRegister:
    """A register as the services hold it, with a database of ours or without."""

    def made() -> Register:
        if request.param == "memory":
            return make_services(direct_url=None).export_register
        return make_services().export_register

    return made


def test_the_services_hold_the_one_that_lasts_where_they_may_write(make_services: MakeServices) -> None:
    assert isinstance(make_services().export_register, ExportRegister)
    assert isinstance(make_services(direct_url=None).export_register, MemoryRegister)


def test_an_export_is_entered_when_it_begins_and_filled_in_when_it_ends(make_register: MakeRegister) -> None:
    register = make_register()
    scope = Scope.of(["b", "a,'\""])
    export_id = register.begin(order(scope=scope), by="Ada", role="finance")
    begun = register.of(export_id)
    assert (begun.report, begun.schema_version, begun.asked_by, begun.role) == ("ledger", 1, "Ada", "finance")
    assert (begun.state, begun.finished_at, begun.rows, begun.sums, begun.sha256) == ("running", None, None, None, None)
    assert begun.filters["tenants"] == ["a,'\"", "b"]
    assert (begun.filters["from"], begun.filters["to"]) == ("2026-05-01", "2026-05-31")
    assert begun.filters["zone"] == "Asia/Kathmandu"
    register.finish(export_id, manifest(export_id, differences=("3 rows, counted 4",)))
    ended = register.of(export_id)
    assert (ended.state, ended.rows, ended.bytes, ended.status) == ("done", 3, 99, "closed")
    assert ended.sums == {"amount": "-12345678901234567890.05"}
    assert (ended.sha256, ended.as_of, list(ended.differences or ())) == ("ab" * 32, NOW, ["3 rows, counted 4"])
    assert ended.finished_at is not None
    assert ended.finished_at >= ended.asked_at
    assert datetime.now(UTC) - ended.asked_at < timedelta(hours=1)


@pytest.mark.parametrize("state", ["failed", "left"])
def test_one_that_did_not_end_says_why_and_one_that_did_stays_done(
    make_register: MakeRegister, state: export_register.Ending
) -> None:
    register = make_register()
    cut, done = (register.begin(order(), by="Ada", role="finance") for _ in range(2))
    register.fail(cut, state, "the database does not answer")
    register.finish(done, manifest(done))
    register.fail(done, state, "too late")
    register.finish(cut, manifest(cut))
    assert (register.of(cut).state, register.of(cut).reason) == (state, "the database does not answer")
    assert register.of(cut).rows is None
    assert (register.of(done).state, register.of(done).reason) == ("done", None)


def test_pages_are_of_the_newest_first_of_some_reports_and_of_one_person(make_register: MakeRegister) -> None:
    register = make_register()
    made = [
        register.begin(order(report), by=by, role="finance")
        for by, report in [("Ada", "ledger"), ("Bo", "usage-lines"), ("Ada", "usage-lines"), ("Bo", "ledger")]
    ]

    def ids(**wanted: object) -> tuple[list[str], int]:
        page = register.page(**{"limit": 10, **wanted})  # type: ignore[arg-type]  # what a test wants
        return [one.id for one in page.rows], page.total_rows

    newest = made[::-1]
    assert ids() == (newest, 4)
    assert ids(limit=2, offset=1) == (newest[1:3], 4)
    assert ids(reports=["ledger"]) == ([made[3], made[0]], 2)
    assert ids(reports=[]) == ([], 0)
    assert ids(asked_by="Ada") == ([made[2], made[0]], 2)
    assert ids(asked_by="Ada", reports=["ledger"]) == ([made[0]], 1)


def test_an_id_that_nobody_was_given_is_said_in_words(make_register: MakeRegister) -> None:
    with pytest.raises(NotFoundError, match="no such export"):
        make_register().of("x' OR 1=1 --")


def test_every_process_sees_the_same_register(make_services: MakeServices) -> None:
    one, other = make_services().export_register, make_services().export_register
    export_id = one.begin(order(), by="Ada", role="finance")
    other.finish(export_id, manifest(export_id))
    assert one.of(export_id) == other.of(export_id)
    assert one.of(export_id).state == "done"


def test_memory_keeps_the_newest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_register, "_MOST_REMEMBERED", 3)
    register = MemoryRegister()
    made = [register.begin(order(), by="Ada", role="finance") for _ in range(5)]
    page = register.page(limit=10)
    assert ([one.id for one in page.rows], page.total_rows) == (made[:1:-1], 3)


def test_a_register_that_cannot_be_written_is_said_in_words(make_services: MakeServices, owner_url: str) -> None:
    register = make_services().export_register
    with psycopg.connect(owner_url) as connection:
        connection.execute("ALTER TABLE usage_dashboard.export RENAME TO export_away")
    with pytest.raises((MappingError, DatabaseError)):
        register.begin(order(), by="Ada", role="finance")
