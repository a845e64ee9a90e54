"""A database from a script, and what is proposed for it."""

from typing import LiteralString

import psycopg

from queries.connect import catalog
from queries.connect.answers import answers_of
from queries.connect.proposing import Proposal, propose
from queries.connect.samples import Rows


def made(url: str, *scripts: LiteralString) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for one in scripts:
            connection.execute(one)
        connection.execute("ANALYZE")


def proposed(url: str, **answers: object) -> Proposal:
    with catalog.opened(url) as connection:
        return propose(catalog.read_shape(connection), Rows(connection), answers_of(answers))
