"""The Statements page as it is met."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import filters, services, viewer
from dashboard.statements import choices, closing, sentences
from dashboard.tables import statements as tables
from queries.catalog.differences import FINDINGS
from queries.errors import DatabaseUnavailableError
from queries.settings import Settings
from tests.conftest import APP, OWNER, READER, Server
from tests.dashboard.conftest import DEMO_NOW, ROOT

FIVE = ["Purchased", "Granted", "Burned", "Closing balance", "Unexplained"]
FIGURES = ("opening", "purchased", "granted", "refunded", "adjusted", "burned", "expired", "closing", "unexplained")
MAY = date(2026, 5, 1)


@pytest.fixture
def demo(server: Server, database_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[services.Services]:
    """A demo of the test's own: months are closed in it."""
    settings = Settings(database_url=server.url(database_name, READER), direct_url=server.url(database_name, OWNER))
    held = services.build(settings, is_demo=True, dataset="demo")
    before = services.installed()
    services.install(held)
    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield held
    services.install(before)
    held.close()


@pytest.fixture
def as_app(server: Server, database_name: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.url(database_name, APP), autocommit=True) as connection:
        yield connection


@pytest.fixture
def edited(as_app: psycopg.Connection[Any]) -> str:
    """A tenant whose balance somebody changes by hand: 250 credits more than its ledger has; its id."""
    found = as_app.execute(
        """SELECT b."organizationId", b.balance - sum(t.amount) FROM "CreditBalance" b
           JOIN "CreditTransaction" t USING ("organizationId") GROUP BY 1, b.balance ORDER BY 1"""
    ).fetchall()
    off = [tenant for tenant, difference in found if difference]
    if off:
        return str(off[0])
    tenant = str(found[0][0])
    as_app.execute('UPDATE "CreditBalance" SET balance = balance + 250 WHERE "organizationId" = %s', [tenant])
    return tenant


def said(texts: Any, app: AppTest) -> str:
    return str(texts(app)).replace("\\", "")


def by_month(app: AppTest) -> Any:
    return next(one.value for one in app.dataframe if "tenants" in one.value.columns and "opening" in one.value.columns)


def by_tenant(app: AppTest) -> Any:
    return next(one.value for one in app.dataframe if {"tenant", "closing"} <= set(one.value.columns))


def press(app: AppTest, label: str) -> AppTest:
    next(one for one in app.button if one.label == label).click().run()
    assert not app.exception
    return app


