"""Indexes: which one is missing, which is in the way, and how the database is."""

from dashboard import board, indexes
from dashboard.indexes import advice, changes, findings, headlines, upkeep

page = board.open_board("indexes", "Indexes", "Which index is missing, which is in the way, and is the database well?")
shown = indexes.open_indexes(page)

changes.under_way(shown)
headlines.show(shown)
advice.section(shown)
changes.section(shown)
findings.of_indexes(shown)
findings.of_database(shown)
upkeep.section(shown)
