"""Which tenant the page is of, and which one beside it."""

from __future__ import annotations

import streamlit as st

from dashboard import listing, picker, places, words
from dashboard.account import sought
from dashboard.board import Board, stop_with
from queries.catalog import tenants
from queries.errors import NotFoundError, UsageDashboardError
from queries.scope import Scope

TENANT, COMPANION = "tenant", "with"
STUCK_PAGE, USERS_PAGE, LEDGER_PAGE = "stuck_page", "users_page", "ledger_page"
_PAGES = (sought.GENERATIONS_PAGE, STUCK_PAGE, USERS_PAGE, LEDGER_PAGE)
_ID_LENGTH = 200


def chosen_tenant(board: Board) -> Scope:
    """The scope of the tenant in the URL. Unknown and not yours end the run in the same words; none asks for one."""
    asked = st.query_params.get(TENANT) or st.session_state.get(TENANT)
    if not asked:
        st.info(
            "No tenant is chosen. Choose one here, or click a row in the list of tenants.", icon=":material/search:"
        )
        picker.matches(board, key="pick", choose=open_tenant)
        places.link("tenants", "All tenants")
        st.stop()
    try:
        scope, name = named(board, asked)
    except NotFoundError:
        not_found(board)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    st.session_state[TENANT] = asked
    if st.query_params.get(TENANT) != asked:
        st.query_params[TENANT] = asked
    board.name(name)
    return scope


def named(board: Board, tenant_id: str) -> tuple[Scope, str]:
    """The scope of one tenant of the viewer's, and its name; NotFoundError when there is none."""
    scope = board.viewer.scope.narrowed([tenant_id[:_ID_LENGTH]])
    found = board.run(tenants.tenant_choices(scope, search="", limit=1)).frame
    if found.empty:
        raise NotFoundError("no such tenant, or it is not one of yours; choose one from the list")
    row = words.first_row(found)
    return scope, str(row["tenant_id"] if row["tenant"] is None else row["tenant"])


def not_found(board: Board) -> None:
    """The same page for a tenant that does not exist and for one that is somebody else's."""
    st.session_state.pop(TENANT, None)
    board.name("Tenant not found")
    st.warning("There is no such tenant, or it is not one of yours.", icon=":material/search_off:")
    places.link("tenants", "Back to all tenants")
    st.stop()


def another(board: Board) -> None:
    """The way to another tenant, in the page's bar of filters."""
    with board.bar:
        picker.tenant_search(board, "Another tenant", key="pick", choose=open_tenant)


def companion(board: Board) -> tuple[Scope, str] | None:
    """The tenant that stands beside this one; none when none is chosen, or the link's is not one of yours."""
    asked = st.query_params.get(COMPANION)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        picker.tenant_search(board, "Put another tenant beside it", key="beside", choose=put_beside)
        if asked:
            st.button("Only this tenant", on_click=leave_alone, icon=":material/close:", type="tertiary")
    if not asked:
        return None
    try:
        return named(board, asked)
    except NotFoundError:
        st.info(
            "The link's other tenant is not there, or is not one of yours; this one stands alone.",
            icon=":material/link_off:",
        )
        return None


def open_tenant(tenant_id: str) -> None:
    """Go to this tenant, with the same view and filters. A callback."""
    st.session_state[TENANT] = tenant_id
    st.query_params[TENANT] = tenant_id
    sought.forget()
    for key in _PAGES:
        listing.first_page(key)


def put_beside(tenant_id: str) -> None:
    """A callback."""
    st.query_params[COMPANION] = tenant_id


def leave_alone() -> None:
    """A callback."""
    st.query_params.pop(COMPANION, None)
