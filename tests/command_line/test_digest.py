"""`python -m dashboard digest` as cron runs it: on a real PostgreSQL, to a real HTTP server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.running import ROOT, Dashboard, free_port

NOTHING_NEW = "No flag rose or cleared since the last digest."


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted while it is `open`; answers 503 otherwise."""

    open: ClassVar[bool] = True
    texts: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.open:
            self.texts.append(document["text"])
        self.send_response(200 if self.open else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def webhook() -> Iterator[str]:
    Webhook.open, Webhook.texts = True, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-word"
    server.shutdown()
    server.server_close()
    thread.join()


def digest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", "digest", *arguments],
        cwd=ROOT,
        env={**cleared, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "secret-word" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def told(text: str) -> list[str]:
    return sorted(line for line in text.splitlines() if line.startswith("• "))


def test_printed_once_and_a_dry_run_remembers_nothing(reader_url: str, owner_url: str) -> None:
    addresses = {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url}
    dry = digest("--dry-run", **addresses)
    assert dry.returncode == 0
    assert told(dry.stdout), "the small demo ended months ago: every tenant of it is silent"
    first = digest(**addresses)
    assert told(first.stdout) == told(dry.stdout)
    assert "flags rose, 0 cleared" in first.stdout
    second = digest(**addresses)
    assert (second.returncode, second.stdout) == (0, "")
    assert NOTHING_NEW in second.stderr


def test_posted_once_and_what_was_not_taken_the_next_time(reader_url: str, owner_url: str, webhook: str) -> None:
    settings = {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url, "DIGEST_WEBHOOK_URL": webhook}
    Webhook.open = False
    refused = digest(**settings)
    assert refused.returncode == 1
    assert "the webhook answered 503" in refused.stderr
    Webhook.open = True
    taken = digest(**settings)
    assert taken.returncode == 0
    sent = len(Webhook.texts)
    assert sent > 0
    assert f"Posted {sent} message" in taken.stderr
    lines = told("\n".join(Webhook.texts))
    assert len(set(lines)) == len(lines) > 0
    assert NOTHING_NEW in digest(**settings).stderr
    assert len(Webhook.texts) == sent


def test_without_direct_url_all_present_flags_are_printed_and_nothing_is_posted(
    superuser_url: str, webhook: str
) -> None:
    settings = {"DATABASE_URL": superuser_url, "DIGEST_WEBHOOK_URL": webhook}
    first, second = digest(**settings), digest(**settings)
    assert told(first.stdout) == told(second.stdout) != []
    assert "nothing can be remembered without DIRECT_URL" in first.stderr
    assert Webhook.texts == []


def test_a_database_that_is_away_is_said_in_words() -> None:
    away = digest(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert away.returncode == 1
    assert "the database does not answer" in away.stderr


@pytest.mark.xdist_group("run")
@pytest.mark.timeout(400)
def test_the_demo_is_asked_beside_a_running_dashboard_and_without_one(data_folder: Path) -> None:
    """The demo's stories are among the flags; the dashboard is not disturbed."""
    running = Dashboard(data_folder, free_port())
    try:
        running.wait_ready()
        beside = digest("--dry-run", USAGE_DASHBOARD_DATA=str(data_folder))
        assert beside.returncode == 0
        assert running.get("/healthz") == (200, "ok\n")
    finally:
        running.stop()
    for name in ("Granite Press", "Tinsmith Toys"):
        assert any(line.startswith(f"• {name}: ") for line in told(beside.stdout)), name
    alone = digest("--dry-run", USAGE_DASHBOARD_DATA=str(data_folder))
    assert alone.returncode == 0
    assert told(alone.stdout)
