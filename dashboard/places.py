"""Which pages there are, for whom they are grouped, and how to get to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard import viewer

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
    Place("audit", "Audit", ":material/history:", "Administration"),
)


def navigation() -> dict[str, Sequence[st.Page]]:
    """The pages that the viewer's role may open, by group; those it may not still answer, by their own guard."""
    groups: dict[str, list[st.Page]] = {}
    for place in PLACES:
        groups.setdefault(place.group, []).append(place.page())
    return {group: tuple(pages) for group, pages in groups.items()}


def place_file(name: str) -> Path:
    """The script of a page."""
    return _PAGES / f"{name}.py"


def place(name: str) -> Place:
    return next(one for one in PLACES if one.name == name)


def may_open(name: str) -> bool:
    return viewer.role() in viewer.OPENS.get(name, frozenset())


def go(name: str, parameters: Mapping[str, str]) -> None:
    """Open a page with these in its URL; the run ends here. The filters are in the URL by themselves."""
    st.switch_page(place(name).page(), query_params=dict(parameters))


def link(name: str, label: str, parameters: Mapping[str, str] | None = None) -> None:
    st.page_link(place(name).page(), label=label, query_params=dict(parameters or {}))
