"""What may somebody do: the part of the page Access that answers for one person, as the rules are now."""

from __future__ import annotations

import streamlit as st

from dashboard import names, places, viewer, words
from dashboard.access import KIND_NAMES, Shown
from queries.access import ROLES, Identity, Rule, matching, united
from queries.emails import email_address
from queries.exports.reports import REPORTS
from queries.scope import Scope

_MOST_NAMED = 5


def looking_up(shown: Shown) -> None:
    """Their roles, pages, files and tenants."""
    with st.container(border=True):
        st.header("What may somebody do?", anchor=False)
        with st.container(horizontal=True, gap="small"):
            typed = st.text_input("Verified e-mail address", key="access_look_email", max_chars=254, width=300)
            groups = _groups() if "group" in shown.kinds else ""
        if not typed and not groups:
            known = ", and groups if your identity provider names any" if "group" in shown.kinds else ""
            st.caption(f"Type an address{known}.")
            return
        email = email_address((typed or "").replace("\u2060", "").strip())
        if typed and email is None:
            st.caption("This is no e-mail address of ASCII letters, so it matches nothing.")
            return
        named = frozenset(one.strip() for one in (groups or "").split(",") if one.strip())
        _may(shown, Identity(key=email or "groups", email=email or "", groups=named))


def _groups() -> str | None:
    return st.text_input(
        "Groups", key="access_look_groups", max_chars=1_000, width=300, help="As the claim has them, with commas."
    )


def _may(shown: Shown, who: Identity) -> None:
    found = matching(shown.rules, who)
    if not found:
        st.info("No role: they see a page that says whom to ask.", icon=":material/block:")
        return
    grants = tuple(dict.fromkeys(one.grant for one in found))
    them = viewer.Viewer(who.name, grants[0].role, united(one.scope for one in grants), grants, who)
    lines = {
        "Roles": ", ".join(_given(one) for one in found),
        "Tenants": "; ".join(_tenants_by_role(shown, them)),
        "Pages": ", ".join(one.title for one in places.PLACES if them.may_open(one.name)),
        "Files": ", ".join(one.title for name, one in REPORTS.items() if them.may_take(name)),
        "Prompts and images": _prompts(shown, them),
        "Plans and SQL": "yes" if them.may_read_plans else "no",
    }
    with st.container(gap="xsmall"):
        for what, answer in lines.items():
            st.markdown(f"**{what}:** {words.plain(answer)}")


def _given(rule: Rule) -> str:
    return f"{viewer.ROLE_NAMES[rule.role]} (by {KIND_NAMES[rule.kind].lower()} {rule.subject})"


def _tenants_by_role(shown: Shown, them: viewer.Viewer) -> list[str]:
    by_role = {
        role: united(one.scope for one in them.grants if one.role == role) for role in ROLES if role in them.roles
    }
    return [f"{viewer.ROLE_NAMES[role]}: {_whose(shown, scope)}" for role, scope in by_role.items()]


def _prompts(shown: Shown, them: viewer.Viewer) -> str:
    given = [one.scope for one in them.grants if one.may_read_prompts]
    if not given:
        return "no"
    of = f"of {_whose(shown, united(given))}"
    if them.at("tenant").may_read_prompts:
        return of
    return f"{of}; hidden where others of their tenants are listed beside these"


def _whose(shown: Shown, scope: Scope) -> str:
    return "all tenants" if scope.is_all else names.listed(scope.ordered_ids, shown.names, most=_MOST_NAMED)
