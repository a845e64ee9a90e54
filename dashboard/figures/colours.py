"""One colour for each tenant, type and status, the same on every page and on both themes: each is at least 3 : 1
against the light and the dark background. Hues start from Okabe and Ito's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

HUES = ("#0072B2", "#C98500", "#009E73", "#C76BA0", "#3A97CE", "#D55E00", "#7F63CC", "#85833A")
GREY = "#858C96"

# Status colours are fixed, and the word is always beside them.
FIXED: Mapping[str, Mapping[str, str]] = {
    "status": {
        "SUCCEEDED": "#009E73",
        "FAILED": "#D55E00",
        "CANCELLED": "#85833A",
        "PROCESSING": "#3A97CE",
        "PENDING": "#7F63CC",
    },
    "type": {
        "TEXT_TO_IMAGE": "#0072B2",
        "IMAGE_TO_IMAGE": "#C98500",
        "INPAINTING": "#C76BA0",
        "UPSCALE": "#3A97CE",
    },
}


def colours(kind: str, ids: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A colour for each id: the one it is known by, else its own, and when that is taken in this chart or by an id
    known before, the next free one, for as long as there are hues. Ids are taken in order, whatever order they come in.
    """
    fixed = FIXED.get(kind, {})
    wanted, before = set(ids), dict(known or {})
    chosen: dict[str, str] = {}
    for one in sorted(wanted, key=lambda one: (one not in fixed, one not in before, one)):
        here, elsewhere = set(chosen.values()), set(before.values())
        around = [fixed[one]] if one in fixed else _around(before[one]) if one in before else _around(_own(kind, one))
        free = [hue for hue in around if hue not in here]
        is_new = one not in fixed and one not in before
        unknown = [hue for hue in free if is_new and hue not in elsewhere]
        chosen[one] = next(iter([*unknown, *free, *around]))
    return chosen


def _own(kind: str, one: str) -> str:
    return HUES[int.from_bytes(hashlib.blake2b(f"{kind}:{one}".encode(), digest_size=4).digest()) % len(HUES)]


def _around(hue: str) -> list[str]:
    """All hues, this one first."""
    place = HUES.index(hue)
    return [*HUES[place:], *HUES[:place]]
