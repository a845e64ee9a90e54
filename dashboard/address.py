"""What a copied link asks for and there is not. Streamlit drops such values from the address in silence; the page says
so in a sentence, until the person chooses anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from dashboard import words

# What is wrong with the values that the address has for a name; "" when nothing is.
Check = Callable[[Sequence[str]], str]
_SAID, _LOOKED_AT = "address_said", "address_looked_at"
_SHOWN = 40


def complaints(checks: Mapping[str, Check]) -> list[str]:
    """What is wrong with these names of the address, looked at once and kept until `forgive`."""
    said: dict[str, str] = st.session_state.setdefault(_SAID, {})
    looked_at: dict[str, tuple[str, ...]] = st.session_state.setdefault(_LOOKED_AT, {})
    for name, check in checks.items():
        asked = tuple(st.query_params.get_all(name))
        if asked and asked != looked_at.get(name):
            looked_at[name] = asked
            said[name] = check(asked)
    return [said[name] for name in checks if said.get(name)]


def show(found: Sequence[str]) -> None:
    """The complaints as one quiet line."""
    if found:
        st.info(words.plain(" ".join(found)), icon=":material/link_off:")


def forgive(*names: str) -> None:
    """Forget what was wrong with these names: the person has chosen anew."""
    for name in names:
        st.session_state.get(_SAID, {}).pop(name, None)


def one_of(noun: str, accepted: Sequence[str], instead: str) -> Check:
    """A check that every value is one of the accepted ones."""

    def check(asked: Sequence[str]) -> str:
        unknown = [one for one in asked if one not in accepted]
        return f"The link's {noun} “{words.shortened(unknown[0], _SHOWN)}” is not known; {instead}." if unknown else ""

    return check
