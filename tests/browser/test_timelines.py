"""The way from the list of tenants to the generations behind a bar, in Chromium, and its link in a second one."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import NARROW, WIDE, fits, keep, looks_of, settle, shown

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("timelines"), pytest.mark.timeout(400)]

PLOT = "[class*='st-key-timeline-'] .nsewdrag"


def plot(page: Page) -> Any:
    """Where the main chart's bars are."""
    page.locator(PLOT).first.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    found = page.locator(PLOT).first.bounding_box()
    assert found is not None
    return found


def drag(page: Page, first: float, last: float) -> None:
    """From one share of the chart's width to another, as a hand does."""
    box = plot(page)
    left, right, height = box["x"] + box["width"] * first, box["x"] + box["width"] * last, box["y"] + box["height"] / 2
    page.mouse.move(left, height)
    page.mouse.down()
    page.mouse.move((left + right) / 2, height + 3, steps=5)
    page.mouse.move(right, height + 5, steps=5)
    page.mouse.up()


def click(page: Page, share: float, *, height: float = 0.97) -> None:
    """A click at a share of the chart's width; Plotly must first have seen the mouse there."""
    box = plot(page)
    x, y = box["x"] + box["width"] * share, box["y"] + box["height"] * height
    page.mouse.move(x - 8, y)
    page.wait_for_timeout(300)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y, delay=50)


def parameters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def path_of(page: Page) -> str:
    address = urlsplit(page.url)
    return f"{address.path}?{address.query}"


def said(page: Page) -> list[str]:
    """What the page says, without times that pass and what answers cost."""
    passing = re.compile(r"as of|from \d\d:|ms (database|cache)|row|arrow|expand|download")
    return [line for line in shown(page).splitlines() if line.strip() and not passing.search(line)]


def test_a_drag_zooms_a_click_lists_and_the_link_shows_the_same(open_page: Any) -> None:
    page = open_page("/timelines?by=Type&zone=Europe%2FBerlin")
    expect(page.get_by_role("heading", name="Generations per day by type")).to_be_visible()
    drag(page, 0.3, 0.6)
    page.wait_for_url(re.compile(r"period=Custom"))
    settle(page)
    expect(page.get_by_role("heading", name="Generations per hour by type")).to_be_visible()
    expect(page.get_by_text(re.compile("^Zoomed to"))).to_be_visible()
    assert {"from", "to"} <= set(parameters(page))
    drag(page, 0.5, 0.54)
    page.wait_for_url(re.compile(r"zfrom="))
    settle(page)
    expect(page.get_by_role("button", name="Whole period")).to_be_visible()
    page.get_by_role("button", name="Zoom out", exact=True).click()
    page.wait_for_url(re.compile(r"^(?!.*zfrom)"))
    settle(page)
    click(page, 0.5)
    page.wait_for_url(re.compile(r"gfrom="))
    settle(page)
    expect(page.get_by_role("heading", name="Generations behind the selection")).to_be_visible()
    listed = re.search(r"1 to \d+ of [\d,]+ generations?", shown(page))
    assert listed is not None
    keep(page, "timelines-selected")
    # A click on a bar of a stack is one series; the list says which.
    assert parameters(page).get("type") == "TEXT_TO_IMAGE"
    assert "Type: Text to image" in shown(page)
    again = open_page(path_of(page), anew=True)
    assert listed.group() in shown(again)
    behind, first = said(page), said(again)
    assert (
        first[first.index("Generations behind the selection") :]
        == behind[behind.index("Generations behind the selection") :]
    )


def test_a_click_is_heard_once_and_a_second_one_undoes_it(open_page: Any) -> None:
    page = open_page("/timelines?period=Last+7+days&grain=Day")
    click(page, 0.5)
    page.wait_for_url(re.compile(r"gfrom="))
    settle(page)
    chosen = parameters(page)["gfrom"]
    page.get_by_role("button", name="Refresh").click()
    settle(page)
    assert parameters(page)["gfrom"] == chosen, "a rerun of the same figure clicks nothing again"
    click(page, 0.5)
    page.wait_for_url(re.compile(r"^(?!.*gfrom)"))
    settle(page)
    click(page, 0.05)
    page.wait_for_url(re.compile(r"gfrom="))
    settle(page)
    assert parameters(page)["gfrom"] < chosen


def test_from_the_portfolio_to_a_tenants_generations(open_page: Any) -> None:
    """The account manager's way: the list of tenants, a tenant, its timeline, a bar, the generations behind it."""
    page = open_page("/?sort=Runway&order=Smallest+first")
    picker = page.get_by_role("combobox", name=re.compile("Open a tenant of this page"))
    options = page.get_by_role("option")
    while options.count() == 0:
        # A click while the page still moves opens nothing.
        picker.click()
        page.wait_for_timeout(500)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("tenant=org"))
    settle(page)
    tenant, name = parameters(page)["tenant"], page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("link", name="Its timeline").click()
    page.wait_for_url(re.compile(r"/timelines\?"))
    settle(page)
    assert parameters(page)["tenant"] == tenant
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Timelines of {name}")
    drag(page, 0.4, 0.95)
    page.wait_for_url(re.compile(r"period=Custom"))
    settle(page)
    click(page, 0.3)
    page.wait_for_url(re.compile(r"gfrom="))
    settle(page)
    chosen = parameters(page)
    page.get_by_role("link", name="Open on the Tenant page").click()
    page.wait_for_url(re.compile(r"/tenant\?"))
    settle(page)
    assert {one: parameters(page)[one] for one in ("tenant", "gfrom", "gto")} == {
        one: chosen[one] for one in ("tenant", "gfrom", "gto")
    }
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    again = open_page(path_of(page), anew=True)
    expect(again.get_by_role("heading", level=1)).to_have_text(name)
    counted = re.compile(r"\d+ to \d+ of [\d,]+ generations?|No generations")
    found = counted.search(shown(page))
    assert found is not None
    assert found.group() in shown(again)


def test_live_mode_draws_only_its_own_panel(open_page: Any) -> None:
    page = open_page("/timelines?live=true")
    expect(page.get_by_text(re.compile("Asked every 10 seconds"))).to_be_visible()
    page.evaluate("document.querySelector(\"[class*='st-key-timeline-'] .js-plotly-plot\").dataset.seen = 'yes'")
    before = page.get_by_text(re.compile(r"up to \d\d:\d\d:\d\d")).inner_text()
    expect(page.get_by_text(re.compile(r"up to \d\d:\d\d:\d\d"))).not_to_have_text(before, timeout=100_000)
    assert (
        page.evaluate("document.querySelector(\"[class*='st-key-timeline-'] .js-plotly-plot\").dataset.seen") == "yes"
    ), "the page was drawn anew"


@pytest.mark.parametrize(("viewport", "measure"), [(WIDE, "Generations"), (NARROW, "Latency")], ids=["wide", "narrow"])
def test_the_page_fits_its_window(open_page: Any, viewport: dict[str, int], measure: str) -> None:
    page = open_page(f"/timelines?by=Model&measure={measure}", viewport=viewport)
    for _, scheme in looks_of(page, ((viewport, "light"), (viewport, "dark"))):
        expect(page.get_by_role("heading", name="Failures by error")).to_be_visible()
        assert fits(page), "the page scrolls sideways"
        assert "Traceback" not in shown(page)
        keep(page, f"timelines-{measure.lower()}-{scheme}-{viewport['width']}")
