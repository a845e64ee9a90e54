"""One run of one page: who looks, what was filtered, which answers are awaited, and the panels that show them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import streamlit as st

from dashboard import auditing, entrance, filters, panels, places, words
from dashboard import viewer as viewers
from dashboard.downloads import Downloads
from dashboard.filters import Filters
from dashboard.services import current
from dashboard.viewer import SessionReader, Viewer, Visit
from queries.catalog import usage
from queries.errors import DatabaseUnavailableError, UsageDashboardError
from queries.performance.plans import Plan
from queries.period import Period
from queries.query import Query, Result
from queries.runner import Answers, Context
from queries.scope import Scope

log = logging.getLogger(__name__)

# The line that the query log names is that of the page, or of the part of a page, that called.
ASKS_FOR_ITS_CALLER = True

# Between looks at which answers have come.
_LOOK_S = 0.005
# Title, freshness line and padding around what a panel shows.
_PANEL_EXTRA_PX = 122


@dataclass(slots=True)
class Board:
    """A page run. `open_board` makes one and is the page's guard."""

    page: str
    viewer: Viewer
    visit: Visit
    reader: SessionReader
    title_place: Any
    corner: Any
    bar: Any
    notice: Any
    filters: Filters | None = None
    _answers: dict[str, Answers | _Readings] = field(default_factory=dict)
    _follow_ups: dict[str, tuple[str, Callable[[], Query]]] = field(default_factory=dict)
    _slots: list[_Slot] = field(default_factory=list)
    _afterwards: list[Callable[[], None]] = field(default_factory=list)
    _seen: dict[str, Result] = field(default_factory=dict)
    _asked: dict[str, Query] = field(default_factory=dict)
    _refreshed: set[str] = field(default_factory=set)
    _is_unavailable: bool = False
    _kept_in_place_of: DatabaseUnavailableError | None = None
    _waking_said_s: int = 0

    @property
    def zone(self) -> str:
        return self.filters.period.zone if self.filters is not None else current().settings.reporting_zone

    @property
    def period(self) -> Period:
        assert self.filters is not None, "the filter row comes first"
        return self.filters.period

    def filter_row(self) -> Filters:
        """The shared filters; a period that cannot be answered is said on the page, and the run ends."""
        default_zone = current().settings.reporting_zone
        try:
            self.filters = filters.row(default_zone, self.page, self.bar)
        except UsageDashboardError as error:
            panels.failure(error, key="filters")
            st.button(
                f"Show the {filters.DEFAULT_PRESET.lower()}",
                on_click=filters.choose_default,
                args=(default_zone,),
                type="primary",
            )
            st.stop()
        return self.filters

    def name(self, title: str) -> None:
        """The page's title once it is known; text from the database."""
        self.title_place.title(words.plain(words.shortened(title, 60)), anchor=False)

    def ask(self, queries: Mapping[str, Query], *, scope: Scope | None = None) -> None:
        """Start these queries side by side. The audit hears of each tenant that is looked at by itself."""
        self._asked |= queries
        self._tell_opened(queries.values())
        again = {name: one for name, one in queries.items() if one.key in self._refreshed}
        for part, refresh in ((again, False), ({name: queries[name] for name in queries if name not in again}, None)):
            if part:
                context = self._context(scope, refresh=refresh)
                self._answers |= dict.fromkeys(part, current().runner.run_all(part, context))

    def _tell_opened(self, queries: Iterable[Query]) -> None:
        who, opened = self.viewer, self.visit.tenants_opened
        alone = {next(iter(one.scope.ids)) for one in queries if one.scope.ids is not None and len(one.scope.ids) == 1}
        for tenant_id in sorted(alone):
            if (who.name, who.role, tenant_id) not in opened:
                opened.add((who.name, who.role, tenant_id))
                subject = {"tenant": tenant_id, "page": self.page}
                auditing.record(current().audit, who.name, who.role, auditing.TENANT_OPENED, subject)

    def ask_after(self, needed: str, name: str, query: Callable[[], Query]) -> None:
        """Ask what only an answer can tell to ask, as soon as that one is there; panels without it do not wait."""
        self._follow_ups[name] = (needed, query)

    def look_up(self, readings: Mapping[str, Callable[[], Result]]) -> None:
        """What is no question of the catalog, such as the query log: read when its panel is drawn, and not recorded."""
        self._answers |= dict.fromkeys(readings, _Readings(readings))

    def answer(self, name: str) -> Result:
        """One answer; waits for it. Its own error is raised."""
        if name in self._follow_ups:
            self._follow_up(name)
        answers, asked = self._answers[name], self._asked.get(name)
        if asked is not None:
            result = self._or_kept(asked, lambda: answers[name])
        else:
            try:
                result = answers[name]
            except DatabaseUnavailableError:
                self._is_unavailable = True
                raise
        self._seen[name] = result
        return result

    def run(self, query: Query) -> Result:
        """One more question, outside the page's set."""
        context = self._context(None, refresh=False if query.key in self._refreshed else None)
        return self._or_kept(query, lambda: current().runner.run(query, context))

    def _or_kept(self, query: Query, read: Callable[[], Result]) -> Result:
        """The answer; after Refresh, the one that the cache keeps rather than none while the database is away."""
        try:
            result = read()
            # What this run has read anew is not read once more.
            self._refreshed.add(query.key)
            return result
        except DatabaseUnavailableError as error:
            self._is_unavailable = True
            if not self._refresh:
                raise
            kept = replace(self._context(query.scope), refresh=False)
            try:
                result = current().runner.run(query, kept)
            except UsageDashboardError:
                raise error from None
            self._kept_in_place_of = error
            return result

    def plan(self, query: Query) -> Plan:
        """PostgreSQL's plan for one of the page's questions."""
        return current().runner.explain(query, self._context(None))

    def panel(
        self, title: str, names: Sequence[str], draw: Callable[..., None], *, height: int, place: Any = None
    ) -> None:
        """Hold the place of a panel that `fill` will draw from these answers. Panels that are given a column of a row
        are as high as the highest of them, so that all end together."""
        is_first = self.page not in self.visit.pages_drawn
        box = _Box(border=bool(title), height="stretch" if place is not None else "content")
        with place if place is not None else nullcontext():
            # On later runs the old figures stay, dimmed, until the new ones are there.
            slot = st.skeleton(height + _PANEL_EXTRA_PX) if is_first else box.within(st)
        self._slots.append(_Slot(title, tuple(names), draw, slot, box if is_first else None))

    def afterwards(self, draw: Callable[[], None]) -> None:
        """Draw this when the panels are there: what nobody waits for."""
        self._afterwards.append(draw)

    def fill(self) -> None:
        """Draw the panels, each as soon as its answers are there, in order where several are; a failing one hides no
        other."""
        waiting = list(enumerate(self._slots))
        while waiting:
            number, slot = self._next(waiting)
            waiting.remove((number, slot))
            self._fill_slot(slot, f"{self.page}-{number}")
        for draw in self._afterwards:
            draw()
        if self._waking_said_s:
            self.notice.empty()
        self.visit.pages_drawn.add(self.page)
        if self._seen:
            results = list(self._seen.values())
            self.corner.caption(words.plain(panels.freshness(results, self.zone, datetime.now(UTC))))
        if self._is_unavailable:
            with self.notice.container(gap="xsmall"):
                if self._kept_in_place_of is not None:
                    panels.kept(self._kept_in_place_of)
                panels.heal(self.visit.run_id)
            return
        panels.renew(self.visit.run_id, [one for one in self._seen.values() if one.outcome == "stale"])

    @property
    def _refresh(self) -> bool:
        return self.filters is not None and self.filters.refresh

    def _next(self, waiting: Sequence[tuple[int, _Slot]]) -> tuple[int, _Slot]:
        """The first of these panels that need not wait; meanwhile what follows from an answer is asked."""
        while True:
            for name in [name for name, (needed, _) in self._follow_ups.items() if self._is_there(needed)]:
                self._follow_up(name)
            ready = next((one for one in waiting if all(map(self._is_there, one[1].names))), None)
            if ready is not None:
                return ready
            if self.reader.gone():
                return waiting[0]  # which ends the run
            self._tell_waking()
            time.sleep(_LOOK_S)

    def _tell_waking(self) -> None:
        """Say what the page waits for while the database is being woken, and for how long; take it back afterwards."""
        since_s = current().database.waking.since_s or 0.0
        told_s = int(since_s) if since_s >= panels.WAKING_AFTER_S else 0
        if told_s == self._waking_said_s:
            return
        self._waking_said_s = told_s
        if not told_s:
            self.notice.empty()
            return
        with self.notice:
            panels.waking(told_s)

    def _is_there(self, name: str) -> bool:
        return name not in self._follow_ups and self._answers[name].is_there(name)

    def _follow_up(self, name: str) -> None:
        _, query = self._follow_ups.pop(name)
        self.ask({name: query()})

    def _fill_slot(self, slot: _Slot, key: str) -> None:
        try:
            results = [self.answer(name) for name in slot.names]
            error = None
        except UsageDashboardError as raised:
            results, error = [], raised
        with slot.place if slot.box is None else slot.box.within(slot.place):
            with st.container():
                if slot.title:
                    st.header(words.plain(slot.title), anchor=False)
                if error is not None:
                    panels.failure(error, key=key)
                    return
                try:
                    slot.draw(*results)
                except UsageDashboardError as raised:
                    panels.failure(raised, key=key)
                except Exception as unexpected:  # noqa: BLE001 - a defect in one panel must not hide the others
                    panels.failure(_logged(unexpected, self.page, slot.names), key=key)
            period = self.filters.period if self.filters is not None else None
            panels.footer(
                results,
                self.zone,
                key,
                explain=self.plan if self._are_questions(slot.names) and self.viewer.may_read_plans else None,
                downloads=Downloads(self.viewer, self.zone, self.page, slot.title, period),
            )

    def _are_questions(self, names: Sequence[str]) -> bool:
        return all(name in self._asked for name in names)

    def _context(self, scope: Scope | None, *, refresh: bool | None = None) -> Context:
        return Context(
            scope=scope if scope is not None else self.viewer.scope,
            role=self.viewer.role,
            page=self.page,
            run_id=self.visit.run_id,
            reader=self.reader,
            refresh=self._refresh if refresh is None else refresh,
            meanwhile=self._tell_waking,
        )


