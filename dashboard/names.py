"""Tenants by their names, where only their ids are kept: in rules of access and in the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dashboard import words
from dashboard.services import current
from queries.catalog import tenants
from queries.catalog.arguments import LARGEST_PAGE_ROWS
from queries.context import Context


def of_tenants(ids: Iterable[str], context: Context) -> dict[str, str]:
    """The names of those of these tenants that are there and that the context may see, by their ids; the id of one
    without a name. Raises what the runner raises."""
    mine = context.scope
    wanted = sorted(one for one in set(ids) if mine.is_all or one in (mine.ids or ()))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), LARGEST_PAGE_ROWS):
        some = mine.narrowed(wanted[start : start + LARGEST_PAGE_ROWS])
        frame = current().runner.run(tenants.tenant_choices(some, search="", limit=LARGEST_PAGE_ROWS), context).frame
        found |= {key: words.known(name) or key for key, name in zip(frame["tenant_id"], frame["tenant"], strict=True)}
    return found


def listed(ids: Sequence[str], names: Mapping[str, str], *, most: int, more: int = 0, characters: int = 28) -> str:
    """ "Lumen Studio, Blue Fjord and 3 more", each name of at most so many characters; `more` are those that are not
    even among the ids."""
    shown = ", ".join(words.shortened(names.get(one) or one, characters) for one in ids[:most])
    left = max(0, len(ids) - most) + more
    return shown + (f" and {left:,} more" if left else "")
