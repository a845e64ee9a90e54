"""The door of every page, where people sign in: nobody gets past it, and who has no role is told whom to ask."""

from __future__ import annotations

import logging
from typing import NoReturn

import streamlit as st

from dashboard import auditing, fragments, panels, viewer, words
from dashboard.admission import Admission
from dashboard.browser import this_browser
from dashboard.services import Services, current
from queries.access import Identity
from queries.errors import DatabaseUnavailableError, UsageDashboardError

log = logging.getLogger(__name__)

_WHOSE = "whose_session"
_WIDTH_PX = 440


def admit() -> None:
    """End the run here for whoever may see nothing. Called before anything of a page, and by every page again."""
    services = current()
    admission = services.admission
    if admission is None:
        return
    try:
        identity = viewer.here(admission)
        if identity is None:
            _sign_in(admission)
        _own_session(identity)
        grants = admission.grants(identity)
    except UsageDashboardError as error:
        _unknown(error)
    if not grants:
        _no_role(services, admission, identity)
    who = viewer.signed_in(admission, identity)
    fragments.drawn_for(who)
    if admission.book.is_new(identity, "let in"):
        roles = ", ".join(sorted(who.roles))
        log.info("%s signed in (%s)", who.name, roles)
        auditing.record(services.audit, who.name, who.role, auditing.SIGN_IN, {"roles": roles})


def who_looks() -> None:
    """The bottom of the sidebar: who has signed in, and how to sign out."""
    services = current()
    if services.admission is None:
        viewer.switch()
        return
    try:
        who = viewer.viewer()
    except UsageDashboardError:
        st.rerun()  # the rules were read again just now, and are others
    names = [viewer.ROLE_NAMES[one] for one in viewer.ROLES if one in who.roles]
    with st.sidebar:
        st.caption(words.plain(f"{who.name} · {', '.join(names)}"))
        if services.admission.mode == "oidc":
            st.button("Sign out", icon=":material/logout:", type="tertiary", on_click=sign_out, key="sign_out")
        fragments.watch()


def sign_out() -> None:
    """Nobody is signed in any more, in no tab of this browser, and files that were asked for here end. A callback."""
    services = current()
    if services.admission is None:
        return
    identity = services.admission.of_user(st.user.to_dict(), st.context.headers.get("Origin"))
    ended(services, identity, this_browser())
    st.session_state.clear()
    st.logout()


def ended(services: Services, identity: Identity | None, browser: str | None) -> None:
    """This sign-in, and whatever this browser was given, is good for nothing any more."""
    if browser is not None:
        services.exporter.sign_out(browser)
    admission = services.admission
    if admission is None or identity is None:
        return
    services.exporter.sign_out_of(identity)
    if admission.book.end(identity):
        log.info("%s signed out", identity.name)
        auditing.record(services.audit, identity.name, "", auditing.SIGN_OUT, {})


def _own_session(identity: Identity) -> None:
    """A session that was somebody else's keeps nothing of them."""
    if st.session_state.get(_WHOSE, identity.key) != identity.key:
        st.session_state.clear()
    st.session_state[_WHOSE] = identity.key


def _sign_in(admission: Admission) -> NoReturn:
    """The page of whoever has not signed in, or has signed out: nothing of the data, nor of whose it is."""
    st.session_state.clear()
    with st.container(horizontal_alignment="center"), st.container(width=_WIDTH_PX, border=True):
        st.title("Usage dashboard", anchor=False)
        st.markdown("Usage, credits and speed of the image-generation service, for the people who run it.")
        _ways_in(admission)
    st.stop()


def _ways_in(admission: Admission) -> None:
    asked = words.plain(_whom_to_ask(admission))
    if admission.mode == "header":
        st.info(
            "**You are not signed in.** This request carries no sign-in of the proxy that signs people in. Open"
            " the dashboard by its public address.",
            icon=":material/lock:",
        )
        st.caption(f"If that does not help, ask {asked}.")
        return
    with st.container(horizontal=True, gap="small"):
        for provider in admission.read_oidc().providers:
            st.button(
                words.plain(provider.title),
                icon=":material/login:",
                type="primary",
                key=f"sign_in_{provider.name}",
                on_click=st.login,
                args=(provider.name,),
            )
    st.caption(
        f"A sign-in is good for {admission.lasts_s / 3600:g} h in this browser, or until you sign out. If you cannot"
        f" sign in, ask {asked}."
    )


def _whom_to_ask(admission: Admission) -> str:
    return admission.contact or "an administrator of this dashboard"


def _no_role(services: Services, admission: Admission, identity: Identity) -> NoReturn:
    if admission.book.is_new(identity, "refused"):
        log.info("%s has no role", identity.name)
        auditing.record(services.audit, identity.name, "", auditing.REFUSED, {"reason": "no role"})
    st.title("No role yet", anchor=False)
    asked = words.plain(_whom_to_ask(admission))
    st.info(
        f"You are signed in, and nobody has given you a role. Ask {asked} for one, and tell them the name below. It"
        " counts within a minute: load the page again then.",
        icon=":material/badge:",
    )
    st.code(identity.name, language=None, width=420)
    if not identity.email:
        st.caption(
            "Your identity provider named no e-mail address, or said that yours is not verified, so a role that was"
            " given to an address or a domain does not count. Verify the address there, and sign in again."
        )
    if admission.mode == "oidc":
        st.button("Sign out", icon=":material/logout:", on_click=sign_out, key="sign_out")
    st.stop()


def _unknown(error: UsageDashboardError) -> NoReturn:
    """Nobody knows who may see what: nobody sees anything."""
    st.title("Usage dashboard", anchor=False)
    st.error(
        f"**Nobody can be let in.** {words.plain(words.sentence(error.message))}\n\nReference `{error.reference}`",
        icon=":material/lock_clock:",
    )
    if isinstance(error, DatabaseUnavailableError):
        panels.heal("entrance")
    st.stop()
