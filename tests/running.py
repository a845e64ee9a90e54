"""The real program as a child process: `python -m dashboard run` on a data folder and a port of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# A first start makes 300,000 generations; on a busy machine that takes its time. The issue is words, not speed.
FIRST_START_S = 150


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


class Dashboard:
    """One running dashboard. `log` is what it printed."""

    def __init__(self, data: Path, port: int, *arguments: str, **environment: str) -> None:
        self.data, self.port, self.url = data, port, f"http://127.0.0.1:{port}"
        self._log = data.parent / f"{data.name}-{port}.log"
        settings = {"USAGE_DASHBOARD_DATA": str(data), "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        cleared = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dashboard", "run", *arguments],
                cwd=ROOT,
                env={**cleared, **settings, **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 when nothing answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self, within_s: float = FIRST_START_S) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.get("/readyz")[0] == 200:
                return
            time.sleep(0.1)
        raise AssertionError(f"the dashboard did not become ready:\n{self.log[-4000:]}")

    def postgres_pid(self) -> int:
        return int((self.data / "postgres" / "postmaster.pid").read_text().splitlines()[0])

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> float:
        """End it by a signal; the seconds until it and its PostgreSQL were gone."""
        try:
            postgres = self.postgres_pid()
        except (OSError, ValueError):
            postgres = None
        started = time.monotonic()
        self.process.send_signal(sent)
        self.process.wait(30)
        while postgres is not None and is_alive(postgres):
            assert time.monotonic() - started < 30, "PostgreSQL outlives the dashboard"
            time.sleep(0.02)
        return time.monotonic() - started


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return not Path("/proc").is_dir()
    return status != "Z"


def json_of(body: str) -> Any:
    return json.loads(body)
