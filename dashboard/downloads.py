"""What a panel shows, as a CSV file: made when somebody clicks, exact to the last digit, and safe to open."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard import auditing
from dashboard.services import current
from dashboard.viewer import Viewer, while_permitted
from queries.exports.guarding import guarded
from queries.period import Period, local_date, zone_info
from queries.query import Query, Result
from queries.scope import Scope

# Streamlit's address of a file above 1 MiB is made from a sample of it: two such files may share one address.
LARGEST_BYTES = 2**20
TOO_LARGE = "More than 1 MiB as a file, which is too much for this button; choose a shorter period."
# Left out for roles that may not read prompts; pictures show what a prompt said.
PROMPT_COLUMNS = ("prompt", "image_url")
# For the pager.
_NOT_DRAWN = ("total_rows", "total_users")
LIST_SEPARATOR = "|"
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
# A decimal of 38 digits with sign and point, or a time with microseconds and offset; and quotes, guard and comma.
_LONGEST_VALUE, _AROUND_BYTES = 40, 4


@dataclass(frozen=True, slots=True)
class Downloads:
    """What a panel's files are named by, and who takes them along."""

    viewer: Viewer
    zone: str
    page: str
    panel: str
    period: Period | None = None

    def offer(self, result: Result, *, key: str, label: str = ":material/download: CSV") -> None:
        """A button with a file of one answer's rows. Nothing is made until somebody clicks."""
        frame = result.frame[columns_for(result.frame, self.viewer, result.query.scope)]
        fits = largest_size(frame) <= LARGEST_BYTES
        st.download_button(
            label,
            data=while_permitted(self.viewer, self.page, partial(self._taken, frame, result.query)),
            file_name=file_name(self.page, self.panel or result.query.name, self.period),
            mime="text/csv",
            key=f"download-{key}",
            help=None if fits else TOO_LARGE,
            disabled=not fits,
            on_click="ignore",
            type="tertiary",
        )

    def _taken(self, frame: pd.DataFrame, query: Query) -> bytes:
        """The file, of which the audit hears: somebody has clicked. In a thread of the server's, without a session."""
        subject = {
            "page": self.page,
            "panel": self.panel,
            "question": query.name,
            "tenants": auditing.tenants_named(query.scope.ids),
            "rows": str(len(frame)),
        }
        if self.period is not None:
            subject |= {"from": str(self.period.first_date), "to": str(_last_date(self.period)), "zone": self.zone}
        who = self.viewer
        auditing.record(current().audit, who.name, who.role, auditing.DOWNLOAD, subject)
        return csv_bytes(frame, self.zone)


def columns_for(frame: pd.DataFrame, viewer: Viewer, scope: Scope) -> list[str]:
    """The columns of these tenants' rows that this viewer may take along; pictures themselves are no text."""
    hidden = _NOT_DRAWN if viewer.reads_prompts_of(scope) else (*_NOT_DRAWN, *PROMPT_COLUMNS)
    return [str(name) for name, kind in frame.dtypes.items() if name not in hidden and not _is_binary(kind)]


def _is_binary(kind: Any) -> bool:
    arrow = getattr(kind, "pyarrow_dtype", None)
    return arrow is not None and (pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow))


def csv_bytes(frame: pd.DataFrame, zone: str) -> bytes:
    """UTF-8 with a byte order mark and CRLF, as spreadsheets like it. A missing value is an empty cell."""
    file = io.StringIO(newline="")
    file.write(_BOM)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([guarded(str(name)) for name in frame.columns])
    columns = _columns(frame)
    writer.writerows(zip(*([cell(value, zone) for value in column.to_pylist()] for column in columns), strict=True))
    return file.getvalue().encode()


def cell(value: Any, zone: str) -> str:
    """One value as text: plain digits, ISO times in the reporting zone with their offset, lists joined."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return (value.astimezone(zone_info(zone)) if value.tzinfo is not None else value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return guarded(LIST_SEPARATOR.join(cell(one, zone) for one in value) if isinstance(value, list) else str(value))


def file_name(page: str, panel: str, period: Period | None) -> str:
    """tenant-credits-burned-per-day-2026-05-19-to-2026-06-15.csv."""
    named = (page, panel) if period is None else (page, panel, f"{period.first_date} to {_last_date(period)}")
    slugs = (re.sub(r"[^a-z0-9]+", "-", one.lower()).strip("-") for one in named)
    return "-".join(one for one in slugs if one) + ".csv"


def largest_size(frame: pd.DataFrame) -> int:
    """No fewer bytes than the frame's file has, told from types and lengths without making it."""
    header = sum(2 * len(str(name).encode()) + _AROUND_BYTES for name in frame.columns)
    rows = sum(_largest_column(column) for column in _columns(frame))
    return len(_BOM.encode()) + header + rows + 2 * (len(frame) + 1)


def _largest_column(array: pa.ChunkedArray | pa.Array) -> int:
    kind, rows = array.type, len(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _largest_column(array.combine_chunks().flatten()) + rows * _AROUND_BYTES
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return 2 * int(array.nbytes) + rows * _AROUND_BYTES  # a quote in a text is doubled
    return rows * (_LONGEST_VALUE + _AROUND_BYTES)


def _columns(frame: pd.DataFrame) -> list[pa.ChunkedArray]:
    """The columns as Arrow has them. A whole table would also describe the frame to pandas, for each panel anew: that
    took a third of a page's run."""
    arrays = (pa.array(column.array) for _, column in frame.items())
    return [one if isinstance(one, pa.ChunkedArray) else pa.chunked_array([one]) for one in arrays]


def _last_date(period: Period) -> date:
    return max(period.first_date, min(period.last_date, local_date(period.now, period.zone)))
