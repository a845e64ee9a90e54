"""What the person has chosen: whose generations, what of them, by what, how fine, and which part. All in the URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from dashboard import account, address, filters, picker, words
from dashboard.account import arrival, sought
from dashboard.account.sought import Sought
from dashboard.board import Board, stop_with
from dashboard.timelines import zoom
from queries.errors import NotFoundError, UsageDashboardError
from queries.period import Period
from queries.scope import Scope

TENANT, MEASURE, SPLIT, LIVE = "tenant", "measure", "by", "live"
Measure = Literal["generations", "credits", "success", "latency"]
MEASURES: dict[str, Measure] = {
    "Generations": "generations",
    "Credits": "credits",
    "Success rate": "success",
    "Latency": "latency",
}
SPLITS = {
    "Nothing": "none",
    "Type": "type",
    "Status": "status",
    "Model": "model",
    "Tenant": "tenant",
    "User": "user",
}
# The series of a split, as parameters of a link to the generations behind them.
BEHIND = {"type": sought.TYPE, "status": sought.STATUS, "model": sought.MODEL, "user": sought.USER, "tenant": "of"}
OF_TENANT = BEHIND["tenant"]
_ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the page is about. `scope` is of one tenant or all of the viewer's; `split` is what can be split by."""

    board: Board
    scope: Scope
    name: str
    period: Period
    measure: Measure
    split: str
    live: bool
    sought: Sought
    notes: tuple[str, ...] = ()

    @property
    def is_one(self) -> bool:
        return bool(self.name)

    @property
    def subject(self) -> str:
        """ "This tenant" or "This database", to begin a sentence with."""
        return "This tenant" if self.is_one else "This database"

    @property
    def unit(self) -> str:
        return "credits" if self.measure == "credits" else "generations"

    @property
    def view_key(self) -> str:
        """What makes this view of the chart another one: its figure gets a key of its own."""
        period = self.period
        parts = (self.measure, self.split, period.grain, f"{period.start:%y%m%d%H%M}", f"{period.end:%y%m%d%H%M}")
        return "timeline-" + "-".join(parts)


def chosen(board: Board) -> Chosen:
    """Everything that is chosen, from the filter row, the bar and the URL."""
    whole = board.filter_row().period
    scope, name = _whose(board)
    wrong = address.complaints(
        {
            MEASURE: address.one_of("measure", list(MEASURES), "generations are shown"),
            SPLIT: address.one_of("split", list(SPLITS), "nothing is split"),
            filters.GRAIN: address.one_of("grain", filters.GRAIN_NAMES, "the finest that fits is shown"),
        }
    )
    with board.bar:
        grain = filters.grain_choice()
        measure = MEASURES[_of("Show", list(MEASURES), MEASURE)]
        split = SPLITS[_of("Split by", list(SPLITS), SPLIT)]
        live = st.toggle("Live", key=LIVE, bind="query-params", help="The last 60 minutes, every 10 seconds.")
    period, zoom_wrong = zoom.within(whole)
    period, too_fine = filters.by_grain(period, grain)
    split, no_split = _sensible(split, measure)
    address.show([*wrong, *(one for one in (zoom_wrong,) if one)])
    notes = tuple(one for one in (too_fine, no_split) if one)
    return Chosen(board, scope, name, period, measure, split, live, sought.from_address(period), notes)


def _of(title: str, options: list[str], key: str) -> str:
    found: str | None = st.selectbox(
        title,
        options,
        key=key,
        bind="query-params",
        persist_state="session",
        on_change=_changed,
        args=(key,),
        width=130,
    )
    return found or options[0]


def _changed(key: str) -> None:
    """A series of another split is no series any more."""
    address.forgive(key)
    if key == SPLIT:
        unselect()


def unselect() -> None:
    """Nothing is selected on the chart. A callback."""
    sought.forget()
    st.query_params.pop(OF_TENANT, None)


def _sensible(split: str, measure: Measure) -> tuple[str, str]:
    if split == "status" and measure in ("success", "latency"):
        name = "The success rate" if measure == "success" else "Latency, which is of successful generations,"
        return "none", f"{name} is not split by status; it is shown for all."
    return split, ""


def _whose(board: Board) -> tuple[Scope, str]:
    """The scope and name of the tenant in the URL, else all of the viewer's and no name. Unknown and not yours end the
    run in the same words."""
    asked = st.query_params.get(TENANT)
    if not asked:
        with board.bar:
            picker.tenant_search(board, "All tenants", key="whose", choose=_choose)
        return board.viewer.scope, ""
    try:
        scope, name = arrival.named(board, asked[:_ID_LENGTH])
    except NotFoundError:
        account.not_found(board)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    board.name(f"Timelines of {words.one_line(name)}")
    with board.bar:
        picker.tenant_search(board, words.plain(words.shortened(name, 24)), key="whose", choose=_choose)
        st.button("All tenants", on_click=_choose_all, icon=":material/close:", type="tertiary")
    return scope, name


def _choose(tenant_id: str) -> None:
    st.query_params[TENANT] = tenant_id
    unselect()


def _choose_all() -> None:
    st.query_params.pop(TENANT, None)
    unselect()
