"""The page Query performance: what it shows of the log and of memory, for whom, and what it says of a bad address."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import filters, services, viewer
from dashboard.performance.choices import BOTH, RANKS, THEIRS, WINDOWS
from dashboard.services import Services
from queries.catalog import tenants
from queries.performance.monitor import Execution, utc_now
from queries.performance.repeats import repeats
from queries.query import Timings
from queries.runner import Context
from queries.scope import Scope
from queries.settings import Settings
from tests.dashboard.conftest import DEMO_NOW, ROOT, SECONDS, said_by, with_open_badges
from tests.queries.performance.executions import write_log
from tests.queries.performance.test_monitor import execution

HEADLINES = ["Calls", "From the cache", "Database time", "Slow", "Errors"]
PANELS = ("Questions by cost", "Load by hour and weekday", "Repeats within a page run", "Slow queries", "One page run")
Make = Callable[..., Services]


@pytest.fixture
def make(reader_url: str, owner_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Services on the test's own database, installed as the process's own; their log is written by the test alone."""
    made: list[Services] = []
    before = services.installed()

    def build(**overrides: Any) -> Services:
        chosen: dict[str, Any] = {"database_url": reader_url, "direct_url": owner_url, "pool_size": 4, **overrides}
        made.append(services.build(Settings(**chosen), is_demo=True))
        services.install(made[-1])
        return made[-1]

    monkeypatch.setattr(filters, "utc_now", lambda: DEMO_NOW)
    monkeypatch.chdir(ROOT)
    yield build
    services.install(before)
    for one in made:
        one.close()


def opened(page: str = "performance", /, *, role: str = "engineer", badges: bool = False, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=SECONDS)
    app.session_state["viewer_role"] = role
    if badges:
        with_open_badges(app, page)
    app.switch_page(f"../pages/{page}.py")
    app.query_params.update(parameters)
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    return said_by(app).replace("\\", "").replace("\u2060", "")


def some(count: int = 3, **changes: Any) -> list[Execution]:
    """Executions of the last minutes, one a minute."""
    now = utc_now()
    timings = Timings(wait_ms=2, database_ms=100, fetch_ms=20, frame_ms=1)
    one = replace(execution(), **{"run_id": "", "timings": timings, **changes})
    return [replace(one, at=now - timedelta(minutes=1 + place)) for place in range(count)]


def table(app: AppTest, column: str) -> Any:
    return next(one.value for one in app.dataframe if column in one.value.columns)


def test_the_figures_of_the_log(make: Make) -> None:
    held = make()
    hits = some(5, outcome="hit")
    slow = some(
        2, query="credits.flows", slow=True, asked_by="pages/burn.py:19", parameters={"limit": 25}, plan_hash="ab12"
    )
    write_log(held, [*some(3), *hits, *slow])
    app = opened()
    text = said(app)
    assert {one.label: one.value for one in app.metric} == {
        "Calls": "10",
        "From the cache": "50.0 %",
        "Database time": "600 ms",
        "Slow": "2",
        "Errors": "0",
    }
    assert all(panel in text for panel in PANELS)
    questions = table(app, "misses")
    assert questions[["name", "calls", "hits", "misses", "p95"]].to_dict("records") == [
        {"name": "usage.totals", "calls": 8, "hits": 5, "misses": 3, "p95": 120.0},
        {"name": "credits.flows", "calls": 2, "hits": 0, "misses": 2, "p95": 120.0},
    ]
    listed = table(app, "parameters")
    assert (
        listed[["query", "line", "parameters", "plan"]].to_dict("records")
        == [{"query": "credits.flows", "line": "pages/burn.py:19", "parameters": '{"limit": 25}', "plan": "ab12"}] * 2
    )
    assert "No page run in the last 24 hours asked the database one question per row" in text


@pytest.mark.parametrize("role", ["admin", "engineer"])
def test_values_of_parameters_are_for_engineers(make: Make, role: viewer.Role) -> None:
    write_log(make(), some(1, slow=True, parameters={"limit": 4711}))
    app = opened(role=role)
    shown = said(app) + str([one.value.to_dict() for one in app.dataframe]) + str([one.value for one in app.code])
    assert ("4711" in shown) == (role == "engineer")
    assert ("shown to engineers only" in shown) == (role == "admin")


