"""The room of the page Access: who has which role, giving one and taking it away, and what somebody may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import auditing, places, viewer, words
from dashboard.board import Board, stop_with
from dashboard.listing import page_number, pager
from dashboard.services import Services, current
from dashboard.tables.cells import DAY, PAGE_ROWS, clicked_row, pages, time_column
from queries.access import (
    KINDS,
    READS_PROMPTS,
    ROLES,
    Identity,
    Role,
    Rule,
    checked,
    first_administrators,
    matching,
    united,
)
from queries.access_book import AccessBook, NoRules, RuleFile, Rules, RuleTable
from queries.catalog import tenants
from queries.emails import email_address
from queries.errors import ArgumentError, UsageDashboardError
from queries.exports.reports import REPORTS
from queries.runner import Context
from queries.scope import Scope

# A list to choose from; ids of others can be typed.
LISTED_TENANTS = 1_000
_KINDS = {"email": "E-mail address", "domain": "Domain", "group": "Group"}
_LIKE = {"email": "ada@example.com", "domain": "example.com", "group": "As the claim names it"}
_SAID, _PAGER = "access_said", "access_page"
_ALL, _SOME = "All tenants", "Some tenants"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one run of the page shows."""

    board: Board
    rules: Sequence[Rule]
    table: RuleTable | None
    names: Mapping[str, str]


def open_access(board: Board) -> Shown:
    """Read the rules and the tenants' names. The run ends when they cannot be read."""
    services = current()
    source = _source(services)
    try:
        admission = services.admission
        rules = admission.book.rules() if admission is not None else (*_always(services), *source.read())
        asked = tenants.tenant_choices(board.viewer.scope, search="", limit=LISTED_TENANTS)
        frame = board.run(asked).frame
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    names = dict(zip(frame["tenant_id"], frame["tenant"], strict=True))
    board.corner.caption(words.plain(f"as of {words.clock(datetime.now(UTC), board.zone)}"))
    _notes(services, source)
    _say()
    return Shown(board, rules, source if isinstance(source, RuleTable) else None, names)


def everybody(shown: Shown, place: Any) -> None:
    """All rules; a click on one opens it."""
    with place, st.container(border=True):
        st.header("Who has access", anchor=False)
        if not shown.rules:
            st.caption("Nobody has a role yet. Give yours first, as an administrator.")
            return
        first = (min(page_number(_PAGER), pages(len(shown.rules))) - 1) * PAGE_ROWS
        rules = shown.rules[first : first + PAGE_ROWS]
        row = clicked_row(
            _frame(rules),
            columns=_columns(shown.board.zone),
            # Another table once a row has come or gone: what was chosen is not the row that took its place.
            key=f"access_rules_{first}_{len(shown.rules)}_{max(one.id or 0 for one in shown.rules)}",
            alt="Roles by address, domain and group, with tenants, prompts, when and by whom",
        )
        pager(len(shown.rules), "row", _PAGER)
        st.caption("Somebody whom several rows match has all of their roles. A change counts within a minute.")
        if row is not None:
            _one(shown, rules[row])


def giving(shown: Shown, place: Any) -> None:
    """The form that gives a role."""
    with place, st.container(border=True):
        st.header("Give a role", anchor=False)
        if shown.table is None:
            st.caption(_why_not(_source(current())))
            return
        kind = st.selectbox("To", KINDS, format_func=lambda one: _KINDS[one], key="access_kind")
        st.text_input(_KINDS[kind], key="access_subject", max_chars=254, placeholder=_LIKE[kind])
        role = st.selectbox("Role", ROLES, format_func=lambda one: viewer.ROLE_NAMES[one], key="access_role")
        _rights(shown, role, key="access_new")
        st.button("Give the role", on_click=_give, args=(shown.table,), key="access_give")


def looking_up(shown: Shown) -> None:
    """What may this person do: their roles, pages, files and tenants, as the rules are now."""
    with st.container(border=True):
        st.header("What may somebody do?", anchor=False)
        with st.container(horizontal=True, gap="small"):
            typed = st.text_input("Verified e-mail address", key="access_look_email", max_chars=254, width=300)
            groups = st.text_input(
                "Groups",
                key="access_look_groups",
                max_chars=1_000,
                width=300,
                help="As the claim has them, with commas.",
            )
        if not typed and not groups:
            st.caption("Type an address, and groups if your identity provider names any.")
            return
        email = email_address((typed or "").replace("\u2060", "").strip())
        if typed and email is None:
            st.caption("This is no e-mail address of ASCII letters, so it matches nothing.")
            return
        named = frozenset(one.strip() for one in (groups or "").split(",") if one.strip())
        _may(shown, Identity(key=email or "groups", email=email or "", groups=named))


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
    return f"{viewer.ROLE_NAMES[rule.role]} (by {_KINDS[rule.kind].lower()} {rule.subject})"


