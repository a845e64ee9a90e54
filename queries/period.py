"""One kind of period: half-open, in a named zone, cut into buckets of one grain, as of one moment."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal, get_args

from queries.errors import PeriodError

Grain = Literal["minute", "hour", "day", "week", "month"]
GRAINS: tuple[Grain, ...] = get_args(Grain)

MAX_BUCKETS = 2_000
AUTOMATIC_BUCKETS = 400
EARLIEST = date(2000, 1, 1)
LATEST = date(2100, 1, 1)

_WIDTH_S: dict[Grain, int] = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_678_400}
# Offsets from UTC are multiples of 15 minutes in every zone since 2000, so no local hour starts between two steps.
_STEP: dict[Grain, timedelta] = {"minute": timedelta(minutes=1), "hour": timedelta(minutes=15)}


@dataclass(frozen=True, slots=True)
class Bucket:
    """`[start, end)` in UTC with its local start; in progress when the period's `now` lies inside."""

    start: datetime
    end: datetime
    local_start: datetime
    in_progress: bool


@dataclass(frozen=True, slots=True)
class Period:
    """`[start, end)` as UTC instants, in a reporting zone, by grain, as of `now` (UTC).

    What happens at or after `now` is not part of any figure, so figures read side by side on live data add up.
    """

    start: datetime
    end: datetime
    zone: str
    grain: Grain
    now: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end", "now"):
            if getattr(self, name).utcoffset() != timedelta(0):
                raise PeriodError(f"{name} is not a UTC time; give an aware datetime in UTC")
        zone_info(self.zone)
        if self.grain not in GRAINS:
            raise PeriodError(f"the grain {self.grain!r} is not known; choose one of {', '.join(GRAINS)}")
        if self.start > self.end:
            raise PeriodError("the period ends before it starts; choose a start before the end")
        if self.start.date() < EARLIEST - timedelta(days=1) or self.end.date() > LATEST:
            raise PeriodError(f"the period is out of range; choose dates between {EARLIEST} and {LATEST}")
        if (self.end - self.start).total_seconds() / _WIDTH_S[self.grain] > MAX_BUCKETS:
            raise PeriodError(
                f"the period has more than {MAX_BUCKETS:,} buckets of one {self.grain};"
                " choose a coarser grain or a shorter period"
            )

    @classmethod
    def of_dates(cls, first: date, last: date, *, zone: str, now: datetime, grain: Grain | None = None) -> Period:
        """The local days from first to last, both included. Without a grain: the finest that fits on a chart."""
        if first > last:
            raise PeriodError(f"from ({first}) is after to ({last}); choose a start before the end")
        if first < EARLIEST or last >= LATEST:
            raise PeriodError(f"the period is out of range; choose dates between {EARLIEST} and {LATEST}")
        start, end, fitting = _span(first, last, zone)
        return cls(start, end, zone, grain or fitting, now)

    @classmethod
    def last_days(cls, days: int, *, zone: str, now: datetime, grain: Grain | None = None) -> Period:
        """The last complete local days and, on top, the day in progress."""
        return _last_days(days, zone, now, grain)

    @property
    def until(self) -> datetime:
        """The end of what is known: the period's end, or now. Never before the start."""
        return max(self.start, min(self.end, self.now))

    @property
    def first_date(self) -> date:
        return local_date(self.start, self.zone)

    @property
    def last_date(self) -> date:
        """The last local day that the period touches."""
        last = self.end - timedelta(microseconds=1) if self.end > self.start else self.end
        return local_date(last, self.zone)

    def with_grain(self, grain: Grain) -> Period:
        return replace(self, grain=grain)

    def complete_days(self) -> Period:
        """The period without the local day in progress: what comparisons are made of."""
        today = local_midnight(local_date(self.now, self.zone), self.zone)
        return replace(self, end=max(self.start, min(self.end, today)))

    def previous(self) -> Period:
        """As many local days as the complete ones of this period, right before it; none before the earliest date."""
        complete = self.complete_days()
        days = (local_date(complete.end, self.zone) - complete.first_date).days
        first = max(EARLIEST, self.first_date - timedelta(days=days))
        return replace(self, start=min(self.start, self._at_same_time(first)), end=self.start)

    def _at_same_time(self, day: date) -> datetime:
        """The instant of another local day at the time of day of the start."""
        if self.start == local_midnight(self.first_date, self.zone):
            return local_midnight(day, self.zone)
        info = zone_info(self.zone)
        return datetime.combine(day, self.start.astimezone(info).time(), info).astimezone(UTC)

    def buckets(self) -> list[Bucket]:
        """Every bucket that has begun by `now`, in order; the first and last are cut to the period."""
        return list(_buckets(self))

    def _begun(self) -> list[Bucket]:
        starts = [start for start in self._grid() if start < self.until]
        if not starts:
            return []
        ends = [*starts[1:], min(self.end, next_start(starts[-1], self.grain, self.zone))]
        info = zone_info(self.zone)
        return [
            Bucket(
                start=max(start, self.start),
                end=end,
                local_start=start.astimezone(info),
                in_progress=start <= self.now < end,
            )
            for start, end in zip(starts, ends, strict=True)
        ]

    def _grid(self) -> list[datetime]:
        if self.start >= self.end:
            return []
        if self.grain in ("minute", "hour"):
            return _instant_grid(self.start, self.end, self.grain, self.zone)
        first = bucket_date(self.start, self.grain, self.zone)
        days = [first]
        while local_midnight(following := _next_date(days[-1], self.grain), self.zone) < self.end:
            days.append(following)
        return [local_midnight(day, self.zone) for day in days]

    def key(self) -> tuple[str, ...]:
        """What tells this period from every other one, as primitives."""
        return (*self.series_key(), self.now.isoformat())

    def series_key(self) -> tuple[str, ...]:
        """The same without `now`: consecutive answers to one question share it."""
        return (self.start.isoformat(), self.end.isoformat(), self.zone, self.grain)


