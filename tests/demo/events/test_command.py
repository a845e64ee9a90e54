"""`load-events` as a person calls it: on a server of its own, beside a running dashboard, and when it must refuse."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dashboard.commands.load_events import load_events
from demo.events.dataset import checked_name, safe_name
from demo.events.errors import UnusableOption
from queries.embedded import EmbeddedServer

app = typer.Typer()
app.command()(load_events)
FAST = {"fsync": "off", "full_page_writes": "off"}


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder that is ready to be started."""
    above = tmp_path_factory.mktemp("data")
    server = EmbeddedServer(above / "data", settings=FAST)
    server.start()
    server.stop()
    yield above / "data"
    shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def running(data_folder: Path) -> Iterator[EmbeddedServer]:
    """The server as a running dashboard holds it."""
    server = EmbeddedServer(data_folder, settings=FAST)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def call(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command with arguments."""
    monkeypatch.setenv("USAGE_DASHBOARD_DATA", str(data_folder))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_starts_a_server_of_its_own_and_stops_it(
    call: Callable[..., Result], write_csv: Callable[..., Path], data_folder: Path
) -> None:
    path = write_csv(("Zeit", "groupId", "[bold]"), [("2026-01-01", "a", ""), ("2026-01-01", "a", "")], "Übung 1.csv")
    result = call(path, "--time", "Zeit")
    assert result.exit_code == 0, result.output
    for words in ("groupId", "guessed from its name", "1 new", "1 (loaded once)", "run --dataset ubung_1"):
        assert words in result.stdout
    assert EmbeddedServer(data_folder).describe_holder() is None
    again = call(path, "--time", "Zeit")
    assert "0 new" in again.stdout


def test_loads_beside_a_running_dashboard_and_leaves_it_running(
    call: Callable[..., Result], write_csv: Callable[..., Path], running: EmbeddedServer
) -> None:
    result = call(write_csv(("time", "tenant"), [("2026-01-01", "a")]), "--dataset", "beside")
    assert result.exit_code == 0, result.output
    assert running.running
    with psycopg.connect(running.url("beside", "app")) as connection:
        assert connection.execute('SELECT "name" FROM "Organization"').fetchall() == [("a",)]


def test_new_dataset_that_received_nothing_is_dropped_again(
    call: Callable[..., Result], write_csv: Callable[..., Path], running: EmbeddedServer
) -> None:
    path = write_csv(("time", "tenant"), [("never", "a"), ("2026-01-01", "b")])
    for options in (("--strict",), ("--zone", "Nowhere"), ("--time", "missing")):
        result = call(path, "--dataset", "nothing", *options)
        assert result.exit_code == 1
        assert result.stderr.strip().splitlines()[-1].startswith("error: ")
        assert "nothing" not in running.databases()
    assert call(path, "--dataset", "kept_after").exit_code == 0
    assert call(path, "--dataset", "kept_after", "--strict").exit_code == 1
    assert "kept_after" in running.databases()


@pytest.mark.parametrize("name", ["demo", "postgres", "template0", "template_x", "Upper", "1st", "a-b", "", "a" * 42])
def test_dataset_names_that_are_refused(call: Callable[..., Result], write_csv: Callable[..., Path], name: str) -> None:
    with pytest.raises(UnusableOption, match=r"choose another|use a lower-case"):
        checked_name(name)
    result = call(write_csv(("time", "tenant"), [("2026-01-01", "a")]), "--dataset", name)
    assert result.exit_code == 1
    assert "dataset name" in result.stderr


@given(stem=st.one_of(st.text(max_size=60), st.sampled_from(["demo", "postgres", "template1", "2024", "", "日本"])))
def test_any_file_name_makes_a_dataset_name(stem: str) -> None:
    assert checked_name(safe_name(stem)) == safe_name(stem)


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(call: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "bad\x1b[31m.csv"
    path.write_text("time,colour\u202e\n")
    result = call(path)
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr
    assert "\u202e" not in result.stderr
    assert "--tenant" in result.stderr
