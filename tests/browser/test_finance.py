"""Finance's way in Chromium: find a month, drill into a difference, close the month, download its statement, verify."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Download, Page, expect

from queries.embedded.attach import AttachedServer
from tests.browser.looking import fits, keep, looks_of, settle, shown
from tests.running import ROOT, Dashboard, free_port

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("finance"), pytest.mark.timeout(600)]

LONG_MS = 240_000
# As docs/demo.md tells it.
DIFFERING, DIFFERENCE = "Saltmarsh Studios", "250"


@pytest.fixture(scope="module")
def dashboard(data_folder: Path) -> Iterator[Dashboard]:
    """The real program, where a month can be closed as soon as it is over; afterwards none is closed."""
    running = Dashboard(data_folder, free_port(), CLOSE_GRACE_H="0")
    try:
        running.wait_ready()
        yield running
        server = AttachedServer(running.data)
        server.start()
        with psycopg.connect(server.url("demo", "usage_dashboard_owner")) as connection:
            for table in ("closed_part", "closed_statement", "closed_month", "correction", "export"):
                connection.execute(f"DELETE FROM usage_dashboard.{table}")  # noqa: S608 - the names above
    finally:
        running.stop()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def choose_first_row(page: Page, table: str) -> None:
    """Choose the first row of a table; its cells are drawn on a canvas."""
    place = page.locator(f"[data-testid=stDataFrame]:has([aria-label*='{table}']) canvas").first
    place.scroll_into_view_if_needed()
    place.click(position={"x": 15, "y": 52}, force=True)
    settle(page)


def last_month() -> str:
    before = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    return f"{before:%B %Y}"


def kept(download: Download, folder: Path) -> Path:
    assert download.failure() is None
    path = folder / download.suggested_filename
    download.save_as(path)
    return path


def downloaded(page: Page, folder: Path) -> tuple[Path, Path]:
    """The file of the button, and its manifest."""
    folder.mkdir()
    manifests = page.get_by_role("link", name="Manifest")
    before = manifests.count()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download", exact=True).click()
    file = kept(coming.value, folder)
    expect(manifests).to_have_count(before + 1)
    settle(page)
    with page.expect_download() as coming:
        manifests.first.click()
    return file, kept(coming.value, folder)


def test_from_a_difference_to_a_verified_file(open_page: Any, tmp_path: Path) -> None:
    page = open_page("/statements")
    choose(page, "Look as", "Finance")
    expect(page.locator("[data-testid=stMetric]", has_text="Unexplained")).to_contain_text(DIFFERENCE)
    keep(page, "finance-statements")

    choose_first_row(page, "The statement by tenant and month")
    expect(page.get_by_role("heading", name="How it adds up")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile(DIFFERING))).to_be_visible()
    expect(
        page.get_by_text(re.compile(rf"{DIFFERENCE}.* unexplained|unexplained.* {DIFFERENCE}")).first
    ).to_be_visible()
    keep(page, "finance-difference")
    page.get_by_role("button", name="Close this").click()
    settle(page)

    month = last_month()
    page.get_by_role("button", name=f"Close {month}").click()
    page.get_by_role("button", name=f"Close {month} now").click()
    expect(page.get_by_text(re.compile(f"{month} is closed")).first).to_be_visible(timeout=LONG_MS)
    settle(page)
    keep(page, "finance-closed")

    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Exports", exact=True).click()
    page.wait_for_url(re.compile("/exports"))
    settle(page)
    choose(page, "Report", "Credit statement")
    choose(page, "Period", "Last month")
    expect(page.get_by_text(re.compile(r"Closed on .* by Fatima Finance"))).to_be_visible()

    file, manifest = downloaded(page, tmp_path / "first")
    assert re.fullmatch(r"credit-statement-\d{4}-\d\d-utc\.csv", file.name)
    assert manifest.name == f"{file.name}.manifest.json"
    keep(page, "finance-downloaded")
    verified = subprocess.run(
        [sys.executable, "-m", "dashboard", "verify", str(tmp_path / "first")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr

    again, _ = downloaded(page, tmp_path / "second")
    assert again.read_bytes() == file.read_bytes(), "a closed month's file is the same whenever it is fetched"
    expect(page.get_by_role("heading", name="Taken before")).to_be_visible()
    assert re.search(r"1 to \d+ of \d+ exports", shown(page))


def test_another_browser_does_not_get_the_file(open_page: Any, dashboard: Dashboard) -> None:
    page = open_page("/exports?report=Ledger&period=Last+7+days")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/exports/" in one.url else None)
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download", exact=True).click()
    assert coming.value.failure() is None
    (address,) = {coming.value.url, *asked}
    status, text = dashboard.get(address.removeprefix(dashboard.url))
    assert (status, "another browser" in text) == (403, True)


def test_the_page_fits_the_window(open_page: Any) -> None:
    page = open_page("/exports?report=Credit+statement&period=Last+month")
    for viewport, scheme in looks_of(page):
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert fits(page), f"it scrolls sideways at {viewport['width']}"
        keep(page, f"exports-{scheme}-{viewport['width']}")
