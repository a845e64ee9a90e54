"""Signing in and out as people do, in Chromium, against an identity provider of the tests' own."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.looking import PATIENCE_MS, WIDE, fits, keep, looks_of, settle, shown
from tests.browser.test_accessibility import grave_violations
from tests.conftest import OWNER, READER, SUPERUSER, Server, _clone
from tests.running import Dashboard
from tests.signing.deployment import deployed
from tests.signing.provider import Provider, provided

PERIOD = "period=Custom&from=2026-05-19&to=2026-06-15"
expect.set_options(timeout=PATIENCE_MS)
pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Site:
    at: Dashboard
    provider: Provider
    names: dict[str, str]
    owner_url: str

    def give(self, subject: str, role: str, tenants: list[str] | None = None, prompts: bool = False) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO usage_dashboard.access (kind, subject, role, tenants, may_read_prompts, created_by)"
                " VALUES ('email', %s, %s, %s, %s, 'the test')",
                [subject, role, tenants, prompts],
            )

    def take(self, subject: str) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute("DELETE FROM usage_dashboard.access WHERE subject = %s", [subject])


@pytest.fixture(scope="module")
def site(server: Server, template: str) -> Iterator[Site]:
    with _clone(server, template) as name, provided() as provider:
        with psycopg.connect(server.url(name, SUPERUSER)) as connection:
            names = dict(connection.execute('SELECT id::text, name FROM "Organization"').fetchall())
        with deployed(server.url(name, READER), server.url(name, OWNER), provider.metadata) as running:
            yield Site(running, provider, names, server.url(name, OWNER))


@pytest.fixture
def anew(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has signed in with."""
    context = browser.new_context(viewport=WIDE, accept_downloads=True)  # type: ignore[arg-type]  # Playwright's own type
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def opened(context: BrowserContext, site: Site, path: str = "/") -> Page:
    page = context.new_page()
    page.goto(site.at.url + path)
    settle(page)
    return page


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Usage dashboard")
    settle(page)


def test_from_a_deep_link_to_a_file_and_out_again(site: Site, anew: BrowserContext) -> None:
    tenant = min(site.names)
    others = [name for one, name in site.names.items() if one != tenant]
    site.give("ada@example.com", "account_manager", [tenant], prompts=True)
    site.provider.is_ada(email="Ada@Example.COM")
    page = opened(anew, site, f"/tenant?tenant={tenant}&{PERIOD}")
    assert not any(name in page.content() for name in site.names.values())
    assert grave_violations(page) == []
    for viewport, scheme in looks_of(page):
        assert fits(page)
        keep(page, f"sign-in-{viewport['width']}-{scheme}")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # Playwright's own type
    at_first = shown(page)
    assert "Olga in Operations" in at_first
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text(site.names[tenant])
    assert f"tenant={tenant}" in page.url
    sidebar = page.locator("[data-testid=stSidebar]").inner_text().replace("\u2060", "")
    assert "ada@example.com · Account manager" in sidebar
    assert "Statements" not in sidebar
    cookies = {one["name"]: one for one in anew.cookies()}
    assert cookies["_streamlit_user"]["httpOnly"]
    assert 0 < cookies["_streamlit_user"]["expires"] - time.time() <= 12 * 3600

    page.goto(f"{site.at.url}/exports?report=Tenants&{PERIOD}")
    settle(page)
    with page.expect_download() as got:
        page.get_by_role("button", name="Download", exact=True).click()
    text = got.value.path().read_text(encoding="utf-8-sig")
    assert site.names[tenant] in text
    assert not any(name in text for name in others)
    link = page.get_by_role("link", name="Manifest")
    expect(link).to_be_visible()
    address = link.get_attribute("href") or ""
    assert anew.request.get(site.at.url + address).status == 200

    other_tab = opened(anew, site, f"/tenant?tenant={tenant}&{PERIOD}")
    expect(other_tab.get_by_role("heading", level=1)).to_have_text(site.names[tenant])
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Usage dashboard")
    assert site.provider.signed_out == 1
    settle(page)
    assert shown(page) == at_first
    assert "_streamlit_user" not in {one["name"] for one in anew.cookies()}
    gone = anew.request.get(site.at.url + address)
    assert gone.status in (401, 403)
    expect(other_tab.get_by_role("heading", level=1)).to_have_text("Usage dashboard")
    assert site.names[tenant] not in shown(other_tab)
    site.take("ada@example.com")


def test_who_is_removed_is_out_of_an_open_tab_that_nobody_touches(site: Site, anew: BrowserContext) -> None:
    site.give("ada@example.com", "engineer")
    site.provider.is_ada()
    page = opened(anew, site, f"/timelines?{PERIOD}")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Timelines")
    assert any(name in page.content() for name in site.names.values()) or "Generations" in page.content()
    site.take("ada@example.com")
    expect(page.get_by_role("heading", level=1)).to_have_text("No role yet")
    settle(page)
    assert "Olga in Operations" in shown(page)
    assert "Generations" not in shown(page)
    assert grave_violations(page) == []
    keep(page, "no-role")


def click_once(page: Page, person: str) -> None:
    """Type and click, as people do: the mouse leaves the field and stays down for a while, in which a page that runs
    must not move the button away."""
    page.get_by_label("E-mail address", exact=True).click()
    page.keyboard.type(person)
    box = page.get_by_role("button", name="Give the role").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(600)
    page.mouse.up()


def test_an_administrator_gives_a_role_and_takes_it_away(site: Site, anew: BrowserContext) -> None:
    site.provider.is_ada(sub="root", email="admin@example.com")
    page = opened(anew, site, "/access")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Access")
    for person in ("Grace@Example.com", "heidi@example.com"):
        click_once(page, person)
        said = f"{person.lower().partition('@')[0]}\u2060@example.com is account manager now."
        expect(page.get_by_text(said)).to_be_visible()
        settle(page)
        expect(page.get_by_label("E-mail address", exact=True)).to_have_value("")
    site.take("heidi@example.com")
    page.get_by_label("Verified e-mail address").fill("GRACE@example.com")
    page.get_by_label("Verified e-mail address").press("Enter")
    settle(page)
    keep(page, "access")
    with psycopg.connect(site.owner_url) as connection:
        made = connection.execute("SELECT subject, role, tenants, created_by FROM usage_dashboard.access").fetchall()
    assert made == [("grace@example.com", "account_manager", None, "admin@example.com")]
    site.take("grace@example.com")
