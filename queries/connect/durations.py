"""How long a generation took, in milliseconds: from a column, whose unit its name, its type or the rows tell, or from
two times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queries.connect.answers import Answers, Question
from queries.connect.found import Confidence, Draft, Found, column_sql
from queries.connect.matching import described
from queries.connect.names import plain, words
from queries.connect.roles import best_duration
from queries.connect.samples import Peek
from queries.connect.shape import TIMES, Field, Relation, quoted
from queries.connect.vocabulary import STARTED

_UNIT_WORDS: Mapping[str, tuple[str, ...]] = {
    "ms": ("ms", "milli", "milliseconds", "millisecond", "msec", "millis"),
    "us": ("us", "microsecond", "micros", "usec"),
    "s": ("s", "sec", "second", "seconds"),
    "min": ("min", "minute", "mins"),
}
IN_MS: Mapping[str, str] = {"us": "/ 1000.0", "ms": "", "s": "* 1000", "min": "* 60000"}
_NAMES = {"us": "microseconds", "ms": "milliseconds", "s": "seconds", "min": "minutes"}
# A duration column against the time between two others: it is seconds when they agree, milliseconds when it is a
# thousand times as much. Waiting is part of one and not of the other, so only the order of magnitude counts.
_AGREES = (0.02, 3.0)


def duration(draft: Draft, peek: Peek, answers: Answers) -> tuple[Found | None, Question | None]:
    """The duration in milliseconds, and a question where the unit is a guess."""
    relation = draft.relation
    named = answers.get("columns", "generation", "duration_ms")
    if named == "":
        return None, None
    name = named or best_duration(relation)
    if name is None:
        return _between(relation, draft), None
    field = relation.by_name[name]
    if field.kind == "interval":
        sql = f"(EXTRACT(EPOCH FROM {column_sql(name)}) * 1000)::bigint"
        return Found(sql, f"{described(field)} holds the time itself", shown=(relation, name)), None
    return _by_unit(relation, field, draft, peek, answers)


def _by_unit(
    relation: Relation, field: Field, draft: Draft, peek: Peek, answers: Answers
) -> tuple[Found, Question | None]:
    unit, reason, confidence = _unit(relation, field, draft, peek)
    question = None
    if (answered := answers.get("duration_unit")) is not None:
        unit, reason, confidence = answered, "its unit is as answered", "high"
    elif confidence == "low":
        question = Question(("duration_unit",), f"In which unit is {described(field)}? {reason}.", tuple(IN_MS), unit)
    why = f"{described(field)} holds {_NAMES[unit]}: {reason}"
    if unit == "ms":
        if field.kind == "float":
            sql = f"{column_sql(field.name)}::numeric"
            return Found(sql, why, confidence, shown=(relation, field.name)), question
        return Found(column_sql(field.name), why, confidence, field.name, (relation, field.name)), question
    sql = f"round(({column_sql(field.name)} {IN_MS[unit]})::numeric)::bigint"
    return Found(sql, why, confidence, shown=(relation, field.name)), question


def _unit(relation: Relation, field: Field, draft: Draft, peek: Peek) -> tuple[str, str, Confidence]:
    said = words(field.name)
    for unit, known in _UNIT_WORDS.items():
        if said[-1] in known:
            return unit, "its name says so", "high"
    median, elapsed = _medians(relation, field, draft, peek)
    if median and elapsed:
        for unit, factor in (("s", 1.0), ("ms", 1000.0), ("us", 1e6)):
            if _AGREES[0] <= median / (elapsed * factor) < _AGREES[1]:
                reason = f"its median is {median:g}, and {elapsed:.3g} s lie between beginning and end of a row"
                return unit, reason, "high"
    if median:
        return _by_size(median, field)
    if field.kind == "integer":
        return "ms", "whole numbers, and no rows to tell", "low"
    return "s", "decimals, and no rows to tell", "low"


def _by_size(median: float, field: Field) -> tuple[str, str, Confidence]:
    """Pictures take seconds, not minutes or microseconds."""
    if field.kind != "integer" and median < 300:
        return "s", f"its median is {median:g}, and it has decimals", "medium"
    if median >= 1_000:
        return "ms", f"its median is {median:g}", "medium"
    return "ms" if median >= 300 else "s", f"its median is {median:g}, which may be either", "low"


def _medians(relation: Relation, field: Field, draft: Draft, peek: Peek) -> tuple[float, float]:
    """The median of the column, and of the seconds between two times of the same rows; 0 where nothing is known."""
    name = quoted(field.name)
    wanted = {"median": f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {name}::double precision)"}
    times = _times(relation, draft)
    if times is not None:
        elapsed = _seconds(relation, *times, alias="")
        wanted["elapsed"] = f"percentile_cont(0.5) WITHIN GROUP (ORDER BY ({elapsed})::double precision)"
    facts: Mapping[str, Any] = peek.facts(relation, wanted, where=f"{name} > 0")
    return float(facts.get("median") or 0), float(facts.get("elapsed") or 0)


def _times(relation: Relation, draft: Draft) -> tuple[str, str] | None:
    """When it was begun and when it ended, as columns."""
    end = draft.columns.get("completed_at")
    begun = draft.columns.get("created_at")
    if end is None or end.column is None:
        return None
    started = next(
        (one.name for one in relation.fields if one.kind in TIMES and plain(one.name) in [plain(w) for w in STARTED]),
        None,
    )
    start = started or (begun.column if begun is not None else None)
    if start is None or start == end.column or relation.by_name[start].kind not in TIMES:
        return None
    return (start, end.column) if relation.by_name[end.column].kind in TIMES else None


def _between(relation: Relation, draft: Draft) -> Found | None:
    times = _times(relation, draft)
    if times is None:
        return None
    seconds = _seconds(relation, *times, alias="t.")
    reason = f'there is no duration; from "{times[0]}" to "{times[1]}"'
    return Found(f"round({seconds} * 1000)::bigint", reason, "medium")


def _seconds(relation: Relation, start: str, end: str, *, alias: str) -> str:
    """Seconds between two times; of two kinds of time, the one without zone is UTC."""
    kinds = {relation.by_name[one].kind for one in (start, end)}
    sides = [
        f"{alias}{quoted(one)} AT TIME ZONE 'UTC'"
        if len(kinds) > 1 and relation.by_name[one].kind == "timestamp"
        else f"{alias}{quoted(one)}"
        for one in (end, start)
    ]
    return f"EXTRACT(EPOCH FROM ({sides[0]} - {sides[1]}))"
