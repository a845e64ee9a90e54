"""What the caches keep: the rows of one question, when they were read, and what reading them cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self

import pandas as pd

from queries.arrow import arrow_frame, decoded, encoded, held_bytes
from queries.errors import UnreadableFrameError
from queries.query import Timings


@dataclass(frozen=True, slots=True)
class Entry:
    """A computed answer. `computed_at` is when the database was read, in UTC. `parameters` are masked and JSON-able.

    Many readers share `frame`: hand out `frame.copy(deep=False)`, which pandas copies on write.
    """

    frame: pd.DataFrame
    computed_at: datetime
    sql: str
    parameters: Mapping[str, Any]
    timings: Timings
    nbytes: int

    @classmethod
    def of(
        cls, frame: pd.DataFrame, *, computed_at: datetime, sql: str, parameters: Mapping[str, Any], timings: Timings
    ) -> Self:
        """The entry with Arrow columns and its size. ValueError for a frame with a named index, or a naive time."""
        if computed_at.tzinfo is None:
            raise ValueError("computed_at has no zone; use datetime.now(UTC)")
        kept = arrow_frame(frame)
        return cls(
            frame=kept,
            computed_at=computed_at.astimezone(UTC),
            sql=sql,
            parameters=MappingProxyType(dict(parameters)),
            timings=timings,
            nbytes=held_bytes(kept) + len(sql),
        )


def entry_bytes(keyed: tuple[str, Entry]) -> bytes:
    """A key and its entry as bytes. The key goes with it, so that a value in another's place is recognised."""
    key, entry = keyed
    metadata = {
        "key": key,
        "computed_at": entry.computed_at.isoformat(),
        "sql": entry.sql,
        "parameters": dict(entry.parameters),
        "timings": asdict(entry.timings),
    }
    return encoded(entry.frame, metadata)


def entry_of_bytes(data: bytes) -> tuple[str, Entry]:
    """What `entry_bytes` was given. UnreadableFrameError for any other bytes."""
    frame, metadata = decoded(data)
    try:
        entry = Entry.of(
            frame,
            computed_at=datetime.fromisoformat(metadata["computed_at"]),
            sql=_of_type(str, metadata["sql"]),
            parameters=_of_type(dict, metadata["parameters"]),
            timings=_timings(metadata["timings"]),
        )
        return _of_type(str, metadata["key"]), entry
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableFrameError("these bytes do not describe their rows as they should; left aside") from error


def _timings(given: Any) -> Timings:
    wanted = {one.name for one in fields(Timings)}
    if not isinstance(given, dict) or set(given) != wanted:
        raise ValueError("these are not timings")
    values = {name: float(_of_type((int, float), value)) for name, value in given.items()}
    if not all(math.isfinite(value) and value >= 0 for value in values.values()):
        raise ValueError("a time is not a number of milliseconds")
    return Timings(**values)


def _of_type(type_: Any, value: Any) -> Any:
    if not isinstance(value, type_):
        raise TypeError(f"not a {type_}: {type(value).__name__}")
    return value
