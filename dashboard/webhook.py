"""One JSON document to a webhook. The address is a secret: no message and no log line holds it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from queries.errors import WebhookError
from queries.settings import LOCAL_HOSTS

TIMEOUT_S = 10.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET and look like a success."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(address: SecretStr, document: Mapping[str, Any], *, setting: str, timeout_s: float = TIMEOUT_S) -> None:
    """POST it; WebhookError, which names the setting that the address is from, unless the answer is 2xx."""
    url = address.get_secret_value()
    body = json.dumps(document, ensure_ascii=False).encode()
    try:
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if urlsplit(url).hostname in LOCAL_HOSTS:
            handlers.append(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json; charset=utf-8"})  # noqa: S310 - the settings accept https, or http to this machine
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_s):
            pass  # every other status than 2xx is raised
    except urllib.error.HTTPError as refused:
        with refused:
            status = refused.code
        raise WebhookError(
            f"the webhook answered {status}, and what it did not take is told the next time; check {setting}"
        ) from None
    except (OSError, HTTPException, ValueError) as failed:  # their messages may quote the address
        raise WebhookError(
            f"the webhook cannot be reached ({type(failed).__name__}), and what it did not take is told the next time;"
            f" check {setting} and the network"
        ) from None
