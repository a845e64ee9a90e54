"""Looking at pages: windows, waiting until nothing moves, and pictures to be looked at."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.running import ROOT, Dashboard

ARTIFACTS = ROOT / "tests" / ".artifacts"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 420, "height": 900}
Look = tuple[dict[str, int], str]
LOOKS: Sequence[Look] = ((WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark"))
# Of pages with several views each is looked at so; whether it fits is the same in either theme. Wide comes last: a
# telephone hides the tabs that follow.
WIDE_AND_NARROW: Sequence[Look] = ((NARROW, "light"), (WIDE, "dark"))
CONNECTED = "[data-testid=stApp][data-test-connection-state=CONNECTED]"
# A busy machine with two cores; what is asserted is that it comes, not when.
PATIENCE_MS = 60_000


def is_ours(url: str, dashboard: Dashboard) -> bool:
    return url.startswith((dashboard.url, "data:", "blob:"))


def settle(page: Page) -> None:
    """Wait until the page is connected, has its title, and no script runs any more."""
    page.wait_for_selector(CONNECTED)
    page.wait_for_selector("[data-testid=stMain] h1")
    for _ in range(2):  # a page that has just opened may not have begun to run
        page.wait_for_timeout(300)
        page.wait_for_selector("[data-test-script-state=notRunning]")
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=PATIENCE_MS)


def looks_of(page: Page, looks: Sequence[Look] = LOOKS) -> Iterator[Look]:
    """The open page in one window and theme after the other; that a theme has come is seen by its background."""
    for viewport, scheme in looks:
        page.set_viewport_size(viewport)  # type: ignore[arg-type]  # Playwright's own type
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # Playwright's own type
        page.wait_for_function(
            "dark => { const [red] = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
            ".match(/[0-9]+/g); return (red < 128) === dark }",
            arg=scheme == "dark",
        )
        settle(page)
        yield viewport, scheme


def parameters(page: Page) -> dict[str, str]:
    """What the address in the browser's bar asks for."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def open_view(page: Page) -> str:
    """The view of a page that has several."""
    return page.locator("[role=tab][aria-selected=true]").first.inner_text()


def choose_view(page: Page, view: str) -> None:
    """Click a tab, and again when the page still moved: such a click reaches nothing."""
    tab = page.get_by_role("tab", name=view)
    for _ in range(5):
        tab.click()
        settle(page)
        if open_view(page) == view:
            return


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def shown(page: Page) -> str:
    return page.locator("[data-testid=stMain]").inner_text()


def keep(page: Page, name: str) -> Path:
    """A screenshot of the whole page, to be looked at."""
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=path)
    return path
