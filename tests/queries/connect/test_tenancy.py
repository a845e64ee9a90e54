"""Who the tenant is, where more than one table could be, and where none can."""

import os
import subprocess
import sys

import pytest

from queries.connect.answers import Answers, answers_of
from queries.connect.prisma_schema import prisma_shape
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import NoRows
from queries.errors import ConnectError
from tests.running import ROOT

EVENT = """model Generation {
  id String @id
  prompt String
  model String
  status String
  creditsUsed Int
  createdAt DateTime
"""


def model(name: str, *lines: str) -> str:
    return f"model {name} {{\n  id String @id\n  name String\n  " + "\n  ".join(lines) + "\n}\n"


def reference(table: str, column: str, optional: str = "") -> str:
    return f"{column}_ {table}{optional} @relation(fields: [{column}], references: [id])\n  {column} String{optional}\n"


def proposed(text: str, **answers: object) -> Proposal:
    return propose(prisma_shape(text), NoRows(), answers_of(answers))


TWO = (
    model("Organization")
    + model("Workspace")
    + EVENT
    + reference("Organization", "organizationId")
    + reference("Workspace", "workspaceId")
    + "}\n"
)


def test_two_candidates_are_asked_for_and_never_guessed() -> None:
    (question,) = proposed(TWO).questions
    assert question.path == ("tenant",)
    assert question.choices == ("Organization", "Workspace")
    assert question.best is None
    assert "Whose figures may nobody else see?" in question.text
    answered = proposed(TWO, tenant="Workspace")
    assert answered.questions == ()
    assert answered.mapping().tables["generation"].columns["tenant_id"] == "workspaceId"
    assert answered.mapping().tables["organization"].name == "Workspace"


def test_what_is_billed_tells_which_of_two_is_the_tenant() -> None:
    balance = model("CreditBalance", "balance Int", reference("Workspace", "workspaceId"))
    found = proposed(TWO + balance)
    assert found.questions == ()
    assert found.tenancy is not None
    assert found.tenancy.relation is not None
    assert found.tenancy.relation.name == "Workspace"
    assert "CreditBalance belongs to it" in found.tenancy.reason


def test_two_columns_for_one_tenant_are_asked_for() -> None:
    text = model("Team") + EVENT + reference("Team", "sellerTeamId") + reference("Team", "buyerTeamId") + "}\n"
    (question,) = proposed(text).questions
    assert question.path == ("columns", "generation", "tenant_id")
    assert set(question.choices) == {"sellerTeamId", "buyerTeamId"}
    assert question.best is None
    columns = {"generation": {"tenant_id": "buyerTeamId"}}
    assert proposed(text, columns=columns).mapping().tables["generation"].columns["tenant_id"] == "buyerTeamId"


def test_the_column_that_is_called_as_the_tenant_needs_no_question() -> None:
    text = model("Team") + EVENT + reference("Team", "teamId") + reference("Team", "referrerTeamId", "?") + "}\n"
    found = proposed(text)
    assert found.questions == ()
    assert found.mapping().tables["generation"].columns["tenant_id"] == "teamId"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (model("Apple") + model("Pear"), "no table of schema.prisma looks like generations"),
        (EVENT + "}\n", "no table looks like tenants or users"),
    ],
)
def test_where_there_is_no_tenant_a_sentence_says_what_to_answer(text: str, said: str) -> None:
    with pytest.raises(ConnectError, match=said) as refused:
        proposed(text)
    assert "answers file" in refused.value.message


def test_a_table_that_nobody_would_guess_is_taken_when_it_is_named() -> None:
    text = (
        model("User", "email String") + "model Thing {\n id Int @id\n at DateTime\n" + reference("User", "userId") + "}"
    )
    (question,) = proposed(text).questions
    assert (question.path, question.choices, question.best) == (("tables", "generation"), ("Thing",), None)
    found = proposed(text, tables={"generation": "Thing"}, credits="none")
    assert 'FROM "public"."Thing"' in (found.mapping().tables["generation"].select or "")
    assert found.mapping().lacks("generation", "status")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"tenant": "Workspce"}, "did you mean 'Workspace'"),
        ({"tenant": "Workspace", "tables": {"generation": "Generatoin"}}, "did you mean 'Generation'"),
        (
            {"tenant": "Workspace", "columns": {"generation": {"model": "modell"}}},
            "name a column of Generation 'modell', which is not there .did you mean 'model'",
        ),
    ],
)
def test_an_answer_that_names_what_is_not_there_is_told_the_nearest(answers: dict[str, object], said: str) -> None:
    with pytest.raises(ConnectError, match=said):
        propose(prisma_shape(TWO), NoRows(), answers_of(answers))


def test_the_order_of_tables_changes_nothing() -> None:
    shape = prisma_shape(TWO)
    turned = type(shape)(tuple(reversed(shape.relations)), shape.origin)
    assert propose(turned, NoRows(), Answers()).questions == propose(shape, NoRows(), Answers()).questions


def test_another_hash_seed_gives_the_same_mapping() -> None:
    """Sets of names are in another order then."""
    text = (
        TWO
        + model("CreditBalance", "balance Int", reference("Workspace", "workspaceId"))
        + model("User", "email String")
    )
    script = (
        "import sys\nfrom queries.connect.answers import Answers\n"
        "from queries.connect.prisma_schema import prisma_shape\n"
        "from queries.connect.proposing import propose; from queries.connect.samples import NoRows\n"
        "print(propose(prisma_shape(sys.stdin.read()), NoRows(), Answers()).mapping())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert "'workspaceId'" in said.pop()


def test_a_tenant_that_only_memberships_lead_to_is_taken_when_it_is_named() -> None:
    text = (
        model("User", "email String")
        + model("Team")
        + model("TeamMember", "role String", reference("User", "userId"), reference("Team", "teamId"))
        + EVENT
        + reference("User", "userId")
        + "}\n"
    )
    found = proposed(text)
    assert found.tenancy is not None
    assert found.tenancy.kind == "user"
    named = proposed(text, tenant="Team").mapping()
    assert named.tables["organization"].name == "Team"
    select = named.tables["generation"].select
    assert select is not None
    assert 'WHERE m."userId" = t."userId" ORDER BY m."teamId" LIMIT 1) AS tenant_id' in select
    assert "belonged to the longest" in named.tables["generation"].note
    assert named.tables["membership"].name == "TeamMember"