@pytest.mark.parametrize("role", ["account_manager", "finance"])
def test_other_roles_may_not_open_it(make: Make, role: viewer.Role) -> None:
    write_log(make(), some(3))
    app = opened(role=role)
    assert "Not for your role" in said(app)
    assert not app.metric


def test_a_fresh_process_says_what_to_do(make: Make) -> None:
    make()
    text = said(opened())
    assert "Nothing was asked in the last 24 hours. Open a page of accounts" in text
    assert "No page was run in the last 24 hours." in text
    assert "No query took 250 ms or more in the database in the last 24 hours." in text
    assert "Alerts are off; set ALERT_WEBHOOK_URL to have slow queries and regressions posted" in text


def test_without_direct_url_memory_is_read_and_said(make: Make) -> None:
    held = make(direct_url=None)
    for one in some(4, run_id="r1"):
        held.monitor.record(one)
    app = opened()
    text = said(app)
    assert "the executions that this process remembers" in text
    assert "set DIRECT_URL and run python -m dashboard migrate" in text
    assert app.metric[0].value == "4"
    assert "Save as baseline" not in text


def test_a_filter_to_one_page_and_one_question(make: Make) -> None:
    write_log(make(), [*some(3), *some(2, page="burn"), *some(4, query="usage.daily", page="burn")])
    assert opened(on="Credit burn").metric[0].value == "6"
    assert opened(question="usage.daily").metric[0].value == "4"
    assert opened(question="usage.daily", on="Tenants").metric[0].value == "0"
    app = opened(question="usage.totals", on="Credit burn")
    assert app.metric[0].value == "2"
    next(one for one in app.button if one.label == "All pages and questions").click().run()
    assert app.metric[0].value == "9"


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window(make: Make, window: str) -> None:
    write_log(make(), some(3))
    assert opened(window=window).metric[0].value == "3"


def test_a_time_of_its_own_in_a_zone(make: Make) -> None:
    at = (utc_now() - timedelta(days=2)).replace(hour=12, minute=30, second=0, microsecond=0)
    write_log(make(), [replace(execution(), at=at), replace(execution(), at=at + timedelta(hours=1))])

    def calls(first: timedelta, last: timedelta, zone: str) -> str:
        since, until = ((at + one).strftime("%Y-%m-%dT%H:%M") for one in (first, last))
        app = opened(window="From, to", since=since, until=until, zone=zone)
        said(app)
        return str(app.metric[0].value)

    # Kathmandu is 5 h 45 min ahead: the same digits are an earlier time.
    assert calls(timedelta(0), timedelta(hours=1), "UTC") == "1"
    assert calls(timedelta(0), timedelta(minutes=61), "UTC") == "2"
    assert calls(timedelta(hours=5, minutes=45), timedelta(hours=6, minutes=46), "Asia/Kathmandu") == "2"
    turned = opened(window="From, to", since="2026-05-07T14:00", until="2026-05-07T13:00")
    assert "The time needs a start and, after it, an end" in said(turned)
    next(one for one in turned.button if one.label == "Show the last 24 hours").click().run()
    assert turned.metric[0].value == "0"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"window": "Moon"}, "time “Moon” is not known; the last 24 hours are shown."),
        ({"zone": "Moon/Base"}, "The link's time zone is not known; UTC is shown."),
        ({"window": "From, to", "since": "yesterday"}, "The link's time is not one such as 2026-05-07T14:00"),
        ({"on": "<b>x</b>"}, "is not known; all pages are shown."),
        ({"question": "' OR 1=1 --"}, "is not known; all questions are shown."),
        ({"rank": "Moon"}, "the list goes by total time."),
        ({"statements": "Mine"}, "ours are shown."),
        ({"run": "../../etc/passwd"}, "The link's page run is not known"),
        ({"run": "ffff"}, "The log does not have this page run (any more)."),
        ({"baseline": "nope\x00**"}, "is not saved here."),
        ({"questions_page": "-1"}, "page 1 is shown."),
        ({"questions_page": "7"}, "There is no page 7 of these questions."),
        ({"slow_page": "9"}, "There is no page 9 of slow queries."),
    ],
)
def test_what_the_address_cannot_have_is_said(make: Make, parameters: dict[str, str], words: str) -> None:
    write_log(make(), some(3, slow=True, run_id="r"))
    app = opened(**parameters)
    assert words in said(app)
    assert not app.error
    assert [one.label for one in app.metric] == HEADLINES


