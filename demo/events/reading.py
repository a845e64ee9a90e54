"""An event out of a row, or the reason why there is none in it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from demo.events import values
from demo.events.columns import Columns
from demo.events.csv_rows import Row
from demo.events.moments import Clock

Value = TypeVar("Value")

# Names go into unique indexes, whose entries PostgreSQL bounds at 2,704 bytes: 500 characters of four bytes fit.
NAME_LIMIT_CHARACTERS: Final = 500
TEXT_LIMIT_CHARACTERS: Final = 100_000
UNKNOWN_USER: Final = "unknown user"
UNKNOWN_MODEL: Final = "unknown"


class Event(NamedTuple):
    """One generation as it will be stored, in the order of the staging table's columns.

    Times are UTC without zone. `digest` tells rows of one id but different content apart. `credits` is None when the
    file does not say. `user_name` is None where nobody is named.
    """

    line: int
    id: str
    digest: str
    organization_id: str
    organization_name: str
    user_id: str
    user_name: str | None
    type: str
    model: str
    status: str
    credits: int | None
    duration_ms: int | None
    prompt: str
    error: str | None
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that is no event: where it starts, the column at fault ("" for the whole row), why, its original text."""

    line: int
    column: str
    reason: str
    text: str


class _BadCell(ValueError):  # noqa: N818 - the name states the fact
    """A cell is not what its column holds."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(reason)
        self.part = part


class Reader:
    """Makes events of rows with the chosen columns. The clock counts what it had to decide."""

    def __init__(self, columns: Columns, clock: Clock) -> None:
        self.clock = clock
        self._columns = columns
        self._width = len(columns.header)
        # By name, so that the same row is the same event when a later export orders its columns differently.
        self._order = sorted(range(self._width), key=lambda position: columns.header[position])
        self._heading = hashlib.blake2b("\0".join(sorted(columns.header)).encode(), digest_size=16)
        self._positions = {choice.part: columns.position(choice.part) for choice in columns.choices}

    def event(self, row: Row) -> Event | Rejection:
        """The event in a row, or why there is none. Rows of the same content get the same id, in any file."""
        problem = row.problem or self._shape_problem(row)
        if problem is not None:
            return Rejection(row.line, "", problem, row.text)
        try:
            return self._event(row)
        except _BadCell as bad:
            return Rejection(row.line, self._columns.column(bad.part), str(bad), row.text)

    def _shape_problem(self, row: Row) -> str | None:
        if len(row.cells) != self._width:
            return f"{len(row.cells)} cells where the header has {self._width}"
        if "\0" in row.text:
            return "holds a NUL character, which PostgreSQL does not store"
        try:
            row.text.encode()
        except UnicodeEncodeError:
            return "not UTF-8"
        return None

    def _event(self, row: Row) -> Event:
        cells = row.cells
        created_at = self._value(cells, "time", self.clock.utc)
        tenant = self._value(cells, "tenant", _name)
        user = self._optional(cells, "user", _name)
        status = self._value(cells, "status", values.status, "SUCCEEDED")
        duration_ms = self._value(
            cells, "duration", lambda text: values.duration_ms(text, self._columns.duration_unit), None
        )
        is_timed = duration_ms is not None and status in values.TERMINAL
        digest = self._digest(cells)
        organization_id = f"org_{_short_digest(tenant)}"
        return Event(
            line=row.line,
            id=self._value(cells, "id", _name, f"evt_{digest}"),
            digest=digest,
            organization_id=organization_id,
            organization_name=tenant,
            user_id=f"usr_{_short_digest(tenant, user) if user is not None else 'unknown_' + organization_id}",
            user_name=user,
            type=self._value(cells, "type", values.generation_type, "TEXT_TO_IMAGE"),
            model=self._optional(cells, "model", _name) or UNKNOWN_MODEL,
            status=status,
            credits=self._value(cells, "credits", values.credits_used, None),
            duration_ms=duration_ms,
            prompt=self._value(cells, "prompt", _text, ""),
            error=self._optional(cells, "error", _text),
            created_at=created_at,
            completed_at=created_at + timedelta(milliseconds=duration_ms or 0) if is_timed else None,
        )

    def _value(self, cells: list[str], part: str, read: Callable[[str], Value], default: Value | None = None) -> Value:
        """What `read` makes of the part's cell; `default` where the file has no such column."""
        position = self._positions[part]
        if position is None:
            return default  # type: ignore[return-value]  # required parts have a column; Columns sees to it
        try:
            return read(cells[position])
        except ValueError as error:
            raise _BadCell(part, str(error)) from error

    def _optional(self, cells: list[str], part: str, read: Callable[[str], str]) -> str | None:
        position = self._positions[part]
        if position is None or values.is_missing(cells[position]):
            return None
        return self._value(cells, part, read)

    def _digest(self, cells: list[str]) -> str:
        content = self._heading.copy()
        # Unambiguous: rows with a NUL were refused before.
        content.update("\0".join([cells[position] for position in self._order]).encode())
        return content.hexdigest()


def _name(text: str) -> str:
    """A name unchanged, hostile ones too."""
    if values.is_missing(text):
        raise ValueError("missing")
    if len(text) > NAME_LIMIT_CHARACTERS:
        raise ValueError(f"longer than {NAME_LIMIT_CHARACTERS} characters")
    return text


def _text(text: str) -> str:
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise ValueError(f"longer than {TEXT_LIMIT_CHARACTERS:,} characters")
    return text


@lru_cache(maxsize=4096)
def _short_digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()
