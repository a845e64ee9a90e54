"""How long a person waits for each page in Chromium, at 300,000 and at 3,000,000 generations, and for how much of it
the database works.

    python -m benchmarks.page_load [GENERATIONS ...]

First: a server process and a browser that have just started. Cold: both are warm, and the page is opened for a time
zone that nobody has asked for before, so that no cache has an answer of its period. Warm: the same address again. A
page is there when its script has ended and no skeleton is left. Database: the sum of what the page's statements
took, which ran side by side; the share is of the page's time and can be above 100 %.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import ground
from benchmarks.report import Bound, concluded, print_table
from demo.tenants import PERSONAS
from queries.embedded import EmbeddedServer
from queries.embedded.databases import OWNER, READER
from queries.settings import ROOT, Settings, environment_name

# The largest tenant: its page has the most to draw.
_TENANT = f"tenant={quote(PERSONAS[0].organization_id)}"
PAGES = {
    "Tenants": "/?",
    "Tenant, the largest": f"/tenant?{_TENANT}&",
    "Credit burn": "/burn?",
    "Credit burn, how long": "/burn?tab=How+long+they+last&",
    "Credit burn, one tenant": f"/burn?{_TENANT}&",
    "Timelines": "/timelines?",
    "Timelines, one tenant": f"/timelines?{_TENANT}&",
}
SIZES = (300_000, 3_000_000)
COLD_MOST_MS = 2_000.0
# Zones that are UTC under another name: the same work, another key.
ZONES = (
    "Africa/Abidjan",
    "Africa/Accra",
    "Africa/Dakar",
    "Africa/Lome",
    "Atlantic/Reykjavik",
    "Etc/GMT",
    "Africa/Bamako",
)
_MAKE_S, _START_S, _STOP_S, _PAGE_MS = 900.0, 60.0, 15.0, 60_000
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
_IN_DATABASE = re.compile(r"^usage_dashboard_database_seconds_(sum|count)\{.*\} (\S+)$", re.MULTILINE)
_CONNECTED = "[data-testid=stApp][data-test-connection-state=CONNECTED]"
_DONE = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass(slots=True)
class Loads:
    """Milliseconds of one page's loads, and what the database did for the cold ones."""

    first_ms: float
    cold_ms: list[float] = field(default_factory=list)
    warm_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    statements: list[int] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        cold_ms, database_ms = statistics.median(self.cold_ms), statistics.median(self.database_ms)
        times = (self.first_ms, cold_ms, max(self.cold_ms), statistics.median(self.warm_ms), database_ms)
        share = f"{100 * database_ms / cold_ms:.0f} %"
        return (*(f"{one:,.0f}" for one in times), share, f"{statistics.median(self.statements):.0f}")


def main() -> int:
    bounds: list[Bound] = []
    for generations in [int(one) for one in sys.argv[1:]] or SIZES:
        folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-bench-"))
        folder.chmod(0o755)  # the database runs as another user when we are root
        try:
            _make_demo(folder, generations)
            found = _measured(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print_table(
            f"Page load in Chromium at {generations:,} generations, milliseconds",
            ("page", "first", "cold: median", "cold: worst", "warm: median", "database, cold", "share", "statements"),
            [(name, *loads.row()) for name, loads in found.items()],
        )
        if generations == max(SIZES):
            bounds += [
                Bound(f"{name} cold at {generations:,}", statistics.median(loads.cold_ms), COLD_MOST_MS)
                for name, loads in found.items()
            ]
    return concluded(bounds)


def _make_demo(folder: Path, generations: int) -> None:
    command = [sys.executable, "-m", "dashboard", "demo", "reset", "--generations", str(generations)]
    with (folder / "demo.log").open("ab") as log:
        subprocess.run(command, cwd=ROOT, env=_environment(folder, 0), stderr=log, check=True, timeout=_MAKE_S)
        _make_aggregates(folder, log)


def _make_aggregates(folder: Path, log: IO[bytes]) -> None:
    """As a server has them that did not just start for the first time: it makes them beside the first pages."""
    server = EmbeddedServer(folder / "data")
    server.start()
    try:
        urls = {"DATABASE_URL": server.url("demo", READER), "DIRECT_URL": server.url("demo", OWNER)}
        command = [sys.executable, "-m", "dashboard", "refresh"]
        environment = {**_environment(folder, 0), **urls}
        subprocess.run(command, cwd=ROOT, env=environment, stderr=log, check=True, timeout=_MAKE_S)
    finally:
        server.stop()


def _measured(folder: Path) -> dict[str, Loads]:
    found: dict[str, Loads] = {}
    for name, path in PAGES.items():
        with _server(folder, _START_S) as address, _browser() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            loads = found[name] = Loads(_loaded_ms(page, address + path))
            for zone in ZONES:
                asked = f"{address}{path}zone={quote(zone)}"
                seconds, count = _in_database(address)
                loads.cold_ms.append(_loaded_ms(page, asked))
                seconds_after, count_after = _in_database(address)
                loads.database_ms.append((seconds_after - seconds) * 1000)
                loads.statements.append(round(count_after - count))
                loads.warm_ms.append(_loaded_ms(page, asked))
    return found


def _in_database(address: str) -> tuple[float, float]:
    """Seconds and statements in the database since the server started."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310 - our own address
        found = _IN_DATABASE.findall(answer.read().decode())
    seconds, count = (sum(float(value) for kind, value in found if kind == one) for one in ("sum", "count"))
    return seconds, count


def _loaded_ms(page: Page, address: str) -> float:
    # Straight from the page before: over about:blank, our Cross-Origin-Opener-Policy would give each load a renderer
    # process of its own, which starts with nothing compiled. The first load has such a one.
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(_CONNECTED, timeout=_PAGE_MS)
    page.wait_for_selector("h1", timeout=_PAGE_MS)
    page.wait_for_selector(_DONE, timeout=_PAGE_MS)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=_PAGE_MS)
    taken_ms = (time.perf_counter() - started) * 1000
    complaint = page.locator("[data-testid=stException], [data-testid=stAlertContentError]")
    if complaint.count():
        raise SystemExit(f"the page at {address} shows no figures but: {complaint.first.inner_text()}")
    return taken_ms


@contextmanager
def _browser() -> Iterator[Browser]:
    path = next((found for one in _CHROMIUM if (found := shutil.which(one))), None)
    if path is None:
        raise SystemExit("Chromium is not installed; on Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _server(folder: Path, within_s: float) -> Iterator[str]:
    """`python -m dashboard run` as `make run` starts it, with the demo in this folder."""
    port = ground.free_port()
    with (folder / "server.log").open("ab") as log:
        command = [sys.executable, "-m", "dashboard", "run"]
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(folder, port), stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, address, within_s, folder / "server.log")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_STOP_S)


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Nothing of this shell's settings; the server ends when this command is killed."""
    ours = {environment_name(one).upper() for one in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    data = {"USAGE_DASHBOARD_DATA": str(folder / "data"), "LOG_LEVEL": "WARNING"}
    return {**kept, **data, "PORT": str(port or 8501), "USAGE_DASHBOARD_DIE_WITH_PARENT": "1"}


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, within_s: float, log: Path) -> None:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
