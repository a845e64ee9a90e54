"""Alerts: to a real HTTP server, from a real log, each once in a while, by however many processes."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dashboard import alerts, services
from dashboard import server as web
from dashboard.alerts import Alerter, alerter, claims_of, document, look, message_of, posting
from dashboard.performance.sentences import alerting
from dashboard.services import Services
from queries.alert_state import Claims
from queries.errors import WebhookError
from queries.performance import baselines, log_reading
from queries.performance.alert_findings import SETTLED, Regression, Slow
from queries.performance.log_reading import REGRESSION_MISSES
from queries.performance.monitor import Execution, utc_now
from queries.performance.recorded import Window, source_of
from queries.query import Timings
from queries.settings import Settings
from tests.queries.performance.executions import NOON, write_log
from tests.queries.performance.test_monitor import execution
from tests.webhooks import SECRET, Webhook, webhook

Make = Callable[..., Services]
MINUTE = timedelta(minutes=1)
WITHOUT_AND_WITH_LINK = (Settings(address="127.0.0.1"), Settings(address="10.1.2.3"))
TYPED = "a prompt that somebody typed"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


@pytest.fixture
def make(reader_url: str, owner_url: str) -> Iterator[Make]:
    made: list[Services] = []

    def build(**overrides: Any) -> Services:
        # What the tests log is of June: nobody sweeps it away.
        kept: dict[str, Any] = {"query_log_days": 3650, "pool_size": 4}
        chosen: dict[str, Any] = {"database_url": reader_url, "direct_url": owner_url, **kept, **overrides}
        made.append(services.build(Settings(**chosen), is_demo=True))
        return made[-1]

    yield build
    for one in made:
        one.close()


def slow_one(at: datetime, query: str = "usage.totals", ms: float = 900, **changes: Any) -> Execution:
    one = replace(execution(), at=at, query=query, timings=Timings(database_ms=ms), slow=True)
    return replace(one, parameters={"search": TYPED}, **changes)


def told(held: Services, hook: Webhook, now: datetime, claims: Claims | None = None) -> list[str]:
    """What a look posts."""
    before = len(hook.posted)
    sent = look(held, claims or claims_of(held.database), posting(hook.address), now, source=source_of(held.database))
    assert sent == len(hook.posted) - before
    return hook.texts[before:]


def test_a_slow_query_is_told_once_a_while_with_its_numbers(make: Make, hook: Webhook) -> None:
    held = make()
    now = NOON + timedelta(minutes=30)
    first = [slow_one(NOON), slow_one(NOON + MINUTE, ms=300, page="burn"), replace(execution(), at=NOON + 2 * MINUTE)]
    write_log(held, first)
    assert told(held, hook, now) == [
        "Slow query: usage.totals, pages burn, tenants.\n"
        "2 of 3 runs since 15 Jun 2026, 11:29, UTC took 250 ms or more in the database (SLOW_QUERY_MS): p95 840 ms,"
        " worst 900 ms. The newest was at 15 Jun 2026, 12:01, UTC.\n"
        "See Query performance, /performance?question=usage.totals"
    ]
    assert told(held, hook, now + MINUTE) == [], "it is the same one"
    again = slow_one(now + 10 * MINUTE, ms=500)
    write_log(held, [*first, again])
    assert told(held, hook, now + 20 * MINUTE) == [], "not so soon"
    (text,) = told(held, hook, now + 60 * MINUTE)
    assert "1 of 1 run since 15 Jun 2026, 12:29, UTC" in text, "of those that were not told"
    assert "(SLOW_QUERY_MS): worst 500 ms. The newest" in text, "one run has no percentile"
    assert told(held, hook, now + 180 * MINUTE) == [], "nothing was slow since"


def test_the_time_between_two_is_a_setting_and_survives_a_restart(make: Make, hook: Webhook) -> None:
    held = make()
    write_log(held, [slow_one(NOON), slow_one(NOON + 3 * MINUTE)])

    def restarted(every_s: float, now: datetime) -> int:
        """All that a process remembers is gone: the claims are made anew."""
        changed = held.settings.model_copy(update={"alert_every_s": every_s})
        return len(told(replace(held, settings=changed), hook, now))

    assert restarted(120, NOON + MINUTE) == 1
    assert restarted(300, NOON + 4 * MINUTE) == 0
    assert restarted(120, NOON + 4 * MINUTE) == 1


def test_one_that_was_stopped_says_so(make: Make, hook: Webhook) -> None:
    held = make(statement_timeout_s=20)
    stopped = slow_one(NOON, outcome="error", fingerprint=None, rows=None, error=f"StatementTimeoutError: {TYPED}")
    write_log(held, [stopped])
    (text,) = told(held, hook, NOON + MINUTE)
    assert "1 of 1 run since" in text
    assert "(SLOW_QUERY_MS); 1 stopped after 20 s (STATEMENT_TIMEOUT_S)." in text


def regressed(held: Services, release: str) -> datetime:
    """The log of a question that took 100 ms when the release was saved, and 400 ms since; the moment after it."""
    now = utc_now()

    def runs(ms: float, end: datetime) -> list[Execution]:
        one = replace(execution(), run_id="", timings=Timings(database_ms=ms), parameters={"search": TYPED})
        return [replace(one, at=end - timedelta(seconds=1 + place)) for place in range(REGRESSION_MISSES)]

    write_log(held, runs(100, now))
    figures = log_reading.by_query(held.database, Window(now - MINUTE, now), held.monitor)
    baselines.save(held.database, release, figures, saved_by="somebody")
    later = utc_now() + timedelta(minutes=10)
    write_log(held, runs(400, later))
    return later + SETTLED


def test_a_regression_is_told_once_with_its_release(make: Make, hook: Webhook) -> None:
    held = make(address="10.1.2.3", port=8600)
    now = regressed(held, "1.2 <!channel> https://evil.example")
    (text,) = told(held, hook, now)
    lines = text.splitlines()
    assert lines[0] == (
        "Regression against the baseline 1.2 &lt;!channel&gt; https://evil.example: usage.totals, page tenants."
    )
    assert lines[1].startswith("usage.totals: p95 rose from 100 ms to 400 ms (4.0 times the baseline 1.2 &lt;!channel")
    assert "over 20 runs now against 20 then. Counted since " in lines[1]
    assert lines[2] == (
        "<http://10.1.2.3:8600/performance?question=usage.totals"
        "&amp;baseline=1.2+%3C%21channel%3E+https%3A%2F%2Fevil.example>"
    )
    assert "https://evil" not in str(hook.posted[0]["text"]), "no reader makes a link of it"
    for hours in (0, 2, 20):
        assert told(held, hook, now + timedelta(hours=hours)) == [], "these runs have been told"


def test_too_many_in_an_hour_are_held_back_and_counted_once(make: Make, hook: Webhook) -> None:
    held = make(alert_most_per_hour=3, alert_every_s=600)

    def storm(at: datetime) -> list[Execution]:
        return [slow_one(at, f"usage.{name}", ms) for name, ms in zip("abcde", range(900, 400, -100), strict=True)]

    write_log(held, storm(NOON))
    texts = told(held, hook, NOON + MINUTE)
    assert [one.splitlines()[0] for one in texts] == [
        *(f"Slow query: usage.{name}, page tenants." for name in "abc"),
        "2 more alerts were held back: at most 3 an hour are sent (ALERT_MOST_PER_HOUR).",
    ], "the slowest first"
    assert texts[-1].endswith("See Query performance, /performance")
    write_log(held, [*storm(NOON), *storm(NOON + 20 * MINUTE)])
    assert told(held, hook, NOON + 30 * MINUTE) == [], "the hour is full, and that has been said"
    later = [one.splitlines()[0] for one in told(held, hook, NOON + 62 * MINUTE)]
    assert len(later) == 4, "another hour"
    assert later[-1].startswith("2 more alerts were held back")


def test_of_two_processes_at_once_one_tells_and_the_cap_is_of_both(make: Make, hook: Webhook) -> None:
    both = [make(alert_most_per_hour=8) for _ in range(2)]

    def at_once(names: str, now: datetime) -> list[str]:
        write_log(both[0], [slow_one(NOON, f"usage.{name}") for name in names])
        barrier, before = threading.Barrier(2), len(hook.posted)

        def process(held: Services) -> None:
            barrier.wait(10)
            look(held, claims_of(held.database), posting(hook.address), now, source="log")

        with ThreadPoolExecutor(2) as processes:
            list(processes.map(process, both))
        return sorted(one.splitlines()[0] for one in hook.texts[before:])

    assert at_once("abcdef", NOON + MINUTE) == [f"Slow query: usage.{one}, page tenants." for one in "abcdef"]
    held_back, *slow = at_once("ghijkl", NOON + 2 * MINUTE)
    assert held_back.startswith("4 more alerts were held back")
    assert len(slow) == len(set(slow)) == 2


def test_what_a_webhook_does_not_take_is_told_at_the_next_look(make: Make, hook: Webhook) -> None:
    held = make()
    write_log(held, [slow_one(NOON), slow_one(NOON, "usage.daily", 800)])
    hook.answers = [200, 503]
    with pytest.raises(WebhookError, match=r"answered 503.*check ALERT_WEBHOOK_URL") as refused:
        told(held, hook, NOON + MINUTE)
    assert SECRET not in refused.value.message
    assert set(claims_of(held.database).told()) == {"slow usage.totals", "message 1"}
    hook.status = 500
    with pytest.raises(WebhookError):
        told(held, hook, NOON + 2 * MINUTE)
    hook.status = 200
    (text,) = told(held, hook, NOON + 3 * MINUTE)
    assert text.startswith("Slow query: usage.daily")


def test_one_that_is_held_back_and_not_taken_is_told_at_the_next_look(make: Make, hook: Webhook) -> None:
    held = make(alert_most_per_hour=1)
    write_log(held, [slow_one(NOON), slow_one(NOON, "usage.daily", 800)])
    hook.answers = [200, 429]
    with pytest.raises(WebhookError):
        told(held, hook, NOON + MINUTE)
    (text,) = told(held, hook, NOON + 2 * MINUTE)
    assert text.startswith("1 more alert was held back")


def test_without_direct_url_memory_is_told_and_remembered_by_the_process(make: Make, hook: Webhook) -> None:
    held = make(direct_url=None)
    claims = claims_of(held.database)
    held.monitor.record(slow_one(NOON))
    assert len(told(held, hook, NOON + MINUTE, claims)) == 1
    assert told(held, hook, NOON + 2 * MINUTE, claims) == []
    held.monitor.record(slow_one(NOON + 30 * MINUTE))
    assert len(told(held, hook, NOON + 70 * MINUTE, claims)) == 1


def test_nothing_that_was_asked_with_leaves_the_database(
    make: Make, hook: Webhook, owner_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = make()
    write_log(held, [slow_one(NOON, error=TYPED, asked_by=TYPED, fingerprint=TYPED), slow_one(NOON, "usage.daily")])
    hook.answers = [200, 500]
    with caplog.at_level(logging.DEBUG), pytest.raises(WebhookError):
        told(held, hook, NOON + MINUTE)
    with psycopg.connect(owner_url) as connection:
        kept = connection.execute("SELECT * FROM usage_dashboard.alert").fetchall()
    assert len(kept) == 2
    for said in (str(hook.posted), str(kept), caplog.text):
        assert "typed" not in said
        assert SECRET not in said


def test_alerts_are_off_until_an_address_is_set(make: Make) -> None:
    held = make()
    assert alerter(held) is None
    address = held.settings.model_copy(update={"alert_webhook_url": SecretStr("https://hooks.example/x")})
    assert isinstance(alerter(replace(held, settings=address)), Alerter)


def test_the_page_says_whether_they_are_on_without_the_address() -> None:
    assert alerting(Settings()).startswith("Alerts are off; set ALERT_WEBHOOK_URL")
    said = alerting(Settings(alert_webhook_url=SecretStr(f"https://hooks.example/{SECRET}"), alert_every_s=7200))
    assert said == (
        "Alerts are on: slow queries and regressions are posted to ALERT_WEBHOOK_URL, the same one at most once in"
        " 2.0 h, 10 an hour in all."
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looks at once, and what was logged a moment ago counts."""
    monkeypatch.setattr(alerts, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(alerts, "SETTLED", timedelta(0))
    monkeypatch.setattr(alerts, "_REST", 0)


def test_a_webhook_that_is_down_is_said_once_and_told_when_it_is_up(
    make: Make, hook: Webhook, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    held = make()
    write_log(held, [slow_one(utc_now() - MINUTE)])
    hook.status = 503
    running = Alerter(held, hook.address, every_s=0.05)
    with caplog.at_level(logging.INFO, logger="dashboard.alerts"):
        running.start()
        wait_until(lambda: hook.asked >= 3)
        hook.status = 200
        assert hook.took_one.wait(30)
        running.stop()
    assert len(hook.posted) == 1
    (line,) = caplog.messages
    assert line.startswith("alerts are not sent: the webhook answered 503")
    assert SECRET not in caplog.text


def test_a_database_that_is_away_does_not_end_the_thread(
    make: Make, hook: Webhook, impatient: None, owner_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = make()
    write_log(held, [slow_one(utc_now() - MINUTE)])
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE usage_dashboard.alert RENAME TO away")
        running = Alerter(held, hook.address, every_s=0.05)
        running.start()
        wait_until(lambda: "alerts are not sent" in caplog.text)
        connection.execute("ALTER TABLE usage_dashboard.away RENAME TO alert")
    assert hook.took_one.wait(30)
    running.stop()
    assert len(hook.posted) == 1


def test_the_server_looks_by_itself_and_ends(make: Make, hook: Webhook, impatient: None) -> None:
    before = services.installed()
    held = make(alert_webhook_url=hook.url)
    write_log(held, [slow_one(utc_now() - MINUTE)])
    services.install(held)

    async def served() -> bool:
        async with web.lifespan(None):
            return await asyncio.to_thread(hook.took_one.wait, 30)

    try:
        with ThreadPoolExecutor(1) as elsewhere:  # browser tests leave an event loop running in this thread
            assert elsewhere.submit(asyncio.run, served()).result()
    finally:
        services.install(before)
    assert [one.name for one in threading.enumerate() if one.name == "alerts"] == []
    assert len(hook.posted) == 1


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("10.1.2.3", "http://10.1.2.3:8501/performance?question=usage.totals"),
        ("fd00::7", "http://[fd00::7]:8501/performance?question=usage.totals"),
        ("dashboard.example", "http://dashboard.example:8501/performance?question=usage.totals"),
        *((one, None) for one in ("127.0.0.1", "0.0.0.0", "::", "::1", "localhost")),  # noqa: S104 - nothing listens
    ],
)
def test_a_link_is_given_where_others_can_follow_it(address: str, link: str | None) -> None:
    message = message_of(a_slow_one("usage.totals"), Settings(address=address))
    assert message.link == link
    assert (f"<{link}>" in str(document(message)["text"])) == (link is not None)
    assert ("See Query performance, /performance?question=usage.totals" in message.whole) == (link is None)


def a_slow_one(query: str, page: str = "tenants") -> Slow:
    return Slow(query, (page,), NOON, NOON, runs=3, slow=2, stopped=0, p95_ms=1, worst_ms=2)


@given(st.text(), st.text(min_size=1, max_size=60))
def test_whatever_a_name_holds_a_document_has_no_mention_and_one_link_at_most(name: str, release: str) -> None:
    found = Regression(
        name, (name,), NOON, NOON, release, misses=20, p95_ms=2, baseline_calls=20, baseline_p95_ms=1, regression=2
    )
    for settings in WITHOUT_AND_WITH_LINK:
        for one in (a_slow_one(name, name), found):
            message = message_of(one, settings)
            text = str(document(message)["text"])
            assert text.count("<") == text.count(">") == (1 if message.link else 0)
            assert text.count("\n") == 2, "what was logged adds no line"
            assert "http://" not in text.replace("<http://10.1.2.3:8501/", "<")


def test_a_webhook_that_cannot_be_reached_is_said_by_the_name_of_its_setting() -> None:
    with pytest.raises(WebhookError, match=r"cannot be reached .*ALERT_WEBHOOK_URL") as failed:
        posting(SecretStr(f"http://127.0.0.1:9/{SECRET}"))(message_of(a_slow_one("x"), Settings()))
    assert SECRET not in failed.value.message
