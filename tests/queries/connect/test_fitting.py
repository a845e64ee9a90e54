"""A table that was answered and does not fit is named, with what it lacks; keys within a storage are no addresses."""

from typing import Any, LiteralString

import pytest

from queries.connect.answers import answers_of
from queries.connect.checking import check
from queries.connect.prisma_schema import prisma_shape
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import NoRows
from queries.errors import ConnectError
from tests.queries.connect.proposed import made, proposed

SCHEMA = """
model Team { id String @id
  name String }
model Job { id String @id
  teamId String
  prompt String
  model String
  status String
  credits Int
  createdAt DateTime }
model RenderOutput { id String @id
  jobId String
  place String
  createdAt DateTime }
model Booking { id String @id
  teamId String
  note String
  at DateTime }
model Country { code String @id
  name String }
"""


def answered(**answers: Any) -> Proposal:
    return propose(prisma_shape(SCHEMA), NoRows(), answers_of(answers))


@pytest.mark.parametrize(
    ("logical", "table", "said"),
    [
        ("image", "RenderOutput", r"\(id, jobId, place, createdAt\) is known to be url or data.*columns.image. url = "),
        ("image", "Booking", "no column refers to Job"),
        ("credit_transaction", "Booking", r"known to be amount, which \[columns.credit_transaction\] amount = "),
        ("credit_balance", "Country", "nothing in it leads to Team; none of its columns"),
        ("subscription", "Booking", "known to be plan or period_end"),
        ("usage_limit", "Booking", "known to be count"),
        ("membership", "Booking", "each row must refer to a user and to a tenant"),
        ("user", "Country", "nothing in it leads to Team"),
        ("organization", "Booking", 'the tenant is Team; answer tenant = "..." instead'),
    ],
)
def test_an_answered_table_that_does_not_fit_is_refused_by_name(logical: str, table: str, said: str) -> None:
    with pytest.raises(ConnectError, match=said) as refused:
        answered(tables={logical: table})
    assert f"name {table} for {logical}" in refused.value.message


def test_naming_the_column_makes_it_fit() -> None:
    columns = {"image": {"url": "place"}}
    proposal = answered(tables={"image": "RenderOutput"}, columns=columns)
    assert "place" in (proposal.mapping().tables["image"].select or "")


@pytest.mark.parametrize("value", ["renders/1.png", "https://cdn.example/1.png"])
def test_a_key_of_a_storage_is_a_place_and_is_said_to_be_no_address(empty_database_url: str, value: str) -> None:
    script: LiteralString = """CREATE TABLE teams (id int PRIMARY KEY, name text);
        CREATE TABLE jobs (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams, prompt text, model text,
          status text, credits int, created_at timestamptz NOT NULL);
        CREATE TABLE render_outputs (id int PRIMARY KEY, job_id int NOT NULL REFERENCES jobs, storage_key text);
        INSERT INTO teams VALUES (1, 'A');
        INSERT INTO jobs VALUES (1, 1, 'p', 'm', 'done', 1, now())"""
    keys: LiteralString = "INSERT INTO render_outputs VALUES (1, 1, 'renders/1.png')"
    addresses: LiteralString = "INSERT INTO render_outputs VALUES (1, 1, 'https://cdn.example/1.png')"
    made(empty_database_url, script, addresses if "://" in value else keys)
    mapping = proposed(empty_database_url).mapping()
    assert 't."storage_key" AS url' in (mapping.tables["image"].select or "")
    assert ("no address" in mapping.tables["image"].note) == ("://" not in value)
    assert check(empty_database_url, mapping).works
