"""Names and values by their words, units by names and numbers."""

from collections.abc import Mapping
from typing import Any

import pytest

from queries.connect.answers import Answers, answers_of
from queries.connect.durations import duration
from queries.connect.found import Draft, bare
from queries.connect.matching import best_field
from queries.connect.names import plain, words
from queries.connect.prisma_schema import prisma_shape
from queries.connect.proposing import propose
from queries.connect.samples import NoRows
from queries.connect.shape import Field, Kind, Relation, text_literal
from queries.connect.values import meaning, meanings, numbered


@pytest.mark.parametrize(
    "name", ["creditsUsed", "credits_used", "CREDITS_USED", "Credits Used", "credit-used", "CreditsUsed"]
)
def test_one_name_written_in_many_ways_is_one(name: str) -> None:
    assert words(name) == ("credit", "used")
    assert plain(name) == "creditused"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("durationMs", ("duration", "ms")),
        ("status", ("status",)),
        ("addresses", ("address",)),
        ("companies", ("company",)),
        ("imageURLs", ("image", "url")),
        ("p95_s", ("p", "95", "s")),
        ("größe", ("größe",)),
        ("", ()),
    ],
)
def test_words_of_a_name(name: str, parts: tuple[str, ...]) -> None:
    assert words(name) == parts


@pytest.mark.parametrize(
    ("kind", "value", "ours"),
    [
        ("generation_status", "COMPLETED", "succeeded"),
        ("generation_status", "in_progress", "unfinished"),
        ("generation_status", "timed-out", "failed"),
        ("generation_status", "completed_with_errors", "failed"),
        ("generation_status", "CANCELED", "cancelled"),
        ("generation_status", "ok", "succeeded"),
        ("generation_status", "IN_QUEUE", "unfinished"),
        ("generation_status", "frobnicated", None),
        ("generation_status", "7", None),
        ("transaction_type", "generation_refund", "refunded"),
        ("transaction_type", "credit_purchase", "purchased"),
        ("transaction_type", "TOP_UP", "purchased"),
        ("transaction_type", "monthly_grant", "granted"),
        ("transaction_type", "SIGNUP_BONUS", "granted"),
        ("transaction_type", "usage", "burned"),
        ("transaction_type", "debit", "burned"),
        ("transaction_type", "credit_expired", "expired"),
        ("transaction_type", "manual_adjustment", "adjusted"),
        ("subscription_status", "past_due", "renewing"),
        ("subscription_status", "canceled", ""),
        ("subscription_status", "incomplete_expired", ""),
    ],
)
def test_a_value_means_what_its_words_say(kind: str, value: str, ours: str | None) -> None:
    assert meaning(kind, value) == ours


def test_what_no_word_tells_is_asked_and_may_be_answered() -> None:
    made = meanings("generation_status", ["done", "odd"], Answers(), {"odd": "failed"}, what="status")
    assert made.values["failed"] == ("odd",)
    (question,) = made.questions
    assert (question.path, question.best) == (("values", "generation_status", "odd"), "failed")
    assert "rows look like failed" in question.text
    answers = answers_of({"values": {"generation_status": {"odd": "", "done": "cancelled"}}})
    answered = meanings("generation_status", ["done", "odd"], answers, what="status")
    assert answered.questions == []
    assert answered.values == {"failed": (), "cancelled": ("done",), "succeeded": (), "unfinished": ()}


def test_each_value_is_shown_with_its_rows_and_only_unknown_ones_are_asked_about() -> None:
    counts = {"done": 1_200, "odd": 7}
    made = meanings("generation_status", ["done", "odd", "even"], Answers(), {"odd": "failed"}, what="x", counts=counts)
    odd, even = made.questions
    assert "'odd' mean? 7 of the rows that were looked at have it. The rows look like failed." in odd.text
    assert odd.seen == even.seen
    assert odd.seen[1:] == ("done (1,200 rows): succeeded", "odd (7 rows): failed?", "even (0 rows): not known")
    assert (made.rows, made.unmapped) == ({"done": 1_200, "odd": 7, "even": 0}, ("even",))
    # Of a file alone nobody knows how many there are.
    (uncounted,) = meanings("generation_status", ["odd"], Answers(), what="x").questions
    assert uncounted.seen[1:] == ("odd: not known",)
    assert "rows" not in uncounted.text


def test_an_answer_about_a_value_that_no_row_has_now_is_kept() -> None:
    answers = answers_of({"values": {"generation_status": {"cooking": "unfinished", "old": ""}}})
    made = meanings("generation_status", ["done"], answers, what="status")
    assert made.values == {"failed": (), "cancelled": (), "succeeded": ("done",), "unfinished": ("cooking",)}
    assert "cooking is unfinished, as answered, and no row has it now" in made.reason


@pytest.mark.parametrize(
    ("comment", "names"),
    [
        ("0 = pending, 1 = done, 2 = failed", {"0": "pending", "1": "done", "2": "failed"}),
        ("0:queued 1:in progress", {"0": "queued", "1": "in progress"}),
        ("(1) new (2) old", {"1": "new", "2": "old"}),
        ("the status", {}),
        ("since version 2 used", {}),
    ],
)
def test_a_comment_names_numbers(comment: str, names: dict[str, str]) -> None:
    assert numbered(comment) == names


