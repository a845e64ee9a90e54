"""Words and numbers as files write them, as the application's enums, whole credits and milliseconds.

Every reader raises ValueError with the reason.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from demo.accepted import MAX_CREDITS

STATUSES: Final[dict[str, tuple[str, ...]]] = {
    "SUCCEEDED": ("succeeded", "succeed", "success", "successful", "completed", "complete", "ok", "done", "finished"),
    "FAILED": ("failed", "fail", "failure", "error", "errored"),
    "CANCELLED": ("cancelled", "canceled", "cancel", "aborted", "stopped"),
    "PENDING": ("pending", "queued", "waiting", "submitted", "created", "new"),
    "PROCESSING": ("processing", "running", "inprogress", "started", "active"),
}
TYPES: Final[dict[str, tuple[str, ...]]] = {
    "TEXT_TO_IMAGE": ("texttoimage", "text2image", "txt2img", "texttoimg", "txttoimg", "t2i"),
    "IMAGE_TO_IMAGE": ("imagetoimage", "image2image", "img2img", "imgtoimg", "i2i"),
    "INPAINTING": ("inpainting", "inpaint"),
    "UPSCALE": ("upscale", "upscaling", "upscaler", "superresolution"),
}
TERMINAL: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
# Nothing was written down, in the words of those who export.
MISSING: Final = frozenset({"", "null", "none", "nan", "na", "n/a", "nil", "\\n", "<null>", "undefined"})
MAX_DURATION_MS: Final = 2**31 - 1
_STATUS_BY_WORD: Final = {word: status for status, words in STATUSES.items() for word in words}
_TYPE_BY_WORD: Final = {word: kind for kind, words in TYPES.items() for word in words}
_MILLISECONDS: Final = {"s": Decimal(1000), "ms": Decimal(1)}
_SHOWN_CHARACTERS: Final = 40
_LONGER_THAN_MISSING: Final = 32
# Files repeat themselves: most cells of these columns were read before. What is refused is not kept.
_remembered = lru_cache(maxsize=4096)


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().casefold() in MISSING if len(text) < _LONGER_THAN_MISSING else text.isspace()


@_remembered
def status(text: str) -> str:
    """A "GenerationStatus"."""
    return _known(text, _STATUS_BY_WORD, "status")


@_remembered
def generation_type(text: str) -> str:
    """A "GenerationType"."""
    return _known(text, _TYPE_BY_WORD, "type")


@_remembered
def credits_used(text: str) -> int | None:
    """Whole credits, 0 to 10,000,000; None when the cell is empty, which means unknown."""
    number = _number(text)
    if number is None:
        return None
    if number != number.to_integral_value():
        raise ValueError("not a whole number of credits")
    if not 0 <= number <= MAX_CREDITS:
        raise ValueError(f"credits are not between 0 and {MAX_CREDITS:,}")
    return int(number)


@_remembered
def duration_ms(text: str, unit: str) -> int | None:
    """Whole milliseconds, 0 to 2**31 - 1 (24 days); None when the cell is empty."""
    number = _number(text)
    if number is None:
        return None
    if number < 0:
        raise ValueError("the duration is negative")
    if number > MAX_DURATION_MS:
        raise ValueError("the duration is longer than 24 days")
    milliseconds = int((number * _MILLISECONDS[unit]).to_integral_value())
    if milliseconds > MAX_DURATION_MS:
        raise ValueError("the duration is longer than 24 days")
    return milliseconds


def _number(text: str) -> Decimal | None:
    if is_missing(text):
        return None
    try:
        number = Decimal(text.strip() if "_" not in text else "1_5 is fifteen for Python only")
    except InvalidOperation:
        raise ValueError("not a number") from None
    # A number such as 1e999999999 is finite and would take a gigabyte to write down.
    if not number.is_finite() or number.adjusted() > 15:
        raise ValueError("not a finite number of usual size")
    return number


def _known(text: str, by_word: dict[str, str], name: str) -> str:
    if is_missing(text):
        raise ValueError("missing")
    found = by_word.get(re.sub(r"[\s_.-]", "", text.casefold()))
    if found is None:
        known = ", ".join(dict.fromkeys(by_word.values()))
        raise ValueError(f"unknown {name} {text.strip()[:_SHOWN_CHARACTERS]!r}; known are the usual words for {known}")
    return found
