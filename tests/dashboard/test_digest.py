"""The digest: each flag told once, to a real HTTP server, with its state in a real PostgreSQL."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dashboard import digest, webhook
from dashboard.digest import EVERYBODY, messages
from queries.database import driver_url
from queries.digest_state import Told, remembering
from queries.errors import WebhookError

TODAY = date(2026, 11, 23)
BURN = Told("t1", "burn_down", "at_risk", "Granite Press", "Burn fell 46 % week on week (1,204 to 652 credits).")
LOW = Told("t2", "runs_out_before_renewal", "upsell", "Kumo", "Runs out 9 days before it renews on 3 Dec 2026.")
TOLD = st.builds(
    Told,
    st.sampled_from("abc"),
    st.sampled_from(["r1", "r2"]),
    st.sampled_from(["at_risk", "upsell"]),
    st.text(),
    st.text(),
)
FLAGS = st.lists(TOLD, unique_by=lambda one: one.key)


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted, or answers as it is told to."""

    answers: ClassVar[list[int]] = []
    posted: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0) if self.answers else 200
        if status < 300:
            self.posted.append(json.loads(body))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def hook() -> Iterator[SecretStr]:
    Webhook.answers, Webhook.posted = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield SecretStr(f"http://127.0.0.1:{server.server_port}/services/word")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def owner(owner_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(driver_url(owner_url))
    yield engine
    engine.dispose()


def tell(owner: sa.Engine, address: SecretStr, present: list[Told]) -> int:
    with remembering(owner) as memory:
        return digest.tell(
            memory,
            [EVERYBODY],
            lambda _: present,
            lambda _, text: webhook.post(address, digest.slack_document(text), setting="DIGEST_WEBHOOK_URL"),
            TODAY,
        )


def texts() -> list[str]:
    return [one["text"] for one in Webhook.posted]


def test_each_flag_is_told_once_when_it_rises_and_once_when_it_clears(owner: sa.Engine, hook: SecretStr) -> None:
    assert tell(owner, hook, [BURN, LOW]) == 1
    assert texts() == [
        "Usage digest, 23 Nov 2026: 2 flags rose, 0 cleared.\n\n"
        "At risk\n• Granite Press: Burn fell 46 % week on week (1,204 to 652 credits).\n\n"
        "Upsell\n• Kumo: Runs out 9 days before it renews on 3 Dec 2026."
    ]
    assert tell(owner, hook, [BURN, LOW]) == 0
    assert tell(owner, hook, [Told("t1", "burn_down", "at_risk", "Granite Press", "Burn fell 50 %."), LOW]) == 0
    assert tell(owner, hook, [LOW]) == 1
    assert texts()[-1].endswith(
        "Cleared\n• Granite Press: no longer “Burn fell 46 % week on week (1,204 to 652 credits)”"
    )
    assert tell(owner, hook, [LOW]) == 0
    assert tell(owner, hook, [BURN, LOW]) == 1, "it rose again"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_what_was_not_taken_is_told_the_next_time(owner: sa.Engine, hook: SecretStr, status: int) -> None:
    Webhook.answers = [status]
    with pytest.raises(WebhookError, match=str(status)) as failed:
        tell(owner, hook, [BURN])
    assert "word" not in failed.value.message, "the address is a secret"
    assert failed.value.__cause__ is None
    assert tell(owner, hook, [BURN]) == 1
    assert len(texts()) == 1


def test_a_webhook_that_cannot_be_reached_is_said_without_its_address(owner: sa.Engine) -> None:
    for address in ("http://127.0.0.1:9/word", "http://127.0.0.1:9/a word"):
        with pytest.raises(WebhookError) as failed:
            tell(owner, SecretStr(address), [BURN])
        assert "word" not in failed.value.message


def test_one_that_never_answers_is_given_up(hook: SecretStr) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = SecretStr(f"http://127.0.0.1:{silent.getsockname()[1]}/word")
        with pytest.raises(WebhookError, match="TimeoutError"):
            webhook.post(address, {}, setting="DIGEST_WEBHOOK_URL", timeout_s=0.2)


def test_of_many_messages_only_those_not_taken_are_told_again(
    owner: sa.Engine, hook: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "MESSAGE_CHARACTERS", 120)
    flags = [Told(str(number), "r", "at_risk", f"Tenant {number}", "x" * 50) for number in range(5)]
    Webhook.answers = [200, 500]
    with pytest.raises(WebhookError):
        tell(owner, hook, flags)
    tell(owner, hook, flags)
    told = [line for text in texts() for line in text.splitlines() if line.startswith("•")]
    assert sorted(told) == sorted(f"• Tenant {number}: {'x' * 50}" for number in range(5))


def test_two_at_once_post_once(owner: sa.Engine, hook: SecretStr) -> None:
    threads = [threading.Thread(target=tell, args=(owner, hook, [BURN, LOW])) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(texts()) == 1


@given(FLAGS, FLAGS)
def test_messages_tell_every_change_once_and_nothing_else(before: list[Told], now: list[Told]) -> None:
    found = messages({one.key: one for one in before}, now, TODAY)
    rose = [one for message in found for one in message.rose]
    cleared = [one for message in found for one in message.cleared]
    assert sorted(one.key for one in rose) == sorted({one.key for one in now} - {one.key for one in before})
    assert sorted(one.key for one in cleared) == sorted({one.key for one in before} - {one.key for one in now})
    lines = [line for message in found for line in message.text.splitlines() if line.startswith("• ")]
    assert len(lines) == len(rose) + len(cleared)
    assert bool(found) == bool(rose or cleared)
    assert set(rose) <= set(now)


@given(FLAGS)
def test_a_message_is_never_much_longer_than_it_may_be(flags: list[Told]) -> None:
    longest = max((len(one.text.split("\n\n", 1)[1]) for one in messages({}, flags, TODAY)), default=0)
    assert longest <= digest.MESSAGE_CHARACTERS + 100


def test_nothing_in_a_document_is_markup() -> None:
    document = digest.slack_document("<!channel> & <https://evil|click>")
    assert str(document["text"]).replace("\u2060", "") == "&lt;!channel&gt; &amp; &lt;https://evil|click&gt;"
    assert document["mrkdwn"] is False


@pytest.mark.parametrize("name", ["https://evil.example/x", "www.evil.example", "somebody@evil.example"])
def test_nothing_in_a_document_is_made_a_link(name: str) -> None:
    document = digest.slack_document(f"• Pay {name}: burn fell")
    assert document["parse"] == "none"
    assert name not in str(document["text"])
    assert name in str(document["text"]).replace("\u2060", "")


def test_a_listing_names_every_present_flag() -> None:
    assert digest.listing([LOW, BURN], TODAY).splitlines() == [
        "Usage digest, 23 Nov 2026: 2 flags.",
        "",
        "At risk",
        "• Granite Press: Burn fell 46 % week on week (1,204 to 652 credits).",
        "",
        "Upsell",
        "• Kumo: Runs out 9 days before it renews on 3 Dec 2026.",
    ]
    assert digest.listing([], TODAY) == "Usage digest, 23 Nov 2026: 0 flags."
