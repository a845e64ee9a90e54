"""The Tenant page for accounts of every kind: no view breaks, and each says what there is to say."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import filters, services, viewer
from queries.settings import Settings
from tests.conftest import OWNER, READER, Server
from tests.dashboard.conftest import DEMO_NOW, ROOT, said_by

# What a missing value looks like when nobody thought of it, and words that say nothing.
BAD_WORDS = re.compile(r"\b(?:None|nan|NaT|NA|N/A|No data|Oops)\b")
VIEWS = ("Overview", "Credits", "Users", "Quotas", "Quality", "Generations", "Ledger", "Compare")
PIXELS = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
_TENANT = """INSERT INTO "Organization" (id, name, slug, "updatedAt") VALUES (%s, %s, %s, now())"""
_USER = """INSERT INTO "User" (id, "organizationId", email, name, "updatedAt") VALUES (%s, %s, %s, %s, now())"""
_SUBSCRIPTION = """INSERT INTO "Subscription" (id, "organizationId", plan, status, "currentPeriodStart",
    "currentPeriodEnd", "creditsPerPeriod", "updatedAt") VALUES (%s, %s, 'PRO', 'ACTIVE', %s, %s, %s, now())"""
_BALANCE = """INSERT INTO "CreditBalance" (id, "organizationId", balance, "resetDate", "updatedAt")
    VALUES (%s, %s, %s, '2026-07-01', now())"""
_LIMIT = """INSERT INTO "UsageLimit" (id, "organizationId", type, date, count, "limit")
    VALUES (%s, %s, %s, %s, %s, %s)"""
_MADE = """INSERT INTO "Generation" (id, "userId", "organizationId", type, model, status, "creditsUsed", "durationMs",
    prompt, error, "createdAt", "updatedAt") SELECT %(tenant)s || %(name)s || n, %(user)s, %(tenant)s, 'UPSCALE',
    CASE WHEN %(models)s THEN 'model ' || n ELSE 'm' END, %(status)s::"GenerationStatus", 2, %(took)s, 'secret words',
    %(error)s, %(at)s::timestamp - n * interval '1 minute', now() FROM generate_series(1, %(count)s) AS n"""
_MOVED = """INSERT INTO "CreditTransaction" (id, "organizationId", "userId", type, amount, "createdAt")
    VALUES (%s, %s, %s, %s::"CreditTransactionType", %s, %s)"""
_IMAGE = """INSERT INTO "Image" (id, "generationId", "organizationId", url, data, "sizeBytes", width, height,
    "createdAt") VALUES (%s, %s, %s, %s, %s, %s, 8, 8, %s)"""


class Odd:
    """Writes tenants of odd kinds."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._run = connection.execute

    def tenant(self, one: str) -> None:
        self._run(_TENANT, [one, f"Odd {one}", one])
        self._run(_USER, [f"usr_{one}", one, f"{one}@example.com", f"User of {one}"])

    def made(self, one: str, status: str = "SUCCEEDED", at: str = "2026-06-12 12:00", **other: Any) -> None:
        usual = {"user": f"usr_{one}", "name": status, "took": 900, "error": None, "count": 3, "models": False}
        self._run(_MADE, {**usual, "tenant": one, "status": status, "at": at, **other})

    def write(self) -> None:
        """All of them."""
        for one in KINDS:
            self.tenant(one)
        self.made("one_row", count=1)
        self.made("only_failures", "FAILED", error="<b>https://evil.example</b> $x$", count=30)
        self.made("only_today", at="2026-06-15 10:00")
        self._run(_BALANCE, ["b1", "balance_only", 500])
        self._run(_MOVED, ["t1", "ledger_only", None, "GRANT", 100, "2026-06-10"])
        self._run(_MOVED, ["t2", "ledger_only", "usr_ledger_only", "CHARGE", -30, "2026-06-11"])
        self.made("limit_zero")
        for number, (type_, day, count) in enumerate([("UPSCALE", "2026-06-12", 3), ("INPAINTING", "2026-06-12", 0)]):
            self._run(_LIMIT, [f"l{number}", "limit_zero", type_, day, count, 0])
        self.made("null_durations", took=None, count=150)
        self.made("future", at="2026-06-20 12:00")
        self._run(_SUBSCRIPTION, ["s1", "future", "2026-07-01", "2026-08-01", 100])
        self._run(_MOVED, ["t3", "future", None, "CHARGE", -7, "2026-06-25"])
        self.made("moved_user", user="usr_one_row", count=5)
        self._run(_MOVED, ["t4", "moved_user", "usr_one_row", "CHARGE", -10, "2026-06-12"])
        self.made("many_models", models=True, count=5_000)
        self.made("stuck", "PROCESSING", took=None)
        self._run(_SUBSCRIPTION, ["s2", "endless", "2026-01-01", "2126-01-01", 0])
        self._run(_BALANCE, ["b2", "endless", -340])
        self._run(_BALANCE, ["b3", "future", 900])
        self.made("nameless")
        self._run(_MOVED, ["t5", "nameless", None, "CHARGE", -6, "2026-06-12"])
        self.made("images", count=3)
        first, second, third = (f"imagesSUCCEEDED{number}" for number in (1, 2, 3))
        at = "2026-06-12 12:00"
        self._run(_IMAGE, ["i1", first, "images", None, PIXELS, 48, at])
        self._run(_IMAGE, ["i2", second, "images", "https://images.example/2.png", None, 9, at])
        self._run(_IMAGE, ["i3", third, "images", None, b"<svg onload=alert(1)>", 21, at])


