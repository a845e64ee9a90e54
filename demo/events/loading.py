"""Events into a database, in one transaction: all good rows land or none, and each lands once.

Rows are streamed into a temporary table; what is a repetition, what is there already and what is new is decided by
PostgreSQL, so that memory stays flat however long the file is. Loaders of one database queue at an advisory lock.

An imported database has no "CreditBalance" and no "Subscription": the file knows what was burned, not what is left.
Its ledger holds a CHARGE per generation at its creation, and a REFUND per failed one when it ended (at its creation
where the file has no duration). Unknown credits are a CHARGE of 0 that says so in its description.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

import psycopg

from demo.events.errors import BadRows, NothingToLoad
from demo.events.reading import UNKNOWN_USER, Event, Reader, Rejection
from demo.events.rejects import RejectFile
from demo.events.source import Progress, Source
from demo.schema import create_indexes_and_keys, create_tables, has_schema

WRITING: Final = "writing"
_SAMPLE_REASON_CHARACTERS: Final = 200

_STAGE: Final = """
    CREATE TEMPORARY TABLE staged (line bigint, id text, digest text, organization_id text, organization_name text,
        user_id text, user_name text, type public."GenerationType", model text, status public."GenerationStatus",
        credits integer, duration_ms integer, prompt text, error text, created_at timestamp(3),
        completed_at timestamp(3)) ON COMMIT DROP
"""
# The first row of an id is kept.
_KEEP: Final = """
    CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT DISTINCT ON (id) * FROM staged ORDER BY id, line
"""
_REPETITIONS: Final = """
    SELECT count(*) FROM staged JOIN kept USING (id, digest) WHERE staged.line <> kept.line
"""
_CONFLICTS: Final = """
    SELECT staged.line FROM staged JOIN kept USING (id) WHERE staged.digest <> kept.digest ORDER BY staged.line
"""
_ALREADY_THERE: Final = """
    SELECT count(*), count(*) FILTER (WHERE ("organizationId", "userId", g."type", g."model", g."status", "creditsUsed",
               "durationMs", g."prompt", g."error", "createdAt")
           IS DISTINCT FROM (organization_id, user_id, kept.type, kept.model, kept.status, coalesce(credits, 0),
               duration_ms, kept.prompt, kept.error, created_at))
    FROM kept JOIN public."Generation" AS g USING (id)
