"""Alerts: questions that ran slowly or got slower than the newest baseline, to a webhook: each at most once in a while,
and not too many an hour. Off until ALERT_WEBHOOK_URL is set."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from dashboard import digest, webhook, words
from dashboard.performance.sentences import regression
from dashboard.services import Services
from queries.alert_state import HOUR, Claims, Kept, Remembered, Wanted, claiming
from queries.database import Database
from queries.errors import UsageDashboardError
from queries.performance.alert_findings import SETTLED, Finding, Regression, Slow, found
from queries.performance.monitor import utc_now
from queries.performance.recorded import Source, source_of
from queries.settings import LOCAL_HOSTS, Settings

log = logging.getLogger(__name__)

SETTING = "ALERT_WEBHOOK_URL"
HELD_BACK = "held back"
EVERY_S = 60.0
_FIRST_AFTER_S = 5.0
# A look at a very large log must not run all the time.
_REST = 20


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. `link` is the page that shows it, where the dashboard's address is known."""

    subject: str
    text: str
    link: str | None
    facts: Mapping[str, Any]

    @property
    def whole(self) -> str:
        """The text with its link, for a terminal."""
        return self.text if self.link is None else f"{self.text}\n{self.link}"


Deliver = Callable[[Message], None]


def look(held: Services, claims: Claims, deliver: Deliver, now: datetime, *, source: Source) -> int:
    """Tell what became slow; how many messages that took."""
    at = now - SETTLED
    findings = found(held.database, held.monitor, claims.told(), at, source=source)
    return tell(findings, claims, deliver, at, held.settings)


def tell(findings: Sequence[Finding], claims: Claims, deliver: Deliver, at: datetime, settings: Settings) -> int:
    """Deliver a message for each that was not told lately, and one that says how many were held back when there were
    too many within an hour. What could not be delivered counts as not told; its error ends the telling."""
    told = claims.told()
    since = at - timedelta(seconds=settings.alert_every_s)
    # Subjects of their own, so that all processes share them.
    slots = [f"message {number}" for number in range(1, settings.alert_most_per_hour + 1)]
    due = [one for one in findings if one.subject not in told or told[one.subject] <= since]
    sent = 0
    for place, one in enumerate(due):
        message = message_of(one, settings)
        with claiming(claims, Wanted(message.subject, message.text, at, since, slots)) as came:
            if came == "ours":
                deliver(message)
                sent += 1
        if came == "full":
            return sent + _tell_held_back(len(due) - place, claims, deliver, at, settings)
    return sent


def _tell_held_back(count: int, claims: Claims, deliver: Deliver, at: datetime, settings: Settings) -> int:
    """Once an hour, beside the others."""
    text = (
        f"{words.counted(count, 'more alert')} {'was' if count == 1 else 'were'} held back: at most"
        f" {settings.alert_most_per_hour} an hour are sent (ALERT_MOST_PER_HOUR)."
    )
    message = _message(HELD_BACK, text, {}, settings, {"kind": "held_back", "count": count})
    with claiming(claims, Wanted(HELD_BACK, text, at, at - HOUR)) as came:
        if came == "ours":
            deliver(message)
    return int(came == "ours")


def message_of(one: Finding, settings: Settings) -> Message:
    """What happened, with its numbers: names of questions and pages, and nothing that anybody asked with."""
    if isinstance(one, Slow):
        facts = {"kind": "slow", **asdict(one), "threshold_ms": settings.slow_query_ms}
        return _message(one.subject, _slow(one, settings), {"question": one.query}, settings, facts)
    asked = {"question": one.query, "baseline": one.release}
    return _message(one.subject, _slower(one, settings), asked, settings, {"kind": "regression", **asdict(one)})


def document(message: Message) -> Mapping[str, object]:
    """The message for an incoming webhook: nothing in it is a link or a mention but the link to our own page."""
    plain = digest.slack_document(message.text)
    if message.link is None:
        return plain
    # Without its markup Slack would not follow the brackets that make a link.
    return {**plain, "text": f"{plain['text']}\n<{message.link.replace('&', '&amp;')}>", "mrkdwn": True}


