"""What stands beside a file: what it holds, as of when, how many rows, exact sums, and the checksum of its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self

from queries.errors import ArgumentError
from queries.exports.reports import Order

Status = Literal["provisional", "closed"]
SUFFIX = ".manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The words of one file. `sums` are exact, as plain digits; `differences` is empty unless what was streamed is not
    what the second statement of the same snapshot counted and summed. `closed_months` of a provisional file are those
    of its period that are closed: of them too it has the rows of now, and each month's own file those of its closing.
    """

    id: str
    report: str
    title: str
    schema_version: int
    file: str
    columns: tuple[str, ...]
    filters: Mapping[str, Any]
    as_of: datetime
    rows: int
    sums: Mapping[str, str]
    sha256: str
    bytes: int
    status: Status = "provisional"
    closed_at: datetime | None = None
    closed_months: tuple[str, ...] = field(default=())
    differences: tuple[str, ...] = field(default=())

    def as_json(self) -> str:
        """The manifest as text, ready for a file."""
        plain = {**asdict(self), "as_of": _moment(self.as_of), "closed_at": _moment(self.closed_at)}
        return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` wrote; ArgumentError for any other text."""
        try:
            given = json.loads(text)
            known = {one.name for one in fields(cls)}
            if not isinstance(given, dict) or set(given) != known:
                raise ValueError("not the fields of a manifest")
            closed_at = given["closed_at"]
            return cls(
                **{
                    **given,
                    "as_of": datetime.fromisoformat(given["as_of"]),
                    "closed_at": None if closed_at is None else datetime.fromisoformat(closed_at),
                    "columns": tuple(_texts(given["columns"])),
                    "closed_months": tuple(_texts(given["closed_months"])),
                    "differences": tuple(_texts(given["differences"])),
                    "rows": _whole(given["rows"]),
                    "bytes": _whole(given["bytes"]),
                    "sums": {str(name): str(value) for name, value in given["sums"].items()},
                    "filters": dict(given["filters"]),
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArgumentError("this is no manifest of an export; name a folder that export wrote to") from error


def filters_of(order: Order) -> dict[str, Any]:
    """What the file was narrowed to and how it was written."""
    names = [one.name for one in order.what.columns if one.withheld]
    period = order.period if order.what.has_period else None
    return {
        "tenants": "all" if order.scope.ids is None else list(order.scope.ordered_ids),
        "from": str(order.first) if order.first else None,
        "to": str(order.last) if order.last else None,
        "from_utc": _moment(period.start) if period else None,
        "until_utc": _moment(period.until) if period else None,
        "zone": order.zone,
        "format": order.format,
        "dialect": order.dialect if order.format in ("csv", "csv.gz") else None,
        "guarded": order.guards,
        "withheld": [] if order.with_prompts else names,
    }


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _texts(given: Any) -> list[str]:
    if not isinstance(given, list):
        raise TypeError("not a list")
    return [str(one) for one in given]


def _whole(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise ValueError("not a number of something")
    return given
