"""What is written into the audit: who signed in, opened which tenant, took what along, closed or changed what.

Without DIRECT_URL there is no table to keep it in, and each record is a line of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from queries.closing import ClosedMonth
from queries.export_register import Ending, Register, Registered, RegisterPage
from queries.exports.manifest import Manifest, filters_of
from queries.exports.reports import Order

log = logging.getLogger(__name__)

SIGN_IN, SIGN_OUT, REFUSED = "sign-in", "sign-out", "refused"
TENANT_OPENED = "tenant opened"
EXPORT, DOWNLOAD = "export", "download"
MONTH_CLOSED = "month closed"
INDEX_MADE, INDEX_DROPPED = "index made", "index dropped"
ACCESS_GIVEN, ACCESS_CHANGED, ACCESS_REMOVED = "access given", "access changed", "access removed"

# How each is called on the page.
ACTIONS: Mapping[str, str] = {
    SIGN_IN: "Signed in",
    SIGN_OUT: "Signed out",
    REFUSED: "Was not let in",
    TENANT_OPENED: "Opened a tenant",
    EXPORT: "Took a report along",
    DOWNLOAD: "Took a panel's rows along",
    MONTH_CLOSED: "Closed a month",
    INDEX_MADE: "Made an index",
    INDEX_DROPPED: "Dropped an index",
    ACCESS_GIVEN: "Gave access",
    ACCESS_CHANGED: "Changed access",
    ACCESS_REMOVED: "Removed access",
}
# What a subject says of many tenants: these, and how many more.
_MOST_NAMED = 25


class Auditing(Protocol):
    """Takes records and returns at once."""

    def record(self, who: str, role: str, action: str, subject: Mapping[str, str]) -> None:
        """Write down that this person did this, now. Nothing secret belongs into a subject."""


def record(audit: Auditing | None, who: str, role: str, action: str, subject: Mapping[str, str]) -> None:
    """Into the audit, or into the log where there is none."""
    if audit is not None:
        audit.record(who, role, action, subject)
    else:
        log.info("audit: %s (%s): %s %s", who, role, action, dict(subject))


def tenants_named(ids: Collection[str] | None) -> str:
    """Whose rows, for a subject."""
    if ids is None:
        return "all"
    ordered = sorted(ids)
    more = len(ordered) - _MOST_NAMED
    return ", ".join(ordered[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def export_subject(order: Order, export_id: str) -> dict[str, str]:
    """What an export was narrowed to, and its number in the register."""
    given: dict[str, Any] = {"report": order.report, **filters_of(order), "tenants": tenants_named(order.scope.ids)}
    # The days say it in the zone.
    said = {name: _text(value) for name, value in given.items() if value is not None and not name.endswith("_utc")}
    return {name: value for name, value in said.items() if value} | {"export": export_id}


def month_closed(audit: Auditing | None, who: str, role: str, made: ClosedMonth, now: datetime) -> None:
    """This person closed a month at this moment; nothing when it had been closed before."""
    if made.closed_at == now:
        record(audit, who, role, MONTH_CLOSED, {"month": f"{made.month:%Y-%m}", "zone": made.zone})


class AuditedRegister:
    """A register of exports that tells the audit of each one that begins."""

    def __init__(self, register: Register, audit: Auditing | None) -> None:
        self._register, self._audit = register, audit

    def begin(self, order: Order, *, by: str, role: str) -> str:
        export_id = self._register.begin(order, by=by, role=role)
        record(self._audit, by, role, EXPORT, export_subject(order, export_id))
        return export_id

    def finish(self, export_id: str, manifest: Manifest) -> None:
        self._register.finish(export_id, manifest)

    def fail(self, export_id: str, state: Ending, reason: str) -> None:
        self._register.fail(export_id, state, reason)

    def page(
        self,
        *,
        limit: int,
        offset: int = 0,
        reports: Collection[str] | None = None,
        asked_by: str | None = None,
    ) -> RegisterPage:
        return self._register.page(limit=limit, offset=offset, reports=reports, asked_by=asked_by)

    def of(self, export_id: str) -> Registered:
        return self._register.of(export_id)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
