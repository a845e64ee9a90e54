"""The room of the page Access: who has which role, giving one and taking it away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import streamlit as st

from dashboard import auditing, names, viewer, words
from dashboard.board import Board, stop_with
from dashboard.listing import page_number, pager
from dashboard.services import Services, current
from dashboard.tables.cells import DAY, PAGE_ROWS, clicked_row, pages, time_column
from queries.access import KINDS, READS_PROMPTS, ROLES, Kind, Role, Rule, checked, first_administrators
from queries.access_book import AccessBook, NoRules, RuleFile, Rules, RuleTable
from queries.catalog import tenants
from queries.errors import ArgumentError, UsageDashboardError
from queries.runner import Context
from queries.scope import Scope

_Card = Literal["give", "rows"]
# A list to choose from; ids of others can be typed.
LISTED_TENANTS = 1_000
KIND_NAMES: Mapping[Kind, str] = {"email": "E-mail address", "domain": "Domain", "group": "Group"}
_LIKE = {"email": "ada@example.com", "domain": "example.com", "group": "As the claim names it"}
_PAGER = "access_page"
# What became of the last click is said below the button, in the card that it is in: above, it would move the button
# away from the next click when it goes.
_SAID = "access_said"
# What fits into the column, alone and together with how many more there are; a click on the row names all.
_MOST_NAMED, _LONGEST_ALONE, _LONGEST_NAME = 1, 24, 15
_ALL, _SOME = "All tenants", "Some tenants"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one run of the page shows."""

    board: Board
    rules: Sequence[Rule]
    table: RuleTable | None
    names: Mapping[str, str]
    kinds: Sequence[Kind]


def open_access(board: Board) -> Shown:
    """Read the rules and the tenants' names. The run ends when they cannot be read."""
    services = current()
    source = _source(services)
    try:
        admission = services.admission
        rules = admission.book.rules() if admission is not None else (*_always(services), *source.read())
        asked = tenants.tenant_choices(board.viewer.scope, search="", limit=LISTED_TENANTS)
        frame = board.run(asked).frame
        known = dict(zip(frame["tenant_id"], frame["tenant"], strict=True))
        given = {one for rule in rules for one in rule.tenants or ()}
        known |= names.of_tenants(given - known.keys(), _context(board.viewer))
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    board.corner.caption(words.plain(f"as of {words.clock(datetime.now(UTC), board.zone)}"))
    _notes(services, source)
    return Shown(board, rules, source if isinstance(source, RuleTable) else None, known, _kinds(services))


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
            _frame(rules, shown.names),
            columns=_columns(shown.board.zone),
            # Another table once a row has come or gone: what was chosen is not the row that took its place.
            key=f"access_rules_{first}_{len(shown.rules)}_{max(one.id or 0 for one in shown.rules)}",
            alt="Roles by address, domain and group, with tenants, prompts, when and by whom",
        )
        pager(len(shown.rules), "row", _PAGER)
        st.caption("Somebody whom several rows match has all of their roles. A change counts within a minute.")
        if row is not None:
            _one(shown, rules[row])
        _say("rows")


def giving(shown: Shown, place: Any) -> None:
    """The form that gives a role."""
    with place, st.container(border=True):
        st.header("Give a role", anchor=False)
        if shown.table is None:
            st.caption(_why_not(_source(current())))
            return
        kind = st.selectbox("To", shown.kinds, format_func=lambda one: KIND_NAMES[one], key="access_kind")
        role = st.selectbox("Role", ROLES, format_func=lambda one: viewer.ROLE_NAMES[one], key="access_role")
        some = _whose(role, key="access_new")
        # In a form, what is typed goes along with the click that sends it. A field of its own would run the page when
        # it is left, while the mouse is down on the button.
        with st.form("access_form", border=False, enter_to_submit=False):
            st.text_input(KIND_NAMES[kind], key="access_subject", max_chars=254, placeholder=_LIKE[kind])
            _rights(shown, role, key="access_new", some=some)
            st.form_submit_button("Give the role", on_click=_give, args=(shown.table,), key="access_give")
        _say("give")


def _one(shown: Shown, rule: Rule) -> None:
    """One rule, to change or to take away."""
    who = f"{rule.subject}, {viewer.ROLE_NAMES[rule.role].lower()}"
    st.subheader(words.plain(who), anchor=False)
    table = shown.table
    if table is None or rule.id is None:
        st.caption("This row is of the settings (ADMIN_EMAILS)." if table is not None else _why_not(_source(current())))
        return
    key = f"access_{rule.id}"
    _rights(shown, rule.role, key=key, some=_whose(rule.role, key=key, rule=rule), rule=rule)
    with st.container(horizontal=True, gap="small"):
        st.button("Save", key=f"{key}_save", on_click=_change, args=(table, rule, key))
        with st.popover("Remove", icon=":material/person_remove:", key=f"{key}_remove"):
            st.markdown(words.plain(f"{who}: gone within a minute, from open pages and files on their way too."))
            st.button("Remove this row", key=f"{key}_gone", on_click=_remove, args=(table, rule))


