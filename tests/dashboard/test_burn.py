"""The Credit burn page as it is met."""

from datetime import date
from typing import Any

import pandas as pd
import pytest

HOW_LONG = {"tab": "How long they last"}
# For each view, its panels of all tenants; the last one of the second is not there of one tenant.
PANELS = {
    "Where they go": ["Credits burned per day", "Credits in and out per day"],
    "How long they last": ["Burn-down", "How good is this forecast?", "Tenants by runway"],
}


def panels(app: Any) -> list[str]:
    return [one.value.replace("\\", "") for one in app.header]


def said(texts: Any, app: Any) -> str:
    return str(texts(app)).replace("\\", "")


def box(app: Any, label: str) -> Any:
    return next(one for one in [*app.selectbox, *app.number_input] if one.label == label)


def link(app: Any, label: str) -> Any:
    return next(one.proto for one in app.get("page_link") if one.proto.label == label)


def table(app: Any) -> pd.DataFrame:
    """The last table is that of tenants by runway."""
    frame: pd.DataFrame = app.dataframe[-1].value
    return frame


@pytest.mark.parametrize("view", PANELS)
def test_each_view_of_all_tenants_has_the_five_figures_and_its_own_panels(open_app, view):
    app = open_app("burn", tab=view)
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == [
        *("Credits burned", "Burned per day", "Credits left now", "Run out in 30 days", "Refunded share"),
    ]
    assert panels(app) == PANELS[view]
    assert len(app.number_input) == (2 if view == "How long they last" else 0)


def test_where_they_go_is_open_unless_another_view_is_asked_for(open_app):
    app = open_app("burn")
    assert panels(app) == PANELS["Where they go"]
    assert "tab" not in app.query_params


def test_the_list_by_runway_has_a_page_of_rows(open_app, ids, texts):
    app = open_app("burn", **HOW_LONG)
    assert len(table(app)) == min(25, len(ids))
    assert "if the pattern of the last 8 weeks continues" in said(texts, app)


@pytest.mark.parametrize("parameters", [{"focus": "nobody"}, {"buy": "5"}, {"change": "20"}, {"runway_page": "1"}])
def test_a_link_that_names_what_only_one_view_knows_opens_it(open_app, parameters):
    app = open_app("burn", **parameters)
    assert panels(app) == PANELS["How long they last"]
    assert "How long they last" in app.query_params["tab"]
    # It stays open when that has gone from the address, and a view that is named is the one that is shown.
    for name in parameters:
        app.query_params.pop(name, None)
    assert panels(app.run()) == PANELS["How long they last"]
    assert panels(open_app("burn", tab="Where they go", **parameters)) == PANELS["Where they go"]


def test_the_runway_figure_leads_to_the_other_view_and_from_there_to_the_tenants(open_app, ids):
    here, there = "tab=How+long+they+last", "sort=Runway"
    assert here in link(open_app("burn"), "Tenants by runway").query_string
    assert there in link(open_app("burn", **HOW_LONG), "Tenants by runway").query_string
    of_one = link(open_app("burn", tenant=ids[0]), "Burn-down").query_string
    assert here in of_one
    assert f"tenant={ids[0]}" in of_one
    assert "tab=Overview" in link(open_app("burn", tenant=ids[0], **HOW_LONG), "Overview").query_string


@pytest.mark.parametrize("view", PANELS)
def test_one_tenant_has_its_own_page_and_no_list(open_app, ids, texts, view):
    app = open_app("burn", tenant=ids[0], tab=view)
    assert not app.exception
    assert not app.error
    assert "Credit burn of " in said(texts, app)
    assert [one.label for one in app.metric][3] == "Runway"
    assert panels(app) == PANELS[view][:2]
    button = next(one for one in app.button if one.label == "All tenants")
    button.click().run()
    assert "tenant" not in app.query_params
    assert panels(app) == PANELS[view]


def test_only_this_tenant_keeps_the_view(open_app, ids):
    app = open_app("burn", focus=ids[0])
    next(one for one in app.button if one.label == "Only this tenant").click().run()
    assert ids[0] in app.query_params["tenant"]
    assert panels(app) == PANELS["How long they last"][:2]


