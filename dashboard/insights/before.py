"""The time before a period that it is compared with, like for like, and which bucket of it stands beside which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import Any

from queries.period import EARLIEST, Bucket, Period, local_date, local_midnight, zone_info

_WEEK_DAYS = 7
# How many days before a period tell what is usual in it: five of each weekday.
USUAL_DAYS = 35


@dataclass(frozen=True, slots=True)
class Shift:
    """How far back the time lies that a period is compared with."""

    days: int = 0
    months: int = 0

    def before(self, local: datetime) -> datetime:
        """The same local time, that much earlier."""
        if not self.months:
            return local - timedelta(days=self.days)
        month = local.year * 12 + local.month - 1 - self.months
        first = datetime.combine(date(month // 12, month % 12 + 1, 1), local.time())
        last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return first.replace(day=min(local.day, last.day))


def shift_of(period: Period) -> Shift:
    """As many days as the period has complete ones, so that it is compared with what lies right before it; by months in
    whole months, by weeks, hours and minutes in whole weeks, since the hours of no two weekdays are alike. A day that
    is not over is compared with the same day a week before."""
    days = _days(period)
    if period.grain == "month":
        first, last = period.first_date, local_date(_compared_end(period), period.zone)
        months = (last.year - first.year) * 12 + last.month - first.month + (last.day > first.day)
        return Shift(months=max(1, months))
    if period.grain == "day" and days:
        return Shift(days=days)
    return Shift(days=max(1, ceil(days / _WEEK_DAYS)) * _WEEK_DAYS)


def before(period: Period) -> Period:
    """The time that the period is compared with. It ends by the period's start, and has its own end as its `now`: all
    of it is over."""
    shift = shift_of(period)
    start = _shifted(period.start, shift, period.zone)
    end = max(start, min(period.start, _shifted(_compared_end(period), shift, period.zone)))
    return replace(period, start=start, end=end, now=max(end, min(end, period.now)))


def usual(period: Period) -> Period:
    """The time before the period that its comparison and its anomalies need, by the same grain: one question for both.
    By hours and days it reaches back five weeks."""
    compared = before(period)
    if period.grain not in ("hour", "day"):
        return compared
    far = local_midnight(max(EARLIEST, period.first_date - timedelta(days=USUAL_DAYS)), period.zone)
    return replace(compared, start=min(compared.start, far), end=period.start, now=period.start)


def beside(period: Period, starts: Sequence[datetime], rows: Sequence[Any]) -> list[Any]:
    """For each bucket of the period the row of the bucket before that stands beside it: the one of the same local time,
    so that a day of 23 hours shifts nothing. None for the bucket in progress, for what has none, and for the second of
    an hour that happens twice. `starts` are the instants of the rows' buckets."""
    compared, shift = before(period), shift_of(period)
    if not starts:
        return [None] * len(period.buckets())
    known = _by_local_time(starts, rows, compared)
    return [
        None if one.in_progress else known.get((shift.before(_naive(one.local_start)), one.local_start.fold))
        for one in period.buckets()
    ]


def _by_local_time(
    starts: Sequence[datetime], rows: Sequence[Any], compared: Period
) -> Mapping[tuple[datetime, int], Any]:
    info = zone_info(compared.zone)
    first = compared.buckets()[0].local_start.astimezone(UTC) if compared.buckets() else compared.start
    local = [(start, start.astimezone(info)) for start in starts]
    return {
        (_naive(one), one.fold): row
        for (start, one), row in zip(local, rows, strict=True)
        if first <= start < compared.end
    }


def complete(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets that can be compared: without the one in progress."""
    return [one for one in buckets if not one.in_progress]


def _days(period: Period) -> int:
    """Complete local days; of a period that begins or ends within a day, as many as it touches at most."""
    begun = period.start.astimezone(zone_info(period.zone))
    ended = _compared_end(period).astimezone(zone_info(period.zone))
    span = _naive(ended) - _naive(begun)
    has_no_complete_day = span < timedelta(days=1) or period.first_date == local_date(period.now, period.zone)
    return 0 if has_no_complete_day else ceil(span / timedelta(days=1))


def _compared_end(period: Period) -> datetime:
    """Of whole days the end of the last complete one; otherwise the period's own end."""
    if _is_midnight(period.start, period.zone) and _is_midnight(period.end, period.zone):
        today = local_midnight(local_date(period.now, period.zone), period.zone)
        if period.start < today:
            return min(period.end, today)
    return period.end


def _is_midnight(instant: datetime, zone: str) -> bool:
    return instant == local_midnight(local_date(instant, zone), zone)


def _shifted(instant: datetime, shift: Shift, zone: str) -> datetime:
    info = zone_info(zone)
    earlier = shift.before(_naive(instant.astimezone(info)))
    if earlier.date() < EARLIEST:
        earlier = datetime.combine(EARLIEST, time())
    return min(instant, earlier.replace(tzinfo=info).astimezone(UTC))


def _naive(local: datetime) -> datetime:
    return local.replace(tzinfo=None, fold=0)
