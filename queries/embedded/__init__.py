"""PostgreSQL 18 as our own child process, in a data folder of our own.

`server` is the front door (`EmbeddedServer`); `cluster` makes and checks the data folder, `supervisor` keeps the
process alive, `launch` is the tiny program between us and PostgreSQL, `orphans` clears away what a killed parent left,
`lock` keeps a second start out, and `databases` holds roles, privileges and databases.
"""

from queries.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
