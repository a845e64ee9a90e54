"""What the digest has told, and to whom: `usage_dashboard.digest_state`, written through the owner's engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from queries.errors import DatabaseUnavailableError, translated
from queries.tables import OUR_SCHEMA

# How long one digest waits for another to end.
LOCK_WAIT_S = 120.0
_LOCK = f"{OUR_SCHEMA}.digest"
_LOCK_NOT_AVAILABLE = "55P03"

_STATE = sa.table(
    "digest_state",
    *(sa.column(name, sa.Text) for name in ("recipient", "tenant_id", "rule", "kind", "tenant", "sentence")),
    schema=OUR_SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A flag as it is told: whose, by which rule, and its sentence."""

    tenant_id: str
    rule: str
    kind: str
    tenant: str
    sentence: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same flag as another day's, whatever the numbers in its sentence."""
        return self.tenant_id, self.rule


class Memory:
    """The flags that a recipient has been told of and that have not cleared since."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def told(self, recipient: str) -> Mapping[tuple[str, str], Told]:
        """By key, in no order."""
        columns = (_STATE.c[name] for name in ("tenant_id", "rule", "kind", "tenant", "sentence"))
        with self._connection.begin():
            rows = self._connection.execute(sa.select(*columns).where(_STATE.c.recipient == recipient)).all()
        return {one.key: one for one in (Told(*row) for row in rows)}

    def remember(self, recipient: str, *, rose: Sequence[Told], cleared: Sequence[Told]) -> None:
        """In one transaction of its own: these have been told."""
        with self._connection.begin():
            for one in (*rose, *cleared):
                self._connection.execute(
                    sa.delete(_STATE).where(
                        _STATE.c.recipient == recipient,
                        _STATE.c.tenant_id == one.tenant_id,
                        _STATE.c.rule == one.rule,
                    )
                )
            if rose:
                self._connection.execute(sa.insert(_STATE), [{"recipient": recipient, **asdict(one)} for one in rose])


@contextmanager
def remembering(engine: sa.Engine, *, lock_wait_s: float = LOCK_WAIT_S) -> Iterator[Memory]:
    """The memory, for one digest at a time: a second one waits until the first has told and remembered."""
    try:
        with engine.connect() as connection:
            # A connection of our own, closed for good at the end: the lock ends with it, however this process ends.
            connection.detach()
            with connection.begin():
                wait_ms = str(int(lock_wait_s * 1000))
                connection.execute(sa.select(sa.func.set_config("lock_timeout", wait_ms, False)))
            with connection.begin():
                connection.execute(sa.select(sa.func.pg_advisory_lock(sa.func.hashtext(_LOCK))))
            yield Memory(connection)
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise DatabaseUnavailableError(
                f"another digest has been running for more than {lock_wait_s:g} s; look why it does not end"
            ) from error
        raise translated(error) from error
