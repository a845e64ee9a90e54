"""Pages on the small demo: a real database, the real services, a clock that stands at the demo's last moment."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dashboard import filters, places, services, viewer
from queries.catalog import tenants
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
# The small demo's last moment, as tests/conftest.py has it.
DEMO_NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
SECONDS = 60

OpenApp = Callable[..., AppTest]


@pytest.fixture
def demo(server, shared_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[services.Services]:
    """The demo's services, installed as the process's own."""
    settings = Settings(
        database_url=server.url(shared_database, "usage_dashboard_reader"),
        direct_url=server.url(shared_database, "usage_dashboard_owner"),
    )
    held = services.build(settings, is_demo=True, dataset="demo")
    before = services.installed()
    services.install(held)
    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield held
    services.install(before)
    held.close()


@pytest.fixture(scope="session", autouse=True)
def _packages_scanned_once() -> Iterator[None]:
    """Each AppTest looks through all installed packages for Streamlit components: a third of a second."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture
def open_app(demo: services.Services) -> OpenApp:
    """Open the program as a browser does: a page's path and its URL parameters."""

    def opened(where: str = "", /, *, role: str = "admin", badges: bool = False, **parameters: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=SECONDS)
        app.session_state["viewer_role"] = role
        if badges:
            with_open_badges(app, where or places.PLACES[0].name)
        if where:
            # Streamlit learns of the pages by a run; one of a page that nobody may open costs next to nothing.
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(viewer.OPENS, places.PLACES[0].name, frozenset())
                app.run()
            app.switch_page(f"../pages/{where}.py")
        app.query_params.clear()
        app.query_params.update(parameters)
        return app.run()

    return opened


@pytest.fixture
def ids(demo: services.Services) -> list[str]:
    """Every tenant's id, in order."""
    everybody = Scope.all_tenants()
    asked = tenants.tenant_choices(everybody, search="", limit=1_000)
    return sorted(demo.runner.run(asked, Context(everybody)).frame["tenant_id"].tolist())


@pytest.fixture
def texts() -> Callable[[AppTest], str]:
    return said_by


def said_by(app: AppTest) -> str:
    """All that the page says outside tables and charts."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    said = [str(element.value) for kind in kinds for element in app.get(kind)]
    figures = [f"{one.label}: {one.value}" for one in app.metric]
    return "\n".join([*said, *figures, *(one.label for one in app.button)])


def with_open_badges(app: AppTest, page: str, panels: int = 8) -> None:
    """What is behind the badges of a page's panels is drawn, as after a click on each."""
    for number in range(panels):
        app.session_state[f"badge-{page}-{number}"] = True
