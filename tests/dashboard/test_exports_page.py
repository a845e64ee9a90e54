"""The page Exports: who may take what, what it says of a file before and after, and what it does with a bad address."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from dashboard import services, viewer
from dashboard.browser import COOKIE
from dashboard.exporting import Earlier, Job
from dashboard.exports import contents, getting, past
from queries.errors import DatabaseUnavailableError
from queries.export_register import MemoryRegister
from queries.exports.reports import REPORTS
from tests.conftest import OWNER, Server
from tests.dashboard.exporting_runs import NOW, an_order, manifest_of
from tests.dashboard.serving import WORD, browser_name

MAY = {"period": "Custom", "from": "2026-05-01", "to": "2026-05-31"}
TITLES = {name: one.title for name, one in REPORTS.items()}
TAKES = {
    "account_manager": ["tenants"],
    "engineer": ["query-log"],
    "finance": ["credit-statement", "usage-lines", "ledger", "generations", "tenants"],
    "admin": list(REPORTS),
}
NOT_FOUND = "No such tenant, or it is not one of yours"


@pytest.fixture(autouse=True)
def _cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser behind the pages; AppTest has none."""
    monkeypatch.setattr(ContextProxy, "cookies", {COOKIE: WORD})


@pytest.fixture(autouse=True)
def _register(demo: services.Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other tests' exports are not these tests'."""
    contents._kept.clear()
    yield
    for job in demo.exporter.jobs_of(browser_name()):
        demo.exporter.stop(job)


def said(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    found = [str(element.value) for kind in kinds for element in app.get(kind)]
    return "\n".join([*found, *(one.label for one in app.button)]).replace("\\", "").replace("\u2060", "")


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def choices(app: AppTest, label: str) -> list[str]:
    return next(one for one in app.selectbox if one.label == label).options


def jobs(held: services.Services) -> list[Job]:
    return held.exporter.jobs_of(browser_name())


def fetched(held: services.Services, job: Job) -> bytes:
    """The file as the browser gets it."""
    taken: list[bytes] = []
    held.exporter.fetch(job)
    assert held.exporter.has_turn(job)
    held.exporter.stream(job, taken.append, lambda: None)
    return b"".join(taken)


def shown_sums(app: AppTest) -> dict[str, Decimal]:
    frame = app.dataframe[0].value
    return {name: Decimal(text.replace(",", "").replace("−", "-")) for name, text in zip(*frame.values.T, strict=True)}


@pytest.mark.parametrize("role", viewer.ROLES)
def test_each_role_takes_its_own_reports(open_app: Any, role: str) -> None:
    app = open_app("exports", role=role)
    assert not app.exception
    assert not app.error
    assert choices(app, "Report") == [TITLES[one] for one in TAKES[role]]


def test_every_report_is_somebodys() -> None:
    assert set(viewer.TAKES) == set(REPORTS)
    assert all(viewer.TAKES.values())


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_shows_what_is_in_it(open_app: Any, report: str) -> None:
    app = open_app("exports", report=TITLES[report], **MAY)
    assert not app.exception
    assert not app.error, said(app)
    assert REPORTS[report].question in said(app)


@pytest.mark.parametrize("report", ["credit-statement", "usage-lines", "ledger", "generations", "tenants"])
def test_page_file_manifest_and_a_recount_have_the_same_rows_and_sums(
    demo: services.Services, open_app: Any, report: str
) -> None:
    app = open_app("exports", report=TITLES[report], file="CSV for programs", **MAY)
    button(app, "Download").click().run()
    (job,) = jobs(demo)
    body = fetched(demo, job)
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    counted = {one.name: sum(Decimal(row[one.name] or 0) for row in rows) for one in REPORTS[report].summed}
    assert job.manifest is not None
    assert rows, "an empty file proves nothing"
    assert f"{len(rows):,} row" in said(app)
    assert counted == shown_sums(app) == {name: Decimal(value) for name, value in job.manifest.sums.items()}
    assert (job.manifest.rows, job.manifest.sha256) == (len(rows), hashlib.sha256(body).hexdigest())
    assert job.manifest.differences == ()


def test_the_download_goes_through_its_states_on_the_page(demo: services.Services, open_app: Any) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    button(app, "Download").click().run()
    assert not app.exception
    assert "your browser fetches it" in said(app)
    (job,) = jobs(demo)
    fetched(demo, job)
    after = said(app.run())
    assert job.manifest is not None
    assert f"{job.manifest.rows:,} rows" in after
    assert job.manifest.sha256[:16] in after
    assert "provisional" in after


def test_who_waits_sees_the_place_in_the_queue_and_can_stop(demo: services.Services, open_app: Any) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    for _ in range(4):
        button(app, "Download").click().run()
    assert [job.state for job in jobs(demo)] == ["waiting", "waiting", "ready", "ready"]
    assert "number 1 in the queue, 2 under way" in said(app)
    assert "number 2 in the queue, 2 under way" in said(app)
    button(app, "Stop").click().run()
    assert [job.state for job in jobs(demo)] == ["stopped", "waiting", "ready", "ready"]
    assert "No file: stopped by Demo visitor" in said(app)


def test_a_file_that_differs_from_the_preview_says_so(
    demo: services.Services, server: Server, shared_database: str, open_app: Any
) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    insert = (
        'INSERT INTO "CreditTransaction" ("id", "organizationId", "type", "amount", "createdAt")'
        " SELECT 'late', min(\"id\"), 'GRANT', 7, '2026-05-31 12:00' FROM \"Organization\""
    )
    with psycopg.connect(server.url(shared_database, "app"), autocommit=True) as connection:
        connection.execute(insert)
        try:
            button(app, "Download").click().run()
            fetched(demo, jobs(demo)[0])
        finally:
            connection.execute('DELETE FROM "CreditTransaction" WHERE "id" = \'late\'')
    text = said(app.run())
    assert "Since the preview of" in text
    assert "rows then" in text
    assert "amount" in text


def test_an_account_manager_gets_their_own_tenants_only(demo: services.Services, open_app: Any, ids: list[str]) -> None:
    app = open_app("exports", role="account_manager")
    mine = ids[: (len(ids) + 1) // 2]
    assert f"{len(mine)} tenants" in said(app)
    button(app, "Download").click().run()
    rows = list(csv.DictReader(io.StringIO(fetched(demo, jobs(demo)[0]).decode("utf-8-sig"), newline="")))
    assert [row["tenant_id"] for row in rows] == mine


def test_chosen_tenants_are_those_of_the_file(demo: services.Services, open_app: Any, ids: list[str]) -> None:
    app = open_app("exports", report="Ledger", tenant=ids[1], **MAY)
    assert "1 tenant" in said(app)
    button(app, "Download").click().run()
    rows = list(csv.DictReader(io.StringIO(fetched(demo, jobs(demo)[0]).decode("utf-8-sig"), newline="")))
    assert {row["tenant_id"] for row in rows} == {ids[1]}


def test_the_ended_file_and_the_register_name_the_tenants(
    demo: services.Services, open_app: Any, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app("exports", report="Ledger", tenant=[ids[1], ids[2]], **MAY)
    button(app, "Download").click().run()
    fetched(demo, jobs(demo)[0])
    assert f"Tenants: {ids[1]}, {ids[2]}" in said(app.run())
    demo.exporter.sign_out(browser_name())
    monkeypatch.setattr(past, "clicked_row", lambda *_, **__: 0)
    listed = said(open_app("exports", report="Ledger", **MAY))
    assert "2 tenants" in listed
    assert f"Tenants: {ids[1]}, {ids[2]}" in listed


def test_many_tenants_are_named_in_part() -> None:
    many = [f"org_{number:02}" for number in range(40)]
    assert contents.named_tenants(many).endswith("org_24 and 15 more")
    assert contents.named_tenants(many[:25]).endswith("org_23, org_24")


def test_a_report_as_of_now_says_that_the_period_does_not_count(open_app: Any) -> None:
    sentence = "the period above does not count"
    assert sentence in said(open_app("exports", report="Tenants", **MAY))
    assert sentence not in said(open_app("exports", report="Ledger", **MAY))


def test_a_file_that_is_fetched_again_is_compared_with_the_register(
    demo: services.Services, server: Server, shared_database: str, open_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "clicked_row", lambda *_, **__: 0)
    app = open_app("exports", report="Ledger", **MAY)
    button(app, "Download").click().run()
    fetched(demo, jobs(demo)[0])
    app = open_app("exports", report="Ledger", **MAY)
    button(app, "Fetch again").click().run()
    fetched(demo, jobs(demo)[0])
    assert "byte for byte: its SHA-256 is the one in the register" in said(app.run())
    with psycopg.connect(server.url(shared_database, "app"), autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "CreditTransaction" ("id", "organizationId", "type", "amount", "createdAt")'
            " SELECT 'later', min(\"id\"), 'GRANT', 7, '2026-05-31 12:00' FROM \"Organization\""
        )
        try:
            button(app, "Fetch again").click().run()
            fetched(demo, jobs(demo)[0])
        finally:
            connection.execute('DELETE FROM "CreditTransaction" WHERE "id" = \'later\'')
    assert "That one was provisional, and rows came or changed since" in said(app.run())


@pytest.mark.parametrize(
    ("kind", "has_same_rows", "is_alarming", "sentence"),
    [
        ("csv", True, True, "it should be the same"),
        ("csv.gz", True, False, "Rows and sums are the same"),
        ("xlsx", False, True, "it should be the same"),
    ],
)
def test_a_closed_month_that_is_another_file_is_said(
    kind: str, has_same_rows: bool, is_alarming: bool, sentence: str
) -> None:
    manifest = replace(manifest_of(an_order(format=kind), 3, 30, "b" * 64), status="closed")
    earlier = Earlier(NOW, "a" * 64, "closed", 3 if has_same_rows else 4, manifest.sums)
    found, text = getting.against_register(earlier, manifest, "UTC")
    assert (found, sentence in text, "a" * 16 in text) == (is_alarming, True, True)
    assert "byte for byte" in getting.against_register(replace(earlier, sha256="b" * 64), manifest, "UTC")[1]


def test_another_ones_tenant_looks_exactly_like_no_tenant(open_app: Any, ids: list[str]) -> None:
    foreign = open_app("exports", role="account_manager", tenant=ids[-1])
    unknown = open_app("exports", role="account_manager", tenant="org_ffffffff")
    assert NOT_FOUND in said(foreign)
    without_reference = [
        [line for line in said(one).splitlines() if "Reference" not in line] for one in (foreign, unknown)
    ]
    assert without_reference[0] == without_reference[1]
    assert not foreign.dataframe


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"report": "Salaries"}, "report “Salaries” is not known"),
        ({"file": "Word"}, "file “Word” is not known"),
        ({"period": "Custom", "from": "2027-01-01", "to": "2027-01-31"}, "after today"),
        ({"period": "Custom", "from": "2026-05-07", "to": "2026-05-01"}, "is after to"),
        ({"zone": "Mars/Olympus"}, "time zone is not known"),
        ({"tenant": "a\x00b"}, NOT_FOUND),
        ({"tenant": "x" * 5_000}, NOT_FOUND),
    ],
)
def test_a_bad_address_is_answered_in_words(open_app: Any, parameters: dict[str, str], words: str) -> None:
    app = open_app("exports", **{"report": "Ledger", **parameters})
    assert not app.exception
    assert words in said(app)


def test_the_report_of_another_role_is_not_shown_by_its_address(open_app: Any) -> None:
    app = open_app("exports", role="engineer", report="Ledger")
    assert "report “Ledger” is not known; the query log is shown" in said(app)
    assert "amount" not in said(app)


def test_rights_that_have_gone_meanwhile_are_gone(
    demo: services.Services, open_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    with monkeypatch.context() as patch:
        patch.setitem(viewer.TAKES, "ledger", frozenset({"finance"}))
        button(app, "Download").click().run()
    assert "not open to your role" in said(app)
    assert jobs(demo) == []
    button(open_app("exports", report="Ledger", **MAY), "Download").click().run()
    monkeypatch.setitem(viewer.TAKES, "ledger", frozenset({"finance"}))
    with pytest.raises(Exception, match="not open to your role any more"):
        fetched(demo, jobs(demo)[0])


def test_looking_as_somebody_else_takes_the_links_away(demo: services.Services, open_app: Any) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    button(app, "Download").click().run()
    (job,) = jobs(demo)
    token = demo.exporter.address(job).rsplit("/", 1)[1]
    assert demo.exporter.opened(token, browser_name()) is job
    next(one for one in app.selectbox if one.label == "Look as").set_value("finance").run()
    with pytest.raises(Exception, match="signed out or changed role"):
        demo.exporter.opened(token, browser_name())
    assert "ledger-2026-05" not in said(app), "what somebody else took is listed"


def test_an_empty_period_says_so(demo: services.Services, open_app: Any) -> None:
    app = open_app("exports", report="Generations", period="Custom", **{"from": "2019-05-01", "to": "2019-05-07"})
    assert "No rows in generations for 1 to 7 May 2019" in said(app)
    button(app, "Download").click().run()
    body = fetched(demo, jobs(demo)[0]).decode("utf-8-sig")
    assert body == ",".join(REPORTS["generations"].header) + "\r\n"
    assert jobs(demo)[0].manifest is not None
    assert jobs(demo)[0].manifest.rows == 0  # type: ignore[union-attr]  # looked at above


def test_a_statement_is_of_whole_months(demo: services.Services, open_app: Any) -> None:
    app = open_app("exports", report="Credit statement", period="Custom", **{"from": "2026-04-20", "to": "2026-05-03"})
    assert "1 Apr to 31 May 2026" in said(app)
    assert "these two sums are no balance" in said(app)
    one_month = {"period": "Custom", "from": "2026-05-01", "to": "2026-05-31"}
    for report, days in (("Credit statement", one_month), ("Ledger", MAY | {"to": "2026-06-03"})):
        assert "no balance" not in said(open_app("exports", report=report, **days))


def test_more_rows_than_excel_holds_are_said(open_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getting, "XLSX_ROWS", 10)
    assert "Choose CSV or Parquet" in said(open_app("exports", report="Ledger", file="Excel workbook", **MAY))
    assert "Excel will not open all of it" in said(open_app("exports", report="Ledger", file="CSV for Excel", **MAY))
    assert "Excel" not in said(open_app("exports", report="Ledger", file="Parquet", **MAY)).replace("CSV for Excel", "")


def test_without_the_cookie_the_page_says_what_is_missing(open_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContextProxy, "cookies", {})
    app = open_app("exports", report="Ledger", **MAY)
    assert "Allow cookies for this address" in said(app)
    assert button(app, "Download").disabled


def test_a_database_that_is_away_is_said_in_words(
    demo: services.Services, open_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailableError("the database does not answer; the page tries again by itself")

    monkeypatch.setattr(contents, "preview_of", refused)
    app = open_app("exports", report="Ledger", **MAY)
    assert not app.exception
    assert "The database does not answer" in said(app)
    assert "heals by itself" in said(app)


def test_the_register_shows_each_role_its_own(demo: services.Services, open_app: Any) -> None:
    for role, report in (("finance", "Ledger"), ("account_manager", "Tenants")):
        app = open_app("exports", role=role, report=report, **MAY)
        button(app, "Download").click().run()
        fetched(demo, jobs(demo)[0])
    listed = open_app("exports", role="finance", report="Ledger", **MAY).dataframe[-1].value
    # The newest first; what other tests left there, some of it under way, comes after.
    assert list(listed["report"][:2]) == ["Tenants", "Ledger"]
    assert list(listed["state"][:2]) == ["done", "done"]
    mine = open_app("exports", role="account_manager", report="Tenants").dataframe[-1].value
    assert set(mine["asked_by"]) == {"Ada Accounts"}
    assert "Nothing has been exported yet" in said(open_app("exports", role="engineer"))


def test_without_a_database_of_ours_the_register_is_in_memory(server: Server, demo: services.Services) -> None:
    held = services.build(demo.settings.model_copy(update={"direct_url": None}), is_demo=True)
    try:
        assert isinstance(held.export_register, MemoryRegister)
        assert held.closer is None
    finally:
        held.close()


def test_a_run_that_was_killed_is_shown_as_not_finished(
    server: Server, demo: services.Services, shared_database: str, open_app: Any
) -> None:
    app = open_app("exports", report="Ledger", **MAY)
    button(app, "Download").click().run()
    (job,) = jobs(demo)
    demo.export_register.begin(job.order, by="Gone", role="admin")
    with psycopg.connect(server.url(shared_database, OWNER), autocommit=True) as connection:
        connection.execute(
            "UPDATE usage_dashboard.export SET asked_at = now() - interval '1 hour' WHERE asked_by = 'Gone'"
        )
        try:
            listed = open_app("exports", report="Ledger", **MAY).dataframe[-1].value
            (state,) = listed.loc[listed["asked_by"] == "Gone", "state"]
            assert state == "not finished"
        finally:
            connection.execute("DELETE FROM usage_dashboard.export WHERE asked_by = 'Gone'")
