"""Closing a month from the page: what there is to close, the confirmation, and how far it is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import streamlit as st

from dashboard import auditing, filters, fragments, words
from dashboard import viewer as viewers
from dashboard.services import current
from dashboard.statements.choices import Chosen, named
from queries.closing import Closer
from queries.errors import NotFoundError, UsageDashboardError

log = logging.getLogger(__name__)

LOOK_EVERY_S, SAID_FOR_S = 0.5, 60.0
# The job that this session has begun or watched: whoever comes later is not told of it.
_FOLLOWED, _REFUSED = "closing_followed", "closing_refused"


@dataclass(slots=True)
class Job:
    """A month that is being closed, in a thread of its own: who leaves the page does not stop it half-way."""

    month: date
    by: str
    role: str = ""
    step: str = "Beginning"
    failure: str = ""
    ended_at: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)


_LOCK = threading.Lock()
_JOBS: dict[int, Job] = {}


def control(chosen: Chosen, status: Mapping[date, str]) -> None:
    """For the first of the months that is over and not closed: the button, or why there is none."""
    closer = current().closer
    job = _JOBS.get(id(closer)) if closer is not None else None
    if job is not None and not job.ended.is_set():
        _watch(chosen, job)
        return
    if job is not None:
        _ended(job)
    if refused := st.session_state.pop(_REFUSED, ""):
        st.error(words.plain(refused), icon=":material/error:")
    month = next((one for one in chosen.months if status.get(one) == "provisional"), None)
    if month is None:
        return
    if closer is None:
        st.caption("Months stay provisional: closing one writes it down, which needs DIRECT_URL.")
        return
    if chosen.zone != closer.zone:
        st.caption(
            words.plain(
                f"Months are closed in {closer.zone}, the reporting zone; in {chosen.zone} each is provisional."
            )
        )
        return
    reason = closer.may_close(month, filters.utc_now())
    if reason:
        st.caption(words.plain(f"{named(month)} is provisional. {words.sentence(reason)}"))
        return
    with st.popover(f"Close {named(month)}", icon=":material/lock:", key=f"close-{month:%Y-%m}"):
        st.markdown(
            words.plain(
                f"Statement, usage lines and ledger of {named(month)} are frozen as they are, for all tenants. Closing"
                " is not undone: what is posted later with an older date is a correction of the next month."
            )
        )
        st.button(
            f"Close {named(month)} now",
            type="primary",
            on_click=start,
            args=(closer, month, chosen.zone),
            key=f"close-now-{month:%Y-%m}",
        )


def start(closer: Closer, month: date, zone: str) -> None:
    """Begin to close the month, unless one is being closed by this process. A callback: who asks is read again, since
    rights may have gone."""
    try:
        who = _asker()
    except UsageDashboardError as error:
        st.session_state[_REFUSED] = f"{named(month)} was not closed. {words.sentence(error.message)}"
        return
    with _LOCK:
        running = _JOBS.get(id(closer))
        if running is not None and not running.ended.is_set():
            return
        job = _JOBS[id(closer)] = Job(month, who.name, who.role)
    st.session_state[_FOLLOWED] = id(job)
    given = (closer, job, zone, filters.utc_now(), current().audit)
    threading.Thread(target=_close, args=given, name=f"closing {month:%Y-%m}", daemon=True).start()


def _asker() -> viewers.Viewer:
    """Who presses the button now; NotFoundError when closing is not theirs."""
    who = viewers.viewer()
    # A month is closed for all tenants.
    if not who.may_open("statements") or not who.at("statements").scope.is_all:
        raise NotFoundError("closing a month is not open to your role any more; ask finance or an administrator")
    return who


def _close(closer: Closer, job: Job, zone: str, now: datetime, audit: auditing.Auditing | None = None) -> None:
    def progress(step: str) -> None:
        job.step = step

    try:
        made = closer.close(job.month, zone=zone, by=job.by, now=now, progress=progress)
        auditing.month_closed(audit, job.by, job.role, made, now)
    except UsageDashboardError as error:
        job.failure = f"{words.sentence(error.message)} Reference {error.reference}."
        log.warning("closing %s failed, reference %s: %s", f"{job.month:%Y-%m}", error.reference, error.message)
    except Exception:
        job.failure = "The log has what happened. Nothing was closed."
        log.exception("closing %s failed", f"{job.month:%Y-%m}")
    finally:
        job.ended_at = time.monotonic()
        job.ended.set()


def _watch(chosen: Chosen, job: Job) -> None:
    run_id = chosen.board.visit.run_id
    st.session_state[_FOLLOWED] = id(job)

    @fragments.fragment(run_every=LOOK_EVERY_S)
    def look() -> None:
        is_page_run = st.session_state.get("closing_watched") != run_id
        st.session_state["closing_watched"] = run_id
        if job.ended.is_set() and not is_page_run:
            st.rerun()
        st.caption(words.plain(f"{job.by} is closing {named(job.month)}. {job.step} …"))

    look()


def _ended(job: Job) -> None:
    """What came of it, for a while."""
    if st.session_state.get(_FOLLOWED) != id(job) or time.monotonic() - job.ended_at > SAID_FOR_S:
        return
    if job.failure:
        st.error(words.plain(f"{named(job.month)} was not closed. {job.failure}"), icon=":material/error:")
        return
    st.success(
        f"{named(job.month)} is closed. Its rows are frozen: as CSV its files are the same from now on, byte for byte.",
        icon=":material/lock:",
    )