def test_five_figures_the_months_and_the_tenants_that_add_up(open_app: Any, texts: Any, edited: str) -> None:
    app = open_app("statements", period="This month", role="finance")
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == FIVE
    assert [one.value for one in app.header] == [
        *("All tenants by month", "By tenant and month", "Deferred revenue and breakage"),
        "Corrections of closed months",
    ]
    months = by_month(app)
    june = months.iloc[0]
    assert (june["month"], june["status"]) == (date(2026, 6, 1), "provisional")
    pages = range(1, -(-june["tenants"] // 25) + 1)
    rows = pd.concat(by_tenant(open_app("statements", period="This month", statement_page=str(page))) for page in pages)
    assert len(rows) == june["tenants"] > 25
    for name in FIGURES:
        assert sum(rows[name]) == june[name]
    # Each month opens with what the one before closed with.
    assert months["opening"].tolist()[:-1] == months["closing"].tolist()[1:]
    # What is unexplained comes first, and is said.
    assert rows["unexplained"].tolist() == [250, *[0] * (len(rows) - 1)]
    assert "250 credits of 1 tenant are unexplained in June 2026: balance and ledger differ." in said(texts, app)
    total = f"All {len(rows)} rows together"
    assert total in said(texts, app)


def test_a_difference_is_found_by_drilling(open_app: Any, texts: Any, edited: str) -> None:
    app = open_app("statements", period="This month")
    press(app, "Show these")
    assert by_tenant(app)["unexplained"].tolist() == [250]
    box = next(one for one in app.selectbox if one.label == "Look into a row of this page")
    box.set_value(0).run()
    assert not app.exception
    assert not app.error
    assert (app.query_params["tenant"], app.query_params["month"]) == (edited, "2026-06")
    words = said(texts, app)
    assert "How it adds up" in [one.value for one in app.header]
    assert "+ 250 unexplained =" in words
    assert "250 more than the ledger explains" in words
    assert "no charge is without a generation" in words
    assert "No balance was written down in this month" in words
    assert "So 250 credits came into the balance without a movement in the ledger" in words
    press(app, "Close this")
    assert "tenant" not in app.query_params
    assert "How it adds up" not in [one.value for one in app.header]


def test_rows_that_make_a_difference_are_listed(
    open_app: Any, texts: Any, edited: str, as_app: psycopg.Connection[Any]
) -> None:
    """A charge that is lost, one that came twice, and a refund that is missing."""
    charges = as_app.execute(
        """SELECT id, "generationId", -amount FROM "CreditTransaction"
           WHERE "createdAt" >= '2026-06-01' AND "organizationId" = %s AND type = 'CHARGE' ORDER BY id LIMIT 3""",
        [edited],
    ).fetchall()
    (lost, _, lost_credits), (doubled, of, doubled_credits), (orphan, _, orphan_credits) = charges
    as_app.execute('DELETE FROM "CreditTransaction" WHERE id = %s', [lost])
    as_app.execute(
        """INSERT INTO "CreditTransaction" (id, "organizationId", "userId", "generationId", type, amount, "createdAt")
           SELECT id || '-2', "organizationId", "userId", "generationId", type, amount, "createdAt"
           FROM "CreditTransaction" WHERE id = %s""",
        [doubled],
    )
    as_app.execute('UPDATE "CreditTransaction" SET "generationId" = NULL WHERE id = %s', [orphan])
    app = open_app("statements", period="This month", tenant=edited, month="2026-06")
    assert not app.exception
    assert not app.error
    shown = next(one.value for one in app.dataframe if "finding" in one.value.columns)
    found = dict(zip(shown["finding"], shown["credits"], strict=True))
    assert found["charged more than once"] == doubled_credits
    assert found["charge without a generation"] == orphan_credits
    # The generation of the charge that names none any more has none either.
    missing = shown[shown["finding"] == "no charge in the ledger"]["credits"].tolist()
    assert sorted(missing) == sorted([-lost_credits, -orphan_credits])
    assert of in shown["generation"].tolist()
    assert "4 findings where charge and generation do not fit together" in said(texts, app)
    # Generations and charges explain how far balance and ledger have moved apart; what was there before stays.
    assert f"{250 - lost_credits + doubled_credits} more than the ledger explains" in said(texts, app)


def test_only_finance_and_administrators_read_statements(open_app: Any, texts: Any) -> None:
    for role in ("account_manager", "engineer"):
        app = open_app("statements", role=role)
        assert "Not for your role" in texts(app)
        assert not app.metric
        assert not app.dataframe


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"tenant": "nobody", "month": "2026-13"}, "The link's month “2026-13” is not one that has begun"),
        ({"tenant": "nobody", "month": "2027-01"}, "The link's month “2027-01” is not one that has begun"),
        ({"tenant": "nobody", "month": "June' --"}, "is not one that has begun"),
        ({"tenant": "nobody", "month": "2026-06"}, "There is no statement of this tenant for June 2026"),
        ({"statement_sort": "Luck"}, "The link's sort “Luck” is not known; what is unexplained comes first."),
        ({"statement_page": "x"}, "The link's page is not a number from 1 on"),
        ({"statement_page": "900"}, "There is no page 900 of this list."),
        ({"find": "no such name"}, "No tenant with a statement matches this search."),
        ({"period": "Custom", "from": "2019-01-01", "to": "2019-01-31"}, "up to the end of January 2019"),
    ],
)
def test_what_a_link_asks_for_and_there_is_not_is_said(
    open_app: Any, texts: Any, parameters: dict[str, str], complaint: str
) -> None:
    app = open_app("statements", **parameters)
    assert not app.exception
    assert not app.error
    assert complaint in said(texts, app)


def test_months_to_come_are_refused(open_app: Any, texts: Any) -> None:
    app = open_app("statements", **{"period": "Custom", "from": "2027-01-01", "to": "2027-01-31"})
    assert not app.exception
    assert "The period has not begun; choose an earlier one." in said(texts, app)


