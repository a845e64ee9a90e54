"""What `connect` prints: the proposal beside sample values, its questions, the check, and what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from queries.connect.answers import Path_, Question
from queries.connect.checking import Check
from queries.connect.found import PRISMA, Confidence, Draft, Found, weaker
from queries.connect.open_questions import likeliest
from queries.connect.proposing import Proposal
from queries.connect.samples import Peek, masked
from queries.connect.unused import Unused, UnusedColumns
from queries.connect.values import NO_MEANING, Meanings, counted
from queries.mapping import FILE_NAME

_SQL_LETTERS = 60
# So many choices and names stand in a line.
_CHOICES = 12
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_COLOURS: dict[Confidence, str] = {"high": "green", "medium": "yellow", "low": "red"}


def say(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(printable(sentence), markup=False)


def printable(text: str) -> str:
    """Text of a database without what would steer a terminal."""
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def show(proposal: Proposal, peek: Peek) -> None:
    """Every table with its columns, sample values and reasons; then the values; then what there is not."""
    console = Console(highlight=False)
    for logical in PRISMA.tables:
        draft = proposal.drafts.get(logical)
        if draft is not None:
            console.print(_table(logical, draft, peek))
            console.print()
    for kind, made in proposal.meanings.items():
        if any(made.values.values()) or made.unmapped:
            console.print(_values(kind, made))
            console.print()
    missing = [logical for logical in PRISMA.tables if proposal.drafts.get(logical) is None]
    if missing:
        console.print(f"There is none: {', '.join(missing)}.", markup=False)


def _table(logical: str, draft: Draft, peek: Peek) -> Table:
    sure = weaker(draft.confidence, *(one.confidence for one in draft.columns.values()))
    united = "".join(f" and {one.relation.label}" for one in draft.united)
    of = f"{draft.pattern}.{draft.relation.name}" if draft.pattern else f"{draft.relation.label}{united}"
    table = Table(title=Text(printable(f"{logical}: {of}")), title_justify="left", caption_justify="left")
    for heading in ("ours", "theirs", "a value", "why", "sure"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "sure")
    for column in PRISMA.tables[logical].columns:
        found = draft.columns.get(column)
        if found is None:
            table.add_row(column, "-", "", "there is none", "")
        else:
            table.add_row(
                column, *_cells(found, column, peek), Text(found.confidence, style=_COLOURS[found.confidence])
            )
    said = [f"{draft.reason}.", *(f"Note: {one}." for one in draft.notes)]
    table.caption = Text(printable(" ".join(said)), style=f"dim {_COLOURS[sure]}" if sure == "low" else "dim")
    return table


def _cells(found: Found, column: str, peek: Peek) -> tuple[Text, Text, Text]:
    theirs = found.column if found.column is not None else found.sql
    shown = theirs if len(theirs) <= _SQL_LETTERS else f"{theirs[:_SQL_LETTERS]}…"
    sample = masked(peek.first(*found.shown), column) if found.shown is not None else ""
    return Text(printable(shown)), Text(printable(sample)), Text(printable(found.reason))


def _values(kind: str, made: Meanings) -> Table:
    table = Table(title=f"Values of {kind}", title_justify="left")
    table.add_column("ours")
    table.add_column("theirs", overflow="fold")
    for ours, theirs in {**made.values, NO_MEANING: made.unmapped}.items():
        shown = ", ".join(counted(one, made.rows.get(one)) for one in theirs)
        table.add_row(ours, Text(printable(shown or "-")))
    return table


def ask(question: Question, *, is_new: bool) -> None:
    """A question with its choices, before it is answered. `is_new`: no other of its kind was asked before."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print()
    if is_new and question.seen:
        console.print(printable("\n  ".join(question.seen)), markup=False)
    console.print(printable(question.text), markup=False)
    if question.choices:
        console.print(printable(f"Choices: {listed(question.choices)}"), markup=False)


def listed(choices: Sequence[str]) -> str:
    """The likeliest choices in words."""
    more = f" or one of {len(choices) - _CHOICES} others" if len(choices) > _CHOICES else ""
    return ", ".join(one or "nothing (leave empty)" for one in choices[:_CHOICES]) + more


def show_answers(questions: Sequence[Question], typed: Mapping[Path_, Any], proposal: Proposal | None) -> None:
    """What is to be answered, as a file of answers: each with the likeliest one, and the others as a comment."""
    sections: dict[Path_, list[str]] = {(): []}
    for path, value in typed.items():
        sections.setdefault(path[:-1], []).append(f"{key_text(path[-1])} = {value_text(value)}")
    told: set[Path_] = set()
    for one in questions:
        others = [value_text(each) for each in one.choices if each != likeliest(one)]
        also = f" # or {listed(others)}" if others else ""
        # What was seen stands before the first that it is about.
        said = [one.text] if one.path[:-1] in told else [*one.seen, one.text]
        told.add(one.path[:-1])
        lines = [*map(_comment, said), f"{key_text(one.path[-1])} = {value_text(likeliest(one))}{also}"]
        sections.setdefault(one.path[:-1], []).extend(lines)
    if proposal is not None:
        sections.setdefault(("columns", "generation"), []).extend(_what_else(proposal))
    for section, lines in sections.items():
        if lines:
            _tell("\n".join(([f"[{keys_text(section)}]"] if section else []) + lines + [""]))


