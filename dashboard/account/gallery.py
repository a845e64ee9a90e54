"""Generations one by one, as the application's own pages show them: newest first, with their images."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from dashboard import address, listing, viewer, words
from dashboard.account import cards, empty, sought
from dashboard.account.sought import GENERATIONS_PAGE, Sought
from dashboard.board import Board, offer_newest
from dashboard.tables import usage as tables
from dashboard.tables.cells import PAGE_ROWS, records
from queries.catalog import generations
from queries.query import Result
from queries.scope import Scope

LOOK, GRID, TABLE = "look", "Grid", "Table"


def view(board: Board, scope: Scope) -> None:
    """The questions and panels of the view."""
    wanted = sought.from_address(board.period)
    looks_like = choices(wanted)
    offset = (listing.page_number(GENERATIONS_PAGE) - 1) * PAGE_ROWS
    board.ask({"latest": generations.latest(scope, **wanted.arguments, offset=offset, limit=PAGE_ROWS)})
    board.panel("Generations", ("latest",), partial(latest, board, scope, wanted, looks_like), height=960)


def choices(wanted: Sought) -> str:
    """Grid or table, and what the list is narrowed to."""
    wrong = address.complaints(
        {
            LOOK: address.one_of("look", [GRID, TABLE], f"the {GRID.lower()} is shown"),
            GENERATIONS_PAGE: listing.page_check,
        }
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        look = st.segmented_control(
            "Look",
            [GRID, TABLE],
            default=GRID,
            required=True,
            key=LOOK,
            bind="query-params",
            label_visibility="collapsed",
            on_change=address.forgive,
            args=(LOOK,),
        )
        sought.chips(wanted)
    address.show(wrong)
    return look or GRID


def latest(board: Board, scope: Scope, wanted: Sought, looks_like: str, result: Result) -> None:
    """One page of generations."""
    page = listing.page_number(GENERATIONS_PAGE)
    if result.frame.empty:
        _nothing(board, scope, wanted, page)
        return
    if looks_like == TABLE:
        tables.generations(
            result.frame,
            may_read_prompts=board.viewer.reads_prompts_of(scope),
            hidden=viewer.hidden_prompts(),
            zone=board.zone,
            key=f"latest-{page}",
        )
    else:
        _grid(board, scope, result)
    listing.pager(int(result.frame["total_rows"].iloc[0]), "generation", GENERATIONS_PAGE)


def _grid(board: Board, scope: Scope, result: Result) -> None:
    may_see = board.viewer.reads_prompts_of(scope)
    if not may_see:
        st.caption(f"Prompts and images are {viewer.hidden_prompts()}.")
    rows = records(result.frame)
    pictures = _pictures(board, scope, rows) if may_see else {}
    with st.grid(5, min_column_width=168, gap="small"):
        for row in rows:
            cards.card(board, scope, row, pictures.get(row["generation_id"]), may_see=may_see)


def _pictures(board: Board, scope: Scope, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The first image of each generation on the page; asked for by the ids that the page turned out to hold."""
    with_images = tuple(row["generation_id"] for row in rows if row["images"])
    if not with_images:
        return {}
    since = min(moment for row in rows if (moment := words.utc(row["created_at"])) is not None)
    found = board.run(generations.pictures(scope, generation_ids=with_images, since=since)).frame
    return {row["generation_id"]: row for row in records(found)}


def _nothing(board: Board, scope: Scope, wanted: Sought, page: int) -> None:
    if page > 1:
        empty.nothing_here(page, GENERATIONS_PAGE, "generations", "")
    elif wanted.chips:
        st.info(words.plain(f"No generation matches: {wanted.in_words}. Take one of these away to see more."))
    else:
        offer_newest(board, scope, "This tenant")
