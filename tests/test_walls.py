"""The walls between the rooms, read from the imports and the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Who may not import what.
FORBIDDEN = {
    "queries": ("streamlit", "dashboard", "pages", "demo", "tests", "benchmarks"),
    "pages": ("sqlalchemy", "psycopg", "plotly", "demo", "tests", "benchmarks"),
    "demo": ("streamlit", "dashboard", "pages", "tests", "benchmarks"),
    "dashboard": ("pages", "tests", "benchmarks"),
}
# The command line is what brings the demo and the dashboard together.
MAY_IMPORT_DEMO = ("dashboard/cli.py", "dashboard/commands/", "tests/", "demo/", "benchmarks/")


def sources(room: str) -> list[Path]:
    return sorted(one for one in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield node.module or ""


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_does_not_reach_through_its_walls(room: str) -> None:
    files = sources(room)
    assert files, f"the room {room} is empty"
    reached = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[room]
    ]
    assert not reached


def test_only_the_command_line_and_tests_import_the_demo() -> None:
    everywhere = [path for room in ("queries", "pages", "dashboard") for path in sources(room)]
    importing = [
        str(path.relative_to(ROOT))
        for path in everywhere
        if any(name.split(".")[0] == "demo" for name in imported(path))
    ]
    assert [one for one in importing if not one.startswith(MAY_IMPORT_DEMO)] == []


def test_pages_hold_no_sql_and_build_no_figure() -> None:
    for path in sources("pages"):
        text = path.read_text(encoding="utf-8")
        for word in ("SELECT ", "select(", "go.Figure", "plotly", "unsafe_allow_html"):
            assert word not in text, f"{path.name} holds {word!r}"


def test_no_script_stands_beside_the_pages_folder() -> None:
    """Streamlit would serve a page from a deep link before the entry script's sign-in has run."""
    assert list(ROOT.glob("*.py")) == []


def test_catalog_statements_are_not_text() -> None:
    for path in sources("queries/catalog"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not called & {"text", "literal_column", "exec_driver_sql"}, path.name
