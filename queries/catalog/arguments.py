"""What a question accepts. Arguments may come from a URL; each refusal says what is accepted instead."""

from __future__ import annotations

from collections.abc import Iterable

from queries.errors import ArgumentError
from queries.scope import is_storable

SEARCH_LENGTH = 200
LARGEST_PAGE_ROWS = 1_000
LARGEST_OFFSET_ROWS = 10_000_000
LARGEST_TOP = 50


def checked_page(offset: int, limit: int) -> None:
    """ArgumentError unless 1 <= limit <= 1,000 and 0 <= offset <= 10,000,000."""
    if not 1 <= limit <= LARGEST_PAGE_ROWS:
        raise ArgumentError(f"a page of {limit} rows is not possible; choose 1 to {LARGEST_PAGE_ROWS:,}")
    if not 0 <= offset <= LARGEST_OFFSET_ROWS:
        raise ArgumentError(f"rows from {offset} on are not possible; choose 0 to {LARGEST_OFFSET_ROWS:,}")


def checked_top(top: int) -> None:
    """ArgumentError unless 1 <= top <= 50."""
    if not 1 <= top <= LARGEST_TOP:
        raise ArgumentError(f"the top {top} cannot be shown; choose 1 to {LARGEST_TOP}")


def checked_search(search: str) -> None:
    """ArgumentError unless PostgreSQL can hold the text and it has at most 200 characters."""
    if len(search) > SEARCH_LENGTH:
        raise ArgumentError(f"the search has {len(search):,} characters; shorten it to at most {SEARCH_LENGTH}")
    if not is_storable(search):
        raise ArgumentError("the search holds a character that no text in PostgreSQL has; remove it")


def checked_choice(name: str, value: str, accepted: Iterable[str]) -> None:
    """ArgumentError unless the value is one of the accepted ones."""
    if value not in (known := tuple(accepted)):
        raise ArgumentError(f"the {name} {value[:40]!r} is not known; choose one of {', '.join(known)}")
