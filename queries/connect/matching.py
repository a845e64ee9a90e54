"""Which column of a table has a meaning: by its name, as far as its type can hold it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from queries.connect.found import Confidence
from queries.connect.names import plain, words
from queries.connect.shape import Field, Relation
from queries.connect.vocabulary import COLUMNS, KINDS

_SURE, _LIKELY = 4, 10


@lru_cache(maxsize=4_096)
def _ranked(relation: Relation, logical: str, column: str) -> tuple[tuple[int, str], ...]:
    kinds = KINDS.get(column, ())
    phrases = [plain(one) for one in COLUMNS.get(logical, {}).get(column, ())]
    owns = {plain(relation.words), plain(words(relation.name)), plain(relation.words[-1:])}
    found = []
    for place, one in enumerate(relation.fields):
        said = plain(one.name)
        # generation_status is the status of a generation.
        ways = {said, *(said[len(own) :] for own in owns if own and said.startswith(own) and said != own)}
        ranks = [rank for rank, phrase in enumerate(phrases) if phrase in ways]
        if ranks and one.kind in kinds:
            found.append((min(ranks), place, one.name))
    return tuple((rank, name) for rank, _, name in sorted(found))


def best_field(relation: Relation, logical: str, column: str, taken: Iterable[str] = ()) -> str | None:
    """The name of the column that most likely has this meaning; None when none may."""
    used = set(taken)
    return next((name for _, name in _ranked(relation, logical, column) if name not in used), None)


def how_sure(relation: Relation, logical: str, column: str, name: str) -> Confidence:
    """How much the name says."""
    rank = next((rank for rank, one in _ranked(relation, logical, column) if one == name), _LIKELY)
    return "high" if rank < _SURE else "medium" if rank < _LIKELY else "low"


def described(field: Field) -> str:
    """The column and its type, for a reason."""
    return f'"{field.name}" ({field.type})'