"""
_FORGET_ALREADY_THERE: Final = 'DELETE FROM kept USING public."Generation" AS g WHERE g."id" = kept.id'

# Without ON CONFLICT, because the tables of a new dataset get their keys after their rows; the lock keeps others out.
_INSERTS: Final[tuple[LiteralString, ...]] = (
    """UPDATE public."Organization" SET "createdAt" = earlier.at
       FROM (SELECT organization_id, min(created_at) AS at FROM kept GROUP BY organization_id) AS earlier
       WHERE "id" = organization_id AND "createdAt" > at""",
    """UPDATE public."User" SET "createdAt" = earlier.at
       FROM (SELECT user_id, min(created_at) AS at FROM kept GROUP BY user_id) AS earlier
       WHERE "id" = user_id AND "createdAt" > at""",
    """INSERT INTO public."Organization" ("id", "name", "slug", "createdAt", "updatedAt")
       SELECT organization_id, min(organization_name), organization_id, min(created_at), min(created_at) FROM kept
       WHERE NOT EXISTS (SELECT FROM public."Organization" WHERE "id" = organization_id)
       GROUP BY organization_id ORDER BY min(created_at), organization_id""",
    # .invalid is reserved for addresses that cannot exist; the name is the file's own.
    """INSERT INTO public."User" ("id", "organizationId", "email", "name", "createdAt", "updatedAt")
       SELECT user_id, min(organization_id), user_id || '@events.invalid', coalesce(min(user_name), %(unknown_user)s),
           min(created_at), min(created_at)
       FROM kept WHERE NOT EXISTS (SELECT FROM public."User" WHERE "id" = user_id)
       GROUP BY user_id ORDER BY min(created_at), user_id""",
    """INSERT INTO public."Membership" ("id", "userId", "organizationId", "createdAt")
       SELECT 'mem_' || user_id, user_id, min(organization_id), min(created_at) FROM kept
       WHERE NOT EXISTS (SELECT FROM public."Membership" WHERE "id" = 'mem_' || user_id)
       GROUP BY user_id ORDER BY min(created_at), user_id""",
    """INSERT INTO public."Generation" ("id", "userId", "organizationId", "type", "model", "status", "creditsUsed",
           "durationMs", "prompt", "error", "createdAt", "completedAt", "updatedAt")
       SELECT id, user_id, organization_id, type, model, status, coalesce(credits, 0), duration_ms, prompt, error,
           created_at, completed_at, coalesce(completed_at, created_at)
       FROM kept ORDER BY created_at, id""",
    """INSERT INTO public."CreditTransaction" ("id", "organizationId", "userId", "generationId", "type", "amount",
           "description", "createdAt")
       SELECT prefix || '_' || id, organization_id, user_id, id, movement::public."CreditTransactionType", amount,
           CASE WHEN credits IS NULL THEN 'credits unknown' ELSE words END, posted_at
       FROM kept CROSS JOIN LATERAL (VALUES
           ('chg', 'CHARGE', -coalesce(credits, 0), 'generation', created_at, true),
           ('ref', 'REFUND', coalesce(credits, 0), 'failed generation', coalesce(completed_at, created_at),
            kept.status = 'FAILED'))
           AS posting (prefix, movement, amount, words, posted_at, is_due)
       WHERE is_due ORDER BY posted_at, id""",
)
_ANALYZE: Final = (
    'ANALYZE public."Organization", public."User", public."Membership", public."Generation", public."CreditTransaction"'
)
_CONTENT: Final = """
    SELECT (SELECT count(*) FROM public."Organization"),
           (SELECT count(*) FROM public."User" WHERE "id" NOT LIKE 'usr\\_unknown\\_%'),
           count(*), count(*) FILTER (WHERE "status" = 'SUCCEEDED'), count(*) FILTER (WHERE "status" = 'FAILED'),
           min("createdAt"), max("createdAt")
    FROM public."Generation"
"""


@dataclass(frozen=True, slots=True)
class Content:
    """What a dataset holds; `first` and `last` are times of generations in UTC without zone."""

    tenants: int
    users: int
    generations: int
    succeeded: int
    failed: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the rows of a file: read = new + already_there + duplicates + rejected.

    Of those already there, `changed_rows` say something else in the file; they were left as they are.
    """

    read_rows: int
    new_rows: int
    already_there_rows: int
    changed_rows: int
    duplicate_rows: int
    rejected_rows: int
    unknown_credits_rows: int
    repeated_times: int
    skipped_times: int
    reject_file: str | None
    content: Content


@dataclass(slots=True)
class _Counts:
    read_rows: int = 0


