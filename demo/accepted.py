"""What operations accept, and the forms in which they store times and ids."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import tuple_row

from demo.errors import InvalidRequest
from demo.schema import ENUMS

Parameters = Sequence[object] | Mapping[str, object]

MAX_CREDITS: Final = 10_000_000
CURRENCIES: Final = ("EUR", "USD")


def require_credits(credits: int) -> None:
    require_whole("credits", credits, 1, MAX_CREDITS)


def require_type(type: str) -> None:
    if type not in ENUMS["GenerationType"]:
        raise InvalidRequest(f"generation type {type!r} is unknown; use one of {', '.join(ENUMS['GenerationType'])}")


def require_movement(type: str, amount: int, price_paid: Decimal | None, currency: str | None) -> None:
    accepted = {"GRANT": (1,), "PURCHASE": (1,), "EXPIRY": (-1,), "ADJUSTMENT": (1, -1)}.get(type)
    if accepted is None:
        raise InvalidRequest(f"{type!r} cannot be added by hand; use GRANT, PURCHASE, ADJUSTMENT or EXPIRY")
    require_whole("amount", amount, -MAX_CREDITS, MAX_CREDITS)
    if (amount > 0) - (amount < 0) not in accepted:
        raise InvalidRequest(f"amount {amount} has the wrong sign for {type}; grants add, expiries take away")
    if (type == "PURCHASE") != (price_paid is not None and currency is not None):
        raise InvalidRequest(f"{type} of {amount} credits; give price and currency with a purchase, and only then")
    if price_paid is not None and (price_paid < 0 or currency not in CURRENCIES):
        raise InvalidRequest(
            f"price {price_paid} {currency} is not accepted; use 0 or more in {' or '.join(CURRENCIES)}"
        )


def require_whole(name: str, value: object, lowest: int, highest: int) -> None:
    # A bool is an int for Python, but no one means page=True.
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidRequest(f"{name} is {value!r}; use a whole number from {lowest} to {highest}")


def stored_time(now: datetime | None) -> datetime:
    """The clock as "timestamp(3)" keeps it: UTC without zone, whole milliseconds."""
    now = now or datetime.now(UTC)
    if now.tzinfo is None:
        raise InvalidRequest("now has no time zone; pass an aware datetime such as datetime.now(UTC)")
    utc = now.astimezone(UTC).replace(tzinfo=None)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def aware(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC)


def new_id(prefix: str, at: datetime) -> str:
    """An id that sorts by time: milliseconds, then 12 random hex digits."""
    milliseconds = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    return f"{prefix}_{milliseconds:013d}{secrets.token_hex(6)}"


def one(connection: psycopg.Connection, query: LiteralString, parameters: Parameters) -> tuple[Any, ...] | None:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, parameters).fetchone()
