"""Which column is which: named by the caller, else guessed from the header; every choice says why."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from demo.events.errors import UnusableColumns, UnusableOption

# Parts of an event in the order of choosing, each with the names by which it is known, the likeliest first; names are
# compared in lower case without separators, so that created_at, createdAt and "Created At" are one.
KNOWN_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "time": (
        *("createdat", "created", "gmtcreate", "gmtcreated", "createtime", "creationtime", "timestamp", "eventtime"),
        *("eventtimestamp", "occurredat", "requesttime", "requestedat", "submittedat", "submittime", "startedat"),
        *("starttime", "datetime", "time", "date", "ts"),
    ),
    "tenant": (
        *("tenantid", "tenant", "organizationid", "organisationid", "organization", "organisation", "orgid", "org"),
        *("companyid", "company", "accountid", "account", "customerid", "customer", "workspaceid", "workspace"),
        *("clientid", "client", "teamid", "team", "groupid", "group", "tenantname", "organizationname", "companyname"),
        *("customername", "accountname"),
    ),
    "user": (
        *("userid", "user", "username", "useremail", "email", "memberid", "member", "actorid", "actor", "createdby"),
    ),
    "type": (*("generationtype", "predicttype", "tasktype", "jobtype", "requesttype", "type", "kind", "task", "mode"),),
    "status": (
        *("generationstatus", "predictstatus", "taskstatus", "jobstatus", "requeststatus", "status", "state"),
        *("outcome", "result"),
    ),
    "model": (
        *("model", "modelid", "modelname", "modelversion", "modelversionid", "checkpoint", "checkpointid"),
        *("checkpointmodelversionid", "basemodel", "engine"),
    ),
    "credits": (
        *("creditsused", "creditscharged", "creditcost", "credits", "credit", "numimagesperprompt", "numimages"),
        *("imagecount", "images", "quantity", "units"),
    ),
    "duration": (
        *("duration", "exectime", "executiontime", "processingtime", "generationtime", "inferencetime", "runtime"),
        *("latency", "elapsed", "elapsedtime", "responsetime", "took"),
    ),
    "prompt": ("prompt", "prompttext", "inputprompt"),
    "error": ("error", "errormessage", "errormsg", "errortext", "failurereason"),
    "id": ("generationid", "eventid", "requestid", "taskid", "jobid", "uuid", "id"),
}
REQUIRED: Final = ("time", "tenant")
UNITS: Final = ("s", "ms")
WITHOUT: Final[dict[str, str]] = {
    "user": "no such column: one 'unknown user' per tenant",
    "type": "no such column: every event counts as TEXT_TO_IMAGE",
    "status": "no such column: every event counts as SUCCEEDED",
    "model": "no such column: every model is 'unknown'",
    "credits": "no such column: credits are unknown and count 0",
    "duration": "no such column: durations are unknown",
    "prompt": "no such column: prompts are empty",
    "error": "no such column: errors are empty",
    "id": "no such column: an event is known by the content of its row",
}
_UNIT_IN_NAME: Final = re.compile(r"^(.*?)(?:in)?(milliseconds|millis|msecs|msec|ms|seconds|secs|sec|s)$")
_UNIT_ALONE: Final = re.compile(r"(?:[^A-Za-z0-9]s|[a-z0-9]S)[^A-Za-z0-9]*$")
_LISTED_COLUMNS: Final = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """The column that is read as a part of an event (None: there is none) and why, in words."""

    part: str
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A choice per part in the order of `KNOWN_NAMES`, the header they are from, and the unit of the duration."""

    header: tuple[str, ...]
    choices: tuple[Choice, ...]
    duration_unit: str

    def position(self, part: str) -> int | None:
        """Position of the part's column in a row; None when there is none."""
        column = next(choice.column for choice in self.choices if choice.part == part)
        return None if column is None else self.header.index(column)

    def column(self, part: str) -> str:
        """Name of the part's column, the part's own name when there is none."""
        return next(choice.column or part for choice in self.choices if choice.part == part)


