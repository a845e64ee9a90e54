"""Rows that are marked as deleted: asked for by table, left out or counted as answered, and said."""

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from queries.connect.answers import answers_of
from queries.connect.checking import check
from queries.connect.prisma_schema import prisma_shape
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import NoRows
from queries.errors import ConnectError
from queries.mapping import Mapping
from tests.queries.connect.proposed import made, proposed

TABLES: LiteralString = """
CREATE TABLE teams (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE members (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, email text, name text,
  archived_at timestamptz);
CREATE TABLE projects (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, deleted_at timestamptz);
CREATE TABLE jobs (id int PRIMARY KEY, project_id int NOT NULL REFERENCES projects, member_id int REFERENCES members,
  prompt text, model text, status text, credits int, created_at timestamptz NOT NULL, is_deleted boolean);
CREATE TABLE images (id int PRIMARY KEY, job_id int NOT NULL REFERENCES jobs, url text, deleted_at timestamptz);
INSERT INTO teams VALUES (1, 'A', NULL), (2, 'B', now());
INSERT INTO members VALUES (1, 1, 'a@example.org', 'A', NULL), (2, 1, 'b@example.org', 'B', now());
INSERT INTO projects VALUES (1, 1, NULL), (2, 2, NULL), (3, 1, now());
INSERT INTO jobs VALUES (1, 1, 1, 'p', 'm', 'done', 1, now(), false), (2, 1, 2, 'p', 'm', 'done', 1, now(), true),
  (3, 2, NULL, 'p', 'm', 'done', 1, now(), NULL), (4, 3, 2, 'p', 'm', 'done', 1, now(), false);
INSERT INTO images VALUES (1, 1, 'https://x.example/1', NULL), (2, 1, 'https://x.example/2', now())"""
TABLES_OF = ("organization", "user", "generation", "image")


def ids(url: str, mapping: Mapping) -> dict[str, list[int]]:
    """The keys of the rows that each mapped table gives."""
    found = {}
    with psycopg.connect(url) as connection:
        for logical in TABLES_OF:
            one = mapping.tables[logical]
            key = "tenant_id" if logical == "organization" else "id"
            if one.select is not None:
                statement = sql.SQL("SELECT {key} FROM ({select}) AS rows ORDER BY 1").format(
                    key=sql.Identifier(key),
                    select=sql.SQL(one.select),  # type: ignore[arg-type]  # a text of the program's own
                )
            else:
                place = sql.Identifier(one.schema, one.name)
                statement = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.Identifier(one.columns[key]), place)
            found[logical] = [row[0] for row in connection.execute(statement)]
    return found


def test_each_table_is_asked_for_by_its_name(empty_database_url: str) -> None:
    made(empty_database_url, TABLES)
    questions = {".".join(one.path): one for one in proposed(empty_database_url).questions}
    names = ("teams", "members", "jobs", "projects", "images")
    assert sorted(questions) == sorted(f"deleted.{one}" for one in names)
    # What was paid for and is not marked itself goes on counting, unless somebody says otherwise.
    assert {key.removeprefix("deleted."): one.best for key, one in questions.items()} == {
        **dict.fromkeys(names, "leave out"),
        "projects": "count",
    }
    assert "stay in Credit burn, Timelines and Statements, under their ids" in questions["deleted.teams"].text
    assert "while no ledger is mapped" in questions["deleted.jobs"].text


@pytest.mark.parametrize(
    ("deleted", "expected"),
    [
        ("count", {"organization": [1, 2], "user": [1, 2], "generation": [1, 2, 3, 4], "image": [1, 2]}),
        ("leave out", {"organization": [1], "user": [1], "generation": [1, 3], "image": [1]}),
        (
            {"teams": "leave out", "members": "count", "jobs": "leave out", "projects": "count", "images": "count"},
            {"organization": [1], "user": [1, 2], "generation": [1, 3, 4], "image": [1, 2]},
        ),
    ],
)
def test_rows_are_left_out_as_answered(empty_database_url: str, deleted: Any, expected: dict[str, list[int]]) -> None:
    made(empty_database_url, TABLES)
    proposal = proposed(empty_database_url, deleted=deleted)
    assert proposal.questions == ()
    mapping = proposal.mapping()
    assert ids(empty_database_url, mapping) == expected
    notes = " ".join(mapping.tables[one].note for one in TABLES_OF)
    for table, column, kind in (
        ("teams", "deleted_at", "deleted"),
        ("members", "archived_at", "archived"),
        ("jobs", "is_deleted", "deleted"),
    ):
        answer = deleted if isinstance(deleted, str) else deleted[table]
        said = "are left out: " if answer == "leave out" else "are counted as well"
        assert f'rows of {table} that "{column}" marks as {kind} {said}' in notes
    said = "are left out: " if deleted == "leave out" else "are counted as well"
    assert f'rows of jobs that belong to projects which "deleted_at" marks as deleted {said}' in notes
    assert check(empty_database_url, mapping).works


ROOTS = ("deleted", "removed", "trashed", "binned", "discarded", "archived", "deactivated", "disabled", "suspended")


@pytest.mark.parametrize("word", ROOTS)
@pytest.mark.parametrize("name", ["{}At DateTime?", "is_{} Boolean", "{} Boolean?", "{}_on DateTime?"])
def test_a_mark_of_deleted_rows_is_known_by_many_words_and_what_means_less_is_counted(word: str, name: str) -> None:
    column = name.format(word)
    (question,) = proposed_of_users(column).questions
    assert question.path == ("deleted", "User")
    is_less = word in ("deactivated", "disabled", "suspended")
    assert question.best == ("count" if is_less else "leave out")
    said = f"marks as {word} (which may mean inactive rather than deleted)" if is_less else f"marks as {word}"
    assert (said if is_less or word == "archived" else "marks as deleted") in question.text


@pytest.mark.parametrize("column", ["deletedAt DateTime", "binned String?", "archivedBy Int?", "undeletedAt DateTime?"])
def test_what_every_row_has_or_no_type_can_hold_marks_nothing(column: str) -> None:
    assert proposed_of_users(column).questions == ()


def proposed_of_users(column: str) -> Proposal:
    shape = prisma_shape(
        f"""model User {{ id Int @id
          email String
          {column} }}
        model Generation {{ id Int @id
          userId Int
          prompt String
          credits Int
          createdAt DateTime }}"""
    )
    return propose(shape, NoRows(), answers_of({}))


def test_an_answer_about_a_table_that_marks_none_is_refused() -> None:
    shape = prisma_shape(
        """model Team { id Int @id
          name String
          deletedAt DateTime? }
        model Country { code String @id
          deletedAt DateTime? }
        model Generation { id Int @id
          teamId Int
          prompt String
          credits Int
          createdAt DateTime }"""
    )
    with pytest.raises(ConnectError, match=r"deleted rows of Country, which is not used.*there are Team"):
        propose(shape, NoRows(), answers_of({"deleted": {"Country": "count", "Team": "count"}}))
    with pytest.raises(ConnectError, match="did you mean 'Team'"):
        propose(shape, NoRows(), answers_of({"deleted": {"Teem": "count"}}))
