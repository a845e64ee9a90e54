"""Times as files write them, as UTC without zone in whole milliseconds, which is how the application stores them."""

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from demo.events.errors import UnusableOption

# Tried after ISO 8601. Day and month as numbers with slashes are left out: nobody can tell 05/06 from 06/05.
FORMATS: Final = (
    *("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S %z"),
    *("%Y-%m-%d %H:%M:%S.%f %z", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d %b %Y %H:%M:%S"),
    *("%d-%b-%Y %H:%M:%S", "%b %d, %Y %H:%M:%S", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p"),
    *("%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S", "%d/%b/%Y:%H:%M:%S %z"),
)
EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - stored times carry no zone
EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the same
# Digits before the point tell the unit of a count since 1970; between 1973 and 2100 no two units share a length.
EPOCH_NS: Final = {9: 10**9, 10: 10**9, 12: 10**6, 13: 10**6, 15: 10**3, 16: 10**3, 18: 1, 19: 1}
_NUMBER: Final = re.compile(r"\d+(?:\.\d*)?(?:[eE]\+?\d+)?")
_SLASHES: Final = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}\b")


class Clock:
    """Reads times; counts those that a change of the clocks made ambiguous (`repeated`) or impossible (`skipped`).

    A time without an offset is local to `zone`. One that happened twice is taken as the first; one that the clocks
    skipped is moved forward by as much as they skipped.
    """

    def __init__(self, zone: str = "UTC", time_format: str | None = None) -> None:
        self._zone = _zone(zone)
        self._is_utc = zone == "UTC"
        self._time_format = time_format
        self._likely = FORMATS[0]
        self.repeated = 0
        self.skipped = 0

    def utc(self, text: str) -> datetime:
        """UTC without zone, cut to the millisecond; ValueError with the reason when `text` is no time."""
        text = text.strip()
        try:
            moment = self._parsed(text)
            moment = self._local(moment) if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            moment = LATEST
        if not EARLIEST <= moment < LATEST:
            raise ValueError(f"the time is not between {EARLIEST.year} and {LATEST.year}")
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def _parsed(self, text: str) -> datetime:
        if self._time_format is not None:
            return _by_format(text, self._time_format)
        if _NUMBER.fullmatch(text) and text.isascii():
            return _numeric(text)
        is_utc = text.endswith((" UTC", " GMT"))
        text = text[:-4] if is_utc else text
        moment = _iso(text) or self._by_formats(text)
        return moment.replace(tzinfo=UTC) if is_utc and moment.tzinfo is None else moment

    def _by_formats(self, text: str) -> datetime:
        for time_format in (self._likely, *FORMATS):
            try:
                moment = datetime.strptime(text, time_format)  # noqa: DTZ007 - the zone comes later
            except ValueError:
                continue
            self._likely = time_format
            return moment
        if _SLASHES.match(text):
            raise ValueError("day and month cannot be told apart; add --time-format, such as '%m/%d/%Y %H:%M'")
        raise ValueError("not a time that is known here; ISO 8601 is, or add --time-format" if text else "missing")

    def _local(self, moment: datetime) -> datetime:
        if self._is_utc:
            return moment
        first, second = moment.replace(tzinfo=self._zone, fold=0), moment.replace(tzinfo=self._zone, fold=1)
        before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
        # The offset before the change is the first occurrence of a repeated time, and moves a skipped one forward.
        self.repeated += before > after
        self.skipped += before < after
        return moment - before


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _numeric(text: str) -> datetime:
    if len(text) == 8:
        return _by_format(text, "%Y%m%d")
    if len(text) == 14:
        return _by_format(text, "%Y%m%d%H%M%S")
    number = Decimal(text)
    whole = format(number, "f").partition(".")[0] if number.adjusted() < 20 else ""
    if len(whole) not in EPOCH_NS:
        raise ValueError("a number that is no count of seconds, milli-, micro- or nanoseconds since 1970")
    microseconds = int(number * EPOCH_NS[len(whole)]) // 1000
    return (EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=UTC)


def _by_format(text: str, time_format: str) -> datetime:
    try:
        return datetime.strptime(text, time_format)  # noqa: DTZ007 - the zone comes later
    except ValueError:
        raise ValueError(f"not a time as {time_format}" if text else "missing") from None


def _zone(name: str) -> zoneinfo.ZoneInfo:
    if name not in zoneinfo.available_timezones():
        raise UnusableOption(f"the time zone {name!r} is unknown; use an IANA name such as UTC or Europe/Berlin")
    return zoneinfo.ZoneInfo(name)
