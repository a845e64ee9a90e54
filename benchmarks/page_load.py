"""How long a person waits for the two pages in Chromium, on the demo's 300,000 generations.

    python -m benchmarks.page_load

Cold: a server process and a browser that have just started. Warm: the page opened again by the same browser. A page
is there when its script has ended and no placeholder is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import ground
from benchmarks.measuring import Times
from benchmarks.report import print_table
from demo.tenants import PERSONAS
from queries.settings import ROOT, Settings, environment_name

# The largest tenant: its page has the most to draw.
_TENANT = PERSONAS[0]
PAGES = {"Tenants": "/", f"Tenant ({_TENANT.name})": f"/tenant?tenant={quote(_TENANT.organization_id)}"}
COLD_LOADS, WARM_LOADS = 3, 10
_FIRST_START_S, _START_S, _STOP_S, _PAGE_MS = 300.0, 60.0, 15.0, 60_000
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
_COMPLAINTS = ("stException", "stAlertContentError", "stAlertContentInfo")
_CONNECTED = "[data-testid=stApp][data-test-connection-state=CONNECTED]"
_DONE = "[data-testid=stApp][data-test-script-state=notRunning]"


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="usage-dashboard-bench-"))
    folder.chmod(0o755)  # the database runs as another user when we are root
    try:
        with _server(folder, _FIRST_START_S):
            pass  # the demo is loaded
        found = [_measured(folder, path) for path in PAGES.values()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(
        "Page load in Chromium, milliseconds (no bound)",
        ("page", "cold: median", "cold: worst", "warm: median", "warm: p95"),
        [
            (name, *(f"{one:,.0f}" for one in (cold.median_ms, max(cold.samples_ms), warm.median_ms, warm.p95_ms)))
            for name, (cold, warm) in zip(PAGES, found, strict=True)
        ],
    )
    return 0


def _measured(folder: Path, path: str) -> tuple[Times, Times]:
    cold_ms: list[float] = []
    warm_ms: list[float] = []
    for number in range(COLD_LOADS):
        with _server(folder, _START_S) as address, _browser() as browser:
            page = browser.new_page()
            cold_ms.append(_loaded_ms(page, address + path))
            if number == COLD_LOADS - 1:
                warm_ms = [_loaded_ms(page, address + path) for _ in range(WARM_LOADS)]
    return Times(cold_ms), Times(warm_ms)


def _loaded_ms(page: Page, address: str) -> float:
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(_CONNECTED, timeout=_PAGE_MS)
    page.wait_for_selector("h1", timeout=_PAGE_MS)
    page.wait_for_selector(_DONE, timeout=_PAGE_MS)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=_PAGE_MS)
    taken_ms = (time.perf_counter() - started) * 1000
    complaint = page.locator(
        "[data-testid=stException], [data-testid=stAlertContentError], [data-testid=stAlertContentInfo]"
    )
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
    ours = {environment_name(one).upper() for one in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    environment |= {"PORT": str(port), "USAGE_DASHBOARD_DATA": str(folder / "data"), "LOG_LEVEL": "WARNING"}
    # It ends when this command is killed.
    environment["USAGE_DASHBOARD_DIE_WITH_PARENT"] = "1"
    with (folder / "server.log").open("ab") as log:
        command = [sys.executable, "-m", "dashboard", "run"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, address, within_s, folder / "server.log")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_STOP_S)


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
