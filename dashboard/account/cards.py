"""One generation as a card: its image, what was asked for, how it went, and what it cost."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from dashboard import words
from dashboard.board import Board
from dashboard.services import current
from dashboard.viewer import while_permitted
from queries.catalog import generations
from queries.catalog.generations import DOWNLOADED_BYTES, SHOWN_BYTES
from queries.errors import NotFoundError
from queries.period import zone_info
from queries.query import Query
from queries.runner import Context
from queries.scope import Scope

# Every status with a word and an icon, never a colour alone.
ICONS: Mapping[str, str] = {
    "SUCCEEDED": ":material/check_circle:",
    "FAILED": ":material/error:",
    "CANCELLED": ":material/cancel:",
    "PROCESSING": ":material/progress_activity:",
    "PENDING": ":material/schedule:",
}
_PROMPT, _ERROR, _ADDRESS = 90, 90, 48
# What a file of pixels starts with. Anything else (SVG, HTML) could hold scripts, and is never handed to a browser.
_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"))


def card(
    board: Board, scope: Scope, row: Mapping[str, Any], picture: Mapping[str, Any] | None, *, may_see: bool
) -> None:
    """A cell of the grid. `may_see` is the right to read prompts, which images show as much as words do."""
    with st.container(border=True, gap="xsmall", height="stretch"):
        if may_see:
            _image(board, scope, row, picture)
        icon = ICONS.get(row["status"], ":material/help:")
        st.markdown(f"{icon} **{words.plain(words.readable(row['status']))}**")
        if may_see and words.known(row["prompt"]):
            st.text(words.shortened(row["prompt"], _PROMPT))
        if words.known(row["error"]):
            st.text(words.shortened(row["error"], _ERROR))
        st.caption(words.plain(described(row, board.zone)))


def described(row: Mapping[str, Any], zone: str) -> str:
    """ "15 Jun 2026, 12:28 · Ada · 8 credits · 12 s · m3"."""
    created = words.utc(row["created_at"])
    local = created.astimezone(zone_info(zone)) if created is not None else None
    took = words.known(row["duration_ms"])
    parts = [
        f"{words.day(local.date())}, {local:%H:%M}" if local is not None else "",
        words.shortened(row["user"], 24) if words.known(row["user"]) else words.shortened(row["user_id"], 24),
        f"{words.exact(row['credits'])} credit{'' if row['credits'] == 1 else 's'}",
        words.duration(took) if took is not None else "",
        words.shortened(row["model"], 24),
        f"{row['images']} images" if row["images"] > 1 else "",
    ]
    return " · ".join(one for one in parts if one)


def kind_of(head: bytes | None) -> str | None:
    """png, jpeg, gif or webp, by what the bytes start with; None for anything else."""
    if head is None:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((kind for start, kind in _KINDS if head.startswith(start)), None)


def _image(board: Board, scope: Scope, row: Mapping[str, Any], picture: Mapping[str, Any] | None) -> None:
    if picture is None:
        st.caption("No image")
        return
    data, stored = words.known(picture["data"]), words.known(picture["stored_bytes"])
    kind = kind_of(words.known(picture["head"]))
    if stored is None:
        st.caption(words.plain(_elsewhere(picture)))
        return
    if kind is None:
        st.caption("The stored image is of a kind that is not shown here.")
        return
    if data is not None:
        # Inline, so that no address exists at which somebody else could fetch it.
        url = f"data:image/{kind};base64,{b64encode(data).decode()}"
        st.image(url, width="stretch", alt=f"Image of the generation {row['generation_id']}")
    else:
        st.caption(f"The image is larger than {SHOWN_BYTES // 1024} KiB and is not shown here.")
    if stored > DOWNLOADED_BYTES:
        st.caption(f"{stored / 2**20:.1f} MiB: too large to download here.")
        return
    st.download_button(
        "Image",
        data=while_permitted(
            board.viewer,
            board.page,
            partial(stored_bytes, generations.picture(scope, image_id=picture["image_id"]), _context(board, scope)),
        ),
        file_name=f"{words.shortened(picture['image_id'], 80)}.{kind}",
        mime=f"image/{kind}",
        key=f"download-{picture['image_id']}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
        help="Download this image",
    )


def stored_bytes(query: Query, context: Context) -> bytes:
    """The image's bytes, read when somebody asks for the file."""
    row = words.first_row(current().runner.run(query, context).frame)
    data = row.get("data")
    if data is None:
        raise NotFoundError("this image is not there any more")
    return bytes(data)


def _elsewhere(picture: Mapping[str, Any]) -> str:
    """Where the image is when its bytes are not in the database. This page loads nothing from other machines."""
    url = words.known(picture["image_url"])
    if not url:
        return "The image is not stored in this database."
    return f"Stored at {words.shortened(url, _ADDRESS)}"


def _context(board: Board, scope: Scope) -> Context:
    """Without a reader: the click comes when this page run is over."""
    return Context(scope=scope, role=board.viewer.role, page=board.page)
