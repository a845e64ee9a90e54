"""The pages as a person meets them: what they say, to whom, and what they do with a bad address."""

import dataclasses
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from dashboard import places, services, viewer
from queries.errors import DatabaseUnavailableError

HEADLINES = {
    "tenants": ["Tenants active", "Credits burned", "At risk", "Running out", "Net usage retention"],
    "tenant": ["Generations", "Credits burned", "Success rate", "Latency p95", "Active users"],
}
SAME_FOR_EVERYBODY = "There is no such tenant, or it is not one of yours."


def test_tenants_page_shows_five_headlines_and_one_page_of_the_list(open_app, ids):
    app = open_app()
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == HEADLINES["tenants"]
    shown = app.dataframe[0].value
    assert 0 < len(shown) == min(25, len(ids))


def test_tenant_page_shows_its_tenant(open_app, ids, texts):
    app = open_app("tenant", tenant=ids[0])
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == HEADLINES["tenant"]
    said = texts(app)
    assert [title in said for title in ("Generations", "Before the call", "By type", "By model")] == [True] * 4


@pytest.mark.parametrize("split", ["Type", "User", "Model", "Status"])
def test_usage_splits_by_what_the_url_says(open_app, ids, split):
    app = open_app("tenant", tenant=ids[0], split=split)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"period": "Custom", "from": "2026-05-07", "to": "2026-05-01"}, "is after to"),
        ({"period": "Custom", "from": "0001-01-01", "to": "2026-05-01"}, "out of range"),
        ({"period": "Custom", "from": "2026-05-01", "to": "9999-12-31"}, "out of range"),
        ({"period": "Custom", "from": "yesterday", "to": "2026-05-01"}, "not a date"),
        ({"period": "Last 3 eons"}, "not known"),
        ({"zone": "Mars/Olympus_Mons"}, "time zone is not known"),
        ({"zone": "../../etc/passwd"}, "time zone is not known"),
    ],
)
def test_bad_filters_in_the_url_are_refused_with_a_fix_that_works(open_app, texts, parameters, said):
    app = open_app(**parameters)
    assert not app.exception
    assert said in unescaped(texts(app))
    again = app.run()
    assert said in unescaped(texts(again)), "a rerun must not pass over it in silence"
    button(again, "Show the last 28 days").click().run()
    assert not app.exception
    assert said not in unescaped(texts(app))


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": "9999"},
        {"page": "-1"},
        {"page": "x" * 500},
        {"page": "²"},
        {"sort": "1; DROP TABLE"},
        {"plan": "PLATINUM"},
        {"search": "%_\\'\x00" * 300},
        {"order": ""},
    ],
)
def test_bad_list_parameters_never_break_the_page(open_app, parameters):
    app = open_app(**parameters)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"sort": "1; DROP TABLE"}, "sort “1; DROP TABLE” is not known; the list is in the order of call first."),
        ({"flags": "Blue"}, "flag “Blue” is not known; tenants with and without flags are shown."),
        ({"order": "sideways"}, "order “sideways” is not known; the list shows the largest first."),
        ({"plan": "PLATINUM"}, "plan “PLATINUM” is not known"),
        ({"page": "-1"}, "page is not a number from 1 on; page 1 is shown."),
    ],
)
def test_what_the_list_cannot_do_is_said_until_something_else_is_chosen(open_app, texts, parameters, said):
    app = open_app(**parameters)
    assert said in unescaped(texts(app))
    assert said in unescaped(texts(app.run())), "a rerun must not pass over it in silence"
    for label, value in (("Sort by", "Name"), ("Order", "Largest first"), ("Flags", "At risk")):
        next(one for one in app.selectbox if one.label == label).set_value(value)
    next(one for one in app.multiselect if one.label == "Plans").set_value(["FREE"])
    assert said not in unescaped(texts(app.run()))


