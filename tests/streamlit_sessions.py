"""Sessions with a running dashboard by Streamlit's own protocol, without a browser: many at once cost little."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

PATIENCE_S = 120
_MOST_BYTES = 64 * 2**20


@dataclass
class PageRun:
    """What one run of a page sent: how it ended, what it complained of, its titles, and how many panels."""

    page: str
    ending: int = -1
    complaints: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    panels: int = 0

    @property
    def has_succeeded(self) -> bool:
        return self.ending == ForwardMsg.FINISHED_SUCCESSFULLY and not self.complaints


def runs_of(url: str, pages: list[tuple[str, str]]) -> list[PageRun]:
    """Open each page (its name, and what its address asks for) in a session of its own, all at once, and wait until
    every run has ended."""

    async def all_of_them() -> list[PageRun]:
        return await asyncio.gather(*(_run(url, page, asked) for page, asked in pages))

    # A thread of its own: browser tests leave a loop that runs in theirs.
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, all_of_them()).result()


async def _run(url: str, page: str, asked: str) -> PageRun:
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    found = PageRun(page)
    async with (
        asyncio.timeout(PATIENCE_S),
        connect(address, subprotocols=[Subprotocol("streamlit")], max_size=_MOST_BYTES) as session,
    ):
        message = BackMsg()
        message.rerun_script.query_string = asked
        message.rerun_script.page_name = page
        await session.send(message.SerializeToString())
        while found.ending < 0:
            answer = ForwardMsg()
            answer.ParseFromString(bytes(await session.recv(decode=False)))
            _take(found, answer)
    return found


def _take(found: PageRun, answer: ForwardMsg) -> None:
    kind = answer.WhichOneof("type")
    if kind == "script_finished":
        found.ending = answer.script_finished
    elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
        element = answer.delta.new_element
        if element.WhichOneof("type") == "heading":
            if element.heading.tag == "h1":
                found.titles.append(element.heading.body)
            else:
                found.panels += 1
        elif element.WhichOneof("type") == "exception":
            found.complaints.append(element.exception.message)
        elif element.WhichOneof("type") == "alert" and element.alert.format in (Alert.ERROR, Alert.WARNING):
            found.complaints.append(element.alert.body)