@lru_cache(maxsize=1_000)
def _span(first: date, last: date, zone: str) -> tuple[datetime, datetime, Grain]:
    """From the first local midnight to the one after the last day, and the grain that fits it. Every rerun of a page
    asks for the same."""
    start, end = local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)
    return start, end, automatic_grain(start, end)


@lru_cache(maxsize=256, typed=True)
def _last_days(days: int, zone: str, now: datetime, grain: Grain | None) -> Period:
    today = local_date(now, zone)
    return Period.of_dates(today - timedelta(days=days), today, zone=zone, now=now, grain=grain)


@lru_cache(maxsize=256)
def _buckets(period: Period) -> tuple[Bucket, ...]:
    """A page's questions share one period, and 700 hours cost 25 ms to lay out."""
    return tuple(period._begun())


@cache
def known_zones() -> frozenset[str]:
    """The names of all time zones. Looked up once: it opens six hundred files."""
    return frozenset(zoneinfo.available_timezones())


@cache
def zone_info(zone: str) -> zoneinfo.ZoneInfo:
    if zone not in known_zones():
        raise PeriodError("this time zone is not known; choose an IANA name such as Europe/Berlin")
    return zoneinfo.ZoneInfo(zone)


def floored(now: datetime, step_s: int) -> datetime:
    """`now` floored to a step, in UTC."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step_s, UTC)


def local_date(instant: datetime, zone: str) -> date:
    return instant.astimezone(zone_info(zone)).date()


def local_midnight(day: date, zone: str) -> datetime:
    """The first instant of a local day, in UTC; where clocks skip midnight, the instant of the skip."""
    return datetime.combine(day, time(), zone_info(zone)).astimezone(UTC)


def bucket_date(instant: datetime, grain: Grain, zone: str) -> date:
    """The local date on which the bucket of this instant starts; weeks start on Monday."""
    day = local_date(instant, zone)
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def bucket_start(instant: datetime, grain: Grain, zone: str) -> datetime:
    """The start of the bucket of this instant, in UTC, as PostgreSQL's `date_trunc(grain, instant, zone)` has it.

    An hour that happens twice stays two buckets: below a day the offset in force at the instant is kept.
    """
    if grain not in ("minute", "hour"):
        return local_midnight(bucket_date(instant, grain, zone), zone)
    offset = instant.astimezone(zone_info(zone)).utcoffset() or timedelta(0)
    local = instant.replace(tzinfo=None) + offset
    local = local.replace(second=0, microsecond=0) if grain == "minute" else _hour(local)
    return (local - offset).replace(tzinfo=UTC)


def next_start(start: datetime, grain: Grain, zone: str) -> datetime:
    """The start of the bucket after the one that starts here."""
    if grain not in ("minute", "hour"):
        return local_midnight(_next_date(bucket_date(start, grain, zone), grain), zone)
    step = _STEP[grain]
    instant = start + step
    while (following := bucket_start(instant, grain, zone)) <= start:
        instant += step
    return following


def automatic_grain(start: datetime, end: datetime) -> Grain:
    """The finest grain of at most 400 buckets."""
    span_s = (end - start).total_seconds()
    return next((grain for grain in GRAINS if span_s / _WIDTH_S[grain] <= AUTOMATIC_BUCKETS), "month")


def _hour(local: datetime) -> datetime:
    return local.replace(minute=0, second=0, microsecond=0)


def _instant_grid(start: datetime, end: datetime, grain: Grain, zone: str) -> list[datetime]:
    found = [bucket_start(start, grain, zone)]
    while (following := next_start(found[-1], grain, zone)) < end:
        found.append(following)
    return found


def _next_date(day: date, grain: Grain) -> date:
    if grain == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if grain == "week" else 1)


assert all(a < b for a, b in pairwise(_WIDTH_S.values()))
