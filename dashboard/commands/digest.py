"""`python -m dashboard digest`, for cron."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console

from dashboard import digest as digests
from dashboard import outlook, services, webhook
from dashboard.commands import demo
from dashboard.digest import EVERYBODY, Recipient
from dashboard.logs import configure_logging
from queries import migrations
from queries.catalog import tenants
from queries.digest_state import Told, remembering
from queries.embedded.attach import AttachedServer, started_or_attached
from queries.period import local_date
from queries.runner import Context
from queries.settings import Settings, load_settings

_CANNOT_REMEMBER = (
    "These are all present flags: nothing can be remembered without DIRECT_URL, so nothing is posted and the next"
    " digest says the same."
)


def digest(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be told; post and remember nothing.")
    ] = False,
) -> None:
    """Tell which flags rose or cleared since the last digest, each once: post to DIGEST_WEBHOOK_URL, or print."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    now = datetime.now(UTC)
    today = local_date(now, settings.reporting_zone)
    with opened(settings) as held:
        if held.database.owner is None:
            _print(digests.listing(_present(held, EVERYBODY, now), today))
            _say(_CANNOT_REMEMBER)
        else:
            _tell(held, now, today, dry_run=dry_run)


def _tell(held: services.Services, now: datetime, today: date, *, dry_run: bool) -> None:
    address = held.settings.digest_webhook_url

    def deliver(recipient: Recipient, text: str) -> None:  # noqa: ARG001 - one address for all, until there are more
        if address is None:
            _print(text)
        else:
            webhook.post(address, digests.slack_document(text), setting="DIGEST_WEBHOOK_URL")

    assert held.database.owner is not None, "asked before"
    with remembering(held.database.owner) as memory:
        if dry_run:
            found = digests.messages(memory.told(EVERYBODY.name), _present(held, EVERYBODY, now), today)
            for message in found:
                _print(message.text)
            sent, address = len(found), None
        else:
            sent = digests.tell(memory, [EVERYBODY], lambda one: _present(held, one, now), deliver, today)
    if sent == 0:
        _say("No flag rose or cleared since the last digest.")
    elif address is not None:
        _say(f"Posted {sent} message{'' if sent == 1 else 's'}.")


def _present(held: services.Services, recipient: Recipient, now: datetime) -> Sequence[Told]:
    """The flags of the recipient's tenants now, those to be called first at the top."""
    zone = held.settings.reporting_zone
    query = tenants.signals(recipient.scope, now=now, zone=zone, search="", plans=())
    frame = held.runner.run(query, Context(recipient.scope, page="digest", refresh=True)).frame
    found = sorted(outlook.of_tenants(frame, now, zone), key=lambda one: -one.priority)
    return [Told(one.tenant_id, flag.rule, flag.kind, one.tenant, flag.sentence) for one in found for flag in one.flags]


@contextmanager
def opened(settings: Settings) -> Iterator[services.Services]:
    """The services of DATABASE_URL, or of the embedded demo: of the server that a running dashboard holds, else started
    and stopped again here."""
    # Nobody signs in here: who may start this command reads everything anyhow.
    settings = settings.model_copy(update={"auth": "none"})
    if settings.database_url is not None:
        held = services.build(settings)
        try:
            yield held
        finally:
            held.close()
        return
    server = started_or_attached(settings.data)
    try:
        if not isinstance(server, AttachedServer):
            demo.prepare(server)
        owner, reader = (server.url(demo.DEMO, role) for role in ("usage_dashboard_owner", "usage_dashboard_reader"))
        migrations.upgrade(owner)
        addresses = {"database_url": SecretStr(reader), "direct_url": SecretStr(owner)}
        held = services.build(settings.model_copy(update=addresses), is_demo=True, dataset=demo.DEMO)
        try:
            yield held
        finally:
            held.close()
    finally:
        server.stop()


def _print(text: str) -> None:
    """One message, and a line between it and the next."""
    Console(highlight=False, soft_wrap=True).print(f"{text}\n", markup=False)


def _say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)
