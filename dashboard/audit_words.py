"""What a record of the audit concerns, in the words of the pages: names of tenants, pages and reports for their ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from dashboard import auditing, names, places, words
from dashboard.viewer import ROLE_NAMES
from queries.audit import Recorded
from queries.exports.reports import REPORTS

Subject = Mapping[str, str]
Names = Mapping[str, str]
_MOST_NAMED = 3
# What says most stands first; PostgreSQL keeps no order.
_FIRST = ("tenant", "tenants", "report", "month", "index", "subject", "page", "panel", "from", "to", "zone")
# As `auditing.tenants_named` writes them.
_MANY = re.compile(r"(.*?)(?: and ([0-9,]+) more)?", re.DOTALL)


def concerns(one: Recorded, known: Names) -> str:
    """One line: "Lumen Studio, page Tenant". `known` are names of tenants by their ids; others appear by the id."""
    parts = [words.one_line(part) for part in _parts(one.action, one.subject, known) if part]
    return ", ".join(parts) or ", ".join(f"{name} {value}" for name, value in in_full(one.subject, known) if value)


def in_full(subject: Subject, known: Names) -> list[tuple[str, str]]:
    """Everything that the record says, name by name."""
    return [(_label(name), _value(name, value, known)) for name, value in _ordered(subject)]


def as_written(subject: Subject) -> str:
    """ "tenant org_1, page burn", for files: names of tenants change, ids do not."""
    return ", ".join(f"{words.one_line(name)} {words.one_line(value)}" for name, value in _ordered(subject) if value)


def tenant_ids(subject: Subject) -> list[str]:
    """The ids that a record names its tenants by."""
    alone = [subject["tenant"]] if subject.get("tenant") else []
    return alone + _several(subject.get("tenants", ""))[0]


def role(name: str) -> str:
    """A role in the pages' words; a dash for somebody without one."""
    if not name:
        return "–"
    return next((title for known, title in ROLE_NAMES.items() if known == name), words.one_line(name))


def _ordered(subject: Subject) -> list[tuple[str, str]]:
    order = {name: place for place, name in enumerate(_FIRST)}
    return sorted(subject.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0]))


def _several(told: str) -> tuple[list[str], int]:
    """The ids, and how many more there were; none for all tenants."""
    match = _MANY.fullmatch(told)
    if match is None or told in ("", "all"):
        return [], 0
    return [one for one in match[1].split(", ") if one], int((match[2] or "0").replace(",", "") or 0)


def _tenants(subject: Subject, known: Names) -> str:
    told = subject.get("tenants", "")
    ids, more = _several(told)
    return "all tenants" if told == "all" else names.listed(ids, known, most=_MOST_NAMED, more=more)


def _days(subject: Subject) -> str:
    """The days or the month, with the zone that they are of."""
    try:
        if "month" in subject:
            said = f"{date.fromisoformat(subject['month'][:7] + '-01'):%B %Y}"
        elif "from" in subject:
            said = words.days(*(date.fromisoformat(subject[one]) for one in ("from", "to")))
        else:
            return ""
    except (ValueError, KeyError):
        return ""
    return f"{said} ({subject['zone']})" if subject.get("zone") else said


def _page(subject: Subject) -> str:
    title = next((one.title for one in places.PLACES if one.name == subject.get("page")), subject.get("page"))
    return f"page {title}" if title else ""


def _report(subject: Subject) -> str:
    report = REPORTS.get(subject.get("report", ""))
    return report.title if report is not None else subject.get("report", "")


def _roles(told: str) -> str:
    return ", ".join(role(one).lower() for one in told.split(", ") if one)


def _parts(action: str, subject: Subject, known: Names) -> list[str]:
    """What an action concerns, each part in words; none for an action that is not known."""
    match action:
        case auditing.SIGN_IN:
            return [f"as {_roles(subject['roles'])}"] if subject.get("roles") else []
        case auditing.REFUSED:
            return [subject.get("reason", "")]
        case auditing.TENANT_OPENED:
            tenant = subject.get("tenant", "")
            return [names.listed([tenant], known, most=1) if tenant else "", _page(subject)]
        case auditing.EXPORT:
            return [_report(subject), _days(subject), _tenants(subject, known), subject.get("format", "")]
        case auditing.DOWNLOAD:
            return [_panel(subject), _page(subject), _rows(subject), _days(subject), _tenants(subject, known)]
        case auditing.MONTH_CLOSED:
            return [_days(subject)]
        case auditing.INDEX_MADE | auditing.INDEX_DROPPED:
            return [subject.get("index", "")]
        case auditing.ACCESS_GIVEN | auditing.ACCESS_CHANGED | auditing.ACCESS_REMOVED:
            whose = _tenants(subject, known)
            given = _roles(subject.get("role", "")) + (f" for {whose}" if whose else "")
            return [subject.get("subject", ""), given, "with prompts" if subject.get("prompts") == "yes" else ""]
    return []


def _panel(subject: Subject) -> str:
    panel = subject.get("panel")
    return f"“{panel}”" if panel else "figures at the top"


def _rows(subject: Subject) -> str:
    rows = subject.get("rows", "")
    return words.counted(int(rows), "row") if re.fullmatch(r"[0-9]{1,9}", rows) else rows


def _label(name: str) -> str:
    return words.one_line(name).replace("_", " ").capitalize()


def _value(name: str, value: str, known: Names) -> str:
    """As it was written, with the names of tenants beside their ids."""
    if name not in ("tenant", "tenants"):
        return words.one_line(value) if value.strip() else ""
    ids, more = ([value], 0) if name == "tenant" else _several(value)
    said = ", ".join(f"{known[one]} ({one})" if known.get(one, one) != one else one for one in ids)
    return words.one_line(said + (f" and {more:,} more" if more else "")) if ids else words.one_line(value)
