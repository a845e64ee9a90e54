"""The page Timelines: what it shows, zooms, lists, and says about a bad address."""

from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from streamlit.testing.v1 import AppTest

from dashboard import services, viewer
from dashboard.timelines.choices import MEASURES, SPLITS
from tests.dashboard.conftest import ROOT, SECONDS

HEADLINES = ["Generations", "Credits charged", "Success rate", "Latency p95", "Failures"]
SAME_FOR_EVERYBODY = "There is no such tenant, or it is not one of yours."
ASKED = {"usage.over_time", "timelines.latency", "timelines.failures", "timelines.hours"}


@pytest.fixture
def open_timelines(demo: services.Services) -> Any:
    """Open the page by its address in a session of its own, as a copied link does."""

    def opened(*, role: str = "admin", **parameters: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=SECONDS)
        app.session_state["viewer_role"] = role
        app.switch_page("../pages/timelines.py")
        app.query_params.update(parameters)
        return app.run()

    return opened


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("split", SPLITS)
def test_every_measure_by_every_split(open_timelines, texts, measure, split):
    app = open_timelines(measure=measure, by=split)
    assert not app.exception
    assert not app.error
    assert [one.label for one in app.metric] == HEADLINES
    said = texts(app)
    for title in ("per day", "Failures by error", "Generations by hour and weekday", "What stands out"):
        assert title in said
    is_refused = split == "Status" and measure in ("Success rate", "Latency")
    assert ("not split by status" in unescaped(said)) == is_refused


@pytest.mark.parametrize("measure", MEASURES)
def test_a_page_asks_as_many_questions_for_one_tenant_as_for_all(demo: services.Services, open_timelines, ids, measure):
    def asked(**parameters: str) -> list[str]:
        before = demo.monitor.recent()
        open_timelines(measure=measure, **parameters)
        seen = [one for one in demo.monitor.recent() if one not in before and one.page == "timelines"]
        return sorted(one.query for one in seen if one.query != "tenants.tenant_choices")

    all_tenants, one = asked(), asked(tenant=ids[0])
    assert all_tenants == one
    assert set(all_tenants) >= ASKED
    assert len(all_tenants) == (8 if measure == "Latency" else 6)
    assert len(asked(by="User")) == len(all_tenants)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"measure": "Moon"}, "measure “Moon” is not known; generations are shown."),
        ({"by": "Moon"}, "split “Moon” is not known; nothing is split."),
        ({"grain": "Second"}, "grain “Second” is not known; the finest that fits is shown."),
        ({"zfrom": "now", "zto": "then"}, "“now” is not a time such as 2026-05-07T14:00:00Z"),
        ({"zfrom": "2026-06-10T10:00:00", "zto": "2026-06-10T11:00:00Z"}, "has no offset"),
        ({"zfrom": "2026-06-10T10:00:00Z"}, "it needs a start and an end"),
        ({"zfrom": "2026-06-10T10:00:00Z", "zto": "2026-06-10T10:00:00Z"}, "at least a minute after its start"),
        ({"zfrom": "2026-06-11T10:00:00Z", "zto": "2026-06-10T10:00:00Z"}, "at least a minute after its start"),
        ({"zfrom": "0001-01-01T00:00:00Z", "zto": "2026-06-10T10:00:00Z"}, "is out of range"),
        ({"zfrom": "x" * 5_000, "zto": "\x00"}, "is not a time"),
        ({"gfrom": "<b>x</b>", "gto": "2026-06-10T10:00:00Z"}, "is not a time"),
        ({"of": "nobody", "gfrom": "2026-06-10T10:00:00Z"}, "No generations here."),
    ],
)
def test_what_the_address_cannot_have_is_said(open_timelines, texts, parameters, said):
    app = open_timelines(**parameters)
    assert not app.exception
    assert not app.error
    assert said in unescaped(texts(app))
    assert len(app.metric) == 5


def test_a_good_address_has_nothing_said_about_it(open_timelines):
    app = open_timelines(
        measure="Credits", by="Model", grain="Week", zfrom="2026-06-10T10:00Z", zto="2026-06-11T10:00Z"
    )
    assert not app.info


@pytest.mark.parametrize("bad", ["nope", "' OR 1=1 --", "x" * 5_000, "a\x00b"])
def test_unknown_tenants_are_the_same_not_found(open_timelines, texts, bad):
    app = open_timelines(tenant=bad)
    assert not app.exception
    assert SAME_FOR_EVERYBODY in texts(app)
    assert not app.metric


def test_another_ones_tenant_looks_exactly_like_no_tenant(open_timelines, ids, texts):
    foreign = open_timelines(role="account_manager", tenant=ids[-1])
    unknown = open_timelines(role="account_manager", tenant="org_ffffffffffffffffffff")
    assert texts(foreign) == texts(unknown)
    behind = open_timelines(role="account_manager", of=ids[-1])
    assert "is not one of yours" in unescaped(texts(behind))
    assert not any("Prompt" in str(one.value.columns) for one in behind.dataframe)