# Each kind, and what one of its views must say.
KINDS: dict[str, tuple[str, str]] = {
    "nothing": ("Overview", "has no generations yet"),
    "one_row": ("Quality", "Gaps are too few to say"),
    "only_failures": ("Quality", "No successful generation with a duration"),
    "only_today": ("Overview", "No subscription is known"),
    "balance_only": ("Ledger", "0 movements add up to 0 credits, and the balance is 500"),
    "ledger_only": ("Ledger", "2 movements add up to 70 credits; there is no balance to hold them against"),
    "limit_zero": ("Quotas", "Upscale: limit hit on 1 day, the last on 12 Jun 2026."),
    "null_durations": ("Quality", "No successful generation with a duration"),
    "future": ("Credits", "The subscription period does not hold today"),
    "moved_user": ("Users", "A generation counts for the user who made it"),
    "many_models": ("Overview", "By model"),
    "stuck": ("Quality", "Stuck: 3"),
    "endless": ("Credits", "longer than 400 days"),
    "images": ("Generations", "of 3 generations"),
    "nameless": ("Users", "The ledger does not say whose charges these are"),
}


@pytest.fixture(scope="module")
def odd_database(server: Server, template: str) -> Iterator[str]:
    from tests.conftest import _clone  # the clone of a test of its own, for a whole module

    with _clone(server, template) as name:
        with psycopg.connect(server.url(name, "app")) as connection:
            Odd(connection).write()
        yield name


