"""The page Access: giving roles, changing and taking them away, and what it says of somebody."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from dashboard import access, names, services, viewer, words
from dashboard.admission import Admission, Oidc, Provider
from queries.access import Identity, Rule, first_administrators
from queries.access_book import AccessBook, NoRules, RuleFile, RuleTable
from queries.catalog import tenants
from queries.database import driver_url
from queries.errors import ArgumentError, NotFoundError
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.dashboard.conftest import DEMO_NOW, ROOT, SECONDS, said_by
from tests.dashboard.test_entrance import ORIGIN, Written, user
from tests.signing.cookies import SECRET
from tests.signing.provider import CLIENT_ID

ADMIN = "admin@example.com"


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def held(
    server: Any, database_name: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> Iterator[services.Services]:
    """A database of the test's own, where people sign in."""
    settings = Settings(
        database_url=server.url(database_name, "usage_dashboard_reader"),
        direct_url=server.url(database_name, "usage_dashboard_owner"),
        admin_emails=ADMIN,  # type: ignore[arg-type]  # read from a text
    )
    built = services.build(settings, is_demo=True, dataset="demo")
    oidc = Oidc(ORIGIN, (Provider("default", CLIENT_ID),), SECRET)
    assert built.database.owner is not None
    book = AccessBook(RuleTable(built.database.owner), first_administrators((ADMIN,)), remembers_s=60)
    found = replace(built, admission=Admission("oidc", book, 3600.0 * 12, read_oidc=lambda: oidc), audit=written)
    before = services.installed()
    services.install(found)
    monkeypatch.setattr("dashboard.filters.utc_now", lambda: DEMO_NOW)
    monkeypatch.setattr(type(viewer.st.context), "headers", {"Origin": ORIGIN})
    monkeypatch.chdir(ROOT)
    yield found
    services.install(before)
    built.close()


@pytest.fixture
def table(held: services.Services) -> RuleTable:
    assert held.admission is not None
    source = held.admission.book.source
    assert isinstance(source, RuleTable)
    return source


Open = Callable[..., AppTest]


@pytest.fixture
def open_page(held: services.Services) -> Open:
    def opened(email: str = ADMIN) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=SECONDS)
        app.user = user(email)
        app.session_state["visit"] = viewer.Visit()
        with pytest.MonkeyPatch.context() as patch:  # Streamlit learns of the pages by a run
            patch.setitem(viewer.OPENS, "tenants", frozenset())
            app.run()
        app.switch_page("../pages/access.py")
        return app.run()

    return opened


def plain(app: AppTest) -> str:
    said = [*said_by(app).split("\n"), *(str(one.value) for one in app.success)]
    return "\n".join(said).replace("\\", "").replace("\u2060", "")


def press(app: AppTest, label: str) -> AppTest:
    return next(one for one in app.button if one.label == label).click().run()


def give(
    app: AppTest, subject: str, *, kind: str = "email", role: str = "account_manager", some: Sequence[str] = ()
) -> AppTest:
    app.selectbox(key="access_kind").set_value(kind)
    app.selectbox(key="access_role").set_value(role)
    app.run()
    if some:
        app.radio(key="access_new_which").set_value("Some tenants").run()
        app.multiselect(key="access_new_tenants").set_value(list(some))
        app.checkbox(key="access_new_prompts").set_value(True)
    app.text_input(key="access_subject").set_value(subject)
    return press(app, "Give the role")


def test_an_administrator_gives_a_role_and_it_is_written_down(
    open_page: Open, table: RuleTable, written: Written
) -> None:
    app = give(open_page(), " Grace@Example.com\u2060")
    assert not app.exception
    assert "grace@example.com is account manager now." in plain(app)
    (rule,) = table.read()
    assert rule == Rule("email", "grace@example.com", "account_manager")
    assert rule.created_by == ADMIN
    assert written.lines[-1] == (
        ADMIN,
        "admin",
        "access given",
        {"kind": "email", "subject": "grace@example.com", "role": "account_manager", "tenants": "all", "prompts": "no"},
    )
    shown = app.dataframe[0].value
    assert list(shown["subject"]) == [ADMIN, "grace@example.com"]


@pytest.mark.parametrize(
    ("subject", "kind", "said"),
    [
        ("grace", "email", "write it like ada@example.com"),
        ("gr\u0430ce@example.com", "email", "others may only look the same"),
        ("gmail.com", "domain", "gives a mailbox to everybody"),
        ("", "group", "group is a name of 1 to 200 characters"),
    ],
)
def test_what_cannot_be_given_is_said(open_page: Open, table: RuleTable, subject: str, kind: str, said: str) -> None:
    app = give(open_page(), subject, kind=kind)
    assert not app.exception
    assert said in plain(app)
    assert table.read() == []
    assert app.text_input(key="access_subject").value == subject, "so that it can be corrected"


