"""The real program on the whole demo, and browsers to open its pages in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.looking import PATIENCE_MS, WIDE, is_ours, settle
from tests.running import Dashboard, free_port

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def dashboard(data_folder: Path) -> Iterator[Dashboard]:
    running = Dashboard(data_folder, free_port())
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def visited(browser: Browser, dashboard: Dashboard) -> Iterator[BrowserContext]:
    """A browser that keeps what does not change, scripts and styles, from one page to the next."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, visited: BrowserContext, dashboard: Dashboard) -> Iterator[Any]:
    """Opens an address in a tab, or, `anew`, in a browser that knows nothing; a request that leaves the machine, or a
    page error, is a failure."""
    pages, contexts, strangers, errors = [], [], [], []

    def opened(path: str, *, viewport: dict[str, int] = WIDE, scheme: str = "light", anew: bool = False) -> Page:
        context = visited
        if anew:
            context = browser.new_context()
            contexts.append(context)
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda one: strangers.append(one.url) if not is_ours(one.url, dashboard) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(dashboard.url + path)
        settle(page)
        return page

    yield opened
    for one in (*pages, *contexts):
        one.close()
    assert strangers == [], "requests left the machine"
    assert errors == [], "the page raised errors"
