"""Everything that can go wrong, in words a person can act on.

UsageDashboardError
├── SettingsError            a setting has a value that is not accepted; stops the start
├── EmbeddedServerError      the embedded PostgreSQL cannot be started
├── PeriodError              from after to, out of range, or too many buckets
├── ArgumentError            an argument of a question that is not accepted: a sort, a split, a limit, a search
├── NotFoundError            unknown, or outside what the viewer may see: never told apart
├── UnscopedStatementError   a statement reads a tenant-keyed table without its tenant predicate
├── MappingError             a mapped table or column is not in the database
├── ConnectError             a database cannot be mapped without an answer that only a person has
├── UnreadableFrameError     bytes from a cache are not a frame of ours
├── ReaderGoneError          nobody waits for the answer any more
├── WebhookError             a webhook did not take what was posted
└── DatabaseError            PostgreSQL did not give the answer
    ├── DatabaseUnavailableError   unreachable, restarting, or out of connections
    │   ├── DatabaseWakingError        it sleeps or starts, and did not come up in the time that it was given
    │   └── DatabaseRefusedError       it lets nobody in: role, password, certificate, version
    ├── StatementTimeoutError      ran longer than the statement timeout
    ├── TooManyRowsError           more rows than the row limit
    └── PermissionDeniedError      the reader role may not read this

`translated` is the one place where driver errors become these.
"""

from __future__ import annotations

import copy
import secrets
from typing import Self

import psycopg
import sqlalchemy.exc

from queries.connection_errors import UNKNOWN, Kind, trouble_of


class UsageDashboardError(Exception):
    """A lower-case fact, then the fix. `reference` is printed on the page and in the log."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.reference = secrets.token_hex(4)

    def again(self) -> Self:
        """The same error, with its reference, to raise once more or to keep: without the traceback, whose frames hold
        on to all that was at hand where it was raised."""
        return copy.copy(self)


class SettingsError(UsageDashboardError):
    """A setting has a value that is not accepted."""


class EmbeddedServerError(UsageDashboardError):
    """The embedded PostgreSQL cannot be started."""


class PeriodError(UsageDashboardError):
    """A period that cannot be answered."""


class ArgumentError(UsageDashboardError):
    """An argument of a question that is not accepted: a sort, a split, a limit, a search."""


class NotFoundError(UsageDashboardError):
    """Unknown, or outside the viewer's scope; the two are never told apart."""


class UnscopedStatementError(UsageDashboardError):
    """A statement reads a tenant-keyed table without its tenant predicate."""


class MappingError(UsageDashboardError):
    """A mapped table or column is not in the database."""


class ConnectError(UsageDashboardError):
    """A database cannot be mapped: nothing is there, or only a person can say what is what."""


class ReaderGoneError(UsageDashboardError):
    """Nobody waits for the answer any more."""


class WebhookError(UsageDashboardError):
    """A webhook did not take what was posted."""


class UnreadableFrameError(UsageDashboardError):
    """Bytes from a cache are not a frame that we wrote."""


class DatabaseError(UsageDashboardError):
    """PostgreSQL did not give the answer."""


class DatabaseUnavailableError(DatabaseError):
    """Unreachable, asleep, restarting, or out of connections. Asking again later may work."""


class DatabaseWakingError(DatabaseUnavailableError):
    """It sleeps, starts or recovers, and did not come up in the time that it was given."""


class DatabaseRefusedError(DatabaseUnavailableError):
    """It lets nobody in as asked. Asking again works once somebody has changed the address or the server."""


class StatementTimeoutError(DatabaseError):
    """The statement ran longer than the statement timeout."""


class TooManyRowsError(DatabaseError):
    """The statement returned more rows than the row limit."""


class PermissionDeniedError(DatabaseError):
    """The reader role may not read this, or the role of DIRECT_URL may not do it."""


# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE = ("08", "53", "57P")
_REFUSED = ("28P01", "28000", "3D000")
_READER_MAY_NOT = (
    "the reader role may not read this ({}); run `python -m dashboard migrate` with DIRECT_URL, or grant SELECT to it"
)
_OWNER_MAY_NOT = (
    "the role of DIRECT_URL may not do this ({}); run what `python -m dashboard grant-sql` prints for the present"
    " mapping file, as docs/connect.md says, and then this again"
)
_CONNECTING: dict[Kind, type[DatabaseUnavailableError]] = {
    "refused": DatabaseRefusedError,
    "waking": DatabaseWakingError,
    "away": DatabaseUnavailableError,
}
_MISSING = {"42P01": "table", "42703": "column", "3F000": "schema", "42704": "type"}


def translated(error: BaseException, *, timeout_s: float | None = None, is_owner: bool = False) -> UsageDashboardError:
    """The dashboard's own error for a driver's or SQLAlchemy's; the message holds no secret and no row. `is_owner`: it
    befell the role of DIRECT_URL, and not the one that pages read as."""
    if isinstance(error, UsageDashboardError):
        return error
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return DatabaseUnavailableError("every database connection is busy; try again in a moment, or raise POOL_SIZE")
    original = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None else error
    state = getattr(original, "sqlstate", None) or ""
    if state == "42501":
        return PermissionDeniedError((_OWNER_MAY_NOT if is_owner else _READER_MAY_NOT).format(_first_line(original)))
    return _by_state(original, state, timeout_s)


def _by_state(original: BaseException, state: str, timeout_s: float | None) -> UsageDashboardError:
    if state == "57014":
        return _cancelled(timeout_s)
    if state in _MISSING:
        return MappingError(
            f"{_first_line(original)}; name the {_MISSING[state]} that takes its place in the mapping file"
            " (MAPPING_FILE), or run `python -m dashboard migrate`"
        )
    if state == "42883" and "usage_dashboard." in _first_line(original):
        return MappingError(
            f"{_first_line(original)}: the schema usage_dashboard is older than this program; run"
            " `python -m dashboard migrate`"
        )
    if not state or state.startswith(_UNAVAILABLE) or state in _REFUSED:
        trouble = trouble_of(str(original))
        is_connecting = isinstance(original, psycopg.OperationalError | psycopg.InterfaceError | OSError)
        # An option that libpq does not know is a ProgrammingError.
        if is_connecting or (isinstance(original, psycopg.ProgrammingError) and trouble is not UNKNOWN):
            return _CONNECTING[trouble.kind](trouble.sentence)
        return DatabaseError(f"the database gave no answer ({type(original).__name__}); see the log")
    # Of a value that does not fit, or that breaks a constraint, PostgreSQL's sentence quotes the value.
    said = type(original).__name__ if state.startswith(("22", "23")) else _first_line(original)
    return DatabaseError(f"the database refused the statement (SQLSTATE {state}): {said}")


def _cancelled(timeout_s: float | None) -> UsageDashboardError:
    limit = f" after {timeout_s:g} s" if timeout_s else ""
    return StatementTimeoutError(
        f"the statement was stopped{limit}; choose a shorter period or fewer tenants, or raise STATEMENT_TIMEOUT_S"
    )


def _first_line(error: BaseException) -> str:
    diagnostic = getattr(error, "diag", None)
    primary = getattr(diagnostic, "message_primary", None) if diagnostic is not None else None
    return str(primary) if primary else type(error).__name__
