"""The real program on the whole demo, and browsers to open its pages in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.looking import PATIENCE_MS, WIDE, is_ours, settle
from tests.running import Dashboard, free_port


@pytest.fixture(scope="module")
def dashboard(data_folder: Path) -> Iterator[Dashboard]:
    running = Dashboard(data_folder, free_port())
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def open_page(browser: Browser, dashboard: Dashboard) -> Iterator[Any]:
    """Opens an address in a browser of its own; a request that leaves the machine, or a page error, is a failure."""
    contexts, strangers, errors = [], [], []

    def opened(path: str, *, viewport: dict[str, int] = WIDE, scheme: str = "light") -> Page:
        context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda one: strangers.append(one.url) if not is_ours(one.url, dashboard) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(dashboard.url + path)
        settle(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert strangers == [], "requests left the machine"
    assert errors == [], "the page raised errors"
