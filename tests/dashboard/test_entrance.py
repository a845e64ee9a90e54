"""The door: what somebody sees who has not signed in or has no role, and what becomes of a page when roles change."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import fragments, places, services, viewer
from dashboard.admission import Admission, Oidc, Provider
from dashboard.viewer import Viewer
from queries.access import Grant, Identity, Rule
from queries.access_book import AccessBook, NoRules
from queries.catalog import tenants
from queries.errors import DatabaseUnavailableError, NotFoundError
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import ROOT, SECONDS, said_by
from tests.signing.cookies import SECRET, claims_of
from tests.signing.provider import CLIENT_ID

ORIGIN = "https://dashboard.example.com"
ALL = Scope.all_tenants()


class Roles(NoRules):
    """Rules that a test changes."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.error: Exception | None = None

    def read(self) -> list[Rule]:
        if self.error is not None:
            raise self.error
        return list(self.rules)


class Written:
    """What was written down, all of it."""

    dropped = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, dict[str, str]]] = []

    def record(self, who: str, role: str, action: str, subject: Any) -> None:
        self.lines.append((who, role, action, dict(subject)))


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def signing_in(
    demo: services.Services, roles: Roles, written: Written, monkeypatch: Any
) -> Iterator[services.Services]:
    """The demo's services, where people sign in."""
    oidc = Oidc(ORIGIN, (Provider("google", CLIENT_ID), Provider("default", CLIENT_ID)), SECRET)
    book = AccessBook(roles, remembers_s=3600, clock=lambda: 0.0)
    admission = Admission("oidc", book, 12 * 3600.0, contact="Olga in Operations", read_oidc=lambda: oidc)
    held = replace(demo, admission=admission, audit=written)
    services.install(held)
    monkeypatch.setattr(type(viewer.st.context), "headers", {"Origin": ORIGIN})
    yield held
    services.install(demo)


Open = Callable[..., AppTest]


@pytest.fixture
def open_as(signing_in: services.Services) -> Open:
    def opened(email: str | None, page: str = "", **claims: Any) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=SECONDS)
        if email is not None:
            app.user = user(email, **claims)
        if page:
            app.run()  # Streamlit learns of the pages by a run
            app.switch_page(f"../pages/{page}.py")
        return app.run()

    return opened


def user(email: str, **claims: Any) -> dict[str, Any]:
    return {**claims_of(email, **claims), "is_logged_in": True, "provider": "default", "tokens": {}}


def titles(app: AppTest) -> list[str]:
    return [one.value for one in app.title]


def again(signing_in: services.Services) -> None:
    assert signing_in.admission is not None
    signing_in.admission.book.forget()


def test_nobody_is_asked_to_sign_in_with_any_provider(open_as: Open) -> None:
    for app in (open_as(None), open_as("ada@example.com", aud="another")):
        assert not app.exception
        assert titles(app) == ["Usage dashboard"]
        assert [one.label for one in app.button] == ["Sign in with Google", "Sign in with your company account"]
        assert "ask Olga in Operations" in said_by(app)
        assert "Look as" not in [one.label for one in app.selectbox]


def test_without_a_role_one_is_told_whom_to_ask_and_under_which_name(open_as: Open, written: Written) -> None:
    app = open_as("ada@example.com")
    assert titles(app) == ["No role yet"]
    said = said_by(app).replace("\\", "").replace("\u2060", "")
    assert [one.value for one in app.code] == ["ada@example.com"]
    assert "Ask Olga in Operations for one" in said
    assert "Sign out" in said
    assert "not verified" not in said
    app.run()
    assert [one[2] for one in written.lines] == ["refused"]
    assert "not verified" in said_by(open_as("eve@example.com", email_verified=False))


def test_a_role_counts_at_the_next_run_and_so_does_its_end(
    open_as: Open, signing_in: services.Services, roles: Roles, written: Written
) -> None:
    app = open_as("ada@example.com")
    roles.rules.append(Rule("email", "ada@example.com", "engineer"))
    again(signing_in)
    assert titles(app.run()) == ["Tenants"]
    assert [one.label for one in app.sidebar.button] == ["Sign out"]
    assert "ada@example.com · Engineer" in said_by(app).replace("\\", "").replace("\u2060", "")
    assert [one[:3] for one in written.lines] == [
        ("ada@example.com", "", "refused"),
        ("ada@example.com", "engineer", "sign-in"),
    ]
    roles.rules.clear()
    again(signing_in)
    assert titles(app.run()) == ["No role yet"]
    assert not app.dataframe


