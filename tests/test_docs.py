"""The documents name what there is."""

import re
from pathlib import Path

import pytest

import queries.catalog  # noqa: F401 - makes the questions known
from dashboard.places import PLACES
from queries.query import CATALOG

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_every_page_is_in_the_readme() -> None:
    for place in PLACES:
        assert f"| {place.title} |" in README


def test_every_question_of_the_catalog_is_in_the_documents_and_no_other() -> None:
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_.0-9]+)` \|", text, flags=re.MULTILINE)) == set(CATALOG)


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z]+)\b", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE) or target in ("and", "made"), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_every_local_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"
