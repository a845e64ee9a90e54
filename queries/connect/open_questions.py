"""Everything that is still to be answered, for a file: its writer shall not meet one question after the other."""

from __future__ import annotations

from queries.connect.answers import Answers, Question
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import Peek
from queries.connect.shape import Shape
from queries.errors import ConnectError

# Each answer may bring another question; more rounds than this are a mistake of ours.
MOST_ROUNDS = 200


def open_questions(
    shape: Shape, peek: Peek, answers: Answers, *, with_guesses: bool
) -> tuple[list[Question], Proposal | None]:
    """The questions that are left, in order: each one's best guess, or the likeliest of its choices, is taken to find
    the next; and the proposal that this comes to, None where it comes to none. `with_guesses`: those that have a best
    guess too. ConnectError where nothing can be proposed and nothing answered."""
    found: list[Question] = []
    for _ in range(MOST_ROUNDS):
        try:
            proposal = propose(shape, peek, answers)
        except ConnectError:
            if not found:
                raise
            return found, None
        if not proposal.questions:
            return found, proposal
        for one in proposal.questions:
            if with_guesses or one.best is None:
                found.append(one)
            answers = answers.also(one.path, likeliest(one))
    return found, None


def likeliest(question: Question) -> object:
    """The best guess, or where there is none the likeliest choice."""
    return question.choices[0] if question.best is None else question.best
