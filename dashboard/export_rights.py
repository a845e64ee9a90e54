"""Who asks for a file at its address, and whether they may have it: before it begins, and while it is on its way."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from dashboard.export_links import RefusedError
from dashboard.exporting import Job
from dashboard.exports.making import check
from dashboard.services import current
from queries.errors import NotFoundError, UsageDashboardError

CHECK_EVERY_S = 5.0
_FORBIDDEN = "its person may not have it any more"


async def who_asks(request: Request) -> str:
    """What stands for who has signed in in this browser; empty where nobody signs in. RefusedError for nobody."""
    admission = current().admission
    if admission is None:
        return ""
    identity = admission.of_request(request.cookies, request.headers)
    try:
        is_signed_in = identity is not None and await asyncio.to_thread(admission.is_signed_in, identity)
    except UsageDashboardError as error:
        raise _unknown(error) from None
    if identity is None or not is_signed_in:
        raise RefusedError(401, "Nobody is signed in in this browser. Open the dashboard, sign in, and ask again.")
    return identity.digest


async def check_rights(job: Job) -> None:
    """RefusedError when the job's person may not have it any more."""
    services = current()
    if services.admission is None:
        return
    try:
        await asyncio.to_thread(check, services, job)
    except NotFoundError as error:
        services.exporter.forbid(job, _FORBIDDEN)
        raise RefusedError(403, f"There is no file: {error.message}.") from None
    except UsageDashboardError as error:
        raise _unknown(error) from None


def _unknown(error: UsageDashboardError) -> RefusedError:
    return RefusedError(503, f"There is no file: {error.message}. Reference {error.reference}.")


async def watched(job: Job) -> None:
    """While a file is on its way, ask again and again whether its person may have it, and end it when not."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        try:
            await check_rights(job)
        except RefusedError:
            current().exporter.forbid(job, _FORBIDDEN)
            return