def test_tenants_and_prompts_are_given_row_by_row(open_page: Open, held: services.Services, table: RuleTable) -> None:
    ids = _ids(held)
    app = give(open_page(), "grace@example.com", some=ids[:2])
    assert table.read() == [Rule("email", "grace@example.com", "account_manager", tuple(ids[:2]), True)]
    assert app.text_input(key="access_subject").value == ""
    assert app.radio(key="access_new_which").value == "All tenants"
    assert not app.checkbox(key="access_new_prompts").value, "the form is empty again"
    app.radio(key="access_new_which").set_value("Some tenants").run()
    assert app.multiselect(key="access_new_tenants").value == []
    app.radio(key="access_new_which").set_value("All tenants").run()
    app = give(app, "finance-team", kind="group", role="finance")
    assert table.read()[1].may_read_prompts is False, "a role that reads none gets none"
    app = give(app, "root@example.com", role="admin")
    assert table.read()[2] == Rule("email", "root@example.com", "admin"), (
        "nor does what was chosen for another role stay"
    )


def test_a_tenant_that_is_not_there_is_refused(open_page: Open, table: RuleTable) -> None:
    app = open_page()
    app.radio(key="access_new_which").set_value("Some tenants").run()
    app.session_state["access_new_tenants"] = ["org_of_a_typing_mistake"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "_chosen", lambda _: {"tenants": ["org_of_a_typing_mistake"], "may_read_prompts": False})
        app = give(app, "grace@example.com")
    assert "There is no tenant" in plain(app)
    assert table.read() == []


def test_a_row_is_changed_and_taken_away(open_page: Open, table: RuleTable, written: Written) -> None:
    made = table.add(Rule("email", "grace@example.com", "account_manager"), by="x")
    app = open_page()
    rule = table.read()[0]
    with pytest.MonkeyPatch.context() as patch:
        _pressing(patch, app)
        app.session_state[f"access_{made}_prompts"] = True
        access._change(table, rule, f"access_{made}")
        assert table.read()[0].may_read_prompts
        access._remove(table, rule)
        assert table.read() == []
        access._remove(table, rule)
    assert [one[2] for one in written.lines] == ["sign-in", "access changed", "access removed"]
    assert "not there any more" in app.session_state["access_said"][2]


def test_who_is_no_administrator_any_more_changes_nothing(
    open_page: Open, held: services.Services, table: RuleTable, written: Written
) -> None:
    made = table.add(Rule("email", "grace@example.com", "admin"), by="x")
    rule = table.read()[0]
    app = open_page("grace@example.com")
    table.remove(made, others=1)
    assert held.admission is not None
    held.admission.book.forget()
    table.add(Rule("email", "eve@example.com", "engineer"), by="x")
    (eves,) = table.read()
    app.session_state["access_kind"], app.session_state["access_role"] = "email", "admin"
    app.session_state["access_subject"] = "grace@example.com"
    with pytest.MonkeyPatch.context() as patch:
        _pressing(patch, app, "grace@example.com")
        access._give(table)
        access._change(table, eves, f"access_{eves.id}")
        access._remove(table, eves)
        access._remove(table, rule)
    assert table.read() == [eves]
    assert [one[2] for one in written.lines] == ["sign-in"]
    app.run()
    assert [one.value for one in app.title] == ["No role yet"]


def _pressing(patch: pytest.MonkeyPatch, app: AppTest, email: str = ADMIN) -> None:
    """Callbacks run as of a click in this session."""
    patch.setattr(access.st, "session_state", app.session_state)
    patch.setattr(type(viewer.st.user), "to_dict", lambda _: user(email))


def test_what_somebody_may_do_is_said(open_page: Open, held: services.Services, table: RuleTable) -> None:
    ids = _ids(held)
    table.add(Rule("email", "grace@example.com", "account_manager", (ids[0],), may_read_prompts=True), by="x")
    table.add(Rule("group", "money", "finance"), by="x")
    app = open_page()
    app.text_input(key="access_look_email").set_value("GRACE@example.com").run()
    said = plain(app)
    assert "**Roles:** Account manager (by e-mail address grace@example.com)" in said
    assert "**Pages:** Tenants, Tenant, Credit burn, Timelines, Exports" in said
    assert "**Files:** Tenants" in said
    assert "**Prompts and images:** of " in said
    assert "hidden where others of their tenants" not in said
    app.text_input(key="access_look_groups").set_value("money, other").run()
    said = plain(app)
    assert "Finance (by group money)" in said
    assert "Finance: all tenants" in said
    assert "hidden where others of their tenants" in said
    app.text_input(key="access_look_groups").set_value("").run()
    app.text_input(key="access_look_email").set_value("nobody@example.com").run()
    assert "No role" in plain(app)
    app.text_input(key="access_look_email").set_value("nobody").run()
    assert "no e-mail address of ASCII letters" in plain(app)


