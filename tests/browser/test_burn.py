"""The two views of Credit burn in Chromium: what each shows, the way between them, and what stays in the address."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import WIDE_AND_NARROW, choose_view, fits, keep, looks_of, open_view, parameters, settle

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("burn"), pytest.mark.timeout(400)]

WHERE, HOW_LONG = "Where they go", "How long they last"


def what_if(page: Page) -> Any:
    return page.get_by_role("spinbutton", name="What if each buys (credits)")


def test_every_view_fits_the_window(open_page: Any) -> None:
    page = open_page("/burn")
    for view, charts in ((WHERE, 2), (HOW_LONG, 1)):
        choose_view(page, view)
        assert open_view(page) == view
        for viewport, scheme in looks_of(page, WIDE_AND_NARROW):
            expect(page.get_by_test_id("stException")).to_have_count(0)
            expect(page.get_by_test_id("stPlotlyChart")).to_have_count(charts)
            assert fits(page), f"{view} scrolls sideways at {viewport['width']}"
            keep(page, f"burn-{view.lower().replace(' ', '-')}-{scheme}-{viewport['width']}")


def test_a_what_if_of_a_link_opens_its_view_and_is_there_again_after_the_other_one(open_page: Any) -> None:
    page = open_page("/burn?buy=5000")
    assert open_view(page) == HOW_LONG
    assert parameters(page) == {"buy": "5000", "tab": HOW_LONG}
    choose_view(page, WHERE)
    assert open_view(page) == WHERE
    expect(what_if(page)).to_have_count(0)
    choose_view(page, HOW_LONG)
    expect(what_if(page)).to_have_value("5000")
    page.get_by_role("button", name="As it is").click()
    expect(what_if(page)).to_have_value("0")
    settle(page)
    assert parameters(page) == {"tab": HOW_LONG}


def test_the_count_of_those_who_run_out_leads_to_their_list(open_page: Any) -> None:
    page = open_page("/burn?period=Last+7+days")
    page.get_by_role("link", name="Tenants by runway").click()
    page.wait_for_url(re.compile("tab="))
    settle(page)
    assert open_view(page) == HOW_LONG
    assert parameters(page) == {"period": "Last 7 days", "tab": HOW_LONG}
    again = open_page(page.url.split("/", 3)[3].join(["/", ""]))
    expect(again.get_by_role("heading", name="Tenants by runway")).to_be_visible()
