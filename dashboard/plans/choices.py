"""Which statement the page is about, which call of it, and which plans: all in the URL, and nothing of it trusted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard import address
from dashboard.board import Board

STATEMENT, CALL, PLAN, AGAINST = "statement", "call", "plan", "against"
LIST_PAGE = "statements_page"
_IS_HASH = re.compile(r"[0-9a-f]{4,40}")
_INSTEAD = {
    STATEMENT: ("statement", "choose one from the list"),
    CALL: ("call", "the newest call of the statement is taken"),
    PLAN: ("plan", "the newest plan is shown"),
    AGAINST: ("plan to compare with", "nothing is compared"),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A statement by its fingerprint; the call, the plan and the plan beside it where the URL names them."""

    board: Board
    statement: str
    call: str | None
    plan: str | None
    against: str | None


def chosen(board: Board) -> Chosen | None:
    """What the URL names; None without a statement."""
    address.show(address.complaints({name: _is_hash(*said) for name, said in _INSTEAD.items()}))
    statement = _asked(STATEMENT)
    return None if statement is None else Chosen(board, statement, _asked(CALL), _asked(PLAN), _asked(AGAINST))


def open_statement(fingerprint: str) -> None:
    """Look at this statement. A callback."""
    _forget(CALL, PLAN, AGAINST)
    st.query_params[STATEMENT] = fingerprint


def open_list() -> None:
    """Back to the list of statements. A callback."""
    _forget(STATEMENT, CALL, PLAN, AGAINST)


def open_plan(plan_hash: str) -> None:
    """Look at this plan of the statement. A callback."""
    if st.query_params.get(AGAINST) == plan_hash:
        _forget(AGAINST)
    address.forgive(PLAN)
    st.query_params[PLAN] = plan_hash


def set_beside(plan_hash: str) -> None:
    """Put this plan beside the one that is shown; "" puts it away. A callback."""
    _forget(AGAINST)
    if plan_hash:
        st.query_params[AGAINST] = plan_hash


def open_newest() -> None:
    """Look at the newest plan, whatever the link named."""
    _forget(PLAN)


def _forget(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)
    address.forgive(*names)


def _asked(name: str) -> str | None:
    value = st.query_params.get(name)
    return value if value and _IS_HASH.fullmatch(value) else None


def _is_hash(noun: str, instead: str) -> address.Check:
    def check(asked: Sequence[str]) -> str:
        return "" if _IS_HASH.fullmatch(asked[-1]) else f"The link's {noun} cannot be read; {instead}."

    return check