def _tenants_by_role(shown: Shown, them: viewer.Viewer) -> list[str]:
    by_role = {
        role: united(one.scope for one in them.grants if one.role == role) for role in ROLES if role in them.roles
    }
    return [f"{viewer.ROLE_NAMES[role]}: {_named(shown, scope)}" for role, scope in by_role.items()]


def _prompts(shown: Shown, them: viewer.Viewer) -> str:
    given = [one.scope for one in them.grants if one.may_read_prompts]
    if not given:
        return "no"
    of = f"of {_named(shown, united(given))}"
    if them.at("tenant").may_read_prompts:
        return of
    return f"{of}; hidden where others of their tenants are listed beside these"


def _named(shown: Shown, scope: Scope, most: int = 5) -> str:
    if scope.is_all:
        return "all tenants"
    ids = scope.ordered_ids
    known = [words.shortened(shown.names.get(one) or one) for one in ids[:most]]
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return f"{', '.join(known)}{more}"


def _one(shown: Shown, rule: Rule) -> None:
    """One rule, to change or to take away."""
    who = f"{rule.subject}, {viewer.ROLE_NAMES[rule.role].lower()}"
    st.subheader(words.plain(who), anchor=False)
    table = shown.table
    if table is None or rule.id is None:
        st.caption("This row is of the settings (ADMIN_EMAILS)." if table is not None else _why_not(_source(current())))
        return
    key = f"access_{rule.id}"
    _rights(shown, rule.role, key=key, rule=rule)
    with st.container(horizontal=True, gap="small"):
        st.button("Save", key=f"{key}_save", on_click=_change, args=(table, rule, key))
        with st.popover("Remove", icon=":material/person_remove:", key=f"{key}_remove"):
            st.markdown(words.plain(f"{who}: gone within a minute, from open pages and files on their way too."))
            st.button("Remove this row", key=f"{key}_gone", on_click=_remove, args=(table, rule))


def _rights(shown: Shown, role: Role, *, key: str, rule: Rule | None = None) -> None:
    """Which tenants, and whether prompts: what a rule gives beside its role."""
    if role != "admin":
        some = rule is not None and rule.tenants is not None
        chosen = st.radio("Tenants", [_ALL, _SOME], index=int(some), key=f"{key}_which", horizontal=True)
        if chosen == _SOME:
            own = list(rule.tenants or ()) if rule is not None else []
            st.multiselect(
                "Which ones",
                list(dict.fromkeys([*own, *shown.names])),
                default=own,
                format_func=lambda one: _label(shown, one),
                key=f"{key}_tenants",
                accept_new_options=True,
                placeholder="Choose, or type an id",
                help=f"The first {LISTED_TENANTS:,} by name are listed; others by their id.",
            )
    if role in READS_PROMPTS:
        st.checkbox(
            "Prompts and images",
            value=rule is not None and rule.may_read_prompts,
            key=f"{key}_prompts",
            help="A right of its own: without it, both are hidden, on pages and in files.",
        )


def _label(shown: Shown, tenant_id: str) -> str:
    name = shown.names.get(tenant_id)
    return f"{words.shortened(name)} · {words.shortened(tenant_id)}" if name else words.shortened(tenant_id, 60)


def _chosen(key: str) -> dict[str, Any]:
    """What `_rights` was answered with."""
    kept = st.session_state
    some = kept.get(f"{key}_which", _ALL) == _SOME
    return {
        "tenants": list(kept.get(f"{key}_tenants") or []) if some else None,
        "may_read_prompts": bool(kept.get(f"{key}_prompts", False)),
    }


def _give(table: RuleTable) -> None:
    kept = st.session_state

    def give(by: viewer.Viewer) -> str:
        # An address that was copied from a page of ours has a word joiner in it, so that nothing makes a link of it.
        subject = (kept["access_subject"] or "").replace("\u2060", "")
        wanted = {"kind": kept["access_kind"], "subject": subject, "role": kept["access_role"]}
        chosen = _chosen("access_new")
        if kept["access_role"] not in READS_PROMPTS:
            chosen["may_read_prompts"] = False
        if kept["access_role"] == "admin":
            chosen["tenants"] = None
        rule = checked(**wanted, **chosen)
        _check_tenants(rule)
        table.add(rule, by=by.name)
        kept["access_subject"] = ""
        return _told(by, auditing.ACCESS_GIVEN, rule, f"{rule.subject} is {viewer.ROLE_NAMES[rule.role].lower()} now.")

    _do(give)


def _change(table: RuleTable, rule: Rule, key: str) -> None:
    def change(by: viewer.Viewer) -> str:
        assert rule.id is not None, "a row of the table has an id"
        wanted = _chosen(key)
        _check_tenants(checked(kind=rule.kind, subject=rule.subject, role=rule.role, **wanted))
        changed = table.change(rule.id, **wanted, by=by.name)
        return _told(by, auditing.ACCESS_CHANGED, changed, f"The role of {rule.subject} is changed.")

    _do(change)


