"""`python -m dashboard connect`: from a person's own database to a mapping file."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dashboard.commands import connect_report as report
from queries.connect import catalog
from queries.connect.answers import Answers, Path_, Question, read_answers
from queries.connect.checking import Check, check
from queries.connect.open_questions import MOST_ROUNDS, open_questions
from queries.connect.prisma_schema import read_prisma
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import NoRows, Peek, Rows
from queries.connect.shape import Shape
from queries.errors import ConnectError
from queries.mapping import FILE_NAME, Mapping, load_mapping, written
from queries.settings import load_settings

_POSTGRESQL = ("postgresql://", "postgres://")


def connect(
    url: Annotated[
        str | None,
        typer.Argument(help="Address of the database, postgresql://...; DATABASE_URL when left out.", metavar="URL"),
    ] = None,
    prisma: Annotated[
        Path | None,
        typer.Option(help="Read the tables from this schema.prisma; with a URL, the rows from the database."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take the best proposal for whatever would be asked.")] = False,
    answers: Annotated[Path | None, typer.Option(help="TOML file with answers; see docs/connect.md.")] = None,
    out: Annotated[Path, typer.Option(help="File to write the mapping to.")] = Path(FILE_NAME),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Find out which tables and columns of your own database are what, and write it down for the dashboard.

    Reads the catalog and a few rows, and changes nothing. Every proposal says why.
    """
    if out.exists() and not force:
        raise ConnectError(f"{out} is there already; give another name by --out, or --force to write over it")
    given = read_answers(answers) if answers is not None else Answers()
    with _opened(url, prisma) as there:
        count = len(there.shape.relations)
        report.say(f"Reading {there.shape.origin}: {count} table{'' if count == 1 else 's'}.")
        proposal = _answered(there, given, yes=yes)
        report.show(proposal, there.peek)
        mapping = proposal.mapping()
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Write this to {out}?", default=True):
            raise typer.Exit(1)
        _write(out, mapping, proposal)
        report.say(f"Written to {out}.")
        checked = _checked(there.url, load_mapping(out)) if there.url is not None else None
    _end(checked, proposal, out)


@dataclass(frozen=True)
class _There:
    """What is being connected: the tables, a look at the rows, and the address, where there is a database."""

    shape: Shape
    peek: Peek
    url: str | None


@contextmanager
def _opened(url: str | None, prisma: Path | None) -> Iterator[_There]:
    if url is None and prisma is None:
        url = _of_settings()
    shape = read_prisma(prisma) if prisma is not None else None
    if url is None:
        assert shape is not None, "there is an address or a file"
        yield _There(shape, NoRows(), None)
        return
    if not url.startswith(_POSTGRESQL):
        scheme = url.partition(":")[0][:20] if "://" in url else "no scheme"
        raise ConnectError(
            f"the address begins with {scheme}, and this program reads PostgreSQL; give one that begins with"
            " postgresql://"
        )
    with catalog.opened(url) as connection:
        yield _There(shape or catalog.read_shape(connection), Rows(connection), url)


def _of_settings() -> str:
    address = load_settings().database_url
    if address is None:
        raise ConnectError(
            "no database is named; give its address, postgresql://..., set DATABASE_URL, or give --prisma FILE"
        )
    return address.get_secret_value()


def _answered(there: _There, given: Answers, *, yes: bool) -> Proposal:
    """The proposal when everything that it asks has an answer."""
    answers, told = given, set[Path_]()
    for _ in range(MOST_ROUNDS):
        proposal = propose(there.shape, there.peek, answers)
        if not proposal.questions:
            return proposal
        try:
            for question in proposal.questions if yes else proposal.questions[:1]:
                answers = answers.also(question.path, _guessed(question)) if yes else _asked(question, answers, told)
        except typer.Abort:
            raise _unanswered(there, given, answers, yes=yes) from None
    raise ConnectError("the answers contradict each other; start again with fewer of them")


def _guessed(question: Question) -> Any:
    """What --yes takes. Where a wrong guess would show one tenant's figures to another, it takes nothing."""
    if question.best is None:
        raise typer.Abort
    report.say(f"guessed: {report.keys_text(question.path)} = {report.value_text(question.best)} ({question.text})")
    return question.best


def _asked(question: Question, answers: Answers, told: set[Path_]) -> Answers:
    """The answers with one more, asked for until it is one. `told`: of which questions it was shown what was seen."""
    report.ask(question, is_new=question.path[:-1] not in told)
    told.add(question.path[:-1])
    while True:
        said = str(typer.prompt("Answer", default=_shown(question.best), show_default=True, err=True)).strip()
        if question.choices and said not in question.choices:
            report.say(f"That is none of {report.listed(question.choices)}.")
            continue
        try:
            return answers.also(question.path, said)
        except ConnectError as error:
            report.say(error.message)


def _shown(best: Any) -> str | None:
    return None if best is None else str(best)


def _unanswered(there: _There, given: Answers, answers: Answers, *, yes: bool) -> ConnectError:
    """All that is still to be answered, printed as a file of answers; those typed before are in it."""
    questions, proposal = open_questions(there.shape, there.peek, answers, with_guesses=not yes)
    typed = {path: value for path, value in answers.given.items() if not yes and path not in given.given}
    report.show_answers(questions, typed, proposal)
    count = f"{len(questions)} answer{' is' if len(questions) == 1 else 's are'} missing"
    or_else = ", or take the best guesses by --yes" if all(one.best is not None for one in questions) else ""
    also = ", beside what is in it" if given.given else ""
    return ConnectError(
        f"{count}; put the lines above into a file{also}, correct them, and name it by --answers{or_else}"
    )


def _write(out: Path, mapping: Mapping, proposal: Proposal) -> None:
    """The file comes to be whole or not at all."""
    text = f"{report.heading(proposal)}\n{written(mapping)}"
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        load_mapping(temporary)
        os.replace(temporary, out)
    except OSError as error:
        raise ConnectError(f"{out} cannot be written ({error.strerror}); give another place by --out") from error
    finally:
        temporary.unlink(missing_ok=True)


def _checked(url: str, mapping: Mapping) -> Check:
    report.say("Asking every page's questions once ...")
    return check(url, mapping)


def _end(checked: Check | None, proposal: Proposal, out: Path) -> None:
    if checked is not None:
        report.show_check(checked)
    report.show_unused(proposal)
    report.show_unused_columns(proposal)
    report.show_next_steps(out)
    if checked is not None and not checked.works:
        raise typer.Exit(1)
