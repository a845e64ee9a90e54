"""The digest: which flags rose or cleared since it was told last, in messages, each told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from dashboard import words
from queries.digest_state import Memory, Told
from queries.scope import Scope

# Slack shows about 4,000 characters of a message at once.
MESSAGE_CHARACTERS = 3_500
_HEADINGS = {"at_risk": "At risk", "upsell": "Upsell"}
_CLEARED = "Cleared"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told, and of whose flags."""

    name: str
    scope: Scope


# Until there is a table of who looks after whom, one recipient is told of all tenants.
EVERYBODY = Recipient("everybody", Scope.all_tenants())

Present = Callable[[Recipient], Sequence[Told]]
Deliver = Callable[[Recipient, str], None]


@dataclass(frozen=True, slots=True)
class Message:
    """A text, and the flags that are told with it."""

    text: str
    rose: Sequence[Told] = field(default=())
    cleared: Sequence[Told] = field(default=())


def tell(memory: Memory, recipients: Sequence[Recipient], present: Present, deliver: Deliver, today: date) -> int:
    """Tell each recipient what changed; how many messages that took. A message is remembered when it was delivered:
    what could not be delivered is told the next time."""
    sent = 0
    for one in recipients:
        told, now = memory.told(one.name), present(one)
        for message in messages(told, now, today):
            deliver(one, message.text)
            memory.remember(one.name, rose=message.rose, cleared=message.cleared)
            sent += 1
    return sent


def messages(told: Mapping[tuple[str, str], Told], present: Sequence[Told], today: date) -> list[Message]:
    """What rose, in the order given, at risk first, and what cleared, in as many messages as it takes; none when
    nothing changed."""
    current = {one.key for one in present}
    rose = [one for one in present if one.key not in told]
    cleared = sorted((one for key, one in told.items() if key not in current), key=lambda one: (one.tenant, one.rule))
    entries = [(_HEADINGS[kind], _line(one), one) for kind in _HEADINGS for one in rose if one.kind == kind]
    entries += [(_CLEARED, _cleared_line(one), one) for one in cleared]
    head = f"Usage digest, {words.day(today)}: {words.counted(len(rose), 'flag')} rose, {len(cleared):,} cleared"
    return [_message(head, part, number) for number, part in enumerate(_parts(entries))]


def listing(present: Sequence[Told], today: date) -> str:
    """Every present flag, for a digest that has no memory."""
    entries = [(_HEADINGS[kind], _line(one), one) for kind in _HEADINGS for one in present if one.kind == kind]
    return _message(f"Usage digest, {words.day(today)}: {words.counted(len(present), 'flag')}", entries, 0).text


def slack_document(text: str) -> Mapping[str, object]:
    """The text for an incoming webhook: nothing in it is a link, a mention or markup."""
    escaped = words.unlinked(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "mrkdwn": False, "parse": "none", "unfurl_links": False}


_Entry = tuple[str, str, Told]


def _parts(entries: Sequence[_Entry]) -> list[list[_Entry]]:
    parts: list[list[_Entry]] = []
    length = 0
    for entry in entries:
        length += len(entry[1]) + 1
        if not parts or length > MESSAGE_CHARACTERS:
            parts.append([])
            length = len(entry[1]) + 1
        parts[-1].append(entry)
    return parts


def _message(head: str, entries: Sequence[_Entry], number: int) -> Message:
    lines = [f"{head}." if number == 0 else f"{head} (part {number + 1})."]
    heading = ""
    for of, line, _ in entries:
        if of != heading:
            heading = of
            lines += ["", heading]
        lines.append(line)
    cleared = [one for of, _, one in entries if of == _CLEARED]
    return Message("\n".join(lines), [one for of, _, one in entries if of != _CLEARED], cleared)


def _line(one: Told) -> str:
    return f"• {words.shortened(one.tenant, 60)}: {words.one_line(one.sentence)}"


def _cleared_line(one: Told) -> str:
    return f"• {words.shortened(one.tenant, 60)}: no longer “{words.one_line(one.sentence).rstrip('.')}”"
