"""Which generations a link asks for: those behind a bar, of one status, type, model or user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from dashboard import listing, words
from queries.errors import PeriodError
from queries.period import EARLIEST, LATEST, Period, local_midnight, zone_info

FROM, TO, STATUS, TYPE, MODEL, USER = "gfrom", "gto", "status", "type", "model", "user"
ONE = "generation"
NAMES = (FROM, TO, STATUS, TYPE, MODEL, USER, ONE)
GENERATIONS_PAGE = "generations_page"
_WORDS = {STATUS: "Status", TYPE: "Type", MODEL: "Model", USER: "User", ONE: "Generation"}
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """The period and what else the generations are narrowed to; `wrong` is what the link has that cannot be read."""

    period: Period
    only: tuple[tuple[str, str], ...]
    chips: tuple[tuple[str, tuple[str, ...]], ...]
    wrong: str = ""

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `generations.latest`."""
        as_argument = {
            STATUS: "status",
            TYPE: "generation_type",
            MODEL: "model",
            USER: "user_id",
            ONE: "generation_id",
        }
        return {"period": self.period, **{as_argument[name]: value for name, value in self.only}}

    @property
    def in_words(self) -> str:
        """ "from 7 May 2026, 14:00 to ..., status failed"; empty when nothing is narrowed."""
        return ", ".join(label for label, _ in self.chips)


def from_address(period: Period) -> Sought:
    """What the URL asks for, within the page's zone; without its own times, the page's period."""
    asked = {name: value[:_LONGEST] for name in NAMES if (value := st.query_params.get(name))}
    narrowed, wrong = _narrowed(period, asked.get(FROM), asked.get(TO))
    is_narrowed = narrowed != period
    if ONE in asked and not is_narrowed:
        narrowed = _any_time(period)  # it is one, whenever it was made
    only = tuple((name, asked[name]) for name in _WORDS if name in asked)
    chips: list[tuple[str, tuple[str, ...]]] = []
    if is_narrowed:
        chips.append((_times(narrowed), (FROM, TO)))
    chips += [(f"{_WORDS[name]}: {_shown(name, value)}", (name,)) for name, value in only]
    return Sought(narrowed, only, tuple(chips), wrong)


def parameters(period_start: datetime | None = None, period_end: datetime | None = None, **only: str) -> dict[str, str]:
    """The URL parameters of a link to these generations: the half-open time, and `status`, `type`, `model`, `user`."""
    times = {FROM: period_start, TO: period_end}
    return {name: _iso(one) for name, one in times.items() if one is not None} | only


def chips(sought: Sought, drop: Callable[..., None] | None = None) -> None:
    """What is narrowed, each with the way out of it."""
    if sought.wrong:
        st.info(words.plain(sought.wrong), icon=":material/link_off:")
    for label, names in sought.chips:
        st.button(
            words.plain(label),
            key=f"without-{names[0]}",
            icon=":material/close:",
            on_click=drop or forget,
            args=names,
            help="Show the generations without this",
        )
    if len(sought.chips) > 1:
        st.button("Show all", on_click=drop or forget, args=NAMES, type="tertiary")


def forget(*names: str) -> None:
    """No longer narrow to these; to none of them without a name. A callback."""
    for name in names or NAMES:
        st.query_params.pop(name, None)
    listing.first_page(GENERATIONS_PAGE)


def _narrowed(period: Period, first: str | None, last: str | None) -> tuple[Period, str]:
    if first is None and last is None:
        return period, ""
    try:
        start = period.start if first is None else _instant(first)
        end = period.end if last is None else _instant(last)
        return replace(period, start=start, end=end, grain="day"), ""
    except PeriodError as error:
        return period, f"The link's times of generations cannot be used: {error.message}."


def _any_time(period: Period) -> Period:
    return replace(period, start=local_midnight(EARLIEST, period.zone), end=period.now, grain="month")


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PeriodError(f"“{words.shortened(text, 40)}” is not a time such as 2026-05-07T14:00:00Z") from None
    if moment.tzinfo is None:
        raise PeriodError(f"“{words.shortened(text, 40)}” has no offset; write it as 2026-05-07T14:00:00Z")
    if not EARLIEST.year < moment.year < LATEST.year:
        raise PeriodError(f"“{words.shortened(text, 40)}” is out of range")
    return moment.astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _times(period: Period) -> str:
    info = zone_info(period.zone)
    first, last = (one.astimezone(info) for one in (period.start, period.end))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{words.day(last.date())}, {last:%H:%M}"
    return f"{words.day(first.date())}, {first:%H:%M} to {until} ({words.offset(last)})"


def _shown(name: str, value: str) -> str:
    return words.shortened(words.readable(value) if name in (STATUS, TYPE) else value, 40)
