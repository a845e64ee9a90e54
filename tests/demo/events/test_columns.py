"""Columns are guessed from usual names, taken as named, and refused with the file's columns listed."""

import pytest

from demo.events.columns import KNOWN_NAMES, chosen_columns, unit_in_name
from demo.events.errors import UnusableColumns, UnusableOption

TRACE = [
    *("gmt_create", "predict_type", "predict_status", "exec_time_seconds", "groupId", "prompt_length"),
    *("negative_prompt_length", "num_images_per_prompt", "num_inference_steps", "checkpoint_model_version_id"),
    "num_lora",
]
OURS = [
    *("id", "userId", "organizationId", "type", "model", "status", "creditsUsed", "durationMs", "prompt", "error"),
    *("createdAt", "completedAt", "updatedAt"),
]


def guessed(header: list[str], **named: str) -> dict[str, str | None]:
    return {choice.part: choice.column for choice in chosen_columns(header, named).choices}


def test_trace_header() -> None:
    assert guessed(TRACE) == {
        "time": "gmt_create",
        "tenant": "groupId",
        "user": None,
        "type": "predict_type",
        "status": "predict_status",
        "model": "checkpoint_model_version_id",
        "credits": "num_images_per_prompt",
        "duration": "exec_time_seconds",
        "prompt": None,
        "error": None,
        "id": None,
    }
    assert chosen_columns(TRACE, {}).duration_unit == "s"


def test_header_of_the_application_itself() -> None:
    found = guessed(OURS)
    assert found["time"] == "createdAt"
    assert found["duration"] == "durationMs"
    assert set(found.values()) == set(OURS) - {"completedAt", "updatedAt"}
    assert chosen_columns(OURS, {}).duration_unit == "ms"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("durationMs", "ms"),
        ("duration_ms", "ms"),
        ("Latency (s)", "s"),
        ("exec_time_seconds", "s"),
        ("latencyS", "s"),
        ("elapsed milliseconds", "ms"),
        ("duration", None),
        ("durations", None),
        ("DURATIONS", None),
    ],
)
def test_unit_is_read_from_the_name(name: str, unit: str | None) -> None:
    assert unit_in_name(name) == unit


def test_duration_without_a_unit_is_asked_for() -> None:
    with pytest.raises(UnusableColumns, match="--duration-unit"):
        chosen_columns(["time", "tenant", "duration"], {})
    assert chosen_columns(["time", "tenant", "duration"], {}, "ms").duration_unit == "ms"
    assert guessed(["time", "tenant", "duration"], duration="")["duration"] is None
    with pytest.raises(UnusableOption, match="use s or ms"):
        chosen_columns(["time", "tenant", "duration"], {}, "h")


@pytest.mark.parametrize("missing", ["time", "tenant"])
def test_missing_required_column_lists_the_columns(missing: str) -> None:
    header = [name for name in ("time", "tenant", "colour") if name != missing]
    with pytest.raises(UnusableColumns, match=f"--{missing} .*the file's columns: .*colour"):
        chosen_columns(header, {})


@pytest.mark.parametrize("part", KNOWN_NAMES)
def test_named_column_that_is_not_there_lists_the_columns(part: str) -> None:
    with pytest.raises(UnusableColumns, match=rf"--{part} names the column 'x'.*the file's columns: time, tenant"):
        chosen_columns(["time", "tenant"], {part: "x"})


def test_named_column_wins_over_a_guess_and_is_not_guessed_again() -> None:
    found = guessed(["time", "tenant", "id", "user", "group"], tenant="GROUP", user="id")
    assert (found["tenant"], found["user"], found["id"]) == ("group", "id", None)


def test_twice_the_same_column_is_neither_guessed_nor_taken() -> None:
    assert guessed(["time", "tenant", "user", "user"])["user"] is None
    with pytest.raises(UnusableColumns, match="2 times"):
        chosen_columns(["time", "tenant", "user", "user"], {"user": "user"})