def _remove(table: RuleTable, rule: Rule) -> None:
    def remove(by: viewer.Viewer) -> str:
        assert rule.id is not None, "a row of the table has an id"
        gone = table.remove(rule.id, others=len(current().settings.admin_emails))
        role = viewer.ROLE_NAMES[rule.role].lower()
        return _told(by, auditing.ACCESS_REMOVED, gone, f"{rule.subject} is no {role} any more.")

    _do(remove)


def _do(act: Callable[[viewer.Viewer], str]) -> None:
    """A callback: who asks is read again, since rights may have gone."""
    try:
        by = viewer.viewer().at("access")
        st.session_state[_SAID] = (True, act(by))
    except UsageDashboardError as error:
        st.session_state[_SAID] = (False, words.sentence(error.message))
    if (book := _book()) is not None:
        book.forget()


def _told(by: viewer.Viewer, action: str, rule: Rule, said: str) -> str:
    auditing.record(
        current().audit,
        by.name,
        by.role,
        action,
        {
            "kind": rule.kind,
            "subject": rule.subject,
            "role": rule.role,
            "tenants": "all" if rule.tenants is None else ", ".join(rule.tenants)[:2_000],
            "prompts": "yes" if rule.may_read_prompts else "no",
        },
    )
    return said


def _check_tenants(rule: Rule) -> None:
    """ArgumentError for an id that is no tenant's: a typing mistake would give nothing, in silence."""
    if rule.tenants is None:
        return
    scope = Scope.of(rule.tenants)
    asked = tenants.tenant_choices(scope, search="", limit=len(rule.tenants))
    found = set(current().runner.run(asked, Context(scope, role="admin", page="access")).frame["tenant_id"])
    if unknown := [one for one in rule.tenants if one not in found]:
        raise ArgumentError(f"there is no tenant {unknown[0][:60]!r}; choose one from the list")


def _say() -> None:
    if said := st.session_state.pop(_SAID, None):
        is_done, text = said
        (st.success if is_done else st.error)(
            words.plain(text), icon=":material/check:" if is_done else ":material/error:"
        )


def _notes(services: Services, source: Rules) -> None:
    """How people come in, and what the rows are worth."""
    match services.settings.auth if services.admission is not None else None:
        case "oidc":
            how = "People sign in with your identity provider."
        case "header":
            how = "A proxy signs people in; it names no groups, so rows of groups match nobody."
        case _:
            how = "Nobody signs in here, so everybody is an administrator; these rows count once sign-in is on."
    where = f"Roles are those of the file {source.path.name}." if isinstance(source, RuleFile) else ""
    st.caption(words.plain(f"{how} {where}".strip()))


def _why_not(source: Rules) -> str:
    if isinstance(source, RuleFile):
        return words.plain(
            f"Roles are kept in the file {source.path.name}: change them there. It is read again by itself."
        )
    return words.plain(
        "Roles are kept in the database through DIRECT_URL, which is not set; ADMIN_EMAILS alone counts."
    )


def _book() -> AccessBook | None:
    admission = current().admission
    return admission.book if admission is not None else None


def _source(services: Services) -> Rules:
    if services.admission is not None:
        return services.admission.book.source
    if services.settings.access_file is not None:
        return RuleFile(services.settings.access_file)
    return RuleTable(services.database.owner) if services.database.owner is not None else NoRules()


def _always(services: Services) -> list[Rule]:
    return first_administrators(services.settings.admin_emails)


def _frame(rules: Sequence[Rule]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": [words.one_line(one.subject) for one in rules],
            "kind": [_KINDS[one.kind].removeprefix("E-mail ").capitalize() for one in rules],
            "role": [viewer.ROLE_NAMES[one.role] for one in rules],
            "tenants": ["All" if one.tenants is None else f"{len(one.tenants):,}" for one in rules],
            "prompts": ["Yes" if one.grant.may_read_prompts else "" for one in rules],
            "created_at": pd.Series([one.created_at for one in rules], dtype="datetime64[us, UTC]"),
            "created_by": [words.one_line(one.created_by) if one.created_by else "file" for one in rules],
        }
    )


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "subject": config.TextColumn("Who", pinned=True, width=165),
        "kind": config.TextColumn("By", width=66),
        "role": config.TextColumn("Role", width=118),
        "tenants": config.TextColumn("Tenants", width=62),
        "prompts": config.TextColumn("Prompts", width=62, help="Whether prompts and images may be read."),
        "created_at": time_column("Since", zone, form=DAY, width=94),
        "created_by": config.TextColumn("Given by", width=140),
    }
