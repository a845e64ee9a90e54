"""How long each question took when a release was saved: what a later one is compared with."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sqlalchemy as sa

from queries.database import Database
from queries.errors import ArgumentError, SettingsError, translated
from queries.performance.recorded import Reading
from queries.tables import OUR_SCHEMA

LONGEST_NAME, RELEASES_LISTED = 60, 50
BASELINE = sa.table(
    "baseline",
    sa.column("release", sa.Text),
    sa.column("query", sa.Text),
    sa.column("calls", sa.BigInteger),
    sa.column("p50_ms", sa.Double),
    sa.column("p95_ms", sa.Double),
    sa.column("saved_at", sa.TIMESTAMP(timezone=True)),
    sa.column("saved_by", sa.Text),
    schema=OUR_SCHEMA,
)


def releases() -> Reading:
    """The saved baselines, newest first: release, queries, calls, saved_at, saved_by."""
    statement = (
        sa.select(
            BASELINE.c.release,
            sa.func.count().label("queries"),
            sa.cast(sa.func.sum(BASELINE.c.calls), sa.BigInteger).label("calls"),
            sa.func.max(BASELINE.c.saved_at).label("saved_at"),
            sa.func.max(BASELINE.c.saved_by).label("saved_by"),
        )
        .group_by(BASELINE.c.release)
        .order_by(sa.func.max(BASELINE.c.saved_at).desc(), BASELINE.c.release)
        .limit(RELEASES_LISTED)
    )
    return Reading("baselines", statement, {})


def release_name(given: str) -> str:
    """The name as it is kept. ArgumentError when it says nothing or too much."""
    name = " ".join("".join(one if one.isprintable() else " " for one in given).split())
    if not name or len(name) > LONGEST_NAME:
        raise ArgumentError(f"a baseline needs a name of 1 to {LONGEST_NAME} characters; a release or a commit will do")
    return name


def save(database: Database, release: str, figures: pd.DataFrame, *, saved_by: str) -> int:
    """Keep these figures (`by_query`) under the release's name, in place of what it had; how many questions they are
    of. Questions that never reached the database are left out. SettingsError without DIRECT_URL."""
    if database.owner is None:
        raise SettingsError("a baseline cannot be kept without DIRECT_URL; set it and run python -m dashboard migrate")
    name = release_name(release)
    columns = (figures[one].tolist() for one in ("query", "misses", "p50_ms", "p95_ms"))
    rows: list[dict[str, Any]] = [
        {"release": name, "query": query, "calls": calls, "p50_ms": p50, "p95_ms": p95, "saved_by": saved_by}
        for query, calls, p50, p95 in zip(*columns, strict=True)
        if calls > 0
    ]
    if not rows:
        raise ArgumentError("nothing was read from the database in this time; choose a longer one to save")
    try:
        with database.owner.begin() as connection:
            connection.execute(sa.delete(BASELINE).where(BASELINE.c.release == name))
            connection.execute(sa.insert(BASELINE), rows)
    except sa.exc.SQLAlchemyError as error:
        raise translated(error) from error
    return len(rows)


def forget(database: Database, release: str) -> None:
    """Remove a baseline. SettingsError without DIRECT_URL."""
    if database.owner is None:
        raise SettingsError("a baseline cannot be removed without DIRECT_URL")
    try:
        with database.owner.begin() as connection:
            connection.execute(sa.delete(BASELINE).where(BASELINE.c.release == release))
    except sa.exc.SQLAlchemyError as error:
        raise translated(error) from error
