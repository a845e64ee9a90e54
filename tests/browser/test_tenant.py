"""The Tenant page's views in Chromium: links between them, what a click leads to, and files."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from demo.tenants import PERSONAS
from tests.browser.looking import (
    WIDE_AND_NARROW,
    choose_view,
    fits,
    keep,
    looks_of,
    open_view,
    parameters,
    settle,
    shown,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("tenant"), pytest.mark.timeout(400)]

VIEWS = ("Overview", "Credits", "Users", "Quotas", "Quality", "Generations", "Ledger", "Compare")


def click_row(page: Page) -> None:
    """Choose the first row of the table; its cells are drawn on a canvas."""
    page.locator("[data-testid=stDataFrame] canvas").first.click(position={"x": 15, "y": 52}, force=True)
    settle(page)


@pytest.fixture(scope="module")
def tenant() -> str:
    """A tenant that has generated something: the largest."""
    return PERSONAS[0].organization_id


def test_a_tenant_is_found_by_its_name(open_page: Any, tenant: str) -> None:
    page = open_page("/tenant")
    page.get_by_role("textbox", name="Search tenants").fill(PERSONAS[0].name)
    page.get_by_role("textbox", name="Search tenants").press("Enter")
    page.get_by_role("button", name=PERSONAS[0].name).click()
    page.wait_for_url(re.compile("tenant=org"))
    assert parameters(page)["tenant"] == tenant


def test_every_view_fits_the_window(open_page: Any, tenant: str) -> None:
    page = open_page(f"/tenant?tenant={tenant}")
    for view in VIEWS:
        choose_view(page, view)
        assert open_view(page) == view
        for viewport, scheme in looks_of(page, WIDE_AND_NARROW):
            expect(page.get_by_test_id("stException")).to_have_count(0)
            assert fits(page), f"{view} scrolls sideways at {viewport['width']}"
            keep(page, f"tenant-{view.lower()}-{scheme}-{viewport['width']}")


def test_a_figure_leads_to_where_it_comes_from_and_the_address_says_so(open_page: Any, tenant: str) -> None:
    page = open_page(f"/tenant?tenant={tenant}&period=Last+7+days")
    page.get_by_role("link", name="See the ledger").click()
    page.wait_for_url(re.compile("tab=Ledger"))
    settle(page)
    assert open_view(page) == "Ledger"
    assert parameters(page) == {"tenant": tenant, "tab": "Ledger", "period": "Last 7 days"}
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    assert open_view(again) == "Ledger"


def test_a_user_leads_to_their_generations_and_a_movement_to_its_own(open_page: Any, tenant: str) -> None:
    page = open_page(f"/tenant?tenant={tenant}&tab=Users")
    click_row(page)
    page.get_by_role("button", name=re.compile("^Generations of")).click()
    page.wait_for_url(re.compile("user="))
    settle(page)
    assert open_view(page) == "Generations"
    chip = page.get_by_role("button", name=re.compile("User:"))
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    count = re.compile(r"1 to \d+ of [\d,]+ generations")
    assert count.findall(shown(again)) == count.findall(shown(page)) != []
    chip.click()
    expect(chip).to_have_count(0)
    page.get_by_role("tab", name="Ledger").click()
    settle(page)
    click_row(page)
    page.get_by_role("button", name=re.compile("Generation gen_")).click()
    expect(page.get_by_text("1 to 1 of 1 generation", exact=True)).to_be_visible()


def test_an_image_is_downloaded_as_it_is_stored(open_page: Any, tenant: str) -> None:
    page = open_page(f"/tenant?tenant={tenant}&tab=Generations")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Image", exact=True).first.click()
    found = downloading.value
    assert found.suggested_filename.endswith(".png")
    assert Path(found.path()).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
