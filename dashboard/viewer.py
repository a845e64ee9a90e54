"""Who is looking, what they may open and read, and whether they are still there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType

from dashboard.admission import Admission
from dashboard.browser import this_browser
from dashboard.handed_out import HANDED_OUT
from dashboard.services import Services, current, installed
from queries.access import READS_PROMPTS, ROLES, Grant, Identity, Role, united
from queries.catalog import tenants
from queries.errors import NotFoundError, UsageDashboardError
from queries.runner import Context
from queries.scope import Scope

__all__ = ["READS_PROMPTS", "ROLES", "Role", "Scope"]

ROLE_NAMES: dict[Role, str] = {
    "account_manager": "Account manager",
    "engineer": "Engineer",
    "finance": "Finance",
    "admin": "Administrator",
}
_DEMO_NAMES: dict[Role, str] = {
    "account_manager": "Ada Accounts",
    "engineer": "Emil Engine",
    "finance": "Fatima Finance",
    "admin": "Demo visitor",
}

ROLE_KEY = "viewer_role"

EVERYBODY = frozenset(ROLES)
OPENS: dict[str, frozenset[Role]] = {
    "tenants": EVERYBODY,
    "tenant": EVERYBODY,
    "burn": EVERYBODY,
    "timelines": EVERYBODY,
    "performance": frozenset({"engineer", "admin"}),
    "indexes": frozenset({"engineer", "admin"}),
    "plan": frozenset({"engineer", "admin"}),
    "statements": frozenset({"finance", "admin"}),
    "exports": EVERYBODY,
    "audit": frozenset({"admin"}),
    "access": frozenset({"admin"}),
}
"""Which roles may open a page. A page that is not listed opens for nobody."""
_FINANCE: frozenset[Role] = frozenset({"finance", "admin"})
TAKES: dict[str, frozenset[Role]] = {
    "credit-statement": _FINANCE,
    "usage-lines": _FINANCE,
    "ledger": _FINANCE,
    "generations": _FINANCE,
    "tenants": frozenset({"account_manager", "finance", "admin"}),
    "query-log": frozenset({"engineer", "admin"}),
    "audit": frozenset({"admin"}),
}
"""Which roles may take a report along as a file. One that is not listed goes to nobody."""
READS_PLANS: frozenset[Role] = frozenset({"engineer", "admin"})
# Of somebody with several roles, the one that logs name; administrators are administrators first.
_PRIMARY: tuple[Role, ...] = ("admin", "engineer", "finance", "account_manager")

_DEMO_TENANTS = 1_000


@dataclass(frozen=True, slots=True)
class Viewer:
    """A name, a role, and the tenants whose rows may be read. Somebody with several roles has a `grant` for each, with
    its own tenants; `role` is the one that logs name, and `scope` all of their tenants."""

    name: str
    role: Role
    scope: Scope
    grants: tuple[Grant, ...] = ()
    identity: Identity | None = None

    @property
    def email(self) -> str:
        """The verified address that they signed in with; empty where nobody signs in, and without one."""
        return self.identity.email if self.identity is not None else ""

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(one.role for one in self._grants)

    @property
    def who(self) -> str:
        """What stands for this person at this sign-in in links to files; empty where nobody signs in."""
        return self.identity.digest if self.identity is not None else ""

    def may_open(self, page: str) -> bool:
        return not self.roles.isdisjoint(OPENS.get(page, frozenset()))

    def may_take(self, report: str) -> bool:
        return not self.roles.isdisjoint(TAKES.get(report, frozenset()))

    @property
    def may_read_plans(self) -> bool:
        return not self.roles.isdisjoint(READS_PLANS)

    @property
    def may_read_prompts(self) -> bool:
        """Whether prompts and images of every tenant in `scope` may be read."""
        return self.reads_prompts_of(self.scope)

    def reads_prompts_of(self, scope: Scope) -> bool:
        """Whether prompts and images of all these tenants may be read: a right of its own beside a role's."""
        readable = [one.scope for one in self._grants if one.may_read_prompts]
        return bool(readable) and united(readable).covers(scope)

    def at(self, page: str) -> Viewer:
        """Who they are on this page: with the roles that open it, and the tenants that these have."""
        return self._with(OPENS.get(page, frozenset()))

    def taking(self, report: str) -> Viewer:
        """Who they are to this report: with the roles that may take it along, and the tenants that these have."""
        return self._with(TAKES.get(report, frozenset()))

    def _with(self, roles: frozenset[Role]) -> Viewer:
        """NotFoundError when none of these roles is theirs."""
        kept = tuple(one for one in self._grants if one.role in roles)
        if not kept:
            raise NotFoundError("this is not open to your role; choose another page from the sidebar")
        if len(kept) == len(self._grants):
            return self
        return replace(self, role=_primary(kept), scope=united(one.scope for one in kept), grants=kept)

    @property
    def _grants(self) -> tuple[Grant, ...]:
        return self.grants or (Grant(self.role, self.scope, self.role in READS_PROMPTS),)


