"""The embedded server that another process of this program runs on the same data folder."""

import json
from pathlib import Path

from queries.embedded.orphans import postmaster_status
from queries.embedded.server import EmbeddedServer
from queries.errors import EmbeddedServerError


class AttachedServer(EmbeddedServer):
    """Addresses and databases of a server that is not ours: `start` looks where it is, `stop` leaves it running."""

    def start(self) -> None:
        """Find the running server; EmbeddedServerError when it is not ready or its passwords cannot be read."""
        folder = self._cluster.folder
        status = postmaster_status(self._cluster.data)
        if status is None or status[1] != "ready":
            raise EmbeddedServerError(f"the PostgreSQL in {folder} is starting or stopping; try again in a moment")
        try:
            self._passwords = {
                role: str(word) for role, word in json.loads((folder / "passwords.json").read_text()).items()
            }
            self._port = int((self._cluster.data / "postmaster.pid").read_text().splitlines()[3])
        except (OSError, ValueError, IndexError) as error:
            raise EmbeddedServerError(
                f"the PostgreSQL in {folder} runs for another user or cannot be reached; stop the dashboard first"
            ) from error

    def stop(self) -> None:
        """Forget the server; it runs on."""
        self._passwords = {}

    @property
    def running(self) -> bool:
        """Whether the server says that it is ready."""
        status = postmaster_status(self._cluster.data)
        return status is not None and status[1] == "ready"


def started_or_attached(data_folder: Path) -> EmbeddedServer:
    """The server of a data folder: the one that a running dashboard holds, else one of our own, started."""
    own = EmbeddedServer(data_folder)
    server = own if own.describe_holder() is None else AttachedServer(data_folder)
    server.start()
    return server
