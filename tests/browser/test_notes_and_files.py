"""By keyboard: pin a note, see it on the chart, take it away; take a panel's rows along as a file."""

import csv
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from queries.embedded.attach import AttachedServer
from tests.browser.looking import keep, settle
from tests.running import Dashboard

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("notes_and_files"), pytest.mark.timeout(400)]


@pytest.fixture
def tenant_path(dashboard: Dashboard) -> str:
    server = AttachedServer(dashboard.data)
    server.start()
    with psycopg.connect(server.url("demo", "app")) as connection:
        found = connection.execute(
            'SELECT "organizationId" FROM "Generation" GROUP BY 1 ORDER BY count(*) DESC LIMIT 1'
        ).fetchone()
    assert found is not None
    return f"/tenant?tenant={found[0]}"


def open_notes(page: Page) -> None:
    button = page.get_by_role("button", name=re.compile("Notes"))
    button.focus()
    if page.get_by_role("textbox", name="Note", exact=True).count() == 0:
        page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Note", exact=True)).to_be_visible()


def test_a_note_is_pinned_seen_and_removed_by_keyboard(open_page: Any, tenant_path: str) -> None:
    page = open_page(tenant_path)
    open_notes(page)
    page.get_by_role("textbox", name="Note", exact=True).focus()
    page.keyboard.type("New prices <b>")
    page.get_by_role("button", name="Pin", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=stPlotlyChart]").first.get_by_text("New prices <b>")).to_be_visible()
    settle(page)
    keep(page, "tenant-note")
    open_notes(page)
    page.get_by_role("button", name="Remove", exact=True).first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=stPlotlyChart]").first.get_by_text("New prices <b>")).to_have_count(0)


def test_the_rows_of_a_panel_come_along_by_keyboard(open_page: Any, tenant_path: str, tmp_path: Path) -> None:
    page = open_page(tenant_path)
    buttons = page.get_by_role("button", name="download icon")
    expect(buttons.first).to_be_visible()
    with page.expect_download() as coming:
        buttons.first.focus()
        page.keyboard.press("Enter")
    assert re.fullmatch(r"tenant-[a-z-]+-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.csv", coming.value.suggested_filename), (
        coming.value.suggested_filename
    )
    coming.value.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(None not in row.values() for row in rows)