@pytest.mark.parametrize("grain", ["Week", "Month"])
def test_credits_by_week_and_month(open_app, grain):
    app = open_app("burn", per=grain)
    box(app, "Period").set_value("Last 90 days").run()
    assert not app.exception
    assert not app.error
    assert panels(app)[0] == f"Credits burned per {grain.lower()}"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2019-05-01", "2019-05-07", "No credits were charged or refunded from 1 to 7 May 2019."),
        ("2026-12-01", "2026-12-07", "No credits were charged or refunded from"),
        ("2026-06-15", "2026-06-15", "Line: the posted balance of now"),
        ("2000-01-01", "2026-06-15", "Line: the posted balance of now"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Havana"])
def test_a_period_without_movements_one_day_and_a_quarter_of_a_century(open_app, texts, first, last, expected, zone):
    app = open_app("burn")
    box(app, "Time zone").set_value(zone)
    box(app, "Period").set_value("Custom").run()
    for label, day in (("From", first), ("To", last)):
        next(one for one in app.date_input if one.label == label).set_value(date.fromisoformat(day))
    app.run()
    assert not app.exception
    assert not app.error
    assert expected in said(texts, app)
    assert len(app.metric) == 5


def test_the_figures_are_the_same_by_whatever_grain(open_app):
    by_grain = [[one.value for one in open_app("burn", per=grain).metric] for grain in ("Day", "Week", "Month")]
    assert by_grain[0] == by_grain[1] == by_grain[2]


def test_a_what_if_changes_list_and_sentence_and_nothing_else(open_app, texts):
    plain = open_app("burn", **HOW_LONG)
    app = open_app("burn", buy="100000", change="50")
    assert not app.exception
    assert "If each tenant buys 100,000 credits now and burns 50 % more" in said(texts, app)
    assert "If they buy 100,000 credits now and burn 50 % more" in said(texts, app)
    assert [one.value for one in app.metric] == [one.value for one in plain.metric]
    as_it_was = dict(zip(table(plain)["tenant"], table(plain)["runway"], strict=True))
    shared = table(app)[table(app)["tenant"].isin(as_it_was)]
    assert len(shared) > 0
    assert all(as_it_was[name] == was for name, was in zip(shared["tenant"], shared["as_it_is"], strict=True))
    next(one for one in app.button if one.label == "As it is").click().run()
    assert "as_it_is" not in table(app).columns
    assert box(app, "What if each buys (credits)").value == 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"buy": "-5"}, "The link's buy is not a whole number from 0 to 100,000,000; 0 is taken."),
        ({"buy": "1e9"}, "The link's buy is not a whole number"),
        ({"change": "banana"}, "The link's change is not a whole number from −90 to 400; 0 is taken."),
        ({"per": "Fortnight"}, "The link's grain “Fortnight” is not known; the charts show days."),
        ({"focus": "nobody"}, "The link's tenant is not one of these; the one that runs out first is shown."),
        ({"runway_page": "x"}, "The link's page is not a number from 1 on; page 1 is shown."),
        ({"tab": "Moon"}, "The link's view “Moon” is not known; Where they go is shown."),
        ({"tab": "", "focus": "nobody"}, "The link's tenant is not one of these"),
        ({"tab": "Moon", "focus": "nobody"}, "The link's view “Moon” is not known; Where they go is shown."),
    ],
)
def test_what_a_link_asks_for_and_there_is_not_is_said(open_app, texts, parameters, complaint):
    app = open_app("burn", **parameters)
    assert not app.exception
    assert not app.error
    assert complaint in said(texts, app)
    assert complaint in said(texts, app.run()), "a rerun must not pass over it in silence"


@pytest.mark.parametrize("bad", ["nope", "' OR 1=1 --", "x" * 5_000, "a\x00b", "{}"])
def test_an_unknown_tenant_is_not_found(open_app, texts, bad):
    app = open_app("burn", tenant=bad)
    assert not app.exception
    assert not app.dataframe
    assert "There is no such tenant, or it is not one of yours." in said(texts, app)


def test_another_ones_tenant_looks_like_none(open_app, ids, texts):
    foreign = open_app("burn", role="account_manager", tenant=ids[-1])
    unknown = open_app("burn", role="account_manager", tenant="org_ffffffffffffffffffff")
    assert said(texts, foreign) == said(texts, unknown)
    assert not foreign.metric
    focused = open_app("burn", role="account_manager", focus=ids[-1])
    nobody = open_app("burn", role="account_manager", focus="org_ffffffffffffffffffff")
    assert "is not one of these" in said(texts, focused)
    shown = [
        [[one.value for one in app.get(kind)] for kind in ("title", "info", "metric")] for app in (focused, nobody)
    ]
    assert shown[0] == shown[1]
    assert box(focused, "Burn-down of").value == box(nobody, "Burn-down of").value != ids[-1]


def test_a_page_beyond_the_last_says_how_many_there_are(open_app, texts):
    assert "There is no page 99: the list has" in said(texts, open_app("burn", runway_page="99"))


def test_the_burn_down_follows_the_link(open_app, ids):
    app = open_app("burn", focus=ids[0])
    assert box(app, "Burn-down of").value == ids[0]
    box(app, "Burn-down of").set_value(ids[1]).run()
    assert app.query_params["focus"] == ids[1]


def test_the_page_asks_as_many_questions_of_few_tenants_as_of_many(demo, open_app, ids):
    answers: list[Any] = []
    demo.monitor.add_sink(answers.append)

    def questions(**parameters: str) -> list[str]:
        answers.clear()
        open_app("burn", **parameters)
        return sorted(one.query for one in answers if one.page == "burn")

    where = ["credits.compared", "credits.flows", "notes.pinned", "tenants.signals", "tenants.tenant_choices"]
    assert questions() == questions(role="account_manager") == questions(per="Month") == where
    of_one = [*where, "tenants.tenant_choices"]
    assert questions(tenant=ids[0]) == questions(tenant=ids[1], per="Week") == of_one
    # The history of the tenant whose burn-down is shown is asked for where that is drawn.
    history = ["credits.flows"]
    assert questions(**HOW_LONG) == questions(role="account_manager", **HOW_LONG) == sorted([*where, *history])
    assert questions(focus=ids[1], per="Month") == sorted([*where, *history])
    assert questions(tenant=ids[0], **HOW_LONG) == questions(tenant=ids[1], buy="5") == sorted([*of_one, *history])