def table(*fields: tuple[str, Kind]) -> Relation:
    return Relation("public", "generations", tuple(Field(name, kind, kind) for name, kind in fields))


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("status", "generation_status"),
        ("credits_used", "creditCost"),
        ("created_at", "insertedAt"),
        ("model", "ai_model"),
        ("error", None),
        ("prompt", None),
    ],
)
def test_a_column_is_known_by_its_name_and_type(column: str, name: str | None) -> None:
    relation = table(
        ("generation_status", "text"),
        ("creditCost", "integer"),
        ("insertedAt", "timestamptz"),
        ("ai_model", "text"),
        ("prompt", "bytes"),
    )
    assert best_field(relation, "generation", column) == name


class Median:
    """Numbers that rows would give."""

    def __init__(self, median: float, elapsed: float | None = None) -> None:
        self.known = {"median": median} | ({"elapsed": elapsed} if elapsed is not None else {})

    def common(self, relation: Relation, column: str) -> tuple[tuple[str, int], ...]:
        return ()

    def facts(self, relation: Relation, wanted: Mapping[str, str], *, where: str = "true") -> dict[str, Any]:
        return {name: self.known.get(name) for name in wanted}

    def first(self, relation: Relation, column: str) -> str:
        return ""


@pytest.mark.parametrize(
    ("name", "kind", "peek", "factor", "is_asked"),
    [
        ("duration_ms", "integer", NoRows(), "", False),
        ("durationSeconds", "float", NoRows(), "* 1000", False),
        ("latency_us", "integer", NoRows(), "/ 1000.0", False),
        ("seconds", "float", NoRows(), "* 1000", False),
        ("duration", "integer", Median(8_400, 8.6), "", False),
        ("duration", "integer", Median(8, 8.6), "* 1000", False),
        ("duration", "integer", Median(8_400_000, 8.6), "/ 1000.0", False),
        ("duration", "float", Median(8.4), "* 1000", False),
        ("duration", "integer", Median(8_400), "", False),
        ("duration", "integer", Median(40), "* 1000", True),
        ("duration", "integer", NoRows(), "", True),
    ],
)
def test_the_unit_of_a_duration(name: str, kind: Kind, peek: Any, factor: str, is_asked: bool) -> None:
    relation = table((name, kind), ("created_at", "timestamptz"), ("completed_at", "timestamptz"))
    draft = Draft("generation", relation, "")
    for column in ("created_at", "completed_at"):
        draft.columns[column] = bare(relation, relation.by_name[column], "")
    found, question = duration(draft, peek, Answers())
    assert found is not None
    assert (question is not None) == is_asked
    assert found.sql == (f't."{name}"' if not factor else f'round((t."{name}" {factor})::numeric)::bigint')


@pytest.mark.parametrize("column", ["durationMs Int", ""])
def test_what_the_duration_is_made_of_is_shown_and_nothing_else(column: str) -> None:
    shape = prisma_shape(
        f"""model User {{ id Int @id
          email String }}
        model Generation {{ id Int @id
          userId Int
          prompt String
          credits Int
          {column}
          createdAt DateTime
          finishedAt DateTime? }}"""
    )
    draft = propose(shape, NoRows(), Answers()).drafts["generation"]
    assert draft is not None
    took, end = draft.columns["duration_ms"], draft.columns["completed_at"]
    if column:
        assert took.shown == (draft.relation, "durationMs")
        assert end.reason.endswith('for exports alone, the duration is that of "durationMs"')
    else:
        # A time beside it would not be a sample of it.
        assert took.shown is None
        assert took.reason == 'there is no duration; from "createdAt" to "finishedAt"'
        assert "exports" not in end.reason


@pytest.mark.parametrize("table_", ["renders", "jobs", "tasks", "predictions", "requests"])
@pytest.mark.parametrize("time", ["asked_at", "requested_at", "queued_at", "submitted_at", "enqueued_at"])
def test_generations_are_found_by_many_words_without_a_prompt(table_: str, time: str) -> None:
    shape = prisma_shape(
        f"""model users {{ id Int @id
          email String }}
        model logins {{ id Int @id
          user_id Int
          created_at DateTime }}
        model {table_} {{ id Int @id
          user_id Int
          model String
          state String
          credits Int
          {time} DateTime
          ready_at DateTime? }}"""
    )
    proposal = propose(shape, NoRows(), Answers())
    assert proposal.questions == ()
    generation = proposal.mapping().tables["generation"]
    assert f'FROM "public"."{table_}"' in (generation.select or "")
    assert f't."{time}" AS created_at' in (generation.select or "")
    assert 't."ready_at" AS completed_at' in (generation.select or "")


@pytest.mark.parametrize("value", ["plain", "it's", "back\\slash", "'", "\\'", "", "100%", "{schema}"])
def test_any_text_is_a_literal(value: str, superuser_literal: Any) -> None:
    assert superuser_literal(text_literal(value)) == value


@pytest.fixture
def superuser_literal(server: Any) -> Any:
    """What PostgreSQL reads of a literal."""

    def read(literal: str) -> Any:
        with server.superuser() as connection:
            return connection.execute(f"SELECT {literal}").fetchall()[0][0]

    return read