@dataclass(slots=True)
class Visit:
    """What a session keeps between runs: which page run is the newest one, and whose looks at which tenants the audit
    has heard of."""

    run_id: str = ""
    pages_drawn: set[str] = field(default_factory=set)
    tenants_opened: set[tuple[str, str, str]] = field(default_factory=set)


class SessionReader:
    """The person behind one page run, as the runner's watchdog sees them from its own thread."""

    def __init__(
        self, visit: Visit, run_id: str, *, is_connected: Callable[[], bool], requests: ScriptRequests | None
    ) -> None:
        self._visit, self._run_id, self._is_connected, self._requests = visit, run_id, is_connected, requests

    def gone(self) -> bool:
        """True when the session has ended, or a newer run of the page has begun or is asked for."""
        if self._visit.run_id != self._run_id or not self._is_connected():
            return True
        return self._requests is not None and _asks_for_another_run(self._requests)


def begin_run() -> tuple[Visit, SessionReader]:
    """Start a page run of this session, in the script's thread; readers of earlier runs are gone from now on."""
    visit: Visit = st.session_state.setdefault("visit", Visit())
    visit.run_id = secrets.token_hex(4)
    return visit, _reader(visit)


def fragment_reader() -> SessionReader:
    """The reader of a fragment that runs by itself, in its own run of the script: the reader of the page's run has
    gone when that run ended. A newer run of the page, and the session's end, end this one too."""
    return _reader(st.session_state.setdefault("visit", Visit()))


def _reader(visit: Visit) -> SessionReader:
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return SessionReader(visit, visit.run_id, is_connected=lambda: True, requests=None)
    session_id, running = context.session_id, runtime.get_instance()
    return SessionReader(
        visit,
        visit.run_id,
        is_connected=lambda: running.is_active_session(session_id),
        requests=context.script_requests,
    )


def role() -> Role:
    """The role that a visitor of the demo has chosen; without sign-in everybody else is an administrator."""
    if not current().is_demo:
        return "admin"
    chosen = st.session_state.get(ROLE_KEY, "admin")
    return chosen if chosen in ROLES else "admin"


def viewer() -> Viewer:
    """Who is looking, read again at each run. NotFoundError for somebody without a role, and another error of
    queries.errors when their roles or tenants cannot be read."""
    services = current()
    if services.admission is None:
        return viewer_of(services, role())
    who = here(services.admission)
    if who is None:
        raise NotFoundError("nobody is signed in here any more; load the page again")
    return signed_in(services.admission, who)


def role_names() -> str:
    """The roles of who is looking, in words."""
    if current().admission is None:
        return ROLE_NAMES[role()]
    roles = viewer().roles
    return " and ".join(ROLE_NAMES[one] for one in ROLES if one in roles)


def may_open(page: str) -> bool:
    """Whether who is looking may open this page."""
    services = current()
    if services.admission is None:
        return role() in OPENS.get(page, frozenset())
    try:
        return viewer().may_open(page)
    except UsageDashboardError:
        return False


def here(admission: Admission) -> Identity | None:
    """Who has signed in in this session; None for nobody, and for somebody who has signed out since. An error of
    queries.errors when that cannot be known."""
    who = admission.of_user(st.user.to_dict(), st.context.headers.get("Origin"))
    return who if who is not None and admission.is_signed_in(who) else None


def signed_in(admission: Admission, who: Identity) -> Viewer:
    """Somebody who has signed in, with the roles that they have now. NotFoundError without any."""
    grants = admission.grants(who)
    if not grants:
        raise NotFoundError("you have no role here any more; load the page again")
    return Viewer(who.name, _primary(grants), united(one.scope for one in grants), grants, who)