def test_a_good_address_has_nothing_said_about_it(open_app, ids):
    assert not open_app(sort="Name", order="Smallest first", plan="Free", page="1", flags="All").info
    assert not open_app("tenant", tenant=ids[0], split="Model", generations_page="1").info


def test_an_unknown_split_is_said(open_app, ids, texts):
    said = unescaped(texts(open_app("tenant", tenant=ids[0], split="Moon")))
    assert "split “Moon” is not known; usage is split by type." in said


def test_a_page_beyond_the_last_says_how_many_there_are(open_app, texts):
    assert "There is no page 9,999" in texts(open_app(page="9999"))


@pytest.mark.parametrize("bad", ["nope", "", "' OR 1=1 --", "x" * 5_000, "a\x00b", "../admin", "{}"])
def test_unknown_tenants_are_not_found_without_a_word_more(open_app, texts, bad):
    app = open_app("tenant", tenant=bad)
    assert not app.exception
    assert not app.dataframe
    if bad:
        assert SAME_FOR_EVERYBODY in texts(app)


def test_another_ones_tenant_looks_exactly_like_no_tenant(open_app, ids, texts):
    foreign = open_app("tenant", role="account_manager", tenant=ids[-1])
    unknown = open_app("tenant", role="account_manager", tenant="org_ffffffffffffffffffff")
    assert SAME_FOR_EVERYBODY in texts(foreign)
    assert texts(foreign) == texts(unknown)
    assert not open_app("tenant", role="account_manager", tenant=ids[0]).warning


def test_account_managers_list_their_own_tenants_only(open_app, ids):
    mine = (len(ids) + 1) // 2
    app = open_app(role="account_manager")
    assert f"of {mine} tenants" in unescaped(app.metric[0].help)
    assert f"of {len(ids)} tenants" in unescaped(open_app(role="finance").metric[0].help)


@pytest.mark.parametrize("role", viewer.ROLES)
def test_prompts_reach_only_the_browsers_of_roles_that_may_read_them(open_app, ids, role):
    app = open_app("tenant", role=role, tenant=ids[0], period="Last 90 days", tab="Generations", look="Table")
    prompts = app.dataframe[-1].value["prompt"].dropna()
    assert len(prompts) > 0
    hidden = prompts.str.startswith("hidden for the role").all()
    assert hidden == (role not in ("account_manager", "admin"))


@pytest.mark.parametrize("place", places.PLACES, ids=lambda one: one.name)
def test_a_deep_link_meets_the_pages_own_guard(demo, monkeypatch, texts, place):
    monkeypatch.setitem(viewer.OPENS, place.name, frozenset())
    app = AppTest.from_file(str(places.place_file(place.name)), default_timeout=60).run()
    assert not app.exception
    assert "is not open to the role" in texts(app)
    assert not app.metric
    assert not app.dataframe


def test_a_page_that_is_not_listed_opens_for_nobody():
    assert not any(viewer.Viewer("x", role, viewer.Scope.all_tenants()).may_open("other") for role in viewer.ROLES)


def test_an_empty_period_offers_the_newest_one_that_has_rows(open_app, texts):
    app = open_app(period="Custom", **{"from": "2019-05-01", "to": "2019-05-07"})
    assert "No generations in the 56 days up to 7 May 2019" in texts(app)
    assert "The newest is from 15 Jun 2026" in texts(app)
    button(app, "Show the 28 days to 15 Jun 2026").click().run()
    assert "No generations" not in texts(app)
    assert app.query_params["from"] == "2026-05-19"


def test_filters_come_along_to_the_next_page(open_app, ids):
    app = open_app(period="Last 7 days", zone="Asia/Kathmandu")
    app.switch_page("../pages/tenant.py")
    app.query_params.clear()
    app.query_params["tenant"] = ids[0]
    app.run()
    assert not app.exception
    assert [box.value for box in app.selectbox if box.label in ("Period", "Time zone")] == [
        "Last 7 days",
        "Asia/Kathmandu",
    ]


