"""What can be exported: the reports with their columns, and one person's order of one of them.

Names and order of columns are what others build on: a change is a new `schema_version`, and a test holds the headers.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, get_args

import sqlalchemy as sa

from queries.errors import ArgumentError, PeriodError
from queries.exports import selects
from queries.period import EARLIEST, LATEST, Period, local_date, zone_info
from queries.scope import Scope
from queries.tables import Tables

Kind = Literal["text", "integer", "number", "timestamp", "date"]
Format = Literal["csv", "csv.gz", "parquet", "xlsx"]
Dialect = Literal["excel", "plain"]
FORMATS: tuple[Format, ...] = get_args(Format)
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
# Excel has 1,048,576 rows, and the first one is the header.
XLSX_ROWS = 1_048_575


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file. A `number` may have digits after the point; a timestamp is in UTC; the manifest holds the
    exact sum of what is `summed`; what is `withheld` is empty for those who may not read prompts."""

    name: str
    kind: Kind
    summed: bool = False
    withheld: bool = False


Select = Callable[[Tables, Scope, "Order"], sa.Select[Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `select` gives its rows with the columns' names, in order; None where the dashboard makes them."""

    name: str
    title: str
    question: str
    schema_version: int
    columns: tuple[Column, ...]
    is_monthly: bool = False
    has_period: bool = True
    has_tenants: bool = True
    select: Select | None = None

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.columns)

    @property
    def summed(self) -> tuple[Column, ...]:
        return tuple(one for one in self.columns if one.summed)


@dataclass(frozen=True, slots=True)
class Order:
    """What one file shall hold: a report, the tenants, local dates from first to last (both included), and how.

    ArgumentError for what there cannot be. `dialect` and `guarded` are about text that spreadsheets open: Parquet has
    neither. `scope` is the tenants of the file, which the caller has narrowed to what the person may see.
    """

    report: str
    scope: Scope
    zone: str
    first: date | None
    last: date | None
    now: datetime
    format: Format = "csv"
    dialect: Dialect = "excel"
    guarded: bool = True
    with_prompts: bool = False

    def __post_init__(self) -> None:
        if self.report not in REPORTS:
            raise ArgumentError(f"the report {self.report[:40]!r} is not known; choose one of {', '.join(REPORTS)}")
        if self.format not in FORMATS:
            raise ArgumentError(f"the format {self.format[:40]!r} is not known; choose one of {', '.join(FORMATS)}")
        if self.dialect not in DIALECTS:
            raise ArgumentError(f"the dialect {self.dialect[:40]!r} is not known; choose one of {', '.join(DIALECTS)}")
        if self.now.utcoffset() != timedelta(0):
            raise ArgumentError("now is not a UTC time; give an aware datetime in UTC")
        try:
            zone_info(self.zone)
        except PeriodError as error:
            raise ArgumentError(error.message) from None
        if not self.what.has_tenants and not self.scope.is_all:
            raise ArgumentError(f"the report {self.report} is not by tenant; leave the tenants out")
        if self.what.has_period:
            _check_dates(self)
        elif self.first is not None or self.last is not None:
            raise ArgumentError(f"the report {self.report} has no period; leave the dates out")

    @classmethod
    def of_month(cls, report: str, month: date, *, scope: Scope, zone: str, now: datetime, **how: Any) -> Order:
        """The order of one calendar month; any day of it names it."""
        first, last = month_bounds(month)
        return cls(report=report, scope=scope, zone=zone, first=first, last=last, now=now, **how)

    @property
    def what(self) -> Report:
        return REPORTS[self.report]

    @property
    def guards(self) -> bool:
        """Whether texts are guarded: in what spreadsheets open, unless raw was asked for."""
        return self.guarded and self.format != "parquet"

    @property
    def month(self) -> date | None:
        """The first day of the month, when the period is exactly one."""
        if self.first is None or self.last is None:
            return None
        return self.first if (self.first, self.last) == month_bounds(self.first) else None

    @property
    def months(self) -> tuple[date, ...]:
        """The first days of all months that the period touches."""
        if self.first is None or self.last is None:
            return ()
        span = range(self.first.year * 12 + self.first.month - 1, self.last.year * 12 + self.last.month)
        return tuple(date(one // 12, one % 12 + 1, 1) for one in span)

    @property
    def period(self) -> Period:
        """The days as UTC instants, up to now."""
        if self.first is None or self.last is None:
            raise ArgumentError(f"the report {self.report} has no period; look at the rows as of its time")
        return Period.of_dates(self.first, self.last, zone=self.zone, now=self.now, grain="month")

    @property
    def file_name(self) -> str:
        """credit-statement-2026-10-europe-berlin.csv: the same order has the same name, and another one another."""
        dated = str(self.month)[:7] if self.month else f"{self.first}-to-{self.last}" if self.first else ""
        given = self.format in ("csv", "csv.gz")
        parts = (
            self.report,
            dated,
            re.sub(r"[+-](?=\d)", lambda sign: " plus " if sign[0] == "+" else " minus ", self.zone),
            _tenants_part(self.scope),
            "raw" if not self.guarded and self.format != "parquet" else "",
            "plain" if given and self.dialect == "plain" else "",
            "prompts" if self.with_prompts and any(one.withheld for one in self.what.columns) else "",
        )
        slugs = (re.sub(r"[^a-z0-9]+", "-", one.lower()).strip("-") for one in parts)
        return "-".join(one for one in slugs if one) + f".{self.format}"


def month_bounds(day: date) -> tuple[date, date]:
    """The first and the last day of this day's month."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _check_dates(order: Order) -> None:
    first, last, name = order.first, order.last, order.report
    if first is None or last is None:
        raise ArgumentError(f"the report {name} needs a first and a last day; give both")
    if first > last:
        raise ArgumentError(f"from ({first}) is after to ({last}); choose a start before the end")
    if first < EARLIEST or last >= LATEST:
        raise ArgumentError(f"the period is out of range; choose dates between {EARLIEST} and {LATEST}")
    today = local_date(order.now, order.zone)
    if first > today:
        raise ArgumentError(
            f"the period begins on {first}, which is after today ({today} in {order.zone}); wait for it"
        )
    if order.what.is_monthly and (first != month_bounds(first)[0] or last != month_bounds(last)[1]):
        raise ArgumentError(f"the report {name} is by month; choose whole months, from a first day to a last one")


def _tenants_part(scope: Scope) -> str:
    if scope.ids is None:
        return ""
    return f"tenants-{len(scope.ids)}-{scope.digest[:8]}"


_TENANT = (Column("tenant_id", "text"), Column("tenant", "text"))
_ALL = (
    Report(
        name="credit-statement",
        title="Credit statement",
        question="What did each tenant have, get, use and keep, by month?",
        schema_version=1,
        columns=(
            *_TENANT,
            Column("month", "date"),
            Column("zone", "text"),
            *(
                Column(one, "number", summed=True)
                for one in ("opening", "purchased", "granted", "refunded", "adjusted", "burned", "expired", "closing")
            ),
            Column("unexplained", "number", summed=True),
            Column("status", "text"),
        ),
        is_monthly=True,
        select=selects.credit_statement,
    ),
    Report(
        name="usage-lines",
        title="Usage lines",
        question="What was generated each day, by tenant, type and model, and for how many credits?",
        schema_version=1,
        columns=(
            *_TENANT,
            Column("date", "date"),
            Column("zone", "text"),
            Column("type", "text"),
            Column("model", "text"),
            Column("generations", "integer", summed=True),
            Column("images", "integer", summed=True),
            Column("credits", "number", summed=True),
        ),
        select=selects.usage_lines,
    ),
    Report(
        name="ledger",
        title="Ledger",
        question="Which credit movements were posted?",
        schema_version=1,
        columns=(
            Column("movement_id", "text"),
            Column("posted_at_utc", "timestamp"),
            Column("date", "date"),
            Column("zone", "text"),
            *_TENANT,
            Column("type", "text"),
            Column("amount", "number", summed=True),
            Column("user_id", "text"),
            Column("generation_id", "text"),
            Column("price_paid", "number", summed=True),
            Column("currency", "text"),
        ),
        select=selects.ledger,
    ),
    Report(
        name="generations",
        title="Generations",
        question="Which generations were made?",
        schema_version=1,
        columns=(
            Column("generation_id", "text"),
            Column("created_at_utc", "timestamp"),
            Column("date", "date"),
            Column("zone", "text"),
            *_TENANT,
            Column("user_id", "text"),
            Column("type", "text"),
            Column("model", "text"),
            Column("status", "text"),
            Column("credits", "number", summed=True),
            Column("duration_ms", "integer", summed=True),
            Column("completed_at_utc", "timestamp"),
            Column("error", "text"),
            Column("prompt", "text", withheld=True),
        ),
        select=selects.generations,
    ),
    Report(
        name="tenants",
        title="Tenants",
        question="How do all tenants stand now, as on the Tenants page?",
        schema_version=1,
        columns=(
            *_TENANT,
            Column("plan", "text"),
            Column("flags", "text"),
            Column("runway", "text"),
            Column("runway_p10_days", "integer"),
            Column("runway_p50_days", "integer"),
            Column("runway_p90_days", "integer"),
            Column("credits_left", "number", summed=True),
            Column("credits_per_period", "number", summed=True),
            Column("net_burn_28d_credits", "number", summed=True),
            Column("net_burn_7d_credits", "number", summed=True),
            Column("net_burn_previous_7d_credits", "number", summed=True),
            Column("generations_28d", "integer", summed=True),
            Column("succeeded_28d", "integer", summed=True),
            Column("failed_28d", "integer", summed=True),
            Column("active_users_28d", "integer", summed=True),
            Column("active_users_7d", "integer", summed=True),
            Column("limit_hit_days_28d", "integer", summed=True),
            Column("last_seen_at_utc", "timestamp"),
            Column("renews_at_utc", "timestamp"),
            Column("date", "date"),
            Column("zone", "text"),
        ),
        has_period=False,
    ),
    Report(
        name="query-log",
        title="Query log",
        question="Which questions did the dashboard ask, and how long did each take?",
        schema_version=1,
        columns=(
            Column("at_utc", "timestamp"),
            Column("date", "date"),
            Column("zone", "text"),
            *(Column(one, "text") for one in ("query", "fingerprint", "parameters_hash", "page", "run_id", "role")),
            Column("outcome", "text"),
            *(
                Column(one, "number", summed=True)
                for one in ("wait_ms", "database_ms", "fetch_ms", "frame_ms", "cache_ms")
            ),
            Column("rows", "integer", summed=True),
            *(Column(one, "text") for one in ("slow", "error", "reference", "asked_by", "plan_hash")),
        ),
        has_tenants=False,
        select=selects.query_log,
    ),
    Report(
        name="audit",
        title="Audit",
        question="Who signed in, opened which tenant, took what along, closed or changed what?",
        schema_version=1,
        columns=(
            Column("at_utc", "timestamp"),
            Column("date", "date"),
            Column("zone", "text"),
            *(Column(one, "text") for one in ("who", "role", "action", "subject")),
        ),
        has_tenants=False,
        select=selects.audit,
    ),
)
REPORTS: Mapping[str, Report] = MappingProxyType({one.name: one for one in _ALL})
