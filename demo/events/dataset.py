"""The database that a file's events go to: its name, and that it is not left behind when nothing came of it."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import psycopg

from demo.events.errors import UnusableOption

NAME_LIMIT_CHARACTERS: Final = 41
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_RESERVED: Final = frozenset({"demo", "postgres"})


class Server(Protocol):
    """What is needed of the embedded PostgreSQL, be it our own child or another process's."""

    def url(self, database: str, role: str) -> str: ...
    def ensure_database(self, name: str) -> bool: ...
    def drop_database(self, name: str) -> None: ...


def checked_name(name: str) -> str:
    """The name, when a dataset can be called so; UnusableOption otherwise."""
    if not _NAME.fullmatch(name):
        raise UnusableOption(
            f"the dataset name {name!r} is not accepted; use a lower-case letter, then up to 40 of a-z, 0-9 and _"
        )
    if _is_reserved(name):
        raise UnusableOption(f"the dataset name {name!r} is taken by the program itself; choose another")
    return name


def safe_name(stem: str) -> str:
    """A dataset name made of a file's: letters without accents in lower case, the rest turned into _."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name or not name[0].isalpha() or _is_reserved(name):
        name = f"events_{name}"
    return name[:NAME_LIMIT_CHARACTERS].strip("_")


@contextmanager
def opened(server: Server, name: str) -> Iterator[psycopg.Connection]:
    """A connection to the dataset as its owner; a database made for it is dropped again when the block fails."""
    is_new = server.ensure_database(name)
    try:
        with psycopg.connect(server.url(name, "app"), autocommit=True, connect_timeout=10) as connection:
            yield connection
    except BaseException:
        if is_new:
            server.drop_database(name)
        raise


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith("template")