def chosen_columns(header: Sequence[str], named: Mapping[str, str | None], duration_unit: str | None = None) -> Columns:
    """Columns for each part: `named` maps parts to columns ("" for none of them; None or absent: guess).

    Raises UnusableColumns, listing the file's columns, or UnusableOption.
    """
    if duration_unit not in (None, *UNITS):
        raise UnusableOption(f"the duration's unit {duration_unit!r} is unknown; use s or ms")
    taken = {column for part, name in named.items() if name and (column := _named_column(header, part, name))}
    choices = []
    for part in KNOWN_NAMES:
        name = named.get(part)
        if name is None:
            choice = _guess(header, part, taken)
        elif name == "":
            choice = Choice(part, None, WITHOUT.get(part, "").replace("no such column", "left out as asked"))
        else:
            choice = Choice(part, _named_column(header, part, name), f"named by --{part}")
        if choice.column is None and part in REQUIRED:
            raise UnusableColumns(f"no column is known as the {part}; name it with --{part} ({_listed(header)})")
        taken.add(choice.column or "")
        choices.append(choice)
    return _with_unit(header, choices, duration_unit)


def _named_column(header: Sequence[str], part: str, name: str) -> str:
    matches = [column for column in header if column == name]
    matches = matches or [column for column in header if column.casefold() == name.strip().casefold()]
    if not matches:
        raise UnusableColumns(f"--{part} names the column {name!r}, which is not in the file ({_listed(header)})")
    if len(matches) > 1:
        raise UnusableColumns(f"the column {name!r} is {len(matches)} times in the file; rename all but one of them")
    return matches[0]


def _guess(header: Sequence[str], part: str, taken: set[str]) -> Choice:
    plain = [(column, plain_name(column)) for column in header if column not in taken and header.count(column) == 1]
    for known in KNOWN_NAMES[part]:
        for column, name in plain:
            if known in (name, _without_unit(name) if part == "duration" else name):
                return Choice(part, column, f"guessed from its name; --{part} names another")
    return Choice(part, None, WITHOUT.get(part, ""))


def _with_unit(header: Sequence[str], choices: Sequence[Choice], unit: str | None) -> Columns:
    duration = next(choice for choice in choices if choice.part == "duration")
    if duration.column is None:
        return Columns(tuple(header), tuple(choices), unit or "s")
    found = unit or unit_in_name(duration.column)
    if found is None:
        raise UnusableColumns(
            f"the name of the column {duration.column!r} does not tell its unit; add --duration-unit s or "
            '--duration-unit ms, or leave durations out with --duration ""'
        )
    source = "--duration-unit" if unit else "its name"
    words = {"s": "seconds", "ms": "milliseconds"}[found]
    described = Choice("duration", duration.column, f"{duration.reason}; in {words} by {source}")
    return Columns(tuple(header), tuple(described if c is duration else c for c in choices), found)


def unit_in_name(column: str) -> str | None:
    """`s` or `ms` when the column's name ends in it (exec_time_seconds, durationMs); None otherwise."""
    name = plain_name(column)
    match = _UNIT_IN_NAME.match(name)
    if match is None or (match[2] == "s" and not _UNIT_ALONE.search(column)):
        return None
    return "ms" if match[2].startswith("m") else "s"


def plain_name(column: str) -> str:
    """Letters and digits in lower case: created_at and createdAt are createdat."""
    return re.sub(r"[\W_]", "", column.casefold())


def _without_unit(name: str) -> str:
    match = _UNIT_IN_NAME.match(name)
    return match[1] if match else name


def _listed(header: Sequence[str]) -> str:
    more = f", and {len(header) - _LISTED_COLUMNS} more" if len(header) > _LISTED_COLUMNS else ""
    return "the file's columns: " + ", ".join(header[:_LISTED_COLUMNS]) + more