def test_a_sign_in_is_written_down_once(open_as: Open, roles: Roles, written: Written) -> None:
    roles.rules.append(Rule("email", "ada@example.com", "engineer"))
    app = open_as("ada@example.com", "plan")
    app.run()
    open_as("ada@example.com", "plan")
    assert written.lines == [("ada@example.com", "engineer", "sign-in", {"roles": "engineer"})]


def test_another_role_in_mid_session_shows_what_it_may_and_nothing_else(
    open_as: Open, signing_in: services.Services, roles: Roles
) -> None:
    roles.rules.append(Rule("email", "ada@example.com", "engineer"))
    app = open_as("ada@example.com", "plan")
    assert titles(app) == ["Plan"]
    roles.rules[0] = Rule("email", "ada@example.com", "finance")
    again(signing_in)
    assert titles(app.run()) == ["Not for your role"]
    assert "open to the role Finance" in said_by(app)


def test_a_session_that_was_somebody_elses_keeps_nothing(open_as: Open, roles: Roles) -> None:
    roles.rules.append(Rule("domain", "example.com", "engineer"))
    app = open_as("ada@example.com", "plan")
    app.session_state["kept"] = "figures of Ada"
    app.run()
    assert app.session_state["kept"] == "figures of Ada"
    app.user = user("eve@example.com")
    app.run()
    assert "kept" not in app.session_state
    app.user = {}
    app.session_state["kept"] = "figures of Eve"
    app.run()
    assert "kept" not in app.session_state
    assert titles(app) == ["Usage dashboard"]


def test_when_roles_cannot_be_read_nobody_sees_anything(
    open_as: Open, signing_in: services.Services, roles: Roles
) -> None:
    roles.rules.append(Rule("email", "ada@example.com", "engineer"))
    app = open_as("ada@example.com", "plan")
    roles.error = DatabaseUnavailableError("the host db.internal does not answer")
    again(signing_in)
    app.run()
    assert not app.exception
    assert titles(app) == ["Usage dashboard"]
    said = said_by(app)
    assert "Nobody can be let in" in said
    assert "db.internal" not in said
    roles.error = None
    again(signing_in)
    assert titles(app.run()) == ["Plan"]


def test_signing_out_ends_the_sign_in_and_what_was_asked_for(
    open_as: Open, signing_in: services.Services, roles: Roles, written: Written
) -> None:
    roles.rules.append(Rule("email", "ada@example.com", "engineer"))
    app = open_as("ada@example.com", "plan", nonce="one")
    next(one for one in app.sidebar.button if one.label == "Sign out").click().run()
    assert titles(app) == ["Usage dashboard"]
    assert titles(open_as("ada@example.com", nonce="one")) == ["Usage dashboard"], "a copy of the cookie"
    assert titles(open_as("ada@example.com", "plan", nonce="two")) == ["Plan"]
    assert [one[2] for one in written.lines] == ["sign-in", "sign-out", "sign-in"]


