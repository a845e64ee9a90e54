"""The pages in a real Chromium, on the real program and the whole demo."""

import os
import re
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from queries.embedded.attach import AttachedServer
from tests.browser.looking import NARROW, WIDE, fits, keep, looks_of, settle, shown
from tests.running import ROOT, Dashboard

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages"), pytest.mark.timeout(400)]


def test_the_tenants_page_shows_its_figures(open_page: Any) -> None:
    page = open_page("/")
    for viewport, scheme in looks_of(page):
        expect(page.get_by_role("heading", name="Tenants", exact=True)).to_be_visible()
        for label in ("Tenants active", "Credits burned", "At risk", "Running out", "Net usage retention"):
            expect(page.locator("[data-testid=stMetric]", has_text=label)).to_be_visible()
        expect(page.locator("[data-testid=stDataFrame]").first).to_be_visible()
        assert re.search(r"as of \d\d:\d\d:\d\d, UTC", shown(page))
        assert "Traceback" not in shown(page)
        assert fits(page), f"the page scrolls sideways at {viewport['width']}"
        path = keep(page, f"tenants-{scheme}-{viewport['width']}")
        if (viewport, scheme) == (WIDE, "light") and os.environ.get("USAGE_DASHBOARD_README_SCREENSHOT"):
            (ROOT / "docs" / "tenants.png").write_bytes(path.read_bytes())


def open_a_tenant(page: Page) -> None:
    """Choose the first tenant of the page by its picker, as a person without a mouse would."""
    picker = page.get_by_role("combobox", name=re.compile("Open a tenant of this page"))
    options = page.get_by_role("option")
    while options.count() == 0:
        # A click while the page still moves opens nothing.
        picker.click()
        page.wait_for_timeout(500)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("tenant=org"))
    settle(page)


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide", "narrow"])
def test_a_tenant_opens_and_its_copied_link_opens_the_same_view(
    open_page: Any, viewport: dict[str, int], scheme: str
) -> None:
    page = open_page("/", viewport=viewport, scheme=scheme)
    open_a_tenant(page)
    for title in ("Generations", "Before the call", "By type", "By model"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    assert fits(page), "the page scrolls sideways"
    keep(page, f"tenant-{scheme}-{viewport['width']}")
    name = page.get_by_role("heading", level=1).inner_text()
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    expect(again.get_by_role("heading", level=1)).to_have_text(name)


def test_a_changed_filter_is_in_the_address_and_comes_back_with_it(open_page: Any) -> None:
    page = open_page("/?period=Last+7+days&zone=Asia%2FKathmandu")
    assert "UTC+5:45" in shown(page)
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    expect(again.get_by_role("combobox", name=re.compile("Period"))).to_have_value("Last 7 days")
    assert "UTC+5:45" in shown(again)


def test_going_to_the_other_page_and_back_keeps_the_filters(open_page: Any) -> None:
    page = open_page("/?period=Last+7+days&zone=Asia%2FKathmandu&search=an")
    sidebar = page.locator("[data-testid=stSidebar]")
    rows = re.search(r"1 to \d+ of \d+ tenants|no tenant", shown(page))
    for name in ("Tenant", "Tenants"):
        sidebar.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(re.compile(r"/tenant\b" if name == "Tenant" else r"/(\?|$)"))
        settle(page)
        expect(page.get_by_role("combobox", name=re.compile("Period"))).to_have_value("Last 7 days")
        expect(page.get_by_role("combobox", name=re.compile("Time zone"))).to_have_value("Asia/Kathmandu")
    expect(page.get_by_role("textbox", name="Search tenants")).to_have_value("an")
    assert rows is not None
    assert rows.group() in shown(page)


@pytest.mark.parametrize(
    "query",
    [
        "period=Custom&from=2026-06-10&to=2026-06-01",
        "period=Custom&from=0001-01-01&to=2026-06-01",
        "period=Custom&from=1926-01-01&to=2026-06-01",
        "period=nonsense&zone=Mars%2FOlympus&page=-1&sort=drop+table",
        "zone=%00&period=%F0%9F%98%80",
    ],
)
def test_whatever_the_address_says_the_page_answers_in_words(open_page: Any, query: str) -> None:
    page = open_page("/?" + query)
    text = shown(page)
    assert "Traceback" not in text
    assert "Error" not in text
    expect(page.get_by_role("heading", name="Tenants", exact=True)).to_be_visible()


def test_unknown_and_foreign_tenants_are_the_same_not_found(open_page: Any) -> None:
    unknown = shown(open_page("/tenant?tenant=nobody"))
    hostile = shown(open_page("/tenant?tenant=%3Cscript%3Ealert(1)%3C%2Fscript%3E"))
    assert "not found" in unknown.lower() or "no such tenant" in unknown.lower()
    assert [line for line in unknown.splitlines() if "as of" not in line] == [
        line for line in hostile.splitlines() if "as of" not in line
    ]


def test_a_deep_link_on_a_fresh_session_goes_through_the_entry_script(open_page: Any) -> None:
    page = open_page("/tenant")
    expect(page.get_by_text("Look as")).to_be_visible()


def test_a_killed_database_is_said_on_the_page_and_it_heals_by_itself(open_page: Any, dashboard: Dashboard) -> None:
    page = open_page("/")
    stopping = threading.Event()

    def keep_killing() -> None:
        while not stopping.wait(0.05):
            try:
                os.kill(dashboard.postgres_pid(), signal.SIGKILL)
            except (OSError, ValueError, IndexError):
                continue

    killer = threading.Thread(target=keep_killing)
    killer.start()
    try:
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_text("The database does not answer").first).to_be_visible()
        keep(page, "database-away")
    finally:
        stopping.set()
        killer.join()
    expect(page.get_by_text("The database does not answer")).to_have_count(0)
    settle(page)
    expect(page.locator("[data-testid=stMetric]", has_text="Credits burned").first).to_be_visible()


def test_a_closed_tab_takes_its_statements_along(open_page: Any, dashboard: Dashboard) -> None:
    """A lock makes every statement wait; when the tab is closed they are gone from PostgreSQL."""

    server = AttachedServer(dashboard.data)
    server.start()
    page = open_page("/")
    with (
        psycopg.connect(server.url("demo", "app")) as locking,
        psycopg.connect(server.url("demo", "postgres"), autocommit=True) as looking,
    ):
        locking.execute('LOCK TABLE "Generation" IN ACCESS EXCLUSIVE MODE')
        page.get_by_role("button", name="Refresh").click(no_wait_after=True)
        assert eventually(lambda: waiting_statements(looking) > 0, within_s=20)
        page.close()
        assert eventually(lambda: waiting_statements(looking) == 0, within_s=5), "statements outlive their reader"
        locking.rollback()


def waiting_statements(connection: psycopg.Connection[Any]) -> int:
    found = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'usage_dashboard_reader' AND wait_event_type = 'Lock'"
    ).fetchone()
    assert found is not None
    return int(found[0])


def eventually(condition: Any, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
