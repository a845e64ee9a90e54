"""The driver's own connection inside a reading transaction, for what is read from PostgreSQL's catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from queries.database import Database
from queries.errors import UsageDashboardError, translated
from queries.scope import Scope

# A look at the catalogs that takes longer than this is not worth waiting for on a page.
_LONGEST_S = 10.0


@contextmanager
def reading(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a read-only transaction with a timeout. Only errors of queries.errors are raised."""
    timeout_s = min(_LONGEST_S, database.settings.statement_timeout_s)
    try:
        with database.reading(Scope.all_tenants(), timeout_s) as connection:
            yield cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    except UsageDashboardError:
        raise
    except Exception as error:
        raise translated(error, timeout_s=timeout_s) from error
