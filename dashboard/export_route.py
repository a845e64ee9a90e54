"""The addresses that files come from: `/exports/TOKEN`, and `/exports/TOKEN/manifest` once the file has ended.

A thread of its own copies out of PostgreSQL into a short queue, from which the server sends. When the reader leaves,
or takes nothing for a while, or the job is stopped, the next write raises inside the copy and PostgreSQL is told to
cancel it; when the copy fails, the connection is cut, so that the file is seen to be incomplete.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dashboard.browser import browser_of
from dashboard.export_links import AGAIN, PREFIX, RefusedError
from dashboard.export_rights import check_rights, watched, who_asks
from dashboard.exporting import Exporter, Job, ReaderLeftError
from dashboard.services import current
from dashboard.words import sentence
from queries.errors import (
    ArgumentError,
    DatabaseUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    StatementTimeoutError,
    UsageDashboardError,
    translated,
)
from queries.exports.manifest import SUFFIX
from queries.exports.reports import Format

log = logging.getLogger(__name__)

PIECE_BYTES = 256 * 1024
# Between the copy and the network: more would only be memory.
_MOST_PIECES = 4
# Whoever takes nothing for so long is as good as gone: their COPY, its snapshot and their turn are for others.
TAKEN_WITHIN_S = 60.0
# How often a request that waits for its turn looks.
_LOOK_S = 0.1
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store, private",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Else Streamlit compresses it, on the loop that all pages share.
    "Content-Encoding": "identity",
}
_MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "csv.gz": "application/gzip",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_STATUS: tuple[tuple[type[UsageDashboardError], int], ...] = (
    (NotFoundError, 404),
    (ArgumentError, 422),
    (PermissionDeniedError, 403),
    (StatementTimeoutError, 504),
    (DatabaseUnavailableError, 503),
)


async def fetch(request: Request) -> Response:
    """One file, once. It waits here for its turn when others are under way."""
    exporter = current().exporter
    try:
        job = exporter.opened(request.path_params["token"], browser_of(request.cookies), who=await who_asks(request))
        await check_rights(job)
        if request.scope["http_version"] == "1.0":
            # There, a connection that is cut cannot be told from a file that has ended.
            raise RefusedError(505, "Files need HTTP/1.1. Set it between the proxy and this server, and ask again.")
        if request.method == "HEAD":
            return Response(headers=_headers(job))
        exporter.fetch(job)
        while not exporter.has_turn(job):
            if await request.is_disconnected():
                exporter.leave(job)
                break
            await asyncio.sleep(_LOOK_S)
    except RefusedError as refused:
        return _refusal(refused.status, refused.sentence)
    except asyncio.CancelledError:
        exporter.leave(job)
        raise
    return Streaming(exporter, job)


async def manifest(request: Request) -> Response:
    """What is in the file: filters, as-of, rows, sums, checksum."""
    held = current()
    try:
        # A long file outlives the link that it was fetched by.
        longer_s = held.settings.export_timeout_s
        job = held.exporter.opened(
            request.path_params["token"], browser_of(request.cookies), who=await who_asks(request), longer_s=longer_s
        )
        await check_rights(job)
        if job.manifest is None:
            raise RefusedError(409, "The file has not ended, so there is no manifest of it. Ask again when it has.")
    except RefusedError as refused:
        return _refusal(refused.status, refused.sentence)
    headers = {**_SAFE_HEADERS, "Content-Disposition": _attachment(job.order.file_name + SUFFIX)}
    return Response(job.manifest.as_json(), media_type="application/json", headers=headers)


ROUTES = [Route(PREFIX + "{token}", fetch), Route(PREFIX + "{token}/manifest", manifest)]


class Streaming(Response):
    """The bytes of one job as they are made."""

    def __init__(self, exporter: Exporter, job: Job) -> None:
        super().__init__()
        self._exporter, self._job = exporter, job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipe = Pipe(asyncio.get_running_loop(), lasts_s=current().settings.export_timeout_s)
        threading.Thread(target=self._copy, args=(pipe,), name=f"export {self._job.id}", daemon=True).start()
        leaving, why = asyncio.create_task(_gone(receive)), None
        watching = asyncio.create_task(watched(self._job))
        try:
            try:
                piece = await _first_of(pipe, leaving)
            except (UsageDashboardError, RefusedError) as error:
                await _refused_by(error)(scope, receive, send)
                return
            except ReaderLeftError:
                if not leaving.done():
                    await _refusal(410, f"This export has ended: {self._job.reason}. {AGAIN}")(scope, receive, send)
                return
            try:
                await self._send(piece, pipe, leaving, send)
            except StuckError as stuck:
                why = stuck
                _cut(receive)
            except (UsageDashboardError, RefusedError, ReaderLeftError):
                return  # the job and the log say why
        finally:
            leaving.cancel()
            watching.cancel()
            # No await from here on: also when this very task is being cancelled, the copy ends.
            self._exporter.leave(self._job, why)
            pipe.close()

    async def _send(self, piece: bytes, pipe: Pipe, leaving: asyncio.Task[None], send: Send) -> None:
        """All pieces and the end. Without the end, the server cuts the connection."""
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in _headers(self._job).items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        while piece:
            await _taken(send({"type": "http.response.body", "body": piece, "more_body": True}), pipe)
            piece = await _first_of(pipe, leaving)
        await _taken(send({"type": "http.response.body", "body": b"", "more_body": False}), pipe)

    def _copy(self, pipe: Pipe) -> None:
        try:
            self._exporter.stream(self._job, pipe.write, pipe.drain, pipe.close)
        except (UsageDashboardError, RefusedError, ReaderLeftError) as error:
            pipe.end(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the reader must not wait for ever
            pipe.end(translated(error))
        else:
            pipe.end(None)


class StuckError(ReaderLeftError):
    """The reader is there, and takes nothing."""

    def __init__(self) -> None:
        super().__init__(f"the reader took nothing for {TAKEN_WITHIN_S:g} s")


class Pipe:
    """A short queue of pieces from a thread to the server's loop, for `lasts_s` in all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, lasts_s: float) -> None:
        self._loop = loop
        self._lasts_s, self._ends_at = lasts_s, time.monotonic() + lasts_s
        # Set when nothing more is to be sent: in the loop.
        self.is_broken = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._gathered = bytearray()
        self._changed = threading.Condition()
        self._there = asyncio.Event()
        self._has_begun = self._has_ended = self._is_closed = False
        self._error: Exception | None = None

    def write(self, data: bytes) -> None:
        """Add bytes; waits while the queue is full. ReaderLeftError when nobody reads any more, StatementTimeoutError
        when it takes too long in all."""
        # The header goes out at once, so that the reader sees the file begin; large pieces are not copied together.
        if len(data) >= PIECE_BYTES // 2 and not self._gathered:
            self._put(data)
            return
        self._gathered += data
        if len(self._gathered) >= PIECE_BYTES or not self._has_begun:
            self._push()
        elif self._is_closed:
            raise ReaderLeftError

    def drain(self) -> None:
        """Wait until everything has been taken. ReaderLeftError when nobody does."""
        self._push()
        with self._changed:
            self._wait_until_fewer_than(1)

    def end(self, error: Exception | None) -> None:
        """Nothing more comes: the file is complete, or this is why it is not."""
        with self._changed:
            self._has_ended, self._error = True, error
        with suppress(ReaderLeftError):
            self._wake()
            if error is not None:
                self._in_loop(self.is_broken.set)

    def close(self) -> None:
        """Nothing more passes: the thread hears of it at its next write, the loop at once. From any thread."""
        with self._changed:
            self._is_closed = True
            self._pieces.clear()
            self._changed.notify_all()
        with suppress(ReaderLeftError):
            self._wake()
            self._in_loop(self.is_broken.set)

    async def next(self) -> bytes:
        """The next piece; empty when the file is complete. ReaderLeftError once the pipe is closed."""
        while True:
            with self._changed:
                if self._is_closed:
                    raise ReaderLeftError
                if self._pieces:
                    piece = self._pieces.popleft()
                    self._changed.notify_all()
                    return piece
                if self._has_ended:
                    if self._error is not None:
                        raise self._error
                    return b""
                self._there.clear()
            await self._there.wait()

    def _push(self) -> None:
        if self._gathered:
            self._put(bytes(self._gathered))
            self._gathered.clear()

    def _put(self, piece: bytes) -> None:
        with self._changed:
            self._wait_until_fewer_than(_MOST_PIECES)
            self._pieces.append(piece)
            self._has_begun = True
        self._wake()

    def _wait_until_fewer_than(self, pieces: int) -> None:
        """Wait with the lock. However patient the reader, a snapshot is not held for ever."""
        waits_until, there = time.monotonic() + TAKEN_WITHIN_S, len(self._pieces)
        while not self._is_closed:
            now = time.monotonic()
            if now >= self._ends_at:
                raise StatementTimeoutError(
                    f"the file was not fetched within {self._lasts_s:g} s; choose a shorter period or a compressed"
                    " format, or raise EXPORT_TIMEOUT_S"
                )
            if len(self._pieces) < pieces:
                return
            if len(self._pieces) < there:
                waits_until, there = now + TAKEN_WITHIN_S, len(self._pieces)
            if now >= waits_until:
                raise StuckError
            self._changed.wait(min(waits_until, self._ends_at) - now)
        raise ReaderLeftError

    def _wake(self) -> None:
        self._in_loop(self._there.set)

    def _in_loop(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            raise ReaderLeftError from None  # the loop has ended, and with it whoever read


async def _first_of(pipe: Pipe, leaving: asyncio.Task[None]) -> bytes:
    """The next piece, unless the reader leaves before it is there."""
    coming = asyncio.create_task(pipe.next())
    try:
        await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            raise ReaderLeftError
        return coming.result()
    finally:
        coming.cancel()


async def _taken(sending: Awaitable[None], pipe: Pipe) -> None:
    """Send this. StuckError when the reader does not take it in time, or when meanwhile the rest is not wanted: whoever
    takes nothing would otherwise hold the request for as long as they like."""
    sent, broken = asyncio.ensure_future(sending), asyncio.ensure_future(pipe.is_broken.wait())
    try:
        await asyncio.wait({sent, broken}, timeout=TAKEN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not sent.done():
            raise StuckError
        sent.result()
    finally:
        sent.cancel()
        broken.cancel()


def _cut(receive: Receive) -> None:
    """Drop the connection with all that waits in it. An end that waits for what was sent before never comes to a reader
    who takes nothing, and ASGI has no other."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()


async def _gone(receive: Receive) -> None:
    """Ends when the reader has."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(job: Job) -> Mapping[str, str]:
    return {
        **_SAFE_HEADERS,
        "Content-Type": _MEDIA_TYPES[job.order.format],
        "Content-Disposition": _attachment(job.order.file_name),
        "Accept-Ranges": "none",
        "X-Accel-Buffering": "no",
    }


def _attachment(name: str) -> str:
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _refused_by(error: Exception) -> Response:
    """An error before the first byte, in words."""
    if isinstance(error, RefusedError):
        return _refusal(error.status, error.sentence)
    assert isinstance(error, UsageDashboardError), "all others were translated"
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _refusal(status, f"There is no file: {error.message}. Reference {error.reference}.")


def _refusal(status: int, text: str) -> Response:
    return PlainTextResponse(sentence(text) + "\n", status, headers=_SAFE_HEADERS)
