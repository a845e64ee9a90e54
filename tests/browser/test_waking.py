"""A database that has gone to sleep, as a person sees it: the page says what it waits for, and fills by itself."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import LOOKS, fits, keep, looks_of, settle, shown
from tests.conftest import OWNER, READER, Server
from tests.on_the_way import Way
from tests.running import Dashboard, free_port

WAITS_S = 5


@pytest.fixture(scope="module")
def way(server: Server, module_database: str) -> Iterator[Way]:
    made = Way(server.url(module_database, READER))
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(
    server: Server, module_database: str, way: Way, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    made = Dashboard(
        tmp_path_factory.mktemp("waking") / "data",
        free_port(),
        DATABASE_URL=way.url,
        DIRECT_URL=server.url(module_database, OWNER),
        USAGE_DASHBOARD_AUTH="none",
        WAKE_WAIT_S=str(WAITS_S),
    )
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()


@pytest.fixture
def page(browser: Browser, running: Dashboard) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    # The small demo's days.
    opened.goto(f"{running.url}/burn?period=Custom&from=2026-05-18&to=2026-06-15")
    settle(opened)
    yield opened
    context.close()


def test_a_page_says_that_it_wakes_the_database_and_fills_by_itself(page: Page, way: Way) -> None:
    waking = page.get_by_text("Waking the database.")
    refresh = page.get_by_role("button", name="Refresh")
    figures = page.locator("[data-testid=stMetric]").first
    before = figures.inner_text()

    way.sleep()
    refresh.click()
    expect(waking).to_be_visible()
    expect(page.get_by_text("This page fills by itself")).to_be_visible()
    for viewport, scheme in LOOKS:
        page.set_viewport_size(viewport)  # type: ignore[arg-type]  # Playwright's own type
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # Playwright's own type
        keep(page, f"waking-{viewport['width']}-{scheme}")
    way.wake()
    expect(waking).to_have_count(0)
    settle(page)
    assert figures.inner_text() == before
    assert "No connection" not in shown(page)

    # It does not come in time: the page keeps what it had, says so, and heals without a click.
    way.sleep(starting=True)
    refresh.click()
    expect(page.get_by_text("did not answer in time")).to_be_visible()
    keep(page, "asleep-for-long")
    way.wake()
    expect(page.get_by_text("did not answer in time")).to_have_count(0)
    settle(page)
    assert figures.inner_text() == before


def test_a_page_that_opens_while_the_database_sleeps_fills_by_itself(
    browser: Browser, running: Dashboard, way: Way
) -> None:
    way.sleep()
    page = browser.new_context().new_page()
    page.goto(f"{running.url}/?period=Custom&from=2026-05-18&to=2026-06-15")
    expect(page.get_by_text("Waking the database.")).to_be_visible()
    keep(page, "waking-opened")
    way.wake()
    settle(page)
    expect(page.get_by_text("Waking the database.")).to_have_count(0)
    expect(page.locator("[data-testid=stMetric]").first).to_be_visible()
    for _ in looks_of(page):
        assert fits(page)
    page.context.close()
