"""The register of exports: who took what, when, with which rows and sums; and the same file once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import filters, words
from dashboard import viewer as viewers
from dashboard.board import Board
from dashboard.exporting import Earlier
from dashboard.exports.contents import named_tenants, standing
from dashboard.exports.getting import asker, begin, say, size
from dashboard.listing import page_number, pager
from dashboard.services import current
from dashboard.tables.cells import PAGE_ROWS, clicked_row, static_table, time_column
from dashboard.viewer import ROLE_NAMES, Viewer
from queries.errors import UsageDashboardError
from queries.export_register import Registered, RegisterPage
from queries.exports.reports import REPORTS, Order
from queries.query import Result, read_elsewhere

PAGER = "exports_page"
# Beyond its timeout a run has ended, whoever was to write that down.
_OVERDUE = timedelta(minutes=5)
_ENDINGS = {"done": "done", "failed": "failed", "left": "left before its end"}


@dataclass(slots=True)
class Past:
    """One page of the register, once its panel has asked for it."""

    board: Board
    page: RegisterPage | None = None

    def reading(self) -> Callable[[], Result]:
        return self._read

    def _read(self) -> Result:
        who = viewers.viewer()
        takes = [name for name in REPORTS if who.may_take(name)]
        asked: dict[str, Any] = {
            "reports": takes,
            # Whoever looks after some tenants sees what they took themselves: others' files are of other tenants.
            "asked_by": None if all(who.taking(name).scope.is_all for name in takes) else who.name,
            "limit": PAGE_ROWS,
            "offset": (page_number(PAGER) - 1) * PAGE_ROWS,
        }
        started = time.perf_counter()
        self.page = current().export_register.page(**asked)
        return read_elsewhere(
            "exports.register",
            _frame(self.page.rows, datetime.now(UTC)),
            as_of=datetime.now(UTC),
            spent_ms=(time.perf_counter() - started) * 1000,
            told="TABLE usage_dashboard.export",
            asked=asked,
        )

    def draw(self, result: Result) -> None:
        """The table and, below it, the chosen one in full."""
        assert self.page is not None, "the panel's answer has been read"
        if not self.page.total_rows:
            st.caption("Nothing has been exported yet. What is downloaded above is listed here, with its checksum.")
            return
        if not self.page.rows:
            st.caption(f"There is no page {page_number(PAGER):,} of the register.")
        else:
            row = clicked_row(
                result.frame,
                columns=_columns(self.board.zone),
                key=f"register-{page_number(PAGER)}",
                alt="Past exports with time, person, report, filters, rows, status, state and checksum",
            )
            if row is not None:
                _one(self.board, self.page.rows[row])
        pager(self.page.total_rows, "export", PAGER)


def state_of(one: Registered, now: datetime) -> str:
    """What became of it, in words. A process that was killed wrote nothing down."""
    if one.state != "running":
        return _ENDINGS[one.state]
    timeout = timedelta(seconds=current().settings.export_timeout_s)
    return "not finished" if now - one.asked_at > timeout + _OVERDUE else "under way"


def order_again(one: Registered, who: Viewer, now: datetime) -> Order:
    """The order for the same file, as this person may have it now. An error says what they may not."""
    kept = one.filters
    scope = who.scope if kept["tenants"] == "all" else who.scope.narrowed(kept["tenants"])
    return Order(
        report=one.report,
        scope=scope,
        zone=kept["zone"],
        first=_day(kept["from"]),
        last=_day(kept["to"]),
        now=now,
        format=one.format,  # type: ignore[arg-type]  # checked by the order
        dialect=kept.get("dialect") or "plain",
        guarded=kept["guarded"],
        with_prompts=who.reads_prompts_of(scope),
    )


def _one(board: Board, one: Registered) -> None:
    """One export: filters, sums, checksum, and the button."""
    zone = board.zone
    with st.container(border=True):
        st.subheader(words.plain(f"{_title(one)}, {_filters(one)}"), anchor=False)
        st.caption(words.plain(_told(one, zone)))
        if isinstance(ids := one.filters.get("tenants"), list):
            st.caption(words.plain(named_tenants(ids)))
        for difference in one.differences or ():
            st.error(words.plain(words.sentence(difference)), icon=":material/error:")
        if one.sha256:
            st.code(f"SHA-256 {one.sha256}", language=None)
        if one.sums:
            sums = pd.DataFrame({"column": list(one.sums), "sum": [words.exact(Decimal(v)) for v in one.sums.values()]})
            config = {"column": "Column", "sum": st.column_config.TextColumn("Sum", alignment="right")}
            static_table(sums, columns=config, key=f"sums-{one.id}", alt="Exact sums of the file")
        _fetch_again(board, one)


def _fetch_again(board: Board, one: Registered) -> None:
    try:
        order = order_again(one, asker(one.report), filters.utc_now())
        said = standing(order, board.zone)
    except UsageDashboardError as error:
        st.caption(words.plain(words.sentence(error.message)))
        return
    if said.startswith("Provisional"):
        said = "This was provisional: fetched again, it holds what is in the database then, and may differ."
    elif one.status != "closed" and one.state == "done":
        said = f"The month has been closed since, so the file may differ from this one. {said}"
    st.caption(words.plain(said))
    st.button("Fetch again", key=f"again-{one.id}", icon=":material/download:", on_click=_again, args=(one,))


def _again(one: Registered) -> None:
    """A callback: rights are read again."""
    try:
        who = asker(one.report)
        begin(order_again(one, who, filters.utc_now()), who, earlier=_earlier(one))
        st.toast("On its way: see The file, above.", icon=":material/download:")
    except UsageDashboardError as error:
        say(error)


def _earlier(one: Registered) -> Earlier | None:
    """What there is to compare with; None for a file that did not end."""
    if one.sha256 is None:
        return None
    return Earlier(one.asked_at, one.sha256, one.status or "", one.rows or 0, one.sums or {})


def _told(one: Registered, zone: str) -> str:
    parts = [f"Asked for by {one.asked_by} ({_role(one.role)}) on {words.moment(one.asked_at, zone)}"]
    parts += [f"as of {words.moment(one.as_of, zone)}"] if one.as_of else []
    parts += [words.counted(one.rows, "row")] if one.rows is not None else []
    parts += [size(one.bytes)] if one.bytes is not None else []
    parts += [state_of(one, datetime.now(UTC))]
    reason = f" {words.sentence(one.reason)}" if one.reason else ""
    return f"{', '.join(parts)}.{reason}"


def _role(role: str) -> str:
    return next((name.lower() for known, name in ROLE_NAMES.items() if known == role), role)


def _title(one: Registered) -> str:
    return REPORTS[one.report].title if one.report in REPORTS else one.report


def _filters(one: Registered) -> str:
    kept = one.filters
    first, last = _day(kept.get("from")), _day(kept.get("to"))
    of = kept.get("tenants")
    whose = "all tenants" if of == "all" else words.counted(len(of or ()), "tenant")
    when = f"{words.days(first, last)}, " if first is not None and last is not None else ""
    raw = "" if kept.get("guarded", True) else ", raw"
    return f"{when}{kept.get('zone')}, {whose}{raw}"


def _frame(rows: Sequence[Registered], now: datetime) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "report": [_title(one) for one in rows],
            "asked_at": pd.Series([one.asked_at for one in rows], dtype="datetime64[us, UTC]"),
            "asked_by": [words.one_line(one.asked_by) for one in rows],
            "filters": [_filters(one) for one in rows],
            "format": [one.format for one in rows],
            "rows": pd.Series([one.rows for one in rows], dtype="Int64"),
            "status": [one.status or "" for one in rows],
            "state": [_ended(one, now) for one in rows],
            "sha256": [one.sha256 or "" for one in rows],
        }
    )


def _ended(one: Registered, now: datetime) -> str:
    return f"{state_of(one, now)}, differs" if one.differences else state_of(one, now)


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "report": config.TextColumn("Report", pinned=True, width=112),
        "asked_at": time_column("When", zone, width=130),
        "asked_by": config.TextColumn("Who", width=112),
        "filters": config.TextColumn("Of", width=235),
        "format": config.TextColumn("File", width=58),
        "rows": config.NumberColumn("Rows", format="localized", width=72),
        "status": config.TextColumn("Month", width=84, help="Of a closed month the rows are frozen."),
        "state": config.TextColumn("Ended", width=112),
        "sha256": config.TextColumn("SHA-256", width=100, help="Of the file's bytes."),
    }


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
