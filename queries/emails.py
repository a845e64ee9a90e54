"""E-mail addresses and domains as they are compared: ASCII only, in lower case.

Python's own folding turns the Kelvin sign into a k and a long s into an s, so that an address that only looks like
another would be taken for it. Here only A to Z are folded, and what holds anything beyond ASCII is no address.
"""

from __future__ import annotations

import re
import string

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")
_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")


def email_address(text: object) -> str | None:
    """The address as it is compared; None for what is none."""
    if not isinstance(text, str):
        return None
    local, at, domain = text.translate(_LOWER).rpartition("@")
    if not at or _LOCAL.fullmatch(local) is None or _DOMAIN.fullmatch(domain) is None:
        return None
    return f"{local}@{domain}"


def mail_domain(text: object) -> str | None:
    """The domain as it is compared; None for what is none."""
    if not isinstance(text, str):
        return None
    folded = text.translate(_LOWER)
    return folded if _DOMAIN.fullmatch(folded) is not None else None