@pytest.mark.parametrize("rank", RANKS)
def test_every_order(make: Make, rank: str) -> None:
    write_log(make(), [*some(3), *some(9, query="usage.daily")])
    app = opened(rank=rank)
    assert sorted(table(app, "misses")["name"]) == ["usage.daily", "usage.totals"]
    said(app)


def test_the_statements_of_the_application_or_what_to_run(make: Make) -> None:
    write_log(make(), some(3))
    app = opened(statements=THEIRS, badges=True)
    assert "pg_stat_statements" in said(app) + str([one.value for one in app.code])
    assert "misses" not in str([list(one.value.columns) for one in app.dataframe if "name" in one.value.columns])
    assert table(opened(statements=BOTH), "misses")["name"].tolist() == ["usage.totals"]


def test_the_statements_of_the_application_stand_in_the_same_table(
    make: Make, server: Any, database_name: str, app_url: str
) -> None:
    with server.superuser(database_name) as connection:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            connection.execute("SELECT FROM pg_stat_statements LIMIT 1")
        except psycopg.Error as error:
            pytest.skip(f"this server cannot count statements: {error}")
        connection.execute("GRANT pg_read_all_stats TO usage_dashboard_reader")
    write_log(make(), some(3))
    with psycopg.connect(app_url) as connection:
        connection.execute('SELECT count(*) FROM "Image"')
    both = table(opened(statements=BOTH), "whose")
    assert set(both["whose"]) == {"dashboard", "application"}
    assert any('"Image"' in one for one in both["name"])


def test_a_baseline_is_saved_compared_with_and_removed(make: Make) -> None:
    held = make()
    write_log(held, some(20))
    app = opened()
    next(one for one in app.text_input if one.label == "Release").set_value("1.2").run()
    next(one for one in app.button if one.label == "Save as baseline").click().run()
    assert "Saved 1 question as 1.2." in said(app)
    assert app.query_params["baseline"] in ("1.2", ["1.2"])
    assert "No question's p95 is over 1.5 times that of the baseline" in said(app)
    write_log(held, [replace(one, timings=Timings(database_ms=300)) for one in some(20)])
    app = opened(baseline="1.2", rank="Slower than before")
    assert "usage.totals: p95 rose from 120 ms to 300 ms (2.5 times the baseline 1.2), over 20 runs now" in said(app)
    assert table(app, "slower")["slower"].tolist() == ["▲ 2.5 times slower"]
    next(one for one in app.button if one.label == "Remove this baseline").click().run()
    assert "No baseline is saved yet." in said(app)


def test_a_run_is_drawn_as_bars_and_its_repeats_are_flagged(make: Make) -> None:
    ran = [replace(one, parameters_hash=f"h{place}") for place, one in enumerate(some(6, run_id="r1"))]
    write_log(make(), [replace(one, asked_by="pages/burn.py:19", page="burn") for one in ran])
    app = opened(run="r1")
    text = said(app)
    assert text.count("N+1: usage.totals ran 6 times in one run, 6 times with other parameters") == 2
    assert "(page burn, pages/burn.py:19)" in text
    assert table(app, "kind")["line"].tolist() == ["pages/burn.py:19"]
    assert "6 questions ran in the database for 720 ms together" in text
    assert [one.value for one in app.selectbox if one.label == "Page run"] == ["r1"]


def test_a_database_that_is_away_is_said_in_each_panel(make: Make) -> None:
    held = make()
    write_log(held, some(3))
    with psycopg.connect(held.settings.direct_url.get_secret_value()) as connection:  # type: ignore[union-attr]
        connection.execute("ALTER TABLE usage_dashboard.query_log RENAME TO away")
    app = opened()
    assert not app.exception
    assert len(app.error) >= 4
    assert all("migrate" in str(one.value) for one in app.error)


