"""The room of the page Indexes: what it is asked to show, read once for a run of the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard import panels, words
from dashboard.board import Board, stop_with
from dashboard.indexes import choices
from dashboard.indexes.choices import Chosen
from dashboard.services import current
from queries.errors import UsageDashboardError
from queries.performance import health, index_health
from queries.performance.advising import Advised, Standing
from queries.performance.catalog_reading import reading
from queries.performance.findings import Finding
from queries.performance.health import Health
from queries.performance.index_changes import Change, IndexChanges
from queries.performance.index_facts import IndexFact, indexes

__all__ = ["Indexes", "open_indexes", "panel"]

# An index that was made from here is not called unused while it is younger than this.
_YOUNG = timedelta(days=7)


@dataclass(slots=True)
class Indexes:
    """What one run of the page shows."""

    board: Board
    chosen: Chosen
    standing: Standing
    facts: list[IndexFact]
    index_findings: list[Finding]
    health: Health
    health_findings: list[Finding]
    changes: list[Change] = field(default_factory=list)

    @property
    def advised(self) -> Advised | None:
        return self.standing.advised

    @property
    def maker(self) -> IndexChanges | None:
        """What applies changes, for those who may: an administrator, on the embedded demo."""
        is_admin = "admin" in self.board.viewer.roles
        return current().index_changes if is_admin and current().is_demo else None

    @property
    def why_not(self) -> str:
        """Why nothing can be applied from here."""
        if current().index_changes is None:
            return "Run it as the owner of the table, in a quiet hour; it does not stop those who write."
        return "An administrator can apply it from here."

    def is_shown(self, table: str | None) -> bool:
        return self.chosen.table is None or table is None or table == self.chosen.table


def open_indexes(board: Board) -> Indexes:
    """Read the catalogs and see how far the advice is. The run ends when the database does not answer."""
    services = current()
    bar = board.bar
    try:
        made = services.index_changes.changes() if services.index_changes is not None else []
        lately = datetime.now(UTC) - _YOUNG
        young = {one.index_name for one in made if one.action == "create" and one.changed_at > lately}
        with reading(services.database) as connection:
            facts = indexes(connection)
            found = index_health.findings(connection, made_lately=young)
            read = health.read(connection)
    except UsageDashboardError as error:
        stop_with(error, board.visit)
    chosen = choices.chosen(bar, sorted({one.table for one in facts}))
    standing = services.advisor.look(chosen.asked)
    now = datetime.now(UTC)
    board.corner.caption(words.plain(f"as of {words.clock(now, board.zone)}"))
    return Indexes(board, chosen, standing, facts, found, read, health.findings(read), made)


@contextmanager
def panel(title: str) -> Iterator[None]:
    """A panel of the page; what goes wrong in it is said in it, and hides no other."""
    with st.container(border=True):
        st.header(words.plain(title), anchor=False)
        try:
            yield
        except UsageDashboardError as error:
            panels.failure(error, key=f"panel-{title}")