class _Readings(Mapping[str, Result]):
    """Answers that are read one after the other, each once and when it is wanted."""

    def __init__(self, readings: Mapping[str, Callable[[], Result]]) -> None:
        self._readings = readings
        self._results: dict[str, Result] = {}

    def __getitem__(self, name: str) -> Result:
        if name not in self._results:
            self._results[name] = self._readings[name]()
        return self._results[name]

    def is_there(self, name: str) -> bool:  # noqa: ARG002 - as Answers has it
        """Each is read when its panel's turn comes."""
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._readings)

    def __len__(self) -> int:
        return len(self._readings)


@dataclass(frozen=True, slots=True)
class _Box:
    """What a panel is drawn in. Whatever stands in the panels of a row, their footers stand on one line."""

    border: bool
    height: Literal["stretch", "content"]

    def within(self, place: Any) -> Any:
        return place.container(border=self.border, height=self.height, vertical_alignment="distribute")


@dataclass(frozen=True, slots=True)
class _Slot:
    title: str
    names: tuple[str, ...]
    draw: Callable[..., None]
    place: Any
    box: _Box | None


def open_board(page: str, title: str, question: str) -> Board:
    """The guard of every page, and its header. Ends the run when the viewer may not open the page."""
    entrance.admit()
    visit, reader = viewers.begin_run()
    place = places.place(page)
    if not places.may_open(page):
        try:
            panels.no_permission(viewers.role_names(), place.title)
        except UsageDashboardError as error:
            stop_with(error, visit)
        st.stop()
    title_place, corner = header(title, question)
    try:
        who = viewers.viewer().at(page)
    except UsageDashboardError as error:
        stop_with(error, visit)
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    return Board(page, who, visit, reader, title_place, corner, bar, notice=st.empty())


