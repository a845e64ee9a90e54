"""Short transactions of the role that owns our schema, for what is written and read beside the pages' questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from queries.errors import translated

TIMEOUT_MS = 5_000


@contextmanager
def short_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One that waits for nobody for long. Only errors of queries.errors are raised."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.set_config("statement_timeout", str(TIMEOUT_MS), True)))
            yield connection
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise translated(error, timeout_s=TIMEOUT_MS / 1000) from error
