"""Who is looking, what they may open and read, and whether they are still there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType

from dashboard.browser import this_browser
from dashboard.services import Services, current
from queries.catalog import tenants
from queries.errors import NotFoundError
from queries.runner import Context
from queries.scope import Scope

Role = Literal["account_manager", "engineer", "finance", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
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
READS_PROMPTS: frozenset[Role] = frozenset({"account_manager", "admin"})

_DEMO_TENANTS = 1_000


@dataclass(frozen=True, slots=True)
class Viewer:
    """A name, a role, and the tenants whose rows may be read."""

    name: str
    role: Role
    scope: Scope

    def may_open(self, page: str) -> bool:
        return self.role in OPENS.get(page, frozenset())

    def may_take(self, report: str) -> bool:
        return self.role in TAKES.get(report, frozenset())

    @property
    def may_read_plans(self) -> bool:
        return self.role in READS_PLANS

    @property
    def may_read_prompts(self) -> bool:
        return self.role in READS_PROMPTS


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
    """The viewer's role. Only on the demo can it be chosen; without sign-in everybody is an administrator."""
    if not current().is_demo:
        return "admin"
    chosen = st.session_state.get(ROLE_KEY, "admin")
    return chosen if chosen in ROLES else "admin"


def viewer() -> Viewer:
    """Who is looking, read again at each run. DatabaseError when their tenants cannot be read."""
    return viewer_of(current(), role())


def viewer_of(services: Services, who: str) -> Viewer:
    """Somebody of this role, with the tenants that the role may read now. A role that is not one may nothing."""
    known = next((one for one in ROLES if one == who), None)
    if known is None:
        raise NotFoundError("this role is not known; choose another page from the sidebar")
    return Viewer(_name(services, known), known, viewer_scope(services, known))


def _name(services: Services, who: Role) -> str:
    return _DEMO_NAMES[who] if services.is_demo else "Everybody at this address"


def own_scope(who: Viewer) -> Scope | None:
    """The tenants that are the viewer's own to look after; None when none are assigned. On the demo its visitor looks
    after the same tenants as the account manager. DatabaseError when they cannot be read."""
    if who.role == "account_manager":
        return who.scope
    services = current()
    return viewer_scope(services, "account_manager") if services.is_demo and who.role == "admin" else None


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
                help="The demo lets you look as any role. With sign-in, roles come from your identity provider.",
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
