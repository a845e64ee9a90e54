"""From an order to the run that makes its file: from the database, from what a closed month has frozen, or, for the
report of tenants, from what the dashboard knows of flags and forecasts."""

from __future__ import annotations

from functools import partial

from dashboard.exporting import Job
from dashboard.exports.portfolio import portfolio_table
from dashboard.services import Services
from dashboard.viewer import viewer_of
from queries.closing import FROZEN_REPORTS, ClosedMonth
from queries.errors import MappingError, NotFoundError, PermissionDeniedError
from queries.exports.copying import Export, Preview, preview
from queries.exports.made import Made
from queries.exports.reports import Order
from queries.exports.sources import Frozen

FIRST_ROWS = 10


def export_of(services: Services, job: Job, export_id: str) -> Export:
    """The run of a job. NotFoundError when its person may no longer have what it was ordered for."""
    check(services, job)
    return run_of(services, job.order, export_id)


def check(services: Services, job: Job) -> None:
    """NotFoundError when a job's person may not have it, or not any more; another error of queries.errors when that
    cannot be known."""
    order = job.order
    who = viewer_of(services, job.person.role, job.identity)
    if not who.may_take(order.report) or not who.may_open("exports"):
        raise _not_open()
    takes = who.taking(order.report)
    if not takes.scope.covers(order.scope) or (order.with_prompts and not takes.reads_prompts_of(order.scope)):
        raise _not_open()


def _not_open() -> NotFoundError:
    return NotFoundError("this report, or one of its tenants, is not open to your role any more; ask for it again")


def run_of(services: Services, order: Order, export_id: str) -> Export:
    """The run of an order by somebody who may have it."""
    return Export(
        services.database,
        order,
        id=export_id,
        timeout_s=services.settings.export_timeout_s,
        frozen=_frozen(services, order),
        made=_made(services, order),
        closed_months=[one.month for one in closed_months(services, order)],
    )


def preview_of(services: Services, order: Order) -> Preview:
    """What the file would hold now: count, sums and first rows."""
    return preview(services.database, order, FIRST_ROWS, frozen=_frozen(services, order), made=_made(services, order))


def closed_month(services: Services, order: Order) -> ClosedMonth | None:
    """The closed month whose frozen file is the answer to this order; None while it is not closed."""
    return next(iter(closed_months(services, order)), None) if order.month is not None else None


def closed_months(services: Services, order: Order) -> list[ClosedMonth]:
    """The months of the order's period that are closed in its zone, of a report that closing freezes."""
    if services.closer is None or order.report not in FROZEN_REPORTS:
        return []
    try:
        closed = services.closer.closed()
    except (MappingError, PermissionDeniedError):
        return []  # before `migrate` there is nowhere to keep one
    return [one for one in closed if one.month in order.months and one.zone == order.zone]


def _made(services: Services, order: Order) -> Made | None:
    """The rows of a report that no statement knows."""
    return Made(*portfolio_table(services, order)) if order.what.select is None else None


def _frozen(services: Services, order: Order) -> Frozen | None:
    month = closed_month(services, order)
    if month is None or services.closer is None:
        return None
    kept = month.reports[order.report]
    pieces = partial(services.closer.frozen, month.month, order.report)
    return Frozen(pieces, month.as_of, month.closed_at, kept.rows, kept.sums)