def test_a_month_is_closed_once_and_late_rows_show_as_corrections(
    open_app: Any, texts: Any, demo: services.Services, edited: str, as_app: psycopg.Connection[Any]
) -> None:
    app = open_app("statements", period="Last month")
    before = by_tenant(app)
    assert set(before["status"]) == {"provisional"}
    press(app, "Close May 2026 now")
    job = closing._JOBS[id(demo.closer)]
    assert job.ended.wait(60)
    assert job.failure == ""
    app.run()
    assert "May 2026 is closed." in "\n".join(str(one.value) for one in app.success)
    assert by_month(app)["status"].tolist()[0] == "closed"
    after = by_tenant(app)
    assert set(after["status"]) == {"closed"}
    assert after.drop(columns="status").equals(before.drop(columns="status"))
    assert "Close May 2026 now" not in [one.label for one in app.button]
    assert not open_app("statements", period="Last month").success, "who comes later is not told"
    as_app.execute(
        """INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")
           VALUES ('late', %s, 'EXPIRY', -7, '2026-05-20')""",
        [edited],
    )
    demo.cache.clear()
    app = open_app("statements", period="Last month")
    assert by_tenant(app).equals(after)
    assert "May 2026 differs from the closed month" in said(texts, app)
    assert "It is counted in June 2026." in said(texts, app)
    late = next(one.value for one in app.dataframe if "counted_in" in one.value.columns)
    names = ["month", "kind", "credits", "counted_in", "counted_status", "found"]
    assert late[names].values.tolist() == [[MAY, "Expired", 7, date(2026, 6, 1), "provisional", "now"]]
    assert "May 2026 is closed: the credits are as they were frozen, but their worth is reckoned now" in said(
        texts, app
    )
    june = open_app("statements", period="This month", tenant=edited, month="2026-06")
    assert "7 expired" in said(texts, june)
    assert by_month(june)["opening"].tolist()[:-1] == by_month(june)["closing"].tolist()[1:]


def test_what_lies_before_the_first_closed_month_and_came_late_is_said(
    open_app: Any, texts: Any, demo: services.Services, edited: str, as_app: psycopg.Connection[Any]
) -> None:
    assert demo.closer is not None
    demo.closer.close(MAY, zone="UTC", by="Ada", now=DEMO_NOW)
    before = said(texts, open_app("statements", period="This month", tenant=edited, month="2026-04"))
    assert "takes them off again" not in before
    assert "reckoned now" not in before, "June is not closed"
    as_app.execute(
        """INSERT INTO "CreditTransaction" (id, "organizationId", type, amount, "createdAt")
           VALUES ('late', %s, 'PURCHASE', 777, '2026-03-20')""",
        [edited],
    )
    demo.cache.clear()
    app = open_app("statements", period="This month", tenant=edited, month="2026-04")
    assert not app.exception
    assert not app.error
    told = (
        "777 credits purchased: posted into April 2026 or before, after May 2026 was closed. They show in the month of"
        " their date and count in June 2026; April 2026 takes them off again"
    )
    assert said(texts, app).count(told) == 2, "under the months and in the row that is looked into"
    june = open_app("statements", period="This month", tenant=edited, month="2026-06")
    assert said(texts, june).count(told) == 1


def test_rights_that_have_gone_meanwhile_close_nothing(
    open_app: Any, texts: Any, demo: services.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.closer is not None
    app = open_app("statements", period="Last month", role="finance")
    with monkeypatch.context() as patch:
        patch.setitem(viewer.OPENS, "statements", frozenset({"admin"}))
        press(app, "Close May 2026 now")
    assert id(demo.closer) not in closing._JOBS
    assert demo.closer.closed() == []
    assert "not open to your role any more" in str(app.session_state[closing._REFUSED])
    app.run()
    assert "May 2026 was not closed. Closing a month is not open to your role any more" in said(texts, app)
    press(app, "Close May 2026 now")
    assert closing._JOBS[id(demo.closer)].ended.wait(60)
    assert [one.closed_by for one in demo.closer.closed()] == ["Fatima Finance"]


def test_two_people_at_once_close_a_month_once(demo: services.Services) -> None:
    assert demo.closer is not None
    closer, start = demo.closer, threading.Barrier(2)
    failures: list[BaseException] = []

    def close() -> None:
        try:
            start.wait()
            closing._close(closer, closing.Job(MAY, "somebody"), "UTC", DEMO_NOW)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    people = [threading.Thread(target=close) for _ in range(2)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert not failures
    assert [one.month for one in closer.closed()] == [MAY]


def test_what_stops_a_closing_is_said(open_app: Any, texts: Any, demo: services.Services, monkeypatch: Any) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailableError("the database does not answer; try again in a minute")

    monkeypatch.setattr(type(demo.closer), "close", away)
    app = press(open_app("statements", period="Last month"), "Close May 2026 now")
    assert closing._JOBS[id(demo.closer)].ended.wait(60)
    app.run()
    assert "May 2026 was not closed. The database does not answer; try again in a minute." in said(texts, app)
    assert "Close May 2026 now" in [one.label for one in app.button]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"period": "This month"}, "June 2026 is provisional. 2026-06 is not over"),
        ({"period": "Last month", "zone": "Asia/Kathmandu"}, "Months are closed in UTC, the reporting zone"),
    ],
)
def test_why_a_month_cannot_be_closed(open_app: Any, texts: Any, parameters: dict[str, str], reason: str) -> None:
    app = open_app("statements", **parameters)
    assert reason in said(texts, app)
    assert not [one for one in app.button if one.label.startswith("Close ")]


