"""Numbers and sentences as people read them. Pure functions; the exact figure is on hover and in files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

import pandas as pd

from dashboard.insights.rates import Rate
from queries.period import Period, zone_info

Number = int | float | Decimal
Direction = Literal["up", "down", "flat", "none"]

NOT_ENOUGH = "not enough data"
MINUS = "−"
LATENCY_FROM_ROWS = {"p50": 20, "p95": 20, "p99": 100}

# Whatever Markdown, LaTeX, HTML, an emoji shortcode, a directive (`:red[...]`) or an autolinked address starts with.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&@^=\"'/])")
# Line breaks and invisible controls would leave the place that the text was given; direction marks stay inside it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# What makes an address of the words around it.
_ADDRESS = re.compile(r"(?<=:)(?=/)|(?<=www)(?=\.)|(?<=.)(?=@)", re.IGNORECASE | re.DOTALL)
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """Text from the database that may stand in a Markdown label: nothing in it is markup any more, nor a link."""
    return _MARKUP.sub(r"\\\1", unlinked(one_line(text)))


def unlinked(text: str) -> str:
    """Text in which no Markdown finds an address to make a link of, escaped or not: a word joiner, which nobody sees,
    stands in each."""
    return _ADDRESS.sub("\u2060", text)


def one_line(text: object) -> str:
    """The text without line breaks, control characters and direction marks, which could rearrange what follows it."""
    return _DIRECTION.sub("", _CONTROL.sub(" ", str(text))).strip() or "(no name)"


def shortened(text: object, characters: int = 28) -> str:
    """At most so many characters, with an ellipsis for the rest."""
    line = one_line(text)
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def readable(constant: object) -> str:
    """TEXT_TO_IMAGE as "Text to image"; other words stay as they are."""
    text = one_line(constant)
    return text.replace("_", " ").capitalize() if re.fullmatch(r"[A-Z][A-Z0-9_]*", text) else text


def known(value: Any) -> Any:
    """The value, or None where it is missing."""
    return None if value is None or value is pd.NA or value is pd.NaT or value != value else value


def first_row(frame: pd.DataFrame) -> dict[str, Any]:
    """The first row with None for what is missing; empty without rows."""
    if frame.empty:
        return {}
    return {str(name): known(frame[name].iloc[0]) for name in frame.columns}


def exact(value: Number | None) -> str:
    """1284567 as "1,284,567"; NUMERIC keeps its digits."""
    if value is None:
        return NOT_ENOUGH
    if isinstance(value, Decimal):
        # "f": a small Decimal would otherwise read 1.0E-7.
        return (f"{int(value):,}" if value == value.to_integral_value() else f"{value:,f}").replace("-", MINUS)
    return f"{value:,}".replace("-", MINUS)


def amount(value: Number | None) -> str:
    """Digits below ten thousand, then 12.8 k, 3.4 M, 1.2 G."""
    if value is None:
        return NOT_ENOUGH
    size = abs(Decimal(str(value)))
    if size < 10_000:
        rounded = size.quantize(Decimal("0.01")).normalize() if size % 1 else size.to_integral_value()
        return _signed(value, f"{rounded:,f}")
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        shown = (size / 10**power).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        if shown >= 1:
            return _signed(value, f"{shown:,} {letter}")
    raise AssertionError("every size from ten thousand on has a letter")


def per_day(credits: int | Decimal, days: int) -> Decimal:
    """Credits a day, to a tenth, and never by way of a float."""
    return (Decimal(credits) / days).quantize(Decimal("0.1"))


def _signed(value: Number, digits: str) -> str:
    return f"{MINUS}{digits}" if value < 0 else digits


def percent(share: float | None) -> str:
    """0.9853 as "98.5 %"; a share that is not whole never reads 100.0 %, one that is not nothing never 0.0 %."""
    if share is None:
        return NOT_ENOUGH
    shown = round(share * 100, 1)
    if shown == 100 and share < 1:
        return "> 99.9 %"
    if shown == 0 and share > 0:
        return "< 0.1 %"
    return f"{shown:.1f} %".replace("-", MINUS)


def rate(value: Rate | None) -> str:
    return percent(value.value if value is not None else None)


def rate_interval(value: Rate | None) -> str:
    """What there is to say about a rate's uncertainty; empty from 200 cases on."""
    if value is None:
        return "no generation has ended yet"
    if value.is_certain:
        return ""
    return f"{percent(value.low)} to {percent(value.high)} with 95 % confidence, from {value.total:,} ended"


def duration(ms: float | None) -> str:
    """420 ms, 2.4 s, 23 s, 4 min, 3.2 h: the unit that reads."""
    if ms is None:
        return NOT_ENOUGH
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7170 else f"{seconds / 3600:.1f} h"


