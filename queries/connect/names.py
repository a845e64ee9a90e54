"""Identifiers as words: creditsUsed, credits_used and "Credits Used" are one name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_PIECES = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[0-9]+")
_SAME = {"status", "address", "process", "access", "business", "success", "progress", "class", "news", "analysis"}
_UNITS = {"ms", "s", "us", "ns"}
# What applications put before or after a table's name that says nothing about it.
_NOISE = {"app", "tbl", "table", "t", "ai", "core", "my", "data", "record", "entry", "item", "log"}


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of an identifier in lower case, each in the singular."""
    return tuple(singular(one.lower()) for one in _PIECES.findall(name))


def singular(word: str) -> str:
    """organizations: organization; status stays."""
    if len(word) < 3 or word in _SAME or word in _UNITS or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


def telling(name: str) -> tuple[str, ...]:
    """The words of a table's name without those that say nothing; all of them when nothing else is left."""
    all_ = words(name)
    return tuple(one for one in all_ if one not in _NOISE) or all_


def plain(phrase: str | Iterable[str]) -> str:
    """Words run together, to compare names that are written apart with names that are not."""
    parts = words(phrase) if isinstance(phrase, str) else phrase
    return "".join(parts)
