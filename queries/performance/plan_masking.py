"""Constants in a plan that the log would hide: EXPLAIN prints the values of parameters in the conditions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

HIDDEN = "(hidden)"
# A shorter value is no secret inside a longer text, and would be found everywhere.
_TELLING = 3
_LITERAL = re.compile(r"""("(?:[^"]|"")*")|(E?)'((?:[^']|'')*)'""")
_WILDCARDS = "%_"


def hidden_values(parameters: Mapping[str, Any], shown: Mapping[str, Any]) -> set[str]:
    """The texts among the parameters that are hidden where they are shown."""
    return {
        one
        for name, value in parameters.items()
        if HIDDEN in str(shown.get(name))
        for one in (value if isinstance(value, list | tuple) else [value])
        if isinstance(one, str) and one.strip(_WILDCARDS)
    }


def without_hidden(printed: Any, values: Collection[str]) -> Any:
    """What EXPLAIN printed, with every literal that holds one of these texts hidden."""
    if not values:
        return printed
    if isinstance(printed, Mapping):
        return {name: without_hidden(one, values) for name, one in printed.items()}
    if isinstance(printed, list):
        return [without_hidden(one, values) for one in printed]
    if not isinstance(printed, str):
        return printed

    def shown(found: re.Match[str]) -> str:
        name, escaped, text = found.group(1), found.group(2), found.group(3)
        if name is not None:
            return name
        plain = text.replace("''", "'")
        plain = plain.replace("\\\\", "\\") if escaped else plain
        return f"'{HIDDEN}'" if any(_holds(plain, one) for one in values) else found.group(0)

    return _LITERAL.sub(shown, printed)


def _holds(text: str, value: str) -> bool:
    """The value itself, or a pattern made of it."""
    bare = value.strip(_WILDCARDS)
    return text == value or text.strip(_WILDCARDS) == bare or (len(bare) >= _TELLING and bare in text)
