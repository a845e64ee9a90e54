"""Words and numbers become enums, whole credits and milliseconds exactly, or a reason."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.events import values
from demo.schema import ENUMS


def test_every_value_of_the_application_reads_as_itself() -> None:
    assert [values.status(word) for word in ENUMS["GenerationStatus"]] == list(ENUMS["GenerationStatus"])
    assert [values.generation_type(word) for word in ENUMS["GenerationType"]] == list(ENUMS["GenerationType"])


@pytest.mark.parametrize(
    ("word", "status"),
    [("SUCCEED", "SUCCEEDED"), (" ok", "SUCCEEDED"), ("In-Progress", "PROCESSING"), ("canceled", "CANCELLED")],
)
def test_usual_words_for_a_status(word: str, status: str) -> None:
    assert values.status(word) == status


@pytest.mark.parametrize(
    ("word", "kind"), [("TXT_2_IMG", "TEXT_TO_IMAGE"), ("img2img", "IMAGE_TO_IMAGE"), ("inpaint", "INPAINTING")]
)
def test_usual_words_for_a_type(word: str, kind: str) -> None:
    assert values.generation_type(word) == kind


@pytest.mark.parametrize("word", ["kaput", "=1+1", "200"])
def test_unknown_word_is_named(word: str) -> None:
    with pytest.raises(ValueError, match="unknown status"):
        values.status(word)


@given(credits=st.integers(0, 10_000_000), zeros=st.integers(0, 3))
def test_whole_credits_are_exact(credits: int, zeros: int) -> None:
    assert values.credits_used(f" {credits}" + ("." + "0" * zeros if zeros else "")) == credits


@pytest.mark.parametrize("text", ["-1", "0.5", "10000001", "inf", "1e999999999", "1_5", "five", "1,000"])
def test_what_is_no_credits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.credits_used(text)


@pytest.mark.parametrize("text", ["", " ", "NULL", "nan", "None", "\\N"])
def test_missing_is_none_not_zero(text: str) -> None:
    assert values.credits_used(text) is None
    assert values.duration_ms(text, "s") is None


@given(milliseconds=st.integers(0, values.MAX_DURATION_MS))
def test_units_agree(milliseconds: int) -> None:
    assert values.duration_ms(str(milliseconds), "ms") == milliseconds
    assert values.duration_ms(str(Decimal(milliseconds) / 1000), "s") == milliseconds


@pytest.mark.parametrize(("text", "unit"), [("-1", "s"), ("2147484", "s"), ("2147483648", "ms"), ("1m", "s")])
def test_what_is_no_duration_is_refused(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match=r"negative|24 days|not a number"):
        values.duration_ms(text, unit)
