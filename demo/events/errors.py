"""Why a file of events was not loaded; nothing of it was written when one of these is raised.

EventsError
├── UnusableFile       not there, not readable, empty, or neither CSV nor Parquet
├── UnusableColumns    a column that is needed or named is not in the file, or two claim to be it
├── UnusableOption     a zone, unit or dataset name that is not accepted
├── NothingToLoad      no row of the file is an event
└── BadRows            rows were refused and the caller asked for none to be
"""

# ruff: noqa: N818  -- the names state the fact, as in demo.errors

from demo.errors import DemoError


class EventsError(DemoError):
    """Base of all refusals of a file of events; a lower-case fact, then the fix."""


class UnusableFile(EventsError):
    """The file cannot be read as CSV or Parquet."""


class UnusableColumns(EventsError):
    """The columns of the file do not tell which is which."""


class UnusableOption(EventsError):
    """An option has a value that is not accepted."""


class NothingToLoad(EventsError):
    """Every row was refused, or there was none."""


class BadRows(EventsError):
    """There are bad rows and `strict` was asked for."""
