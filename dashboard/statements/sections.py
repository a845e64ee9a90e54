"""The panels of the Statements page."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import headline, listing, places, words
from dashboard.headline import Action, Headline
from dashboard.services import current
from dashboard.statements import choices, closing, sentences
from dashboard.statements.choices import Chosen, named
from dashboard.tables import cells
from dashboard.tables import statements as tables
from queries.catalog.rollforward import CLOSED, month_before
from queries.query import Result

# The figure is red, not the row.
_WHERE_RED = "In “By tenant and month”, click a row with a red figure to see what makes it."
_MOVED = (("Purchased", "purchased"), ("Granted", "granted"), ("Burned", "burned"))


def figures(chosen: Chosen, totals: Result) -> None:
    """What the months began and ended with together, and whether that adds up."""
    rows = {one["month"]: one for one in cells.records(totals.frame)}
    shown = [rows[one] for one in chosen.months if one in rows]
    if not shown:
        st.info(f"No tenant of this list had a movement or a balance up to the end of {chosen.name}.")
        return
    line = [rows[one] for one in chosen.listed if one in rows]
    headline.show([*_moved(chosen, rows, line), _closing(shown, line), _unexplained(shown)])
    said = sentences.unexplained(shown, chosen.name)
    if current().database.mapping.derives_ledger:
        st.caption(words.plain(sentences.DERIVED))
    elif said:
        st.markdown(f":material/report: :red[**{words.plain(said)}**] {_WHERE_RED}")


def _moved(chosen: Chosen, rows: dict[Any, Any], line: list[Any]) -> list[Headline]:
    """Credits that came and went; against the month before where the one month is over."""
    shown = [rows[one] for one in chosen.months if one in rows]
    is_over = len(chosen.months) == 1 and chosen.last < chosen.running
    before = rows.get(month_before(chosen.last)) if is_over else None
    months = " to ".join(dict.fromkeys(f"{one:%b}" for one in (chosen.months[0], chosen.last)))
    note = months if chosen.last < chosen.running else f"{months}, so far"
    found = []
    for label, name in _MOVED:
        amount = sum(one[name] for one in shown)
        change = words.change(amount, before[name]) if before is not None else headline.NO_CHANGE
        found.append(
            Headline(
                label,
                words.amount(amount),
                f"{sentences.credits(amount)}, {chosen.name}; the line: month by month",
                change,
                "the month before" if change.text else "",
                note="" if change.text else note,
                spark=[one[name] for one in line],
            )
        )
    return found


def _closing(shown: list[Any], line: list[Any]) -> Headline:
    opening, amount = shown[0]["opening"], shown[-1]["closing"]
    return Headline(
        "Closing balance",
        words.amount(amount),
        f"{sentences.credits(amount)} of {words.counted(shown[-1]['tenants'], 'tenant')}; opened with"
        f" {words.exact(opening)}",
        words.change(amount, opening),
        f"opening of {named(shown[0]['month'])}",
        spark=[one["closing"] for one in line],
    )


def _unexplained(shown: list[Any]) -> Headline:
    amount = sum(one["differing_credits"] for one in shown)
    tenants = max(one["differing_tenants"] for one in shown)
    detail = "What balances have more or less than the ledger explains, each difference by its size."
    if not amount:
        return Headline("Unexplained", "0", detail, note="every balance agrees with its ledger")
    act = Action("Show these", "List only tenants of which something is unexplained", choices.show_differences)
    return Headline("Unexplained", words.amount(amount), detail, note=words.counted(tenants, "tenant"), action=act)


def by_month(chosen: Chosen, totals: Result, taken_off: Result) -> None:
    """All tenants of the list together, month by month, and whether each month is closed."""
    if totals.frame.empty:
        st.info("There is no movement of credits and no balance yet. Statements begin with the first one.")
        return
    st.caption(words.plain(f"Months of {chosen.zone}. Click a row for its tenants alone.{_of_search(chosen)}"))
    tables.by_month(totals.frame, key=f"months-{chosen.last:%Y%m}-{chosen.version}", choose=choices.show_month)
    since = words.utc(totals.frame["known_since"].iloc[0])
    st.caption(words.plain(sentences.known_since(since, chosen.zone)))
    off = sentences.taken_off(cells.records(taken_off.frame))
    if off:
        st.markdown(f":material/difference: {words.plain(off)}")
    status = {one["month"]: one["status"] for one in cells.records(totals.frame)}
    closing.control(chosen, status)


def by_tenant(chosen: Chosen, monthly: Result) -> None:
    """One page of the statement, and the sums of all of it."""
    frame = monthly.frame
    if frame.empty:
        _nothing_listed(chosen)
        return
    row = words.first_row(frame)
    st.caption(words.plain(f"{_together(row)} Click a row for how it adds up, above."))
    key = f"statement-{chosen.page}-{chosen.sort}-{chosen.descending}-{chosen.months[0]:%Y%m}-{chosen.last:%Y%m}"
    tables.by_tenant(frame, key=f"{key}-{chosen.differing}-{chosen.version}", choose=choices.look_into)
    listing.pager(int(row["total_rows"]), "row", choices.PAGE)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _picked(frame)
        if places.may_open("exports"):
            about = {"report": "Credit statement", **choices.of_months(chosen.months, chosen.zone)}
            places.link("exports", "This statement as a file", about)


def _together(row: dict[str, Any]) -> str:
    """The totals row in words: all rows that are listed."""
    sums = {name.removeprefix("all_"): value for name, value in row.items() if name.startswith("all_")}
    return f"All {words.counted(row['total_rows'], 'row')} together: {sentences.added_up(sums)}."


def _picked(frame: pd.DataFrame) -> None:
    """The same as a click on a row, for those who use the keyboard."""
    rows = [(one["tenant_id"], one["month"], one["tenant"] or one["tenant_id"]) for one in cells.records(frame)]
    st.selectbox(
        "Look into a row of this page",
        range(len(rows)),
        index=None,
        format_func=lambda place: f"{words.shortened(rows[place][2], 50)}, {named(rows[place][1])}",
        placeholder="Click a row, or choose it here",
        key="look_into",
        on_change=_look_into,
        args=(rows,),
        width=340,
    )


def _look_into(rows: list[Any]) -> None:
    place = st.session_state.pop("look_into", None)
    if place is not None and place < len(rows):
        choices.look_into(*rows[place][:2])


def _nothing_listed(chosen: Chosen) -> None:
    if chosen.page > 1:
        st.info(f"There is no page {chosen.page:,} of this list.")
        st.button("Show the first page", on_click=listing.first_page, args=(choices.PAGE,), key="first-statements")
    elif chosen.differing:
        st.info(f"Nothing is unexplained in {chosen.name}: every balance agrees with its ledger.")
    elif chosen.search:
        st.info("No tenant with a statement matches this search. Clear the search, or choose another period.")
    else:
        st.info(f"No tenant had a movement or a balance up to the end of {chosen.name}. Choose a later period.")


def worth(chosen: Chosen, prices: Result, totals: Result) -> None:
    """Credits that are left and that expired, at what was paid for them."""
    rows = cells.records(prices.frame)
    if not any(one["currency"] for one in rows):
        st.info("No prices: no purchase carries a price and a currency, so credits have no worth that is known.")
        return
    st.caption(
        words.plain(
            f"Closing credits of {named(chosen.last)} (deferred revenue), and credits expired in {chosen.name}"
            " (breakage), each at the tenant's average price per purchased credit, all purchases up to then."
            " Currencies are never added."
        )
    )
    status = {one["month"]: one["status"] for one in cells.records(totals.frame)}
    closed = [one for one in chosen.months if status.get(one) == CLOSED]
    if closed:
        st.caption(words.plain(sentences.reckoned_now(closed)))
    tables.worth(prices.frame, key=f"worth-{chosen.last:%Y%m}")


def corrected(chosen: Chosen, corrections: Result) -> None:
    """What came into closed months after they were closed, and where it counts."""
    frame = corrections.frame
    if frame.empty:
        st.info("No closed month differs from what its ledger says now. What is posted late will be listed here.")
        return
    rows = cells.records(frame)
    for month in dict.fromkeys(one["month"] for one in rows):
        own = next(one for one in rows if one["month"] == month)
        st.markdown(f":material/difference: {words.plain(sentences.differs(own, chosen.zone))}")
    tables.corrected(frame, chosen.zone, key="corrections")
    total = int(frame["total_rows"].iloc[0])
    if total > len(frame):
        st.caption(
            f"The first {len(frame)} of {total:,} corrections; the ledger's files of these months have their sums."
        )


def _of_search(chosen: Chosen) -> str:
    return f" Only tenants whose name holds “{words.shortened(chosen.search, 40)}”." if chosen.search else ""