def small_ms(ms: float) -> str:
    """Times of queries: 0.02 ms, 4.1 ms, 420 ms, 2.4 s."""
    if ms >= 999.5:
        return duration(ms)
    return f"{ms:.2f} ms" if ms < 0.095 else f"{ms:.1f} ms" if ms < 99.95 else f"{ms:.0f} ms"


def latency_reason(quantile: str, rows: int | None) -> str:
    """Why a latency is hidden, or nothing when it is not."""
    needed = LATENCY_FROM_ROWS[quantile]
    if (rows or 0) >= needed:
        return ""
    return f"{counted(rows or 0, 'successful generation')} in this period; {quantile} needs {needed}"


def counted(number: int, noun: str) -> str:
    """ "1 row", "2,345 rows"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True, slots=True)
class Change:
    """A change in words: "+12 %", "new"; empty when there is nothing to compare."""

    text: str
    direction: Direction


def change(now: Number | None, before: Number | None) -> Change:
    """Relative change; "new" where the base is 0, never infinity."""
    if now is None or before is None:
        return Change("", "none")
    if before <= 0:
        return Change("new", "up") if now > 0 and before == 0 else Change("", "none")
    ratio = float((Decimal(str(now)) - Decimal(str(before))) / Decimal(str(before)))
    return _change(ratio * 100, "%", 0 if abs(ratio) >= 0.0995 else 1)


def change_points(now: float | None, before: float | None) -> Change:
    """Change of a share, in percentage points."""
    return Change("", "none") if now is None or before is None else _change((now - before) * 100, "points", 1)


def _change(size: float, unit: str, digits: int) -> Change:
    text = f"{abs(size):,.{digits}f}"
    if not float(text.replace(",", "")):
        return Change("no change", "flat")
    return Change(f"+{text} {unit}", "up") if size > 0 else Change(f"{MINUS}{text} {unit}", "down")


def day(value: date) -> str:
    """7 May 2026."""
    return f"{value.day} {value:%b %Y}"


def days(first: date, last: date) -> str:
    """ "7 May 2026", "1 to 7 May 2026", "28 Apr to 7 May 2026", "28 Dec 2025 to 3 Jan 2026"."""
    if first == last:
        return day(last)
    if first.year != last.year:
        return f"{day(first)} to {day(last)}"
    return f"{first.day} to {day(last)}" if first.month == last.month else f"{first.day} {first:%b} to {day(last)}"


def span(period: Period) -> str:
    """The days of a period, in words, up to what is known."""
    last = min(period.last_date, period.now.astimezone(zone_info(period.zone)).date())
    return days(period.first_date, max(period.first_date, last))


def previous_days(period: Period) -> str:
    """What a period is compared with: "previous 28 days"."""
    length = _previous_length(period)
    return "previous day" if length == 1 else f"previous {length} days"


def days_before(period: Period) -> str:
    """The same where there is little room: "28 d before"."""
    return f"{_previous_length(period)} d before"


def _previous_length(period: Period) -> int:
    before = period.previous()
    return (before.end.astimezone(zone_info(period.zone)).date() - before.first_date).days


def clock(instant: datetime, zone: str) -> str:
    """14:32:05, UTC+1."""
    local = instant.astimezone(zone_info(zone))
    return f"{local:%H:%M:%S}, {offset(local)}"


def moment(instant: datetime, zone: str) -> str:
    """7 May 2026, 14:32, UTC+1."""
    local = instant.astimezone(zone_info(zone))
    return f"{day(local.date())}, {local:%H:%M}, {offset(local)}"


def offset(local: datetime) -> str:
    """UTC, UTC+1, UTC+5:45, UTC−3."""
    seconds = int((local.utcoffset() or timedelta(0)).total_seconds())
    hours, minutes = divmod(abs(seconds) // 60, 60)
    sign = "+" if seconds > 0 else MINUS
    return "UTC" if seconds == 0 else f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "")


def ago(instant: datetime, now: datetime) -> str:
    """just now, 3 min ago, 5 h ago, 12 days ago."""
    seconds = max(0.0, (now - instant).total_seconds())
    if seconds < 60:
        return "just now"
    if seconds < 5400:
        return f"{round(seconds / 60)} min ago"
    return f"{round(seconds / 3600)} h ago" if seconds < 172_800 else f"{int(seconds // 86_400)} days ago"


def days_left(until: date, today: date) -> str:
    """today, tomorrow, in 12 days, 3 days overdue; by local days."""
    left = (until - today).days
    if left < 0:
        return f"{counted(-left, 'day')} overdue"
    return ("today", "tomorrow")[left] if left < 2 else f"in {counted(left, 'day')}"


def sentence(fact: str) -> str:
    """A lower-case fact as a sentence of its own."""
    text = fact.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def utc(value: Any) -> datetime | None:
    """A timestamp of a frame as an aware datetime in UTC."""
    value = known(value)
    if value is None:
        return None
    instant: datetime = value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else value
    return instant.astimezone(UTC)
