"""Every movement of credits with the balance after it, and whether they add up."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from dashboard import address, listing, tabs, words
from dashboard.account import empty, sought
from dashboard.account.arrival import LEDGER_PAGE
from dashboard.board import Board
from dashboard.services import current
from dashboard.tables import ledger as tables
from dashboard.tables.cells import PAGE_ROWS
from queries.catalog import ledger
from queries.query import Result
from queries.scope import Scope

_DERIVED = (
    "The ledger is derived from generations: no purchases, grants or refunds are known, so it is not held against the"
    " balance."
)


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view."""
    wrong = address.complaints({LEDGER_PAGE: listing.page_check})
    address.show(wrong)
    offset = (listing.page_number(LEDGER_PAGE) - 1) * PAGE_ROWS
    board.ask(
        {
            "ledger": ledger.page(scope, period=board.period, offset=offset, limit=PAGE_ROWS),
            "sums": ledger.reconciliation(scope),
        }
    )
    board.panel("Does the ledger add up to the balance?", ("sums",), reconciled, height=60)
    board.panel("Ledger", ("ledger",), partial(movements, board), height=900)


def reconciled(result: Result) -> None:
    """One sentence, in red where there is a difference."""
    if current().database.mapping.derives_ledger:
        st.markdown(words.plain(_DERIVED))
        return
    row = words.first_row(result.frame)
    sentence, differs = reconciliation(row)
    text = words.plain(sentence)
    st.markdown(f":material/report: :red[**{text}**]" if differs else f":material/check_circle: {text}")


def reconciliation(row: dict[str, Any]) -> tuple[str, bool]:
    """The sentence, and whether ledger and balance differ."""
    movements, left = row["movements"], row["credits_left"]
    total = f"{words.counted(movements, 'movement')} add up to {words.exact(row['ledger_credits'])} credits"
    if not movements and left is None:
        return "There is neither a movement of credits nor a balance for this tenant yet.", False
    if left is None:
        return f"{total}; there is no balance to hold them against. Ask the application's team why.", True
    if not movements and not left:
        return "The balance is 0 and there is no movement of credits yet.", False
    difference = row["difference_credits"]
    if not difference:
        return f"Yes: {total}, exactly the balance.", False
    more = f"{words.exact(abs(difference))} {'more' if difference > 0 else 'fewer'}"
    return f"No: {total}, and the balance is {words.exact(left)}: {more} than the ledger explains.", True


def movements(board: Board, result: Result) -> None:
    """One page of movements."""
    page = listing.page_number(LEDGER_PAGE)
    if result.frame.empty:
        empty.nothing_here(page, LEDGER_PAGE, "movements", f"No credits moved, {words.span(board.period)}.")
        return
    # Other rows are another table: a selection is a place in it.
    key = f"ledger-{page}-{board.period.start:%y%m%d%H%M}-{board.period.end:%y%m%d%H%M}"
    generation = tables.ledger(result.frame, zone=board.zone, key=key)
    if generation is not None:
        label = words.plain(f"Generation {words.shortened(generation, 40)}")
        st.button(label, on_click=_open, args=(generation,), type="primary", key="of-movement")
    listing.pager(int(result.frame["total_rows"].iloc[0]), "movement", LEDGER_PAGE)


def _open(generation_id: str) -> None:
    sought.forget()
    st.query_params[sought.ONE] = generation_id
    tabs.show("Generations")