def load(
    connection: psycopg.Connection,
    source: Source,
    reader: Reader,
    rejects: RejectFile,
    *,
    strict: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Outcome:
    """Load a file's events. `progress` is told (stage, done, total).

    Raises an EventsError (NothingToLoad, BadRows with `strict`, UnusableFile) after which nothing was written to the
    database; the rejected rows are in their file even then.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('load-events'))")
        is_new = not has_schema(connection)
        if is_new:
            create_tables(connection)
        unit = "rows" if source.is_parquet else "bytes"
        read_rows = _stage(connection, source, reader, rejects, lambda *so_far: progress(f"reading ({unit})", *so_far))
        progress(WRITING, 0, 1)
        duplicate_rows = _keep_first(connection, source, rejects)
        reject_file = rejects.publish()
        _require_good_rows(source, read_rows, rejects, strict)
        unknown_credits_rows = _number(connection, "SELECT count(*) FROM kept WHERE credits IS NULL")
        already_there_rows, changed_rows = (0, 0) if is_new else _forget_already_there(connection)
        new_rows = _insert(connection, is_new)
        progress(WRITING, 1, 1)
        return Outcome(
            read_rows,
            new_rows,
            already_there_rows,
            changed_rows,
            duplicate_rows,
            rejects.count,
            unknown_credits_rows,
            reader.clock.repeated,
            reader.clock.skipped,
            str(reject_file) if reject_file is not None else None,
            content(connection),
        )


def content(connection: psycopg.Connection) -> Content:
    """What the database holds; it has at least one generation."""
    row = connection.execute(_CONTENT).fetchone()
    assert row is not None, "an aggregate has a row"
    return Content(*row)


def _stage(
    connection: psycopg.Connection, source: Source, reader: Reader, rejects: RejectFile, progress: Progress
) -> int:
    """Stream the good rows into the staging table, the others to the rejects. Answers the rows read."""
    connection.execute(_STAGE)
    counts = _Counts()
    with connection.cursor() as cursor, cursor.copy("COPY staged FROM STDIN") as copy:
        for event in _good(source, reader, rejects, progress, counts):
            copy.write_row(event)
    connection.execute("ANALYZE staged")
    return counts.read_rows


def _good(source: Source, reader: Reader, rejects: RejectFile, progress: Progress, counts: _Counts) -> Iterator[Event]:
    for row in source.rows(progress):
        counts.read_rows += 1
        event = reader.event(row)
        if isinstance(event, Rejection):
            rejects.add(event)
        else:
            yield event


def _keep_first(connection: psycopg.Connection, source: Source, rejects: RejectFile) -> int:
    """Keep one row per id, reject the others whose content differs, and answer how many were mere repetitions."""
    connection.execute(_KEEP)
    connection.execute("ANALYZE kept")
    staged_rows = _number(connection, "SELECT count(*) FROM staged")
    if staged_rows == _number(connection, "SELECT count(*) FROM kept"):
        return 0
    lines = {line for (line,) in connection.execute(_CONFLICTS)}
    if lines:  # rare, so that a second look at the file is cheaper than keeping every row's text
        reason = "an earlier row has the same id but another content; name the column of the event's own id with --id"
        for row in source.rows():
            if row.line in lines:
                rejects.add(Rejection(row.line, "", reason, row.text))
    return _number(connection, _REPETITIONS)


def _require_good_rows(source: Source, read_rows: int, rejects: RejectFile, strict: bool) -> None:
    if read_rows == 0:
        raise NothingToLoad(f"{source.path} has a header but no rows; nothing was loaded")
    if rejects.first is None:
        return
    where = f"line {rejects.first.line}"
    where += f", column {rejects.first.column}" if rejects.first.column else ""
    first = f"{where}: {rejects.first.reason[:_SAMPLE_REASON_CHARACTERS]}"
    if read_rows == rejects.count:
        raise NothingToLoad(f"none of the {read_rows:,} rows is an event (first: {first}); all are in {rejects.path}")
    if strict:
        raise BadRows(
            f"{rejects.count:,} of {read_rows:,} rows are bad (first: {first}); nothing was loaded: mend them, "
            f"they are in {rejects.path}, or leave --strict out"
        )


def _forget_already_there(connection: psycopg.Connection) -> tuple[int, int]:
    """Take what is in the database out of what is kept; how many rows, and how many of them differ."""
    row = connection.execute(_ALREADY_THERE).fetchone()
    assert row is not None, "an aggregate has a row"
    connection.execute(_FORGET_ALREADY_THERE)
    return int(row[0]), int(row[1])


def _insert(connection: psycopg.Connection, is_new: bool) -> int:
    """Insert what is kept. Answers the new generations."""
    for statement in _INSERTS:
        connection.execute(statement, {"unknown_user": UNKNOWN_USER})
    if is_new:
        create_indexes_and_keys(connection)
    connection.execute(_ANALYZE)
    return _number(connection, "SELECT count(*) FROM kept")


def _number(connection: psycopg.Connection, query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None, "an aggregate has a row"
    return int(row[0])