def test_hostile_names_stay_text_in_every_place(server, shared_database, open_app, ids, texts):
    hostile = "**b** $x^2$ :red[r] <script>alert(1)</script> [l](javascript:1) :smile: `c` ~~s~~ # h"
    with renamed(server, shared_database, ids[0], hostile):
        app = open_app("tenant", tenant=ids[0])
        assert not app.exception
        title = app.title[0].value
        assert unescaped(title) == hostile[:59].rstrip() + "…"
        assert not any(f in title for f in ("**b", " $x", " :red[", " <script", " [l]", " :smile:", " `c"))
        listed = open_app(search="**b** $x")
        assert listed.dataframe[0].value["tenant"].tolist() == [hostile]
        assert hostile not in texts(listed)


def test_a_database_that_is_away_is_said_in_words_and_the_page_heals(demo, open_app, texts, monkeypatch):
    app = open_app()
    away = services.build(
        demo.settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")}),
        is_demo=True,
    )
    services.install(away)
    try:
        app.run()
        assert not app.exception
        assert "The database does not answer" in texts(app)
        assert "heals by itself" in texts(app)
        assert [box.label for box in app.selectbox if box.label == "Sort by"], "what needs no database still works"
        services.install(demo)
        app.run()
        assert "The database does not answer" not in texts(app)
        assert len(app.metric) == 5
    finally:
        away.close()


def test_refresh_keeps_the_last_figures_while_the_database_is_away(demo, open_app, ids, texts, monkeypatch):
    app = open_app("tenant", tenant=ids[0])
    figures = [one.value for one in app.metric]

    def refused(*_: Any) -> Any:
        raise DatabaseUnavailableError("the database does not answer; the page tries again by itself")

    monkeypatch.setattr(demo.database, "reading", refused)
    button(app, "Refresh").click().run()
    assert not app.exception
    assert [one.value for one in app.metric] == figures
    said = unescaped(texts(app))
    assert said.count("The database does not answer") == 1
    assert "The figures are the last ones kept" in said
    assert "heals by itself" in said


def test_without_the_demo_everybody_is_an_administrator(demo, open_app):
    services.install(dataclasses.replace(demo, is_demo=False))
    app = open_app(role="engineer")
    assert "Look as" not in [one.label for one in app.selectbox]
    assert any("Sign\\-in is off" in one.value for one in app.info)


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def unescaped(text: str) -> str:
    return text.replace("\\", "")


class renamed:  # noqa: N801 - reads as a word
    """A tenant with another name, for as long as the block runs."""

    def __init__(self, server: Any, database: str, tenant_id: str, name: str) -> None:
        self._url, self._id, self._name = server.url(database, "app"), tenant_id, name

    def __enter__(self) -> None:
        self._before = self._rename(self._name)

    def __exit__(self, *_: object) -> None:
        self._rename(self._before)

    def _rename(self, name: str) -> str:
        with psycopg.connect(self._url) as connection:
            before = connection.execute('SELECT name FROM "Organization" WHERE id = %s', [self._id]).fetchone()
            connection.execute(
                sql.SQL('UPDATE "Organization" SET name = {} WHERE id = {}').format(
                    sql.Literal(name), sql.Literal(self._id)
                )
            )
        assert before is not None
        return str(before[0])


@pytest.mark.parametrize("role", ["engineer", "admin"])
def test_the_plan_of_a_panels_query_is_a_click_away(open_app, role):
    assert "Show the plan" not in [one.label for one in open_app(role=role).button]
    app = open_app(role=role, badges=True)
    button(app, "Show the plan").click().run()
    assert not app.exception
    assert any("own part of cost" in one.value and "Limit" in one.value for one in app.code)


@pytest.mark.parametrize("role", ["account_manager", "finance"])
def test_plans_are_for_engineers(open_app, role):
    app = open_app(role=role, badges=True)
    assert app.code
    assert "Show the plan" not in [one.label for one in app.button]
