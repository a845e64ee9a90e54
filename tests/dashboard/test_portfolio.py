"""The Tenants page: its order, sums and words, and the page as a person meets it."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import listing, outlook, services
from dashboard.figures.heatmaps import INK
from dashboard.figures.retention import SO_FAR, cohort_cells
from dashboard.insights.retention import Cell, Cohorts
from dashboard.outlook import Outlook
from dashboard.portfolio import calls, movers, order, views
from dashboard.portfolio.sums import sums_of
from dashboard.tables import tenants as tables
from dashboard.tables.tenants import FORECAST_SORTS, SORTS
from queries.catalog import tenants
from queries.errors import DatabaseUnavailableError, StatementTimeoutError
from queries.runner import Context
from queries.scope import Scope
from tests.dashboard.conftest import DEMO_NOW
from tests.dashboard.test_outlook import NOW, ZONE, frame_of, plain_row

ALL = Scope.all_tenants()


def judged(*rows: dict[str, Any]) -> list[Outlook]:
    return outlook.of_tenants(
        frame_of(*(plain_row(**{"tenant_id": f"t{n}", **one}) for n, one in enumerate(rows))), NOW, ZONE
    )


@pytest.fixture
def of_demo(demo: services.Services) -> list[Outlook]:
    asked = tenants.signals(ALL, now=DEMO_NOW, zone="UTC", search="", plans=())
    return outlook.of_tenants(demo.runner.run(asked, Context(ALL)).frame, DEMO_NOW, "UTC")


def wanted(**given: Any) -> listing.Listing:
    usual = {"search": "", "plans": (), "flags": listing.EVERY, "sort": "call_first", "descending": True, "page": 1}
    return listing.Listing(**{**usual, **given})


# ---- order


@pytest.mark.parametrize("sort", [one for one in SORTS.values() if one not in (*FORECAST_SORTS, "plan", "tenant")])
@pytest.mark.parametrize("descending", [True, False])
def test_an_order_made_here_is_the_databases(
    demo: services.Services, of_demo: list[Outlook], sort: str, descending: bool
) -> None:
    arguments = {"search": "", "plans": (), "sort": sort, "descending": descending, "offset": 0, "limit": 1_000}
    asked = tenants.portfolio(ALL, now=DEMO_NOW, zone="UTC", **arguments)
    found = demo.runner.run(asked, Context(ALL)).frame["tenant_id"].tolist()
    assert [one.tenant_id for one in order.in_order(of_demo, sort, descending=descending)] == found


@given(st.permutations(range(6)))
def test_runways_are_ordered_from_empty_to_without_burn_and_the_unknown_come_last(places: list[int]) -> None:
    rows: list[dict[str, Any]] = [
        {"credits_left": -1, "renewing": False},
        {"credits_left": 100, "renewing": False},
        {"credits_left": 300, "renewing": False},
        {"credits_left": 90_000},
        {"burn_daily": [0] * 56},
        {"credits_left": None},
    ]
    found = judged(*({"tenant_id": str(place), **rows[place]} for place in places))
    ascending = [one.tenant_id for one in order.in_order(found, "runway", descending=False)]
    assert ascending == ["0", "1", "2", "3", "4", "5"]
    assert [one.tenant_id for one in order.in_order(found, "runway", descending=True)] == ["4", "3", "2", "1", "0", "5"]


def test_pages_of_ids_follow_each_other_and_hold_everybody_once(of_demo: list[Outlook]) -> None:
    paged = [one for page in range(1, 5) for one in order.page_ids(of_demo, wanted(page=page))]
    assert sorted(paged) == sorted(one.tenant_id for one in of_demo)
    assert order.page_ids(of_demo, wanted(page=9_999)) == ()


@pytest.mark.parametrize("flags", [listing.AT_RISK, listing.UPSELL, listing.RUNNING_OUT])
def test_flags_leave_only_those_that_have_them(of_demo: list[Outlook], flags: str) -> None:
    kept = order.kept(of_demo, flags)
    assert kept
    test = {"At risk": lambda one: one.has("at_risk"), "Upsell": lambda one: one.has("upsell")}.get(
        flags, Outlook.is_running_out
    )
    assert kept == [one for one in of_demo if test(one)]


# ---- sums and movers


def test_sums_are_those_of_the_rows(of_demo: list[Outlook]) -> None:
    sums = sums_of(of_demo)
    rows = [one.row for one in of_demo]
    assert sums.burned == sum(sum(one["burn_daily"][-28:]) for one in rows)
    assert sums.burned_before == sum(sum(one["burn_daily"][:28]) for one in rows)
    assert sums.generations == sum(one["generations_28d"] for one in rows)
    assert sums.active == sum(one["succeeded_28d"] > 0 for one in rows)
    base = [one for one in rows if one["succeeded_prev_28d"] > 0]
    assert sums.retention.value == pytest.approx(
        sum(one["burn_28d_credits"] for one in base) / sum(one["burn_prev_28d_credits"] for one in base)
    )


def test_sums_of_nobody_are_nothing_and_have_no_retention() -> None:
    sums = sums_of([])
    assert (sums.tenants, sums.burned, sums.at_risk) == (0, 0, 0)
    assert sums.retention.value is None
    assert "not enough data" in sums.retention.reason


@given(st.lists(st.tuples(st.integers(-50, 500), st.integers(-50, 500)), max_size=14))
def test_movers_are_the_largest_differences(weeks: list[tuple[int, int]]) -> None:
    rows = [{"burn_7d_credits": last, "burn_prev_7d_credits": before} for last, before in weeks]
    found = judged(*rows) if rows else []
    for rising in (True, False):
        moved = [movers.difference(one) for one in movers.movers(found, rising=rising)]
        every = [last - before for last, before in weeks if (last > before if rising else last < before)]
        assert moved == sorted(every, key=abs, reverse=True)[: movers.SHOWN]


@pytest.mark.parametrize(
    ("last", "before", "words"),
    [
        (1204, 652, "+552 credits (+85 %): 652 to 1,204"),
        (652, 1204, "−552 credits (−46 %): 1,204 to 652"),
        (5, 0, "+5 credits (new): 0 to 5"),
        (5, -3, "+8 credits: −3 to 5"),
    ],
)
def test_a_mover_in_words(last: int, before: int, words: str) -> None:
    assert movers.said(judged({"burn_7d_credits": last, "burn_prev_7d_credits": before})[0]) == words


# ---- words of the table


def test_flags_in_words_name_each_kind_once() -> None:
    found = judged({"burn_7d_credits": 10, "last_success_at": NOW.replace(month=4), "limit_hit_days_28d": 5})[0]
    assert tables.flag_words(found) == "At risk: burn down, silent; Upsell: at its limits"
    assert tables.flag_words(judged({})[0]) == ""


def test_every_rule_of_the_flags_has_its_words() -> None:
    extreme: list[dict[str, Any]] = [
        {"burn_7d_credits": 1, "last_success_at": NOW.replace(month=4), "active_users_prev_28d": 9},
        {"failed_7d": 40, "credits_left": 30, "limit_hit_days_28d": 9},
        {"used_in_period_credits": 1, "credits_left": 9_000},
        {"used_in_period_credits": 900, "credits_left": 20},
        {"renewing": False, "credits_left": 3},
    ]
    seen = {flag.rule for one in judged(*extreme) for flag in one.flags}
    assert seen == set(tables.RULES)


@pytest.mark.parametrize(
    ("peak", "days", "words"),
    [(None, 0, ""), (0.5, 0, "50 %"), (1.0, 1, "100 %, 1 day at it"), (None, 3, "3 days at it")],
)
def test_quota_in_words(peak: float | None, days: int, words: str) -> None:
    assert tables._quota(peak, days) == words


def test_reasons_are_counted_beyond_three() -> None:
    row = {"burn_7d_credits": 1, "last_success_at": NOW.replace(month=4), "active_users_prev_28d": 9, "failed_7d": 40}
    said = calls._reasons(judged(row)[0].flags)
    assert said[0] == "**At risk.**"
    assert said[-1] == "And 1 more reason."


# ---- cohorts


def test_cohorts_are_drawn_with_sizes_blanks_and_a_marked_week() -> None:
    cells = ((Cell(4, 1.0, False), Cell(2, 0.5, True)), (Cell(1, 1.0, True), None))
    found = Cohorts((date(2026, 6, 1), date(2026, 6, 8)), (4, 1), cells)
    figure = cohort_cells(found, is_dark=True)
    assert [list(row) for row in figure.data[0].z] == [[1.0, 0.5], [1.0, None]]
    assert figure.layout.yaxis.ticktext == ("1 Jun 2026 (4 tenants)", "8 Jun 2026 (1 tenant)")
    written = {text: trace.textfont.color for trace in figure.data[1:] for text in trace.text}
    assert written == {"100": "#FFFFFF", f"100{SO_FAR}": "#FFFFFF", f"50{SO_FAR}": INK[True]}
    assert "Week from 8 Jun 2026, so far: 2 of 4 active (50.0 %)" in figure.data[0].customdata[0]


# ---- the page


def frame_shown(app: Any) -> Any:
    return app.dataframe[0].value


def button(app: Any, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def test_whom_to_call_first_and_why_is_said_on_the_page(open_app: Any, of_demo: list[Outlook], texts: Any) -> None:
    app = open_app()
    assert not app.exception
    assert not app.error
    said = texts(app).replace("\\", "")
    for one in outlook.by_priority(of_demo)[: calls.SHOWN]:
        for flag in one.flags[:3]:
            assert flag.sentence in said
    assert frame_shown(app)["tenant"].tolist()[0] == outlook.by_priority(of_demo)[0].tenant


def test_the_table_holds_what_the_signals_say(open_app: Any, of_demo: list[Outlook]) -> None:
    app = open_app(sort="Credits burned")
    shown = frame_shown(app)
    largest = order.in_order(of_demo, "burn_28d_credits", descending=True)[:25]
    assert shown["burn"].tolist() == [one.row["burn_28d_credits"] for one in largest]
    assert shown["credits_left"].tolist() == [one.row["credits_left"] for one in largest]
    assert shown["flags"].tolist() == [tables.flag_words(one) for one in largest]


@pytest.mark.parametrize(
    ("sort", "flags"),
    [*((one, listing.EVERY) for one in SORTS), *(("Week on week", one) for one in listing.FLAG_CHOICES[1:])],
)
def test_every_sort_and_flag_answers(open_app: Any, of_demo: list[Outlook], sort: str, flags: str) -> None:
    app = open_app(sort=sort, flags=flags)
    assert not app.exception
    assert not app.error
    assert len(frame_shown(app)) == min(25, len(order.kept(of_demo, flags)))


def test_a_headline_leads_to_its_tenants(open_app: Any, of_demo: list[Outlook]) -> None:
    app = open_app()
    button(app, "Show them").click().run()
    assert not app.exception
    shown = frame_shown(app)
    assert len(shown) == min(25, len(order.kept(of_demo, listing.AT_RISK)))
    assert all(one.startswith("At risk") for one in shown["flags"])
    assert app.query_params["flags"] == listing.AT_RISK


@pytest.mark.parametrize("view", list(views.VIEWS))
def test_a_view_is_a_state_of_the_address(open_app: Any, view: str) -> None:
    app = open_app()
    button(app, view).click().run()
    assert not app.exception
    by_click = frame_shown(app)["tenant"].tolist()
    named = {"flags": "All", "sort": "Call first", "order": "Largest first", **views.VIEWS[view]}
    assert frame_shown(open_app(**named))["tenant"].tolist() == by_click
    assert any("?" in one.value for one in app.code) or view == "At risk by credits at stake"


def test_choosing_a_sort_starts_with_what_one_looks_for(open_app: Any) -> None:
    app = open_app()
    next(one for one in app.selectbox if one.label == "Sort by").set_value("Credits left").run()
    left = frame_shown(app)["credits_left"].dropna().tolist()
    assert left == sorted(left)


def test_my_tenants_are_half_of_the_demo_and_only_who_sees_more_may_choose(open_app: Any, ids: list[str]) -> None:
    mine = open_app(whose="My tenants")
    assert f"of {(len(ids) + 1) // 2} tenants" in mine.metric[0].help.replace("\\", "")
    assert "Tenants" not in [one.label for one in open_app(role="account_manager").selectbox]


@pytest.mark.parametrize("role", ["engineer", "finance"])
def test_nobody_is_assigned_to_who_looks_after_none(open_app: Any, texts: Any, role: str) -> None:
    app = open_app(role=role, whose="My tenants")
    assert not app.exception
    assert "No tenants are assigned to you" in texts(app)
    button(app, "Show all tenants").click().run()
    assert len(app.metric) == 5


def test_a_search_that_finds_nobody_says_so_in_each_panel(open_app: Any, texts: Any) -> None:
    app = open_app(search="nobody is called this")
    assert not app.exception
    said = texts(app)
    assert "nobody to call" in said
    assert "No tenant matches this search" in said
    assert app.metric[4].value == "–"


def test_a_failing_list_hides_no_other_panel(
    open_app: Any, demo: services.Services, monkeypatch: Any, texts: Any
) -> None:
    run = demo.runner.run_all

    def all_but_the_page(queries: Any, context: Any) -> Any:
        answers = run(queries, context)
        if "page" not in queries:
            return answers

        class Failing:
            def __getitem__(self, name: str) -> Any:
                if name == "page":
                    raise StatementTimeoutError("the statement took longer than 30 s")
                return answers[name]

            def is_there(self, name: str) -> bool:
                return name == "page" or answers.is_there(name)

        return Failing()

    monkeypatch.setattr(demo.runner, "run_all", all_but_the_page)
    app = open_app()
    assert not app.exception
    assert len(app.error) == 1
    assert len(app.metric) == 5
    assert "Burn rose the most" in texts(app)


def test_plans_of_other_tenants_do_not_stand_in(open_app: Any, demo: services.Services, monkeypatch: Any) -> None:
    app, run = open_app(), demo.runner.run

    def all_but_plans(query: Any, context: Any) -> Any:
        if query.name == "tenants.plans":
            raise DatabaseUnavailableError("the database cannot be reached")
        return run(query, context)

    monkeypatch.setattr(demo.runner, "run", all_but_plans)
    app.run()
    assert len(app.multiselect) == 1
    app.session_state["viewer_role"] = "account_manager"
    app.run()
    assert not app.exception
    assert len(app.multiselect) == 0
    assert "No connection" in app.error[0].value


def test_a_success_rate_of_few_says_its_interval(open_app: Any, of_demo: list[Outlook], texts: Any) -> None:
    few = next(one for one in of_demo if 0 < one.row["succeeded_28d"] + one.row["failed_28d"] < 200)
    said = texts(open_app(search=few.tenant)).replace("\\", "")
    shown = tables.success_cell(few.row["succeeded_28d"], few.row["failed_28d"])
    assert "–" in shown
    assert f"success rate {shown}" in said


PAGES = (
    *(("tenants", {}, listing.PAGE), ("burn", {}, "runway_page")),
    *(("tenant", {"tab": tab}, key) for tab, key in (("Generations", "generations_page"), ("Ledger", "ledger_page"))),
)


@pytest.mark.parametrize(("page", "given", "key"), PAGES)
@pytest.mark.parametrize("asked", ["000000001" + "0" * 5_000, "1" + "0" * 30, "0", "-1", "1e3", "\u0663"])
def test_a_page_number_that_is_none_is_said(
    open_app: Any, ids: list[str], texts: Any, page: str, given: dict[str, str], key: str, asked: str
) -> None:
    more = {"tenant": ids[0]} if page == "tenant" else {}
    app = open_app(page, **given, **more, **{key: asked})
    assert not app.exception
    assert not app.error
    assert "page is not a number from 1 on" in texts(app)


def test_balances_that_nobody_knows_are_not_nothing() -> None:
    assert sums_of(judged({"credits_left": None}, {"credits_left": None})).credits_left is None
    assert sums_of(judged({"credits_left": None}, {"credits_left": 0})).credits_left == 0
