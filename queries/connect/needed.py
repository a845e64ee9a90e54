"""What generations cannot be without: which table they are in, and its columns. Where nothing tells, the question, with
what could be meant; where nothing could be, an error."""

from __future__ import annotations

from collections.abc import Sequence

from queries.connect.answers import Question
from queries.connect.found import Draft, Found, bare
from queries.connect.ground import Ground, simple
from queries.connect.names import words
from queries.connect.roles import likely_events, times
from queries.connect.shape import Shape
from queries.connect.values import counted
from queries.errors import ConnectError

NEEDED_COLUMNS = ("id", "tenant_id", "created_at")
_MOST_SHOWN = 6
_OF_KEYS = ("integer", "uuid", "text")


def which_generations(shape: Shape) -> Question:
    """Which table has them, the likeliest first; ConnectError where none could."""
    said = f"no table of {shape.origin} looks like generations (a prompt, a model, a status, a time)"
    near = [one.relation for one in likely_events(shape)]
    if near:
        lines = (f"{counted(one.label, one.rows)}: {', '.join(one.by_name)}" for one in near[:_MOST_SHOWN])
        return Question(
            ("tables", "generation"),
            f"{said}. Which one has a row for each generation?",
            tuple(one.label for one in near),
            seen=("The likeliest, with their columns:", *lines),
        )
    names = [one.label for one in shape.relations]
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise ConnectError(f'{said}; name it in an answers file: [tables] generation = "...". There are {listed}')


def key(ground: Ground, draft: Draft) -> Found | None:
    """The primary key, a column called so, or the one that is answered."""
    relation = draft.relation
    if (named := simple(ground, draft, "id")) is not None:
        return named
    name = relation.key[0] if relation.key else next((one.name for one in relation.fields if one.name == "id"), None)
    return bare(relation, relation.by_name[name], "its primary key") if name is not None else None


def ask_what_is_needed(ground: Ground, draft: Draft) -> None:
    """Asks for each column that was not found, unless that is asked already; ConnectError where none could be it."""
    label = draft.relation.label
    if "id" not in draft.columns:
        _ask(ground, draft, "id", f"{label} has no primary key. Which column tells its rows apart?", _keys(draft))
    if "tenant_id" not in draft.columns:
        target = ground.tenancy.relation
        text = f"Nothing in {label} leads to {target.label if target is not None else 'a tenant'}."
        _ask(ground, draft, "tenant_id", f"{text} Which column says whose a generation is?", _keys(draft))
    if "created_at" not in draft.columns:
        text = f"No column of {label} is known to say when a generation was made. Which one does?"
        able = [one for one in times(draft.relation) if one not in _known(draft)]
        _ask(ground, draft, "created_at", text, able, best=able[0] if len(able) == 1 else None)


def _ask(
    ground: Ground, draft: Draft, column: str, text: str, names: Sequence[str], *, best: str | None = None
) -> None:
    if ground.answers.get("columns", draft.logical, column) == "" or not names:
        raise ConnectError(
            f"{draft.relation.label} has no column for {column}, and generations need one; answer another table by"
            f' [tables] generation = "...", or name the column by [columns.generation] {column} = "..."'
        )
    ground.ask(Question(("columns", draft.logical, column), text, tuple(names), best))


def _keys(draft: Draft) -> list[str]:
    """Columns that may hold a key, those that are called so first."""
    able = [one.name for one in draft.relation.fields if one.kind in _OF_KEYS and one.name not in _known(draft)]
    return sorted(able, key=lambda name: words(name)[-1:] not in (("id",), ("uuid",), ("key",)))


def _known(draft: Draft) -> set[str]:
    """Columns that have a meaning already."""
    return {found.column for found in draft.columns.values() if found.column is not None}
