"""What an answers file gets wrong is named, with the nearest right name."""

from decimal import Decimal
from pathlib import Path

import pytest

from queries.connect.answers import read_answers
from queries.errors import ConnectError


def answered(folder: Path, text: str) -> Path:
    path = folder / "answers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_kind_of_answer_is_read(tmp_path: Path) -> None:
    text = """
    tenant = "teams"
    credits = { image = 1, video = 2.5 }
    [tables]
    generation = ["images", "videos"]
    image = ""
    [columns.generation]
    model = "engine"
    [values.generation_status]
    "IT'S DONE" = "succeeded"
    ODD = ""
    """
    found = read_answers(answered(tmp_path, text))
    assert found.get("tenant") == "teams"
    assert found.get("credits") == {"image": Decimal(1), "video": Decimal("2.5")}
    assert found.get("tables", "generation") == ["images", "videos"]
    assert found.get("columns", "generation", "model") == "engine"
    assert found.get("values", "generation_status", "IT'S DONE") == "succeeded"
    assert found.has("values", "generation_status", "ODD")
    assert not found.has("values", "generation_status", "other")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tennant = "x"', "an answer 'tennant', which is not known .did you mean 'tenant'"),
        ('[tables]\ngenerations = "x"', "did you mean 'generation'"),
        ('[columns.generation]\nmodle = "x"', "did you mean 'model'"),
        ('[columns.generatoin]\nmodel = "x"', "did you mean 'generation'"),
        ('[values.generation_status]\nX = "suceeded"', "did you mean 'succeeded'"),
        ('[values.status]\nX = "succeeded"', "a kind of values 'status'"),
        ('duration_unit = "sec"', "choose one of us, ms, s, min"),
        ('deleted = "yes"', "choose one of leave out, count"),
        ('deleted = { teams = "yes" }', "deleted.teams is 'yes'; choose one of leave out, count"),
        ("tenant = 3", "tenant is not a text"),
        ("credits = -1", "no number of credits"),
        ("credits = true", "no number of credits"),
        ('credits = "many"', "no number of credits"),
        ('credits = { image = "nan" }', "no number of credits"),
        ("tables = 3", r"write \[tables\]"),
        ("[columns]\ngeneration = 3", r"write \[columns.generation\]"),
        ("tenant = ", "is not TOML"),
    ],
)
def test_a_wrong_answer_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConnectError, match=said):
        read_answers(answered(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"nowhere\.toml cannot be read"):
        read_answers(tmp_path / "nowhere.toml")