def posting(address: SecretStr) -> Deliver:
    """Delivers to the webhook."""
    return lambda message: webhook.post(address, document(message), setting=SETTING)


def claims_of(database: Database) -> Claims:
    """Shared with all processes through the database where we may write to it."""
    return Kept(database.owner) if database.owner is not None else Remembered()


class Alerter:
    """A thread that looks every minute. No page waits for it, nor for the webhook."""

    def __init__(self, held: Services, address: SecretStr, *, every_s: float = EVERY_S) -> None:
        self._held, self._every_s = held, every_s
        self._claims, self._deliver = claims_of(held.database), posting(address)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; a webhook that does not answer is not waited for."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        pause_s, failing = _FIRST_AFTER_S, ""
        while not self._stopping.wait(pause_s):
            started = time.monotonic()
            try:
                look(self._held, self._claims, self._deliver, utc_now(), source=source_of(self._held.database))
                failing = ""
            except UsageDashboardError as error:
                if error.message != failing and not self._stopping.is_set():
                    log.warning("alerts are not sent: %s; it is tried again every minute", error.message)
                failing = error.message
            pause_s = max(self._every_s, _REST * (time.monotonic() - started))


def alerter(held: Services) -> Alerter | None:
    """The thread of a server; None while alerts are off."""
    address = held.settings.alert_webhook_url
    return Alerter(held, address) if address is not None else None


def _message(
    subject: str, text: str, asked: Mapping[str, str], settings: Settings, facts: Mapping[str, Any]
) -> Message:
    path = "/performance" + (f"?{urlencode(asked)}" if asked else "")
    base = _own_address(settings)
    if base is None:
        return Message(subject, f"{text}\nSee Query performance, {path}", None, facts)
    return Message(subject, text, f"{base}{path}", facts)


def _own_address(settings: Settings) -> str | None:
    """Where others reach the dashboard; None when it listens for this machine only, perhaps behind a proxy, or on every
    address."""
    try:
        host = ipaddress.ip_address(settings.address)
    except ValueError:
        is_known = settings.address not in LOCAL_HOSTS
    else:
        is_known = not (host.is_loopback or host.is_unspecified)
    bracketed = f"[{settings.address}]" if ":" in settings.address else settings.address
    return f"http://{bracketed}:{settings.port}" if is_known else None


def _slow(one: Slow, settings: Settings) -> str:
    zone, least = settings.reporting_zone, words.small_ms(settings.slow_query_ms)
    parts = [
        f"{one.slow:,} of {words.counted(one.runs, 'run')} since {words.moment(one.since, zone)} took {least} or more"
        " in the database (SLOW_QUERY_MS)"
    ]
    if one.p95_ms is not None and one.worst_ms is not None:
        p95 = f"p95 {words.small_ms(one.p95_ms)}, " if one.runs - one.stopped > 1 else ""
        parts.append(f": {p95}worst {words.small_ms(one.worst_ms)}")
    if one.stopped:
        parts.append(f"; {one.stopped:,} stopped after {settings.statement_timeout_s:g} s (STATEMENT_TIMEOUT_S)")
    return (
        f"Slow query: {_name(one.query)}, {_pages(one.pages)}.\n{''.join(parts)}."
        f" The newest was at {words.moment(one.newest_at, zone)}."
    )


def _slower(one: Regression, settings: Settings) -> str:
    zone, release = settings.reporting_zone, words.shortened(one.release, 60)
    return (
        f"Regression against the baseline {release}: {_name(one.query)}, {_pages(one.pages)}.\n"
        f"{regression({**asdict(one), 'query': _name(one.query)}, release)}"
        f" Counted since {words.moment(one.since, zone)}; the newest run was at {words.moment(one.newest_at, zone)}."
    )


def _name(query: str) -> str:
    return words.shortened(query, 80)


def _pages(names: Sequence[str]) -> str:
    return f"page{'' if len(names) == 1 else 's'} {', '.join(words.shortened(one, 40) for one in names)}"
