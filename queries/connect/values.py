"""What their statuses and types mean, by the words in them; and, where there are only numbers, by what else the rows
have: who has failed has an error, who is done has an end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from queries.connect.answers import Answers, Question
from queries.connect.found import Confidence
from queries.connect.names import plain, words
from queries.connect.vocabulary import VALUES

Values = dict[str, tuple[str, ...]]
STATUS, TYPE, RENEWING = "generation_status", "transaction_type", "subscription_status"
# "0 = pending, 1: done (2) failed" in a column's comment.
_NUMBERED = re.compile(r"\(?(\d+)\)?\s*(?:[=:-]|=>|->|is)?\s*([A-Za-z][A-Za-z_ ]*)")
_MOST_ASKED = 12
MOST_KINDS, LONGEST_KIND = 25, 40


@dataclass(slots=True)
class Meanings:
    """Theirs for each of ours, why, and what nobody can tell but a person."""

    values: Values
    reason: str
    confidence: Confidence
    questions: list[Question] = field(default_factory=list)


def meaning(kind: str, value: str) -> str | None:
    """Which of ours a value is, by its words; "" for none of ours, and None when no word is known."""
    said = words(value)
    for ours, known in VALUES[kind].items():
        if any(plain(said) == plain(one) for one in known):
            return ours
    for ours, known in VALUES[kind].items():
        if any(_holds(said, words(one)) for one in known):
            return ours
    return None


def _holds(said: Sequence[str], phrase: Sequence[str]) -> bool:
    size = len(phrase)
    return size > 0 and any(tuple(said[at : at + size]) == tuple(phrase) for at in range(len(said) - size + 1))


def meanings(
    kind: str, theirs: Iterable[str], answers: Answers, guesses: dict[str, str] | None = None, *, what: str
) -> Meanings:
    """Each value's meaning: as answered, else by its words, else by a guess that the rows allow, else by asking.

    `guesses` are what the rows say of a value, for those that no word tells."""
    found: dict[str, list[str]] = {ours: [] for ours in VALUES[kind] if ours}
    questions, guessed, told = [], [], []
    seen = list(theirs)
    for value in seen:
        ours = answers.get("values", kind, value)
        if ours is None:
            ours = meaning(kind, value)
        if ours is None:
            guess = (guesses or {}).get(value)
            questions.append(_what_is(kind, value, guess, what))
            ours = guess or ""
            guessed.append(value)
        if ours:
            found[ours].append(value)
            told.append(f"{value} is {ours}")
        else:
            told.append(f"{value} is none of ours")
    # Such as the status of what is under way, which no row may have just now.
    for value in answers.under("values", kind):
        if value not in seen and (ours := answers.get("values", kind, value)):
            found[ours].append(value)
            told.append(f"{value} is {ours}, as answered, and no row has it now")
    reason = "; ".join(told[:_MOST_ASKED]) or f"no {what} was seen"
    sure: Confidence = "low" if guessed else "high" if told else "low"
    return Meanings({ours: tuple(values) for ours, values in found.items()}, reason, sure, questions)


def _what_is(kind: str, value: str, guess: str | None, what: str) -> Question:
    choices = (*(one for one in VALUES[kind] if one), "")
    because = f" The rows look like {guess}." if guess else ""
    return Question(("values", kind, value), f"What does the {what} {value!r} mean?{because}", choices, guess or "")


def are_kinds(values: Iterable[str]) -> bool:
    """Whether texts are the names of a few kinds. Free text, which may hold what somebody typed, is neither asked about
    nor written into a file."""
    known = list(values)
    return len(known) <= MOST_KINDS and all(len(one) <= LONGEST_KIND for one in known)


def numbered(comment: str) -> dict[str, str]:
    """Names of numbers that a column's comment lists; empty when it lists none."""
    found = {number: " ".join(name.split()) for number, name in _NUMBERED.findall(comment)}
    return found if len(found) > 1 else {}
