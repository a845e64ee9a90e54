"""Links to files: good in one browser, for a short time, until it signs out; and the cookie that tells it apart."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from dashboard.browser import COOKIE, BrowserCookie, browser_of
from dashboard.export_links import PREFIX, Links, Person, RefusedError

ADA = Person("Ada", "finance", "browser-a")
ASKED = {"report": "ledger", "scope": "all"}


def links(lasts_s: float = 300, signed_by: str = "us") -> Links:
    return Links(signed_by, lasts_s=lasts_s)


def token_of(address: str) -> str:
    assert address.startswith(PREFIX)
    return address.removeprefix(PREFIX)


def refused(made: Links, token: str, browser: str | None = ADA.browser, **how: Any) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        made.opened(token, browser, **how)
    assert re.search(r"[a-z]\. .*\.$|in this one\.$", error.value.sentence), "a sentence says what to do"
    return error.value


def at_time(monkeypatch: pytest.MonkeyPatch, moved_s: int) -> None:
    real = TimestampSigner.get_timestamp
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: real(self) + moved_s)


def test_a_link_tells_who_may_fetch_what() -> None:
    made = links()
    assert made.opened(token_of(made.address(ADA, "job", ASKED)), ADA.browser) == (ADA, "job", ASKED)


@given(name=st.text(max_size=30), ticket=st.text(max_size=20), values=st.dictionaries(st.text(max_size=5), st.text()))
def test_a_link_is_an_address_whatever_is_signed(name: str, ticket: str, values: dict[str, str]) -> None:
    made, person = links(), Person(name, "admin", "b")
    token = token_of(made.address(person, ticket, values))
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)
    if len(token) < 2_000:
        assert made.opened(token, "b") == (person, ticket, values)


@given(place=st.integers(0, 10_000), put=st.sampled_from("abcXYZ019-_."))
def test_a_changed_link_is_refused(place: int, put: str) -> None:
    made = links()
    token = token_of(made.address(ADA, "job", ASKED))
    place %= len(token)
    # The last letter of a part has bits that say nothing.
    if put == token[place] or token[place + 1 : place + 2] in ("", "."):
        return
    forged = token[:place] + put + token[place + 1 :]
    with pytest.raises(RefusedError) as error:
        made.opened(forged, ADA.browser)
    assert error.value.status in (403, 410)


@pytest.mark.parametrize("token", ["", ".", "x", "a.b.c", "é", "x" * 100_000, "../../etc/passwd", "\x00"])
def test_what_was_never_a_link_is_refused(token: str) -> None:
    assert refused(links(), token).status == 403


def test_another_secret_makes_no_link_of_ours() -> None:
    forged = token_of(links(signed_by="them").address(ADA, "job", ASKED))
    assert refused(links(), forged).status == 403


def test_another_browser_gets_nothing() -> None:
    made = links()
    token = token_of(made.address(ADA, "job", ASKED))
    assert [refused(made, token, other).status for other in ("browser-b", "", None)] == [403] * 3
    assert "another browser" in refused(made, token, "browser-b").sentence


def test_a_link_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    made = links(lasts_s=60)
    token = token_of(made.address(ADA, "job", ASKED))
    at_time(monkeypatch, 61 + 1)
    error = refused(made, token)
    assert (error.status, "good for 60 s" in error.sentence) == (410, True)
    assert made.opened(token, ADA.browser, longer_s=600)[1] == "job", "what may take longer is given longer"


def test_after_signing_out_no_link_is_good_any_more_and_new_ones_are() -> None:
    made = links()
    before, theirs = (made.address(one, "job", ASKED) for one in (ADA, Person("Bo", "finance", "browser-b")))
    made.revoke(ADA.browser)
    assert "signed out" in refused(made, token_of(before)).sentence
    after = made.address(ADA, "job", ASKED)
    assert made.opened(token_of(after), ADA.browser)[1] == "job"
    assert "signed out" in refused(made, token_of(before)).sentence, "an old link stays refused"
    assert made.opened(token_of(theirs), "browser-b")[1] == "job"


def answered(headers: dict[str, str], *, path: str = "/", kind: str = "text/html", **scope: Any) -> list[str]:
    """The cookies that a request is given."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
        await send({"type": "http.response.body", "body": b""})

    given: list[str] = []

    async def send(message: Any) -> None:
        given.extend(value.decode() for name, value in message.get("headers", []) if name == b"set-cookie")

    async def ask() -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        asked = {"type": "http", "method": "GET", "path": path, "headers": raw, "scheme": "http", **scope}
        await BrowserCookie(app)(asked, lambda: None, send)  # type: ignore[arg-type, return-value]  # never received

    with ThreadPoolExecutor(1) as elsewhere:  # browser tests leave an event loop running in this thread
        elsewhere.submit(asyncio.run, ask()).result()
    return given


def test_a_browser_is_given_a_cookie_with_the_page_and_keeps_it() -> None:
    (cookie,) = answered({})
    assert re.fullmatch(rf"{COOKIE}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)
    kept = cookie.split(";")[0]
    assert answered({"cookie": f"theme=dark; {kept}"}) == []
    assert answered({}) != [cookie], "each browser has its own"
    assert answered({}, scheme="https")[0].endswith("; Secure")


def test_only_the_page_gives_it() -> None:
    assert answered({}, path="/static/app.js", kind="text/javascript") == []
    assert len(answered({}, path="/_stcore/host-config", kind="application/json")) == 1
    assert answered({}, method="POST") == []


def test_a_link_from_another_site_takes_no_cookie_away() -> None:
    """Such a request comes without the cookie that the browser has."""
    assert answered({"sec-fetch-site": "cross-site"}) == []
    assert len(answered({"sec-fetch-site": "none"})) == 1


@pytest.mark.parametrize("word", ["", "short", "x" * 500, "spaces in it" * 4, "'; DROP TABLE--" * 3])
def test_a_cookie_that_is_not_ours_stands_for_nobody(word: str) -> None:
    assert browser_of({COOKIE: word}) is None
    assert len(answered({"cookie": f'{COOKIE}="{word}"'})) == 1


def test_what_stands_for_a_browser_does_not_give_its_word_away() -> None:
    word = "w" * 43
    found = browser_of({COOKIE: word})
    assert found is not None
    assert word not in found
    assert found == browser_of({COOKIE: word}) != browser_of({COOKIE: "v" * 43})
