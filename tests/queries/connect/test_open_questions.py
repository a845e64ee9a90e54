"""What nothing tells is asked for all at once, with what could be meant, and the likeliest answers make a mapping."""

import tomllib
from typing import LiteralString

import pytest

from dashboard.commands import connect_report as report
from queries.connect import catalog
from queries.connect.answers import Answers, answers_of
from queries.connect.open_questions import likeliest, open_questions
from queries.connect.prisma_schema import prisma_shape
from queries.connect.proposing import propose
from queries.connect.samples import NoRows, Rows
from queries.errors import ConnectError
from tests.queries.connect.proposed import made

# Not one word of it is a usual one.
ODD: LiteralString = """
CREATE TABLE houses (id int PRIMARY KEY, motto text);
CREATE TABLE humans (id int PRIMARY KEY, house int NOT NULL, nick text);
CREATE TABLE bakes (id int PRIMARY KEY, human int NOT NULL, recipe text, wanted timestamptz NOT NULL,
  done_by timestamptz, oven text, mood text, "in
tenant = 'no'" text);
CREATE TABLE notes (id int PRIMARY KEY, line text);
INSERT INTO houses VALUES (1, 'A'), (2, 'B');
INSERT INTO humans VALUES (1, 1, 'x'), (2, 2, 'y');
INSERT INTO bakes SELECT n, 1 + n % 2, 'r', now(), now(), 'o', 'm', '' FROM generate_series(1, 100) AS n"""


def test_all_that_must_be_answered_is_found_at_once_and_the_printed_file_is_an_answer(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made(empty_database_url, ODD)
    with catalog.opened(empty_database_url) as connection:
        shape, peek = catalog.read_shape(connection), Rows(connection)
        questions, proposal = open_questions(shape, peek, Answers(), with_guesses=False)
        assert [one.path for one in questions] == [
            ("tables", "generation"),
            ("tenant",),
            ("columns", "generation", "created_at"),
        ]
        table, tenant, created = questions
        assert (likeliest(table), likeliest(created)) == ("bakes", "wanted")
        assert created.choices == ("wanted", "done_by")
        assert {"humans", "houses"} <= set(tenant.choices)
        assert "bakes (100 rows): id, human, recipe, wanted, done_by, oven, mood, in\ntenant = 'no'" in table.seen
        report.show_answers(questions, {}, proposal)
        printed = capsys.readouterr().out
        assert 'created_at = "wanted" # or "done_by"' in printed
        assert "# Not read are recipe, done_by, oven, mood, in tenant = 'no'." in printed
        # As it is, nothing in it is to be asked again but what has a guess.
        answers = answers_of(tomllib.loads(printed))
        assert answers.given == {one.path: likeliest(one) for one in questions}
        left = propose(shape, peek, answers).questions
        assert left
        assert all(one.best is not None for one in left)
        every, _ = open_questions(shape, peek, Answers(), with_guesses=True)
        assert {one.path for one in every} == {one.path for one in (*questions, *left)}


EVENT = """model User {{ id Int @id
  email String }}
model Job {{ {}
  prompt String
  model String
  credits Int
  {} }}"""


@pytest.mark.parametrize(
    ("key", "rest", "column", "choices", "best"),
    [
        (
            "id Int @id",
            "userId Int\n wantedFor DateTime\n touched DateTime?",
            "created_at",
            ("wantedFor", "touched"),
            None,
        ),
        (
            "id Int @id",
            "userId Int\n wantedFor DateTime\n finishedAt DateTime?",
            "created_at",
            ("wantedFor",),
            "wantedFor",
        ),
        ("id Int @id", "whoRef String\n payer Int\n createdAt DateTime", "tenant_id", ("whoRef", "payer"), None),
    ],
)
def test_a_column_that_generations_need_is_asked_for_among_those_that_can_hold_it(
    key: str, rest: str, column: str, choices: tuple[str, ...], best: str | None
) -> None:
    shape = prisma_shape(EVENT.format(key, rest))
    given = answers_of({"tenant": "User"})
    (question,) = propose(shape, NoRows(), given).questions
    assert question.path == ("columns", "generation", column)
    assert (set(question.choices), question.best) == (set(choices), best)
    answered = propose(shape, NoRows(), given.also(question.path, choices[-1]))
    assert answered.is_complete
    assert answered.drafts["generation"].columns[column].column == choices[-1]  # type: ignore[union-attr]


def test_what_generations_cannot_be_without_is_asked_before_what_has_a_guess() -> None:
    shape = prisma_shape(
        EVENT.format("id Int @id", "userId Int\n wanted DateTime\n touched DateTime?").replace("credits", "n")
    )
    first, second = propose(shape, NoRows(), Answers()).questions
    assert (first.path, second.path) == (("columns", "generation", "created_at"), ("credits",))


def test_a_number_that_may_be_the_cost_is_named_with_the_answer_that_takes_it() -> None:
    shape = prisma_shape(
        EVENT.format("id Int @id", "userId Int\n createdAt DateTime\n priceCredits Int").replace("credits", "n")
    )
    (asked,) = [one for one in propose(shape, NoRows(), Answers()).questions if one.path == ("credits",)]
    said = asked.text.partition("answer ")[2].partition(" in the file")[0]
    assert said == '[columns.generation] credits_used = "priceCredits"'
    answered = propose(shape, NoRows(), answers_of(tomllib.loads(said.replace("] ", "]\n"))))
    assert answered.drafts["generation"].columns["credits_used"].column == "priceCredits"  # type: ignore[union-attr]


@pytest.mark.parametrize("column", ["created_at", "tenant_id"])
def test_an_answer_that_there_is_none_of_what_generations_need_is_refused(column: str) -> None:
    shape = prisma_shape(EVENT.format("id Int @id", "who Int\n wanted DateTime"))
    answers = answers_of({"tenant": "User", "columns": {"generation": {column: ""}}})
    with pytest.raises(ConnectError, match=f"Job has no column for {column}, and generations need one"):
        propose(shape, NoRows(), answers)


def test_a_table_without_a_key_is_taken_with_a_column_that_is_named(empty_database_url: str) -> None:
    made(
        empty_database_url,
        """CREATE TABLE teams (id int PRIMARY KEY, name text);
        CREATE TABLE jobs (number int, team_id int REFERENCES teams, prompt text, credits int, created_at timestamp)""",
    )
    with catalog.opened(empty_database_url) as connection:
        shape, peek = catalog.read_shape(connection), Rows(connection)
        answers = answers_of({"tables": {"generation": "jobs"}})
        (question,) = propose(shape, peek, answers).questions
        assert question.path == ("columns", "generation", "id")
        found = propose(shape, peek, answers.also(question.path, "number"))
    assert found.mapping().tables["generation"].columns["id"] == "number"
