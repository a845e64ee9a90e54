"""What their statuses and types mean, by the words in them; and, where there are only numbers, by what else the rows
have: who has failed has an error, who is done has an end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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
NO_MEANING = "none of ours"


@dataclass(slots=True)
class Meanings:
    """Theirs for each of ours, why, and what nobody can tell but a person."""

    values: Values
    reason: str
    confidence: Confidence
    questions: list[Question] = field(default_factory=list)
    # Each value that was seen, and how many of the rows that were looked at have it; None where nobody counted.
    rows: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def unmapped(self) -> tuple[str, ...]:
        """What was seen and means none of ours."""
        mapped = {value for values in self.values.values() for value in values}
        return tuple(value for value in self.rows if value not in mapped)


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
    kind: str,
    theirs: Iterable[str],
    answers: Answers,
    guesses: Mapping[str, str] | None = None,
    *,
    what: str,
    counts: Mapping[str, int] | None = None,
) -> Meanings:
    """Each value's meaning: as answered, else by its words, else by a guess that the rows allow, else by asking.

    `guesses` are what the rows say of a value, for those that no word tells; `counts` how many of the rows that were
    looked at have a value, empty where none were."""
    rows = {value: counts.get(value, 0) if counts else None for value in theirs}
    said = {value: _said(kind, value, answers) for value in rows}
    unknown = [value for value, ours in said.items() if ours is None]
    meant = {value: (guesses or {}).get(value, "") if ours is None else ours for value, ours in said.items()}
    told = [f"{value} is {ours or NO_MEANING}" for value, ours in meant.items()]
    # Such as the status of what is under way, which no row may have just now.
    for value in answers.under("values", kind):
        if value not in rows and (ours := answers.get("values", kind, value)):
            meant[value] = ours
            told.append(f"{value} is {ours}, as answered, and no row has it now")
    found = {ours: tuple(value for value in meant if meant[value] == ours) for ours in VALUES[kind] if ours}
    lines = (_seen(value, rows[value], meant[value], is_known=value not in unknown) for value in rows)
    seen = (f"Each {what} that was found, with the rows that were looked at, and what it will mean:", *lines)
    questions = [_what_is(kind, value, meant[value], what, rows[value], seen) for value in unknown]
    reason = "; ".join(told[:_MOST_ASKED]) or f"no {what} was seen"
    sure: Confidence = "low" if unknown else "high" if told else "low"
    return Meanings(found, reason, sure, questions, rows)


def _said(kind: str, value: str, answers: Answers) -> str | None:
    ours = answers.get("values", kind, value)
    return meaning(kind, value) if ours is None else str(ours)


def counted(value: str, rows: int | None) -> str:
    """A value with how many rows have it, where that is known."""
    return value if rows is None else f"{value} ({rows:,} row{'' if rows == 1 else 's'})"


def _seen(value: str, rows: int | None, ours: str, *, is_known: bool) -> str:
    return f"{counted(value, rows)}: {ours or NO_MEANING if is_known else f'{ours}?' if ours else 'not known'}"


def _what_is(kind: str, value: str, guess: str, what: str, rows: int | None, seen: tuple[str, ...]) -> Question:
    choices = (*(one for one in VALUES[kind] if one), "")
    having = "" if rows is None else f" {rows:,} of the rows that were looked at have it."
    because = f" The rows look like {guess}." if guess else ""
    text = f"What does the {what} {value!r} mean?{having}{because}"
    return Question(("values", kind, value), text, choices, guess, seen)


def are_kinds(values: Iterable[str]) -> bool:
    """Whether texts are the names of a few kinds. Free text, which may hold what somebody typed, is neither asked about
    nor written into a file."""
    known = list(values)
    return len(known) <= MOST_KINDS and all(len(one) <= LONGEST_KIND for one in known)


def numbered(comment: str) -> dict[str, str]:
    """Names of numbers that a column's comment lists; empty when it lists none."""
    found = {number: " ".join(name.split()) for number, name in _NUMBERED.findall(comment)}
    return found if len(found) > 1 else {}
