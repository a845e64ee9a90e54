"""One program per data folder: a lock that the kernel gives back when its holder ends, however it ends."""

import contextlib
import fcntl
import json
import os
from pathlib import Path

from queries.errors import EmbeddedServerError


class FolderLock:
    """An advisory lock on a file that also says who holds it (process id, address of the web pages)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise EmbeddedServerError saying who has it and what to do."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise EmbeddedServerError(self._refusal()) from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.announce(None)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # the folder's disk may be full or gone: closing is what counts
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def announce(self, address: str | None) -> None:
        """Write who we are, and where our pages are, for whoever tries the same folder."""
        if self._descriptor is None:
            raise EmbeddedServerError("the data folder is not locked by this process; start the server first")
        content = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def describe_holder(self) -> str | None:
        """'process 4711, serving http://127.0.0.1:8501'; None when nobody holds it (a killed one's words stay)."""
        if not self._is_held():
            return None
        try:
            holder = json.loads(self._path.read_text())
            pid, address = int(holder["pid"]), holder["address"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return f"process {pid}" + (f", serving {address}" if address else "")

    def _is_held(self) -> bool:
        if self._descriptor is not None:
            return True
        try:
            with self._path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _refusal(self) -> str:
        holder = self.describe_holder() or "another process"
        return (
            f"the data folder {self._path.parent} is in use by {holder}; open that one, stop it, "
            "or set USAGE_DASHBOARD_DATA to another folder and PORT to another port"
        )