def header(title: str, question: str) -> tuple[Any, Any]:
    """Title and question; returns the places of the title and, at the right, of the freshness."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", gap="small"):
        with st.container(width="stretch", gap=None):
            title_place = st.empty()
            title_place.title(words.plain(title), anchor=False)
            st.caption(question)
        return title_place, st.container(width="content")


def stop_with(error: UsageDashboardError, visit: Visit) -> None:
    """Nothing of the page can be shown: say why, heal when the database is only away, and end the run."""
    panels.failure(error, key="page")
    if isinstance(error, DatabaseUnavailableError):
        panels.heal(visit.run_id)
    st.stop()


def offer_newest(board: Board, scope: Scope, subject: str) -> None:
    """The empty state: says which period is empty and offers the newest one with rows."""
    period = board.period
    newest = words.utc(words.first_row(board.run(usage.newest(scope)).frame).get("newest_at"))
    fact = f"No generations from {words.span(period)}."
    if newest is None:
        st.info(f"{fact} {subject} has no generations yet.", icon=":material/hourglass_empty:")
        return
    last = filters.local_day(newest, period.zone)
    st.info(f"{fact} The newest is from {words.day(last)}.", icon=":material/hourglass_empty:")
    st.button(
        f"Show the 28 days to {words.day(last)}", on_click=filters.choose_days_until, args=(last,), type="primary"
    )


def _logged(unexpected: Exception, page: str, names: Sequence[str]) -> UsageDashboardError:
    error = UsageDashboardError("this panel could not be drawn; the log has the details under the reference")
    log.error("page %s: the panel of %s failed, reference %s", page, names, error.reference, exc_info=unexpected)
    return error