def _what_else(proposal: Proposal) -> Iterator[str]:
    """Comments about columns of generations that nothing tells, and their columns that are left."""
    draft = proposal.drafts["generation"]
    assert draft is not None, "there are generations"
    missing = [one for one in PRISMA.tables["generation"].columns if one not in draft.columns]
    left = [one for each in proposal.left if each.relation == draft.relation for one in _names(each)]
    if missing and left:
        yield _comment(f"Nothing of {draft.relation.label} is known to be {', '.join(missing)}.")
        yield _comment(f"Not read are {', '.join(left)}. Where one is meant, name it in a line such as those above.")


def show_check(check: Check) -> None:
    """What each page could be asked, what is missing, and what that switches off."""
    console = Console(highlight=False)
    if check.error:
        console.print(f"The pages cannot be checked: {printable(check.error)}", markup=False, soft_wrap=True)
        return
    table = Table(title="The pages, asked once", title_justify="left")
    for heading in ("page", "questions", "rows", "slowest", "works"):
        table.add_column(heading, overflow="fold")
    for page in check.pages:
        failed = [f"{one.question}: {one.error}" for one in page.asked if one.error]
        slowest = max((one.database_ms for one in page.asked), default=0.0)
        works = Text("yes", style="green") if page.works else Text(printable("; ".join(failed)), style="red")
        table.add_row(page.title, str(len(page.asked)), str(page.rows), f"{slowest:.0f} ms", works)
    console.print(table)
    newest = f"{check.newest_at:%Y-%m-%d %H:%M} UTC" if check.newest_at is not None else "there is none"
    console.print(f"{check.tenants:,} tenants; newest generation: {newest}.", markup=False)
    for note in check.notes:
        console.print(f"- {printable(note)}", markup=False, soft_wrap=True)


def show_unused(proposal: Proposal) -> None:
    """Their tables that nothing reads, by name, so that none is missed in silence."""
    for one in proposal.unused:
        if one.could_be:
            answers = " or ".join(f"[tables] {ours} = {value_text(one.relation.label)}" for ours in one.could_be)
            _tell(f"Not used: {_counted(one)}, which leads to the tenant {one.way}. To use it, answer {answers}.")
    others = ", ".join(_counted(one) for one in proposal.unused if not one.could_be)
    if others:
        _tell(f"Not used, though they lead to the tenant: {others}. Where one is missed, name it in [tables].")


def show_unused_columns(proposal: Proposal) -> None:
    """A line for each table that is read and of which columns are not; those that look like they matter first."""
    if proposal.left:
        _tell("Columns that nothing reads, of tables that are used:")
    for one in proposal.left:
        others = one.others[:_CHOICES]
        more = f" and {len(one.others) - _CHOICES} more" if len(one.others) > _CHOICES else ""
        mattering = ", ".join(f"{name} ({what}?)" for name, what in one.mattering)
        also = f"{'; also ' if mattering else ''}{', '.join(others)}{more}" if others else ""
        _tell("  " + _line(f"{one.relation.label} ({', '.join(one.read_for)}): {mattering}{also}"))
    if any(one.mattering for one in proposal.left):
        _tell('Where one is meant, name it in the answers, such as [columns.generation] credits_used = "...".')


def _names(one: UnusedColumns) -> list[str]:
    return [*(name for name, _ in one.mattering), *one.others]


def _tell(sentence: str) -> None:
    Console(highlight=False, soft_wrap=True).print(printable(sentence), markup=False)


def _counted(one: Unused) -> str:
    rows = "" if one.rows is None else f" (about {one.rows:,} row{'' if one.rows == 1 else 's'})"
    return f"{one.relation.label}{rows}"


def show_next_steps(out: Path) -> None:
    """What is left to do, as commands."""
    named = "" if out == Path(FILE_NAME) else f"MAPPING_FILE={out} "
    lines = (
        "Next:",
        f"  1. Look through {out}; correct what is not so, and keep it with your code.",
        f"  2. {named}DIRECT_URL=postgresql://usage_dashboard_owner@... python -m dashboard grant-sql"
        "   # SQL for two roles: one that reads, and one that owns our own schema",
        f"  3. {named}DATABASE_URL=... DIRECT_URL=... python -m dashboard migrate   # as those: schema and walls",
        f"  4. {named}DATABASE_URL=... DIRECT_URL=... USAGE_DASHBOARD_AUTH=none python -m dashboard run"
        "   # none: on a laptop",
        "Each step is explained in docs/connect.md, from step 3 on.",
    )
    Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)


def heading(proposal: Proposal) -> str:
    """Comments at the top of the file: where it is from, and why each table is what it is."""
    lines = [
        f"Written by `python -m dashboard connect` on {datetime.now(UTC):%Y-%m-%d} from {proposal.shape.origin}.",
        "docs/mapping.md says what may stand here. What is not named is as Prisma would name it.",
        "",
    ]
    for logical, draft in proposal.drafts.items():
        lines.append(f"{logical}: {draft.reason}" if draft is not None else f"{logical}: there is none")
    return "\n".join(map(_comment, lines)) + "\n"


def _comment(text: str) -> str:
    return f"# {_line(text)}".rstrip()


def _line(text: str) -> str:
    """Text of a database as one line, whatever is in it."""
    return " ".join(printable(text).split())


def key_text(name: str) -> str:
    """A key as TOML has it."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def keys_text(path: Path_) -> str:
    """Where an answer stands, as TOML has it."""
    return ".".join(map(key_text, path))


def value_text(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key_text(key)} = {value_text(one)}" for key, one in value.items()) + " }"
    return str(value) if isinstance(value, int | Decimal) else json.dumps(value, ensure_ascii=False)