def test_one_tenants_figures_are_those_of_its_rows(server, shared_database, open_timelines, ids):
    app = open_timelines(tenant=ids[0], period="Custom", **{"from": "2026-06-01", "to": "2026-06-10"})
    with psycopg.connect(server.url(shared_database, "app")) as connection:
        found = connection.execute(
            'SELECT count(*), count(*) FILTER (WHERE status = %s), coalesce(sum("creditsUsed"), 0) FROM "Generation"'
            ' WHERE "organizationId" = %s AND "createdAt" >= %s AND "createdAt" < %s',
            ["FAILED", ids[0], "2026-06-01", "2026-06-11"],
        ).fetchone()
    assert found is not None
    shown = {one.label: one.value for one in app.metric}
    assert [shown[one].replace(",", "") for one in ("Generations", "Failures", "Credits charged")] == [
        str(found[0]),
        str(found[1]),
        str(found[2]),
    ]


def test_too_fine_a_grain_is_said_and_the_finest_that_fits_is_shown(open_timelines, texts):
    said = unescaped(texts(open_timelines(grain="Minute")))
    assert "By minute this period has about 41,760 points, and a chart holds 400. It is shown by day" in said
    assert "Generations per day" in said
    assert "Generations per week" in texts(open_timelines(grain="Week"))


@pytest.mark.parametrize(
    ("start", "end", "grain"),
    [
        ("2026-06-15T09:00:00Z", "2026-06-15T10:00:00Z", "minute"),
        ("2026-06-12T00:00:00Z", "2026-06-15T12:00:00Z", "hour"),
        ("2026-06-15T10:29:00+02:00", "2026-06-16T10:30:00+02:00", "hour"),
    ],
)
def test_a_zoom_of_the_link_is_shown_with_a_way_out(open_timelines, texts, start, end, grain):
    app = open_timelines(zfrom=start, zto=end)
    assert not app.exception
    assert f"Generations per {grain}" in texts(app)
    assert "Zoomed to" in texts(app)
    button(app, "Zoom out").click().run()
    assert "Zoomed to" not in texts(app)
    assert "zfrom" not in app.query_params
    assert "Generations per day" in texts(app)


def test_zooming_by_keyboard_step_by_step_and_all_the_way_back(open_timelines, texts):
    app = open_timelines(period="Last 7 days", grain="Day")
    zoom_in(app, 1, 4)
    assert (app.query_params["from"], app.query_params["to"]) == ("2026-06-09", "2026-06-12")
    assert "Zoomed to 9 to 12 Jun 2026" in texts(app)
    select(app, "By", "Hour")
    zoom_in(app, 10, 13)
    assert (app.query_params["zfrom"], app.query_params["zto"]) == ("2026-06-09T10:00:00Z", "2026-06-09T14:00:00Z")
    button(app, "Zoom out").click().run()
    assert "zfrom" not in app.query_params
    assert "Zoomed to 9 to 12 Jun 2026" in texts(app)
    zoom_in(app, 10, 13)
    button(app, "Whole period").click().run()
    assert not app.exception
    assert "Zoomed to" not in texts(app)
    assert period_of(app) == "Last 7 days"


def test_choosing_another_period_ends_the_zoom(open_timelines, texts):
    app = open_timelines(zfrom="2026-06-10T10:00:00Z", zto="2026-06-10T12:00:00Z")
    select(app, "Period", "Last 7 days")
    assert "Zoomed to" not in texts(app)
    assert "zfrom" not in app.query_params


def test_the_generations_of_a_bucket_are_listed_and_the_link_lists_them_again(open_timelines, texts):
    app = open_timelines(period="Last 7 days", grain="Day", zone="Europe/Berlin")
    pick = next(one for one in app.selectbox if one.label == "See the generations of one day")
    pick.set_value(2).run()
    assert not app.exception
    assert app.query_params["gfrom"] == "2026-06-09T22:00:00Z"
    assert app.query_params["gto"] == "2026-06-10T22:00:00Z"
    listed = generations(app)
    assert len(listed) == 25
    assert (listed["created"].min(), listed["created"].max()) >= (utc(2026, 6, 9, 22), utc(2026, 6, 9, 22))
    assert listed["created"].max() < utc(2026, 6, 10, 22)
    again = open_timelines(**{name: app.query_params[name] for name in app.query_params})
    assert generations(again).equals(listed)
    button(again, "Clear the selection").click().run()
    assert "gfrom" not in again.query_params
    assert "Generations behind the selection" not in texts(again)


def test_a_selected_series_is_listed_alone(open_timelines, ids, texts):
    day = {"gfrom": "2026-06-01T00:00:00Z", "gto": "2026-06-15T00:00:00Z"}
    assert set(generations(open_timelines(status="FAILED", **day))["status"]) == {"Failed"}
    assert set(generations(open_timelines(type="UPSCALE", **day))["type"]) == {"Upscale"}
    of_tenant = open_timelines(of=ids[0], **day)
    assert len(set(generations(of_tenant)["tenant"])) == 1
    assert "No generations here." in texts(open_timelines(status="MELTED", **day))


