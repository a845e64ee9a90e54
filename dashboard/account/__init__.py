"""The Tenant page, a room for each of its views; `arrival` says which tenant it is of."""

from collections.abc import Callable, Mapping
from functools import partial

from dashboard import tabs
from dashboard.account.arrival import another, chosen_tenant, not_found
from dashboard.board import Board
from queries.scope import Scope

__all__ = ["another", "chosen_tenant", "not_found", "open_view"]


def open_view(board: Board, scope: Scope, views: Mapping[str, Callable[[Board, Scope], None]]) -> None:
    """The open one of the page's views."""
    tabs.open_view({name: partial(view, board, scope) for name, view in views.items()})
