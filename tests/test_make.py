"""The Makefile says what it does, and `make run` is its own child's parent."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = {"help", "run", "test", "bench", "lint", "lock", "clean"}

# Stands where `python -m dashboard run` will: says who it is, then waits for whatever ends it.
PROGRAM = """#!/bin/sh
[ "$1" = -c ] && { echo works; exit 0; }
echo "$$ $PPID $USAGE_DASHBOARD_DIE_WITH_PARENT $*"
exec sleep 60
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_linked_environment_is_not_committed(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / ".venv").symlink_to(tmp_path.parent)
    found = subprocess.run(["git", "-C", tmp_path, "status", "--short"], capture_output=True, text=True, check=True)
    assert found.stdout == "?? .gitignore\n"


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.xdist_group("together")
def test_tests_that_share_a_server_are_kept_on_one_worker(request: pytest.FixtureRequest) -> None:
    """The marks are of no effect in silence where pytest and pytest-xdist do not fit, and each server starts twice."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("the tests are not distributed")
    assert request.node.nodeid.endswith("@together")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of which everything is installed already, with PROGRAM as its Python."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PROGRAM)
    python.chmod(0o755)
    for stamp in (".made", ".run-installed", ".dev-installed"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def test_make_alone_lists_every_target_in_words() -> None:
    listed = dict(re.findall(r"^  make (\w+) +(.+)$", make().stdout, flags=re.MULTILINE))
    assert set(listed) == TARGETS
    assert make("help").stdout == make().stdout


def test_no_file_of_ours_names_a_registry() -> None:
    for name in ("Makefile", ".ci/run", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        assert not re.search(r"https?://(?!127\.0\.0\.1)|--(extra-)?index-url", (ROOT / name).read_text()), name


def test_every_locked_version_has_hashes_and_both_files_agree() -> None:
    run, dev = (versions(ROOT / name) for name in ("requirements.txt", "requirements-dev.txt"))
    assert run.items() <= dev.items()
    assert len(dev) > len(run) > 50


def versions(path: Path) -> dict[str, str]:
    blocks = re.findall(
        r"^([a-zA-Z][^=]+)==(\S+)(?:[^\\]*)\\\n((?:    --hash=sha256:\w{64}.*\n)+)", path.read_text(), re.M
    )
    assert len(blocks) == len(re.findall(r"^[a-zA-Z]", path.read_text(), re.MULTILINE))
    return {name: version for name, version, _ in blocks}


def test_too_old_a_python_is_named_with_the_fix(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    outcome = make("run", "PYTHON=/bin/false", folder=checkout)
    assert outcome.returncode != 0
    assert "3.11 or newer" in outcome.stderr
    assert "make PYTHON=" in outcome.stderr
    assert not (checkout / ".venv").exists()


def test_nothing_is_installed_again_when_nothing_changed(checkout: Path) -> None:
    planned = make("--dry-run", "run", folder=checkout).stdout
    assert "pip install" not in planned
    later = time.time() + 10
    os.utime(checkout / "requirements.txt", (later, later))
    assert "pip install" in make("--dry-run", "run", folder=checkout).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_make_run_is_the_servers_parent_and_passes_its_end_on(checkout: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        ["make", "--silent", "run", "ARGS=--dataset x"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pid, parent, told, *arguments = process.stdout.readline().split()
        assert (int(parent), told, arguments) == (process.pid, "1", ["-m", "dashboard", "run", "--dataset", "x"])
        # Ctrl-C reaches the whole foreground group; a service manager's SIGTERM only make.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        process.wait(timeout=5)
    if sys.platform == "linux":
        assert not is_running(int(pid))


def is_running(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # a zombie's is empty
    except OSError:
        return False
