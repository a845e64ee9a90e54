"""`python -m dashboard alerts`, for cron."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from dashboard import alerts as alerting
from dashboard import words
from dashboard.alerts import Message
from dashboard.commands.digest import opened
from dashboard.logs import configure_logging
from queries.alert_state import Remembered
from queries.performance.monitor import utc_now
from queries.settings import load_settings

_CANNOT_REMEMBER = (
    "This is all that is slow now: nothing can be remembered without DIRECT_URL, so nothing is posted and the next look"
    " says the same."
)


def alerts(
    as_document: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """Tell which queries became slow, or slower than the newest baseline, since that was told last: post to
    ALERT_WEBHOOK_URL, or, where that is not set, print and remember nothing."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    address = settings.alert_webhook_url
    told: list[Message] = []
    with opened(settings) as held:
        claims = alerting.claims_of(held.database)
        can_remember = held.database.owner is not None
        post = alerting.posting(address) if address is not None and can_remember else None
        if post is None:
            claims = Remembered(claims.told())  # forgotten when we end

        def deliver(message: Message) -> None:
            if post is not None:
                post(message)
            told.append(message)

        alerting.look(held, claims, deliver, utc_now(), source="log")
    _print(told, as_document=as_document, is_posted=post is not None)
    if not can_remember:
        _say(_CANNOT_REMEMBER)
    elif not told:
        _say("No query became slow, or slower than the newest baseline, since it was told last.")
    elif post is not None:
        _say(f"Posted {words.counted(len(told), 'message')}.")


def _print(told: Sequence[Message], *, as_document: bool, is_posted: bool) -> None:
    if as_document:
        rows = [{"subject": one.subject, **one.facts, "text": one.text, "link": one.link} for one in told]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=True, default=_value))
    elif not is_posted:
        for one in told:
            Console(highlight=False, soft_wrap=True).print(f"{one.whole}\n", markup=False)


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)
