"""Which pages there are, for whom they are grouped, and how to get to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard import viewer
from dashboard.services import current
from queries.errors import UsageDashboardError

_PAGES = Path(__file__).resolve().parent.parent / "pages"


@dataclass(frozen=True, slots=True)
class Place:
    """One page: its file, its name in the navigation, and the group of people it is for."""

    name: str
    title: str
    icon: str
    group: str
    default: bool = False

    def page(self) -> st.Page:
        return st.Page(
            place_file(self.name),
            title=self.title,
            icon=self.icon,
            url_path=None if self.default else self.name,
            default=self.default,
            visibility="visible" if is_listed(self.name) else "hidden",
        )


PLACES: tuple[Place, ...] = (
    Place("tenants", "Tenants", ":material/apartment:", "Accounts", default=True),
    Place("tenant", "Tenant", ":material/account_circle:", "Accounts"),
    Place("burn", "Credit burn", ":material/local_fire_department:", "Accounts"),
    Place("timelines", "Timelines", ":material/timeline:", "Accounts"),
    Place("performance", "Query performance", ":material/speed:", "Engineering"),
    Place("indexes", "Indexes", ":material/format_list_numbered:", "Engineering"),
    Place("plan", "Plan", ":material/account_tree:", "Engineering"),
    Place("statements", "Statements", ":material/receipt_long:", "Finance"),
    Place("exports", "Exports", ":material/download:", "Finance"),
    Place("access", "Access", ":material/key:", "Administration"),
    Place("audit", "Audit", ":material/history:", "Administration"),
)


def navigation() -> dict[str, Sequence[st.Page]]:
    """All pages, by group. Those that are not the viewer's are not listed where people sign in, and answer by their
    own guard."""
    groups: dict[str, list[st.Page]] = {}
    for place in PLACES:
        groups.setdefault(place.group, []).append(place.page())
    return {group: tuple(pages) for group, pages in groups.items()}


def position() -> Literal["sidebar", "hidden"]:
    """Where the pages are listed: nowhere for somebody who has not signed in, or has no role."""
    try:
        viewer.viewer()
    except UsageDashboardError:
        return "hidden" if current().admission is not None else "sidebar"
    return "sidebar"


def is_listed(name: str) -> bool:
    """Whether the navigation shows this page. Visitors of the demo have no use for Access."""
    if current().admission is None:
        return name != "access" or not current().is_demo
    return may_open(name)


def place_file(name: str) -> Path:
    """The script of a page."""
    return _PAGES / f"{name}.py"


def place(name: str) -> Place:
    return next(one for one in PLACES if one.name == name)


def may_open(name: str) -> bool:
    return viewer.may_open(name)


def go(name: str, parameters: Mapping[str, str]) -> None:
    """Open a page with these in its URL; the run ends here. The filters are in the URL by themselves."""
    st.switch_page(place(name).page(), query_params=dict(parameters))


def link(name: str, label: str, parameters: Mapping[str, str] | None = None) -> None:
    st.page_link(place(name).page(), label=label, query_params=dict(parameters or {}))
