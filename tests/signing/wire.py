"""A browser that is only a WebSocket: opens a page by its address, as anybody on the network can, and reads all that
comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.signing.cookies import xsrf

PATIENCE_S = 60


@dataclass
class Seen:
    """What a run of a page sent."""

    raw: bytes = b""
    texts: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    fragments: set[str] = field(default_factory=set)
    redirects: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All words, without Markdown's escapes and what nobody sees."""
        return re.sub(r"\\([^\w\s])", r"\1", "\n".join(self.texts)).replace("\u2060", "")

    def holds(self, word: str) -> bool:
        """Whether it came in whatever form: a text, a table, a chart."""
        return word.encode() in self.raw or word in self.text


class Wire:
    """One session of one tab."""

    def __init__(
        self,
        url: str,
        cookies: Mapping[str, str] = MappingProxyType({}),
        *,
        origin: str | None = "",
        headers: Sequence[tuple[str, str]] = (),
        resumes: str = "",
    ) -> None:
        """`origin` is the page's own unless another is named; `resumes` is the session that a tab had before."""
        self.session = ""
        token = xsrf()
        kept = {**cookies, "_streamlit_xsrf": token}
        self._opening = connect(
            url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=[Subprotocol(one) for one in ("streamlit", token, resumes) if one],
            origin=(url if origin == "" else origin),  # type: ignore[arg-type]  # any text may be sent
            additional_headers=[("Cookie", "; ".join(f"{k}={v}" for k, v in kept.items())), *headers],
            max_size=None,
            open_timeout=PATIENCE_S,
            proxy=None,
        )

    def __enter__(self) -> Wire:
        self._socket: ClientConnection = self._opening.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opening.__exit__(kind, error, at)

    def open(self, page: str = "", query: str = "") -> Seen:
        """What the page of this address shows."""
        asked = BackMsg()
        asked.rerun_script.page_name = page
        asked.rerun_script.query_string = query
        return self._run(asked)

    def part(self, fragment: str, query: str = "") -> Seen:
        """What a run of one part of the page shows."""
        asked = BackMsg()
        asked.rerun_script.fragment_id = fragment
        asked.rerun_script.query_string = query
        return self._run(asked)

    def download(self, file: str) -> str:
        """The address of a panel's file, as a click on its button gets it; empty when there is none."""
        asked = BackMsg()
        asked.backend_operation_request.request_id = file
        asked.backend_operation_request.session_id = self.session
        asked.backend_operation_request.deferred_file.file_id = file
        self._socket.send(asked.SerializeToString())
        while True:
            message = ForwardMsg()
            raw = self._socket.recv(PATIENCE_S)
            assert isinstance(raw, bytes)
            message.ParseFromString(raw)
            if message.WhichOneof("type") == "backend_operation_response":
                return message.backend_operation_response.deferred_file.url

    def _run(self, asked: BackMsg) -> Seen:
        self._socket.send(asked.SerializeToString())
        seen = Seen()
        while True:
            raw = self._socket.recv(PATIENCE_S)
            assert isinstance(raw, bytes)
            message = ForwardMsg()
            message.ParseFromString(raw)
            seen.raw += raw
            if message.WhichOneof("type") == "new_session":
                self.session = message.new_session.initialize.session_id
            _take(seen, message)
            if message.WhichOneof("type") == "script_finished" and message.script_finished in (
                ForwardMsg.FINISHED_SUCCESSFULLY,
                ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
                ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
            ):
                return seen


def _take(seen: Seen, message: ForwardMsg) -> None:
    kind = message.WhichOneof("type")
    if kind == "auth_redirect":
        seen.redirects.append(message.auth_redirect.url)
    if kind != "delta":
        return
    if message.delta.fragment_id:
        seen.fragments.add(message.delta.fragment_id)
    element = message.delta.new_element
    match element.WhichOneof("type"):
        case "heading":
            seen.texts.append(element.heading.body)
            if element.heading.tag == "h1":
                seen.titles.append(element.heading.body.replace("\\", ""))
        case "markdown":
            seen.texts.append(element.markdown.body)
        case "alert":
            seen.texts.append(element.alert.body)
        case "button":
            seen.texts.append(element.button.label)
        case "download_button":
            seen.downloads.append(element.download_button.deferred_file_id)
        case "metric":
            seen.texts.append(f"{element.metric.label}: {element.metric.body}")