def test_a_series_of_another_split_is_not_selected_any_more(open_timelines):
    app = open_timelines(by="Status", status="FAILED", gfrom="2026-06-01T00:00:00Z")
    select(app, "Split by", "Type")
    assert "status" not in app.query_params
    assert "gfrom" not in app.query_params


@pytest.mark.parametrize("role", viewer.ROLES)
def test_prompts_reach_only_the_roles_that_may_read_them(open_timelines, role):
    prompts = generations(open_timelines(role=role, status="SUCCEEDED"))["prompt"].dropna()
    assert len(prompts) > 0
    assert prompts.str.startswith("hidden for the role").all() == (role not in ("account_manager", "admin"))


def test_an_empty_period_offers_the_newest_and_an_empty_zoom_the_way_out(open_timelines, texts):
    app = open_timelines(period="Custom", **{"from": "2019-05-01", "to": "2019-05-07"})
    assert not app.exception
    assert "No generations from 1 to 7 May 2019" in texts(app)
    button(app, "Show the 28 days to 15 Jun 2026").click().run()
    assert "No generations from" not in texts(app)
    app = open_timelines(zfrom="2019-05-01T10:00:00Z", zto="2019-05-01T11:00:00Z")
    assert not app.exception
    assert "Zoom out to see the rest" in texts(app)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Havana"])
@pytest.mark.parametrize("day", ["2026-03-29", "2025-10-26", "2026-04-05", "2026-03-08"])
def test_days_of_23_and_25_hours(open_timelines, zone, day):
    app = open_timelines(period="Custom", zone=zone, grain="Hour", **{"from": day, "to": day})
    assert not app.exception
    assert not app.error


@pytest.fixture
def odd_rows(server: Any, shared_database: str, ids: list[str]) -> Any:
    """Change the rows of one tenant, and put them back afterwards."""
    url, tenant = server.url(shared_database, "app"), ids[1]
    with psycopg.connect(url) as connection:
        kept = connection.execute(
            'SELECT "status", "error", "durationMs", "createdAt", "model", id FROM "Generation"'
            ' WHERE "organizationId" = %s',
            [tenant],
        )
        rows = kept.fetchall()

    def change(assignment: LiteralString) -> str:
        with psycopg.connect(url) as connection:
            changed = connection.execute(
                sql.SQL('UPDATE "Generation" SET {} WHERE "organizationId" = {}').format(
                    sql.SQL(assignment), sql.Literal(tenant)
                )
            )
            assert changed.rowcount > 0
        return str(tenant)

    yield change
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            'UPDATE "Generation" SET "status" = %s, "error" = %s, "durationMs" = %s, "createdAt" = %s, "model" = %s'
            " WHERE id = %s",
            rows,
        )


@pytest.mark.parametrize(
    ("change", "figures", "said"),
    [
        ("\"status\" = 'FAILED', \"error\" = '<b>x</b> **y** :red[z]'", {"Success rate": "0.0 %"}, ""),
        ('"status" = \'SUCCEEDED\', "durationMs" = NULL', {"Latency p95": "–", "Failures": "0"}, "Nothing failed"),
        ("\"createdAt\" = '2099-01-01'", {"Generations": "0", "Success rate": "–"}, "No generations from"),
        ("\"model\" = '<img src=x onerror=alert(1)> **' || id", {}, ""),
    ],
    ids=["only failures", "no durations", "times that lie ahead", "a model per row"],
)
def test_odd_rows_leave_an_honest_page(open_timelines, texts, odd_rows, change, figures, said):
    tenant = odd_rows(change)
    for measure in MEASURES:
        app = open_timelines(tenant=tenant, measure=measure, by="Model", period="Last 90 days")
        assert not app.exception
        assert not app.error
        shown = {one.label: one.value for one in app.metric}
        assert {label: shown[label] for label in figures} == figures
        assert said in unescaped(texts(app))


def test_live_mode_shows_the_last_minutes_and_how_old_they_are(open_timelines, texts):
    app = open_timelines(live="true")
    assert not app.exception
    said = unescaped(texts(app))
    assert "The last 60 minutes, live" in said
    assert "up to 10:30:00, UTC" in said
    assert "The last 60 minutes" not in texts(open_timelines())


def test_the_page_is_heard_by_every_role(open_timelines):
    for role in viewer.ROLES:
        assert len(open_timelines(role=role).metric) == 5


def zoom_in(app: AppTest, first: int, last: int) -> None:
    slider = app.select_slider[0]
    slider.set_range(slider.options[first], slider.options[last]).run()
    button(app, "Zoom in").click().run()
    assert not app.exception


def generations(app: AppTest) -> Any:
    assert not app.exception
    return next(one.value for one in app.dataframe if "prompt" in one.value.columns)


def select(app: AppTest, label: str, value: str) -> None:
    next(one for one in app.selectbox if one.label == label).set_value(value).run()
    assert not app.exception


def period_of(app: AppTest) -> str:
    return str(next(one for one in app.selectbox if one.label == "Period").value)


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def unescaped(text: str) -> str:
    return text.replace("\\", "")
