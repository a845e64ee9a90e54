"""axe-core over every page, in both themes: nothing of ours keeps anybody out."""

import re
from importlib import resources
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page

from dashboard.places import PLACES, Place
from queries.embedded.attach import AttachedServer
from tests.browser.looking import NARROW, WIDE, looks_of
from tests.running import Dashboard

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("accessibility"), pytest.mark.timeout(400)]

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")
# What Streamlit 1.67 itself makes, and a page has no say in: the rule, and what the element's HTML must hold.
STREAMLITS_OWN = (
    ("list", 'data-testid="stSidebarNavItems"'),  # the groups of the navigation are a list with headings inside
    ("listitem", "<li class="),  # the same list
)
# What a page draws after its run has ended, so that it is looked at too.
DRAWN_LATER = {"indexes": "[data-testid=stCode]"}


@pytest.fixture(scope="module")
def tenant_id(dashboard: Dashboard) -> str:
    server = AttachedServer(dashboard.data)
    server.start()
    with psycopg.connect(server.url("demo", "app")) as connection:
        found = connection.execute('SELECT id FROM "Organization" ORDER BY id LIMIT 1').fetchone()
    assert found is not None
    return str(found[0])


# All that another theme changes.
COLOURS = {"type": "rule", "values": ["color-contrast"]}


def grave_violations(page: Page, only: dict[str, Any] | None = None) -> list[str]:
    page.evaluate(AXE)
    options = {"resultTypes": ["violations"], **({"runOnly": only} if only else {})}
    answer = page.evaluate("options => axe.run(document, options)", options)
    assert answer["passes"], "axe looked at nothing"
    return [
        f"{found['id']} ({found['impact']}): {node['html'][:300]}\n{node['failureSummary']}"
        for found in answer["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
        if not any(found["id"] == rule and part in node["html"] for rule, part in STREAMLITS_OWN)
    ]


@pytest.mark.parametrize("place", PLACES, ids=lambda one: one.name)
def test_a_page_keeps_nobody_out(open_page: Any, tenant_id: str, place: Place) -> None:
    path = "/" if place.default else f"/{place.name}"
    page = open_page(f"{path}?tenant={tenant_id}", viewport=WIDE)
    if place.name in DRAWN_LATER:
        page.locator(DRAWN_LATER[place.name]).first.wait_for(timeout=120_000)
    for _, scheme in looks_of(page, ((WIDE, "light"), (WIDE, "dark"))):
        assert grave_violations(page, COLOURS if scheme == "dark" else None) == [], scheme


@pytest.mark.parametrize("tab", ["Credits", "Users", "Quotas", "Quality", "Generations", "Ledger", "Compare"])
def test_neither_does_a_tab_of_the_tenant_page(open_page: Any, tenant_id: str, tab: str) -> None:
    assert grave_violations(open_page(f"/tenant?tenant={tenant_id}&tab={tab}")) == []


def test_neither_does_the_other_view_of_credit_burn(open_page: Any) -> None:
    assert grave_violations(open_page("/burn?tab=How+long+they+last")) == []


def test_neither_does_what_opens_at_a_click(open_page: Any, tenant_id: str) -> None:
    page = open_page(f"/tenant?tenant={tenant_id}")
    page.get_by_role("button", name=re.compile("Notes")).click()
    page.get_by_role("button", name="Pin", exact=True).wait_for()
    assert grave_violations(page) == []


def test_neither_does_a_page_on_a_telephone(open_page: Any) -> None:
    assert grave_violations(open_page("/", viewport=NARROW)) == []


def test_what_is_not_accessible_is_found(open_page: Any) -> None:
    """The check can fail."""
    page = open_page("/")
    page.evaluate("document.querySelector('[data-testid=stMain]').appendChild(document.createElement('button'))")
    assert [one for one in grave_violations(page) if one.startswith("button-name")]
