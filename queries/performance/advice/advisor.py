"""The advisor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from queries.performance.advice.model import Advice, Statement


def advise(
    connection: psycopg.Connection[Any],
    statements: Sequence[Statement],
    *,
    build_on: psycopg.Connection[Any] | None = None,
    measure: bool = False,
) -> list[Advice]:
    """Advice for the workload, most urgent first, the same for the same input in whatever order.

    `connection` needs to read only, and must not be inside a transaction; nothing of it stays in the session. `build_on`
    is a connection of the tables' owner: where the server has no HypoPG, candidates are built there in a transaction,
    looked at and rolled back. With `measure`, statements are also run (read only, bounded in time) so that planner cost
    becomes milliseconds of this server.
    """
    raise NotImplementedError