@pytest.fixture
def odd(server: Server, odd_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[services.Services]:
    held = services.build(
        Settings(database_url=server.url(odd_database, READER), direct_url=server.url(odd_database, OWNER)),
        is_demo=True,
        dataset="demo",
    )
    before = services.installed()
    services.install(held)
    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield held
    services.install(before)
    held.close()


def opened(role: str = "admin", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.session_state["viewer_role"] = role
    app.run().switch_page("../pages/tenant.py")
    app.query_params.clear()
    app.query_params.update(parameters)
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return said_by(app).replace("\\", "")


@pytest.mark.parametrize("kind", KINDS)
def test_no_view_breaks_whatever_the_account_is_like(odd, kind):
    spoken = {}
    app = opened(tenant=kind, **{"with": "one_row"})
    for view in VIEWS:
        app.query_params["tab"] = view
        app.run()
        assert not app.exception, app.exception
        assert not app.error, view
        spoken[view] = said(app)
    view, words = KINDS[kind]
    assert words in spoken[view]
    for text in spoken.values():
        assert not BAD_WORDS.findall(text)


def test_rows_after_now_are_not_counted(odd):
    app = opened(tenant="future", tab="Generations")
    assert "has no generations yet" not in said(app), "there are some, later"
    assert "of 3 generations" not in said(app)
    assert "No credits moved" in said(opened(tenant="future", tab="Ledger"))


def test_a_user_who_moved_is_shown_by_id_and_says_so(odd):
    (table,) = opened(tenant="moved_user", tab="Users").dataframe
    assert table.value["user"].tolist() == ["usr_one_row"]
    assert table.value["role"].tolist() == ["not in this tenant now"]
    assert (table.value["generations"].tolist(), table.value["charged"].tolist()) == ([5], [10])


def test_charges_of_nobody_in_particular_are_no_users_and_say_nothing_of_users(odd):
    app = opened(tenant="nameless", tab="Users")
    (table,) = app.dataframe
    charged = dict(zip(table.value["user"], table.value["charged"], strict=True))
    assert charged["(charged to no user)"] == 6
    assert table.value["charged"].isna().tolist() == [one != "(charged to no user)" for one in charged]
    assert "1 user; “(charged to no user)” is none of them." in said(app)
    assert "1 to 2 of 2 rows" in said(app)


def test_what_is_left_is_no_share_of_a_period_that_does_not_hold(odd):
    app = opened(tenant="future", tab="Credits")
    assert "does not hold today, so what is left is not shown as a share" in said(app)
    assert "of a period's credits" not in said(app)


def test_5000_models_are_ten_and_other(odd):
    app = opened(tenant="many_models", tab="Overview")
    models = app.dataframe[-1].value
    assert len(models) == 11
    assert models["series"].iloc[-1] == "Other"
    assert models["generations"].sum() == 5_000


def test_images_are_shown_only_where_they_are_pixels_of_our_own(odd):
    app = opened(tenant="images", tab="Generations")
    images = app.get("imgs") or app.get("image")
    assert len(images) == 1
    text = said(app)
    assert "Stored at https:\u2060//images.example/2.png" in text
    assert "of a kind that is not shown here" in text
    assert "svg" not in text


@pytest.mark.parametrize("role", viewer.ROLES)
def test_images_and_prompts_are_for_the_same_roles(odd, role):
    app = opened(role=role, tenant="images", tab="Generations")
    may_see = role in viewer.READS_PROMPTS
    assert bool(app.get("imgs") or app.get("image")) == may_see
    assert any("secret words" in one.value for one in app.text) == may_see
    asked = [one.query for one in odd.monitor.recent()]
    assert ("generations.pictures" in asked) == may_see


def test_a_click_on_another_tenant_keeps_the_view_and_forgets_the_filter(odd):
    app = opened(tenant="one_row", tab="Generations", user="usr_one_row", look="Table")
    assert "User: usr_one_row" in said(app)
    next(one for one in app.text_input if one.label == "Search tenants").set_value("odd IMA")
    app.run()
    next(one for one in app.button if one.label == "Odd images").click().run()
    assert not app.exception
    assert app.title[0].value == "Odd images"
    assert "of 3 generations" in said(app)
    assert "user" not in app.query_params


def test_filters_of_a_link_are_chips_that_can_be_taken_away(odd):
    app = opened(tenant="only_failures", tab="Generations", status="SUCCEEDED", model="m")
    assert "No generation matches: Status: Succeeded, Model: m." in said(app)
    next(one for one in app.button if one.label.replace("\\", "") == "Status: Succeeded").click().run()
    assert "of 30 generations" in said(app)
    assert "status" not in app.query_params
    assert app.query_params["model"] == ["m"] or app.query_params["model"] == "m"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"tab": "Moon"}, "view “Moon” is not known; Overview is shown."),
        ({"tab": "Users", "users_sort": "Moon"}, "sort “Moon” is not known; users are sorted by generations."),
        ({"tab": "Users", "users_page": "9"}, "There is no page 9 of users."),
        ({"tab": "Users", "users_page": "x"}, "page is not a number from 1 on; page 1 is shown."),
        ({"tab": "Generations", "look": "Moon"}, "look “Moon” is not known; the grid is shown."),
        ({"tab": "Generations", "generations_page": "77"}, "There is no page 77 of generations."),
        ({"tab": "Generations", "gfrom": "x" * 500}, "times of generations cannot be used"),
        ({"tab": "Generations", "status": "MOON\x00"}, "No generation matches"),
        ({"tab": "Generations", "generation": "' OR 1=1 --"}, "No generation matches"),
        ({"tab": "Ledger", "ledger_page": "0"}, "page is not a number"),
        ({"tab": "Quality", "stuck_page": "5"}, "There is no page 5 of stuck generations."),
        ({"tab": "Compare", "with": "' OR 1=1 --"}, "The link's other tenant is not there, or is not one of yours"),
    ],
)
def test_what_a_link_asks_for_and_there_is_not_is_said(odd, parameters, words):
    app = opened(tenant="one_row", **parameters)
    assert words in said(app)
    assert not app.error


def test_another_ones_tenant_stands_beside_nobodys(odd):
    app = opened(role="account_manager", tenant="balance_only", tab="Compare", **{"with": "stuck"})
    assert "is not one of yours; this one stands alone" in said(app)


def test_two_tenants_stand_beside_each_other(odd):
    app = opened(tenant="only_failures", tab="Compare", **{"with": "images"})
    (table,) = app.dataframe
    assert table.value["now-0"].tolist()[0] == "30"
    assert table.value["now-1"].tolist()[0] == "3"
    assert len(app.get("plotly_chart")) == 4
