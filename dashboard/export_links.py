"""Addresses that a file can be fetched from: signed, short-lived, and good in one browser only."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

PREFIX = "/exports/"
# Nobody types an address by hand; a longer one is none of ours.
_LONGEST = 2_000
_BROWSERS = 10_000
AGAIN = "Open the page Exports and press Download again."


class RefusedError(Exception):
    """Why a request gets no file: an HTTP status, and a sentence for the person."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks for a file: a name, a role, the browser that they ask from and, where people sign in, what stands for
    them at this sign-in."""

    name: str
    role: str
    browser: str
    who: str = ""


class Links:
    """Signs addresses and reads them back. What was signed before `revoke` is not read any more."""

    def __init__(self, secret: str, *, lasts_s: float) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="usage-dashboard export")
        self._lasts_s = lasts_s
        self._visits: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def address(self, person: Person, ticket: str, asked: Mapping[str, Any], *, visit: str = "") -> str:
        """The address of one file for one person; `asked` is what they may have from it. Of an earlier visit of their
        browser it is never good."""
        visit = visit or self.visit(person.browser)
        told = {"n": person.name, "r": person.role, "b": person.browser, "w": person.who, "v": visit}
        return PREFIX + self._signer.dumps({**told, "i": ticket, "a": dict(asked)})

    def opened(
        self, token: str, browser: str | None, *, longer_s: float = 0.0
    ) -> tuple[Person, str, Mapping[str, Any]]:
        """Who may fetch which file by this token. RefusedError when it was changed or is too old, when another browser
        has it, and after its own has signed out."""
        try:
            if len(token) > _LONGEST:
                raise BadData("too long")
            told = self._signer.loads(token, max_age=int(self._lasts_s + longer_s))
        except SignatureExpired:
            raise RefusedError(410, f"This link has expired: it is good for {self._lasts_s:g} s. {AGAIN}") from None
        except BadData:
            raise RefusedError(
                403, f"This link is not one of this server's: it was changed, or the server was started anew. {AGAIN}"
            ) from None
        person = Person(told["n"], told["r"], told["b"], told.get("w", ""))
        if browser is None or not secrets.compare_digest(browser, person.browser):
            raise RefusedError(403, "This link was made for another browser. Open the page Exports in this one.")
        if told["v"] != self._visits.get(browser):
            raise RefusedError(403, f"This link was made before its owner signed out or changed role. {AGAIN}")
        return person, told["i"], told["a"]

    def revoke(self, browser: str) -> None:
        """No address that this browser was given is good any more."""
        with self._lock:
            self._visits.pop(browser, None)

    def visit(self, browser: str) -> str:
        """A word for this browser's time until it signs out; the browsers unseen for longest are forgotten."""
        with self._lock:
            visit = self._visits.setdefault(browser, secrets.token_hex(4))
            self._visits.move_to_end(browser)
            while len(self._visits) > _BROWSERS:
                self._visits.popitem(last=False)
        return visit