def _whose(role: Role, *, key: str, rule: Rule | None = None) -> bool:
    """Whether a rule is for some tenants only. Administrators have all."""
    if role == "admin":
        return False
    some = rule is not None and rule.tenants is not None
    return st.radio("Tenants", [_ALL, _SOME], index=int(some), key=f"{key}_which", horizontal=True) == _SOME


def _rights(shown: Shown, role: Role, *, key: str, some: bool, rule: Rule | None = None) -> None:
    """Which tenants, and whether prompts: what a rule gives beside its role."""
    if some:
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
        # Nothing of it is given to the next one unseen.
        empty = {"kind": KINDS[0], "role": ROLES[0], "subject": "", "new_which": _ALL, "new_prompts": False}
        kept.update({f"access_{name}": value for name, value in empty.items()} | {"access_new_tenants": []})
        return _told(by, auditing.ACCESS_GIVEN, rule, f"{rule.subject} is {viewer.ROLE_NAMES[rule.role].lower()} now.")

    _do(give, "give")


def _change(table: RuleTable, rule: Rule, key: str) -> None:
    def change(by: viewer.Viewer) -> str:
        assert rule.id is not None, "a row of the table has an id"
        wanted = _chosen(key)
        _check_tenants(checked(kind=rule.kind, subject=rule.subject, role=rule.role, **wanted))
        changed = table.change(rule.id, **wanted, by=by.name)
        return _told(by, auditing.ACCESS_CHANGED, changed, f"The role of {rule.subject} is changed.")

    _do(change, "rows")


def _remove(table: RuleTable, rule: Rule) -> None:
    def remove(by: viewer.Viewer) -> str:
        assert rule.id is not None, "a row of the table has an id"
        gone = table.remove(rule.id, others=len(current().settings.admin_emails))
        role = viewer.ROLE_NAMES[rule.role].lower()
        return _told(by, auditing.ACCESS_REMOVED, gone, f"{rule.subject} is no {role} any more.")

    _do(remove, "rows")


def _do(act: Callable[[viewer.Viewer], str], card: _Card) -> None:
    """A callback: who asks is read again, since rights may have gone."""
    try:
        by = viewer.viewer().at("access")
        st.session_state[_SAID] = (card, True, act(by))
    except UsageDashboardError as error:
        st.session_state[_SAID] = (card, False, words.sentence(error.message))
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
    found = names.of_tenants(rule.tenants, Context(Scope.of(rule.tenants), role="admin", page="access"))
    if unknown := [one for one in rule.tenants if one not in found]:
        raise ArgumentError(f"there is no tenant {unknown[0][:60]!r}; choose one from the list")


def _say(card: _Card) -> None:
    if st.session_state.get(_SAID, ("",))[0] == card:
        _, is_done, text = st.session_state.pop(_SAID)
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


def _kinds(services: Services) -> Sequence[Kind]:
    """What a role can be given to. Behind a proxy nobody has a group."""
    is_header = services.admission is not None and services.admission.mode == "header"
    return [one for one in KINDS if one != "group" or not is_header]


def _context(who: viewer.Viewer) -> Context:
    return Context(who.scope, role=who.role, page="access")


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


def _frame(rules: Sequence[Rule], known: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": [_subject(one) for one in rules],
            "role": [viewer.ROLE_NAMES[one.role] for one in rules],
            "tenants": [_tenants(one, known) for one in rules],
            "prompts": ["Yes" if one.grant.may_read_prompts else "" for one in rules],
            "created_at": pd.Series([one.created_at for one in rules], dtype="datetime64[us, UTC]"),
            "created_by": [words.one_line(one.created_by) if one.created_by else "file" for one in rules],
        }
    )


def _subject(rule: Rule) -> str:
    """An address as it is; "Domain example.com", "Group finance-team"."""
    kind = "" if rule.kind == "email" else f"{KIND_NAMES[rule.kind]} "
    return f"{kind}{words.one_line(rule.subject)}"


def _tenants(rule: Rule, known: Mapping[str, str]) -> str:
    if rule.tenants is None:
        return "All"
    characters = _LONGEST_ALONE if len(rule.tenants) <= _MOST_NAMED else _LONGEST_NAME
    return names.listed(rule.tenants, known, most=_MOST_NAMED, characters=characters)


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "subject": config.TextColumn("Who", pinned=True, width=165),
        "role": config.TextColumn("Role", width=112),
        "tenants": config.TextColumn("Tenants", width=172),
        "prompts": config.TextColumn("Prompts", width=62, help="Whether prompts and images may be read."),
        "created_at": time_column("Since", zone, form=DAY, width=88),
        "created_by": config.TextColumn("Given by", width=145),
    }
