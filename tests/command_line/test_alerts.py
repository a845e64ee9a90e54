"""`python -m dashboard alerts` as cron runs it: on a real PostgreSQL, to a real HTTP server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from dashboard import cli
from dashboard.commands import alerts as command
from queries.database import driver_url
from queries.performance.monitor import utc_now
from queries.performance.query_log import QUERY_LOG, _row
from queries.query import Timings
from tests.queries.performance.test_monitor import execution
from tests.running import ROOT
from tests.webhooks import SECRET, Webhook, webhook

Alerts = Callable[..., "Done"]
NOTHING_NEW = "No query became slow, or slower than the newest baseline, since it was told last."


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


@dataclass
class Done:
    """What a run of the command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def alerts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Alerts:
    """The command line within this process: starting another takes seconds, and one test does."""
    for name in [one for one in os.environ if one.endswith("_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(command, "configure_logging", lambda *_: None)  # it is of the whole process

    def run(*arguments: str, **environment: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["dashboard", "alerts", *arguments])
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        assert "typed" not in said.out + said.err
        return Done(int(ended.value.code or 0), said.out, " ".join(said.err.split()))

    return run


def log_a_slow_query(owner_url: str) -> None:
    one = replace(execution(), at=utc_now() - timedelta(minutes=1), timings=Timings(database_ms=900), slow=True)
    engine = sa.create_engine(driver_url(owner_url))
    with engine.begin() as connection:
        connection.execute(sa.insert(QUERY_LOG), [_row(replace(one, parameters={"search": "typed"}))])
    engine.dispose()


def test_printed_without_a_webhook_and_nothing_is_remembered(alerts: Alerts, reader_url: str, owner_url: str) -> None:
    addresses = {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url}
    log_a_slow_query(owner_url)
    printed = alerts(**addresses)
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith("Slow query: usage.totals, page tenants.\n1 of 1 run since ")
    rows = json.loads(alerts("--json", **addresses, ADDRESS="10.1.2.3").out)
    assert [(one["subject"], one["kind"], one["query"], one["pages"]) for one in rows] == [
        ("slow usage.totals", "slow", "usage.totals", ["tenants"])
    ]
    assert (rows[0]["worst_ms"], rows[0]["slow"], rows[0]["threshold_ms"]) == (900, 1, 250)
    assert rows[0]["link"] == "http://10.1.2.3:8501/performance?question=usage.totals"
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT * FROM usage_dashboard.alert").fetchall() == []


def test_posted_once_and_what_was_not_taken_the_next_time(
    alerts: Alerts, reader_url: str, owner_url: str, hook: Webhook
) -> None:
    settings = {"DATABASE_URL": reader_url, "DIRECT_URL": owner_url, "ALERT_WEBHOOK_URL": hook.url}
    log_a_slow_query(owner_url)
    hook.answers = [503]
    refused = alerts(**settings)
    assert refused.code == 1
    assert "the webhook answered 503" in refused.err
    taken = alerts(**settings)
    assert (taken.code, taken.out) == (0, "")
    assert "Posted 1 message." in taken.err
    assert [one.splitlines()[0] for one in hook.texts] == ["Slow query: usage.totals, page tenants."]
    again = alerts("--json", **settings)
    assert (again.code, json.loads(again.out)) == (0, [])
    assert NOTHING_NEW in again.err
    assert len(hook.posted) == 1


def test_without_direct_url_all_is_printed_and_nothing_is_posted(
    alerts: Alerts, superuser_url: str, owner_url: str, hook: Webhook
) -> None:
    log_a_slow_query(owner_url)
    done = alerts(DATABASE_URL=superuser_url, ALERT_WEBHOOK_URL=hook.url)
    assert done.code == 0
    assert done.out.startswith("Slow query: usage.totals")
    assert "nothing can be remembered without DIRECT_URL" in done.err
    assert hook.asked == 0


def test_a_database_that_is_away_is_said_in_words(alerts: Alerts) -> None:
    done = alerts(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (done.code, done.out) == (1, "")
    assert "the database does not answer" in done.err


def test_a_wrong_address_stops_the_program_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dashboard", "alerts"],
        cwd=ROOT,
        env={**os.environ, "ALERT_WEBHOOK_URL": f"http://hooks.example/{SECRET}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "ALERT_WEBHOOK_URL is not accepted: an address that" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr
