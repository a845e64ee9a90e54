"""What the dashboard writes into the audit, and the page that shows it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from dashboard import audit_words, auditing, names, services, viewer, words
from dashboard.browser import COOKIE
from dashboard.downloads import Downloads
from dashboard.viewer import Viewer
from queries import batches
from queries.audit import Audit, Recorded, Wanted
from queries.catalog import tenants
from queries.closing import ClosedMonth
from queries.exports.reports import Order
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import DEMO_NOW
from tests.dashboard.serving import WORD, until

MONTH = date(2026, 5, 1)


class CountingAudit(Audit):
    """One that knows how many records it was given."""

    given = 0

    def record(self, who: str, role: str, action: str, subject: Mapping[str, str]) -> None:
        super().record(who, role, action, subject)
        self.given += 1


@pytest.fixture
def demo(demo: services.Services, monkeypatch: pytest.MonkeyPatch) -> services.Services:
    """The demo with an audit that writes soon."""
    monkeypatch.setattr(batches, "BATCH_S", 0.02)
    monkeypatch.setattr(ContextProxy, "cookies", {COOKIE: WORD})
    assert demo.audit is not None
    demo.audit.stop(10)
    assert demo.database.owner is not None
    audit = CountingAudit(demo.database.owner)
    object.__setattr__(demo, "audit", audit)
    audit.start()
    return demo


@pytest.fixture
def since() -> datetime:
    return datetime.now(UTC)


def heard(held: services.Services, since: datetime, action: str = "") -> list[Recorded]:
    """What the audit has heard since then, oldest first, once all of it is written."""
    audit = held.audit
    assert isinstance(audit, CountingAudit)
    until(lambda: audit.written == audit.given, "the audit is written")
    return list(reversed(audit.page(Wanted(start=since, action=action), limit=200).rows))


def test_a_tenant_that_is_looked_at_is_written_down_once_for_a_session(
    demo: services.Services, open_app: Any, ids: list[str], since: datetime
) -> None:
    app: AppTest = open_app("tenant", tenant=ids[0])
    app.run()
    app.session_state["tenant"] = ids[1]
    app.query_params["tenant"] = ids[1]
    app.run()
    found = heard(demo, since, auditing.TENANT_OPENED)
    assert [one.subject for one in found] == [{"tenant": one, "page": "tenant"} for one in ids[:2]]
    assert {(one.who, one.role) for one in found} == {("Demo visitor", "admin")}
    open_app("tenant", tenant=ids[0])
    assert len(heard(demo, since, auditing.TENANT_OPENED)) == 3, "another session"


def test_pages_of_many_tenants_open_none(demo: services.Services, open_app: Any, since: datetime) -> None:
    for page in ("", "burn", "timelines"):
        open_app(page)
    assert [one.subject["page"] for one in heard(demo, since, auditing.TENANT_OPENED)] in ([], ["burn"])


def test_a_tenant_that_is_not_there_or_not_ones_own_is_not_opened(
    demo: services.Services, open_app: Any, ids: list[str], since: datetime
) -> None:
    foreign = sorted(set(ids) - set(viewer.viewer_scope(demo, "account_manager").ordered_ids))[0]
    open_app("tenant", tenant="nobody")
    open_app("tenant", role="account_manager", tenant=foreign)
    assert heard(demo, since, auditing.TENANT_OPENED) == []


def test_a_report_that_begins_is_written_down_with_its_filter(demo: services.Services, since: datetime) -> None:
    register = auditing.AuditedRegister(demo.export_register, demo.audit)
    scope = Scope.of(["org_b", "org_a"])
    order = Order.of_month("ledger", MONTH, scope=scope, zone="Asia/Kathmandu", now=DEMO_NOW, format="parquet")
    export_id = register.begin(order, by="Fatima Finance", role="finance")
    (one,) = heard(demo, since, auditing.EXPORT)
    assert (one.who, one.role) == ("Fatima Finance", "finance")
    told = {"report": "ledger", "tenants": "org_a, org_b", "from": "2026-05-01", "to": "2026-05-31"}
    assert one.subject.items() >= {**told, "zone": "Asia/Kathmandu", "format": "parquet", "export": export_id}.items()
    assert register.of(export_id).report == "ledger"


def test_the_exporter_of_the_services_tells_the_audit(demo: services.Services) -> None:
    assert isinstance(demo.exporter._register, auditing.AuditedRegister)
    assert auditing.tenants_named(None) == "all"
    assert auditing.tenants_named([f"{number:03}" for number in range(40)]).endswith("024 and 15 more")


def test_a_panels_rows_are_written_down_when_they_are_taken_and_not_before(
    demo: services.Services, open_app: Any, since: datetime
) -> None:
    open_app("")
    assert heard(demo, since, auditing.DOWNLOAD) == []
    who = Viewer("Ada", "finance", Scope.all_tenants())
    query = tenants.tenant_choices(who.scope, search="", limit=3)
    result = demo.runner.run(query, Context(who.scope))
    file = Downloads(who, "UTC", "tenants", "All tenants")._taken(result.frame, result.query)
    (one,) = heard(demo, since, auditing.DOWNLOAD)
    assert file.count(b"\r\n") == 4
    assert (one.who, one.subject["page"], one.subject["panel"], one.subject["rows"], one.subject["tenants"]) == (
        *("Ada", "tenants", "All tenants"),
        *("3", "all"),
    )


def test_a_month_is_written_down_when_it_is_closed_and_not_when_it_was(
    demo: services.Services, since: datetime
) -> None:
    made = ClosedMonth(MONTH, "UTC", DEMO_NOW, "Ada", DEMO_NOW, None, {})
    auditing.month_closed(demo.audit, "Ada", "finance", made, DEMO_NOW)
    auditing.month_closed(demo.audit, "Bob", "finance", made, DEMO_NOW + timedelta(days=1))
    assert [(one.who, one.subject) for one in heard(demo, since)] == [("Ada", {"month": "2026-05", "zone": "UTC"})]


def test_without_a_table_the_log_has_each_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    auditing.record(None, "Ada", "admin", auditing.EXPORT, {"report": "ledger"})
    assert "audit: Ada (admin): export {'report': 'ledger'}" in caplog.text


def test_the_page_shows_what_was_done_and_narrows_it(
    demo: services.Services, open_app: Any, texts: Any, since: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.filters.utc_now", lambda: datetime.now(UTC))
    assert demo.audit is not None
    hostile = "**Ada** <script>alert(1)</script>\n| x"
    demo.audit.record(hostile, "finance", auditing.EXPORT, {"report": "ledger", "tenants": "org_page_1"})
    demo.audit.record("Bob", "admin", auditing.ACCESS_GIVEN, {"to": "carol@example.com"})
    heard(demo, since)
    app: AppTest = open_app("audit", who="Bob")
    assert app.title[0].value == "Audit"
    assert app.dataframe[0].value["action"].tolist() == ["Gave access"]
    shown = open_app("audit", concerns="org_page_1").dataframe[0].value
    assert shown["who"].tolist() == ["**Ada** <script>alert(1)</script> | x"]
    assert shown["role"].tolist() == ["Finance"]
    assert shown["subject"].tolist() == ["Ledger, org_page_1"]
    assert list(shown) == ["at", "who", "action", "subject", "role"]
    nothing = texts(open_app("audit", concerns="no such thing"))
    assert "Nothing of this kind was done from" in nothing
    wrong = texts(open_app("audit", action="Flew away", audit_page="-1"))
    assert "action “Flew away” is not known" in wrong
    assert "page is not a number" in wrong


NAMES = {f"org_{number}": f"Tenant {number}" for number in range(40)} | {"org_odd": "<b>*Odd*</b>\n"}


@pytest.mark.parametrize(
    ("action", "subject", "said"),
    [
        (auditing.SIGN_IN, {"roles": "account_manager, finance"}, "as account manager, finance"),
        (auditing.SIGN_OUT, {}, ""),
        (auditing.REFUSED, {"reason": "no role"}, "no role"),
        (auditing.TENANT_OPENED, {"tenant": "org_1", "page": "burn"}, "Tenant 1, page Credit burn"),
        (auditing.TENANT_OPENED, {"tenant": "org_gone", "page": "x"}, "org_gone, page x"),
        (auditing.TENANT_OPENED, {"tenant": "org_odd", "page": "tenant"}, "<b>*Odd*</b>, page Tenant"),
        (
            auditing.EXPORT,
            {
                "report": "credit-statement",
                "from": "2026-05-01",
                "to": "2026-05-31",
                "zone": "Asia/Kathmandu",
                "format": "csv",
                "dialect": "excel",
                "guarded": "true",
                "tenants": "all",
                "export": "x1",
            },
            "Credit statement, 1 to 31 May 2026 (Asia/Kathmandu), all tenants, csv",
        ),
        (
            auditing.DOWNLOAD,
            {
                "page": "tenants",
                "panel": "",
                "question": "usage.totals",
                "rows": "1",
                "tenants": auditing.tenants_named(NAMES.keys() - {"org_odd"}),
            },
            "figures at the top, page Tenants, 1 row, Tenant 0, Tenant 1, Tenant 10 and 37 more",
        ),
        (auditing.MONTH_CLOSED, {"month": "2026-05", "zone": "UTC"}, "May 2026 (UTC)"),
        (auditing.MONTH_CLOSED, {"month": "soon"}, "Month soon"),
        (auditing.INDEX_MADE, {"index": "ix_a", "statement": "CREATE INDEX ix_a"}, "ix_a"),
        (
            auditing.ACCESS_GIVEN,
            {
                "kind": "email",
                "subject": "ada@example.com",
                "role": "account_manager",
                "tenants": "org_2, org_3",
                "prompts": "yes",
            },
            "ada@example.com, account manager for Tenant 2, Tenant 3, with prompts",
        ),
        ("of a later version", {"what": "x", "why": ""}, "What x"),
    ],
)
def test_a_record_is_told_in_words_and_in_full(action: str, subject: dict[str, str], said: str) -> None:
    one = Recorded(DEMO_NOW, "Ada", "admin", action, subject)
    assert audit_words.concerns(one, NAMES) == said
    told = dict(audit_words.in_full(subject, NAMES))
    assert len(told) == len(subject), "nothing is left out of the whole"
    written = audit_words.as_written(subject)
    assert all(value in written for value in subject.values())


@given(
    strategies.sampled_from([*auditing.ACTIONS, "flew"]),
    strategies.dictionaries(
        strategies.sampled_from(("tenant", "tenants", "page", "month", "from", "to", "role", "roles", "rows", "x")),
        strategies.text(max_size=60),
    ),
)
def test_whatever_was_written_down_can_be_told(action: str, subject: dict[str, str]) -> None:
    one = Recorded(DEMO_NOW, "Ada", "admin", action, subject)
    for said in (audit_words.concerns(one, NAMES), *(value for _, value in audit_words.in_full(subject, NAMES))):
        assert said == "" or said == words.one_line(said)
    assert all(audit_words.tenant_ids(subject))


def test_tenants_are_named_and_only_to_who_may_see_them(
    demo: services.Services, open_app: Any, ids: list[str], since: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.filters.utc_now", lambda: datetime.now(UTC))
    everybody = Context(Scope.all_tenants())
    (name,) = names.of_tenants([ids[0], "no_such"], everybody).values()
    assert names.of_tenants(ids[:2], Context(Scope.of([ids[1]]))).keys() == {ids[1]}
    assert demo.audit is not None
    demo.audit.record("Named", "admin", auditing.TENANT_OPENED, {"tenant": ids[0], "page": "tenant"})
    heard(demo, since)
    shown = open_app("audit", who="Named").dataframe[0].value
    assert shown["subject"].tolist() == [f"{words.one_line(name)}, page Tenant"]
    assert [one.who for one in heard(demo, since, auditing.TENANT_OPENED)] == ["Named"], (
        "to be named is not to be opened"
    )


@pytest.mark.parametrize("role", ["account_manager", "engineer", "finance"])
def test_nobody_but_an_administrator_opens_it(open_app: Any, texts: Any, role: str) -> None:
    said = texts(open_app("audit", role=role))
    assert "not open to the role" in said
    assert not Viewer("x", role, Scope.all_tenants()).may_take("audit")  # type: ignore[arg-type]


def test_without_direct_url_the_page_says_what_to_set(demo: services.Services, open_app: Any, texts: Any) -> None:
    audit = demo.audit
    object.__setattr__(demo, "audit", None)
    try:
        assert "kept through DIRECT_URL, which is not set" in texts(open_app("audit"))
    finally:
        object.__setattr__(demo, "audit", audit)


def test_what_could_not_be_kept_is_said_on_every_page(demo: services.Services, open_app: Any, texts: Any) -> None:
    assert demo.audit is not None
    assert not any("audit lacks" in one for one in demo.notices)
    demo.audit._batches.dropped = 3
    assert "The audit lacks what was done 3 times" in texts(open_app("audit"))