def viewer_of(services: Services, who: str, identity: Identity | None = None) -> Viewer:
    """Somebody of this role, with the tenants that the role may read now; where people sign in, this person, whatever
    their role was. NotFoundError for nobody."""
    if services.admission is not None:
        if identity is None:
            raise NotFoundError("nobody is signed in; load the page again")
        return signed_in(services.admission, identity)
    known = next((one for one in ROLES if one == who), None)
    if known is None:
        raise NotFoundError("this role is not known; choose another page from the sidebar")
    return Viewer(_name(services, known), known, viewer_scope(services, known))


def same_rights(then: Viewer, page: str) -> None:
    """Where people sign in: NotFoundError unless they may still see what they were shown on this page. From any
    thread."""
    services = installed()
    if services is None or services.admission is None:
        return
    now = viewer_of(services, then.role, then.identity).at(page)
    kept = all(now.reads_prompts_of(one.scope) for one in then.grants if one.may_read_prompts)
    if not now.scope.covers(then.scope) or not kept:
        raise NotFoundError("this is not open to you any more; load the page again")


def while_permitted(who: Viewer, page: str, make: Callable[[], bytes]) -> Callable[[], bytes]:
    """The same, for who may still see the page when it is called: a click on a file is no run of the page."""

    def made() -> bytes:
        same_rights(who, page)
        data = make()
        if who.identity is not None:
            HANDED_OUT.add(data, who.who)
        return data

    return made


def hidden_prompts() -> str:
    """Why prompts are not shown to who is looking."""
    if current().admission is None:
        return f"hidden for the role {ROLE_NAMES[role()].lower()}"
    if not any(one.may_read_prompts for one in viewer().grants):
        return "hidden: reading them is a right of its own, which nobody has given you"
    return "hidden: reading them is a right of its own, and yours does not cover all tenants that are shown here"


def _name(services: Services, who: Role) -> str:
    return _DEMO_NAMES[who] if services.is_demo else "Everybody at this address"


def _primary(grants: Sequence[Grant]) -> Role:
    return min((one.role for one in grants), key=_PRIMARY.index)


def own_scope(who: Viewer) -> Scope | None:
    """The tenants that are the viewer's own to look after; None when none are assigned. On the demo its visitor looks
    after the same tenants as the account manager. DatabaseError when they cannot be read."""
    own = [one.scope for one in who.grants if one.role == "account_manager"]
    if own:
        return united(own)
    if who.role == "account_manager":
        return who.scope
    services = current()
    is_visitor = services.is_demo and services.admission is None and who.role == "admin"
    return viewer_scope(services, "account_manager") if is_visitor else None


def viewer_scope(services: Services, who: Role) -> Scope:
    """Whose rows a role may read. On the demo an account manager looks after the first half of the tenants by id."""
    everybody = Scope.all_tenants()
    if not services.is_demo or who != "account_manager":
        return everybody
    choices = tenants.tenant_choices(everybody, search="", limit=_DEMO_TENANTS)
    frame = services.runner.run(choices, Context(everybody, role=who, page="viewer")).frame
    ids = sorted(frame["tenant_id"].tolist())
    return Scope.of(ids[: (len(ids) + 1) // 2])


def switch() -> None:
    """The viewer's name and, on the demo, the role switcher: the bottom of the sidebar."""
    services = current()
    with st.sidebar:
        if services.is_demo:
            st.selectbox(
                "Look as",
                ROLES,
                index=ROLES.index("admin"),
                format_func=lambda one: ROLE_NAMES[one],
                key=ROLE_KEY,
                persist_state="session",
                on_change=sign_out,
                help="The demo lets you look as any role. With sign-in, roles come from the page Access.",
            )
        who = role()
        st.caption(f"{_name(services, who)} · {ROLE_NAMES[who]}")


def sign_out() -> None:
    """Somebody else looks from now on: the files that this browser asked for end, and no link to one that it was given
    is good any more. A callback."""
    browser = this_browser()
    if browser is not None:
        current().exporter.sign_out(browser)


def _asks_for_another_run(requests: ScriptRequests) -> bool:
    # Streamlit has no public way to ask; without its lock, so that a busy session never holds up the watchdog.
    if requests._state is ScriptRequestType.STOP:
        return True
    if requests._state is not ScriptRequestType.RERUN:
        return False
    asked = requests._rerun_data
    # A fragment's own rerun waits for the running page and does not end it.
    return not asked.fragment_id_queue or asked.is_fragment_scoped_rerun
