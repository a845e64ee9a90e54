"""A schema.prisma is read under the names of the database, and gives what the database itself gives."""

from pathlib import Path

import pytest

from queries.connect.answers import Answers, answers_of
from queries.connect.prisma_schema import prisma_shape, read_prisma
from queries.connect.proposing import propose
from queries.connect.samples import NoRows
from queries.errors import ConnectError

SCHEMA = """
datasource db { provider = "postgresql"
  url = env("DATABASE_URL") // "model X {"
}
generator client { provider = "prisma-client-js" }

enum Status {
  PENDING
  DONE    @map("done")
  FAILED
  @@map("generation_status")
}

/// who pays
model Organization {
  id          String       @id @default(cuid())
  name        String
  createdAt   DateTime     @default(now()) @map("created_at")
  generations Generation[]
  wallet      Wallet?
  @@map("organizations")
  @@schema("app")
}

model Generation {
  id        String       @id @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  org       Organization @relation(fields: [orgId], references: [id],
                                   onDelete: Cascade)
  orgId     String       @map("org_id")
  status    Status       @default(PENDING)
  model     String
  prompt    String       // @map("not_this")
  seconds   Float?
  tags      String[]
  credits   Int
  createdAt DateTime     @default(now()) @map("created_at") @db.Timestamptz(6)
  @@index([orgId, createdAt])
  @@map("generations")
  @@schema("app")
}

model Wallet {
  orgId   String       @unique @map("org_id")
  org     Organization @relation(fields: [orgId], references: [id])
  balance Decimal      @db.Decimal(12, 2)
  @@id([orgId, balance])
  @@map("wallets")
  @@schema("app")
}
"""


def test_names_types_keys_and_references_are_those_of_the_database() -> None:
    shape = prisma_shape(SCHEMA)
    assert [(one.schema, one.name) for one in shape.relations] == [
        ("app", "generations"),
        ("app", "organizations"),
        ("app", "wallets"),
    ]
    generations, organizations, wallets = shape.relations
    assert {one.name: one.kind for one in generations.fields} == {
        "id": "uuid",
        "org_id": "text",
        "status": "enum",
        "model": "text",
        "prompt": "text",
        "seconds": "float",
        "tags": "array",
        "credits": "integer",
        "created_at": "timestamptz",
    }
    assert generations.by_name["status"].labels == ("PENDING", "done", "FAILED")
    assert generations.by_name["seconds"].nullable
    assert not generations.by_name["prompt"].nullable
    assert generations.key == ("id",)
    reference = generations.reference_of("org_id")
    assert reference is not None
    assert reference.declared
    assert (reference.schema, reference.table, reference.target) == ("app", "organizations", "id")
    assert organizations.by_name["created_at"].kind == "timestamp"
    assert wallets.key == ("org_id", "balance")
    assert wallets.is_unique("org_id")
    assert wallets.by_name["balance"].kind == "numeric"


def test_a_file_alone_is_enough_for_a_proposal() -> None:
    proposal = propose(prisma_shape(SCHEMA), NoRows(), answers_of({"duration_unit": "s"}))
    assert proposal.questions == ()
    mapping = proposal.mapping()
    assert mapping.tables["organization"].name == "organizations"
    assert mapping.tables["organization"].schema == "app"
    assert mapping.tables["generation"].select is not None  # seconds are made milliseconds
    assert mapping.tables["credit_balance"].columns["tenant_id"] == "org_id"
    assert mapping.lacks("credit_transaction")
    assert mapping.values["generation_status"] == {
        "succeeded": ("done",),
        "failed": ("FAILED",),
        "cancelled": (),
        "unfinished": ("PENDING",),
    }


def test_a_unit_that_nothing_tells_is_asked() -> None:
    shape = prisma_shape(SCHEMA.replace("seconds ", "duration "))
    (question,) = propose(shape, NoRows(), Answers()).questions
    assert question.path == ("duration_unit",)
    assert question.best == "s"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no model"),
        ('datasource db { provider = "mysql"\n}\nmodel A {\n id Int @id\n}', "is for mysql"),
    ],
)
def test_a_file_that_is_none_of_postgresql_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "schema.prisma"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConnectError, match=said):
        read_prisma(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"nowhere\.prisma cannot be read"):
        read_prisma(tmp_path / "nowhere.prisma")
