"""The page of the audit: which records are asked for, all of it in the address, and the list of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import address, audit_words, listing, names, words
from dashboard.auditing import ACTIONS
from dashboard.board import Board
from dashboard.services import current
from dashboard.tables.cells import PAGE_ROWS, clicked_row, static_table, time_column
from queries.audit import AuditPage, Recorded, Wanted
from queries.context import Context
from queries.errors import MappingError
from queries.period import local_date
from queries.query import Result, read_elsewhere

WHO, ACTION, SUBJECT, PAGER = "who", "action", "concerns", "audit_page"
_LONGEST_SUBJECT = 160
EVERY_ACTION = "All actions"
NEEDS_DIRECT_URL = (
    "The audit is kept through DIRECT_URL, which is not set: what is done stands in the server's log alone. Set it, run"
    " python -m dashboard migrate, and start the dashboard again."
)
NEEDS_MIGRATE = "the audit is not set up in this database; run `python -m dashboard migrate` with DIRECT_URL"


def chosen(board: Board) -> Wanted:
    """Which records are asked for, from the filter row and the bar; ends the run where none are kept."""
    if current().audit is None:
        st.info(NEEDS_DIRECT_URL, icon=":material/info:")
        st.stop()
    period = board.filter_row().period
    wrong = address.complaints(
        {
            ACTION: address.one_of("action", [EVERY_ACTION, *ACTIONS.values()], "all actions are listed"),
            PAGER: listing.page_check,
        }
    )
    with board.bar:
        who = _part("Who", WHO, "Part of a name")
        titles = {EVERY_ACTION: "", **{title: name for name, title in ACTIONS.items()}}
        action = st.selectbox("What", list(titles), **_bound(ACTION), width=190)
        subject = _part("Concerns", SUBJECT, "A tenant's id, a report")
    address.show(wrong)
    # Up to the day's end: what was done a moment ago is in it.
    return Wanted(who=who, action=titles[action], subject=subject, start=period.start, end=period.end)


@dataclass(slots=True)
class Trail:
    """One page of the audit, once its panel has asked for it."""

    board: Board
    wanted: Wanted
    page: AuditPage | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def reading(self) -> Callable[[], Result]:
        """For the board: the records as an answer."""
        return self._read

    def draw(self, result: Result) -> None:
        """The list and, below it, the chosen record in full."""
        assert self.page is not None, "the panel's answer has been read"
        if not self.page.total_rows:
            st.caption(f"Nothing of this kind was done from {words.span(self.board.period)}.")
            return
        number = listing.page_number(PAGER)
        if not self.page.rows:
            st.caption(f"There is no page {number:,} of the audit.")
        else:
            row = clicked_row(
                _shown(result.frame, self.page.rows, self.names),
                columns=_columns(self.board.zone),
                key=f"audit-{number}",
                alt="What was done, with time, person, action, what it concerns and role",
            )
            if row is not None:
                _one(self.page.rows[row], self.names, self.board.zone)
        listing.pager(self.page.total_rows, "record", PAGER)

    def _read(self) -> Result:
        audit = current().audit
        assert audit is not None, "the page ends where there is none"
        offset = (listing.page_number(PAGER) - 1) * PAGE_ROWS
        started = time.perf_counter()
        try:
            self.page = audit.page(self.wanted, limit=PAGE_ROWS, offset=offset)
        except MappingError as error:
            raise MappingError(NEEDS_MIGRATE) from error
        who = self.board.viewer
        ids = {tenant for one in self.page.rows for tenant in audit_words.tenant_ids(one.subject)}
        self.names = names.of_tenants(ids, Context(who.scope, role=who.role, page=self.board.page))
        return read_elsewhere(
            "audit",
            _frame(self.page.rows),
            as_of=datetime.now(UTC),
            spent_ms=(time.perf_counter() - started) * 1000,
            told="TABLE usage_dashboard.audit",
            asked={"offset": offset, "limit": PAGE_ROWS},
        )


def _one(one: Recorded, known: Mapping[str, str], zone: str) -> None:
    """One record with all of its subject."""
    with st.container(border=True):
        when = f"{words.day(local_date(one.at, zone))}, {words.clock(one.at, zone)}"
        st.subheader(words.plain(f"{_title(one.action)}, {when}"), anchor=False)
        st.caption(words.plain(f"{one.who} ({audit_words.role(one.role)})" if one.role else one.who))
        if one.subject:
            told = [(name, value or None) for name, value in audit_words.in_full(one.subject, known)]
            pairs = pd.DataFrame(told, columns=["name", "value"])
            columns = {"name": st.column_config.TextColumn("Concerns", width=130), "value": "Value"}
            static_table(pairs, columns=columns, key="audit-subject", alt="What the record concerns, name by name")


def _shown(frame: pd.DataFrame, rows: Sequence[Recorded], known: Mapping[str, str]) -> pd.DataFrame:
    """When, who and what first: a telephone shows no more."""
    said = (audit_words.concerns(one, known) for one in rows)
    told = pd.Series([words.shortened(one, _LONGEST_SUBJECT) if one else None for one in said], dtype=object)
    return frame.assign(subject=told)[["at", "who", "action", "subject", "role"]]


def _frame(rows: Sequence[Recorded]) -> pd.DataFrame:
    """For the file: as it was written."""
    return pd.DataFrame(
        {
            "at": pd.Series([one.at for one in rows], dtype="datetime64[us, UTC]"),
            "who": [words.one_line(one.who) for one in rows],
            "role": [audit_words.role(one.role) for one in rows],
            "action": [_title(one.action) for one in rows],
            "subject": [audit_words.as_written(one.subject) for one in rows],
        }
    )


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "at": time_column("When", zone, pinned=True, width=112),
        "who": config.TextColumn("Who", width=120),
        "action": config.TextColumn("What", width=165),
        "subject": config.TextColumn("Concerns", width=505),
        "role": config.TextColumn("Role", width=110),
    }


def _title(action: str) -> str:
    return ACTIONS.get(action, words.one_line(action))


def _part(label: str, key: str, placeholder: str) -> str:
    typed = st.text_input(
        label, **_bound(key), placeholder=placeholder, icon=":material/search:", max_chars=100, width=170
    )
    return (typed or "").replace("\x00", "").strip()


def _bound(key: str) -> dict[str, Any]:
    bound = {"key": key, "bind": "query-params", "persist_state": "session"}
    return {**bound, "on_change": _changed, "args": (key,)}


def _changed(key: str) -> None:
    """A callback."""
    address.forgive(key)
    listing.first_page(PAGER)