PLANTED = """
    from dashboard import board
    from dashboard.services import current
    from queries.catalog import tenants, usage
    from queries.period import Period
    from queries.runner import Context
    from queries.scope import Scope

    page = board.open_board("tenants", "Planted", "What goes wrong here?")
    period = Period.last_days(7, zone="UTC", now=board.filters.utc_now())
    everybody = tenants.tenant_choices(page.viewer.scope, search="", limit=6)
    ids = page.run(everybody).frame["tenant_id"].tolist()
    for one in ids:
        page.run(usage.totals(Scope.of([one]), period=period))  # N+1
    past_the_cache = Context(page.viewer.scope, page="tenants", run_id=page.visit.run_id, refresh=True)
    for _ in range(2):
        current().runner.run(tenants.plans(page.viewer.scope), past_the_cache)  # duplicate
"""


def test_n_plus_one_and_a_duplicate_planted_in_a_page_are_found_with_page_and_line(make: Make, tmp_path: Path) -> None:
    held = make(direct_url=None)
    source = textwrap.dedent(PLANTED)
    planted = tmp_path / "planted.py"
    planted.write_text(source)
    run = AppTest.from_file(str(planted), default_timeout=SECONDS).run()
    assert not run.exception, run.exception
    lines = {line.partition("# ")[2]: place for place, line in enumerate(source.splitlines(), 1)}
    app = opened()
    found = table(app, "kind")
    where = f"{tmp_path.name}/planted.py"
    assert list(zip(found["kind"], found["query"], found["page"], found["line"], strict=True)) == [
        ("N+1", "usage.totals", "tenants", f"{where}:{lines['N+1']}"),
        ("Duplicate", "tenants.plans", "tenants", f"{where}:{lines['duplicate']}"),
    ]
    assert list(zip(found["executions"], found["distinct"], strict=True)) == [(6, 6), (2, 1)]
    assert f"(page tenants, {where}:{lines['N+1']})" in said(app)
    assert held.monitor.questions.newest("usage.totals") is not None


def repeated(executions: Sequence[Execution]) -> list[str]:
    runs = {one.run_id for one in executions if one.run_id}
    return [one.sentence for run in runs for one in repeats(each for each in executions if each.run_id == run)]


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("tenants", {}),
        ("tenants", {"sort": "Credits burned", "page": "2"}),
        ("burn", {}),
        ("burn", {"tab": "How long they last"}),
        ("timelines", {"by": "User", "measure": "Latency"}),
        ("timelines", {"live": "true", "gfrom": "2026-06-10T00:00:00Z", "gto": "2026-06-11T00:00:00Z"}),
        *(("tenant", {"tab": one}) for one in ("Overview", "Credits", "Users", "Quotas", "Quality", "Generations")),
        *(("tenant", {"tab": one}) for one in ("Ledger", "Compare")),
    ],
)
def test_healthy_pages_repeat_nothing_also_past_the_cache(make: Make, page: str, parameters: dict[str, str]) -> None:
    held = make(direct_url=None)
    if page == "tenant":
        parameters = {**parameters, "tenant": tenant_id(held)}
    app = opened(page, role="admin", **parameters)
    assert not app.exception
    refresh = [one for one in app.button if one.label == "Refresh"]
    if refresh:
        refresh[0].click().run()
    recorded = held.monitor.recent()
    assert any(one.page == page and one.outcome == "miss" for one in recorded)
    assert all(one.asked_by for one in recorded)
    assert repeated(recorded) == []


def tenant_id(held: Services) -> str:
    asked = tenants.tenant_choices(Scope.all_tenants(), search="", limit=1)
    return str(held.runner.run(asked, Context(Scope.all_tenants())).frame["tenant_id"].iloc[0])


@pytest.mark.parametrize("role", viewer.ROLES)
def test_the_badge_of_a_panel_leads_here_for_those_who_may(make: Make, role: viewer.Role) -> None:
    make(direct_url=None)
    app = opened("burn", role=role, badges=True)
    assert not app.exception
    assert app.code
    labels = [one.proto.label for one in app.get("page_link")]
    assert ("How this question performs" in labels) == (role in ("engineer", "admin"))


def test_looking_at_the_page_records_nothing(make: Make) -> None:
    held = make(direct_url=None)
    opened(role="engineer")
    assert [one for one in held.monitor.recent() if one.page == "performance"] == []