def test_a_part_of_a_page_asks_again_who_looks(
    signing_in: services.Services, roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    who: list[Any] = [user("ada@example.com")]
    state: dict[str, Any] = {}
    monkeypatch.setattr(viewer.st, "session_state", state)
    monkeypatch.setattr(type(viewer.st.user), "to_dict", lambda _: dict(who[0]))
    roles.rules.append(Rule("email", "ada@example.com", "account_manager", ("a", "b"), may_read_prompts=True))
    assert not fragments.is_still_theirs(), "nothing is drawn yet"
    fragments.drawn_for(viewer.viewer())
    assert fragments.is_still_theirs()
    for changed in (
        [],
        [Rule("email", "ada@example.com", "account_manager", ("a",), may_read_prompts=True)],
        [Rule("email", "ada@example.com", "account_manager", ("a", "b"))],
        [Rule("email", "ada@example.com", "engineer")],
    ):
        kept, roles.rules[:] = list(roles.rules), changed
        again(signing_in)
        assert not fragments.is_still_theirs()
        roles.rules[:] = kept
        again(signing_in)
        assert fragments.is_still_theirs()
    who[0] = user("eve@example.com")
    assert not fragments.is_still_theirs()
    who[0] = {}
    assert not fragments.is_still_theirs()


def test_a_panels_file_is_made_for_who_may_still_see_the_page(signing_in: services.Services, roles: Roles) -> None:
    roles.rules.append(Rule("email", "ada@example.com", "account_manager", ("a", "b"), may_read_prompts=True))
    assert signing_in.admission is not None
    who = signing_in.admission.of_claims(user("ada@example.com"))
    assert who is not None
    shown = viewer.signed_in(signing_in.admission, who).at("tenant")
    make = viewer.while_permitted(shown, "tenant", lambda: b"credits")
    assert make() == b"credits"
    for changed in (
        [],
        [Rule("email", "ada@example.com", "account_manager", ("a",), may_read_prompts=True)],
        [Rule("email", "ada@example.com", "account_manager", ("a", "b"))],
    ):
        roles.rules[:] = changed
        again(signing_in)
        with pytest.raises(NotFoundError):
            make()
    roles.rules[:] = [Rule("email", "ada@example.com", "admin", may_read_prompts=True)]
    again(signing_in)
    assert make()
    signing_in.admission.book.end(who)
    with pytest.raises(NotFoundError):
        make()


def of(*grants: Grant) -> Viewer:
    return Viewer("ada@example.com", grants[0].role, viewer.united(one.scope for one in grants), grants)


def test_each_role_brings_its_own_tenants() -> None:
    both = of(Grant("account_manager", Scope.of("ab"), True), Grant("finance", Scope.of("c")))
    assert both.roles == {"account_manager", "finance"}
    assert both.at("tenant").scope == Scope.of("abc")
    assert both.at("statements").scope == Scope.of("c")
    assert both.taking("ledger").scope == Scope.of("c")
    assert both.taking("tenants").scope == Scope.of("abc")
    assert both.at("statements").role == "finance"
    for page in ("indexes", "access", "nowhere"):
        assert not both.may_open(page)
        with pytest.raises(NotFoundError):
            both.at(page)


@pytest.mark.parametrize(
    ("with_prompts", "why"),
    [(False, "which nobody has given you"), (True, "and yours does not cover all tenants that are shown here")],
)
def test_where_prompts_are_hidden_it_is_said_why(
    open_as: Open, roles: Roles, signing_in: services.Services, with_prompts: bool, why: str
) -> None:
    choices = tenants.tenant_choices(ALL, search="", limit=2)
    one, other = signing_in.runner.run(choices, Context(ALL)).frame["tenant_id"]
    roles.rules.append(Rule("email", "ada@example.com", "account_manager", (one,), with_prompts))
    roles.rules.append(Rule("domain", "example.com", "account_manager", (other,)))
    app = open_as("ada@example.com", "tenant")
    app.query_params.update({"tenant": other, "tab": "Generations"})
    app.run()
    assert f"Prompts and images are hidden: reading them is a right of its own, {why}." in said_by(app)


def test_prompts_are_read_where_every_tenant_shown_is_given_with_them() -> None:
    assert of(Grant("account_manager", Scope.of("ab"), True)).at("tenant").may_read_prompts
    assert not of(Grant("account_manager", Scope.of("ab"))).at("tenant").may_read_prompts
    mixed = of(Grant("account_manager", Scope.of("ab"), True), Grant("finance", ALL))
    assert not mixed.at("tenant").may_read_prompts
    assert not mixed.taking("generations").may_read_prompts
    assert mixed.at("tenant").reads_prompts_of(Scope.of("a")), "of one tenant that is given with them"
    assert not mixed.at("tenant").reads_prompts_of(Scope.of("c"))
    assert not mixed.taking("generations").reads_prompts_of(Scope.of("a")), "finance takes no prompts along"
    assert of(Grant("engineer", ALL), Grant("admin", ALL, True)).at("tenant").may_read_prompts
    assert not of(Grant("admin", ALL)).at("tenant").may_read_prompts


def test_somebody_with_several_roles_is_logged_as_the_first_of_them() -> None:
    roles = (Grant("account_manager", ALL), Grant("finance", ALL), Grant("engineer", ALL), Grant("admin", ALL))
    assert viewer._primary(roles) == "admin"
    assert viewer._primary(roles[:3]) == "engineer"
    assert viewer.own_scope(of(Grant("engineer", ALL), Grant("account_manager", Scope.of("a")))) == Scope.of("a")
    assert viewer.own_scope(of(Grant("account_manager", ALL))) == ALL


@pytest.mark.parametrize("role", viewer.ROLES)
def test_on_the_demo_and_without_sign_in_roles_are_what_they_were(demo: services.Services, role: Any) -> None:
    who = viewer.viewer_of(demo, role)
    assert (who.role, who.roles, who.who, who.email) == (role, {role}, "", "")
    assert who.may_read_prompts == (role in ("account_manager", "admin"))
    for place in places.PLACES:
        if who.may_open(place.name):
            assert who.at(place.name) == who


def test_a_job_of_nobody_is_nobodys(signing_in: services.Services) -> None:
    with pytest.raises(NotFoundError):
        viewer.viewer_of(signing_in, "admin")
    with pytest.raises(NotFoundError):
        viewer.viewer_of(signing_in, "admin", Identity("k", "ada@example.com", sign_in="s"))