def test_without_a_database_of_ours_the_page_says_why_nothing_can_be_closed(
    open_app: Any, texts: Any, demo: services.Services
) -> None:
    services.install(replace(demo, closer=None))
    app = open_app("statements", period="Last month")
    assert not app.error
    assert "which needs DIRECT_URL" in said(texts, app)


def test_a_row_reads_as_a_sum() -> None:
    nothing = dict.fromkeys(FIGURES, 0)
    row = {**nothing, "opening": 1714, "granted": 3300, "adjusted": -5, "burned": 2374, "unexplained": 250}
    assert sentences.added_up({**row, "closing": 2885}) == (
        "1,714 opening + 3,300 granted − 5 adjusted − 2,374 burned + 250 unexplained = 2,885 closing"
    )
    assert sentences.added_up(nothing) == "0 opening = 0 closing"
    assert sentences.credits(Decimal("0.5")) == "0.5 credits"


def test_of_which_months_something_is_unexplained() -> None:
    may = {"month": MAY, "differing_tenants": 0, "differing_credits": 0}
    june = {"month": date(2026, 6, 1), "differing_tenants": 2, "differing_credits": 30}
    assert sentences.unexplained([may], "May 2026") == ""
    assert sentences.unexplained([june], "June 2026").startswith(
        "30 credits of 2 tenants are unexplained in June 2026:"
    )
    assert sentences.unexplained([may, june], "").startswith("30 credits of 2 tenants in June 2026 are unexplained:")


def test_where_a_correction_counts_and_what_a_repair_should_be_dated() -> None:
    row = {"month": MAY, "closed_at": DEMO_NOW, "counted_in": date(2026, 6, 1)}
    said = "The ledger up to the end of May 2026 differs from the closed month (closed 15 Jun 2026, 10:30, UTC)."
    assert sentences.differs({**row, "counted_status": "provisional"}, "UTC") == f"{said} It is counted in June 2026."
    assert (
        sentences.differs({**row, "counted_status": "closed"}, "UTC") == f"{said} June 2026 took it, and is closed too."
    )
    about = {"suspect_credits": 0, "unknown_credits": 0, "balance_changed_at": None}
    assert "an adjustment of 250 in the ledger, posted with today's date, would settle it" in sentences.conclusion(
        {"unexplained": 250}, about, "UTC"
    )
    off = {"month": date(2026, 4, 1), "closed_month": MAY, "kind": "purchased", "credits": 777, "counted_in": None}
    assert "count in later months; April 2026 takes them off again" in sentences.taken_off([off])
    assert sentences.taken_off([]) == ""


def test_when_a_difference_came_as_far_as_it_is_known() -> None:
    def at(day: int, off: Any) -> dict[str, Any]:
        taken = datetime(2026, 5, day, 0, 5, tzinfo=UTC)
        return {"taken_at": taken, "known_since": datetime(2026, 5, 3, 0, 5, tzinfo=UTC), "difference_credits": off}

    assert "when it changed is not known" in sentences.seen([], "UTC")
    assert sentences.seen([at(3, 0), at(4, 0), at(5, 250)], "UTC") == (
        "Balances are known since 3 May 2026, 00:05, UTC. The difference went from 0 to 250 between 4 May 2026, 00:05,"
        " UTC and 5 May 2026, 00:05, UTC."
    )
    assert sentences.seen([at(3, 5), at(9, 5)], "UTC").endswith("to 9 May 2026, 00:05, UTC the difference was 5.")
    assert sentences.seen([at(3, None)], "UTC").endswith("there was none for this tenant in this month.")
    assert sentences.known_since(None, "UTC").startswith("No balance has been written down yet")


def test_months_in_words() -> None:
    assert choices.span([MAY]) == "May 2026"
    assert choices.span([MAY, date(2026, 6, 1)]) == "May to June 2026"
    assert choices.span([date(2025, 12, 1), date(2026, 1, 1)]) == "December 2025 to January 2026"
    assert choices.last_day(date(2028, 2, 1)) == date(2028, 2, 29)


def test_every_finding_has_words() -> None:
    assert set(tables.FINDINGS) == set(FINDINGS)