def test_a_name_that_is_markup_stays_a_name(open_page: Open, table: RuleTable) -> None:
    name = ":red[x] **y** [z](https://evil.org) $e$"
    table.add(Rule("group", name, "finance"), by="x")
    app = open_page()
    app.text_input(key="access_look_groups").set_value(name).run()
    assert not app.exception
    assert name in plain(app)
    assert not any("[z](" in str(one.value) for one in app.markdown)


def test_many_rows_come_in_pages(open_page: Open, table: RuleTable) -> None:
    for number in range(30):
        table.add(Rule("email", f"a{number}@example.com", "engineer"), by="x")
    app = open_page()
    assert len(app.dataframe[0].value) == 25
    app.query_params["access_page"] = "2"
    app = app.run()
    assert "1 to 25 of 31 rows" in plain(app) or "26 to 31 of 31 rows" in plain(app)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tenants_of_a_row_are_named(open_page: Open, held: services.Services, table: RuleTable, count: int) -> None:
    ids = _ids(held)[:count]
    table.add(Rule("email", "grace@example.com", "account_manager", tuple(ids)), by="x")
    known = names.of_tenants(ids, Context(Scope.all_tenants()))
    table.add(Rule("domain", "example.org", "engineer"), by="x")
    rows = open_page().dataframe[0].value
    assert rows["subject"].tolist() == [ADMIN, "grace@example.com", "Domain example.org"]
    shown = rows["tenants"].tolist()
    assert (shown[0], shown[2]) == ("All", "All")
    assert shown[1].startswith(words.shortened(known[ids[0]], 24 if count == 1 else 15))
    assert shown[1].endswith(f" and {count - 1} more") == (count > 1)


def test_behind_a_proxy_no_role_is_given_to_a_group(
    open_page: Open, held: services.Services, table: RuleTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_page().selectbox(key="access_kind").options == ["E-mail address", "Domain", "Group"]
    assert held.admission is not None
    admission = replace(held.admission, mode="header")
    services.install(replace(held, admission=admission))
    monkeypatch.setattr(Admission, "of_user", lambda *_: Identity(key=ADMIN, email=ADMIN))
    app = open_page()
    assert app.selectbox(key="access_kind").options == ["E-mail address", "Domain"]
    assert "Groups" not in [one.label for one in app.text_input]


def test_a_file_of_roles_is_shown_and_not_written(open_page: Open, held: services.Services, tmp_path: Any) -> None:
    path = tmp_path / "roles.toml"
    path.write_text('[[access]]\nemail = "admin@example.com"\nrole = "admin"\n', encoding="utf-8")
    assert held.admission is not None
    book = AccessBook(RuleFile(path), remembers_s=60)
    services.install(replace(held, admission=replace(held.admission, book=book)))
    app = open_page()
    assert not app.exception
    assert "Roles are kept in the file roles.toml" in plain(app)
    assert "Give the role" not in [one.label for one in app.button]
    assert str(tmp_path) not in plain(app)


def test_without_sign_in_rows_can_be_made_ready(held: services.Services, open_page: Open, table: RuleTable) -> None:
    services.install(replace(held, admission=None, is_demo=False))
    app = give(open_page(), "grace@example.com", role="admin")
    assert "count once sign-in is on" in plain(app)
    assert table.read() == [Rule("email", "grace@example.com", "admin")]
    assert isinstance(access._source(replace(held, admission=None, settings=Settings())), RuleTable)


def test_nobody_but_administrators_opens_it(open_page: Open, held: services.Services, table: RuleTable) -> None:
    for role in ("account_manager", "engineer", "finance"):
        table.add(Rule("email", f"{role}@example.com", role), by="x")  # type: ignore[arg-type]  # a role
        assert held.admission is not None
        held.admission.book.forget()
        assert [one.value for one in open_page(f"{role}@example.com").title] == ["Not for your role"]


def test_the_last_administrator_is_not_taken_away_by_mistake(held: services.Services, table: RuleTable) -> None:
    made = table.add(Rule("email", "root@example.com", "admin"), by="x")
    assert NoRules().read() == []
    engine = sa.create_engine(driver_url(held.settings.direct_url.get_secret_value()), poolclass=sa.NullPool)  # type: ignore[union-attr]
    with pytest.raises(ArgumentError, match="last administrator"):
        RuleTable(engine).remove(made)
    engine.dispose()
    with pytest.raises(NotFoundError):
        table.remove(made + 1)


def _ids(held: services.Services) -> list[str]:
    everybody = Scope.all_tenants()
    frame = held.runner.run(tenants.tenant_choices(everybody, search="", limit=50), Context(everybody)).frame
    return sorted(frame["tenant_id"])
